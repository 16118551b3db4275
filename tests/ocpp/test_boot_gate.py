"""What may be said before BootNotification was accepted: OCPP 1.6, 4.2; 2.x Part 2, use cases B01 to B03."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ocpp.v16.enums import RegistrationStatus
from one_session import every_version, feed, make, sent

from evcore.errors import LinkError
from evcore.ocpp.boot_gate import BOOT_GATE, BootGate, asked_for
from evcore.ocpp.events import Anomaly, Called, Notified, Outcome

SOC = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}


class Pair:
    """A session, and what is said to and by it."""

    def __init__(self, version: str, role: Any, status: str | None = None, **options: Any) -> None:
        self.version, self.role, self.numbers = version, role, itertools.count(1)
        self.session = make(version, role, **{"accepted": False} | options)
        if status is not None:
            self.boot(status)

    def boot(self, status: str) -> None:
        answer = {"status": status, "currentTime": "2026-11-23T18:00:00Z", "interval": 300}
        if self.version == "1.6":
            request: dict[str, Any] = {"chargePointModel": "M", "chargePointVendor": "V"}
        else:
            request = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
        if self.role == "csms":
            [called] = self.hear("BootNotification", request)
            assert self.session.answer(called.id, answer, 0)
        else:
            self.session.call("BootNotification", request, 0)
            self.answer(answer)
        self.sent()

    def hear(self, action: str, payload: Any) -> list[Any]:
        """The peer's CALL."""
        return self.feed([2, f"p{next(self.numbers)}", action, payload])

    def answer(self, payload: Any) -> list[Any]:
        """The peer's answer to what was sent last."""
        return self.feed([3, self.sent()[-1][1], payload])

    def feed(self, message: Any) -> list[Any]:
        return feed(self.session, message)

    def sent(self) -> list[Any]:
        return sent(self.session)

    def reset(self) -> tuple[str, dict[str, Any]]:
        return "Reset", {"type": "Soft" if self.version == "1.6" else "Immediate"}

    def remote(self) -> list[tuple[str, dict[str, Any]]]:
        if self.version == "1.6":
            return [("RemoteStartTransaction", {"idTag": "T"}), ("RemoteStopTransaction", {"transactionId": 1})]
        token = {"idToken": "T", "type": "Central"}
        return [
            ("RequestStartTransaction", {"idToken": token, "remoteStartId": 1}),
            ("RequestStopTransaction", {"transactionId": "1"}),
        ]

    def status(self, connector: int = 1) -> tuple[str, dict[str, Any]]:
        if self.version == "1.6":
            return "StatusNotification", {"connectorId": connector, "errorCode": "NoError", "status": "Available"}
        when = "2026-11-23T18:00:00Z"
        return "StatusNotification", {
            "timestamp": when,
            "connectorStatus": "Available",
            "evseId": connector,
            "connectorId": 1,
        }


# The CSMS


@every_version
@pytest.mark.parametrize("status", [None, "Pending", "Rejected"])
def test_b01_fr_10_b02_fr_09_b03_fr_07_a_csms_answers_security_error_before_it_accepted(
    version: str, status: str | None
) -> None:
    pair = Pair(version, "csms", status)
    [event] = pair.hear("Heartbeat", {})
    assert (type(event), event.reason, event.answered) == (Anomaly, "not_accepted", True)
    assert [message[0::2][:2] for message in pair.sent()] == [[4, "SecurityError"]]
    [event] = pair.hear("Heartbeat", {"no": "such member"})
    assert event.reason == "not_accepted", "what is wrong with it is told to those who are accepted"
    pair.boot("Accepted")
    assert isinstance(pair.hear("Heartbeat", {})[0], Called)


@every_version
def test_a_station_known_from_before_need_not_boot_again(version: str) -> None:
    assert isinstance(Pair(version, "csms", accepted=True).hear("Heartbeat", {})[0], Called)
    station = Pair(version, "station", accepted=True)
    station.session.call("Heartbeat", {}, 0)
    assert len(station.sent()) == 1


