"""The HTTP request that opens a connection, and the bytes before and inside it."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.ocpp.deflate import Deflate, TooBig, accept_offer, read_answer
from evcore.ocpp.joiner import BINARY, CONTINUATION, TEXT, Joiner, Violation
from evcore.ocpp.upgrade import (
    UpgradeError,
    choose_subprotocol,
    read_basic,
    read_identity,
    read_upgrade,
    write_basic,
    write_url,
)

# The handshake of RFC 6455, 1.2.
HEADERS = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def test_an_identity_is_the_last_segment_percent_decoded() -> None:
    assert read_identity(b"/ocpp/CP%20%C3%A4?x=1") == "CP ä"


@pytest.mark.parametrize(
    "path",
    [b"/", b"/ocpp/", b"/" + b"x" * 49, b"/%ff", b"/a%00b", b"/a%2Fb", b"/%E2%80%AE", b"/..", b"/%2e", b"/../CP1/"],
)
def test_an_identity_that_no_station_has_is_not_found(path: bytes) -> None:
    with pytest.raises(UpgradeError) as caught:
        read_identity(path)
    assert caught.value.status == 404


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters="/"), min_size=1, max_size=48))
def test_an_identity_survives_the_url(identity: str) -> None:
    if identity.isprintable() and identity not in (".", ".."):
        assert read_identity(write_url("ws://host/ocpp", identity).removeprefix("ws://host").encode()) == identity


@given(st.text(st.characters(codec="utf-8", exclude_characters=":"), max_size=48), st.binary(max_size=40))
def test_a_password_is_any_bytes_and_only_the_first_colon_divides(user: str, password: bytes) -> None:
    assert read_basic(write_basic(user, password)) == (user, password)


@pytest.mark.parametrize("header", ["Basic", "Basic !!", "Basic YQ==", "Bearer YTpi", "Basic ////"])
def test_broken_credentials_are_refused_not_ignored(header: str) -> None:
    with pytest.raises(UpgradeError) as caught:
        read_basic(header)
    assert caught.value.status == 401


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Upgrade": "h2c"}, 426),
        ({"Sec-WebSocket-Version": "12"}, 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
        ({"Sec-WebSocket-Key": "é"}, 400),
    ],
)
def test_half_an_upgrade_is_refused(change: dict[str, str], status: int) -> None:
    with pytest.raises(UpgradeError) as caught:
        read_upgrade(b"/CP1", HEADERS | change)
    assert caught.value.status == status


def test_the_stations_first_choice_that_is_spoken_here_wins() -> None:
    upgrade = read_upgrade(b"/CP1", HEADERS | {"Sec-WebSocket-Protocol": "ocpp2.2, ocpp2.0.1 ,ocpp1.6"})
    assert choose_subprotocol(upgrade.subprotocols, ("ocpp1.6", "ocpp2.0.1")) == "ocpp2.0.1"
    assert choose_subprotocol(("ocpp1.5",), ("ocpp1.6",)) is None


# permessage-deflate


@pytest.mark.parametrize(
    ("offer", "window"),
    [
        ("permessage-deflate", 15),
        ("permessage-deflate; client_max_window_bits", 15),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", 15),
        ('permessage-deflate; server_max_window_bits="10"; client_no_context_takeover', 10),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; unheard_of", None),
        ("permessage-deflate; client_max_window_bits=10; client_max_window_bits=10", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("", None),
    ],
)
def test_an_offer_of_compression_is_kept_or_declined_whole(offer: str, window: int | None) -> None:
    accepted = accept_offer(offer)
    assert (accepted and accepted.window) == window


@given(st.binary(max_size=4000), st.integers(9, 15))
def test_what_is_deflated_inflates_to_the_same(data: bytes, window: int) -> None:
    assert Deflate(window).inflate(Deflate(window).deflate(data), 4000) == data


def test_a_zip_bomb_is_stopped_at_the_limit() -> None:
    bomb = Deflate().deflate(b"\0" * 50_000_000)
    with pytest.raises(TooBig):
        Deflate().inflate(bomb, 65_536)


def test_a_server_that_answers_what_was_not_offered_is_refused() -> None:
    with pytest.raises(ValueError):
        read_answer("permessage-deflate; server_no_context_takeover; server_max_window_bits=10")
    with pytest.raises(ValueError):
        read_answer("permessage-deflate")
    assert read_answer("") is None


# Joining


@given(st.text(max_size=300), st.lists(st.integers(0, 900), max_size=6))
def test_a_message_is_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    message = text.encode()
    edges = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    parts = [message[a:b] for a, b in itertools.pairwise(edges)]
    joiner = Joiner(limit=2000)
    results = [
        joiner.feed(CONTINUATION if n else TEXT, part, n == len(parts) - 1, False, False)
        for n, part in enumerate(parts)
    ]
    assert results[-1] == message
    assert results[:-1] == [None] * (len(parts) - 1)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(CONTINUATION, b"a", True, False)], 1002),
        ([(TEXT, b"a", False, False), (TEXT, b"b", True, False)], 1002),
        ([(BINARY, b"a", True, False)], 1003),
        ([(TEXT, b"a", True, True)], 1002),
        ([(TEXT, b"\xc3", True, False)], 1007),
        ([(TEXT, b"x" * 60, False, False), (CONTINUATION, b"x" * 60, False, False)], 1009),
        ([(TEXT, b"x" * 101, True, False)], 1009),
        ([(TEXT, b"", False, False), *[(CONTINUATION, b"", False, False)] * 64], 1009),
    ],
)
def test_a_broken_message_names_the_close_code(frames: list[tuple[int, bytes, bool, bool]], code: int) -> None:
    joiner = Joiner(limit=100)
    *good, (opcode, payload, fin, compressed) = frames
    for frame in good:
        assert joiner.feed(*frame, False) is None
    with pytest.raises(Violation) as caught:
        joiner.feed(opcode, payload, fin, compressed, False)
    assert caught.value.code == code


def test_a_compressed_message_may_be_cut_and_may_not_be_nonsense() -> None:
    data = Deflate().deflate(b"[2]" * 20)
    joiner = Joiner(limit=100, deflate=Deflate())
    assert joiner.feed(TEXT, data[:3], False, True, False) is None
    assert joiner.feed(CONTINUATION, data[3:], True, False, False) == b"[2]" * 20
    for nonsense, code in ((b"\xff\xff\xff\xff", 1007), (zlib.compress(b"x" * 4000)[2:-4], 1009)):
        with pytest.raises(Violation) as caught:
            joiner.feed(TEXT, nonsense, True, True, False)
        assert caught.value.code == code
