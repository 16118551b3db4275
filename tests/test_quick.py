"""Dataclasses that are made quickly are frozen dataclasses in all else."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import pytest

from evcore.model import Sample, Session, SessionRecord
from evcore.quick import changed

SAMPLE = Sample("CP1", "Voltage", 230.1, "V", 17, phase="L1")
SESSION = Session("s", "CP1", 1, "t", "active", 17)


@dataclass(frozen=True, slots=True)
class Slow:
    source: str
    measurand: str
    value: float = 1.0


@pytest.mark.parametrize("item", [SAMPLE, SESSION])
def test_what_is_made_is_of_its_class_and_frozen(item: Any) -> None:
    assert type(item) in (Sample, Session)
    for name in [spec.name for spec in fields(item)]:
        with pytest.raises(FrozenInstanceError):
            setattr(item, name, 1)
        with pytest.raises(FrozenInstanceError):
            delattr(item, name)


def test_arguments_are_those_of_the_dataclass() -> None:
    assert list(inspect.signature(Sample).parameters) == [spec.name for spec in fields(Sample)]
    assert Sample(source="CP1", measurand="Voltage", value=230.1, unit="V", time_ns=17, phase="L1") == SAMPLE
    assert SAMPLE.location == "Outlet"
    with pytest.raises(TypeError):
        Sample("CP1")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Sample("CP1", "Voltage", 1.0, "V", 17, phases="L1")  # type: ignore[call-arg]


def test_equality_hash_and_text_are_those_of_the_dataclass() -> None:
    assert replace(SAMPLE) == SAMPLE
    assert hash(replace(SAMPLE)) == hash(SAMPLE)
    assert replace(SAMPLE, value=1.0) != SAMPLE
    assert repr(SAMPLE).startswith("Sample(source='CP1', measurand='Voltage', value=230.1,")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_copies_are_equal_and_frozen(again: Any) -> None:
    for item in (SAMPLE, SESSION):
        copied = again(item)
        assert copied == item
        with pytest.raises(FrozenInstanceError):
            setattr(copied, fields(copied)[0].name, "x")


@pytest.mark.parametrize("item", [SAMPLE, Slow("a", "b")])
def test_changed_makes_what_replace_makes(item: Any) -> None:
    assert changed(item, value=2.5, measurand="Power") == replace(item, value=2.5, measurand="Power")
    assert type(changed(item)) is type(item)
    with pytest.raises(TypeError):
        changed(item, colour="red")


def test_a_field_may_have_any_name_and_be_given_by_it() -> None:
    record = SessionRecord(station="CP1", kind="start", time_ns=1, payload=b"")
    assert replace(record, kind="end", time_ns=2).kind == "end"
    assert changed(record, kind="update").kind == "update"
