from typing import Any, Literal, Protocol

from evcore.core.ocpp import Decoder
