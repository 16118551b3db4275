"""A codec that lets pass what its user does not want judged: `skip_schema_validation` of a `ChargePoint`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson

from evcore.errors import PayloadError
from evcore.ocpp.codec import Codec, Frame
from evcore.ocpp.message_types import CALLRESULT
from evcore.ocpp.names import snake

_LETTER = re.compile(r"_([a-z])")  # a capital after an underscore (`limit_L2`) is part of a wire name
_FREE = ("custom_data", "customData", "data")  # whose content is nobody's but the vendor's


class UnjudgedCodec:
    """The `codec`, and where it refuses a payload that nobody wants judged, one without schemas.

    skips: actions whose CALLs and answers are not judged. calls: ids of own CALLs that are not. Names that no schema of
    the action knows are renamed by the rule alone, as mobilityhouse renames them all.
    """

    def __init__(self, codec: Codec, skips: Callable[[str], bool]) -> None:
        self.version, self.calls = codec.version, set[str]()
        self._codec, self._skips = codec, skips
        self._off: Codec | None = None
        self.encode_error, self.encode_result_error = codec.encode_error, codec.encode_result_error
        self.encode_send = codec.encode_send

    def decode(
        self, data: bytes, *, names: Literal["snake", "wire"], action: str | Mapping[str, str] | None = None
    ) -> Frame:
        try:
            return self._codec.decode(data, names=names, action=action)
        except PayloadError as error:
            if not (error.id in self.calls if error.type == CALLRESULT else self._skips(error.action or "")):
                raise
        frame = self._without_schema().decode(data, names=names, action=action)
        if names == "snake":
            frame.payload = _renamed(frame.payload, snake)
        return frame

    def encode_call(self, id: str, action: str, payload: object) -> bytes:
        try:
            return self._codec.encode_call(id, action, payload)
        except PayloadError:
            if id not in self.calls:
                raise
        return self._encode("encode_call", id, action, payload)

    def encode_result(self, id: str, action: str, payload: object) -> bytes:
        try:
            return self._codec.encode_result(id, action, payload)
        except PayloadError:
            if not self._skips(action):
                raise
        return self._encode("encode_result", id, action, payload)

    def _encode(self, method: str, id: str, action: str, payload: object) -> bytes:
        encode = getattr(self._without_schema(), method)
        message: bytes = encode(id, action, payload)
        return bytes(encode(id, action, _renamed(without_none(orjson.loads(message)[-1]), _camel)))

    def _without_schema(self) -> Codec:
        if self._off is None:
            self._off = Codec(self.version, mode="off", limits=self._codec.limits)
        return self._off


def _camel(name: str) -> str:
    return _LETTER.sub(lambda match: match[1].upper(), name)


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {rename(key): member if key in _FREE else _renamed(member, rename) for key, member in value.items()}
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    return value


def without_none(value: Any) -> Any:
    """Optional fields that are not set are left out, as in answers that are judged."""
    if isinstance(value, dict):
        return {key: without_none(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value if item is not None]
    return value
