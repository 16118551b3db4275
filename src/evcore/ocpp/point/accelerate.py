"""mobilityhouse's own ChargePoint with our validation, and its case conversion by table: nothing else is changed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import orjson
from ocpp import charge_point, messages

from evcore.ocpp.codec import Codec, Limits
from evcore.ocpp.schemas import VERSIONS

_KEYS_MAX = 8192  # names kept; there are some 700, and a peer that need not be valid may bring any
# Whose payload mobilityhouse changes while it judges: its floats become Decimals.
_CHANGED = {("1.6", 2, "SetChargingProfile"), ("1.6", 2, "RemoteStartTransaction"), ("1.6", 3, "GetCompositeSchedule")}
_lock = threading.Lock()
_replaced: dict[str, Any] = {}


def accelerate() -> Callable[[], None]:
    """Replace three functions inside the installed `ocpp` package, for every ChargePoint of this process; returns what
    puts them back.

    Payloads are judged by `Codec.check` in the event loop's own thread. What that refuses is judged again by
    mobilityhouse, so that its exceptions and their texts stay the same. One difference: `1.0` is an integer where the
    schema names draft 6, as in 2.x and in 1.6's security extension. Functions that were
    imported from `ocpp` by name are not replaced.
    """
    with _lock:
        if not _replaced:
            judge = messages._validate_payload
            _replaced.update(
                judge=judge,
                threads=messages.ASYNC_VALIDATION,
                snake=charge_point.camel_to_snake_case,
                camel=charge_point.snake_to_camel_case,
            )
            messages._validate_payload = functools.partial(_judge, judge)
            messages.ASYNC_VALIDATION = False
            charge_point.camel_to_snake_case = _by_table(charge_point.camel_to_snake_case)
            charge_point.snake_to_camel_case = _by_table(charge_point.snake_to_camel_case)
    return _restore


def _restore() -> None:
    with _lock:
        if _replaced:
            messages._validate_payload = _replaced["judge"]
            messages.ASYNC_VALIDATION = _replaced["threads"]
            charge_point.camel_to_snake_case = _replaced["snake"]
            charge_point.snake_to_camel_case = _replaced["camel"]
            _replaced.clear()


@functools.cache
def _codec(version: str) -> Codec:
    return Codec(version, limits=Limits(size=1 << 24, depth=64))


def _judge(judge: Callable[[Any, str], None], message: Any, version: str) -> None:
    if not _is_valid(message, version):
        judge(message, version)


def _is_valid(message: Any, version: str) -> bool:
    """Surely valid; False also where only mobilityhouse knows."""
    if type(message) not in (messages.Call, messages.CallResult) or type(message.payload) is not dict:
        return False
    kind, action = message.message_type_id, message.action
    if version not in VERSIONS or (version, kind, action) in _CHANGED:
        return False
    try:
        if kind == messages.MessageType.Call:
            _codec(version).check(orjson.dumps([kind, "0", action, message.payload]))
        else:
            _codec(version).check(orjson.dumps([kind, "0", message.payload]), action=str(action))
    except (TypeError, ValueError):
        return False
    return True


def _by_table(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same conversion, each name done once."""
    names: dict[Any, Any] = {}

    def name_of(key: Any) -> Any:
        [name] = convert({key: None})
        if len(names) < _KEYS_MAX:
            names[key] = name
        return name

    def converted(data: Any) -> Any:
        if isinstance(data, dict):
            return {names[key] if key in names else name_of(key): converted(value) for key, value in data.items()}
        if isinstance(data, list):
            return [converted(item) for item in data]
        return data

    return converted
