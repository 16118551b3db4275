"""A hub with a served connector, and raw sockets towards it."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

from evcore.local import LocalHub


@contextlib.asynccontextmanager
async def served(connector: Any, hub: LocalHub) -> AsyncIterator[Any]:
    task = asyncio.create_task(connector.run(hub))
    try:
        await asyncio.wait_for(connector.started.wait(), 10)
        yield connector
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def mbap(pdu: str, transaction: int = 1, unit: int = 1) -> bytes:
    data = bytes.fromhex(pdu)
    return struct.pack(">HHHB", transaction, 0, len(data) + 1, unit) + data


async def raw(port: int, data: bytes, size: int) -> bytes:
    """`size` bytes of answer, or fewer where the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.readexactly(size), 10)
        except asyncio.IncompleteReadError as error:
            return error.partial
        except ConnectionError:
            return b""
    finally:
        writer.close()
