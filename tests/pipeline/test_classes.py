"""Every project is in exactly one class, whichever command counts them."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.probing import probe_with
from tests.support import Store

# A path that two entries share makes one of them conflict; an entry without is invalid.
ENTRIES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d", "-bad", "e..f"]),
    st.sampled_from([None, "/repos/one", "/repos/two", "/repos/./one", "relative"]),
    min_size=1,
)


@given(entries=ENTRIES, first=st.sets(st.sampled_from(["a", "b", "c", "d"])))
@settings(max_examples=25, deadline=None)
def test_the_classes_add_up_for_every_command(
    entries: dict[str, str | None], first: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        anyio.run(_count_all, Path(directory), entries, first)


async def _count_all(
    directory: Path, entries: dict[str, str | None], first: set[str]
) -> None:
    store = Store(directory)
    store.configure(
        {name: {} if path is None else {"path": path} for name, path in entries.items()}
    )
    chosen = tuple(sorted(first & entries.keys()))
    if chosen:
        await store.run_import(projects=chosen)

    for is_dry_run in (True, False):
        probed = await probe_with(store.settings())
        checked = await store.verify()
        report = await store.run_import(is_dry_run=is_dry_run)
        classes = Counter(each.project for each in report.projects)
        conflicting = report.projects_conflicting

        assert sorted(each.id for each in report.projects) == sorted(entries)
        assert len(entries) == classes.total()
        assert classes == Counter(
            imported=report.projects_imported,
            present=report.projects_skipped - conflicting,
            conflicting=conflicting,
            invalid=report.projects_invalid,
        )
        assert (probed.projects, probed.imported) == (
            len(entries),
            classes["present"],
        )
        assert (probed.pending, probed.left_out) == (
            classes["imported"],
            conflicting + classes["invalid"],
        )
        assert (
            checked.projects_present,
            checked.projects_missing,
            checked.projects_conflicting,
            checked.projects_invalid,
        ) == (
            classes["present"],
            classes["imported"],
            conflicting,
            classes["invalid"],
        )
