"""Watch a car charge: the CAN bus of a GB/T 27930 charger becomes a vehicle, its samples and its events.

Run: python examples/watch_car.py [--seconds 10]                  (no hardware: a simulated car on a virtual bus)
     python examples/watch_car.py --interface socketcan --channel can0 --seconds 3600
"""

import argparse
import asyncio

from evcore.local import LocalHub
from evcore.meters import CanSource
from evcore.model import Event, Item, Sample, Vehicle
from evcore.sim import Battery, GbtSession


def show(item: Item) -> None:
    match item:
        case Vehicle():
            print(f"{item.id} at {item.station}: {item.stage} {item.vin} {dict(item.limits)}")
        case Sample():
            print(f"{item.measurand:20} {item.value:10.1f} {item.unit}")
        case Event():
            print(item.kind, item.text)


async def main(interface: str, channel: str, seconds: float) -> None:
    source = CanSource(interface, channel, observer="gbt27930", vehicle="car-1", station="CP-1", evse=1)
    tasks = [asyncio.create_task(source.run(LocalHub(on_item=show)))]
    await source.started.wait()
    if interface == "virtual":
        tasks.append(asyncio.create_task(GbtSession(channel, battery=Battery(soc=35), speed=60).run()))
    await asyncio.wait(tasks, timeout=seconds)


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--interface", default="virtual")
arguments.add_argument("--channel", default="bay-1")
arguments.add_argument("--seconds", type=float, default=10.0)
asyncio.run(main(**vars(arguments.parse_args())))
