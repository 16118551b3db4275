"""Schemas compiled at run time: everything in them is in the tables, and what is no rule of ours is refused."""

import sys
import threading
from typing import Any

import pytest

from evcore.core.ocpp_schema import Tables
from evcore.errors import PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.names import snake
from evcore.ocpp.schemas import VERSIONS, Schemas, schemas_of

DRAFT4, DRAFT6 = "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#"


def compiled(schema: dict[str, Any]) -> Tables:
    """Tables of one message whose schema this is."""
    document = {"$schema": DRAFT6, "type": "object", **schema}
    tables = Tables("2.1", [("request", "Test")], lambda kind, action: document, snake)
    tables.compile()
    return tables


def test_every_member_and_word_of_every_schema_is_in_the_tables(every_schema) -> None:
    def compare(tables: Tables, index: int, node: dict[str, Any]) -> int:
        found = 1
        if "enum" in node:
            assert [tables.wire[name] for name in tables.words_of(index).values()] == node["enum"]
        for place, (name, inner) in enumerate(node.get("properties", {}).items()):
            members = tables.members_of(index)
            assert members[name] == place
            if node.get("additionalProperties") is False:
                assert members[snake(name)] == place
            found += compare(tables, tables.node_of(index, name), inner)
        if "items" in node:
            found += compare(tables, tables.node_of(index), node["items"])
        return found

    nodes = 0
    for version, kind, schema in every_schema:
        tables = schemas_of(version).tables
        root = tables.root(kind, schema.action)
        assert root is not None
        nodes += compare(tables, root, schema.root)
    assert nodes > 6000


def test_a_message_is_compiled_when_it_is_first_used_and_only_then() -> None:
    read = []
    schemas = Schemas("1.6")
    tables = Tables("1.6", schemas.messages, lambda *key: read.append(key) or schemas._load(*key), snake)
    assert tables.root("request", "Heartbeat") == tables.root("request", "Heartbeat")
    assert read == [("request", "Heartbeat")]
    assert tables.root("request", "Teleport") is tables.root("send", "Heartbeat") is None


def test_all_versions_take_less_than_a_megabyte() -> None:
    total = 0
    for version in VERSIONS:
        tables = Schemas(version).tables
        tables.compile()
        total += sys.getsizeof(tables)
    assert total < 1 << 20  # 0.5 MiB: see docs


def test_a_codec_is_a_small_view_of_tables_that_all_share() -> None:
    codecs = [Codec("2.1", exact={"value"}), Codec("2.1", mode="off")]
    assert codecs[0].tables is codecs[1].tables
    assert all(sys.getsizeof(codec) < 1024 for codec in codecs)


def test_threads_may_use_a_message_for_the_first_time_together() -> None:
    schemas = Schemas("2.0.1")
    roots: list[list[int | None]] = []

    def use() -> None:
        roots.append([schemas.tables.root(kind, action) for kind, action in sorted(schemas.messages)])

    threads = [threading.Thread(target=use) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(roots) == 8
    assert all(found == roots[0] for found in roots)
    assert None not in roots[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "pattern": "^a"}}},
        {"properties": {"a": {"oneOf": [{"type": "string"}]}}},
        {"properties": {"a": {"type": "number", "multipleOf": 0.5}}},
        {"properties": {"a": {"type": "number", "exclusiveMinimum": 0}}},
        {"properties": {"a": {"type": "string", "format": "ipv4"}}},
        {"properties": {"a": {"type": "array", "items": [{"type": "string"}]}}},
        {"properties": {"a": {"type": "text"}}},
        {"properties": {"a": {"type": "integer", "enum": [1, 2]}}},
        {"properties": {"a": {"type": "string", "enum": ["a", 1]}}},
        {"properties": {"a": {"type": "string", "minimum": 1}}},
        {"properties": {"a": {"maxLength": 5}}},
        {"properties": {"a": {"type": "string", "maxLength": -1}}},
        {"properties": {"a": {"type": "integer", "maximum": 1e300}}},
        {"properties": {"a": {"$ref": "other.json"}}},
        {"properties": {"a": {"$ref": "#/definitions/b"}}},
        {"definitions": {"b": {"type": "object", "properties": {"b": {"$ref": "#/definitions/b"}}}},
         "properties": {"a": {"$ref": "#/definitions/b"}}},
        {"properties": {f"n{i}": {"type": "string"} for i in range(65)}},
        {"properties": {"n" * 300: {"type": "string"}}},
        {"required": ["a"]},
        {"additionalProperties": {"type": "string"}},
        {"type": "array"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
    ],
)  # fmt: skip
def test_what_is_no_rule_of_ours_is_refused_and_not_ignored(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"schema of Test|name of"):
        compiled(schema)


def test_64_members_in_one_object_are_judged_to_the_last() -> None:
    names = [f"n{i}" for i in range(64)]
    document = {
        "$schema": DRAFT4,
        "type": "object",
        "properties": {name: {"type": "integer"} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    codec = Codec("2.1")
    tables = Tables("2.1", [("request", "Test")], lambda kind, action: document, snake)
    super(Codec, codec).__init__(tables, 0b100, codec.limits)
    inside = ",".join(f'"{name}":{i}' for i, name in enumerate(names))
    message = f'[2,"1","Test",{{{inside}}}]'
    assert codec.decode(message).payload == {name: i for i, name in enumerate(names)}
    with pytest.raises(PayloadError) as caught:
        codec.check(message.replace(',"n63":63', ""))
    assert caught.value.path == "/n63"
