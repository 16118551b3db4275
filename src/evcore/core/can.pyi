from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from typing_extensions import Buffer

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
    values: Sequence[tuple[int, int]]
    known: Sequence[tuple[int, int]] | None

class MessagePlan:
    name: str
    names: tuple[str, ...]
    def __init__(self, name: str, length: int, signals: Sequence[SignalSpec]) -> None: ...
    @property
    def length(self) -> int: ...
    def decode(
        self, data: Buffer, choices: bool = True, scaling: bool = True, allow_truncated: bool = False
    ) -> dict[str, Any]: ...

class Decoders:
    name: str
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
