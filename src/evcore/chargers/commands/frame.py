"""The frame of every command: arguments checked, the station asked, its own answer given back."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from evcore.arguments import BadArgument, read
from evcore.chargers.ocpp_services import Peer, StationRules
from evcore.chargers.ocpp_station import ChargerState, plain
from evcore.errors import CallError, CallTimeout, LinkError, MessageError, PayloadError
from evcore.masking import HIDDEN, secrets_in
from evcore.model import Answer, Command, Session, Verb
from evcore.ocpp.message_types import CALLERROR, CALLRESULT

Args = Mapping[str, Any]
Payload = dict[str, Any]
_UNABLE = ("NotImplemented", "NotSupported")


@dataclass(frozen=True, slots=True)
class Asker:
    """What a command has to work with: a station and the connection to it."""

    state: ChargerState
    peer: Peer

    @property
    def version(self) -> str:
        return self.peer.version

    @property
    def rules(self) -> StationRules:
        return self.state.services.rules

    async def ask(self, action: str, payload: Payload, *, ok: tuple[str, ...] = ("Accepted",)) -> Answer:
        """Send a CALL and make an `Answer` of the station's own."""
        try:
            data = await self.peer.call(action, payload)
        except CallError as error:
            status = "NotSupported" if error.code in _UNABLE else "Error"
            return Answer(status, False, f"the station answered {action} with {error}"[:300])
        except CallTimeout:
            return Answer("Timeout", False, f"the station did not answer {action} in time")
        except LinkError as error:
            return Answer("Offline", False, str(error))
        except (MessageError, TypeError) as error:
            return _not_valid(action, error)
        status = str(data.get("status", "Accepted"))
        return Answer(status, status in ok, data=plain(data))


def _not_valid(action: str, error: MessageError | TypeError) -> Answer:
    """The station's answer breaks its schema, or our own CALL does: then it is the fault of an argument."""
    if getattr(error, "type", None) in (CALLRESULT, CALLERROR):
        return Answer("Error", False, f"the station's answer to {action} is broken: {error}"[:300])
    if isinstance(error, PayloadError):  # without what it got, which may be a secret
        return Answer("Invalid", False, f"{action}{error.path}: expected {error.expected}"[:300])
    return Answer("Invalid", False, f"{action}: {error}"[:300])


Run = Callable[[Asker, Args], Awaitable[Answer]]
Table = Mapping[Verb, Run | str]
"""How a version carries out each command, or why it cannot."""


class Commands:
    """The commands of one connected station."""

    __slots__ = ("_asker", "_table")

    def __init__(self, table: Table, state: ChargerState, peer: Peer) -> None:
        self._table, self._asker = table, Asker(state, peer)

    async def command(self, command: Command) -> Answer:
        """The station's answer; NotSupported with the reason, or Invalid, where it need not be asked."""
        run = self._table[command.verb]
        if isinstance(run, str):
            return Answer("NotSupported", False, f"{command.verb}: {run}")
        try:
            answer = await run(self._asker, read(command.verb, command.args))
        except BadArgument as error:
            return Answer("Invalid", False, f"{command.verb}: {error}")
        except Refused as error:
            return Answer(error.status, False, f"{command.verb}: {error}")
        return _without_secrets(answer, command)


class Refused(Exception):
    """The station need not be asked: the status of the answer, and why."""

    def __init__(self, status: str, why: str) -> None:
        self.status = status
        super().__init__(why)


def _without_secrets(answer: Answer, command: Command) -> Answer:
    """A station, or an error, may repeat what it was told."""
    reason = answer.reason
    for secret in secrets_in(command.args) if reason else ():
        reason = reason.replace(secret, HIDDEN) if len(secret) > 2 else reason
    return answer if reason == answer.reason else replace(answer, reason=reason)


def with_data(answer: Answer, **more: Any) -> Answer:
    """The answer with something of ours beside the station's data, where the station does what was asked."""
    return replace(answer, data={**answer.data, **more}) if answer.ok else answer


def taken(args: Args, **names: str) -> Payload:
    """Of the arguments that were given: {wire name: value}, by wire name = our name."""
    return {wire: args[name] for wire, name in names.items() if name in args}


def numbered(args: Args, name: str) -> int:
    """A number of ours that the station repeats, of a request say: as given, or drawn."""
    return int(args[name]) if name in args else drawn_number()


def drawn_number() -> int:
    return secrets.randbelow(2**31)


def wanted_session(asker: Asker, args: Args) -> Session:
    """The session that is meant: {session} or {evse}. Raises BadArgument (neither), Refused (there is none)."""
    if "session" in args:
        session = asker.state.find_session(args["session"])
    elif "evse" in args:
        session = asker.state.session_on(args["evse"])
    else:
        raise BadArgument("session or evse: one of them is needed")
    if session is None:
        raise Refused("Rejected", "no such session is active at this station")
    return session


def transaction_16(session: Session) -> int:
    """Raises BadArgument: it began when the station spoke OCPP 2.x, whose ids are text."""
    try:
        return int(session.transaction_id)
    except ValueError:
        raise BadArgument(f"transaction {session.transaction_id!r} is none of OCPP 1.6") from None
