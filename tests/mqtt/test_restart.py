"""Gateways that fall and come back."""

from __future__ import annotations

import asyncio
import sys
import textwrap

from evcore.backends import MqttBackend
from evcore.model import Station

ROOT = "evcore/v1/site"
GATEWAY = """
    import asyncio, sys
    from evcore.backends import MqttBackend
    from evcore.local import LocalHub
    from evcore.model import Station

    hub = LocalHub()
    hub.publish(Station("CP1", True, vendor="V", since_ns=1))
    hub.publish(Station("CP2", True, vendor="V", since_ns=1))
    asyncio.run(MqttBackend(sys.argv[1], node="n1").run(hub))
"""


async def test_after_kill_9_the_will_speaks_and_the_next_life_marks_what_is_gone_as_offline(
    mosquitto, watch, run, hub, until
):
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    gateway = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(GATEWAY), mosquitto.url)
    try:
        await until(lambda: watcher.last(f"{ROOT}/CP1/status") and watcher.last(f"{ROOT}/CP2/status"))
    finally:
        gateway.kill()  # SIGKILL: no last word
        await gateway.wait()
    status = f"{ROOT}/$gateway/n1/status"
    await until(lambda: [m.payload for m in watcher.on(status)] == [b"online", b"offline"])
    assert watcher.last(f"{ROOT}/CP1/status")["online"] is True
    hub.publish(Station("CP2", True, vendor="V", since_ns=2))
    await run(MqttBackend(mosquitto.url, node="n1"))
    await until(lambda: watcher.last(f"{ROOT}/CP1/status")["online"] is False)
    assert watcher.last(f"{ROOT}/CP1/status")["vendor"] == "V"
    assert all(m.payload for m in watcher.messages), "a retained value was deleted"
    assert watcher.last(f"{ROOT}/CP2/status")["online"] is True


async def test_what_another_node_left_is_not_ours_to_say(mosquitto, watch, run, hub, until):
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    for node, body in (
        ("CPx", b'{"online":true,"node":"n2"}'),
        ("CPy", b"junk"),
        ("CPz", b'{"online":true,"node":"n1"}'),
    ):
        watcher.publish(f"{ROOT}/{node}/status", body, retain=True)
    await until(lambda: watcher.on(f"{ROOT}/CPz/status"))
    await run(MqttBackend(mosquitto.url, node="n1"))
    await until(lambda: watcher.last(f"{ROOT}/CPz/status")["online"] is False)
    assert len(watcher.on(f"{ROOT}/CPx/status")) == len(watcher.on(f"{ROOT}/CPy/status")) == 1
