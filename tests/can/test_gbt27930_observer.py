"""The listener to a GB/T 27930 session: a recorded one, broken copies of it, and sessions written out here."""

from __future__ import annotations

import random
from typing import get_args

import pytest

from evcore.can import read_log
from evcore.can.frames import Frame
from evcore.can.gbt27930 import (
    CarIdentified,
    CarLimits,
    Charged,
    ChargerLimits,
    Demand,
    Event,
    Fault,
    Measured,
    Observer,
    Output,
    Stage,
    StageChanged,
    Stopped,
    Temperatures,
    Timeouts,
    Violation,
    encode,
    frame,
)
from evcore.can.gbt27930.stages import STAGE_OF, TRANSITIONS
from evcore.can.j1939_node import Node

MS = 1_000_000
SECOND = 1000 * MS
OK_BSM = dict.fromkeys(
    ["cell_voltage", "soc_level", "overcurrent", "overtemperature", "insulation", "connector"], "normal"
)


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def recorded(shared_data):
    frames = list(read_log(shared_data / "can" / "gbt27930-charger-stops.log"))
    assert len(frames) == 1149
    return frames


def test_the_recorded_session_is_understood_from_handshake_to_its_end(recorded, run):
    events = run(Observer(), recorded, after=60 * SECOND)
    assert [event.stage for event in of(events, StageChanged)] == [
        "handshake",
        "recognition",
        "configuration",
        "charging",
        "error",
        "idle",
    ]
    # The charger's CCS stop at 3275.1 s; the car gives up at 3276.0 s and says why.
    (stopped,) = of(events, Stopped)
    assert (stopped.by, stopped.reason, stopped.reasons) == ("car", "timeout", ("CCS",))
    assert stopped.time_ns == 3_276_000 * MS
    assert [event.messages for event in of(events, Timeouts)] == [("CCS",)]
    # Its last BCS was announced and never answered.
    assert [(event.kind, event.message) for event in of(events, Violation)] == [("transfer", "BCS")]
    (car,) = of(events, CarIdentified)
    assert (car.battery, car.capacity_ah, car.voltage_v, car.maker, car.vin) == ("NMC", 18.0, 492.1, "KLIE", "")
    limits = of(events, CarLimits)[-1]
    assert (limits.max_voltage_v, limits.max_current_a, limits.energy_kwh) == (603.0, -100.0, 7.8)
    assert of(events, ChargerLimits)[0].max_voltage_v == 700.0
    assert len(of(events, Demand)) == 353
    assert len(of(events, Output)) == 329
    assert len(of(events, Temperatures)) == 71
    # 62 BCS arrive whole, and one BCP.
    assert len(of(events, Measured)) == 63


@pytest.mark.parametrize("seed", range(40))
def test_a_broken_copy_of_the_recorded_session_is_followed_without_an_error(recorded, run, seed):
    source = random.Random(seed)
    frames = []
    for item in recorded:
        chance = source.random()
        if chance < 0.03:
            continue
        data = bytearray(item.data)
        id = item.id
        if chance < 0.06 and data:
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        elif chance < 0.08:
            del data[source.randrange(len(data) + 1) :]
        elif chance < 0.10:
            id ^= 1 << source.randrange(29)
        elif chance < 0.12:
            frames.append(item)
        frames.append(Frame(id, bytes(data), 0, item.time_ns))
        if chance > 0.97 and len(frames) > 1:
            frames[-1], frames[-2] = frames[-2], frames[-1]
    events = run(Observer(), frames, after=60 * SECOND)
    assert all(isinstance(event, get_args(Event)) for event in events)
    assert of(events, Violation)
    assert of(events, Stopped)
    assert of(events, StageChanged)[-1].stage == "idle"


def test_pure_noise_between_the_two_addresses_is_followed_without_an_error(run):
    source = random.Random(5)
    frames = []
    for i in range(20_000):
        pair = source.choice([0xF456, 0x56F4])
        pgn = source.choice([*range(0x30), 0xEC, 0xEB])
        id = 0x8000_0000 | source.randrange(8) << 26 | pgn << 16 | pair
        frames.append(Frame(id, source.randbytes(source.randrange(9)), 0, i * 20 * MS))
    events = run(Observer(), frames, after=60 * SECOND)
    assert all(isinstance(event, get_args(Event)) for event in events)


