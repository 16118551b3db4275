"""What all tests share: real peers, data from elsewhere, free ports."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test depends on speed: a busy machine is no failure.
settings.register_profile("evcore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("evcore")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def missing(what: str) -> None:
    """A missing real peer is a skip on a desk and a failure in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """program("mosquitto"): its path; skips, or fails in CI, where it is not installed."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            missing(name)
        return str(path)

    return find


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of logs, databases and vectors made elsewhere; tests that use it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared test data is absent")
    return SHARED_DATA


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A TCP port of the loopback that was free a moment ago."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
