"""What goes over HTTP, as msgspec types: they check what comes in and are the schemas of the OpenAPI document.

What goes out is `model.wire(item)`. Its types are made here from the model itself (`outgoing`), so the document cannot
say something else than the code does.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from evcore import model
from evcore.model import AuthorizationStatus, Verb

Id = Annotated[str, Meta(min_length=1, max_length=255)]
Limit = Annotated[int, Meta(ge=1, le=500)]
Moment = Annotated[datetime, Meta(tz=True)]


def outgoing(kind: type, name: str = "", **more: Any) -> Any:
    """The JSON form of a dataclass of the model, by the rules of `model.wire`; more: further or other fields."""
    hints = typing.get_type_hints(kind)
    required: list[Any] = []
    optional: list[Any] = []
    for spec in dataclasses.fields(kind):
        if spec.name in more:
            continue
        shape, may_lack = _shape(hints[spec.name])
        field_name = spec.name
        if field_name.endswith("_ns"):
            field_name, shape = field_name[:-3], Moment
            may_lack = may_lack or spec.default == 0  # 0 means unknown and is left out
        if may_lack:
            optional.append((field_name, shape | UnsetType, UNSET))
        else:
            required.append((field_name, shape))
    doc = {"__doc__": inspect.cleandoc(kind.__doc__ or "")}
    return msgspec.defstruct(name or kind.__name__, [*required, *more.items(), *optional], namespace=doc)


def _shape(hint: Any) -> tuple[Any, bool]:
    """The type in JSON, and whether it may be left out."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (part for part in parts if part is not types.NoneType)
        return _shape(inner)[0], True
    if origin is tuple:
        return list[_shape(parts[0])[0]], False  # type: ignore[misc]
    if origin is not None and origin is not Literal:  # Mapping
        return dict[parts], False  # type: ignore[valid-type, misc]
    return (CONNECTOR if hint is model.Connector else hint), False


def listing(name: str, item: Any) -> Any:
    """A page of `item`. next: there when more may follow; ask again with after=next, or follow the Link header."""
    return msgspec.defstruct(name, [("items", list[item]), ("next", str | UnsetType, UNSET)])


CONNECTOR: Any = outgoing(model.Connector)
SAMPLE: Any = outgoing(model.Sample, value=float | None)  # null: the device gave no number
EVSE: Any = outgoing(model.Evse)
SESSION: Any = outgoing(model.Session)
PAYMENT: Any = outgoing(model.Payment)
ANSWER: Any = outgoing(model.Answer)
CHARGER: Any = outgoing(model.Station, "Charger", evses=list[EVSE])
CHARGER_DETAIL: Any = outgoing(model.Station, "ChargerDetail", evses=list[EVSE], samples=list[SAMPLE])
METER: Any = outgoing(model.Meter, samples=list[SAMPLE])
VEHICLE: Any = outgoing(model.Vehicle, samples=list[SAMPLE])
CHARGERS: Any = listing("Chargers", CHARGER)
SAMPLES: Any = listing("Samples", SAMPLE)
METERS: Any = listing("Meters", METER)
VEHICLES: Any = listing("Vehicles", VEHICLE)
SESSIONS: Any = listing("Sessions", SESSION)
PAYMENTS: Any = listing("Payments", PAYMENT)


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters."""


class PageQuery(Query, frozen=True):
    after: Annotated[Id | None, Meta(description="The `next` of the page before.")] = None
    limit: Limit = 100


class SessionQuery(PageQuery, frozen=True):
    station: Id | None = None
    state: Literal["active", "ended"] | None = None


class FormatQuery(Query, frozen=True):
    format: Annotated[
        Literal["json", "csv"] | None, Meta(description="Overrides the Accept header (application/json or text/csv).")
    ] = None


class EnergyQuery(FormatQuery, frozen=True):
    from_: Annotated[Moment | None, Meta(description="RFC 3339. Default: 24 hours before `to`.")] = field(
        name="from", default=None
    )
    to: Annotated[Moment | None, Meta(description="RFC 3339. Default: now.")] = None


class CommandBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Something asked of a charger. args: by verb, see `evcore.vocabulary`; in the document each verb has its own
    body (`openapi_commands`).
    """

    verb: Verb
    args: dict[str, Any] = {}


class TokenBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may charge. expires: left out for never. note: whose it is."""

    status: AuthorizationStatus = "Accepted"
    expires: Moment | None = None
    group: Id | None = None
    note: Annotated[str, Meta(max_length=1000)] = ""


TOKEN: Any = msgspec.defstruct(
    "Token",
    [
        ("id", str),
        ("status", str),
        ("note", str),
        ("expires", Moment | UnsetType, UNSET),
        ("group", str | UnsetType, UNSET),
    ],
)
TOKENS: Any = listing("Tokens", TOKEN)


class PaymentBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold `amount` minor units of `currency` (ISO 4217) at `provider` for one session at a charger."""

    station: Id
    evse: Annotated[int, Meta(ge=1, le=1000)]
    amount: Annotated[int, Meta(ge=1, le=10**9)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    provider: Id


class LoginBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An API key, to be exchanged for a session cookie."""

    key: Annotated[str, Meta(min_length=1, max_length=1000)]


class WebhookResult(Struct, frozen=True):
    result: Literal["accepted", "duplicate", "ignored"]


class Alive(Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True):
    """parts: "ok" each."""

    parts: dict[str, str]
    status: Literal["ready"] = "ready"


class Problem(Struct, frozen=True):
    """RFC 9457. type: a tag URI of this API where the status alone does not say it, else about:blank.

    detail: what is wrong with this request, with the path into the body where there is one. answer: what was answered
    to a command that did not reach the charger or that it answered with an error. parts: what is not ready.
    """

    title: str
    status: int
    type: str
    detail: str | UnsetType = UNSET
    answer: ANSWER | UnsetType = UNSET
    parts: dict[str, str] | UnsetType = UNSET
