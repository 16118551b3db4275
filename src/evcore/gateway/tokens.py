"""Who may charge."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import cast, get_args

from evcore.gateway.store import Store
from evcore.model import Authorization, AuthorizationStatus
from evcore.ports import Token

_WORDS = get_args(AuthorizationStatus)


class Tokens:
    """The site's tokens: kept in the store, answered from memory.

    Ids are compared without regard to case (OCPP 1.6, 7.28: CiString; OCPP 2.0.1 Part 2, 3.26). accept_unknown: what a
    token is answered that nobody has entered: Accepted instead of Invalid, for a site that is open to all.
    """

    def __init__(self, store: Store, *, accept_unknown: bool = False, clock: Callable[[], int] = time.time_ns) -> None:
        self._store, self._accept_unknown, self._clock = store, accept_unknown, clock
        self._known: dict[str, Token] | None = None

    async def authorize(self, id: str) -> Authorization:
        """Accepted, Blocked, Expired or Invalid (or what the token says otherwise). Raises StoreError at the first
        call only."""
        token = (await self._load()).get(id.casefold())
        if token is None:
            return Authorization("Accepted" if self._accept_unknown and id else "Invalid")
        status = cast(AuthorizationStatus, token.status)
        if status == "Accepted" and token.expires_ns is not None and token.expires_ns <= self._clock():
            status = "Expired"
        return Authorization(status, token.expires_ns, token.group)

    async def list(self) -> Sequence[Token]:
        """All, by id."""
        return sorted((await self._load()).values(), key=lambda token: token.id)

    async def put(self, token: Token) -> None:
        """Add or replace. Raises ValueError (what is wrong), StoreError."""
        if not 1 <= len(token.id) <= 255:  # OCPP 2.1 Part 2: idToken, 255
            raise ValueError(f"id: expected 1 to 255 characters, got {len(token.id)}")
        if token.status not in _WORDS:
            raise ValueError(f"status: expected one of {', '.join(_WORDS)}, got {token.status!r}")
        if token.expires_ns is not None and not 0 <= token.expires_ns < 2**63:
            raise ValueError(f"expires_ns: expected 0 to 2**63 - 1, got {token.expires_ns}")
        known = await self._load()
        values = (token.id.casefold(), token.id, token.status, token.expires_ns, token.group, token.note)

        def replace(conn: sqlite3.Connection) -> None:
            conn.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?)", values)

        await self._store.write(replace)
        known[token.id.casefold()] = token

    async def delete(self, id: str) -> bool:
        """Was there such a token? Raises StoreError."""
        known = await self._load()

        def delete(conn: sqlite3.Connection) -> int:
            return conn.execute("DELETE FROM tokens WHERE folded = ?", (id.casefold(),)).rowcount

        found = await self._store.write(delete) > 0
        known.pop(id.casefold(), None)
        return found

    async def _load(self) -> dict[str, Token]:
        if self._known is None:

            def read(conn: sqlite3.Connection) -> dict[str, Token]:
                rows = conn.execute("SELECT folded, id, status, expires_ns, grouped, note FROM tokens")
                return {row[0]: Token(*row[1:]) for row in rows}

            known = await self._store.read(read)
            if self._known is None:  # nobody was faster
                self._known = known
        return self._known
