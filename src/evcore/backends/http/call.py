"""What a handler gets and gives, free of any HTTP framework, and the line of the route table that names it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from evcore.backends.http.commands import Commands
from evcore.backends.http.models import Query
from evcore.ports import Hub, Site

JSON = "application/json"
CSV = "text/csv"


class Doorman(Protocol):
    """What the login needs of `access.Access`."""

    def login(self, key: str) -> str | None: ...
    def logout(self, cookie: str) -> None: ...


@dataclass(slots=True)
class Context:
    """What all handlers share. pending: idempotency keys of payments that are being created."""

    site: Site
    hub: Hub
    commands: Commands
    access: Doorman
    secure: bool
    metrics: Callable[[], str]
    document: bytes = b""
    pending: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, already checked against its route. path: its parameters. query, body: of the route's types.

    known: the asker showed a key, or none is needed. key: the Idempotency-Key, "" for
    none. target: path and query as they came. wants: the chosen media type.
    """

    path: Mapping[str, str]
    query: Any
    body: Any
    raw: bytes
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    target: str
    wants: str
    known: bool
    key: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """body: a JSON value, or bytes of `media`; None: no content."""

    body: Any = None
    status: int = 200
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Context, Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. The handler's name and docstring are its id and description.

    returns: status -> type of the JSON body; None: no body. problems: statuses besides 400, 401, 413 and 415, which
    follow from the rest. access: "key", "open" to everyone, or by the "signature" in the body's headers. media: what it
    can answer with, the default first. idempotency: what is said about the header Idempotency-Key.
    """

    method: str
    path: str
    handler: Handler
    returns: Mapping[int, Any]
    problems: tuple[int, ...] = ()
    query: type[Query] = Query
    body: Any = None
    access: Literal["key", "open", "signature"] = "key"
    media: tuple[str, ...] = (JSON,)
    idempotency: Literal["none", "optional", "required"] = "none"
