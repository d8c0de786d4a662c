"""`ao-import fleet`: the stores of many homes, imported on a cluster or on this machine."""

from __future__ import annotations

__all__ = ("fleet_command",)

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.terminal.options import INCLUDE_ENDED, PATH

# As in the other commands: what does the work is imported where it is used.
if TYPE_CHECKING:
    from anyio import CancelScope

    from pipeline.fleet.cluster import Cluster
    from pipeline.fleet.homes import Home
    from pipeline.fleet.shift import Shift
    from pipeline.fleet.store import Order, StoreResult
    from pipeline.terminal.fleet_summary import FleetTally

AT_ONCE = 32  # not measured, as servers differ: enough for 50 nodes, no flood for one
RETRIES = 3
TIME_LIMIT_SECONDS = 3600.0
MEMORY_LIMIT_MIB = 2048  # of addresses; a small import reserves 260, and uses 33

RESULTS_WAITING = 16
LINE_SECONDS = 5.0
# From the request to stop until nobody is waited for: longer than an import may take.
STOP_SECONDS = 20.0
REPORTS_MODE = 0o600  # what people have in their stores is in their notes
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)


@click.command("fleet")
@click.argument("homes", nargs=-1, required=True, metavar="HOMES...")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Dask's scheduler, such as tcp://node1:8786.  [default: this machine alone]",
)
@INCLUDE_ENDED
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@click.option(
    "--at-once",
    metavar="N",
    type=click.IntRange(1),
    default=AT_ONCE,
    show_default=True,
    help="At most this many stores at a time on each file server.",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(0),
    default=RETRIES,
    show_default=True,
    help="How often to try again what may pass: a lock, a worker that dies.",
)
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=TIME_LIMIT_SECONDS,
    show_default=True,
    help="For one store; the next attempt goes on where it stopped.",
)
@click.option(
    "--memory-limit",
    metavar="MIB",
    type=click.IntRange(256),
    default=MEMORY_LIMIT_MIB,
    show_default=True,
    help="Address space of one import, where the system can limit it.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1),
    help="Stores at a time on this machine.  [default: its processors]",
)
@click.option(
    "--reports",
    "reports_file",
    metavar="FILE",
    type=PATH,
    help="Append one JSON object for each store to this file, as they end.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def fleet_command(
    homes: tuple[str, ...],
    scheduler: str | None,
    include_ended: bool,
    dry_run: bool,
    at_once: int,
    retries: int,
    time_limit: float,
    memory_limit: int,
    workers: int | None,
    reports_file: Path | None,
    quiet: bool,
) -> None:
    """Import the stores of many homes, each by a process of its own.

    HOMES are directories, patterns in quotes, or - for a list on stdin, one a line. The
    legacy store, the new one and the transcripts are where they are by default below each
    home. Run by root, each import runs as the owner of the home.

    With --scheduler the stores go to the workers of a Dask cluster, all of which have
    this program and see the same homes. Running again is safe, and takes up what is
    missing. Needs: pip install 'ao-import[fleet]'

    \b
    Examples:
      ao-import fleet --dry-run '/home/*'
      ao-import fleet '/home/*' --reports night.jsonl
      ao-import fleet - --scheduler tcp://node1:8786 < homes.txt

    \b
    Exit status, of several the first in this order:
      130  interrupted (129, 143: by SIGHUP, SIGTERM); running again continues
      1    some store could not be imported, or the scheduler is not there
      2    wrong use; or some store has a live daemon or another import at work
      3    all done, but something that should have come could not
      0    all done
    """
    if workers is not None and scheduler is not None:
        raise click.UsageError(
            "--workers is for this machine; a scheduler has its own."
        )

    from anyio import run

    from pipeline.fleet.store import Order
    from pipeline.guest import as_guest
    from pipeline.terminal.fleet_summary import FleetTally, format_fleet
    from pipeline.terminal.rendering import show

    found = _find(homes)
    if reports_file is not None:
        _append(reports_file, b"")  # better known now than after the first store
    orders: defaultdict[str, list[Order]] = defaultdict(list)
    for home in found:
        orders[home.server].append(
            Order(
                home=home.path,
                include_ended=include_ended,
                dry_run=dry_run,
                time_limit_seconds=time_limit,
                memory_limit_bytes=memory_limit << 20,
            )
        )
    tally = FleetTally(len(found))
    work = _Fleet(
        orders,
        tally,
        scheduler=scheduler,
        workers=workers or os.cpu_count() or 1,
        at_once=at_once,
        retries=retries,
        reports_file=reports_file,
        is_quiet=quiet,
    )
    try:
        run(partial(as_guest, work.run))
    finally:
        if tally.results or work.signal:
            show(format_fleet(tally, is_dry_run=dry_run))
    status = 128 + work.signal if work.signal else tally.status
    if status:
        raise click.exceptions.Exit(status)


