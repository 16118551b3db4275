"""The arguments of every command: one vocabulary for every kind and version of device.

The words are OCPP's own, in snake_case; times are RFC 3339 text, energies Wh, money in units of the currency (12.34),
`*_s` seconds. `evcore.arguments` checks arguments by this table and makes their JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evcore.verbs import Verb

Kind = Literal["text", "integer", "number", "boolean", "time", "scalar", "object", "list", "any"]


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument. kind: scalar is text, number or boolean; any is any JSON value; object without members is free.

    default: what stands for it where it is left out; None: nothing. one_of: the words that a text may be. least, most:
    of a number, or of the length of a text, list or object. members, item: of an object, of a list.
    """

    kind: Kind
    about: str
    required: bool = False
    default: Any = None
    one_of: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    members: Mapping[str, Arg] = field(default_factory=dict)
    item: Arg | None = None


Args = Mapping[str, Arg]

TOKEN_TYPES = (
    "Central",
    "DirectPayment",
    "EVCCID",
    "ISO14443",
    "ISO15693",
    "KeyCode",
    "Local",
    "MacAddress",
    "NoAuthorization",
    "VIN",
    "eMAID",
)
MESSAGES = (
    "BootNotification",
    "CustomTrigger",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "PublishFirmwareStatusNotification",
    "SignChargingStationCertificate",
    "SignCombinedCertificate",
    "SignV2G20Certificate",
    "SignV2GCertificate",
    "StatusNotification",
    "TransactionEvent",
)
_ROOTS = (
    "CSMSRootCertificate",
    "MORootCertificate",
    "ManufacturerRootCertificate",
    "OEMRootCertificate",
    "V2GRootCertificate",
)
_SIGNED = ("ChargingStationCertificate", "V2GCertificate", "V2G20Certificate")
_HASHES = ("SHA256", "SHA384", "SHA512")
_MONITORS = (
    "UpperThreshold",
    "LowerThreshold",
    "Delta",
    "Periodic",
    "PeriodicClockAligned",
    "TargetDelta",
    "TargetDeltaRelative",
)
_INT32 = 2**31 - 1


def _text(about: str, *one_of: str, required: bool = False, default: str | None = None, most: int = 10_000) -> Arg:
    return Arg("text", about, required, default, one_of, most=None if one_of else most)


def _name(about: str, *, required: bool = False, most: int = 255) -> Arg:
    return Arg("text", about, required, least=1, most=most)


def _integer(
    about: str, least: int = 0, most: int = _INT32, *, required: bool = False, default: int | None = None
) -> Arg:
    return Arg("integer", about, required, default, least=least, most=most)


def _list(about: str, item: Arg, *, required: bool = False, least: int = 1) -> Arg:
    return Arg("list", about, required, least=least, most=1000, item=item)


_EVSE = _integer("EVSE; 1.6: connector. 0: the station as a whole", most=999, default=0)
_ONE_EVSE = _integer("EVSE; 1.6: connector", least=1, most=999, required=True)
_CONNECTOR = _integer("connector of the EVSE, 2.x only", least=1, most=999)
_REQUEST = _integer("number that the progress events carry; left out: drawn, and told in the answer")
_RETRIES = _integer("how often it tries again")
_RETRY_WAIT = _integer("seconds between two tries")
_TOKEN = Arg("text", "who charges: idTag of 1.6, idToken of 2.x; empty for NoAuthorization", True, least=0, most=255)
_TOKEN_TYPE = _text("what kind of token it is, 2.x only", *TOKEN_TYPES, default="Central")
_GROUP = _name("group (parent) of the token")
_SESSION = _name("session by our id, or by the station's transaction id")
_STARTED_ON = _integer("or the EVSE where it runs", least=1, most=999)

_VARIABLE: dict[str, Arg] = {
    "component": _name("component of the device model", required=True, most=50),
    "component_instance": _name("its instance", most=50),
    "evse": _integer("EVSE that it belongs to", least=1, most=999),
    "connector": _CONNECTOR,
    "variable": _name("variable of the component", required=True, most=50),
    "variable_instance": _name("its instance", most=50),
}
_ATTRIBUTE = _text("which of its values", "Actual", "Target", "MinSet", "MaxSet")
_PLACE: Args = {name: arg for name, arg in _VARIABLE.items() if name != "variable"} | {
    "variable": _name("variable; left out: all of the component", most=50)
}

