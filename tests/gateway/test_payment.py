"""Payments against a real HTTP provider that answers late, twice, with 500, and across crashes of the desk."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import time

import pytest
from aiohttp import web

from evcore.backends.psp import GenericProvider
from evcore.backends.webhooks import secret_bytes, sign
from evcore.errors import LinkError, RefusedError
from evcore.gateway.hub import Hub
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.payment import FINAL, TRANSITIONS, PaymentEvent, retry_ns, step
from evcore.gateway.payment_desk import PaymentDesk
from evcore.gateway.store import Store
from evcore.local import LocalHub
from evcore.model import Answer, Command, Payment, Session, SessionRecord, Station, Verb
from evcore.ports import KeyReused, PaymentOrder
from evcore.sim.psp import Faults, SimPsp

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ORDER = PaymentOrder("CP1", 1, 2000, "EUR", "psp")


def price(session: Session) -> tuple[int, str]:
    return round(session.energy_wh), "EUR"


class World:
    """A store, a hub, a station that answers, a provider with its webhooks, and the desk that may crash."""

    def __init__(self, path, **faults):
        self.store, self.hub, self.path = Store(path), LocalHub(), path
        self.commands: list[Command] = []
        self.reply, self.replies = Answer("Accepted", True), []
        self.psp = SimPsp(api_key="key", secret=SECRET, faults=Faults(**faults))
        self.settings: dict = {}

    async def __aenter__(self):
        await self.store.open()
        self.hub.serve("CP1", self._command)
        for id in ("CP1", "CP2"):
            self.hub.publish(Station(id, False))
        app = web.Application()
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.psp.webhook_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        await self.psp.start()
        self.start_desk()
        return self

    def start_desk(self):
        self.provider = GenericProvider("psp", self.psp.url, api_key="key", webhook_secrets=[SECRET])
        self.desk = PaymentDesk(self.store, self.hub, {"psp": self.provider}, price=price, **self.settings)
        self.task = asyncio.ensure_future(self.desk.run())

    async def crash_desk(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.provider.close()
        self.start_desk()

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.provider.close()
        await self.psp.stop()
        await self._runner.cleanup()
        await self.store.close()

    async def _command(self, command: Command) -> Answer:
        self.commands.append(command)
        return self.replies.pop(0) if self.replies else self.reply

    async def _hook(self, request: web.Request) -> web.Response:
        try:
            outcome = await self.desk.webhook("psp", request.headers, await request.read())
        except PermissionError as error:
            return web.Response(status=401, text=str(error))
        return web.Response(text=outcome)

    async def until(self, payment: str, *states: str) -> Payment:
        async with asyncio.timeout(20):
            while True:
                found = await self.desk.get(payment)
                if found.state in states:
                    return found
                await asyncio.sleep(0.005)

    def started(self, count: int = 1) -> list[Command]:
        return [command for command in self.commands if command.verb is Verb.START][-count:]

    async def session(self, command: Command, energy_wh: float) -> Session:
        """What the ledger does with the station's start and stop records."""
        session = Session(
            id=f"s-{command.args['token']}",
            station="CP1",
            evse=1,
            transaction_id="7",
            state="active",
            started_ns=time.time_ns(),
            token=command.args["token"],
        )
        session = await self.store.write(lambda conn: self.desk.hook.started(conn, session))
        self.hub.publish(session)
        session = dataclasses.replace(session, energy_wh=energy_wh, state="ended", cost=price_of(energy_wh))
        session = await self.store.write(lambda conn: self.desk.hook.ended(conn, session))
        self.hub.publish(session)
        return session


def price_of(energy_wh: float) -> int:
    return round(energy_wh)


async def paid(world: World, key: str = "k1") -> Payment:
    payment = await world.desk.create(ORDER, key)
    world.psp.pay(payment.provider_ref)
    return payment


