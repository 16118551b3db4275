"""Each repair of the lenient mode against the message of the charger that needs it, in the form of its issue."""

from __future__ import annotations

from typing import Any

import pytest
from field_messages import CASES, GONE, NEVER, at, call

from evcore.errors import FrameError, MessageError, PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.policy import Policy
from evcore.ocpp.repairs import default_names, table


@pytest.mark.parametrize(("name", "version", "message", "path", "value", "issue"), CASES)
def test_the_message_of_a_real_charger_is_refused_strictly_and_mended_leniently(
    name: str, version: str, message: bytes, path: str, value: Any, issue: str
) -> None:
    assert any(issue in seen for seen in table()[name].seen)
    with pytest.raises(MessageError):
        Codec(version).decode(message, action="GetConfiguration")
    frame = Codec(version, mode="lenient").decode(message, names="wire", action="GetConfiguration")
    assert name in {repair.name for repair in frame.repairs}
    if value is GONE:
        holder, _, member = path.rpartition("/")
        assert member not in at(frame.payload, holder)
    else:
        found = at(frame.payload, path)
        assert found == value
        assert type(found) is type(value)
    without = Codec(version, policy=Policy("lenient", default_names() - {name}))
    with pytest.raises(MessageError):
        without.decode(message, action="GetConfiguration")


TIMES = [
    ("time_zone", "2023-10-19T15:28:07", "2023-10-19T15:28:07Z", "evcc-io/evcc#10399"),
    ("time_offset", "2024-04-26T14:35:02+02", "2024-04-26T14:35:02+02:00", "monta-app/ocpp-emulator#5"),
    ("time_seconds", "2013-01-01T00:00Z", "2013-01-01T00:00:00Z", "foxriver76/ioBroker.ocpp#24"),
    ("time_left_out", "2022-02-29T07:02:33.000Z", None, "steve-community/steve#769"),
    ("empty_left_out", "", None, "EVerest/libocpp#808"),
]


def status(timestamp: str) -> bytes:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": timestamp}
    return call("StatusNotification", payload)


@pytest.mark.parametrize(("name", "sent", "meant", "issue"), TIMES)
def test_a_timestamp_that_a_real_station_sends_is_mended(name: str, sent: str, meant: str | None, issue: str) -> None:
    assert any(issue in seen for seen in table()[name].seen)
    assert Codec("1.6").decode(status(sent)).payload["timestamp"] == sent, "formats are not judged unless asked for"
    with pytest.raises(PayloadError):
        Codec("1.6", formats=True).decode(status(sent))
    frame = Codec("1.6", mode="lenient", formats=True).decode(status(sent))
    assert [repair.name for repair in frame.repairs] == [name]
    assert frame.payload.get("timestamp") == meant
    with pytest.raises(PayloadError):
        Codec("1.6", policy=Policy("lenient", default_names() - {name}), formats=True).decode(status(sent))


def test_several_faults_of_one_timestamp_are_mended_one_by_one() -> None:
    frame = Codec("1.6", mode="lenient", formats=True).decode(status("2024-04-26T14:35+0200"))
    assert frame.payload["timestamp"] == "2024-04-26T14:35:00+02:00"
    assert [repair.name for repair in frame.repairs] == ["time_offset", "time_seconds"]


def test_a_required_timestamp_that_names_no_time_is_not_guessed() -> None:
    message = call("StopTransaction", {"meterStop": 1, "transactionId": 1, "timestamp": "2022-02-29T07:02:33.000Z"})
    with pytest.raises(PayloadError):
        Codec("1.6", mode="lenient", formats=True).decode(message)


def test_an_answer_with_nothing_in_it_is_mended_by_what_it_leaves_out() -> None:
    """evcc-io/evcc#17836: Heidelberg Amperfied connect.business, when it rejects GetCompositeSchedule."""
    message = b"""[3,"2410947932", { "status": "Rejected", "connectorId": 0, "chargingSchedule": { "duration": 0,
    "chargingSchedulePeriod": [], "startSchedule": "0", "chargingRateUnit": "" }, "scheduleStart": "0" }]"""
    frame = Codec("1.6", mode="lenient", formats=True).decode(message, action="GetCompositeSchedule")
    assert frame.payload == {"status": "Rejected", "connector_id": 0}
    assert {repair.name: repair.path for repair in frame.repairs} == {
        "hollow_left_out": "/chargingSchedule",
        "time_left_out": "/scheduleStart",
    }


@pytest.mark.parametrize(
    ("name", "message", "parts"),
    [
        (
            "error_short",
            '[4, "13236754", "FormationViolation", ""]',
            ("FormationViolation", "", {}),
        ),  # lbbrhzn/ocpp#899
        ("error_short", '[4,"1","Generic,Error"] ', ("Generic,Error", "", {})),
        (
            "details_text",  # steve-community/steve#45
            '[4,"UID2077486715","InternalError","Internal services failed","SQL [insert into {...]"]',
            ("InternalError", "Internal services failed", {"text": "SQL [insert into {...]"}),
        ),
    ],
)
def test_a_callerror_that_lacks_a_part_is_one(name: str, message: str, parts: tuple[str, str, dict[str, str]]) -> None:
    with pytest.raises(FrameError):
        Codec("1.6").decode(message)
    frame = Codec("1.6", mode="lenient").decode(message)
    assert [repair.name for repair in frame.repairs] == [name]
    assert (frame.error_code, frame.error_description, frame.error_details) == parts


@pytest.mark.parametrize(
    "message",
    [
        '[4,"1"]',
        '[4,"1",7,""]',
        '[4,"1","a","b",{},{}]',
        '[4,"1",["a"]]',
        '[2,"1","Heartbeat"]',
        '[3,"1"]',
        '[4,"1","a"],',
    ],
)
def test_other_frames_of_the_wrong_length_stay_refused(message: str) -> None:
    with pytest.raises(FrameError) as strict:
        Codec("1.6").decode(message, action="Heartbeat")
    with pytest.raises(FrameError) as lenient:
        Codec("1.6", mode="lenient").decode(message, action="Heartbeat")
    assert str(lenient.value) == str(strict.value)


def test_every_repair_has_its_message_here() -> None:
    here = {case[0] for case in CASES} | {case[0] for case in TIMES}
    assert set(table()) - here == {"details_text", "error_short", "hollow_left_out", "let_through"}, (
        "which have their own"
    )


@pytest.mark.parametrize(("version", "message", "why"), NEVER)
def test_nothing_that_a_bill_depends_on_is_ever_guessed(version: str, message: bytes, why: str) -> None:
    with pytest.raises(MessageError) as strict:
        Codec(version).decode(message)
    with pytest.raises(MessageError) as lenient:
        Codec(version, mode="lenient").decode(message)
    assert str(lenient.value) == str(strict.value), "the original verdict stands"
