"""The dashboard's files, from the package, held in memory: what is not in the package cannot be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. etag: strong, quoted."""

    body: bytes
    media: str
    etag: str


def load(package: str = "evcore.dashboard") -> dict[str, Asset]:
    """Path -> file; "/" is index.html. Empty where there is no such folder."""
    parent, _, name = package.rpartition(".")
    folder = files(parent) / name
    found: dict[str, Asset] = {}
    if folder.is_dir():
        _collect(folder, "/", found)
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, Asset]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            if not entry.name.startswith((".", "_")):
                _collect(entry, f"{prefix}{entry.name}/", found)
            continue
        media = MEDIA.get(entry.name[entry.name.rfind(".") :])
        if media is not None:
            body = entry.read_bytes()
            found[prefix + entry.name] = Asset(body, media, f'"{sha256(body).hexdigest()[:32]}"')
