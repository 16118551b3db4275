"""What the payment provider's client makes of answers and webhooks that no provider should send."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from aiohttp import web

from evcore.backends.psp import GenericProvider
from evcore.backends.webhooks import secret_bytes, sign, verify
from evcore.errors import LinkError, MessageError, RefusedError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOOD = {"id": "pay_1", "status": "pending", "redirect_url": "https://pay.example/1"}


@contextlib.asynccontextmanager
async def provider(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = GenericProvider("psp", url, api_key="key-4711", webhook_secrets=[SECRET], timeout_s=5)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def answering(body, status=200):
    async def handle(request):
        return web.Response(body=body if isinstance(body, bytes) else json.dumps(body).encode(), status=status)

    return handle


async def test_an_answer_that_comes_in_pieces_is_read_whole():
    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in json.dumps(GOOD).encode():
            await response.write(bytes([byte]))
        return response

    async with provider(handle) as client:
        assert (await client.authorize("p", 1, "EUR", "k")).ref == "pay_1"


async def test_an_answer_without_end_is_cut_off():
    sent = 0

    async def handle(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30:
                await response.write(b" " * 65536)
                sent += 65536
        return response

    async with provider(handle) as client:
        with pytest.raises(LinkError, match="at most 65536"):
            await client.authorize("p", 1, "EUR", "k")
    assert sent < 1 << 26


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_url": "javascript:alert(1)"},
        {"redirect_url": {"a": 1}},
        {"redirect_url": "https://pay.example/" + "x" * 3000},
        {"redirect_url": "https://pay.example/\r\nSet-Cookie: a=b"},
        {"captured": "1"},
        {"captured": 1.5},
        {"captured": True},
        {"captured": -1},
        {"captured": 2**70},
        {"id": 7},
        {"id": ""},
        {"id": ".."},
        {"id": "x" * 5000},
        {"status": "paid"},
        {"status": ["captured"]},
    ],
)
async def test_an_answer_of_wrong_types_is_no_answer(wrong):
    async with provider(answering(GOOD | wrong)) as client:
        with pytest.raises(LinkError, match=next(iter(wrong))):
            await client.authorize("p", 1, "EUR", "k")


@pytest.mark.parametrize(
    ("status", "kind"), [(301, LinkError), (307, LinkError), (408, LinkError), (429, LinkError), (503, LinkError)]
)
async def test_what_may_pass_is_tried_again_and_no_redirect_is_followed(status, kind):
    asked = []

    async def handle(request):
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with provider(handle) as client:
        with pytest.raises(kind):
            await client.capture("pay_1", 1, "k")
    assert asked == ["/payments/pay_1/capture"]


async def test_a_refusal_does_not_show_the_key():
    async with provider(answering({"error": "no"}, 422)) as client:
        with pytest.raises(RefusedError, match="HTTP 422") as caught:
            await client.authorize("p", 1, "EUR", "k")
        assert "key-4711" not in repr(caught.value) + repr(client)


async def test_a_reference_cannot_leave_its_place_in_the_url():
    asked = []

    async def handle(request):
        asked.append(request.raw_path)
        return web.json_response(GOOD | {"status": "voided"})

    async with provider(handle) as client:
        await client.void("../../admin?x#y", "k")
    assert asked == ["/payments/..%2F..%2Fadmin%3Fx%23y/void"]


@pytest.mark.parametrize(
    "data",
    [
        *({}, None, 7, "text", []),
        *({"id": "p"}, {"captured": "12"}, {"captured": 2**80}, {"id": None}, {"id": ["p"]}),
        *({"reference": ["r"]}, {"status": None}),
    ],
)
async def test_a_signed_webhook_that_makes_no_sense_is_not_understood(data):
    if isinstance(data, dict) and data:
        data = {"id": "pay_1", "reference": "r", "status": "captured"} | data
        if data == {"id": "p", "reference": "r", "status": "captured"}:
            del data["reference"]
    body, now = json.dumps({"type": "x", "data": data}).encode(), int(time.time())
    signature = sign(secret_bytes(SECRET), "m", now, body)
    headers = {"webhook-id": "m", "webhook-timestamp": str(now), "webhook-signature": signature}
    client = GenericProvider("psp", "http://127.0.0.1:9", api_key="key", webhook_secrets=[SECRET])
    with pytest.raises(MessageError):
        client.parse_webhook(headers, body, now)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_headers_that_are_no_text_are_a_bad_signature(name):
    client = GenericProvider("psp", "http://127.0.0.1:9", api_key="key", webhook_secrets=[SECRET])
    headers = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"} | {name: "\udcff\udcfe"}
    with pytest.raises(PermissionError):
        client.parse_webhook(headers, b"{}", 1.0)


def test_the_signature_of_the_standard_webhooks_specification():
    # The worked example of the specification, "Signature scheme".
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == signature
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1,AAAA v2,x {signature}",
    }
    assert verify([b"y" * 24, key], headers, body, 1614265330 + 299) == headers["webhook-id"]


@pytest.mark.parametrize("secret", ["whsec_", "whsec_***", "whsec_c2hvcnQ="])
def test_a_bad_secret_is_refused_without_being_shown(secret):
    with pytest.raises(ValueError) as caught:
        secret_bytes(secret)
    assert secret not in str(caught.value)
