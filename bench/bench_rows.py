"""Are rows written as fast as `sqlite-utils` writes the same ones?

The rows are those that an import has mapped. Each side, in a fresh process, makes a new
database with the same schema and inserts them; only that is timed, without loading.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec

from bench.generate_store import StoreShape
from bench.measure import Result, Row, Run, Store, conduct, import_command, pair, run

TABLES = ("projects", "sessions")
Rows = dict[str, list[dict[str, object]]]


def main() -> None:
    """Measure, and show it; as a child, be what is measured."""
    if sys.argv[1:2] == ["--child"]:
        who, rows_file, data_dir = sys.argv[2:]
        rows = msgspec.json.decode(Path(rows_file).read_bytes(), type=Rows)
        insert = _insert_ours if who == "ours" else _insert_theirs
        sys.stdout.write(str(insert(rows, Path(data_dir))))
        return

    conduct(
        "rows", __doc__, measure, flags={"projects": (5000, "projects, a row of each")}
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return our speed as a multiple of that of sqlite-utils."""
    projects = options.projects // (5 if options.quick else 1)
    shape = StoreShape(projects=projects, records=1, transcripts=0)
    store = Store.make(directory / "store", shape)
    run(import_command(store, directory / "mapped"))
    rows: Rows = {}
    with closing(sqlite3.connect(directory / "mapped" / "ao.db")) as database:
        database.row_factory = sqlite3.Row
        for table in TABLES:
            found = database.execute(f"SELECT * FROM {table}")
            rows[table] = [dict(row) for row in found]

    rows_file = directory / "rows.json"
    rows_file.write_bytes(msgspec.json.encode(rows))

    def insert(who: str) -> Run:
        with store.fresh_places() as place:
            data_dir = place / "data"
            child = ("-m", "bench.bench_rows", "--child", who)
            done = run([sys.executable, *child, str(rows_file), str(data_dir)])
            _check(data_dir, rows)
        return Run(
            seconds=float(done.output),
            cpu_seconds=done.cpu_seconds,
            peak_bytes=done.peak_bytes,
        )

    paired = pair(lambda: insert("ours"), lambda: insert("theirs"), pairs=options.pairs)
    count = sum(map(len, rows.values()))
    return Result(
        rows=[
            Row(
                what="our speed / sqlite-utils",
                value=1 / paired.ratio,
                paired=paired,
                remark=f"{count:,} rows: {count / paired.ours.seconds:,.0f} rows/s "
                f"against {count / paired.other.seconds:,.0f} rows/s",
            )
        ]
    )


def _check(data_dir: Path, rows: Rows) -> None:
    with closing(sqlite3.connect(data_dir / "ao.db")) as database:
        for table in TABLES:
            (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
            if count != len(rows[table]):
                raise ValueError(f"{count} rows in {table}, not {len(rows[table])}")


def _insert_ours(rows: Rows, data_dir: Path) -> float:
    """Send the rows through the stage that writes, and return the seconds."""
    from datetime import UTC, datetime

    import anyio

    import stages.write
    from stages.database.writing import open_for_writing
    from stages.floor.workers import Workers
    from stages.messages import PlannedProject, ProjectRow, SessionRow, WrittenProject

    sessions = {
        str(row["project_id"]): msgspec.convert(row, SessionRow)
        for row in rows["sessions"]
    }
    planned = [
        PlannedProject(
            project=msgspec.convert(row, ProjectRow),
            real_path=str(row["path"]),
            session=(session := sessions.get(str(row["id"]))),
            transcript=None,
            orchestrator="planned" if session else "absent",
            project_notes=(),
            session_notes=(),
            record_notes=(),
            sessions_read=0,
            files_skipped=0,
        )
        for row in rows["projects"]
    ]

    async def insert() -> None:
        written_send, written = anyio.create_memory_object_stream[WrittenProject](64)
        send, receive = anyio.create_memory_object_stream[PlannedProject](64)

        async def feed() -> None:
            async with send:
                for project in planned:
                    await send.send(project)

        async def allow() -> None:
            """No daemon is looked for: what is measured is the rows."""

        async def drain() -> None:
            async with written:
                async for _ in written:
                    pass

        async with (
            Workers(1, "bench") as workers,
            open_for_writing(data_dir, workers, allow) as database,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(feed)
            tasks.start_soon(drain)
            await stages.write.run(
                receive,
                written_send,
                database=database,
                now=datetime.now(UTC),
                committed=lambda _: None,
                workers=workers,
            )

    started = time.perf_counter()
    anyio.run(insert)
    return time.perf_counter() - started


def _insert_theirs(rows: Rows, data_dir: Path) -> float:
    """Insert the rows as a script with sqlite-utils would, and return the seconds."""
    from sqlite_utils import Database

    from stages.database.schema import CREATE_STATEMENTS

    data_dir.mkdir()
    started = time.perf_counter()
    database = Database(data_dir / "ao.db")
    for statement in CREATE_STATEMENTS:
        database.execute(statement)
    database.conn.commit()
    for table in TABLES:
        database.table(table).insert_all(rows[table])
    database.close()

    return time.perf_counter() - started


if __name__ == "__main__":
    main()
