"""Notes as they stand in a report, for the tests of what is made of them."""

from __future__ import annotations

__all__ = ("failed", "lossy")

from pipeline.report import Problem


def lossy(
    project: str | None,
    text: str = "no place for scm",
    kind: str = "no-home",
    about: tuple[str, ...] = (),
) -> Problem:
    return Problem(
        project=project,
        kind=kind,
        severity="lossy",
        source="/c.yaml",
        text=text,
        about=about,
    )


def failed(
    project: str | None,
    kind: str,
    text: str,
    source: str | None,
    about: tuple[str, ...] = (),
) -> Problem:
    return Problem(
        project=project,
        kind=kind,
        severity="failed",
        source=source,
        text=text,
        about=about,
    )