async def test_an_order_is_paid_started_ended_and_captured_once_for_what_it_cost(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await paid(world)
        assert payment.redirect_url.startswith(world.psp.url)
        await world.until(payment.id, "starting")
        session = await world.session(await started(world), 1234.0)
        assert session.payment == payment.id
        done = await world.until(payment.id, "captured")
        assert (done.captured, done.cost, done.session) == (1234, 1234, session.id)
        assert world.psp.payments[payment.provider_ref].captures == [1234]


async def started(world: World) -> Command:
    async with asyncio.timeout(10):
        while not world.started():
            await asyncio.sleep(0.005)
    return world.started()[0]


async def test_never_more_is_captured_than_was_held(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await paid(world)
        await world.session(await started(world), 99_999.0)
        assert (await world.until(payment.id, "captured")).captured == ORDER.amount


async def test_a_refused_start_lets_the_hold_go(tmp_path):
    async with World(tmp_path / "p.db") as world:
        world.reply = Answer("Rejected", False, "cable missing")
        payment = await paid(world)
        done = await world.until(payment.id, "voided")
        assert "Rejected" in done.error
        assert world.psp.payments[payment.provider_ref].status == "voided"


async def test_a_session_without_energy_costs_nothing_and_lets_the_hold_go(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await paid(world)
        await world.session(await started(world), 0.0)
        await world.until(payment.id, "voided")
        assert world.psp.payments[payment.provider_ref].captures == []


async def test_nobody_plugs_in_and_the_hold_goes(tmp_path):
    async with World(tmp_path / "p.db") as world:
        world.desk._start_ns = 1
        payment = await paid(world)
        assert (await world.until(payment.id, "voided")).error == "no session started in time"


async def test_a_declined_card_fails_and_starts_nothing(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await world.desk.create(ORDER, "k1")
        world.psp.pay(payment.provider_ref, ok=False)
        await world.until(payment.id, "failed")
        assert world.commands == []


async def test_the_same_key_gives_the_same_payment_and_another_order_is_refused(tmp_path):
    async with World(tmp_path / "p.db") as world:
        first, second = await asyncio.gather(world.desk.create(ORDER, "k"), world.desk.create(ORDER, "k"))
        assert first.id == second.id
        assert len(world.psp.payments) == 1
        with pytest.raises(KeyReused):
            await world.desk.create(dataclasses.replace(ORDER, amount=1), "k")
        for wrong, why in (({"station": "CP9"}, "no charger 'CP9'"), ({"provider": "other"}, "no payment provider")):
            with pytest.raises(RefusedError, match=why):
                await world.desk.create(dataclasses.replace(ORDER, **wrong), "k2")


async def test_a_provider_that_is_down_leaves_the_order_open_for_the_same_key(tmp_path):
    async with World(tmp_path / "p.db", error_before=1.0) as world:
        with pytest.raises(LinkError):
            await world.desk.create(ORDER, "k")
        world.psp.faults.error_before = 0.0
        payment = await world.desk.create(ORDER, "k")
        assert payment.provider_ref is not None
        assert len(world.psp.payments) == 1


async def test_a_session_that_has_used_up_its_amount_is_told_to_stop_once(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await paid(world)
        command = await started(world)
        session = Session("s1", "CP1", 1, "7", "active", 1, token=command.args["token"])
        session = await world.store.write(lambda conn: world.desk.hook.started(conn, session))
        for energy in (100.0, 2000.0, 2100.0):
            world.hub.publish(dataclasses.replace(session, energy_wh=energy))
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while world.commands[-1].verb is not Verb.STOP:
                await asyncio.sleep(0.005)
        assert [c.args for c in world.commands if c.verb is Verb.STOP] == [{"session": "s1"}]
        assert (await world.desk.get(payment.id)).state == "charging"


async def test_a_stop_that_fails_is_asked_again(tmp_path):
    async with World(tmp_path / "p.db") as world:
        world.hub = Hub()
        world.hub.publish(Station("CP1", True))
        await world.crash_desk()
        world.hub.serve("CP1", world._command)
        await paid(world)
        session = Session("s1", "CP1", 1, "7", "active", 1, token=(await started(world)).args["token"])
        session = await world.store.write(lambda conn: world.desk.hook.started(conn, session))
        world.reply = Answer("Rejected", False)
        for energy in (2000.0, 2100.0):
            world.hub.publish(dataclasses.replace(session, energy_wh=energy))
            count = len(world.commands)
            async with asyncio.timeout(10):
                while len(world.commands) == count:
                    await asyncio.sleep(0.005)
        assert [c.verb for c in world.commands[-2:]] == [Verb.STOP, Verb.STOP]


async def test_a_station_that_refuses_since_it_charges_already_is_paid_all_the_same(tmp_path):
    """The first command got through although nobody heard the answer."""
    async with World(tmp_path / "p.db") as world:
        world.replies = [Answer("Timeout", False), Answer("Rejected", False, "occupied")]
        payment = await paid(world)
        token = (await started(world)).args["token"]
        world.hub.publish(Station("CP1", True))  # it is back: asked at once, not after the pause
        async with asyncio.timeout(10):
            while len(world.started(9)) < 2:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert (await world.desk.get(payment.id)).state == "starting"
        await world.session(Command("CP1", Verb.START, {"token": token}), 777.0)
        done = await world.until(payment.id, "captured")
        assert (done.captured, done.error) == (777, None)


async def test_a_payment_is_for_one_session(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await paid(world)
        token = (await started(world)).args["token"]
        assert (await world.desk.authorize("CP1", token)).status == "Accepted"
        ledger = StoreLedger(world.store, hooks=[world.desk.hook], more_tokens=[world.desk.authorize], price=price)
        records = [SessionRecord("CP1", "start", n, b"%d" % n, 1, 1, str(n), n, token) for n in (1, 2)]
        first, second = [await ledger.record(record) for record in records]
        assert (first.session.payment, first.authorization.status) == (payment.id, "Accepted")
        assert (second.session.payment, second.authorization.status) == (None, "Expired")
        assert (await ledger.record(records[0])).authorization.status == "Accepted"
        assert (await world.desk.authorize("CP2", token)) is None


async def test_a_session_that_proves_to_have_cost_something_when_the_hold_is_gone_is_for_a_human(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await paid(world)
        session = await world.session(await started(world), 0.0)
        await world.until(payment.id, "voided")
        late = dataclasses.replace(session, energy_wh=500.0, cost=500)
        await world.store.write(lambda conn: world.desk.hook.updated(conn, late))
        assert (await world.desk.get(payment.id)).state == "review"


async def test_a_webhook_that_is_lost_is_made_good_by_asking(tmp_path):
    async with World(tmp_path / "p.db") as world:
        world.psp.webhook_url = None
        payment = await paid(world)
        await world.crash_desk()  # it asks when it starts, and then every few seconds
        await world.until(payment.id, "starting")


async def test_a_hold_that_comes_to_light_after_the_order_was_given_up_is_let_go(tmp_path):
    async with World(tmp_path / "p.db", error_after=1.0) as world:
        world.desk._order_ns = 1
        with pytest.raises(LinkError):
            await world.desk.create(ORDER, "k")
        world.psp.faults.error_after = 0.0
        payment = (await world.desk.page())[0]
        await world.until(payment.id, "voided")
        world.psp.pay("pay_1")
        async with asyncio.timeout(10):
            while world.psp.payments["pay_1"].status != "voided":
                await asyncio.sleep(0.005)


async def test_a_station_that_does_not_answer_holds_up_no_other_payment(tmp_path):
    async with World(tmp_path / "p.db") as world:
        silent = asyncio.Event()

        async def never(command: Command) -> Answer:
            silent.set()
            return await asyncio.Future()

        world.hub.serve("CP2", never)
        stuck = await world.desk.create(dataclasses.replace(ORDER, station="CP2"), "k2")
        world.psp.pay(stuck.provider_ref)
        await asyncio.wait_for(silent.wait(), 10)
        payment = await paid(world)
        await world.session(await started(world), 5.0)
        await world.until(payment.id, "captured")


async def test_no_order_is_taken_in_a_currency_that_sessions_are_not_priced_in(tmp_path):
    async with World(tmp_path / "p.db") as world:
        world.desk._currency = "JPY"
        with pytest.raises(RefusedError, match="expected JPY"):
            await world.desk.create(ORDER, "k")
        assert world.psp.payments == {}


async def test_delays_duplicates_500s_and_crashes_capture_each_session_exactly_once(tmp_path):
    faults = {"error_before": 0.2, "error_after": 0.2, "duplicate": 0.5, "delay_s": 0.02}
    async with World(tmp_path / "p.db", **faults) as world:
        wanted: dict[str, int] = {}
        for number in range(8):
            for _ in range(50):
                try:
                    payment = await world.desk.create(ORDER, f"key-{number}")
                    break
                except LinkError:
                    continue
            world.psp.pay(payment.provider_ref)
            await world.until(payment.id, "starting")
            if number % 3 == 0:
                await world.crash_desk()
            async with asyncio.timeout(10):
                while len(world.started(99)) < number + 1:
                    await asyncio.sleep(0.005)
            await world.session(world.started()[0], 100.0 + number)
            wanted[payment.id] = 100 + number
            if number % 2 == 0:
                await world.crash_desk()
        for id, amount in wanted.items():
            done = await world.until(id, "captured", "review")
            assert (done.state, done.captured) == ("captured", amount)
            assert world.psp.payments[done.provider_ref].captures == [amount]


async def test_a_webhook_that_the_provider_did_not_sign_changes_nothing(tmp_path):
    async with World(tmp_path / "p.db") as world:
        payment = await world.desk.create(ORDER, "k")
        body = b'{"type":"x","data":{"id":"p","reference":"' + payment.id.encode() + b'","status":"authorised"}}'
        now = int(time.time())
        forged = {
            "webhook-id": "m",
            "webhook-timestamp": str(now),
            "webhook-signature": sign(b"x" * 32, "m", now, body),
        }
        with pytest.raises(PermissionError, match="does not match"):
            await world.desk.webhook("psp", forged, body)
        key = secret_bytes(SECRET)
        stale = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": sign(key, "m", 1, body)}
        with pytest.raises(PermissionError, match="timestamp"):
            await world.desk.webhook("psp", stale, body)
        good = {"Webhook-Id": "m", "webhook-timestamp": str(now), "webhook-signature": sign(key, "m", now, body)}
        assert await world.desk.webhook("psp", good, body) == "accepted"
        assert await world.desk.webhook("psp", good, body) == "duplicate"
        with pytest.raises(KeyError):
            await world.desk.webhook("nobody", good, body)


def test_every_state_is_reached_and_only_review_captured_and_voided_end_a_payment():
    reached = {"created", *TRANSITIONS.values()}
    leaving = {state for state, _ in TRANSITIONS}
    assert reached - leaving == {"captured", "review"}  # voided and failed may still turn into review or voiding
    assert reached >= FINAL


def test_a_step_that_the_table_does_not_have_is_none():
    payment = Payment("p", "psp", "captured", "CP1", 1, 1, "EUR", 1, 1)
    assert all(step(payment, event, 2) is None for event in PaymentEvent)


def test_waiting_grows_to_ten_minutes_and_no_further():
    assert [retry_ns(n) // 10**9 for n in (1, 2, 3, 30)] == [1, 2, 4, 600]
