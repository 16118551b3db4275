"""Health, metrics, the API's own description, and the login of the dashboard."""

from __future__ import annotations

from evcore.backends.http.access import COOKIE, LIFETIME_S
from evcore.backends.http.call import Call, Context, Reply
from evcore.backends.http.models import LoginBody
from evcore.backends.http.problem import ProblemError


async def healthz(at: Context, call: Call) -> Reply:
    """The process lives and its event loop turns."""
    return Reply({"status": "ok"})


async def readyz(at: Context, call: Call) -> Reply:
    """Every part does its work; else 503 with the parts that do not. What is wrong is told only to who has a key."""
    parts = dict(at.site.ready())
    if all(state == "ok" for state in parts.values()):
        return Reply({"status": "ready", "parts": parts})
    if not call.known:
        parts = {part: state if state == "ok" else "not ok" for part, state in parts.items()}
    wrong = ", ".join(part for part, state in parts.items() if state != "ok")
    raise ProblemError(503, f"not ready: {wrong}", kind="not-ready", parts=parts)


async def metrics(at: Context, call: Call) -> Reply:
    """Counters and gauges in the Prometheus text format."""
    return Reply(at.metrics().encode(), media="text/plain; version=0.0.4; charset=utf-8")


async def openapi(at: Context, call: Call) -> Reply:
    """This API as an OpenAPI 3.1 document."""
    return Reply(at.document)


async def login(at: Context, call: Call) -> Reply:
    """Exchange an API key for a session cookie, for the dashboard. Where no key is needed, no cookie is set."""
    body: LoginBody = call.body
    token = at.access.login(body.key)
    if token is None:
        raise ProblemError(401, "no such key", headers={"WWW-Authenticate": "Bearer"})
    if not token:
        return Reply(status=204)
    secure = "; Secure" if at.secure else ""
    cookie = f"{COOKIE}={token}; Path=/; Max-Age={LIFETIME_S}; HttpOnly; SameSite=Strict{secure}"
    return Reply(status=204, headers={"Set-Cookie": cookie})


async def logout(at: Context, call: Call) -> Reply:
    """End the session of the cookie."""
    at.access.logout(call.cookies.get(COOKIE, ""))
    return Reply(status=204, headers={"Set-Cookie": f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"})
