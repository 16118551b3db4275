"""Names that are imported when they are first used can be found before that."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    "package", ["evcore", *(f"evcore.{name}" for name in ("backends", "can", "chargers", "meters", "ocpp", "sim"))]
)
def test_dir_lists_every_public_name(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