class Talk:
    """Speaks for both sides, short messages at once and long ones by real transfers, and listens."""

    def __init__(self):
        self.observer, self.now, self.events = Observer(), 0, []
        self.nodes = {0x56: Node(0x56), 0xF4: Node(0xF4)}

    def say(self, name, values=None, length=0, data=None):
        data = encode(name, values or {}, length=length) if data is None else data
        layout = _layout(name)
        node = self.nodes[layout.source]
        node.send(layout.pgn, data, self.now, destination=layout.destination, priority=layout.priority)
        while sent := [item for each in self.nodes.values() for item in each.to_send()]:
            for item in sent:
                self.hear(item)
                for each in self.nodes.values():
                    each.receive(item, self.now)
                    each.poll(self.now)
        return self

    def hear(self, item):
        self.observer.receive(item._replace(time_ns=self.now), self.now)
        self.events += self.observer.poll(self.now)
        return self

    def wait(self, seconds):
        end = self.now + int(seconds * SECOND)
        while (due := self.observer.next_deadline()) is not None and due <= end:
            self.now = due
            self.events += self.observer.poll(due)
        self.now = end
        return self

    def of(self, kind):
        return of(self.events, kind)

    def upto_charging(self):
        self.say("CHM", {"version": "1.1"}).say("BHM", {"max_voltage_v": 420})
        self.say("CRM", {"recognised": "no", "charger_number": 1})
        self.say("BRM", {"version": "1.1", "battery": "LFP", "vin": "LSVAA49J132012345", "capacity_ah": 150}, 49)
        self.say("CRM", {"recognised": "yes", "charger_number": 1})
        self.say("BCP", {"soc": 20.5, "voltage_v": 350, "max_current_a": -200, "max_voltage_v": 420})
        self.say("CTS").say("CML", {"max_voltage_v": 750, "max_current_a": -120}).say("BRO", {"ready": "yes"})
        self.say("CRO", {"ready": "yes"}).say("BCL", {"voltage_v": 400, "current_a": -100, "mode": "constant current"})
        self.say("BCS", {"voltage_v": 355.5, "current_a": -99.5, "soc": 21, "remaining_min": 44})
        self.say("CCS", {"voltage_v": 356, "current_a": -99.8, "elapsed_min": 1, "allowed": "yes"})
        return self.say("BSM", {**OK_BSM, "max_temperature_c": 31, "min_temperature_c": 28, "allowed": "yes"})


def _layout(name):
    from evcore.can.gbt27930 import MESSAGES

    return MESSAGES[name]


def test_a_whole_session_by_the_book_breaks_no_rule():
    talk = Talk().upto_charging()
    talk.say("CST", {"manual": "yes"}).say("BST", {"charger_stopped": "yes"})
    talk.say("BSD", {"soc": 80}).say("CSD", {"elapsed_min": 30, "energy_kwh": 21.5, "charger_number": 1}).wait(20)
    assert talk.of(Violation) == []
    assert talk.of(Fault) == []
    stages = ["handshake", "recognition", "configuration", "charging", "stopping", "ended", "idle"]
    assert [event.stage for event in talk.of(StageChanged)] == stages
    assert [(event.by, event.reason) for event in talk.of(Stopped)] == [("charger", "manual")]
    assert talk.of(Charged)[0].energy_kwh == 21.5
    assert talk.of(CarIdentified)[0].vin == "LSVAA49J132012345"
    assert (talk.of(Measured)[1].voltage_v, talk.of(Measured)[1].current_a) == (355.5, -99.5)


@pytest.mark.parametrize(
    ("message", "values", "by", "reason"),
    [
        ("CST", {"target_reached": "yes"}, "charger", "target_reached"),
        ("CST", {"fault": "yes", "emergency_stop": "fault", "connector": "fault"}, "charger", "emergency_stop"),
        ("CST", {"fault": "yes"}, "charger", "fault"),
        ("CST", {"car_stopped": "yes"}, "car", "unknown"),
        ("BST", {"soc_reached": "yes"}, "car", "soc_reached"),
        ("BST", {"soc_reached": "yes", "insulation": "fault"}, "car", "insulation"),
        ("BST", {"charger_stopped": "yes"}, "charger", "unknown"),
        ("BST", {}, "car", "unknown"),
        ("CEM", {"BCL": "yes"}, "charger", "timeout"),
        ("BEM", {"CCS": "yes", "CST": "yes"}, "car", "timeout"),
    ],
)
def test_the_reason_of_a_stop_is_told_once(message, values, by, reason):
    talk = Talk().upto_charging()
    for _ in range(3):
        talk.say(message, values)
    talk.say("BST", {"cell_voltage_reached": "yes"})
    assert [(event.by, event.reason) for event in talk.of(Stopped)] == [(by, reason)]


def test_a_fault_of_the_car_is_raised_kept_while_untrusted_and_cleared():
    talk = Talk().upto_charging()
    for state in ("normal", "fault", "fault", "untrusted", "normal"):
        talk.say("BSM", {**OK_BSM, "insulation": state})
    talk.say("BSM", {**OK_BSM, "cell_voltage": "high"}).say("BSM", {**OK_BSM, "cell_voltage": "low"})
    assert [(event.by, event.name, event.active) for event in talk.of(Fault)] == [
        ("car", "insulation", True),
        ("car", "insulation", False),
        ("car", "cell_voltage_high", True),
        ("car", "cell_voltage_high", False),
        ("car", "cell_voltage_low", True),
    ]
    talk.wait(20)
    assert talk.of(Fault)[-1].active is False


