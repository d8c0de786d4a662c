"""One store of a fleet: its import as a process of its own, as the owner of the home.

An order goes in; what became of the store comes out, with the report as the import wrote
it. Nothing is decided here that an import decides: its status and its report say it all.
"""

from __future__ import annotations

__all__ = (
    "Ended",
    "Identity",
    "NotAllowed",
    "Order",
    "Outcome",
    "StoreResult",
    "identity_of",
    "import_store",
    "judge",
    "to_json_line",
)

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import anyio
import msgspec
from anyio import CancelScope, create_task_group, to_thread
from anyio.abc import ByteReceiveStream, Process

from pipeline.fleet.launch import GRACE_SECONDS
from pipeline.report import Problem
from stages.errors import ImportRunning
from stages.floor.files import reason
from stages.floor.text import plain
from stages.notes import KINDS

Outcome = Literal["done", "nothing", "incomplete", "refused", "failed", "interrupted"]

TOP = os.path.abspath(os.sep)
OUTPUT_LIMIT = 64 << 20  # bytes; the report of 100,000 projects has less
ERRORS_LIMIT = 64 << 10
# All else of the environment stays behind: it is that of somebody else, and the owner of
# a process can read it.
KEPT_VARIABLES = frozenset(
    {
        "LANG",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "TZ",
    }
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with one home."""

    home: str
    include_ended: bool = False  # rule S8
    dry_run: bool = False
    time_limit_seconds: float
    memory_limit_bytes: int


class StoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one store."""

    home: str
    outcome: Outcome
    status: int | None = None  # of the import's process; None: there was none
    error: str | None = None
    may_pass: bool = False  # the same once more, later, may end differently
    projects: int = 0
    projects_present: int = 0  # there already
    orchestrators: int = 0
    transcripts: int = 0
    transcript_bytes: int = 0
    notes: int = 0
    left_out: int = 0  # of the notes, those of something that does not come
    worst: str | None = None  # the first of these; what should have come goes before
    report: bytes = b""  # JSON on one line, as the import wrote it; empty: none
    attempts: int = 1
    seconds: float = 0.0


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A user to become."""

    uid: int
    gid: int
    name: str | None  # None: the system knows the number alone
    groups: tuple[int, ...]


class NotAllowed(Exception):
    """The home belongs to another user, and we may not become that one."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How the process of an import ended, and what it wrote."""

    status: int
    output: bytes
    is_cut: bool  # the output went on
    errors: bytes
    ended_by: Literal["itself", "time-limit", "request"]


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of an import's JSON, whether it went well or not."""

    error: str | None = None
    projects_imported: int = 0
    projects_skipped: int = 0
    orchestrators_imported: int = 0
    transcripts_relocated: int = 0
    transcript_bytes: int = 0
    problems: tuple[Problem, ...] = ()


_DECODER = msgspec.json.Decoder(_Document)


async def import_store(
    order: Order, until_stopped: Callable[[], Awaitable[object]]
) -> StoreResult:
    """Import one store and wait for its end; never raises for what is wrong with it.

    When `until_stopped` returns, or the time is over, the import is asked to stop, and
    then made to. Cancelled, it leaves no process behind either.
    """
    started = time.monotonic()
    try:
        identity = await to_thread.run_sync(identity_of, order.home)
        ended = await _run(order, identity, until_stopped)
    except NotAllowed as error:
        return StoreResult(home=order.home, outcome="failed", error=str(error))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return _not_started(order, error)

    result = await to_thread.run_sync(judge, order, ended)
    return msgspec.structs.replace(result, seconds=round(time.monotonic() - started, 3))


def identity_of(home: str) -> Identity | None:
    """Return whom to become so that files belong to whom they should; None: nobody else.

    :raises NotAllowed: another user owns the home, and only root may become that one.
    :raises OSError: there is no such directory, or it cannot be looked into.
    """
    info = os.stat(home)
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(None, "it is no directory", home)
    if not hasattr(os, "geteuid") or os.geteuid() == info.st_uid:
        return None
    if os.geteuid() != 0:
        raise NotAllowed(
            f"it belongs to user {info.st_uid}, whom only root may become; "
            "run the workers as root, or the import as that user."
        )

    try:
        user = import_module("pwd").getpwuid(info.st_uid)
    except KeyError:
        return Identity(uid=info.st_uid, gid=info.st_gid, name=None, groups=())
    groups = tuple(os.getgrouplist(user.pw_name, user.pw_gid))

    return Identity(uid=info.st_uid, gid=user.pw_gid, name=user.pw_name, groups=groups)


def judge(order: Order, ended: Ended) -> StoreResult:
    """Return what a process's end says of the store."""
    document, report = _decode(ended)
    outcome, error, may_pass = _verdict(order, ended, document)
    result = StoreResult(
        home=order.home,
        outcome=outcome,
        status=ended.status,
        error=error,
        may_pass=may_pass,
        report=report,
    )
    if document is None:
        return result

    left_out = _left_out(document.problems)
    return msgspec.structs.replace(
        result,
        projects=document.projects_imported,
        projects_present=document.projects_skipped,
        orchestrators=document.orchestrators_imported,
        transcripts=document.transcripts_relocated,
        transcript_bytes=document.transcript_bytes,
        notes=len(document.problems),
        left_out=len(left_out),
        worst=left_out[0] if left_out else None,
    )


def to_json_line(result: StoreResult) -> bytes:
    """Return the result with its whole report, for programs."""
    line = {
        "home": result.home.encode(errors="backslashreplace").decode(),
        "outcome": result.outcome,
        "status": result.status,
        "error": result.error,
        "attempts": result.attempts,
        "seconds": result.seconds,
        "endedAt": datetime.now(UTC),
        "report": msgspec.Raw(result.report) if result.report else None,
    }

    return msgspec.json.encode(line) + b"\n"


def _left_out(problems: Sequence[Problem]) -> list[str]:
    """Return what does not come, first what should have."""
    found = [
        problem
        for problem in problems
        if problem.severity == "failed"
        or (problem.kind in KINDS and KINDS[problem.kind].leaves_out)
    ]
    found.sort(key=lambda problem: problem.severity != "failed")

    return [
        plain(f"{problem.project}: {problem.text}" if problem.project else problem.text)
        for problem in found
    ]


def _verdict(
    order: Order, ended: Ended, document: _Document | None
) -> tuple[Outcome, str | None, bool]:
    """Return the outcome, what is wrong, and whether that may pass."""
    if ended.status in (0, 3):  # whatever came too late to stop it
        if document is None:
            return "failed", _no_report(ended), False
        if ended.status == 3:
            return "incomplete", None, False
        kinds = {problem.kind for problem in document.problems}
        return ("nothing" if "nothing-to-import" in kinds else "done"), None, False
    if ended.ended_by == "request":
        return "interrupted", None, False
    if ended.ended_by == "time-limit":
        limit = f"{order.time_limit_seconds:g} s"
        return "failed", f"it took longer than {limit} and was stopped", True
    if ended.status < 0 or ended.status > 128:
        return "failed", f"it was ended by signal {_signal(ended.status)}", True

    error = (document and document.error) or _last_line(ended.errors)
    if ended.status == 2:
        lock = str(ImportRunning(Path(order.home, ".ao", "data")))
        return "refused", error, error == lock
    return "failed", error, False


def _decode(ended: Ended) -> tuple[_Document | None, bytes]:
    try:
        document = _DECODER.decode(ended.output)
        report = msgspec.json.format(ended.output, indent=-1)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, b""

    return document, report


def _no_report(ended: Ended) -> str:
    if ended.is_cut:
        return f"its report has more than {OUTPUT_LIMIT >> 20} MiB and was cut"

    return f"it ended with status {ended.status} and gave no report"


def _signal(status: int) -> str:
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()

    return plain(lines[-1].removeprefix("error: ")) if lines else "it said nothing"


def _not_started(order: Order, error: Exception) -> StoreResult:
    is_final = isinstance(
        error, FileNotFoundError | NotADirectoryError | PermissionError | ValueError
    )
    text = reason(error) if isinstance(error, OSError) else str(error)

    return StoreResult(
        home=order.home,
        outcome="failed",
        error=f"the import could not be started: {plain(text)}",
        may_pass=not is_final,
    )


async def _run(
    order: Order,
    identity: Identity | None,
    until_stopped: Callable[[], Awaitable[object]],
) -> Ended:
    """Run the import's process to its end.

    :raises OSError: it could not be started.
    """
    with CancelScope(
        shield=True
    ):  # cut short, it would leave a process that is nobody's
        process = await _start(order, identity)
    assert process.stdout is not None
    assert process.stderr is not None
    ended_by: list[Literal["time-limit", "request"]] = []

    async def stop_when(
        happens: Callable[[], Awaitable[object]], why: Literal["time-limit", "request"]
    ) -> None:
        await happens()
        ended_by.append(why)
        await _stop(process)

    async def time_is_over() -> None:
        await anyio.sleep(order.time_limit_seconds)

    output, errors = _Bounded(OUTPUT_LIMIT), _Bounded(ERRORS_LIMIT)
    try:
        async with create_task_group() as watching:
            watching.start_soon(stop_when, until_stopped, "request")
            watching.start_soon(stop_when, time_is_over, "time-limit")
            async with create_task_group() as reading:
                reading.start_soon(output.read, process.stdout)
                reading.start_soon(errors.read, process.stderr)
            status = await process.wait()
            watching.cancel_scope.cancel()
    finally:
        if process.returncode is None:  # else its number may be another's by now
            _kill(process)
        with CancelScope(shield=True):
            await process.aclose()

    return Ended(
        status=status,
        output=bytes(output.kept),
        is_cut=output.is_cut,
        errors=bytes(errors.kept),
        ended_by=ended_by[0] if ended_by else "itself",
    )


class _Bounded:
    """What a process writes, as far as there is room for it; all of it is read."""

    def __init__(self, limit: int) -> None:
        self.kept = bytearray()
        self.is_cut = False
        self._limit = limit

    async def read(self, stream: ByteReceiveStream) -> None:
        async for chunk in stream:
            room = self._limit - len(self.kept)
            self.kept += chunk[:room]
            self.is_cut = self.is_cut or len(chunk) > room


async def _start(order: Order, identity: Identity | None) -> Process:
    # -P: what lies in the working directory is not ours to import.
    launch = [sys.executable, "-P", "-m", "pipeline.fleet.launch"]
    options = ["--yes", "--json"]
    options += ["--include-ended"] if order.include_ended else []
    options += ["--dry-run"] if order.dry_run else []
    become: dict[str, Any] = {}
    if identity is not None:
        become = {
            "user": identity.uid,
            "group": identity.gid,
            "extra_groups": identity.groups,
        }

    return await anyio.open_process(
        [*launch, str(order.memory_limit_bytes), "import", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # The home itself may be closed to us, and is left only after the change of user.
        cwd=TOP,
        env=_environment(order.home, identity, os.environ),
        start_new_session=True,
        **become,
    )


def _environment(
    home: str, identity: Identity | None, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return what an import finds all by itself: places below the home, nothing else."""
    kept = {
        name: value
        for name, value in environment.items()
        if name.upper() in KEPT_VARIABLES or name.startswith("LC_")
    }
    if identity is not None and identity.name is not None:
        kept |= {"USER": identity.name, "LOGNAME": identity.name}

    return {**kept, "HOME": home, "USERPROFILE": home}


async def _stop(process: Process) -> None:
    """Ask, and after a while do not ask; its own children may hold on to the pipes."""
    with suppress(ProcessLookupError):
        process.terminate()
    await anyio.sleep(GRACE_SECONDS)
    _kill(process)


def _kill(process: Process) -> None:
    """End what is left of the process and of those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
