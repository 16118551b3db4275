"""Errors as RFC 9457 problem details (application/problem+json), always."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from evcore.backends.http.encode import encode

MEDIA = "application/problem+json"


class ProblemError(Exception):
    """Ends a request with this status. kind: becomes the problem's type; extensions: further members of the body."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        self.status, self.detail, self.kind, self.headers = status, detail, kind, dict(headers or {})
        self.extensions = extensions
        super().__init__(f"{status}: {detail}")

    def body(self) -> bytes:
        fields: dict[str, Any] = {
            "type": f"tag:evcore,2026:{self.kind}" if self.kind else "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
        }
        if self.detail:
            fields["detail"] = self.detail
        return encode(fields | self.extensions)
