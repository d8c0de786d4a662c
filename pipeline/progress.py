"""How far a run is: streams that count what flows through them, and the values made of it."""

from __future__ import annotations

__all__ = ("Meter", "Progress", "StageName", "report_progress")

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

import anyio
import msgspec
from anyio import WouldBlock, create_memory_object_stream
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

T = TypeVar("T")

# Three stages, each a value at most this often: some ten values a second.
REPORT_SECONDS = 0.3

StageName = Literal["read", "write", "relocate", "compare"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one stage of a run is."""

    stage: StageName
    done: int  # projects
    total: int | None  # None: not known
    bytes: int  # of transcripts, copied or compared so far by the whole run
    project: str | None  # the one that came last


class StreamMeter:
    """What has flowed through one stream, and how long its two ends waited."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items = 0
        self.last_id: str | None = None
        self.send_seconds = 0.0  # the stage before was held back
        self.receive_seconds = 0.0  # the stage behind had nothing to do


class Meter:
    """Counts for a whole run: one stream meter for each stream, and the bytes."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamMeter] = {}
        self.bytes = 0
        self._lock = threading.Lock()

    def open_stream(
        self, name: str, buffer_size: int
    ) -> tuple[MeteredSend[T], MeteredReceive[T]]:
        """Return the two ends of a bounded stream that is counted under this name."""
        meter = self.streams[name] = StreamMeter(name)
        send, receive = create_memory_object_stream[T](buffer_size)

        return MeteredSend(send, meter), MeteredReceive(receive, meter)

    def count_bytes(self, size_bytes: int) -> None:
        """Count bytes; several threads do so at once."""
        with self._lock:
            self.bytes += size_bytes


class MeteredSend(ObjectSendStream[T], Generic[T]):
    """The sending end of a stream that is counted."""

    def __init__(self, stream: MemoryObjectSendStream[T], meter: StreamMeter) -> None:
        self._stream, self._meter = stream, meter

    async def send(self, item: T) -> None:
        # A buffer that has room is filled without a turn of the event loop for each item,
        # and emptied likewise: that was measured to halve what many small projects take.
        # No more than a buffer's length goes by in one turn.
        try:
            self._stream.send_nowait(item)
        except WouldBlock:
            started = time.perf_counter()
            await self._stream.send(item)
            self._meter.send_seconds += time.perf_counter() - started
        self._meter.items += 1
        self._meter.last_id = getattr(item, "id", None)

    async def aclose(self) -> None:
        await self._stream.aclose()


class MeteredReceive(ObjectReceiveStream[T], Generic[T]):
    """The receiving end of a stream that is counted."""

    def __init__(
        self, stream: MemoryObjectReceiveStream[T], meter: StreamMeter
    ) -> None:
        self._stream, self._meter = stream, meter

    async def receive(self) -> T:
        try:
            return self._stream.receive_nowait()
        except WouldBlock:
            started = time.perf_counter()
        try:
            return await self._stream.receive()
        finally:
            self._meter.receive_seconds += time.perf_counter() - started

    def receive_nowait(self) -> T:
        return self._stream.receive_nowait()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


async def report_progress(
    meter: Meter,
    stages: dict[str, StageName],
    total: int,
    on_progress: Callable[[Progress], None],
) -> None:
    """Call `on_progress` for each stage that has moved, until cancelled; then once more.

    `stages` gives the stage that fills each stream.
    """
    seen: dict[str, tuple[int, int]] = {}

    def look() -> None:
        for name, stage in stages.items():
            stream = meter.streams[name]
            state = (stream.items, meter.bytes)
            if seen.get(name, (0, 0)) != state:
                seen[name] = state
                on_progress(
                    Progress(
                        stage=stage,
                        done=stream.items,
                        total=total,
                        bytes=meter.bytes,
                        project=stream.last_id,
                    )
                )

    try:
        while True:
            await anyio.sleep(REPORT_SECONDS)
            look()
    finally:
        look()
