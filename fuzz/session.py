"""An input of libFuzzer as a story of two OCPP sessions: one step a line, its first byte says which.

The first line is the version, 0 to 2, and whether the station is known from before. `python fuzz/session.py FILE ...`
plays inputs again, without libFuzzer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIDES = ("csms", "station")
STATUS = ("Accepted", "Pending", "Rejected")
HOW = ("answer", "twice", "refuse", "nonsense")
MOST = 100  # steps of an input


def prepare(core: str, counters: memoryview) -> Callable[[bytes], None]:
    """core: where the extensions under sanitizers are; they take the place of the installed ones."""
    import evcore.core

    for name in ("ocpp_schema", "ocpp_encode", "ocpp"):
        [file] = Path(core).glob(f"{name}.*so")
        loader = ExtensionFileLoader(f"evcore.core.{name}", str(file))
        module = module_from_spec(spec_from_loader(loader.name, loader))
        sys.modules[loader.name] = module
        loader.exec_module(module)
        setattr(evcore.core, name, module)
    from evcore.ocpp.codec import Frame

    if not str(sys.modules[Frame.__module__].__file__).startswith(core):
        raise RuntimeError("the codec is not the one under sanitizers")
    return player(counters)


def player(counters: memoryview) -> Callable[[bytes], None]:
    sys.path.insert(0, str(ROOT / "tests"))
    from two_sessions import VERSIONS, TwoSessions

    def told(side: str, what: Any) -> None:
        """An event or a message: what kind of it is what libFuzzer is told."""
        if isinstance(what, bytes):
            kind: Any = what[:2]
        else:
            kind = (type(what).__name__, getattr(what, "reason", None) or getattr(what, "outcome", None))
        counters[hash((side, kind)) % len(counters)] = 1

    def play(data: bytes) -> None:
        first, *lines = data.split(b"\n")[: MOST + 1]
        numbers = [*first[:2], 0, 0]
        world = TwoSessions(VERSIONS[numbers[0] % 3], bool(numbers[1] & 1), told)
        for line in lines:
            step(world, line)
            world.check()
            for side, end in world.ends.items():
                state = (side, end.session.registration, len(end.session._calls), len(end.to_answer))
                counters[hash(state) % len(counters)] = 1
        world.hang_up()

    return play


def step(world: Any, line: bytes) -> None:
    a, b, c = (*line[1:4], 0, 0, 0)[:3]
    side = SIDES[a & 1]
    match line[:1]:
        case b">":
            world.say("csms", line[1:])
        case b"<":
            world.say("station", line[1:])
        case b"d":
            for _ in range(1 + a % 8):
                world.deliver()
        case b"o":
            world.deliver(a)
        case b"l":
            world.lose(a)
        case b"x":
            world.double(a)
        case b"s":
            world.spoil(a, b, c)
        case b"f":
            world.forge(side, 2 + b % 6, c)
        case b"w":
            world.wait(1 + a % 40)
        case b"k":
            world.call(side, (5, 30)[b & 1], None if c % 5 == 4 else c % 5)
        case b"b":
            world.boot(STATUS[a % 3])
        case b"t":
            world.trigger(("Heartbeat", "StatusNotification")[a & 1])
        case b"n":
            world.send(side)
        case b"q":
            world.cancel(side, b)
        case b"a":
            world.answer(side, b, HOW[c % 4])
        case b"u":
            world.refuse_result(side, b)
        case b"r":
            world.reconnect(bool(a & 1))
        case _:
            pass


if __name__ == "__main__":
    replay = player(memoryview(bytearray(4096)))
    for name in sys.argv[1:]:
        replay(Path(name).read_bytes())