ARGUMENTS: Mapping[Verb, Args] = {
    Verb.START: {
        "token": _TOKEN,
        "token_type": _TOKEN_TYPE,
        "group": _name("group (parent) of the token, 2.x only"),
        "evse": _integer("EVSE; 1.6: connector. 0: the station chooses", most=999, default=0),
    },
    Verb.STOP: {"session": _SESSION, "evse": _STARTED_ON},
    Verb.RESET: {
        "type": _text(
            "OnIdle waits for sessions to end", "Immediate", "OnIdle", "ImmediateAndResume", default="Immediate"
        ),
        "evse": _integer("only this EVSE, 2.x only; 0: all", most=999, default=0),
    },
    Verb.UNLOCK: {"evse": _ONE_EVSE, "connector": _integer("connector of the EVSE", least=1, most=999, default=1)},
    Verb.SET_LIMIT: {
        "evse": _EVSE,
        "limit": Arg("number", "the most that may be drawn; rounded down to one decimal", True, least=0, most=1e9),
        "unit": _text("A is per phase", "A", "W", default="A"),
        "phases": _integer("phases that may be used", least=1, most=3),
    },
    Verb.CLEAR_LIMIT: {"evse": _EVSE},
    Verb.CHANGE_AVAILABILITY: {
        "operative": Arg("boolean", "may it charge", True),
        "evse": _EVSE,
        "connector": _CONNECTOR,
    },
    Verb.TRIGGER: {
        "message": _text("what it shall send", *MESSAGES, required=True),
        "evse": _integer("for this EVSE only; 0: all", most=999, default=0),
        "connector": _CONNECTOR,
        "custom": _name("name of a CustomTrigger, 2.1 only", most=50),
    },
    Verb.GET_CONFIG: {
        "keys": _list(
            "1.6 keys or Component.Variable, whichever the station speaks; left out: all",
            _name("key", required=True),
            least=0,
        )
    },
    Verb.SET_CONFIG: {
        "key": _name("1.6 key or Component.Variable", required=True),
        "value": Arg("scalar", "new value", True, most=2500),
    },
    Verb.GET_VARIABLES: {
        "variables": _list(
            "what to read",
            Arg("object", "one variable", True, members=_VARIABLE | {"attribute": _ATTRIBUTE}),
            required=True,
        )
    },
    Verb.SET_VARIABLES: {
        "variables": _list(
            "what to write",
            Arg(
                "object",
                "one variable and its value",
                True,
                members=_VARIABLE
                | {"attribute": _ATTRIBUTE, "value": Arg("scalar", "new value", required=True, most=2500)},
            ),
            required=True,
        )
    },
    Verb.GET_COMPOSITE_SCHEDULE: {
        "evse": _EVSE,
        "duration_s": _integer("seconds from now on", least=1, required=True),
        "unit": _text("A or W; left out: the station's choice", "A", "W"),
    },
    Verb.GET_REPORT: {
        "report": _text(
            "what of the device model: all, what can be set, what is wrong, the variables named, the monitors",
            "FullInventory",
            "ConfigurationInventory",
            "SummaryInventory",
            "Variables",
            "Monitors",
            default="FullInventory",
        ),
        "variables": _list("for Variables and Monitors: only these", Arg("object", "one place", True, members=_PLACE)),
        "criteria": _list(
            "for Variables Active, Available, Enabled, Problem; for Monitors ThresholdMonitoring, DeltaMonitoring, "
            "PeriodicMonitoring",
            _name("criterion", required=True),
        ),
        "wait_s": Arg("number", "how long to wait for the parts; 0: they come as events", default=25, least=0, most=30),
    },
    Verb.SET_MONITORING: {
        "monitors": _list(
            "monitors to set",
            Arg(
                "object",
                "one monitor",
                True,
                members=_VARIABLE
                | {
                    "type": _text("when it tells", *_MONITORS, required=True),
                    "value": Arg("number", "threshold, change, or seconds of a period", True),
                    "severity": _integer("0 danger ... 9 debug", most=9, default=5),
                    "transaction": Arg("boolean", "only while charging"),
                    "id": _integer("monitor to replace"),
                },
            ),
        ),
        "clear": _list("or ids of monitors to remove", _integer("id", required=True)),
        "base": _text("or: which of the station's own monitors are active", "All", "FactoryDefault", "HardWiredOnly"),
        "level": _integer("or: the highest severity number that is told", most=9),
    },
    Verb.GET_LOG: {
        "type": _text("which log", "DiagnosticsLog", "SecurityLog", "DataCollectorLog", default="DiagnosticsLog"),
        "url": _name("where the station uploads it to", required=True, most=2000),
        "from": Arg("time", "entries since"),
        "to": Arg("time", "entries until"),
        "retries": _RETRIES,
        "retry_interval_s": _RETRY_WAIT,
        "request_id": _REQUEST,
    },
    Verb.UPDATE_FIRMWARE: {
        "url": _name("where the station gets it from", required=True, most=2000),
        "retrieve_at": Arg("time", "when to download; left out: now"),
        "install_at": Arg("time", "when to install; left out: at once"),
        "signing_certificate": _text("PEM; with it the firmware is signed"),
        "signature": _text("base64 of the file's signature"),
        "retries": _RETRIES,
        "retry_interval_s": _RETRY_WAIT,
        "request_id": _REQUEST,
    },
    Verb.SEND_LOCAL_LIST: {
        "version": _integer("of the list; left out: one more than the station has", least=1),
        "type": _text("whole list, or changes", "Full", "Differential", default="Full"),
        "tokens": _list(
            "the entries",
            Arg(
                "object",
                "one token; without a status, of a Differential list, it is removed",
                True,
                members={
                    "token": _name("token", required=True),
                    "token_type": _TOKEN_TYPE,
                    "status": _text("may it charge", "Accepted", "Blocked", "Expired", "Invalid"),
                    "expires": Arg("time", "until when it may"),
                    "group": _GROUP,
                },
            ),
            least=0,
        ),
    },
    Verb.RESERVE: {
        "token": _name("for whom", required=True),
        "token_type": _TOKEN_TYPE,
        "group": _GROUP,
        "expires": Arg("time", "until when", True),
        "evse": _integer("EVSE; 1.6: connector. 0: any", most=999, default=0),
        "connector_type": _name("type of connector, 2.x only: cCCS2, sType2, ...", most=20),
        "id": _integer("number of the reservation; left out: drawn, and told in the answer"),
    },
    Verb.CANCEL_RESERVATION: {"id": _integer("number of the reservation", required=True)},
    Verb.CLEAR_CACHE: {},
    Verb.DATA_TRANSFER: {
        "vendor_id": _name("vendor", required=True),
        "message_id": _name("message of that vendor", most=50),
        "data": Arg("any", "its data; 1.6: what is no text is sent as JSON text"),
    },
    Verb.COST_UPDATED: {
        "session": _SESSION,
        "evse": _STARTED_ON,
        "cost": Arg("number", "so far; left out: what the tariff says", least=0, most=1e9),
    },
    Verb.SET_DISPLAY_MESSAGE: {
        "id": _integer("number of the message; left out: drawn, and told in the answer"),
        "message": _name("text to show; left out: message `id` is taken away", most=1024),
        "format": _text("of the text", "ASCII", "HTML", "URI", "UTF8", "QRCODE", default="UTF8"),
        "language": _name("RFC 5646, for example nl", most=8),
        "priority": _text("NormalCycle takes turns", "AlwaysFront", "InFront", "NormalCycle", default="NormalCycle"),
        "state": _text("only in this state", "Charging", "Faulted", "Idle", "Unavailable", "Suspended", "Discharging"),
        "from": Arg("time", "shown since"),
        "to": Arg("time", "shown until"),
        "session": _name("only while this session runs"),
    },
    Verb.SET_TARIFF: {
        "evse": _EVSE,
        "id": _name("of the tariff; left out: drawn, and told in the answer", most=60),
        "currency": Arg("text", "ISO 4217", least=3, most=3),
        "per_kwh": Arg("number", "price of a kWh", least=0, most=1e9),
        "per_hour": Arg("number", "price of an hour of charging", least=0, most=1e9),
        "per_session": Arg("number", "price of a session", least=0, most=1e9),
        "description": _name("what the driver reads", most=1024),
        "tariff": Arg("object", "or a whole TariffType of OCPP 2.1, wire names"),
    },
    Verb.INSTALL_CERTIFICATE: {
        "type": _text("what it is trusted for", *_ROOTS, required=True),
        "certificate": _text("PEM", required=True),
    },
    Verb.DELETE_CERTIFICATE: {
        "hash_algorithm": _text("of the two hashes", *_HASHES, default="SHA256"),
        "issuer_name_hash": _name("hex", required=True, most=128),
        "issuer_key_hash": _name("hex", required=True, most=128),
        "serial_number": _name("hex, without leading zeros", required=True, most=40),
    },
    Verb.GET_INSTALLED_CERTIFICATES: {
        "types": _list(
            "only these; left out: all", _text("type", *_ROOTS, "V2GCertificateChain", required=True), least=0
        )
    },
    Verb.CERTIFICATE_SIGNED: {
        "chain": _text("PEM, the station's own certificate first", required=True),
        "type": _text("what it is for", *_SIGNED),
        "request_id": _integer("of its SignCertificate, 2.1 only"),
    },
}
