"""The JSON schemas of OCPP, read at run time from the installed `ocpp` package, one file when it is first used.

Nothing of `ocpp.v16`, `ocpp.v201` or `ocpp.v21` is imported, and nothing of the schemas is kept here.
"""

from __future__ import annotations

import codecs
import functools
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

import orjson

from evcore.core.ocpp_schema import Tables

from .names import snake

Kind = Literal["request", "response", "send"]

VERSIONS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


class Schema:
    """One message. root: its JSON schema with all references resolved."""

    __slots__ = ("action", "root", "version")

    def __init__(self, version: str, action: str, text: bytes) -> None:
        document = orjson.loads(text)
        self.version, self.action = version, action
        self.root: dict[str, Any] = _resolve(document, document.get("definitions", {}), {})

    def __repr__(self) -> str:
        return f"Schema({self.version!r}, {self.action!r})"


class Schemas:
    """All messages of one version. tables: the same compiled, for the codecs."""

    def __init__(self, version: str) -> None:
        if version not in VERSIONS:
            raise ValueError(f"version: expected one of {', '.join(VERSIONS)}, got {version!r}")
        self.version = version
        self._files = _list_files(version)
        self._read: dict[tuple[Kind, str], Schema] = {}
        self.tables = Tables(version, self._files, self._load, snake)

    @property
    def messages(self) -> frozenset[tuple[Kind, str]]:
        """Every (kind, action) that has a schema."""
        return frozenset(self._files)

    def get(self, kind: Kind, action: str) -> Schema | None:
        """The schema of a message, None if this version does not know it."""
        key = (kind, action)
        schema = self._read.get(key)
        if schema is None:
            file = self._files.get(key)
            if file is None:
                return None
            schema = self._read[key] = Schema(self.version, action, _text(file))
        return schema

    def _load(self, kind: Kind, action: str) -> Any:
        return orjson.loads(_text(self._files[kind, action]))


@functools.cache
def schemas_of(version: str) -> Schemas:
    """The schemas of a version, shared by all codecs."""
    return Schemas(version)


def _text(file: Traversable) -> bytes:
    return file.read_bytes().removeprefix(codecs.BOM_UTF8)


def _list_files(version: str) -> dict[tuple[Kind, str], Traversable]:
    """1.6: X.json and XResponse.json. 2.x: XRequest.json and XResponse.json; with neither ending, a SEND (2.1)."""
    folder = resources.files("ocpp") / VERSIONS[version] / "schemas"
    bare: Kind = "request" if version == "1.6" else "send"
    files: dict[tuple[Kind, str], Traversable] = {}
    for file in folder.iterdir():
        if not file.name.endswith(".json"):
            continue
        name = file.name.removesuffix(".json")
        if name.endswith("Response"):
            files["response", name.removesuffix("Response")] = file
        elif version != "1.6" and name.endswith("Request"):
            files["request", name.removesuffix("Request")] = file
        else:
            files[bare, name] = file
    return files


def _resolve(node: Any, definitions: dict[str, Any], done: dict[str, Any]) -> Any:
    """The same schema with every local reference replaced by what it names (OCPP's never recurse), each built once."""
    if isinstance(node, list):
        return [_resolve(item, definitions, done) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix("#/definitions/")
        if name not in done:
            done[name] = _resolve(definitions[name], definitions, done)
        return done[name]
    return {key: _resolve(value, definitions, done) for key, value in node.items() if key != "definitions"}
