"""Write a synthetic legacy store, as varied as real ones and of any size.

    python -m bench.generate_store DIR --projects 200 --records 250 --transcripts 110

A `StoreShape` goes in. Out come, below DIR, `root/` (the state root), `repos/` (the
projects' checkouts), `worktrees/` (where the orchestrators ran) and `claude/` (the
transcript buckets). The same shape in the same DIR gives the same bytes. Memory does
not grow with the records or the transcripts.
"""

from __future__ import annotations

__all__ = ("Generated", "StoreShape", "generate", "main")

import argparse
import errno
import itertools
import os
import random
import re
import string
import struct
import sys
import textwrap
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec

Spelling = Literal["object", "string", "payload", "nested"]
Encodings = Literal["mixed", "object", "string", "payload", "nested"]
Fate = Literal["live", "several", "terminated"]

CHUNK_BYTES = 1 << 20
POOL_BODIES = 256
POOL_BYTES = 32 << 20  # bounds the pool where single records are huge
OLDEST_AT = datetime(2026, 1, 1, tzinfo=UTC)
RESUME_KEYS = {
    "claude-code": "claudeSessionUuid",
    "codex": "codexThreadId",
    "opencode": "opencodeSessionId",
}
NAMES = ("api", "auth", "cli", "core", "docs", "infra", "shop", "web")
PROSE = (
    "add all api and cache branch check commit crash daemon deploy design diff done "
    "élan error fail field file fix flag flow for from Größe handler index into issue "
    "keep lint lock merge migrate naïve null only open parser path query queue race "
    "rebase refactor retry review rule schema session slow stage store test the then "
    "time token trace tree type update user verify when with write 日本語 50% now.\n\n"
)
WORDS = tuple(PROSE.split(" "))
# Each stands in an entry or in an own file, at the top level of its mapping.
SETTINGS = (
    "agent: claude-code\n",
    "runtime: tmux\nworkspace: worktree\n",
    "env:\n  NODE_ENV: development\n  FEATURE: yes\n  PORT: 0x1F90\n  EMPTY:\n",
    "symlinks: [.env, config/local.yml]\n",
    "postCreate:\n  - npm ci\n  - make -j2 build\n",
    "agentConfig:\n  model: claude-opus-4-5\n  permissions: permissionless\n",
    "worker:\n  agent: codex\n  agentConfig: {permissions: auto-edit}\n",
    "orchestrator:\n  agent: claude-code\n  agentConfig:\n    model: ' opus '\n",
    "agentRules: |\n  Run the tests before you push.\n  Keep commits small.\n",
    "agentRulesFile: docs/agents.md\n",
    "orchestratorRules: Never merge on your own.\n",
    "tracker: {plugin: github}\nscm: {plugin: github}\n",
    "reactions:\n  ci-failed: {auto: true, retries: 2}\n",
    "orchestratorSessionStrategy: reuse\n",
)
DEFAULTS = (
    "defaults:\n  agent: claude-code\n  runtime: tmux\n  worker: {agent: codex}\n"
)
WRAPPED = """\
name: The {id}
repo: acme/{id}
defaultBranch: develop
"""
REGISTRY = """\
projectId: {id}
repo:
  owner: acme
  name: {id}
  platform: github
  originUrl: https://github.com/acme/{id}
defaultBranch: main
source: ao-project-add
registeredAt: {registered_epoch_seconds}
displayName: My {id}
"""
GIT_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = false
[remote "origin"]
\turl = git@github.com:acme/{id}.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""


class StoreShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a store is to hold; each field is a flag of the command line too.

    A share is from 0 to 1 and gives an exact count.

    :raises ValueError: the numbers do not go together.
    """

    projects: Annotated[int, "projects"] = 20
    records: Annotated[int, "records per project, at least its orchestrator's"] = 50
    record_bytes: Annotated[int, "mean; about 1 KiB is the least there can be"] = 2048
    transcripts: Annotated[
        int | None, "projects with a transcript; None: each live claude-code one"
    ] = None
    transcript_bytes: Annotated[int, "size of each transcript"] = 64 << 10
    sidecars: Annotated[int, "sidecar files per transcript"] = 0
    v1_share: Annotated[float, "share of projects with key=value records"] = 0.1
    encodings: Annotated[Encodings, "how V2 records spell their lifecycle"] = "mixed"
    damaged_share: Annotated[float, "share of worker records with a damage"] = 0.01
    own_files: Annotated[float, "share of projects with an own settings file"] = 0.3
    git: Annotated[float, "share of projects whose checkout is a repository"] = 0.0
    terminal_share: Annotated[
        float, "share of projects with ended orchestrators; half have a live one too"
    ] = 0.05
    seed: Annotated[int, "what every choice follows from"] = 1

    def __post_init__(self) -> None:
        if self.records < 1 or self.record_bytes < 1:
            raise ValueError("records and record bytes must be at least 1")

        if min(self.projects, self.transcript_bytes, self.sidecars) < 0:
            raise ValueError("a count or a size is negative")

        if self.transcripts is not None and not 0 <= self.transcripts <= self.projects:
            raise ValueError("transcripts must be from 0 to the number of projects")

        shares = (self.v1_share, self.damaged_share, self.own_files, self.git)
        if not all(0 <= share <= 1 for share in (*shares, self.terminal_share)):
            raise ValueError("a share must be from 0 to 1")


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds."""

    projects: int
    records: int  # the files in the sessions directories, damaged ones too
    orchestrators: int  # live, so importable: at most one per project
    transcripts: int
    record_bytes: int
    transcript_bytes: int  # sidecars included
    bytes: int  # of records and transcripts together


class _Project(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    prefix: str
    is_registry: bool  # else its entry is a wrapped one
    has_session_prefix: bool
    v1_digits: str | None  # 12 hex digits; None: the current layout
    own_file: str | None  # its name in the checkout
    has_git: bool
    agent: str
    fate: Fate  # of its orchestrators
    has_transcript: bool
    resume_id: str
    spelling: Spelling


def generate(directory: Path, shape: StoreShape) -> Generated:
    """Write the store into a directory that holds none yet, and count it.

    :raises FileExistsError: the directory already holds a store.
    """
    names = ("root", "repos", "worktrees", "claude")
    root, repos, worktrees, claude = (directory.absolute() / name for name in names)
    for folder in (root, repos, worktrees, claude):
        folder.mkdir(parents=True)

    _write_strangers(root)
    pool = _build_pool(shape, worktrees, _render_json)
    v1_pool = _build_pool(shape, worktrees, _render_v1) if shape.v1_share else pool
    block = _build_block(shape)
    rng = _stream(shape, "settings")
    serials = itertools.count(1)
    preferences: dict[str, object] = {}
    registered: list[dict[str, str]] = []
    orchestrators = transcripts = record_bytes = transcript_bytes = 0
    with (root / "config.yaml").open("wb") as config:
        config.write(f"{DEFAULTS}projects:\n".encode())
        for project in _plan_projects(shape):
            checkout = repos / project.id
            worktree = worktrees / project.id / f"{project.prefix}-orchestrator"
            worktree.mkdir(parents=True)
            settings = "".join(rng.sample(SETTINGS, rng.randrange(2, 8)))
            config.write(_entry(rng, project, checkout, settings).encode())
            _write_checkout(project, checkout, settings)

            leaders = _draft_orchestrators(rng, project, worktree)[: shape.records]
            count = shape.records - len(leaders)
            workers = _iterate_workers(project, count, shape, pool, v1_pool, serials)
            sessions = _make_sessions(root, project, checkout)
            record_bytes += _write_files(sessions, itertools.chain(leaders, workers))
            orchestrators += project.fate != "terminated"

            if project.has_transcript:
                bucket = claude / _slug(os.path.realpath(worktree))
                transcripts += 1
                transcript_bytes += _write_transcript(
                    bucket, project.resume_id, worktree, shape, block
                )

            if rng.random() < 0.3:
                shown = f"{project.id.title()} ✨"
                preferences[project.id] = {"displayName": shown, "pinned": True}

            if rng.random() < 0.3:
                registered.append({"path": str(checkout), "addedAt": _stamp(rng)})

    for name, projects in (("preferences", preferences), ("registered", registered)):
        overlay = _json({"version": 1, "projects": projects})
        _write(root / "portfolio" / f"{name}.json", overlay)

    return Generated(
        projects=shape.projects,
        records=shape.projects * shape.records,
        orchestrators=orchestrators,
        transcripts=transcripts,
        record_bytes=record_bytes,
        transcript_bytes=transcript_bytes,
        bytes=record_bytes + transcript_bytes,
    )


def _write_strangers(root: Path) -> None:
    """Write what a state root also holds, though it is no project's."""
    _write(root / "0a1b2c3d4e5f-observability" / "events.log", "started\n")
    _write(root / "0a1b2c3d4e60-gone.migrated" / "sessions" / "gone-1", "agent=aider\n")
    _write(root / "config.yaml.lock", "")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())


