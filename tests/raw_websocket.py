"""A hand-made WebSocket client: sends what no library would."""

from __future__ import annotations

import asyncio
import base64
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = base64.b64encode(b"0123456789abcdef").decode()
HEADERS = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Protocol": "ocpp1.6",
}


def request(path: str, **changes: str | None) -> bytes:
    """An upgrade request; changes: headers with _ for -, None to leave one out."""
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, claim: int | None = None) -> bytes:
    """A masked frame (with a mask of zeros); claim: another length than the payload's."""
    size = len(payload) if claim is None else claim
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size)
    return head + b"\0\0\0\0" + payload


class Raw:
    """One connection to 127.0.0.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def dial(cls, port: int, *, source: str = "127.0.0.1") -> Raw:
        """source: the address that it comes from, any of 127.0.0.0/8."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))

    async def upgrade(self, path: str = "/CP1", **changes: str | None) -> bytes:
        """The head of the answer to an upgrade request."""
        self.writer.write(request(path, **changes))
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 8)

    def frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True, claim: int | None = None) -> None:
        self.writer.write(frame(opcode, payload, fin=fin, claim=claim))

    async def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        head = await asyncio.wait_for(self.reader.readexactly(2), 8)
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", await self.reader.readexactly(2))[0]
        return head[0] & 15, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        while True:
            opcode, payload = await self.read()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    async def eof(self) -> None:
        await asyncio.wait_for(self.reader.read(), 8)
