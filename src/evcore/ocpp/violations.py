"""What is wrong with a payload, in the words of the protocol: one table from schema rule to error code.

No test case of the Open Charge Alliance fixes which code answers which violation, so the table is ours, with a reason
each (OCPP-J 1.6, 4.2.3, table 7; OCPP 2.0.1 Part 4, 4.3, table 8 describe the codes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from evcore.errors import PayloadError

# rule of the schema: error code in the spelling of 2.x
CODES = {
    "required": "OccurrenceConstraintViolation",  # "occurrence constraints": a member occurs 0 times and must once
    "minItems": "OccurrenceConstraintViolation",  # the same for the items of a list
    "maxItems": "OccurrenceConstraintViolation",
    "type": "TypeConstraintViolation",  # "data type constraints (e.g. "somestring": 12)"
    "enum": "PropertyConstraintViolation",  # of the right type, "but at least one field contains an invalid value"
    "minLength": "PropertyConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "format": "PropertyConstraintViolation",
    "minimum": "PropertyConstraintViolation",
    "maximum": "PropertyConstraintViolation",
    "multipleOf": "PropertyConstraintViolation",
    "additionalProperties": "FormatViolation",  # not the structure of this action
}

# OCPP-J 1.6, table 7, keeps its own spelling of two codes, the typing error included (errata sheet v1.0, 5.1).
SPELLING_16 = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
}
_SPELLING_2X = {old: new for new, old in SPELLING_16.items()}

_TEXT_MAX = 40  # of anything quoted from a message or a schema
_WORDS_MAX = 70  # of the words of an enumeration, so that a CALLERROR has room for what was given


def spell(version: str, code: str) -> str:
    """An error code in the spelling of a version; a code with one spelling stays."""
    return (SPELLING_16 if version == "1.6" else _SPELLING_2X).get(code, code)


def explain(
    version: str, rule: str, limit: Any, steps: Sequence[str | int], text: bytes | None, count: int
) -> PayloadError:
    """The error of one violation. Its texts are bounded and quote no string of a secret's kind: only names, numbers and
    what was given for an enumeration.

    rule: a key of CODES, or "action": the version does not know it. limit: what the schema says. steps: the way to the
    value, or to where it should be. text: its JSON, of an object or array only the bracket; None: nothing is there.
    count: the items of an array.
    """
    path = path_text(steps)
    code = spell(version, CODES[rule])
    if rule == "required":
        return PayloadError(code, path, "a value", "nothing")
    if rule == "additionalProperties":
        return PayloadError(code, path, "no such member", _describe(text))
    return PayloadError(code, path, _expected(rule, limit), _got(rule, text, count))


def unknown_action(action: str) -> PayloadError:
    """OCPP-J 1.6, table 7, and 2.0.1 Part 4, table 8: unknown is NotImplemented; NotSupported is known, not offered."""
    return PayloadError("NotImplemented", "", "a known action", repr(action[:64]))


def path_text(steps: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901), each step shortened."""
    return "".join("/" + shorten(str(step)).replace("~", "~0").replace("/", "~1") for step in steps)


def shorten(text: str) -> str:
    """What is quoted from a message or a schema is bounded."""
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."


def _expected(rule: str, limit: Any) -> str:
    if rule == "enum":
        shown = next(n for n in range(min(len(limit), 6), 0, -1) if n == 1 or len(", ".join(limit[:n])) <= _WORDS_MAX)
        return f"one of {', '.join(limit[:shown])}{f', ... ({len(limit)} in all)' if len(limit) > shown else ''}"
    if rule == "type":
        return " or ".join(limit)
    words = {
        "minLength": "{} or more characters",
        "maxLength": "at most {} characters",
        "format": "a {}",
        "minItems": "{} or more items",
        "maxItems": "at most {} items",
        "minimum": "{:g} or more",
        "maximum": "at most {:g}",
        "multipleOf": "a multiple of {}",
    }
    return words[rule].format(limit)


def _got(rule: str, text: bytes | None, count: int) -> str:
    if rule in ("minItems", "maxItems"):
        return f"{count}"
    if rule in ("minLength", "maxLength"):
        return f"{len(orjson.loads(text or b''))}"
    if rule == "enum" and text is not None and text.startswith(b'"'):
        return shorten(repr(orjson.loads(text)))
    return _describe(text)


def _describe(text: bytes | None) -> str:
    """A value by kind; numbers and words of JSON by themselves, never the text of a string."""
    first = (text or b"")[:1]
    if first == b'"':
        return f"a string of {len(orjson.loads(text or b''))} characters"
    if first in (b"{", b"["):
        return "an object" if first == b"{" else "an array"
    return shorten((text or b"")[:100].decode())
