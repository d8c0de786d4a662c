"""Brings the projects of a legacy Agent Orchestrator into the new application's database.

    import asyncio
    from pipeline import ImportOptions, run_import

    report = asyncio.run(run_import(ImportOptions()))

The names below are loaded when they are first used, so that the command line answers at
once.
"""

from __future__ import annotations

__all__ = (
    "ConfigBroken",
    "DaemonRunning",
    "DatabaseUnusable",
    "FirstBoot",
    "ImportFailed",
    "ImportOptions",
    "ImportRunning",
    "OnPartial",
    "OnProgress",
    "PlaceRefused",
    "Probe",
    "Problem",
    "Progress",
    "ProjectResult",
    "ProjectState",
    "Report",
    "RunFileBroken",
    "StoreUnreadable",
    "UnknownProject",
    "UnsupportedBackend",
    "Verification",
    "WriteFailed",
    "first_boot",
    "probe",
    "run_import",
    "verify",
)

from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.version import VERSION

if TYPE_CHECKING:
    from pipeline.booting import FirstBoot, first_boot
    from pipeline.graph import OnProgress
    from pipeline.importing import OnPartial, run_import
    from pipeline.options import ImportOptions
    from pipeline.probing import Probe, ProjectState, probe
    from pipeline.progress import Progress
    from pipeline.report import Problem, ProjectResult, Report, Verification
    from pipeline.verifying import verify
    from stages.errors import (
        ConfigBroken,
        DaemonRunning,
        DatabaseUnusable,
        ImportFailed,
        ImportRunning,
        PlaceRefused,
        RunFileBroken,
        StoreUnreadable,
        UnknownProject,
        UnsupportedBackend,
        WriteFailed,
    )

__version__ = VERSION

_MODULES = {
    "FirstBoot": "pipeline.booting",
    "ImportOptions": "pipeline.options",
    "OnPartial": "pipeline.importing",
    "OnProgress": "pipeline.graph",
    "Probe": "pipeline.probing",
    "Problem": "pipeline.report",
    "Progress": "pipeline.progress",
    "ProjectResult": "pipeline.report",
    "ProjectState": "pipeline.probing",
    "Report": "pipeline.report",
    "Verification": "pipeline.report",
    "first_boot": "pipeline.booting",
    "probe": "pipeline.probing",
    "run_import": "pipeline.importing",
    "verify": "pipeline.verifying",
}


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    return getattr(import_module(_MODULES.get(name, "stages.errors")), name)