@every_version
def test_an_accepted_station_that_boots_again_and_is_not_accepted_is_shut_out(version: str) -> None:
    pair = Pair(version, "csms", "Accepted")
    pair.boot("Pending")
    assert isinstance(pair.hear("Heartbeat", {})[0], Anomaly)
    assert pair.session.registration == "Pending"


@every_version
def test_where_the_gate_is_left_open_all_is_heard(version: str) -> None:
    pair = Pair(version, "csms", gate=False)
    assert isinstance(pair.hear("Heartbeat", {})[0], Called)
    pair.boot("Rejected")
    assert isinstance(pair.hear("Heartbeat", {})[0], Called)


def test_a_boot_that_was_answered_with_an_enum_member_counts_too() -> None:
    pair = Pair("1.6", "csms")
    [called] = pair.hear("BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"})
    answer = {"status": RegistrationStatus.accepted, "current_time": "2026-11-23T18:00:00Z", "interval": 1}
    assert pair.session.answer(called.id, answer, 0)
    assert pair.session.registration == "Accepted"


@every_version
def test_a_boot_whose_answer_failed_changes_nothing(version: str) -> None:
    pair = Pair(version, "csms")
    request = {"chargePointModel": "M", "chargePointVendor": "V"}
    if version != "1.6":
        request = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}  # type: ignore[dict-item]
    [called] = pair.hear("BootNotification", request)
    pair.session.answer(called.id, {"status": "Accepted"}, 0)
    assert pair.session.registration is None
    assert pair.sent()[0][2] == "InternalError"


@every_version
@pytest.mark.parametrize("status", [None, "Pending"])
def test_b02_fr_09_what_was_asked_for_may_come_once_and_of_every_connector(version: str, status: str | None) -> None:
    pair = Pair(version, "csms", status)
    for message, asked in (("Heartbeat", ("Heartbeat", {})), ("StatusNotification", pair.status())):
        assert isinstance(pair.hear(*asked)[0], Anomaly)
        pair.sent()
        pair.session.call("TriggerMessage", {"requestedMessage": message}, 0)
        pair.answer({"status": "Accepted"})
    assert isinstance(pair.hear("Heartbeat", {})[0], Called)
    assert isinstance(pair.hear("Heartbeat", {})[0], Anomaly)
    for connector in (1, 2, 3):
        assert isinstance(pair.hear(*pair.status(connector))[0], Called)
    pair.boot("Pending")
    assert isinstance(pair.hear(*pair.status())[0], Anomaly), "a boot begins anew"


@every_version
def test_what_the_station_declined_to_send_may_not_come(version: str) -> None:
    pair = Pair(version, "csms", "Pending")
    pair.session.call("TriggerMessage", {"requestedMessage": "Heartbeat"}, 0)
    pair.answer({"status": "Rejected"})
    assert isinstance(pair.hear("Heartbeat", {})[0], Anomaly)


@pytest.mark.parametrize(
    ("action", "request_", "follows"),
    [
        ("TriggerMessage", {"requestedMessage": "MeterValues"}, "MeterValues"),
        ("TriggerMessage", {"requested_message": "SignChargingStationCertificate"}, "SignCertificate"),
        ("TriggerMessage", {"requestedMessage": "SignV2G20Certificate"}, "SignCertificate"),
        ("TriggerMessage", {"requestedMessage": "CustomTrigger", "customTrigger": "DataTransfer"}, "DataTransfer"),
        ("TriggerMessage", {"requestedMessage": "CustomTrigger"}, None),
        ("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}, "SignCertificate"),
        ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}, "NotifyReport"),
        ("GetReport", {"requestId": 1}, "NotifyReport"),
        ("GetLog", {}, None),
        ("TriggerMessage", {}, None),
        ("TriggerMessage", None, None),
    ],
)
def test_what_the_csms_asks_for(action: str, request_: Any, follows: str | None) -> None:
    assert asked_for(action, request_) == follows


