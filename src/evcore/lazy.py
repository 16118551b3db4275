"""Names of a package that are imported when they are first used, so that nobody pays for a library he does not use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def listing(package: str) -> Callable[[], list[str]]:
    """The package's module `__dir__`: what it has so far, and what it would import."""

    def names() -> list[str]:
        module = vars(sys.modules[package])
        return sorted({*module, *module["__all__"]})

    return names


def exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The package's module `__getattr__` (PEP 562). homes: name -> the module that has it, or that is it."""

    def get(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(home)
        return module if home == f"{package}.{name}" else getattr(module, name)

    return get