def _stream(shape: StoreShape, purpose: str) -> random.Random:
    # One stream of chance for each purpose: a flag changes what it is about, no more.
    return random.Random(f"{shape.seed}/{purpose}")


def _build_pool(
    shape: StoreShape, worktrees: Path, render: Callable[[dict[str, object]], bytes]
) -> tuple[bytes, ...]:
    """Return bodies of worker records for `_iterate_workers` to fill in by `%`.

    Their sizes vary as those of real ones do, a few large among many small.
    """
    rng = _stream(shape, "pool")
    spellings = ("payload",) if render is _render_v1 else _spellings(shape)
    count = max(8, min(POOL_BODIES, POOL_BYTES // shape.record_bytes))
    drafts = [
        _draft_worker(rng, worktrees, spelling)
        for spelling in itertools.islice(itertools.cycle(spellings), count)
    ]
    sample = {b"project": b"shop-1234", b"session": b"shop-1234-567", b"serial": 1}
    bare_bytes = sum(len(_to_template(render(draft)) % sample) for draft in drafts)
    spare_bytes = max(0, shape.record_bytes * count - bare_bytes)
    weights = [rng.lognormvariate(0, 0.8) for _ in drafts]
    unit_bytes = spare_bytes / sum(weights)
    for draft, weight in zip(drafts, weights, strict=True):
        draft["userPrompt"] = _prose(rng, round(weight * unit_bytes))

    return tuple(_to_template(render(draft)) for draft in drafts)


def _spellings(shape: StoreShape) -> tuple[Spelling, ...]:
    return get_args(Spelling) if shape.encodings == "mixed" else (shape.encodings,)


def _draft_worker(
    rng: random.Random, worktrees: Path, spelling: Spelling
) -> dict[str, object]:
    agent = rng.choice((*RESUME_KEYS, "aider", "cursor"))
    issue = rng.randrange(1, 5000)
    created_at = _stamp(rng)
    state = rng.choice(("working", "idle", "needs_input", "stuck", "done"))
    record: dict[str, object] = {
        "project": "@project@",
        "agent": agent,
        "createdAt": created_at,
        "worktree": str(worktrees / "@project@" / "@session@"),
        "branch": f"feat/{issue}-@session@",
        "issue": f"https://github.com/acme/@project@/issues/{issue}",
        "displayName": _prose(rng, rng.randrange(10, 60)).replace("\n", " "),
        "userPrompt": "",
        "runtimeHandle": {"id": "@session@", "runtimeName": "tmux", "data": {}},
    }
    record |= _spell(_lifecycle(rng, "worker", state, created_at), spelling)
    if agent in RESUME_KEYS:
        start = f"{rng.getrandbits(32):08x}"
        record[RESUME_KEYS[agent]] = f"{start}-1a2b-4c3d-9e4f-@serial@"

    if agent == "codex":
        record["codexModel"] = "gpt-5-codex"

    return record


def _prose(rng: random.Random, size_bytes: int) -> str:
    words = rng.choices(WORDS, k=min(150, size_bytes // 5 + 1))
    passage = " ".join(words).encode()
    text = passage * (size_bytes // len(passage) + 1)
    return text[:size_bytes].decode(errors="ignore")


def _stamp(rng: random.Random, after: str | None = None) -> str:
    """Return an RFC 3339 time of 2026, or one up to a day after another."""
    if after is None:
        moment = OLDEST_AT + timedelta(seconds=rng.randrange(200 * 86_400))
    else:
        span = timedelta(milliseconds=rng.randrange(86_400_000))
        moment = datetime.fromisoformat(after) + span

    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lifecycle(
    rng: random.Random, kind: str, state: str, created_at: str
) -> dict[str, object]:
    moved_at = _stamp(rng, created_at)
    session = {
        "kind": kind,
        "state": state,
        "reason": "task_in_progress",
        "startedAt": created_at,
        "completedAt": moved_at if state == "done" else None,
        "terminatedAt": moved_at if state == "terminated" else None,
        "lastTransitionAt": moved_at,
    }
    pull = {"state": "none", "reason": "not_created", "number": None, "url": None}
    runtime = {
        "state": "exited" if state in ("done", "terminated") else "alive",
        "reason": "process_running",
        "lastObservedAt": _stamp(rng, moved_at),
        "handle": None,
        "tmuxName": None,
    }
    return {"version": 2, "session": session, "pr": pull, "runtime": runtime}


def _spell(lifecycle: dict[str, object], spelling: Spelling) -> dict[str, object]:
    """Return the fields of a record that hold its lifecycle (rule L1)."""
    match spelling:
        case "object":
            return {"lifecycle": lifecycle}
        case "string":
            return {"lifecycle": _json(lifecycle)}
        case "payload":
            return {"statePayload": _json(lifecycle), "stateVersion": "2"}
        case "nested":
            texts = {key: _json(lifecycle[key]) for key in ("session", "runtime")}
            return {"lifecycle": lifecycle | texts}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _render_json(record: dict[str, object]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _render_v1(record: dict[str, object]) -> bytes:
    lines = ["# session"]
    for key, value in record.items():
        text = value if isinstance(value, str) else _json(value)
        lines.append(f"{key}={text}".replace("\n", " "))

    return "\n".join([*lines, ""]).encode()


def _to_template(body: bytes) -> bytes:
    body = body.replace(b"%", b"%%").replace(b"@serial@", b"%(serial)012d")
    body = body.replace(b"@project@", b"%(project)s")
    return body.replace(b"@session@", b"%(session)s")


def _build_block(shape: StoreShape) -> bytes:
    """Return transcript lines, 1 MiB at most, still without session and directory."""
    rng = _stream(shape, "transcripts")
    lines: list[bytes] = []
    for turn in range(64):
        role = ("user", "assistant")[turn % 2]
        text = _prose(rng, min(40_000, round(rng.lognormvariate(6.5, 1.2))))
        content = {"type": "text", "text": text}
        if turn % 4 == 0:
            tool = f"toolu_{turn:08d}"
            content = {"type": "tool_result", "tool_use_id": tool, "content": text}

        line = {
            "parentUuid": f"{rng.getrandbits(32):08x}-1a2b-4c3d-9e4f-{turn:012d}",
            "isSidechain": False,
            "cwd": "@cwd@",
            "sessionId": "@uuid@",
            "version": "2.1.223",
            "type": role,
            "message": {"role": role, "content": [content]},
            "timestamp": _stamp(rng),
        }
        lines.append(msgspec.json.encode(line) + b"\n")

    size_bytes = min(CHUNK_BYTES, max(64 << 10, shape.transcript_bytes))
    mean_bytes = sum(map(len, lines)) / len(lines)
    return b"".join(rng.choices(lines, k=round(size_bytes / mean_bytes)))


def _plan_projects(shape: StoreShape) -> Iterator[_Project]:
    """Yield the projects: ids, prefixes and buckets of any two differ."""
    rng = _stream(shape, "projects")
    v1 = _draw_projects(shape, "v1", shape.v1_share)
    own = _draw_projects(shape, "own", shape.own_files)
    git = _draw_projects(shape, "git", shape.git)
    first_special = shape.projects - round(shape.terminal_share * shape.projects)
    # Transcripts go to the first in rank, ended orchestrators to the last.
    ranks = _stream(shape, "ranks").sample(range(shape.projects), shape.projects)
    for index, rank in enumerate(ranks):
        is_chosen = shape.transcripts is not None and rank < shape.transcripts
        fate: Fate = "live"
        if rank >= first_special:
            is_ended = (shape.projects - rank) % 2 == 1 and not is_chosen
            fate = "terminated" if is_ended else "several"

        drawn = rng.choices(tuple(RESUME_KEYS), (85, 10, 5))[0]
        agent = "claude-code" if is_chosen else drawn
        is_carrier = agent == "claude-code" and fate != "terminated"
        is_registry, has_session_prefix = rng.random() < 0.5, rng.random() < 0.5
        # No two share an index, and it ends within the 12 characters of a prefix.
        word, separator = rng.choice(NAMES), rng.choice("--_.")
        name = f"{word}{separator}{index}" if rng.random() < 0.9 else f"{index:03d}"
        digits, ending = f"{rng.getrandbits(48):012x}", rng.choice(("yaml", "yml"))
        project_id = f"{name}_{digits[:10]}" if is_registry else name
        # No session of the legacy application has a dot in its name.
        has_session_prefix = has_session_prefix or "." in project_id
        resume_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        yield _Project(
            id=project_id,
            prefix=f"{word[:2]}{index}" if has_session_prefix else project_id[:12],
            is_registry=is_registry,
            has_session_prefix=has_session_prefix,
            v1_digits=digits if index in v1 else None,
            own_file=f"agent-orchestrator.{ending}" if index in own else None,
            has_git=index in git,
            agent=agent,
            fate=fate,
            has_transcript=is_carrier if shape.transcripts is None else is_chosen,
            resume_id=resume_id if agent != "opencode" else f"ses_{resume_id[:8]}",
            spelling=_spellings(shape)[index % len(_spellings(shape))],
        )


def _draw_projects(shape: StoreShape, purpose: str, share: float) -> frozenset[int]:
    count = round(share * shape.projects)
    return frozenset(_stream(shape, purpose).sample(range(shape.projects), count))


def _entry(rng: random.Random, project: _Project, checkout: Path, settings: str) -> str:
    """Return the project's entry in the configuration, indented as it stands there."""
    added_at = int(datetime.fromisoformat(_stamp(rng)).timestamp())
    identity = REGISTRY if project.is_registry else WRAPPED
    text = f"path: {_json(str(checkout))}\n"
    text += identity.format(id=project.id, registered_epoch_seconds=added_at)
    if project.has_session_prefix:
        text += f"sessionPrefix: {project.prefix}\n"

    if project.is_registry and project.v1_digits is not None:
        text += f"storageKey: {project.v1_digits}\n"

    if not project.is_registry and project.own_file is None:
        text += settings

    return f"  {project.id}:\n{textwrap.indent(text, '    ')}"


def _write_checkout(project: _Project, checkout: Path, settings: str) -> None:
    checkout.mkdir()
    if project.own_file is not None:
        if not project.is_registry:  # as old as the entry, so wrapped as well
            inner = textwrap.indent(settings, "    ")
            settings = f"{DEFAULTS}projects:\n  {project.id}:\n{inner}"

        _write(checkout / project.own_file, settings)

    if project.has_git:
        for name in ("objects", "refs"):
            (checkout / ".git" / name).mkdir(parents=True)

        _write(checkout / ".git" / "HEAD", "ref: refs/heads/main\n")
        _write(checkout / ".git" / "config", GIT_CONFIG.format(id=project.id))


def _draft_orchestrators(
    rng: random.Random, project: _Project, worktree: Path
) -> list[tuple[str, bytes]]:
    """Return names and bodies; where a live one is among them, it is the first."""
    live = rng.choice(("working", "idle", "needs_input", "stuck", "detecting"))
    states = ["terminated"] if project.fate == "terminated" else [live]
    if project.fate == "several":
        states += ("terminated", "done")

    files: list[tuple[str, bytes]] = []
    for number, state in enumerate(states):
        created_at = _stamp(rng)
        lifecycle = _lifecycle(rng, "orchestrator", state, created_at)
        record: dict[str, object] = {
            "role": "orchestrator",
            "project": project.id,
            "createdAt": created_at,
            "worktree": str(worktree),
            "branch": f"orchestrator/{project.prefix}",
            "displayName": f"Lead of {project.id}",
            "userPrompt": _prose(rng, 400),
            RESUME_KEYS[project.agent]: project.resume_id,
        }
        stem = f"{project.prefix}-orchestrator" + (f"-{number}" if number else "")
        if project.v1_digits is not None:
            # Old records name no agent: the resume id tells it (rule L5).
            files.append((stem, _render_v1(record | _spell(lifecycle, "payload"))))
        else:
            record |= {"agent": project.agent} | _spell(lifecycle, project.spelling)
            files.append((f"{stem}.json", _render_json(record)))

    return files


def _iterate_workers(
    project: _Project,
    count: int,
    shape: StoreShape,
    pool: Sequence[bytes],
    v1_pool: Sequence[bytes],
    serials: Iterator[int],
) -> Iterator[tuple[str, bytes]]:
    bodies, suffix = (pool, ".json") if project.v1_digits is None else (v1_pool, "")
    project_id, share = project.id.encode(), shape.damaged_share
    for number in range(1, count + 1):
        serial = next(serials)
        stem = f"{project.prefix}-{number}"
        name, session = stem + suffix, stem.encode()
        fields = {b"project": project_id, b"session": session, b"serial": serial}
        turn = int(serial * share)
        if turn > int((serial - 1) * share):
            body = pool[serial % len(pool)] % fields  # a V1 file can hold JSON too
            yield _damage(name, body, turn)
        else:
            yield name, bodies[serial % len(bodies)] % fields


def _damage(name: str, body: bytes, turn: int) -> tuple[str, bytes]:
    """Return name and body of a JSON record, damaged in one of six ways by turns."""
    shown = b'"displayName": "'
    return (
        (name, body[: len(body) // 2]),
        (name, b""),
        (f"{name}.corrupt-{1_767_225_600_000 + turn}", body),
        (name, body.replace(shown, shown + b"\xff\xc3", 1)),
        (name, b"\xef\xbb\xbf" + body),
        (name, body.replace(shown, shown + rb"\ud83d", 1)),
    )[turn % 6]


def _make_sessions(root: Path, project: _Project, checkout: Path) -> Path:
    if project.v1_digits is None:
        sessions = root / "projects" / project.id / "sessions"
        sessions.mkdir(parents=True)
        return sessions

    # A registry entry has a storage key, which names a bare directory.
    name = "" if project.is_registry else f"-{project.id}"
    home = root / f"{project.v1_digits}{name}"
    ended = f"{project.prefix}-orchestrator_20260101T000000Z"
    _write(home / "sessions" / "archive" / ended, "role=orchestrator\nstatus=killed\n")
    if project.own_file is not None:
        _write(home / ".origin", f"{checkout / project.own_file}\n")

    return home / "sessions"


def _write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Write many small files into one folder and return their bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    has_dir_fd = os.open in os.supports_dir_fd
    dir_fd = os.open(folder, os.O_RDONLY) if has_dir_fd else None
    written_bytes = 0
    try:
        for name, body in files:
            path = name if has_dir_fd else folder / name
            file = os.open(path, flags, 0o644, dir_fd=dir_fd)
            try:
                size_bytes = os.write(file, body)
            finally:
                os.close(file)

            if size_bytes < len(body):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

            written_bytes += size_bytes
    finally:
        if dir_fd is not None:
            os.close(dir_fd)

    return written_bytes


def _slug(path: str) -> str:
    """Return the name of a resolved path's bucket."""
    text = unicodedata.normalize("NFC", path).encode("utf-16-le", "surrogatepass")
    units = struct.unpack(f"<{len(text) // 2}H", text)
    name = re.sub("[^a-zA-Z0-9]", "-", "".join(map(chr, units)))
    if len(name) <= 200:
        return name

    value = 0
    for unit in units:
        value = (31 * value + unit) % 2**32

    value = min(value, 2**32 - value)  # the absolute value of the signed number
    digits = ""
    while value or not digits:
        value, digit = divmod(value, 36)
        digits = f"{string.digits}{string.ascii_lowercase}"[digit] + digits

    return f"{name[:200]}-{digits}"


def _write_transcript(
    bucket: Path, resume_id: str, worktree: Path, shape: StoreShape, block: bytes
) -> int:
    """Write a transcript and its sidecars, and return their bytes."""
    cwd = msgspec.json.encode(str(worktree))[1:-1]
    block = block.replace(b"@uuid@", resume_id.encode()).replace(b"@cwd@", cwd)
    bucket.mkdir()
    written_bytes = shape.transcript_bytes
    _write_lines(bucket / f"{resume_id}.jsonl", block, shape.transcript_bytes)
    for number in range(shape.sidecars):
        folder = bucket / resume_id / ("tool-results" if number % 2 else "subagents")
        folder.mkdir(parents=True, exist_ok=True)
        name = f"toolu_{number:08d}.txt" if number % 2 else f"agent-{number:08x}.jsonl"
        size_bytes = (number % 7 + 1) << 13
        _write_lines(folder / name, block, size_bytes)
        written_bytes += size_bytes

    return written_bytes


def _write_lines(file: Path, block: bytes, size_bytes: int) -> None:
    """Repeat the block up to the size; blanks fill up the last line."""
    with file.open("wb") as target:
        for _ in range(size_bytes // len(block)):
            target.write(block)

        if rest_bytes := size_bytes % len(block):
            end = max(0, block.rfind(b"\n", 0, rest_bytes))
            target.write(block[:end].ljust(rest_bytes - 1) + b"\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the store that the command line describes; print its counts as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.generate_store",
        description="Write a synthetic legacy store.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="holds none yet")
    hints = get_type_hints(StoreShape, include_extras=True)
    for name, default in msgspec.structs.asdict(StoreShape()).items():
        kind = int if default is None else type(default)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_size_bytes if name.endswith("_bytes") else kind,
            default=default,
            choices=get_args(Encodings) if name == "encodings" else None,
            help=hints[name].__metadata__[0],
        )

    options = vars(parser.parse_args(arguments))
    try:
        generated = generate(options.pop("directory"), StoreShape(**options))
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))

    sys.stdout.write(f"{_json(generated)}\n")


def _size_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)(|KiB|MiB|GiB)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 4096 or 1MiB")

    return int(found[1]) << 10 * ("", "KiB", "MiB", "GiB").index(found[2])


if __name__ == "__main__":
    main()