@every_version
def test_1_6_4_2_and_b02_fr_05_a_csms_starts_nothing_at_a_station_that_is_pending(version: str) -> None:
    pair = Pair(version, "csms", "Pending")
    for action, payload in pair.remote():
        with pytest.raises(LinkError, match="Pending"):
            pair.session.call(action, payload, 0)
    pair.session.call(*pair.reset(), 0)
    assert [message[2] for message in pair.sent()] == ["Reset"], "B02.FR.01"


@every_version
def test_what_waits_when_the_station_becomes_pending_waits_on_and_what_may_go_overtakes_it(version: str) -> None:
    pair = Pair(version, "csms", "Accepted")
    pair.session.call("ClearCache", {}, 0)
    start = pair.session.call(*pair.remote()[0], 0)
    pair.session.call(*pair.reset(), 0)
    [first] = pair.sent()
    pair.boot("Pending")
    pair.feed([3, first[1], {"status": "Accepted"}])
    [message] = pair.sent()
    assert message[2] == "Reset"
    pair.feed([3, message[1], {"status": "Accepted"}])
    assert pair.sent() == []
    pair.boot("Accepted")
    assert not pair.session.cancel("nothing")
    assert pair.session.poll(0) == []
    assert pair.session.cancel(start)


@every_version
def test_a_call_held_back_goes_out_with_the_answer_that_accepts(version: str) -> None:
    pair = Pair(version, "csms", "Accepted")
    pair.session.call("ClearCache", {}, 0)
    pair.session.call(*pair.remote()[0], 0)
    [first] = pair.sent()
    pair.boot("Pending")
    pair.feed([4, first[1], "GenericError", "", {}])
    assert pair.sent() == []
    answer = {"status": "Accepted", "currentTime": "2026-11-23T18:00:00Z", "interval": 300}
    request: dict[str, Any] = {"chargePointModel": "M", "chargePointVendor": "V"}
    if version != "1.6":
        request = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
    [called] = pair.hear("BootNotification", request)
    pair.session.answer(called.id, answer, 0)
    assert [message[0] for message in pair.sent()] == [3, 2]


@every_version
def test_b03_fr_03_a_csms_says_nothing_to_a_station_that_it_rejected(version: str) -> None:
    pair = Pair(version, "csms", "Rejected")
    with pytest.raises(LinkError, match="Rejected"):
        pair.session.call(*pair.reset(), 0)
    assert pair.sent() == []


def test_a_send_before_the_boot_is_accepted_is_dropped_and_never_answered() -> None:
    pair = Pair("2.1", "csms", "Pending")
    [event] = pair.feed([6, "s", "NotifyPeriodicEventStream", SOC])
    assert (event.reason, event.answered) == ("not_accepted", False)
    assert pair.sent() == []
    pair.boot("Accepted")
    assert isinstance(pair.feed([6, "s", "NotifyPeriodicEventStream", SOC])[0], Notified)


# The station


@every_version
def test_b02_fr_02_a_station_sends_its_boot_and_then_nothing_else_until_it_is_accepted(version: str) -> None:
    pair = Pair(version, "station")
    heartbeat = pair.session.call("Heartbeat", {}, 0)
    assert pair.sent() == []
    for status in ("Pending", "Rejected"):
        pair.boot(status)
        assert pair.sent() == [], status
    pair.session.call(
        "BootNotification",
        {"chargePointModel": "M", "chargePointVendor": "V"}
        if version == "1.6"
        else {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}},
        0,
    )
    pair.answer({"status": "Accepted", "currentTime": "2026-11-23T18:00:00Z", "interval": 300})
    assert [message[1] for message in pair.sent()] == [heartbeat]


@every_version
def test_what_waits_for_the_boot_does_not_wait_for_ever(version: str) -> None:
    pair = Pair(version, "station", call_timeout=10)
    pair.session.call("Heartbeat", {}, 0)
    assert pair.session.next_deadline() == 10
    assert [event.outcome for event in pair.session.poll(10)] == [Outcome.TIMED_OUT]


