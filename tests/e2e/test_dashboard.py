"""The dashboard in a real browser, on a whole site: what a person sees and presses."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from browser import chromium

from evcore.gateway.config import parse
from evcore.gateway.gateway import Gateway
from evcore.sim import SimStation

SITE = """
[[ocpp]]
port = 0
[[ocpp.stations]]
id = "CP1"
[http]
port = 0
{http}
[tariff]
currency = "EUR"
per_kwh = 0.50
[[tokens]]
id = "CARD-1"
"""
EVSE = "document.querySelector('[data-evse=\"evse/CP1/1\"]')"


@pytest.fixture
def browser(program):
    return shutil.which("chromium-browser") or program("chromium")


@pytest.fixture
async def site(tmp_path, request):
    """A gateway and one station, the gateway with the `http` settings of the test's parameter."""
    text = SITE.format(http=getattr(request, "param", ""))
    gateway = Gateway(parse(text, file="site.toml", base=tmp_path))
    tasks = [asyncio.ensure_future(gateway.run())]
    await asyncio.wait_for(gateway.started.wait(), 20)
    station = SimStation(gateway.urls["ocpp"], "CP1", speed=60)
    tasks.append(asyncio.ensure_future(station.run()))
    await asyncio.wait_for(station.online.wait(), 10)
    yield gateway, station
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_person_starts_a_session_sees_it_live_and_stops_it(site, browser, tmp_path):
    gateway, station = site
    async with chromium(browser, tmp_path / "profile") as page:
        await page.open(gateway.urls["http"])
        await page.until("document.querySelector('#link').textContent === 'live'")
        await page.until(f"{EVSE} && !{EVSE}.querySelector('.start').disabled")
        # By keyboard alone: the field, then Enter.
        await page.js(f"{EVSE}.querySelector('input').focus()")
        await page.send("Input.insertText", text="CARD-1")
        await page.press("Enter")
        await page.until(f"{EVSE}.querySelector('output').textContent === 'start: Accepted'")
        first = await page.until(f"/kW/.test({EVSE}.textContent) && {EVSE}.querySelector('small').textContent")
        await page.until(f"{EVSE}.querySelector('small').textContent !== {first!r}")  # the energy counts up
        await page.until("/kW/.test(document.querySelector('#site-power').textContent)")
        row = "document.querySelector('#session-rows tr')"
        assert await page.js(f"{row}.textContent.includes('active')")
        await page.js(f"{EVSE}.querySelector('.stop').click()")
        await page.until(f"{EVSE}.querySelector('output').textContent === 'stop: Accepted'")
        await page.until(f"{row}.textContent.includes('ended') && {row}.textContent.includes('€')")
        await page.until("document.querySelector('#event-rows').textContent.includes('session.ended')")
        assert page.errors == []
        outside = [url for url in page.requests if gateway.urls["http"].split("//")[1] not in url]
        assert [url for url in outside if not url.startswith(("about:", "data:"))] == []
    assert station.evses[1].transaction is None


async def test_the_charger_s_refusal_is_shown_in_its_own_words(site, browser, tmp_path):
    gateway, station = site
    await station.fault(1)
    async with chromium(browser, tmp_path / "profile") as page:
        await page.open(gateway.urls["http"])
        await page.until(f"{EVSE} && {EVSE}.textContent.includes('Faulted')")
        await page.js(f"{EVSE}.querySelector('input').value = 'CARD-1'")
        await page.js(f"{EVSE}.querySelector('.start').click()")
        await page.until(f"/^start: Rejected/.test({EVSE}.querySelector('output').textContent)")
        assert await page.js(f"{EVSE}.querySelector('output').className") == "bad"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_at_phone_width_nothing_is_cut_off_and_text_can_be_read(site, browser, tmp_path, dark):
    gateway, _ = site
    contrast = """(() => {
        const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
        const back = (node) => {
            for (; node; node = node.parentElement) {
                const colour = rgb(getComputedStyle(node).backgroundColor);
                if (colour.length === 3 || colour[3] > 0) return colour;
            }
            return [255, 255, 255];
        };
        return [...document.querySelectorAll('h1,h2,h3,small,span,td,th,dt,dd,button,li')]
            .filter((node) => node.textContent.trim() && node.offsetParent && !node.disabled)
            .map((node) => {
                const [a, b] = [light(rgb(getComputedStyle(node).color)), light(back(node))].sort((x, y) => y - x);
                return [(a + 0.05) / (b + 0.05), node.textContent.slice(0, 30)];
            }).filter(([ratio]) => ratio < 4.5);
    })()"""
    async with chromium(browser, tmp_path / "profile") as page:
        await page.open(gateway.urls["http"], width=360, height=800, dark=dark)
        await page.until(f"{EVSE} && {EVSE}.textContent.includes('Available')")
        assert await page.js("document.documentElement.scrollWidth") <= 360
        assert await page.js(contrast) == []  # WCAG 2.2, 1.4.3
        unnamed = "(n) => !n.textContent && !n.ariaLabel && !n.labels?.length"
        assert await page.js(f"[...document.querySelectorAll('button,input')].filter({unnamed}).length") == 0


@pytest.mark.parametrize("site", ['api_keys = ["a-key-of-the-site"]'], indirect=True)
async def test_a_site_with_a_key_asks_for_it_and_then_goes_live(site, browser, tmp_path):
    gateway, _ = site
    async with chromium(browser, tmp_path / "profile") as page:
        await page.open(gateway.urls["http"])
        await page.until("document.querySelector('#login').open")
        fill = "document.querySelector('#login-key').value = {!r}; document.querySelector('#login button').click()"
        await page.js(fill.format("wrong"))
        await page.until("document.querySelector('#login-answer').textContent === 'That key is not known.'")
        await page.js(fill.format("a-key-of-the-site"))
        await page.until("document.querySelector('#link').textContent === 'live'")
        assert not await page.js("document.querySelector('#login').open")


async def test_after_a_restart_of_the_gateway_the_page_comes_back_by_itself(tmp_path, browser, free_port):
    text = SITE.format(http="").replace("[http]\nport = 0", f"[http]\nport = {free_port()}")
    async with chromium(browser, tmp_path / "profile") as page:
        for round in range(2):
            gateway = Gateway(parse(text, file="site.toml", base=tmp_path))
            life = asyncio.ensure_future(gateway.run())
            await asyncio.wait_for(gateway.started.wait(), 20)
            if round == 0:
                await page.open(gateway.urls["http"])
            await page.until("document.querySelector('#link').textContent === 'live'")
            gateway.stop()
            await asyncio.wait_for(life, 20)
            await page.until("document.querySelector('#link').textContent.startsWith('offline')")
