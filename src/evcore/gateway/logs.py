"""Log lines: one line a record, `time level=... logger=... msg="..."`, with every secret masked."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import sys
import time
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

from evcore.masking import HIDDEN
from evcore.model import rfc3339

LONGEST = 16_384  # characters of one line: a peer must not fill the disk with one message

# What a peer or a library may write by itself: user and password of a URL, an Authorization header, and the settings of
# OCPP that hold a password (1.6 security white paper: AuthorizationKey; 2.0.1 SecurityCtrlr.BasicAuthPassword).
_PATTERNS = (
    (re.compile(r"(://)[^/\s\"'@]+@"), r"\1" + HIDDEN + "@"),
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer)\s+)[^\s\"',}]+"), r"\1" + HIDDEN),
    (
        re.compile(
            r"(?i)((?:authorizationkey|basicauthpassword)[\"']?"
            r"(?:\s*[,}]*\s*[\"'](?:value|attribute_?value)[\"'])?\s*[:=]\s*[\"']?)[^\s\"',}]+"
        ),
        r"\1" + HIDDEN,
    ),
)


class Masker:
    """Replaces the secrets given, in every spelling a log may hold them in, and what looks like one."""

    def __init__(self, secrets: Iterable[str | bytes] = ()) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret) if spelling}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class LineFormatter(logging.Formatter):
    """A record as one line; a traceback becomes a field of it."""

    def __init__(self, mask: Masker) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        fields = [
            rfc3339(int(record.created * 1000) * 1_000_000),
            f"level={record.levelname.lower()}",
            f"logger={record.name}",
            f"msg={_quoted(self._mask(record.getMessage()))}",
        ]
        if record.exc_info and record.exc_info[1] is not None:
            fields.append(f"traceback={_quoted(self._mask(self.formatException(record.exc_info)))}")
        line = " ".join(fields)
        return line if len(line) <= LONGEST else line[:LONGEST] + "..."


def set_up(level: str = "info", secrets: Iterable[str | bytes] = (), stream: TextIO | None = None) -> None:
    """Send all logs of the process to `stream` (default: stderr), from `level` on; replaces what was set up before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(Masker(secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("asyncio", "can", "pymodbus", "aiohttp.access", "amqtt", "transitions"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.Formatter.converter = time.gmtime


def _quoted(text: str) -> str:
    """As a JSON string: no line break, no quote and no control character of a peer ends the field or the line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f").replace("\u2028", "\\u2028")


def _spellings(secret: str | bytes) -> Iterable[str]:
    if isinstance(secret, bytes):
        yield binascii.hexlify(secret).decode()
        yield binascii.hexlify(secret).decode().upper()
        yield repr(secret)[2:-1]
        yield base64.b64encode(secret).decode()
        return
    yield secret
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode()
