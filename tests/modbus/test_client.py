"""The bus and its master in virtual time: who is asked when, what is matched, what is given up."""

from __future__ import annotations

import pytest

from evcore.core.modbus import ReadRequest, WriteRequest
from evcore.errors import InvalidReply, LinkError, ModbusException, ModbusTimeout
from evcore.modbus.bus import Bus
from evcore.modbus.client import Answered, Broken, Counters, Failed, char_ns, silence_ns

MS = 1_000_000
READ = ReadRequest(1, 3, 0, 2)
OTHER = ReadRequest(1, 3, 10, 2)  # its reply has the same form as that of READ


def tcp(transaction: int, pdu: str, unit: int = 1) -> bytes:
    body = bytes([unit]) + bytes.fromhex(pdu)
    return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def test_a_tcp_request_goes_out_and_its_reply_comes_in_byte_by_byte():
    master = Bus("tcp")
    id = master.submit(READ, 0)
    assert master.poll(0) == []
    assert master.to_send() == [READ.to_tcp(1)]
    assert master.next_deadline() == 1000 * MS
    for byte in tcp(1, "03 04 00010002"):
        master.receive(bytes([byte]), MS)
    assert master.poll(MS) == [Answered(id, READ, b"\0\1\0\2")]
    assert master.next_deadline() is None


def test_requests_wait_for_one_another_and_are_answered_in_order():
    master = Bus("tcp")
    first, second = master.submit(READ, 0), master.submit(OTHER, 0)
    master.poll(0)
    assert len(master.to_send()) == 1
    master.receive(tcp(1, "03 04 00010002"), MS)
    assert master.poll(MS) == [Answered(first, READ, b"\0\1\0\2")]
    assert master.to_send() == [OTHER.to_tcp(2)]
    master.receive(tcp(2, "03 04 00030004"), MS)
    assert master.poll(MS) == [Answered(second, OTHER, b"\0\3\0\4")]


def test_a_late_tcp_reply_is_counted_and_never_matched():
    master = Bus("tcp", retries=0)
    first = master.submit(READ, 0)
    master.poll(0)
    (failed,) = master.poll(1000 * MS)
    assert (failed.id, type(failed.error)) == (first, ModbusTimeout)
    second = master.submit(OTHER, 1000 * MS)
    master.poll(1000 * MS)
    master.receive(tcp(1, "03 04 DEAD DEAD") + tcp(2, "03 04 00030004"), 1001 * MS)
    assert master.poll(1001 * MS) == [Answered(second, OTHER, b"\0\3\0\4")]
    assert master.counters.late == 1


@pytest.mark.parametrize("transaction", [0, 5, 65535])
def test_a_reply_with_a_transaction_never_used_is_named_when_time_is_up(transaction):
    master = Bus("tcp", retries=0)
    master.submit(READ, 0)
    master.poll(0)
    master.receive(tcp(transaction, "03 04 00010002"), MS)
    assert master.poll(MS) == []
    (failed,) = master.poll(1000 * MS)
    assert isinstance(failed.error, InvalidReply)
    assert (failed.error.reason, failed.error.got) == ("transaction", transaction)


def test_a_wrong_tcp_reply_is_tried_again_at_once_then_named():
    master = Bus("tcp", retries=1)
    master.submit(READ, 0)
    master.poll(0)
    master.receive(tcp(1, "03 02 0001"), MS)
    assert master.poll(MS) == []
    assert master.to_send() == [READ.to_tcp(1), READ.to_tcp(2)]
    master.receive(tcp(2, "04 04 00010002"), 2 * MS)
    (failed,) = master.poll(2 * MS)
    assert failed.error.reason == "function"
    assert master.counters.invalid == 2


def test_an_exception_reply_is_an_answer_and_not_tried_again():
    master = Bus("tcp")
    master.submit(READ, 0)
    master.poll(0)
    master.receive(tcp(1, "83 02"), MS)
    (failed,) = master.poll(MS)
    assert isinstance(failed.error, ModbusException)
    assert failed.error.code == 2
    assert master.counters.refused == 1


