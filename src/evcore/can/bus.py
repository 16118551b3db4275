"""The asyncio door of this room: any python-can interface, read by a thread into a bounded queue."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from evcore.can.frames import BITRATE_SWITCH, ERROR, ERROR_STATE, EXTENDED, FD, ID_MASK, REMOTE, Frame
from evcore.errors import LinkError

if TYPE_CHECKING:
    import can

_POLL_S = 0.1  # how long the thread waits for a frame before it looks whether it has to end


def frame_of(message: can.Message) -> Frame:
    """A python-can message as a frame. Its time stamp is kept to the microsecond, which is what a float of it holds."""
    id = message.arbitration_id
    if message.is_extended_id:
        id |= EXTENDED
    if message.is_remote_frame:
        id |= REMOTE
    if message.is_error_frame:
        id |= ERROR
    flags = 0
    if message.is_fd:
        flags = FD | (BITRATE_SWITCH if message.bitrate_switch else 0)
        flags |= ERROR_STATE if message.error_state_indicator else 0
    return Frame(id, bytes(message.data), flags, round(message.timestamp * 1_000_000) * 1000)


def message_of(frame: Frame) -> can.Message:
    """The same the other way. Raises ValueError: more bytes than such a frame has."""
    import can

    return can.Message(
        arbitration_id=frame.id & ID_MASK,
        is_extended_id=bool(frame.id & EXTENDED),
        is_remote_frame=bool(frame.id & REMOTE),
        data=frame.data,
        is_fd=bool(frame.flags & FD),
        bitrate_switch=bool(frame.flags & BITRATE_SWITCH),
        error_state_indicator=bool(frame.flags & ERROR_STATE),
        check=True,
    )


class CanBus:
    """An open bus. interface, channel, options: python-can's. transmit: without it nothing is ever sent.

    limit: frames that may wait; beyond, the oldest are lost and `dropped` counts them. Used as `async with`.
    """

    def __init__(
        self, interface: str, channel: str | int, *, transmit: bool = False, limit: int = 10_000, **options: Any
    ) -> None:
        self.dropped = 0
        self._settings = {"interface": interface, "channel": channel, **options}
        self._transmit, self._limit = transmit, limit
        self._waiting: deque[Frame] = deque()
        self._lock = threading.Lock()
        self._ready = asyncio.Event()
        self._told = False  # the loop knows that something waits
        self._ending = threading.Event()
        self._fault: Exception | None = None
        self._bus: can.BusABC | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> CanBus:
        """Raises LinkError: the interface cannot be opened."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            self._bus = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._read, args=(self._bus, loop), name="can-reader", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        thread, bus = self._thread, self._bus
        self._thread = self._bus = None
        if thread is not None and bus is not None:
            await asyncio.shield(asyncio.to_thread(_close, thread, bus))

    async def receive(self) -> list[Frame]:
        """All frames that wait, at least one, in order. Raises LinkError: the bus is gone, after its last frame."""
        while True:
            with self._lock:
                frames = list(self._waiting)
                self._waiting.clear()
                self._told = False
                self._ready.clear()
                fault = self._fault
            if frames:
                return frames
            if fault is not None:
                raise LinkError(f"{self._name}: {fault}") from fault
            await self._ready.wait()

    @property
    def waiting(self) -> int:
        """Frames that came and were not taken yet."""
        return len(self._waiting)

    def send(self, frame: Frame) -> None:
        """Hand one frame to the interface. Raises PermissionError (opened without transmit), LinkError (refused)."""
        if not self._transmit:
            raise PermissionError(f"{self._name} is open for listening only")
        if self._bus is None:
            raise LinkError(f"{self._name} is closed")
        import can

        try:
            self._bus.send(message_of(frame))
        except (can.CanError, OSError) as error:
            raise LinkError(f"{self._name}: {error}") from error

    @property
    def _name(self) -> str:
        return f"CAN {self._settings['interface']} {self._settings['channel']}"

    def _open(self) -> can.BusABC:
        import can

        try:
            return can.Bus(**self._settings)
        except Exception as error:  # a driver that is not there raises what it likes: ImportError, OSError, its own
            raise LinkError(f"{self._name}: {type(error).__name__}: {error}") from error

    def _read(self, bus: can.BusABC, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._ending.is_set():
                message = bus.recv(_POLL_S)
                if message is not None:
                    self._put(frame_of(message), loop)
        except Exception as error:  # noqa: BLE001 - the thread must not die unheard: receive() raises it as LinkError
            if not self._ending.is_set():
                with self._lock:
                    self._fault = error
                self._wake(loop)

    def _put(self, frame: Frame, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(frame)
            told, self._told = self._told, True
        if not told:
            self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._ready.set)


def _close(thread: threading.Thread, bus: can.BusABC) -> None:
    thread.join()
    bus.shutdown()


def _close_late(opening: asyncio.Future[can.BusABC]) -> None:
    """The bus came after nobody wanted it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().shutdown()
