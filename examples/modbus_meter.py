"""Follow a meter: a connector and a hub, without a gateway. Ends after --samples values.

Run: python examples/modbus_meter.py tcp://192.168.1.20:502 --profile sdm630 --samples 100
"""

import argparse
import asyncio

from evcore.local import LocalHub
from evcore.meters import ModbusMeter
from evcore.model import Health, Sample


async def follow(url: str, profile: str, samples: int) -> None:
    hub = LocalHub()
    news = hub.subscribe(Sample, Health)
    meter = asyncio.create_task(ModbusMeter(url, profile=profile, name="grid").run(hub))
    while samples > 0:
        match await news.get():
            case Sample(measurand=measurand, value=value, unit=unit, phase=phase, quality=quality):
                print(f"{measurand:32} {phase or '':5} {value:12.3f} {unit} {quality}")
                samples -= 1
            case Health(state=state, detail=detail):
                print(f"-- {state} {detail}")
    meter.cancel()


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("url")
arguments.add_argument("--profile", default="sdm630")
arguments.add_argument("--samples", type=int, default=50)
options = arguments.parse_args()
asyncio.run(follow(options.url, options.profile, options.samples))
