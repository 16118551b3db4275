"""HTTP: REST with OpenAPI 3.1, a live feed, Prometheus metrics, and the dashboard."""

from __future__ import annotations

from evcore.backends.http.backend import HttpBackend
from evcore.backends.http.tls import server_context

__all__ = ["HttpBackend", "server_context"]
