"""The slow path of a codec: what its strict verdict refused, judged by a policy and mended where that may be.

A mended message goes through the strict verdict again, and only what that accepts is handed out. Linear in the size of
the message: one pass over the payload in Python, and a bounded number of scans.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evcore.errors import FrameError, MessageError, PayloadError
from evcore.ocpp import repairs_text
from evcore.ocpp.judge import Judge
from evcore.ocpp.message_types import KINDS
from evcore.ocpp.policy import Policy, Rule
from evcore.ocpp.repairs import Repair
from evcore.ocpp.repairs_values import Mender, TooMany, dump, parse
from evcore.ocpp.schemas import Schema, schemas_of
from evcore.ocpp.violations import shorten

if TYPE_CHECKING:
    from evcore.core.ocpp import Frame

Decode = Callable[[bytes, bool], "Frame"]  # (message, judged by its schema?); raises FrameError, PayloadError


def rescue(data: bytes, error: MessageError, policy: Policy, version: str, formats: bool, decode: Decode) -> Frame:
    """The frame of a message that the strict verdict refused with `error`, its `repairs` and `mended` filled in.

    Raises `error` where the policy allows nothing that helps.
    """
    message, fault, repairs = read_broken(data, error, policy, decode)
    if isinstance(fault, PayloadError):
        frame = _mend_payload(message, fault, policy, version, formats, decode, repairs)
    else:
        frame = fault
    if frame is None or any(repair.name not in policy.rule("in", frame.action).repairs for repair in repairs):
        raise error
    if repairs:
        frame.repairs = tuple(repairs)
    return frame


def rescue_outgoing(
    text: bytes, error: PayloadError, rule: Rule, version: str, formats: bool
) -> tuple[bytes, list[Repair]]:
    """The payload that is to go out, mended, and its repairs. Raises `error` where nothing helps."""
    schema = _schema(version, error)
    if schema is None:
        raise error
    payload, repairs, valid = mend_payload(schema.root, parse(text), rule.repairs, version, formats)
    if not valid and "let_through" not in rule.repairs:
        raise error
    return dump(payload), repairs


def mend_payload(
    root: dict[str, Any], payload: Any, allowed: frozenset[str], version: str, formats: bool
) -> tuple[Any, list[Repair], bool]:
    """The payload with what could be mended, the repairs, and whether it is valid now. The payload is changed in place;
    its numbers with a fraction are Decimals."""
    mender = Mender(allowed)
    judge = Judge(version, formats=formats, mend=mender, limit=1)
    try:
        payload = judge.judge(root, payload)
    except TooMany:
        return payload, mender.repairs, False
    if judge.violations and "let_through" in allowed:
        first = judge.violations[0]
        mender.repairs.append(Repair("let_through", first.path, shorten(first.got), "handed on as it is"))
    return payload, mender.repairs, not judge.violations


def read_broken(
    data: bytes, error: MessageError, policy: Policy, decode: Decode
) -> tuple[bytes, Frame | PayloadError | None, list[Repair]]:
    """The message with its frame and its JSON mended, what its decoding then gave (None: nothing), and the repairs."""
    allowed, repairs = policy.all_repairs("in"), list[Repair]()
    fault = error
    while isinstance(fault, FrameError):
        mended = repairs_text.mend_text(data, fault, allowed) if len(repairs) < repairs_text.MOST else None
        if mended is None:
            return data, None, repairs
        data, repair = mended
        repairs.append(repair)
        try:
            frame = decode(data, True)
        except MessageError as next_fault:
            fault = next_fault
        else:
            frame.mended = data
            return data, frame, repairs
    return data, fault if isinstance(fault, PayloadError) else None, repairs


def _mend_payload(
    message: bytes,
    fault: PayloadError,
    policy: Policy,
    version: str,
    formats: bool,
    decode: Decode,
    repairs: list[Repair],
) -> Frame | None:
    rule = policy.rule("in", fault.action)
    if rule.mode == "off":
        return decode(message, False)
    schema = _schema(version, fault)
    if rule.mode == "strict" or schema is None:
        return None
    start, end = decode(message, False).payload_span or (0, 0)
    payload, more, valid = mend_payload(schema.root, parse(message[start:end]) or {}, rule.repairs, version, formats)
    repairs += more
    let_through = not valid and "let_through" in rule.repairs
    if not valid and not let_through:
        return None
    mended = message[:start] + dump(payload) + message[end:]
    try:
        frame = decode(mended, not let_through)
    except MessageError:
        return None
    frame.mended = mended
    return frame


def _schema(version: str, fault: PayloadError) -> Schema | None:
    kind = KINDS.get(fault.type)
    return None if kind is None or fault.action is None else schemas_of(version).get(kind, fault.action)
