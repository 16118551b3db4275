"""The text of a log file, whichever program and system wrote it."""

from __future__ import annotations

import codecs

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PEEK = 4096  # bytes that tell UTF-16 without a mark, and what is no text


def text_of(data: bytes) -> str:
    """UTF-8, or UTF-16 and UTF-32 as Windows programs export them, with or without a byte order mark. Bytes that are no
    UTF-8 come as `surrogateescape` reads them, half a surrogate pair of UTF-16 as itself; a cut last unit is left out.
    """
    if data.startswith(_UTF32):
        return data[: len(data) & ~3].decode("utf-32", "replace")
    if data.startswith(_UTF16):
        return data[: len(data) & ~1].decode("utf-16", "surrogatepass")
    unmarked = _utf16_without_mark(data)
    if unmarked is not None:
        return data[: len(data) & ~1].decode(unmarked, "surrogatepass")
    return data.decode("utf-8-sig", "surrogateescape")


def kind_of(data: bytes) -> str:
    """What a file holds in which no frame was found: "none" for text without any."""
    if not data.strip():
        return "an empty file"
    for magic, name in _PACKED.items():
        if data.startswith(magic):
            return f"a {name} archive (unpack it first)"
    text = text_of(data[:_PEEK])
    strange = sum(not letter.isprintable() and letter not in "\r\n\t\ufeff\x1b" for letter in text)
    return "binary data, no text" if strange > len(text) // 10 else "none"


def _utf16_without_mark(data: bytes) -> str | None:
    """Log lines are ASCII for the most part, so every other byte of them is 0 then."""
    even, odd = data[:_PEEK:2], data[1:_PEEK:2]
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros and zeros.count(0) > 0.7 * len(zeros) and others.count(0) == 0:
            return name
    return None
