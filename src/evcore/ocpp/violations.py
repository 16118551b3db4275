"""What is wrong with a payload, in the words of the protocol: one table from schema rule to error code.

No test case of the Open Charge Alliance fixes which code answers which violation, so the table is ours, with a reason
each (OCPP-J 1.6, 4.2.3, table 7; OCPP 2.0.1 Part 4, 4.3, table 8 describe the codes).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from evcore.errors import PayloadError

# rule of the schema: error code in the spelling of 2.x
CODES = {
    "required": "OccurrenceConstraintViolation",  # "occurrence constraints": a member occurs 0 times and must once
    "minItems": "OccurrenceConstraintViolation",  # the same for the items of a list
    "maxItems": "OccurrenceConstraintViolation",
    "type": "TypeConstraintViolation",  # "data type constraints (e.g. "somestring": 12)"
    "enum": "PropertyConstraintViolation",  # of the right type, "but at least one field contains an invalid value"
    "maxLength": "PropertyConstraintViolation",
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


def spell(version: str, code: str) -> str:
    """An error code in the spelling of a version; a code with one spelling stays."""
    return (SPELLING_16 if version == "1.6" else _SPELLING_2X).get(code, code)


def make_validator(version: str, schema: dict[str, Any]) -> Any:
    """A jsonschema validator: Draft 4 for 1.6, Draft 6 for 2.x, as the schemas say; formats are not judged."""
    from jsonschema import Draft4Validator, Draft6Validator, validators  # type: ignore[import-untyped]

    base = Draft4Validator if version == "1.6" else Draft6Validator
    return validators.extend(base, {"multipleOf": _multiple_of})(schema)


def _multiple_of(validator: Any, step: Any, value: Any, schema: Any) -> Any:
    """multipleOf by decimal digits: 0.3 is a multiple of 0.1, which no arithmetic on doubles says. Steps 10^-n only."""
    from jsonschema import ValidationError

    if not validator.is_type(value, "number"):
        return
    places = -int(_decimal(step).as_tuple().exponent)
    _, digits, exponent = _decimal(value).as_tuple()
    surplus = -int(exponent) - places
    if surplus > 0 and any(digits[-surplus:]):
        yield ValidationError("not a multiple")


def _decimal(number: Any) -> Decimal:
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def find_violation(validator: Any, version: str, payload: Any) -> PayloadError | None:
    """The first violation, None if there is none. Its texts are bounded and quote no string of a secret's kind: only
    names, numbers and what was given for an enumeration."""
    error = next(validator.iter_errors(payload), None)
    if error is None:
        return None
    rule = str(error.validator)
    path = "".join(f"/{_pointer(part)}" for part in error.absolute_path)
    code = spell(version, CODES.get(rule, "FormatViolation"))
    if rule == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return PayloadError(code, f"{path}/{_pointer(missing)}", "a value", "nothing")
    if rule == "additionalProperties":
        extra = next(name for name in error.instance if name not in error.schema.get("properties", {}))
        return PayloadError(code, f"{path}/{_pointer(extra)}", "no such member", _describe(error.instance[extra]))
    return PayloadError(code, path, _expected(rule, error.validator_value), _got(rule, error.instance))


def _pointer(part: Any) -> str:
    """One step of a JSON pointer (RFC 6901), shortened."""
    return _short(str(part)).replace("~", "~0").replace("/", "~1")


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."


def _expected(rule: str, value: Any) -> str:
    if rule == "enum":
        names = [str(name) for name in value]
        listed = ", ".join(names[:6])
        return f"one of {listed}{f', ... ({len(names)} in all)' if len(names) > 6 else ''}"
    words = {
        "maxLength": "at most {} characters",
        "minItems": "{} or more items",
        "maxItems": "at most {} items",
        "minimum": "{} or more",
        "maximum": "at most {}",
        "multipleOf": "a multiple of {}",
    }
    return words.get(rule, "{}").format(value)


def _got(rule: str, value: Any) -> str:
    if rule == "maxLength":
        return f"{len(value)}"
    if rule in ("minItems", "maxItems"):
        return f"{len(value)}"
    if rule == "enum" and isinstance(value, str):
        return _short(repr(value))
    return _describe(value)


def _describe(value: Any) -> str:
    """A value by kind; numbers and words of JSON by themselves, never the text of a string."""
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _short(str(value))
