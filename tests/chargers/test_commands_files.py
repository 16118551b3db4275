"""Firmware and logs: where a station may be sent, what a 1.6 station without the security extension is asked, and what
nobody gets to see.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.exceptions import InternalError
from ocpp.exceptions import NotImplementedError as Unknown

from evcore.chargers import StationRules
from evcore.chargers.ocpp_services import SCHEMES
from evcore.chargers.ocpp_urls import check_url
from evcore.gateway.hub import Hub
from evcore.model import Command, Verb

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]

GOOD = [
    "https://files.example/fw.bin",
    "https://files.example:8443/a/b%20c?x=1&y=(2)#z",
    "ftp://user:pa$$word@10.0.0.7/in/",
    "sftp://box/dir",
    "http://192.168.1.20:8080/fw;v=2",
    "https://[2001:db8::1]/fw",
    "HTTPS://FILES.EXAMPLE./fw",
    "https://xn--bcher-kva.example/fw",
]
LOCAL = [
    "http://localhost/x",
    "http://LOCALHOST./x",
    "http://a.localhost/x",
    "http://127.0.0.1/x",
    "http://127.1/x",
    "http://2130706433/x",
    "http://0x7f.0.0.1/x",
    "http://0177.0.0.1/x",
    "http://0/x",
    "http://0.0.0.0:80/x",
    "http://[::1]/x",
    "http://[::]/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://[2002:7f00:1::]/x",
    "http://[fe80::1%25eth0]/x",
    "http://user:pw@127.0.0.1/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest",
    "http://100.100.100.200/x",
    "http://metadata.google.internal/x",
    "http://224.0.0.1/x",
]
HOSTILE = [
    "",
    "fw.bin",
    "//files.example/fw",
    "https:///fw",
    "https://",
    "https://:443/fw",
    "file:///etc/shadow",
    "gopher://files.example/x",
    "javascript:alert(1)",
    "smb://files.example/x",
    "tftp://files.example/x",
    "https://files.example/`reboot`",
    "https://files.example/$(reboot) ",
    'https://files.example/"; reboot; "',
    "https://files.example/a|b",
    "https://files.example/a\\b",
    "https://files.example/a\r\nHost: x",
    "https://files.example/\x00",
    "https://files.example/\u202efw",
    "https://files.example:99999/fw",
    "https://files.example:0/fw",
    "https://files.example:port/fw",
    "https://good.example@bad.example@files.example/",
    "https://files;reboot.example/fw",
    "https://$(reboot).example/fw",
    "https://[::1/fw",
    "https://-a" + "b" * 300 + ".example/fw",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_station_may_be_sent_to_an_ordinary_url(url: str) -> None:
    check_url(url, SCHEMES)


@pytest.mark.parametrize("url", LOCAL)
def test_a_local_address_in_any_spelling_only_where_it_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="loopback, link-local or metadata"):
        check_url(url, SCHEMES)
    check_url(url, SCHEMES, allow_local=True)


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_goes_nowhere(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|loopback"):
        check_url(url, SCHEMES, allow_local=True)


@given(st.text() | st.from_regex(r"https?://[^/]{0,40}(/.*)?"))
def test_any_text_is_a_url_or_a_value_error_without_its_password(url: str) -> None:
    with contextlib.suppress(ValueError):
        check_url("https://u:s3cr3t@" + url, SCHEMES)
        return
    with pytest.raises(ValueError) as refused:
        check_url("https://u:s3cr3t@" + url, SCHEMES)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_where_stations_may_be_sent_is_a_setting(csms: Start, peer: Start, version: str) -> None:
    site = await csms(rules=StationRules(url_schemes=("https",), allow_local_urls=True))
    station = await peer(site, version)
    station.replies["UpdateFirmware"] = {} if version == "1.6" else {"status": "Accepted"}
    assert (await site.command(Verb.UPDATE_FIRMWARE, url="http://files.example/fw")).status == "Invalid"
    assert station.asked == []
    assert (await site.command(Verb.UPDATE_FIRMWARE, url="https://127.0.0.1/fw")).status == "Accepted"


async def test_a_16_station_without_the_security_extension_is_asked_for_diagnostics(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "1.6")
    station.replies |= {"GetLog": Unknown("what?"), "GetDiagnostics": {"file_name": "d.zip"}}
    args = {"url": "ftp://box.example/in", "from": "2026-11-23T00:00:00Z", "retries": 1}
    answer = await site.command(Verb.GET_LOG, **args)
    assert (answer.status, answer.data) == ("Accepted", {"fileName": "d.zip"})
    assert [action for action, _ in station.asked] == ["GetLog", "GetDiagnostics"]
    assert station.asked[1][1] == {
        "location": "ftp://box.example/in",
        "startTime": "2026-11-23T00:00:00.000Z",
        "retries": 1,
    }
    station.replies["GetDiagnostics"] = {}
    answer = await site.command(Verb.GET_LOG, url="ftp://box.example/in")
    assert (answer.ok, answer.reason) == (False, "the station has no diagnostics to upload")
    answer = await site.command(Verb.GET_LOG, url="ftp://box.example/in", type="SecurityLog")
    assert answer.status == "NotSupported", "diagnostics are no security log"


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_progress_comes_as_events_with_the_number_of_the_request(csms: Start, peer: Start, version: str) -> None:
    site = await csms()
    station = await peer(site, version)
    station.replies["GetLog"] = {"status": "Accepted"}
    answer = await site.command(Verb.GET_LOG, url="https://box.example/in", type="SecurityLog")
    number = answer.data["requestId"]
    assert station.asked[-1][1]["requestId"] == number
    await station.tell("LogStatusNotification", status="Uploading", request_id=number)
    [event] = site.events("log.status")
    assert (event.text, event.data) == ("Uploading", {"status": "Uploading", "requestId": number})


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_no_secret_of_a_command_is_shown_to_others(csms: Start, peer: Start, version: str, caplog: Any) -> None:
    """A station may repeat what it was told, in an error or in a message."""
    secret = "s3cr3t-s3cr3t-s3cr3t"
    site = await csms()
    station = await peer(site, version)
    echo = lambda payload: InternalError(f"cannot use {json.dumps(payload)}")  # noqa: E731
    station.replies |= dict.fromkeys(("ChangeConfiguration", "SetVariables", "UpdateFirmware"), echo)
    hub = Hub()  # the gateway's, which tells of commands
    seen: list[Any] = []
    hub._on_item = seen.append
    hub.serve("CP1", site.hub._handlers["CP1"].handler)
    for verb, args in (
        (Verb.SET_CONFIG, {"key": "AuthorizationKey", "value": secret}),
        (Verb.SET_CONFIG, {"key": "AuthorizationKey", "value": secret * 200}),
        (Verb.UPDATE_FIRMWARE, {"url": f"ftp://user:{secret}@box.example/fw"}),
        (Verb.UPDATE_FIRMWARE, {"url": f"ftp://user:{secret}@box.example/" + "f" * 600}),
    ):
        answer = await hub.command(Command("CP1", verb, args))
        assert answer.status in ("Error", "Invalid")
        assert secret not in answer.reason, answer
    if version == "2.0.1":
        variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        report = [variable | {"variable_attribute": [{"value": secret}]}]
        await station.tell(
            "NotifyReport", request_id=1, generated_at="2026-11-23T18:30:00Z", seq_no=0, report_data=report
        )
    await station.tell("DataTransfer", vendor_id="v", data=f"ftp://user:{secret}@box.example/fw")
    assert len(seen) == 4
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("evcore")]
    assert secret not in repr(seen) + repr(site.items) + repr(logged)