def test_every_strange_frame_is_counted_even_where_a_good_reply_follows_or_nobody_asked():
    master = Bus("tcp")
    id = master.submit(READ, 0)
    master.poll(0)
    master.receive(tcp(0, "03 04 00090009") + tcp(1, "03 04 00010002") + tcp(500, "03 04 00090009"), MS)
    assert master.poll(MS) == [Answered(id, READ, b"\0\1\0\2")]
    assert (master.counters.answered, master.counters.invalid) == (1, 2)


def test_counters_are_taken_once_whoever_takes_them():
    master = Bus("tcp", retries=0)
    master.submit(READ, 0)
    master.poll(0)
    master.poll(1000 * MS)
    new = master.counters.take()
    assert (new.sent, new.answered, new.timeouts) == (1, 0, 1)
    assert master.counters.take() == Counters()
    assert master.counters.timeouts == 1


def test_a_lost_frame_boundary_breaks_the_connection_and_fails_what_waits():
    master = Bus("tcp")
    ids = [master.submit(READ, 0), master.submit(OTHER, 0)]
    master.poll(0)
    master.receive(b"HTTP/1.1 400", MS)
    (broken,) = master.poll(MS)
    assert isinstance(broken, Broken)
    assert master.counters.invalid == 1
    master.lost(MS, "closed")
    events = master.poll(MS)
    assert [(event.id, type(event.error)) for event in events] == [(id, LinkError) for id in ids]
    again = master.submit(READ, MS)
    master.poll(MS)
    master.receive(tcp(2, "03 04 00010002"), MS)
    assert master.poll(MS) == [Answered(again, READ, b"\0\1\0\2")]


def test_an_rtu_reply_ends_the_wait_at_its_last_byte_and_then_the_line_is_silent(rtu):
    master = Bus("rtu", baudrate=9600)
    first, second = master.submit(READ, 0), master.submit(OTHER, 0)
    master.poll(0)
    assert master.to_send() == [READ.to_rtu()]
    wire = (8 + 9) * char_ns(9600)
    assert master.next_deadline() == wire + 1000 * MS
    reply = rtu("01 03 04 00010002")
    master.receive(reply[:4], 30 * MS)
    master.receive(reply[4:], 40 * MS)
    assert master.poll(40 * MS) == [Answered(first, READ, b"\0\1\0\2")]
    assert master.to_send() == []
    assert master.next_deadline() == 40 * MS + silence_ns(9600)
    master.poll(40 * MS + silence_ns(9600) - 1)
    assert master.to_send() == []
    master.poll(40 * MS + silence_ns(9600))
    assert master.to_send() == [OTHER.to_rtu()]
    assert second == first + 1


def test_t35_is_as_the_serial_line_guide_has_it():
    assert silence_ns(9600) == pytest.approx(3.5 * 11 / 9600 * 1e9, rel=1e-6)
    assert silence_ns(19200) == pytest.approx(3.5 * 11 / 19200 * 1e9, rel=1e-6)
    assert silence_ns(115200) == 1_750_000


@pytest.mark.parametrize("framing", ["rtu", "rtu+tcp"])
def test_a_late_serial_reply_is_drained_and_never_answers_another_question(framing, rtu):
    master = Bus(framing, timeout_s=0.1, retries=0)
    master.submit(READ, 0)
    master.poll(0)
    over = master.next_deadline()
    (failed,) = master.poll(over)
    assert isinstance(failed.error, ModbusTimeout)
    other = master.submit(OTHER, over)
    master.to_send()
    assert master.poll(over) == []
    assert master.to_send() == []  # the unit is in quarantine
    late = over + 60 * MS
    master.receive(rtu("01 03 04 DEADDEAD"), late)
    assert master.poll(late) == []
    due = late + (silence_ns(9600) if framing == "rtu" else 0)  # it was the one that was owed
    master.poll(due)
    assert master.to_send() == [OTHER.to_rtu()]
    master.receive(rtu("01 03 04 00030004"), due + MS)
    assert master.poll(due + MS) == [Answered(other, OTHER, b"\0\3\0\4")]
    assert (master.counters.stray_bytes, master.counters.late) == (9, 1)


