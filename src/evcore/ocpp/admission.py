"""Who may try to connect: budgets of failures and a bound on unfinished handshakes. Sans-I/O.

Only failures are counted, and nobody who fails can keep a genuine station away: an address pays for its own failures
only, an identity under attack is closed to those who have failed and to nobody else, and where a station was let in
before, it is let in again, whatever others did from there. Where it was not, say since a restart, others at its address
cannot keep it away for long by repeating what is wrong: one identity soon has no more tries there, and then spends no
more of what the address may. Who tries ever new names from there still can: what comes from a spent address cannot be
told from a guess before it is judged, and a limit that judges every guess is none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

_TRIES, _TRY_NS = 10, 60_000_000_000  # failures of one identity at one address; one of them is forgiven in this time
_NOISE, _NOISE_NS = 100, 100_000_000  # the same of tries that came though there were none left
_SLOW_NS = 2_000_000_000  # a handshake older than this is given up for a new one when there are too many

T = TypeVar("T", bound=Hashable)


class NoRoom(Exception):
    """There are too many unfinished handshakes."""


class _Debts:
    """Failures by name, one of them forgiven every `forgive` ns, the longest quiet names forgotten first."""

    __slots__ = ("_due", "_forgive", "_most")

    def __init__(self, forgive: int, most: int) -> None:
        self._forgive, self._most = forgive, most
        self._due: OrderedDict[str, int] = OrderedDict()  # name -> when its last failure will be forgiven

    def of(self, name: str, now: int) -> int:
        """Failures that are not forgiven yet."""
        due = self._due.get(name)
        if due is None:
            return 0
        if due <= now:
            del self._due[name]
            return 0
        return -(-(due - now) // self._forgive)

    def add(self, name: str, now: int) -> None:
        self._due[name] = max(self._due.pop(name, 0), now) + self._forgive
        while len(self._due) > self._most:
            self._due.popitem(last=False)

    def clear(self, name: str) -> None:
        self._due.pop(name, None)

    def __len__(self) -> int:
        return len(self._due)


class Admission:
    """failures: how many an address may have, 0 for any number. identity_failures: after so many at one identity, from
    wherever, an address that has failed is not heard there until all its failures are forgiven, 0 for never. One
    failure is forgiven every `forgive` ns. addresses, homes: how many are remembered. Where `failures` is not 0, 10
    failures are enough for one identity at one address, and one of these is forgiven every minute."""

    def __init__(
        self,
        *,
        failures: int = 20,
        identity_failures: int = 50,
        forgive: int = 2_000_000_000,
        addresses: int = 4096,
        homes: int = 20_000,
    ) -> None:
        self._failures, self._identity_failures, self._most_homes = failures, identity_failures, homes
        self._addresses, self._identities = _Debts(forgive, addresses), _Debts(forgive, addresses)
        self._pairs, self._noise = _Debts(_TRY_NS, 4 * addresses), _Debts(_NOISE_NS, addresses)
        self._homes: OrderedDict[str, str] = OrderedDict()  # identity -> the address where it was last let in
        self._guests: dict[str, int] = {}  # address -> identities that have their home there

    def admits(self, address: str, now: int) -> bool:
        """May this address open another connection? Asked before anything is read. now: monotonic ns."""
        if address in self._guests:
            return True
        return not self._is_spent(address, now) and self._noise.of(address, now) < _NOISE

    def may_try(self, address: str, identity: str, now: int) -> bool:
        """May this address show a password for this identity?"""
        if self._homes.get(identity) == address:
            return True
        if self._is_spent(address, now):
            return False
        if self._failures and self._pairs.of(_pair(address, identity), now) >= _TRIES:
            self._noise.add(address, now)
            return False
        attacked = self._identity_failures and self._identities.of(identity, now) >= self._identity_failures
        return not attacked or not self._addresses.of(address, now)

    def failed(self, address: str, identity: str | None, now: int, *, name: str = "") -> bool:
        """A handshake from there came to nothing; identity: whose password was wrong. name: who it said it was, known
        or not. True: just now there were too many at this identity."""
        self._addresses.add(address, now)
        if name or identity:
            self._pairs.add(_pair(address, identity or name), now)
        if identity is None:
            return False
        before = self._identities.of(identity, now)
        self._identities.add(identity, now)
        return before < self._identity_failures <= self._identities.of(identity, now)

    def succeeded(self, address: str, identity: str) -> None:
        """A station was let in: stations behind one address do not suffer for one that is not."""
        self._addresses.clear(address)
        self._pairs.clear(_pair(address, identity))
        before = self._homes.get(identity)
        if before == address:
            return
        if before is not None:
            self._leave(identity)
        self._homes[identity] = address
        self._guests[address] = self._guests.get(address, 0) + 1
        while len(self._homes) > self._most_homes:
            self._leave(next(iter(self._homes)))

    def _is_spent(self, address: str, now: int) -> bool:
        return bool(self._failures) and self._addresses.of(address, now) >= self._failures

    def _leave(self, identity: str) -> None:
        address = self._homes.pop(identity)
        self._guests[address] -= 1
        if not self._guests[address]:
            del self._guests[address]

    def __len__(self) -> int:
        """Addresses that have failed."""
        return len(self._addresses)


def _pair(address: str, identity: str) -> str:
    return f"{address} {identity}"


class Handshakes(Generic[T]):
    """Unfinished handshakes, at most `limit`. For one more a crowded address gives up its oldest; where all are alike,
    one that has taken longer than 2 s is given up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._since: dict[T, tuple[str, int]] = {}  # oldest first
        self._of: dict[str, dict[T, None]] = {}  # by address, oldest first

    def victim(self, address: str, now: int) -> T | None:
        """Which to give up for a new one from `address`; None: there is room. Raises NoRoom."""
        if len(self._since) < self._limit:
            return None
        crowd = max(self._of.values(), key=len)
        if len(crowd) > len(self._of.get(address, ())) + 1:
            return next(iter(crowd))
        oldest, (_, since) = next(iter(self._since.items()))
        if now - since < _SLOW_NS:
            raise NoRoom
        return oldest

    def begin(self, item: T, address: str, now: int) -> None:
        self._since[item] = address, now
        self._of.setdefault(address, {})[item] = None

    def end(self, item: T) -> bool:
        """It is finished, well or not. False: it was already."""
        known = self._since.pop(item, None)
        if known is None:
            return False
        crowd = self._of[known[0]]
        del crowd[item]
        if not crowd:
            del self._of[known[0]]
        return True

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._since))

    def __len__(self) -> int:
        return len(self._since)
