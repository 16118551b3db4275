"""A charging station that charges once, against any CSMS.

Run: python examples/station.py ws://127.0.0.1:9000 CP1 --version 2.0.1 --token CARD-1 --seconds 5
"""

import argparse
import asyncio

from evcore.sim import SimStation


async def charge(options: argparse.Namespace) -> None:
    station = SimStation(options.url, options.identity, version=options.version, password=options.password, speed=60)
    life = asyncio.create_task(station.run())
    await station.online.wait()
    if await station.plug_in(1, options.token):
        await asyncio.sleep(options.seconds)
        await station.unplug(1)
        await station.queue.drained()
    for answered in station.answers:
        print(f"{answered.action:24} {answered.error or answered.answer}")
    print(f"{station.energy_wh:.1f} Wh")
    life.cancel()


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("url")
arguments.add_argument("identity")
arguments.add_argument("--version", choices=["1.6", "2.0.1", "2.1"], default="1.6")
arguments.add_argument("--token", default="CARD-1")
arguments.add_argument("--password")
arguments.add_argument("--seconds", type=float, default=5)
asyncio.run(charge(arguments.parse_args()))
