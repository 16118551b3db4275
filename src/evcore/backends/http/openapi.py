"""The OpenAPI 3.1 document, from the route table and the msgspec models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

import evcore
from evcore.backends.http.call import CSV, JSON, Route
from evcore.backends.http.models import Problem
from evcore.backends.http.openapi_commands import command_schemas
from evcore.backends.http.problem import MEDIA

REF = "#/components/schemas/{name}"
KEY_HEADER = "Idempotency-Key"


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document as JSON values. The feed is in it as the GET that upgrades; its messages: docs/feed.md."""
    returned = [kind for route in routes for kind in route.returns.values() if kind not in (None, str, dict)]
    taken = [route.body for route in routes if route.body is not None] + [route.query for route in routes]
    _, components = msgspec.json.schema_components([*returned, *taken, Problem], ref_template=REF)
    queries = {route.query.__name__ for route in routes}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    paths["/feed"] = {"get": _feed()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "evcore",
            "version": evcore.__version__,
            "description": "Chargers, meters, vehicles, sessions, tokens and payments of one site.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries}
            | command_schemas(REF),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "evcore_session"},
            },
        },
        "security": [{"bearer": []}, {"header": []}, {"cookie": []}],
    }


def _operation(route: Route, components: Mapping[str, Any]) -> dict[str, Any]:
    text = inspect.cleandoc(route.handler.__doc__ or "")
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [route.path.removeprefix("/v1").split("/")[1]],
        "summary": text.split("\n", 1)[0],
        "description": text,
        "responses": _responses(route),
    }
    if parameters := _parameters(route, components):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(route.body)}}}
    elif route.access == "signature":
        operation["requestBody"] = {"required": True, "content": {"*/*": {}}}
    if route.access != "key":
        operation["security"] = []
    return operation


def _parameters(route: Route, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for name, schema in components[route.query.__name__]["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": _without_null(schema)}
        if "description" in schema:
            parameter["description"] = schema["description"]
        parameters.append(parameter)
    if route.idempotency != "none":
        required = route.idempotency == "required"
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        parameters.append({"name": KEY_HEADER, "in": "header", "required": required, "schema": schema})
    return parameters


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    if "anyOf" not in schema:
        return dict(schema)
    (inner,) = (part for part in schema["anyOf"] if part != {"type": "null"})
    return dict(inner)


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in route.returns.items():
        response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            response["content"] = {media: _content(media, kind) for media in route.media}
        responses[str(status)] = response
    for status in sorted({*route.problems, *implied(route)}):
        responses[str(status)] = _problem(HTTPStatus(status).phrase)
    responses["default"] = _problem("Any other error")
    return responses


def implied(route: Route) -> set[int]:
    """The statuses that follow from what the route takes."""
    statuses = {403, 421} if route.access != "signature" else set()
    if route.access == "key":
        statuses.add(401)
    if route.query.__struct_fields__ or route.body is not None or route.idempotency == "required":
        statuses.add(400)
    if route.body is not None:
        statuses |= {408, 413, 415}
    return statuses


def _content(media: str, kind: Any) -> dict[str, Any]:
    if media == JSON:
        return {"schema": {"type": "object"} if kind is dict else _ref(kind)}
    description = "RFC 4180, with a header row" if media == CSV else "Prometheus text format 0.0.4"
    return {"schema": {"type": "string", "description": description}}


def _ref(kind: Any) -> dict[str, str]:
    return {"$ref": REF.format(name=kind.__name__)}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA: {"schema": _ref(Problem)}}}


def _feed() -> dict[str, Any]:
    problems = {str(status): _problem(HTTPStatus(status).phrase) for status in (400, 401, 403, 421, 426, 503)}
    return {
        "operationId": "feed",
        "tags": ["feed"],
        "summary": "The live feed: a WebSocket, subprotocol evcore.feed.v1.",
        "description": "A snapshot, then deltas and events, and commands with their answers, as JSON text messages.",
        "responses": {
            "101": {"description": "Switching Protocols"},
            **problems,
            "default": _problem("Any other error"),
        },
    }