def test_a_dead_unit_does_not_hold_up_the_others(rtu):
    master = Bus("rtu", timeout_s=0.1, retries=1)
    dead = master.submit(READ, 0)
    alive = master.submit(ReadRequest(2, 3, 0, 1), 0)
    master.poll(0)
    master.to_send()
    now = master.next_deadline()
    assert master.poll(now) == []
    assert master.to_send() == [ReadRequest(2, 3, 0, 1).to_rtu()]
    master.receive(rtu("02 03 02 0007"), now + MS)
    (answered,) = master.poll(now + MS)
    assert (answered.id, answered.data) == (alive, b"\0\7")
    master.poll(now + 100 * MS)
    assert master.to_send() == [READ.to_rtu()]
    (failed,) = master.poll(master.next_deadline())
    assert failed.id == dead
    assert "2 tries: unit 1, function 3, address 0" in str(failed.error)


@pytest.mark.parametrize(
    ("reason", "heard"), [("function", "01 04 04 00010002"), ("unit", "02 03 04 00010002"), ("count", "01 03 02 0001")]
)
def test_what_was_heard_instead_of_a_serial_reply_is_named(reason, heard, rtu):
    master = Bus("rtu", retries=0)
    master.submit(READ, 0)
    master.poll(0)
    master.receive(rtu(heard), MS)
    assert master.poll(MS) == []
    (failed,) = master.poll(master.next_deadline())
    assert isinstance(failed.error, InvalidReply)
    assert failed.error.reason == reason


def test_a_refusal_behind_half_a_header_is_found_when_time_is_up(rtu):
    master = Bus("rtu", retries=0)
    master.submit(READ, 0)
    master.poll(0)
    master.receive(b"\x01\x03\x04" + rtu("01 83 02"), MS)
    assert master.poll(MS) == []
    (failed,) = master.poll(master.next_deadline())
    assert isinstance(failed.error, ModbusException)


def test_a_broadcast_is_answered_by_nobody_and_followed_by_a_pause():
    master = Bus("rtu")
    write = WriteRequest(0, 6, 1, [3])
    id = master.submit(write, 0)
    master.poll(0)
    assert master.to_send() == [write.to_rtu()]
    assert master.poll(50 * MS) == []
    assert master.poll(master.next_deadline()) == [Answered(id, write, b"")]
    with pytest.raises(ValueError, match="unit"):
        master.submit(ReadRequest(0, 3, 0, 1), 0)
    Bus("tcp").submit(ReadRequest(0, 3, 0, 1), 0)  # on TCP 0 is the device itself (Messaging Guide, 4.4.2.2)


def test_noise_without_end_is_bounded(rtu):
    master = Bus("rtu", retries=0)
    id = master.submit(READ, 0)
    master.poll(0)
    for _ in range(100):
        master.receive(b"\x01\x03\x04" * 100, MS)
    assert len(master._master._heard) <= 2048
    master.receive(rtu("01 03 04 00010002"), 2 * MS)
    assert master.poll(2 * MS) == [Answered(id, READ, b"\0\1\0\2")]


def test_one_who_no_longer_waits_is_forgotten():
    master = Bus("tcp")
    first, second, third = (master.submit(READ, 0) for _ in range(3))
    master.poll(0)
    master.to_send()
    master.cancel(second)
    master.cancel(first)
    (failed,) = master.poll(1000 * MS)  # under way, so it ends, but it is not tried again
    assert isinstance(failed, Failed)
    assert failed.id == first
    master.receive(tcp(2, "03 04 00010002"), 1000 * MS)
    assert [event.id for event in master.poll(1000 * MS)] == [third]


def test_the_queue_is_bounded_and_wrong_settings_are_refused():
    master = Bus("tcp", limit=2)
    for _ in range(3):  # one is under way
        master.submit(READ, 0)
    with pytest.raises(LinkError):
        master.submit(READ, 0)
    for wrong in ({"framing": "ascii"}, {"baudrate": 0}, {"timeout_s": 0}, {"retries": -1}):
        with pytest.raises(ValueError):
            Bus(**wrong)


def test_transaction_ids_wrap_past_zero():
    master = Bus("tcp")
    master._master._transactions = 65535
    master.submit(READ, 0)
    master.poll(0)
    assert master.to_send() == [READ.to_tcp(1)]
