"""Read a meter once by its profile and print what it measures.

Run: python examples/read_meter.py tcp://192.168.1.20:502 sdm630
     python examples/read_meter.py "rtu:///dev/ttyUSB0?baudrate=9600" sdm120 --unit 3
"""

import argparse
import asyncio

from evcore.errors import EvcoreError
from evcore.modbus import Plan, Profile, connect


async def read(url: str, profile: Profile, unit: int) -> None:
    plan = Plan(profile)
    async with connect(url) as client:
        for step in plan.steps:
            registers = await client.request(step.request(unit))
            for point, raw in step.decode(registers):
                value = point.exact(raw)
                print(f"{point.name:20} {'-' if value is None else f'{value:f}'} {point.unit}")


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("url")
arguments.add_argument("profile", help=f"a TOML file, or one of {', '.join(Profile.names())}")
arguments.add_argument("--unit", type=int, default=1)
options = arguments.parse_args()
try:
    asyncio.run(read(options.url, Profile.load(options.profile), options.unit))
except EvcoreError as error:
    raise SystemExit(f"{type(error).__name__}: {error}") from None