def _find(words: Iterable[str]) -> tuple[Home, ...]:
    from pipeline.fleet.homes import find_homes

    named: list[str] = []
    for word in words:
        if word == "-":
            lines = sys.stdin.buffer.read().splitlines()
            named += [os.fsdecode(line) for line in lines if line]
        else:
            named.append(word)
    try:
        found = find_homes(named)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if not found:
        raise click.UsageError("the list of homes is empty.")

    return found


class _Fleet:
    """One run of the command: the cluster, the shift, what stops it, and what is kept."""

    def __init__(
        self,
        orders: Mapping[str, Sequence[Order]],
        tally: FleetTally,
        *,
        scheduler: str | None,
        workers: int,
        at_once: int,
        retries: int,
        reports_file: Path | None,
        is_quiet: bool,
    ) -> None:
        self.signal = 0  # that ended it early
        self._orders = orders
        self._tally = tally
        self._scheduler = scheduler
        self._workers = workers
        self._at_once = at_once
        self._retries = retries
        self._reports_file = reports_file
        self._is_quiet = is_quiet

    async def run(self) -> None:
        """Work through the orders, or as far as signals let us.

        :raises ImportFailed: no cluster, or the reports cannot be written.
        """
        from anyio import create_memory_object_stream, create_task_group

        from pipeline.fleet.cluster import open_cluster
        from pipeline.fleet.shift import Shift
        from pipeline.fleet.store import StoreResult

        async with open_cluster(self._scheduler, self._workers) as cluster:
            shift = Shift(
                cluster.import_store, at_once=self._at_once, retries=self._retries
            )
            send, receive = create_memory_object_stream[StoreResult](RESULTS_WAITING)
            async with create_task_group() as watching:
                if not self._is_quiet:
                    watching.start_soon(self._show_progress, shift)
                async with create_task_group() as working, receive:
                    watching.start_soon(
                        self._stop_on_signal, shift, cluster, working.cancel_scope
                    )
                    working.start_soon(shift.run, self._orders, send)
                    async for result in receive:
                        self._tally.add(result)
                        await self._keep(result)
                watching.cancel_scope.cancel()

    async def _keep(self, result: StoreResult) -> None:
        from anyio import to_thread

        if self._reports_file is not None:
            from pipeline.fleet.store import to_json_line

            line = await to_thread.run_sync(to_json_line, result)
            await to_thread.run_sync(_append, self._reports_file, line)

    async def _stop_on_signal(
        self, shift: Shift, cluster: Cluster, working: CancelScope
    ) -> None:
        """At the first signal begin nothing more and end what is at work; then leave it."""
        from anyio import move_on_after, open_signal_receiver

        if not hasattr(signal, "SIGHUP"):
            return  # such a system's event loop only knows Ctrl-C, and how to end by it

        with open_signal_receiver(*SIGNALS) as signals:
            self.signal = int(await anext(signals))
            click.echo(
                f"Stopping: {shift.at_work} stores at work are asked to end; once more "
                "leaves them.",
                err=True,
            )
            shift.stop()
            with move_on_after(STOP_SECONDS):
                await cluster.stop()
                await anext(signals)
            working.cancel()

    async def _show_progress(self, shift: Shift) -> None:
        from anyio import sleep

        from pipeline.terminal.fleet_summary import format_progress

        while True:
            await sleep(LINE_SECONDS)
            line = format_progress(self._tally, at_work=shift.at_work)
            click.echo(line, err=True)


def _append(file: Path, line: bytes) -> None:
    """Append a line to the file, which is made if need be.

    :raises WriteFailed: it cannot be written.
    """
    from stages.errors import WriteFailed
    from stages.floor.files import reason

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags, REPORTS_MODE)

    try:
        with open(file, "ab", opener=opener) as stream:
            stream.write(line)
    except OSError as error:
        raise WriteFailed(file, reason(error)) from error
