"""Start of a process that imports the package: a fresh interpreter each time, beside one that imports nothing.

`import ocpp.v16` is what a user of mobilityhouse/ocpp imports for a station or CSMS of OCPP 1.6. All three times
contain the start of the interpreter, which the bare one shows.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

CONTESTANTS = {"evcore": "import evcore", "ocpp.v16": "import ocpp.v16", "bare python": "pass"}


def run(code: str) -> str:
    # -I: neither the folder of the benches nor the user's environment takes part.
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_import(benchmark: Any, contestant: str) -> None:
    code = CONTESTANTS[contestant]
    names = run(f"import sys; {code}; print(*sorted(name for name in sys.modules))").split()
    assert contestant == "bare python" or contestant in names
    benchmark(run, code)
