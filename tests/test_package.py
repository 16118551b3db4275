"""What `import evcore` costs and promises."""

from __future__ import annotations

import subprocess
import sys

HEAVY = "ocpp jsonschema orjson can cantools pymodbus serial paho aiohttp msgspec picows uvloop rich typer numpy amqtt"


def test_import_evcore_loads_no_protocol_library():
    code = f"import sys, evcore; print([name for name in {HEAVY.split()!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_version_comes_from_one_place():
    from importlib.metadata import version

    import evcore

    assert version("evcore") == evcore.__version__
