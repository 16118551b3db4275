"""The closed list of commands: what may be asked of a device, whatever kind and version it is.

Arguments: `evcore.vocabulary`. What each verb makes of a device, and which versions can do it: docs/commands.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Verb(StrEnum):
    """What may be asked of a device: OCPP's own verbs. What a device cannot do is answered `NotSupported` with the
    reason. Arguments (Command.args): `evcore.vocabulary.ARGUMENTS`.
    """

    START = "start"
    STOP = "stop"
    RESET = "reset"
    UNLOCK = "unlock"
    SET_LIMIT = "set_limit"
    CLEAR_LIMIT = "clear_limit"
    CHANGE_AVAILABILITY = "change_availability"
    TRIGGER = "trigger"
    GET_CONFIG = "get_config"
    SET_CONFIG = "set_config"
    GET_VARIABLES = "get_variables"
    SET_VARIABLES = "set_variables"
    GET_COMPOSITE_SCHEDULE = "get_composite_schedule"
    GET_REPORT = "get_report"
    SET_MONITORING = "set_monitoring"
    GET_LOG = "get_log"
    UPDATE_FIRMWARE = "update_firmware"
    SEND_LOCAL_LIST = "send_local_list"
    RESERVE = "reserve"
    CANCEL_RESERVATION = "cancel_reservation"
    CLEAR_CACHE = "clear_cache"
    DATA_TRANSFER = "data_transfer"
    COST_UPDATED = "cost_updated"
    SET_DISPLAY_MESSAGE = "set_display_message"
    SET_TARIFF = "set_tariff"
    INSTALL_CERTIFICATE = "install_certificate"
    DELETE_CERTIFICATE = "delete_certificate"
    GET_INSTALLED_CERTIFICATES = "get_installed_certificates"
    CERTIFICATE_SIGNED = "certificate_signed"


ABOUT: Mapping[Verb, str] = {
    Verb.START: "Start a session. The session itself begins when the station says so.",
    Verb.STOP: "End a session: `session` or `evse`.",
    Verb.RESET: "Restart the station, or an EVSE.",
    Verb.UNLOCK: "Unlock the cable of a connector.",
    Verb.SET_LIMIT: "Limit the current or power: of the station, of the running session, or of sessions to come.",
    Verb.CLEAR_LIMIT: "Take limits away again.",
    Verb.CHANGE_AVAILABILITY: "Take an EVSE, a connector or the station out of service, or back.",
    Verb.TRIGGER: "Have the station send a message now.",
    Verb.GET_CONFIG: "Read settings.",
    Verb.SET_CONFIG: "Change a setting.",
    Verb.GET_VARIABLES: "Read variables of the device model.",
    Verb.SET_VARIABLES: "Change variables of the device model. `data.results` of 1.6: the status of each key.",
    Verb.GET_COMPOSITE_SCHEDULE: "Ask what limits come of all profiles together.",
    Verb.GET_REPORT: "Read the device model. `data.report`: its parts, put together; `data.complete`: all have come.",
    Verb.SET_MONITORING: "Have the station tell when a variable passes a threshold or changes, or no more: one of the "
    "four. `get_report` of Monitors reads what is set.",
    Verb.GET_LOG: "Have the station upload a log. `data.requestId` is in the events of how far it is.",
    Verb.UPDATE_FIRMWARE: "Have the station install firmware. `data.requestId` is in the events of how far it is.",
    Verb.SEND_LOCAL_LIST: "Give the station tokens that it knows by itself. `data.version`: of the list.",
    Verb.RESERVE: "Keep an EVSE for a token. `data.reservationId`: what cancels it.",
    Verb.CANCEL_RESERVATION: "Give a reserved EVSE free.",
    Verb.CLEAR_CACHE: "Forget the tokens that the station remembers.",
    Verb.DATA_TRANSFER: "Send what only one vendor understands.",
    Verb.COST_UPDATED: "Show the driver what the session costs so far: `session` or `evse`.",
    Verb.SET_DISPLAY_MESSAGE: "Show a text on the station's display, or take it away. `data.id`: its number.",
    Verb.SET_TARIFF: "Have the station calculate costs itself. `data.tariffId`: of the tariff.",
    Verb.INSTALL_CERTIFICATE: "Have the station trust a root certificate.",
    Verb.DELETE_CERTIFICATE: "Remove a certificate.",
    Verb.GET_INSTALLED_CERTIFICATES: "List the certificates that the station has.",
    Verb.CERTIFICATE_SIGNED: "Give the station its signed certificate.",
}
"""Each verb in a sentence."""
