"""Where a session's transcript is and where it belongs (rules T1, T3)."""

from __future__ import annotations

__all__ = ("Located", "locate", "search")

import os
from collections.abc import Callable, Collection

import msgspec

from stages.floor.buckets import bucket_of, bucket_path, real_path
from stages.floor.files import reason
from stages.messages import TranscriptPlan


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """The buckets that a transcript goes from and to, as names in the buckets' directory."""

    source: str | None  # None: the worktree has no bucket
    destination: str


def locate(
    plan: TranscriptPlan,
    buckets: str,
    resolve: Callable[[str], str] = real_path,
) -> Located:
    """Return both buckets of a plan that names a transcript (rule T1)."""
    file = f"{plan.uuid}.jsonl"
    source = bucket_of(buckets, plan.worktree, file, resolve)
    destination = bucket_path(buckets, resolve(plan.new_worktree), file)

    return Located(
        source=source and os.path.basename(source),
        destination=os.path.basename(destination),
    )


def search(
    buckets: str, uuids: Collection[str], check: Callable[[], None]
) -> tuple[dict[str, list[str]], list[str]]:
    """Look through all buckets once, for all transcripts that are not where they belong.

    Returns the buckets of each, and what could not be read.
    """
    wanted = {f"{uuid}.jsonl": uuid for uuid in uuids}
    found: dict[str, list[str]] = {uuid: [] for uuid in uuids}
    unreadable: list[str] = []
    try:
        names = sorted(os.listdir(buckets))
    except (FileNotFoundError, NotADirectoryError):
        return found, []
    except OSError as error:
        return found, [f"{buckets}: {reason(error)}"]

    for bucket in names:
        check()
        path = os.path.join(buckets, bucket)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name in wanted and entry.is_file():
                        found[wanted[entry.name]].append(bucket)
        except NotADirectoryError:
            continue
        except OSError as error:
            unreadable.append(f"{path}: {reason(error)}")

    return found, unreadable