@every_version
def test_b02_fr_02_a_pending_station_sends_what_it_was_asked_for(version: str) -> None:
    pair = Pair(version, "station", "Pending")
    pair.session.call("Heartbeat", {}, 0)
    for connector in (1, 2):
        pair.session.call(*pair.status(connector), 0)
    assert pair.sent() == []
    [called] = pair.hear("TriggerMessage", {"requestedMessage": "StatusNotification"})
    pair.session.answer(called.id, {"status": "Accepted"}, 0)
    answer, first = pair.sent()
    assert (answer[0], first[2]) == (3, "StatusNotification"), "the answer goes first"
    pair.feed([3, first[1], {}])
    [second] = pair.sent()
    assert second[2] == "StatusNotification"
    pair.feed([3, second[1], {}])
    assert pair.sent() == [], "nobody asked for a heartbeat"


@every_version
def test_b02_fr_05_a_pending_station_answers_remote_starts_and_stops_with_rejected(version: str) -> None:
    pair = Pair(version, "station", "Pending")
    for action, payload in pair.remote():
        [event] = pair.hear(action, payload)
        assert (event.reason, event.answered) == ("not_accepted", True)
        [answer] = pair.sent()
        assert (answer[0], answer[2]) == (3, {"status": "Rejected"})
    assert isinstance(pair.hear(*pair.reset())[0], Called), "B02.FR.01"


@every_version
def test_a_pending_station_does_not_know_the_remote_starts_of_another_version(version: str) -> None:
    pair = Pair(version, "station", "Pending")
    action = "RequestStartTransaction" if version == "1.6" else "RemoteStartTransaction"
    [event] = pair.hear(action, {})
    assert (event.reason, event.answered) == ("payload_NotImplemented", True)
    assert [message[0::2][:2] for message in pair.sent()] == [[4, "NotImplemented"]]
    assert isinstance(pair.hear(*pair.reset())[0], Called)


@every_version
@pytest.mark.parametrize("payload", [{"type": "Soft"}, {"type": 5}, {}])
def test_b03_fr_08_a_rejected_station_answers_security_error_and_in_1_6_nothing(
    version: str, payload: dict[str, Any]
) -> None:
    pair = Pair(version, "station", "Rejected")
    action = pair.reset() if payload == {"type": "Soft"} else ("Reset", payload)
    [event] = pair.hear(*action)
    assert (event.reason, event.answered) == ("not_accepted", version != "1.6")
    assert [message[0::2][:2] for message in pair.sent()] == ([] if version == "1.6" else [[4, "SecurityError"]])
    pair.feed([2, "a", "Reset"])
    if version == "1.6":
        assert pair.sent() == []


def test_a_stations_send_waits_for_nobody_but_the_boot() -> None:
    pair = Pair("2.1", "station", "Pending")
    with pytest.raises(LinkError):
        pair.session.send("NotifyPeriodicEventStream", SOC)
    pair.boot("Accepted")
    pair.session.send("NotifyPeriodicEventStream", SOC)
    assert [message[0] for message in pair.sent()] == [6]


# The table


def test_the_table_has_a_row_for_every_side_and_registration() -> None:
    assert set(BOOT_GATE) == set(itertools.product(("csms", "station"), (None, "Pending", "Rejected", "Accepted")))


@pytest.mark.parametrize("answer", [{"status": "Perhaps"}, {}, None, 5, "Accepted"])
def test_a_status_that_nobody_knows_is_none(answer: Any) -> None:
    gate = BootGate("csms", "2.1", accepted=False)
    gate.we_answered("BootNotification", {}, {"status": "Rejected"})
    assert not gate.lets_us("Reset")
    gate.we_answered("BootNotification", {}, answer)
    assert gate.registration is None
    assert gate.lets_peer("BootNotification")
    assert not gate.lets_peer("Heartbeat")
