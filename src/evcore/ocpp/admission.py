"""Who may try to connect: a bound on unfinished handshakes and a budget of failures for each address. Sans-I/O.

A connection costs nothing but its socket until it is authenticated; an address that keeps failing is not even read.
Identities are never locked out: who knows an identity only must not be able to keep its owner away.
"""

from __future__ import annotations

from collections import OrderedDict


class Admission:
    """failures: how many an address may have in a row, 0 for any number; every `forgive` ns one of them is forgiven.
    addresses: how many are remembered, the longest quiet one is forgotten first."""

    def __init__(self, *, failures: int = 20, forgive: int = 2_000_000_000, addresses: int = 4096) -> None:
        self._failures, self._forgive, self._addresses = failures, forgive, addresses
        self._debts: OrderedDict[str, int] = OrderedDict()  # address -> when its last failure will be forgiven

    def admits(self, address: str, now: int) -> bool:
        """May this address open another connection? now: monotonic ns."""
        debt = self._debts.get(address)
        if debt is None or not self._failures:
            return True
        if debt <= now:
            del self._debts[address]
            return True
        return debt - now <= (self._failures - 1) * self._forgive

    def failed(self, address: str, now: int) -> None:
        """A handshake from there came to nothing."""
        self._debts[address] = max(self._debts.pop(address, 0), now) + self._forgive
        while len(self._debts) > self._addresses:
            self._debts.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """A handshake from there was right: stations behind one address do not suffer for one that is not."""
        self._debts.pop(address, None)

    def __len__(self) -> int:
        return len(self._debts)
