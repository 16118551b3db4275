"""An example is read in a minute; that each runs is tested in the room that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LONGEST = {"durable_csms.py": 55, "fastapi_csms.py": 42}  # one shows the store too, one an HTTP service
TESTS = "".join(path.read_text() for path in (ROOT / "tests").glob("*/test_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_15_to_40_lines_and_a_test_that_runs_it(example: Path) -> None:
    assert 15 <= len(example.read_text().splitlines()) <= LONGEST.get(example.name, 40)
    assert f'"{example.name}"' in TESTS
