"""What a stage needs of the stream that it receives from, and batches of it."""

from __future__ import annotations

__all__ = ("BatchReceiveStream", "receive_batch")

from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self, TypeVar

from anyio import EndOfStream, WouldBlock, move_on_after

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class BatchReceiveStream(Protocol[T_co]):
    """A receive stream that can also be asked for what is there already."""

    async def receive(self) -> T_co: ...

    def receive_nowait(self) -> T_co: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...


async def receive_batch(
    receive: BatchReceiveStream[T], most: int, linger_seconds: float = 0.0
) -> list[T]:
    """Wait for one item, then take with it what comes while we linger; none at the end."""
    batch: list[T] = []
    try:
        batch.append(await receive.receive())
        while len(batch) < most:
            batch.append(receive.receive_nowait())
    except EndOfStream:
        return batch
    except WouldBlock:
        if not linger_seconds:
            return batch

    with move_on_after(linger_seconds), suppress(EndOfStream):
        while len(batch) < most:
            batch.append(await receive.receive())

    return batch
