from typing import Any, ClassVar, final

from typing_extensions import Buffer

@final
class Frame:
    __match_args__: ClassVar[tuple[str, str, str, str]]
    action: str | None
    payload: Any
    error_details: Any
    mended: bytes | None
    repairs: tuple[Any, ...]
    @property
    def type(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def payload_span(self) -> tuple[int, int] | None: ...
    @property
    def error_code(self) -> str | None: ...
    @property
    def error_description(self) -> str | None: ...
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
    ) -> None: ...
    __hash__: None  # type: ignore[assignment]

DETAILS: tuple[str, ...]

def scan(data: Buffer | str, max_size: int = 65536, max_depth: int = 32, types: int = 0b1111100) -> Frame: ...
