from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, final

from typing_extensions import Buffer, disjoint_base

from evcore.core.ocpp_schema import Tables
from evcore.errors import MessageError, PayloadError

@final
class Frame:
    __match_args__: ClassVar[tuple[str, str, str, str]]
    action: str | None
    payload: Any
    payload_span: tuple[int, int] | None
    mended: bytes | None
    repairs: tuple[Any, ...]
    @property
    def type(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def repeated(self) -> bool: ...
    @property
    def error_code(self) -> str | None: ...
    @property
    def error_description(self) -> str | None: ...
    @property
    def error_details(self) -> Any: ...
    def __init__(
        self,
        type: int,
        id: str,
        action: str | None = None,
        payload: Any = None,
        payload_span: tuple[int, int] | None = None,
        *,
        error_code: str | None = None,
        error_description: str | None = None,
        error_details: Any = None,
        repairs: tuple[Any, ...] = (),
    ) -> None: ...
    __hash__: None  # type: ignore[assignment]

class _Limits(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def nodes(self) -> int: ...

@disjoint_base
class Decoder:
    @property
    def version(self) -> str: ...
    @property
    def limits(self) -> Any: ...
    @property
    def formats(self) -> bool: ...
    @property
    def tables(self) -> Tables: ...
    def __init__(
        self,
        tables: Tables,
        types: int,
        limits: _Limits,
        *,
        judge: str = "strict",
        exact: Collection[str] | bool = False,
        formats: bool = False,
    ) -> None: ...
    def scan(self, data: Buffer | str) -> Frame: ...
    def check(self, data: Buffer | str, *, action: str | Mapping[str, str] | None = None) -> Frame: ...
    def decode(
        self,
        data: Buffer | str,
        *,
        names: Literal["snake", "wire"] = "snake",
        action: str | Mapping[str, str] | None = None,
    ) -> Frame: ...
    def reread(
        self, data: Buffer | str, action: str | Mapping[str, str] | None, names: str | None, judged: bool
    ) -> Frame: ...
    def refused(
        self, error: MessageError, data: bytes, action: str | Mapping[str, str] | None, names: str | None
    ) -> Frame: ...
    def violation(
        self, frame: Frame, rule: str, limit: Any, steps: Sequence[str | int], text: bytes | None, count: int
    ) -> PayloadError: ...

DETAILS: tuple[str, ...]
RULES: tuple[str, ...]

def is_date_time(text: str) -> bool: ...
def is_uri(text: str) -> bool: ...
def scan(
    data: Buffer | str,
    max_size: int = 65536,
    max_depth: int = 32,
    types: int = 0b1111100,
    max_nodes: int = 65536,
) -> Frame: ...
