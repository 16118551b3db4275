"""Decode a CAN log with a database (DBC, KCD, SYM, ARXML), faster than the bus can fill it.

Run: python examples/decode_can.py LOG DATABASE [--frames N]      (candump, SavvyCAN CSV, and all that python-can reads)
"""

import argparse

from evcore.can import Database, read_log
from evcore.errors import FrameError, PayloadError

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("log")
arguments.add_argument("database")
arguments.add_argument("--frames", type=int, default=None, help="end after so many")
options = arguments.parse_args()

database = Database.load(options.database)
log = read_log(options.log)
decoded = unknown = broken = 0
for number, frame in enumerate(log):
    if number == options.frames:
        break
    try:
        values = database.decode(frame.id, frame.data)
    except FrameError:  # an identifier that the database does not have
        unknown += 1
    except PayloadError as error:
        broken += 1
        print(frame, error)
    else:
        decoded += 1
        print(f"{frame.time_ns / 1e9:.6f}", ", ".join(f"{name}={value}" for name, value in values.items()))
print(f"{decoded} decoded, {unknown} unknown, {broken} broken, {log.broken} lines that are no frame")
