"""The aiohttp application: from a request to a `Call`, from a `Reply` or an error to a response."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from evcore.backends.http.access import Access
from evcore.backends.http.call import CSV, JSON, Call, Context, Reply, Route
from evcore.backends.http.encode import encode
from evcore.backends.http.feed_socket import FeedServer
from evcore.backends.http.guard import GUARD
from evcore.backends.http.listener import heard
from evcore.backends.http.openapi import document
from evcore.backends.http.problem import MEDIA, ProblemError
from evcore.backends.http.routes import ROUTES
from evcore.backends.http.static import Asset
from evcore.errors import StoreError
from evcore.ports import Hub

LARGEST_BODY = 64 * 1024
BODY_S = 30.0
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
MALFORMED = {400, 405, 408, 411, 413, 414, 415, 422, 431, 500}

log = logging.getLogger(__name__)
WebHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(context: Context, access: Access, feed: FeedServer, assets: Mapping[str, Asset]) -> web.Application:
    """All routes of the table, the feed and the dashboard's files."""
    context.document = encode(document(ROUTES))
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_boundary(context.hub)])
    app.on_response_prepare.append(_finisher(context.hub))
    for route in ROUTES:
        _add(app, route.method, route.path, _handler(context, access, route))

    async def serve_feed(request: web.Request) -> web.StreamResponse:
        access.check_origin(request.headers)
        access.check_known(request.headers, request.cookies)
        headers, cookies = request.headers, request.cookies
        return await feed.serve(request, lambda: access.known(headers, cookies))

    app.router.add_route("GET", "/feed", serve_feed)
    for path, asset in assets.items():
        _add(app, "GET", path, _file(access, asset))
    return app


def _add(app: web.Application, method: str, path: str, handler: WebHandler) -> None:
    app.router.add_route(method, path, handler)
    if method == "GET":
        app.router.add_route("HEAD", path, handler)


def _handler(context: Context, access: Access, route: Route) -> WebHandler:
    decoder = None if route.body is None else msgspec.json.Decoder(route.body)

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.access != "signature":
            access.check_origin(request.headers)
        if route.access == "key":
            access.check_known(request.headers, request.cookies)
        raw = await _body(request) if decoder is not None or route.access == "signature" else b""
        query = _query(request, route)
        call = Call(
            path=request.match_info,
            query=query,
            body=None if decoder is None else _decoded(request, decoder, raw),
            raw=raw,
            headers=request.headers,
            cookies=request.cookies,
            target=request.path_qs,
            wants=_wanted(route, request.headers.get("Accept", ""), getattr(query, "format", None)),
            known=access.known(request.headers, request.cookies),
            key=_idempotency_key(request.headers.get("Idempotency-Key"), route),
        )
        return _response(await route.handler(context, call))

    return handle


def _query(request: web.Request, route: Route) -> Any:
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise ProblemError(400, f"the query parameter `{name}` is there twice", kind="malformed")
        given[name] = value
    try:
        return msgspec.convert(given, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise ProblemError(400, f"query: {error}", kind="malformed") from None


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > LARGEST_BODY:
        raise ProblemError(413, f"expected at most {LARGEST_BODY} bytes, got {request.content_length}")
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise ProblemError(408, f"the body did not come within {BODY_S:g} s") from None
    except web.RequestPayloadError as error:  # for example a Content-Encoding that it is not in
        raise ProblemError(400, f"the body cannot be read: {error}", kind="malformed") from None


def _decoded(request: web.Request, decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    if raw and (request.content_type != JSON or (request.charset or "utf-8").lower() != "utf-8"):
        got = request.headers.get("Content-Type", "none")
        raise ProblemError(415, f"expected {JSON} in UTF-8, got {got[:200]}", headers={"Accept": JSON})
    try:
        return decoder.decode(raw)
    except RecursionError:
        raise ProblemError(400, "the body is nested too deeply", kind="malformed") from None
    except ValueError as error:  # msgspec's own and invalid UTF-8
        raise ProblemError(400, str(error), kind="malformed") from None


def _idempotency_key(header: str | None, route: Route) -> str:
    """The key: a structured string ("...", RFC 9651, 3.3.3) or the bare text; "" where there is none."""
    if route.idempotency == "none" or (header is None and route.idempotency == "optional"):
        return ""
    text = (header or "").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not text or len(text) > 255 or not text.isascii() or not text.isprintable():
        raise ProblemError(400, "Idempotency-Key: expected 1 to 255 printable ASCII characters", kind="idempotency-key")
    return text


def _wanted(route: Route, accept: str, format: str | None) -> str:
    """?format=, else the better liked of what the route can give (RFC 9110, 12.5.1); the first where none is."""
    if CSV not in route.media:
        return route.media[0]
    if format is not None:
        return {"csv": CSV, "json": JSON}[format]
    return max(route.media, key=lambda media: _liking(accept, media)) if accept else route.media[0]


def _liking(accept: str, media: str) -> float:
    best, weight = -1, 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        precision = {media: 2, media.split("/")[0] + "/*": 1, "*/*": 0}.get(name, -1)
        if precision > best:
            best, weight = precision, _weight(parameters)
    return weight


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return 0.0
    return 1.0


def _response(reply: Reply) -> web.Response:
    headers = {"Cache-Control": "no-store", **reply.headers}
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
    return web.Response(body=body, status=reply.status, headers=headers | {"Content-Type": reply.media})


def problem_response(problem: ProblemError) -> web.Response:
    headers = {"Cache-Control": "no-store", **problem.headers, "Content-Type": MEDIA}
    return web.Response(body=problem.body(), status=problem.status, headers=headers)


def _file(access: Access, asset: Asset) -> WebHandler:
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}

    async def handle(request: web.Request) -> web.StreamResponse:
        access.check_origin(request.headers)
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
        if asset.etag in known or known == ["*"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, headers=headers | {"Content-Type": asset.media})

    return handle


def _boundary(hub: Hub) -> Any:
    """Nothing leaves as anything but a response; what went wrong inside is logged, not told."""
    traffic = hub.traffic("http")

    @web.middleware
    async def boundary(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        heard(request)
        traffic.received += 1
        try:
            return await handler(request)
        except ProblemError as error:
            problem = error
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            problem = ProblemError(error.status, _DETAIL.get(error.status, ""), headers=allow)
        except StoreError as error:
            log.error("%s %s: %s", request.method, request.path, error)
            problem = ProblemError(503, "could not be stored, try again", kind="store", headers={"Retry-After": "5"})
        except Exception:
            log.exception("%s %s", request.method, request.path)
            problem = ProblemError(500, "see the log")
        return problem_response(problem)

    return boundary


_DETAIL = {
    404: "there is nothing at this path; /openapi.json lists what there is",
    405: "this path does not take this method",
    413: f"expected at most {LARGEST_BODY} bytes",
}


def _finisher(hub: Hub) -> Any:
    """Every response gets the headers that guard a browser, and is counted."""
    traffic = hub.traffic("http")

    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in GUARD.items():
            response.headers.setdefault(name, value)
        response.headers["Server"] = "evcore"
        traffic.sent += 1
        if response.status in MALFORMED:
            traffic.errors += 1
        resource = request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        method = request.method if request.method in METHODS else "other"
        hub.count("evcore_http_requests_total", method=method, path=path, status=str(response.status))

    return finish
