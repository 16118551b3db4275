from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self, TypedDict, type_check_only

from typing_extensions import Buffer, disjoint_base

@type_check_only
class SignalSpec(TypedDict):
    name: str
    start: int
    bits: int
    big_endian: bool
    kind: Literal["unsigned", "signed", "float"]
    factor: float
    offset: float
    choices: Mapping[int, Any] | None
    selector: int | None
    values: Iterable[tuple[int, int]]
    known: Iterable[tuple[int, int]] | None

@disjoint_base
class MessagePlan:
    def __new__(cls, name: str, length: int, signals: Iterable[SignalSpec]) -> Self: ...
    @property
    def name(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def length(self) -> int: ...
    def decode(
        self, data: Buffer, choices: bool = True, scaling: bool = True, allow_truncated: bool = False
    ) -> dict[str, Any]: ...

@disjoint_base
class Decoders:
    @property
    def name(self) -> str: ...
    def __init__(
        self, plans: dict[int, MessagePlan | Callable[[Buffer, bool, bool, bool], dict[str, Any]]], name: str
    ) -> None: ...
    def decode(
        self,
        frame_id: int,
        data: Buffer,
        *,
        choices: bool = True,
        scaling: bool = True,
        allow_truncated: bool = False,
    ) -> dict[str, Any]: ...
