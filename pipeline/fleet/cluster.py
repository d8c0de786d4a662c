"""The engine: Dask's scheduler and workers, one of ours for this run or one that is there.

A task is one store. A worker that dies costs nothing but time: the scheduler gives its
stores to others, and an import takes up what another has left. A result is taken from
its worker at once, since one that is lost is made again.
"""

from __future__ import annotations

__all__ = ("Cluster", "ClusterUnusable", "open_cluster")

import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

from pipeline.fleet.store import Order, StoreResult, import_store
from pipeline.version import VERSION
from stages.errors import ImportFailed
from stages.floor.text import plain

PATIENCE_SECONDS = 10.0  # for a scheduler to answer, and for its first worker
# What its parts have to say is said in results; what they log would only confuse.
SILENT = {"distributed": "critical", "distributed.client": "critical"}


class ClusterUnusable(ImportFailed):
    """There is nothing that the stores could be given to."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Cluster:
    """Where stores are imported."""

    def __init__(self, client: Any, stopping: Any) -> None:
        self._client = client
        self._stopping = stopping

    async def import_store(self, order: Order) -> StoreResult:
        """Have one store imported by some worker.

        :raises ClusterUnusable: the scheduler has gone.
        """
        future = self._client.submit(
            _import_store,
            order,
            self._stopping.name,
            key=f"ao-import-{uuid4().hex}",  # none may be taken for the result of another
            pure=False,
        )
        try:
            error = await future.exception()
            if error is not None:
                return _not_done(order, error)
            result: StoreResult = await future
        except CancelledError as cause:  # no task of ours ever is, but by its scheduler
            raise ClusterUnusable(
                "the scheduler has gone; what was imported stays. Start it again and run "
                "the same command."
            ) from cause

        return result

    async def stop(self) -> None:
        """Ask the imports that are at work to end, on all nodes."""
        await self._stopping.set()


@asynccontextmanager
async def open_cluster(address: str | None, workers: int) -> AsyncIterator[Cluster]:
    """Connect to the scheduler at an address, or be one for so many stores at once.

    :raises ClusterUnusable: the extra is not installed, the scheduler does not answer, or
        it has no workers.
    """
    if find_spec("distributed") is None:
        raise ClusterUnusable(
            "a fleet needs Dask, which is not installed: pip install 'ao-import[fleet]'"
        )

    import dask

    dask.config.set({"logging": SILENT})
    import distributed

    async with AsyncExitStack() as stack:
        if address is None:
            address = await _open_local(stack, workers)
        client = distributed.Client(
            address,
            asynchronous=True,
            set_as_default=False,
            timeout=PATIENCE_SECONDS,
        )
        # Also where it could not connect: it has begun tasks of its own by then.
        stack.push_async_callback(client.close)
        try:
            await client
        except (OSError, ValueError) as error:
            raise ClusterUnusable(
                f"the scheduler at {plain(address)} does not answer: {plain(str(error))}"
            ) from error
        try:
            await client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        except TimeoutError as error:
            raise ClusterUnusable(
                f"the scheduler at {plain(address)} has no workers; start one with "
                f"`dask worker {plain(address)}`."
            ) from error

        await _require_same_program(client)
        yield Cluster(
            client, distributed.Event(f"ao-import-{uuid4().hex}", client=client)
        )


async def _open_local(stack: AsyncExitStack, workers: int) -> str:
    """Start a scheduler and a worker inside of this process, and return the address.

    What others could connect to would let them run what they like, as root maybe: so
    there is no port for tasks, and what has to listen all the same (the pages of the
    scheduler and of its workers) does so on the loopback alone and serves nothing.
    """
    import dask
    import distributed

    scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="ao-import-"))
    dask.config.set(
        {
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
            "temporary-directory": scratch,
        }
    )
    pages = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler = await stack.enter_async_context(
        distributed.Scheduler(protocol="inproc://", **pages)
    )
    await stack.enter_async_context(
        distributed.Worker(
            scheduler.address,
            nthreads=workers,
            memory_limit=0,  # each import has its own
            **pages,
        )
    )
    address: str = scheduler.address

    return address


async def _require_same_program(client: Any) -> None:
    """Refuse workers that have another version, or none."""
    answers = await client.run(_version, on_error="return")
    others = {
        worker: plain(str(answer))
        for worker, answer in answers.items()
        if answer != VERSION
    }
    if others:
        worker, answer = next(iter(others.items()))
        raise ClusterUnusable(
            f"{len(others)} of {len(answers)} workers have no ao-import {VERSION} (the one at "
            f"{worker} answers: {answer}); install it for the workers and the scheduler."
        )


def _version() -> str:
    return VERSION


def _not_done(order: Order, error: BaseException) -> StoreResult:
    """Return what it means that a task has an error, as an import's own is a result."""
    import distributed

    text = f"the worker could not run it: {plain(str(error))}"
    if isinstance(error, distributed.KilledWorker):
        text = "all workers that were given it died"

    return StoreResult(home=order.home, outcome="failed", error=text, may_pass=True)


async def _import_store(order: Order, stopping: str) -> StoreResult:
    """Be the task: a coroutine, so that a worker that is told to end ends the import too."""
    import distributed

    event = distributed.Event(stopping)
    if await event.is_set():
        return StoreResult(home=order.home, outcome="interrupted")

    return await import_store(order, event.wait)
