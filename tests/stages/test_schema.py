"""The schema of version 10, object by object, against facts beside this file (D2, D3, D8)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from stages.database.schema import CREATE_STATEMENTS, SCHEMA_VERSION

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "schema_facts.json").read_text(encoding="utf-8")
)
TABLES: dict[str, Any] = FACTS["tables"]
HARNESS_CHECK = (
    "CHECK (harness IN ('', 'claude-code', 'codex', 'aider', 'opencode', 'grok', "
    "'droid', 'amp', 'agy', 'crush', 'cursor', 'qwen', 'copilot', 'goose', 'auggie', "
    "'continue', 'devin', 'cline', 'kimi', 'kiro', 'kilocode', 'vibe', 'pi', "
    "'autohand'))"
)
TIME = "2026-06-18 10:26:00 +0000 UTC"
LATER = "2026-06-18 10:27:00.5 +0000 UTC"

_CHECK_IN = re.compile(r"CHECK \((\w+) IN \(([^)]*)\)\)")
_CHECK_RULE = re.compile(r"CHECK \((\w+)\((\w+)\)\)")


def create(statements: Iterable[str]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    for statement in statements:
        database.execute(statement)

    return database


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(create(CREATE_STATEMENTS)) as made:
        made.execute("PRAGMA foreign_keys = ON")
        yield made


def describe(database: sqlite3.Connection) -> dict[str, Any]:
    """Return what a database has, in the shape of the facts."""
    objects = database.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master"
        " WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()

    return {
        "schema_version": SCHEMA_VERSION,
        "tables": {
            name: describe_table(database, name, sql)
            for kind, name, _, sql in objects
            if kind == "table"
        },
        "indexes": {
            name: {"table": table, "columns": columns_of_index(database, name)}
            for kind, name, table, _ in objects
            if kind == "index"
        },
        "triggers": {
            name: {"table": table}
            for kind, name, table, _ in objects
            if kind == "trigger"
        },
    }


def describe_table(database: sqlite3.Connection, name: str, sql: str) -> dict[str, Any]:
    text = " ".join(sql.split())
    checks: list[dict[str, Any]] = [
        {"column": column, "allowed": re.findall("'([^']*)'", values)}
        for column, values in _CHECK_IN.findall(text)
    ]
    checks += [
        {"column": column, "rule": rule} for rule, column in _CHECK_RULE.findall(text)
    ]

    return {
        "columns": [
            {
                "name": column,
                "type": type_,
                "notnull": bool(notnull),
                "default": default,
                "pk": pk,
            }
            for _, column, type_, notnull, default, pk in database.execute(
                "SELECT * FROM pragma_table_info(?)", (name,)
            )
        ],
        "foreign_keys": [
            {"column": column, "table": table, "to": to, "on_delete": on_delete}
            for column, table, to, on_delete in database.execute(
                'SELECT "from", "table", "to", on_delete'
                " FROM pragma_foreign_key_list(?) ORDER BY id",
                (name,),
            )
        ],
        "unique": [
            columns_of_index(database, index)
            for (index,) in database.execute(
                "SELECT name FROM pragma_index_list(?) WHERE origin = 'u'", (name,)
            )
        ],
        "checks": checks,
        "autoincrement": "AUTOINCREMENT" in text,
    }


def columns_of_index(database: sqlite3.Connection, index: str) -> list[str]:
    rows = database.execute("SELECT name FROM pragma_index_info(?)", (index,))

    return [name for (name,) in rows]


def test_schema_is_that_of_version_10(database: sqlite3.Connection) -> None:
    assert describe(database) == FACTS


def test_check_of_the_harnesses_is_the_same_to_the_byte(
    database: sqlite3.Connection,
) -> None:
    (sql,) = database.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'sessions'"
    ).fetchone()

    assert sql.count(HARNESS_CHECK) == 1
    assert sql.count("'autohand'") == 1


def test_ledger_names_every_version_from_0_to_10_once(
    database: sqlite3.Connection,
) -> None:
    rows = database.execute(
        "SELECT id, version_id, is_applied, tstamp = datetime(tstamp)"
        " FROM goose_db_version ORDER BY id"
    ).fetchall()

    assert rows == [(version + 1, version, 1, 1) for version in range(11)]


def test_nothing_is_named_twice_or_left_over(database: sqlite3.Connection) -> None:
    (integrity,) = database.execute("PRAGMA integrity_check").fetchone()

    assert integrity == "ok"
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []


# --- The comparison notices what is missing: each thing is taken out of a copy. ---


def definitions(statement: str) -> tuple[str, list[str]]:
    """Return the head of a CREATE TABLE and its definitions, split at outer commas."""
    head, _, body = statement.strip().partition("(")
    found, depth, start = [], 0, 0
    for position, character in enumerate(body[:-1]):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            found.append(body[start:position])
            start = position + 1

    return head, [*found, body[start:-1]]


def with_table(table: str, change: Callable[[list[str]], list[str]]) -> list[str]:
    """Return the statements with the definitions of one table changed."""
    changed = []
    for statement in CREATE_STATEMENTS:
        head, parts = definitions(statement)
        if head.strip() == f"CREATE TABLE {table}":
            left = change(parts)
            assert left != parts
            changed.append(f"{head}({','.join(left)})")
        else:
            changed.append(statement)

    return changed


def describe_what_can_be_made(statements: Iterable[str]) -> dict[str, Any]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        for statement in statements:
            with suppress(sqlite3.OperationalError):  # it needs what was taken out
                database.execute(statement)

        return describe(database)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        pytest.param(table, column["name"], id=f"{table}.{column['name']}")
        for table, facts in TABLES.items()
        for column in facts["columns"]
    ],
)
def test_missing_column_is_noticed(table: str, column: str) -> None:
    statements = with_table(
        table, lambda parts: [part for part in parts if part.split()[0] != column]
    )
    found = describe_what_can_be_made(statements)

    assert found["tables"].get(table) != TABLES[table]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        pytest.param(table, check["column"], id=f"{table}.{check['column']}")
        for table, facts in TABLES.items()
        for check in facts["checks"]
    ],
)
def test_missing_check_is_noticed(table: str, column: str) -> None:
    def without_check(parts: list[str]) -> list[str]:
        return [
            part.partition("CHECK")[0] if part.split()[0] == column else part
            for part in parts
        ]

    found = describe_what_can_be_made(with_table(table, without_check))

    assert found["tables"][table] != TABLES[table]


@pytest.mark.parametrize("name", [*FACTS["triggers"], *FACTS["indexes"], *TABLES])
def test_missing_object_is_noticed(name: str) -> None:
    made = re.compile(rf"\s*CREATE (TRIGGER|INDEX|TABLE) {name}\b")
    statements = [each for each in CREATE_STATEMENTS if not made.match(each)]

    assert len(statements) == len(CREATE_STATEMENTS) - 1
    assert describe_what_can_be_made(statements) != FACTS


@pytest.mark.parametrize(
    "words",
    [
        "NOT NULL",
        "DEFAULT ''",
        "ON DELETE CASCADE",
        "UNIQUE",
        "REFERENCES",
        "AUTOINCREMENT",
    ],
)
def test_missing_constraint_is_noticed(words: str) -> None:
    pattern = {
        "REFERENCES": r"REFERENCES \w+ \(\w+\)( ON DELETE CASCADE)?",
        "UNIQUE": r",\s+UNIQUE \([^)]*\)",
    }.get(words, words)
    statements = list(CREATE_STATEMENTS)
    places = [
        (index, place.span())
        for index, statement in enumerate(statements)
        if "CREATE TABLE" in statement
        for place in re.finditer(pattern, statement)
    ]

    assert places
    for index, (start, end) in places:
        changed = statements.copy()
        changed[index] = changed[index][:start] + changed[index][end:]
        assert describe_what_can_be_made(changed) != FACTS


# --- What the constraints do. ---


def fill(database: sqlite3.Connection) -> None:
    """Insert one row of everything that others hang on."""
    database.execute(
        "INSERT INTO projects (id, path, registered_at) VALUES ('p', '/p', ?)", (TIME,)
    )
    for number, session in enumerate(("s", "t")):
        database.execute(
            "INSERT INTO sessions (id, project_id, num, activity_last_at, created_at,"
            " updated_at) VALUES (?, 'p', ?, ?, ?, ?)",
            (session, number, TIME, TIME, TIME),
        )
    database.execute(
        "INSERT INTO pr (url, session_id, updated_at) VALUES ('u', 's', ?)", (TIME,)
    )


MINIMAL_ROWS: dict[str, dict[str, object]] = {
    "projects": {"id": "x", "path": "/x", "registered_at": TIME},
    "sessions": {
        "id": "x",
        "project_id": "p",
        "num": 9,
        "activity_last_at": TIME,
        "created_at": TIME,
        "updated_at": TIME,
    },
    "pr": {"url": "x", "session_id": "s", "updated_at": TIME},
    "pr_checks": {"pr_url": "u", "name": "x", "commit_hash": "x", "created_at": TIME},
    "change_log": {"project_id": "p", "event_type": "pr_created", "payload": "{}"},
    "session_worktrees": {
        "session_id": "s",
        "repo_name": "x",
        "branch": "x",
        "base_sha": "x",
        "worktree_path": "x",
    },
}


def insert(database: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    # The names are words of this file; the values are bound.
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values())
    )


@pytest.mark.parametrize(
    ("table", "column", "allowed"),
    [
        pytest.param(
            table, check["column"], value, id=f"{table}.{check['column']}={value}"
        )
        for table, facts in TABLES.items()
        for check in facts["checks"]
        for value in check.get("allowed", ["{}", "[1]"])
    ],
)
def test_check_lets_its_values_pass_and_no_other(
    database: sqlite3.Connection, table: str, column: str, allowed: str
) -> None:
    fill(database)
    row = MINIMAL_ROWS[table]

    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
        insert(database, table, {**row, column: f"{allowed}?"})
    insert(database, table, {**row, column: allowed})


def test_session_of_a_project_that_is_not_there_is_refused(
    database: sqlite3.Connection,
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        insert(database, "sessions", MINIMAL_ROWS["sessions"])


def test_two_sessions_of_a_project_have_different_numbers(
    database: sqlite3.Connection,
) -> None:
    fill(database)

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        insert(database, "sessions", {**MINIMAL_ROWS["sessions"], "num": 0})


# --- The triggers (rule D8), each driven: what it appends, and when it does not. ---

SESSION = {"id": "s", "activity": "idle", "isTerminated": False}
PR = {
    "url": "u",
    "session": "s",
    "state": "open",
    "ci": "unknown",
    "review": "none",
    "mergeability": "unknown",
}
CHECK = {"pr": "u", "name": "lint", "commit": "c", "status": "unknown"}
THREAD = {"pr": "u", "thread": "t1", "path": "f.py", "line": 7, "resolved": False}

INSERT_CHECK = (
    "INSERT INTO pr_checks (pr_url, name, commit_hash, created_at)"
    f" VALUES ('u', 'lint', 'c', '{LATER}')"
)
INSERT_THREAD = (
    "INSERT INTO pr_review_threads (pr_url, thread_id, path, line, is_bot, updated_at)"
    f" VALUES ('u', 't1', 'f.py', 7, 1, '{LATER}')"
)


@pytest.mark.parametrize(
    ("before", "statement", "event", "session", "payload", "time"),
    [
        pytest.param(
            "",
            "INSERT INTO sessions (id, project_id, num, activity_state, is_terminated,"
            " activity_last_at, created_at, updated_at)"
            f" VALUES ('n', 'p', 5, 'active', 1, '{TIME}', '{TIME}', '{LATER}')",
            "session_created",
            "n",
            {"id": "n", "activity": "active", "isTerminated": True},
            LATER,
            id="D8-sessions_cdc_insert",
        ),
        pytest.param(
            "",
            f"UPDATE sessions SET activity_state = 'blocked', updated_at = '{LATER}'"
            " WHERE id = 's'",
            "session_updated",
            "s",
            {**SESSION, "activity": "blocked"},
            LATER,
            id="D8-sessions_cdc_update-activity",
        ),
        pytest.param(
            "",
            f"UPDATE sessions SET is_terminated = 1, updated_at = '{LATER}' WHERE id = 's'",
            "session_updated",
            "s",
            {**SESSION, "isTerminated": True},
            LATER,
            id="D8-sessions_cdc_update-terminated",
        ),
        pytest.param(
            "",
            f"UPDATE sessions SET first_signal_at = '{TIME}' WHERE id = 's'",
            "session_updated",
            "s",
            SESSION,
            TIME,
            id="D8-sessions_cdc_update-first-signal",
        ),
        pytest.param(
            "",
            f"INSERT INTO pr (url, session_id, updated_at) VALUES ('v', 't', '{LATER}')",
            "pr_created",
            "t",
            {**PR, "url": "v", "session": "t"},
            LATER,
            id="D8-pr_cdc_insert",
        ),
        *(
            pytest.param(
                "",
                f"UPDATE pr SET {column} = '{value}', updated_at = '{LATER}'",
                "pr_updated",
                "s",
                {**PR, key: value},
                LATER,
                id=f"D8-pr_cdc_update-{column}",
            )
            for column, key, value in (
                ("pr_state", "state", "merged"),
                ("ci_state", "ci", "failing"),
                ("review_decision", "review", "approved"),
                ("mergeability", "mergeability", "blocked"),
            )
        ),
        pytest.param(
            "",
            f"UPDATE pr SET session_id = 't', updated_at = '{LATER}'",
            "pr_session_changed",
            "t",
            {"url": "u", "fromSession": "s", "toSession": "t"},
            LATER,
            id="D8-pr_session_cdc_update",
        ),
        pytest.param(
            "",
            INSERT_CHECK,
            "pr_check_recorded",
            "s",
            CHECK,
            LATER,
            id="D8-pr_checks_cdc_insert",
        ),
        pytest.param(
            INSERT_CHECK,
            "UPDATE pr_checks SET status = 'failed'",
            "pr_check_recorded",
            "s",
            {**CHECK, "status": "failed"},
            None,
            id="D8-pr_checks_cdc_update",
        ),
        pytest.param(
            "",
            INSERT_THREAD,
            "pr_review_thread_added",
            "s",
            {**THREAD, "isBot": True},
            LATER,
            id="D8-pr_review_threads_cdc_insert",
        ),
        pytest.param(
            INSERT_THREAD,
            f"UPDATE pr_review_threads SET resolved = 1, updated_at = '{TIME}'",
            "pr_review_thread_resolved",
            "s",
            {**THREAD, "resolved": True},
            TIME,
            id="D8-pr_review_threads_cdc_update",
        ),
    ],
)
def test_trigger_appends_one_row(
    database: sqlite3.Connection,
    before: str,
    statement: str,
    event: str,
    session: str,
    payload: dict[str, object],
    time: str | None,
) -> None:
    fill(database)
    if before:
        database.execute(before)
    (last,) = database.execute("SELECT max(seq) FROM change_log").fetchone()

    database.execute(statement)

    rows = database.execute(
        "SELECT project_id, session_id, event_type, payload, created_at,"
        " created_at = datetime('now') OR created_at = datetime('now', '-1 second')"
        " FROM change_log WHERE seq > ?",
        (last,),
    ).fetchall()
    assert [row[:3] for row in rows] == [("p", session, event)]
    assert json.loads(rows[0][3]) == payload
    assert list(json.loads(rows[0][3])) == list(payload)
    assert rows[0][4] == time if time else rows[0][5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sessions SET branch = 'b', activity_state = 'idle'",
        "UPDATE sessions SET first_signal_at = NULL",
        "UPDATE pr SET title = 't', pr_state = 'open', session_id = 's'",
        "UPDATE pr_checks SET log_tail = 'x', status = 'unknown'",
        "UPDATE pr_review_threads SET line = 8, resolved = 0",
        "INSERT INTO projects (id, path, registered_at) VALUES ('q', '/q', '')",
    ],
)
def test_what_changes_nothing_of_note_appends_nothing(
    database: sqlite3.Connection, statement: str
) -> None:
    fill(database)
    database.execute(INSERT_CHECK)
    database.execute(INSERT_THREAD)
    before = database.execute("SELECT * FROM change_log").fetchall()

    database.execute(statement)

    assert database.execute("SELECT * FROM change_log").fetchall() == before


def test_signal_after_the_first_appends_nothing(database: sqlite3.Connection) -> None:
    fill(database)
    database.execute(f"UPDATE sessions SET first_signal_at = '{TIME}'")
    before = database.execute("SELECT * FROM change_log").fetchall()

    database.execute(f"UPDATE sessions SET first_signal_at = '{LATER}'")

    assert database.execute("SELECT * FROM change_log").fetchall() == before
