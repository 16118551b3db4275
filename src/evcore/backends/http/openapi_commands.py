"""The commands in the OpenAPI document: the body of each verb, with its arguments."""

from __future__ import annotations

from typing import Any

from evcore.arguments import schema
from evcore.model import Verb
from evcore.verbs import ABOUT


def command_schemas(ref: str) -> dict[str, Any]:
    """Components: CommandBody, one of a body a verb. ref: template of a reference, with `{name}`."""
    names = {verb: "".join(word.capitalize() for word in verb.split("_")) + "Command" for verb in Verb}
    mapping = {str(verb): ref.format(name=name) for verb, name in names.items()}
    either = {
        "title": "CommandBody",
        "description": "Something asked of a charger.",
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "verb", "mapping": mapping},
    }
    return {"CommandBody": either} | {name: _body(verb, name) for verb, name in names.items()}


def _body(verb: Verb, name: str) -> dict[str, Any]:
    args = schema(verb)
    return {
        "title": name,
        "description": ABOUT[verb],
        "type": "object",
        "properties": {"verb": {"const": str(verb)}, "args": args},
        "required": ["verb", "args"] if "required" in args else ["verb"],
        "additionalProperties": False,
    }