def test_a_charging_message_that_stays_away_is_told_once_and_then_again():
    talk = Talk().upto_charging()
    for _ in range(30):
        talk.say("BCL", {"voltage_v": 400}).say("BCS", {"soc": 22}).wait(0.1)
    assert [(event.kind, event.message) for event in talk.of(Violation)] == [("timeout", "CCS")]
    assert talk.of(Violation)[0].time_ns == 1 * SECOND
    talk.say("CCS", {"voltage_v": 1})
    for _ in range(30):
        talk.say("BCL", {"voltage_v": 400}).say("BCS", {"soc": 22}).wait(0.1)
    assert len(talk.of(Violation)) == 2


def test_silence_while_charging_ends_the_session_and_says_so():
    talk = Talk().upto_charging().wait(60)
    assert [(event.by, event.reason) for event in talk.of(Stopped)] == [("", "silence")]
    assert talk.of(StageChanged)[-1].stage == "idle"
    assert talk.observer.next_deadline() is None


def test_a_charger_that_begins_again_after_an_error_is_a_new_session():
    talk = Talk().upto_charging().say("BEM", {"CCS": "yes"}).wait(5)
    talk.say("CRM", {"recognised": "no"}).say("BRM", {"vin": "LSVAA49J132099999"}, 49)
    talk.say("CEM", {"BCP": "yes"})
    assert [event.reason for event in talk.of(Stopped)] == ["timeout", "timeout"]
    assert [event.messages for event in talk.of(Timeouts)] == [("CCS",), ("BCP",)]
    assert talk.observer.vin == "LSVAA49J132099999"
    assert [event for event in talk.of(Violation) if event.kind == "order"] == []


def test_a_listener_that_comes_late_takes_the_stage_it_finds():
    talk = Talk().say("BCL", {"voltage_v": 400, "current_a": -10})
    assert talk.observer.stage == "charging"
    assert talk.of(Violation) == []


@pytest.mark.parametrize(
    ("said", "violation"),
    [
        (("BCL", b"\x01\x02"), ("length", "BCL")),
        (("BCS", bytes.fromhex("c50ea00f4c61ff0000")[:6] + b"\x78\x00\x00"), ("range", "BCS")),
        (("BSD", bytes(7)), ("order", "BSD")),
    ],
)
def test_a_broken_rule_is_an_event_with_the_message_and_told_once(said, violation):
    talk = Talk().upto_charging()
    for _ in range(3):
        talk.say(said[0], data=said[1])
    assert violation in [(event.kind, event.message) for event in talk.of(Violation)]
    assert len(talk.of(Violation)) == len({(event.kind, event.message) for event in talk.of(Violation)})


def test_a_number_out_of_range_is_not_passed_on():
    talk = Talk().upto_charging().say("BCS", {"soc": 120, "voltage_v": 360})
    assert talk.of(Measured)[-1].soc is None
    assert talk.of(Measured)[-1].voltage_v == 360.0
    assert "soc: expected at most 100 Percent, got 120" in talk.of(Violation)[0].detail


def test_a_message_from_the_wrong_side_and_unknown_ones_are_told_and_strangers_ignored():
    talk = Talk()
    item = frame("CHM", {"version": "1.1"})
    talk.hear(item._replace(id=0x982656F4))
    talk.hear(Frame(0x9877F456, b"\x01"))
    talk.hear(Frame(0x8C3CF456, bytes(8)))
    talk.hear(Frame(0x9820F456, b"\x01\x02"))
    talk.hear(Frame(0x8070F4B5, b"\x01"))  # seen on real buses before the handshake
    talk.hear(Frame(0x123, b"\x01"))
    assert [(event.kind, event.message) for event in talk.of(Violation)] == [
        ("direction", "CHM"),
        ("unknown", "7700"),
        ("unknown", "3C00"),
        ("unknown", "DM1"),
    ]
    assert talk.observer.stage == "idle"


def test_the_table_of_stages_names_only_stages_and_messages_and_every_stage_can_be_left():
    stages = set(get_args(Stage))
    assert {stage for stage, _ in TRANSITIONS} == stages
    assert {message for _, message in TRANSITIONS} == set(STAGE_OF)
    assert set(TRANSITIONS.values()) | {"idle"} == stages
    for stage in stages:
        assert any(after != stage for (before, _), after in TRANSITIONS.items() if before == stage)
