"""The docs say what the code does: diagrams are drawn from it, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_state_diagrams_are_those_of_the_code():
    done = subprocess.run([sys.executable, ROOT / "docs" / "make.py", "--check"], check=False)
    assert done.returncode == 0, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_page_on_lenient_mode_prints_what_it_says():
    page = (ROOT / "docs" / "ocpp-lenient.md").read_text()
    code, printed = re.search(r"```python\n(.*?)```\s+prints\s+```\n(.*?)```", page, re.DOTALL).groups()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == printed


def test_the_example_on_the_page_of_the_session_runs():
    page = (ROOT / "docs" / "ocpp-session.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert '[3,"1",' in done.stdout
