"""How a run behaves inside a program of others: a task of its own, one error, asyncio."""

from __future__ import annotations

__all__ = ("as_guest", "cause_of")

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio import create_task_group

from stages.errors import UnsupportedBackend, exhausted_by

T = TypeVar("T")


async def as_guest(work: Callable[[], Awaitable[T]]) -> T:
    """Run the work in a task of its own, and return what it returns.

    `Task.cancel` knows no shields. Here it only ever reaches a task that waits: what the
    work has shielded (a transaction, a connection that opens) is brought to its end.
    Of several errors the cause is raised alone: a stage that dies takes the streams of
    its neighbours along, and they die of that.

    :raises UnsupportedBackend: asyncio does not run here.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        raise UnsupportedBackend("another event loop") from error

    results: list[T] = []
    errors: list[BaseException] = []

    async def run() -> None:
        try:
            results.append(await work())
        except BaseExceptionGroup as group:
            errors.append(cause_of(group))
        except Exception as error:  # raised below, out of reach of the group
            errors.append(cause_of(error))

    async with create_task_group() as tasks:
        tasks.start_soon(run)
    if errors:
        raise errors.pop()

    return results[0]


def cause_of(error: BaseException) -> BaseException:
    """Return the one error of a group that the others follow from; of none, itself.

    One that says that memory, threads or the like ran out comes back as `Exhausted`.
    """
    causes: list[BaseException] = []
    pending: list[BaseException] = [error]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions
        else:
            causes.append(each)

    consequences = (anyio.BrokenResourceError, anyio.ClosedResourceError)
    cause = next((e for e in causes if not isinstance(e, consequences)), causes[0])
    exhausted = exhausted_by(cause)
    if exhausted is not None:
        exhausted.__cause__ = cause

    return exhausted or cause
