"""The offer on the first start of the new application; whatever goes wrong is a value."""

from __future__ import annotations

__all__ = ("FirstBoot", "FirstBootOutcome", "first_boot")

import logging
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from pipeline.graph import OnProgress
from pipeline.importing import run_import
from pipeline.options import ImportOptions
from pipeline.probing import Probe, probe
from pipeline.report import Report
from stages.errors import ImportFailed, UnsupportedBackend

FirstBootOutcome = Literal["not-offered", "declined", "imported", "failed"]

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # where nobody listens, no traceback is shown


class FirstBoot(msgspec.Struct, frozen=True, kw_only=True):
    """What the offer came to."""

    outcome: FirstBootOutcome
    probe: Probe | None  # None: even the look failed
    report: Report | None  # where something was imported
    error: str | None  # why the look or the import failed


async def first_boot(
    options: ImportOptions,
    *,
    ask: Callable[[Probe], Awaitable[bool]],
    on_progress: OnProgress | None = None,
) -> FirstBoot:
    """Offer an import where legacy projects exist and the new store is still empty.

    `ask` gets what was found and says whether to import it:

        async def ask(found: Probe) -> bool:
            return found.projects < 100

        done = await first_boot(ImportOptions(), ask=ask)

    Nothing is offered where a daemon lives or the database has an unarchived project.
    A bad store is a value, never an exception; an error in `ask` itself is raised.

    :raises UnsupportedBackend: asyncio does not run here.
    """
    try:
        found = await probe(options)
    except UnsupportedBackend:
        raise
    except Exception as error:  # the outer edge: a start must not fail of this
        return _failed(None, error)

    is_there = found.available or found.is_broken
    if not is_there or found.daemon is not None or found.is_populated:
        return FirstBoot(outcome="not-offered", probe=found, report=None, error=None)
    if found.error is not None:
        return FirstBoot(outcome="failed", probe=found, report=None, error=found.error)
    if not await ask(found):
        return FirstBoot(outcome="declined", probe=found, report=None, error=None)

    try:
        report = await run_import(options, on_progress=on_progress)
    except Exception as error:  # the outer edge, as above
        return _failed(found, error)

    return FirstBoot(outcome="imported", probe=found, report=report, error=None)


def _failed(found: Probe | None, error: Exception) -> FirstBoot:
    text = str(error)
    if not isinstance(error, ImportFailed):
        _log.error("unexpected error in the first-boot import", exc_info=error)
        text = f"this should not have happened: {type(error).__name__}: {error}"

    return FirstBoot(outcome="failed", probe=found, report=None, error=text)
