from typing import Any, final

from typing_extensions import Buffer

@final
class Frame:
    type: int
    id: str
    action: str | None
    payload: Any
    payload_span: tuple[int, int] | None
    error_code: str | None
    error_description: str | None
    error_details: dict[str, Any] | None
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
        error_details: dict[str, Any] | None = None,
    ) -> None: ...
    __hash__: None  # type: ignore[assignment]

def scan(data: Buffer | str, max_size: int = 65536, max_depth: int = 32, types: int = 0b1111100) -> Frame: ...
