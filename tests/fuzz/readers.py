"""Every reader of files that others wrote, as one function of bytes, and how to vary these."""

from __future__ import annotations

__all__ = ("READERS", "Readers", "mutated")

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from pipeline.daemon import find_daemon
from stages.decode.record import (
    decode_orchestrator,
    decode_record,
    has_role,
    is_v1_worker,
    probe_role,
)
from stages.discover import Places, load_registry
from stages.discover.behaviour import Defaults, read_behaviour, unknown_fields
from stages.discover.configuration import Sources
from stages.discover.overlays import read_overlays
from stages.discover.own_file import read_own_file
from stages.discover.session_places import clean_path
from stages.discover.yaml_text import REGISTRY_BOUNDS, Node, YamlError, parse_yaml
from stages.errors import ConfigBroken, RunFileBroken
from stages.floor.json_text import decode_object
from stages.floor.workers import Workers
from stages.map import map_project
from stages.messages import Entry, LegacyProject, Orchestrator, PlannedProject
from tests.support import ENTRY, HOME, NOW, OLD, ORCHESTRATOR, UUID, lifecycle

YAML_SEEDS = (
    b"projects:\n  app:\n    path: ~/app\n    repo: {owner: o, name: n, originUrl: u}\n"
    b"    registeredAt: 1767312000\n    env: {A: 010, B: ~}\n    agent: codex\n"
    b"    sessionPrefix: ap\n    storageKey: abcdef012345\n",
    b"defaults: &d {agent: codex, worker: {agent: aider}}\nprojects:\n  a: {<<: *d, path: /a}\n"
    b"  b: {path: /b, symlinks: [x, ../y], agentConfig: {model: m, permissions: skip}}\n",
    b'env:\n  A: |\n    text\n  B: >-\n    folded\nagentRules: "\\x41\\u00e9"\npostCreate:\n- make\n',
    b"a: &a [x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: {? k : v, <<: [{x: 1}]}\n",
    b"# comment\n%YAML 1.1\n---\nprojects: {1: {path: '/a', name: \"n\"}}\n...\n",
)
RECORD_SEEDS = tuple(
    json.dumps(record, indent=2).encode()
    for record in (
        {
            "role": "orchestrator",
            "agent": "claude-code",
            "lifecycle": json.dumps(lifecycle()),
            "claudeSessionUuid": UUID,
            "createdAt": "2026-03-01T10:00:00.250Z",
            "worktree": "/wt/app",
        },
        {
            "statePayload": {"session": json.dumps({"state": "done"})},
            "stateVersion": "2",
            "codexThreadId": "t",
            "codexModel": "o3",
        },
        {"status": "killed", "displayName": "\ud83d", "branch": 7, "project": "app"},
    )
)
PAIR_SEEDS = (
    b"# session\nrole=orchestrator\nagent=codex\ncodexThreadId = t-1\nnoise\n=x\n",
    b'statePayload={"session": {"state": "working"}}\nstateVersion=2\nworktree=/wt\n',
    RECORD_SEEDS[0],
)
OVERLAY_SEEDS = (
    b'{"version": 1, "projects": {"app": {"displayName": "App", "pinned": true}}}',
    b'{"version": 1, "projects": [{"path": "~/app", "addedAt": "2026-01-02T00:00:00Z",'
    b' "configProjectKey": "app", "id": "app"}]}',
)
RUN_FILE_SEEDS = (
    b'{"pid": 999999999, "port": 3000, "startedAt": "2026-01-01T00:00:00Z"}',
    b'{"pid": -1}',
    b"{}",
)
POINTER_SEEDS = (b"/nowhere/agent-orchestrator.yaml\n", b"\xef\xbb\xbf/a\n", b"x/y")

READERS: dict[str, tuple[bytes, ...]] = {
    "yaml": YAML_SEEDS,
    "registry": YAML_SEEDS,
    "own file": YAML_SEEDS,
    "pointed file": YAML_SEEDS,
    "pointer": POINTER_SEEDS,
    "json record": RECORD_SEEDS,
    "key=value record": PAIR_SEEDS,
    "overlays": OVERLAY_SEEDS,
    "run-file": RUN_FILE_SEEDS,
}
"""The readers by name, each with what it usually reads."""


class Readers:
    """The readers, with the files and the event loop that some of them need.

    Each raises only where a reader of ours raises what it does not document, or where
    what it returns does not hold what it promises.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory / "root"
        self._project = directory / "project"
        self._pointer = self._root / "abcdef012345-app" / ".origin"
        self._pointed = directory / "pointed.yaml"
        self._run_file = directory / "running.json"
        for place in (self._pointer.parent, self._project):
            place.mkdir(parents=True)
        self._places = Places(
            root=self._root,
            config=self._root / "config.yaml",
            config_is_required=False,
            home=str(directory),
        )
        self._runner = asyncio.Runner()
        self.by_name: dict[str, Callable[[bytes], None]] = {
            "yaml": self._yaml,
            "registry": self._registry,
            "own file": self._own_file,
            "pointed file": self._pointed_file,
            "pointer": self._follow,
            "json record": self._json_record,
            "key=value record": self._v1_record,
            "overlays": self._overlays,
            "run-file": self._read_run_file,
        }

    def __enter__(self) -> Self:
        self._workers = Workers(1, "fuzz")
        self._runner.run(self._workers.__aenter__())

        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._runner.run(self._workers.__aexit__(exc_type, exc_val, exc_tb))
        self._runner.close()

    def _yaml(self, data: bytes) -> None:
        try:
            root = parse_yaml(data).root
        except YamlError as error:
            _check_place(error)
            return

        most = REGISTRY_BOUNDS.repeated + len(data)
        assert _weight(root, most) <= most

    def _registry(self, data: bytes) -> None:
        try:
            self._load(data)
        except ConfigBroken as error:
            _check_line(str(error))

    def _load(self, config: bytes) -> None:
        sources = Sources(
            config=config,
            config_modified_at=OLD,
            config_state=None,
            preferences=b"",
            registered=b"",
        )
        registry = load_registry(sources, self._places)
        for project in registry.projects:
            self._behave(project.mapping)
        for note in (*registry.notes, *registry.invalid):
            _check_line(note.text)

    def _own_file(self, data: bytes) -> None:
        _replace(self._project / "agent-orchestrator.yaml", data)
        own = read_own_file(str(self._project), "app", frozenset(), lambda: None)

        assert own is not None
        if not own.problem:
            self._behave(own.fields)

    def _pointed_file(self, data: bytes) -> None:
        _replace(self._pointed, data)
        self._follow(str(self._pointed).encode())

    def _follow(self, data: bytes) -> None:
        _replace(self._pointer, data)
        try:
            self._load(b"")
        finally:
            self._pointer.unlink()

    def _behave(self, mapping: dict[str, Node]) -> None:
        behaviour, notes = read_behaviour(
            mapping, Defaults(), is_inline=True, project_id="app", source="f"
        )
        notes += unknown_fields(
            mapping, project_id="app", source="f", where="its entry"
        )
        planned = _plan(replace(ENTRY, behaviour=behaviour), None)

        for note in (*notes, *planned.project_notes):
            _check_line(note.text)

    def _json_record(self, data: bytes) -> None:
        probed = probe_role(data)
        record = decode_object(data)

        # What is passed over after the first look would be so after the second.
        assert probed is None or (record is not None and probed == has_role(record))
        if record is not None:
            _decode(record, is_v1=False)

    def _v1_record(self, data: bytes) -> None:
        record = decode_record(data)[0]
        if is_v1_worker(data):
            assert record is not None
            assert not has_role(record)
        if record is not None:
            _decode(record, is_v1=True)

    def _overlays(self, data: bytes) -> None:
        def clean(path: str) -> str | None:
            return clean_path(path, "/", "/home/me")

        for overlays in (
            read_overlays(data, b"", clean),
            read_overlays(b"", data, clean),
        ):
            for name in overlays.names.values():
                assert name.encode()

    def _read_run_file(self, data: bytes) -> None:
        _replace(self._run_file, data)
        try:
            pid = self._runner.run(find_daemon(self._run_file, self._workers))
        except RunFileBroken as error:
            _check_line(str(error))
            return

        assert pid is None or pid > 0


def mutated(seeds: tuple[bytes, ...], random: Random) -> bytes:
    """Return one of the seeds with a few pieces changed, doubled, moved or taken out."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 6)):
        at = random.randint(0, len(data))
        upto = min(len(data), at + random.randint(0, 24))
        match random.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 1:
                del data[at:upto]
            case 2:
                data[at:at] = data[at:upto] * random.randint(1, 4)
            case 3:
                data[at:upto] = random.choice(TOKENS)
            case 4:
                other = random.choice(seeds)
                start = random.randint(0, len(other))
                data[at:upto] = other[start : start + random.randint(0, 60)]
            case 5:
                data[at:at] = random.choice(TOKENS) * random.choice((1, 1, 2, 70, 5000))
            case _:
                data[at:at] = random.randbytes(random.randint(1, 6))

    return bytes(data[: 1 << 20])


TOKENS = (
    b"\x00",
    b"\n",
    b"\t",
    b" ",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"\\ud800",
    b'"',
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b": ",
    b"- ",
    b", ",
    b"? ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!str ",
    b"!!int ",
    b"| ",
    b"%TAG ! x\n",
    b"---\n",
    b"...\n",
    b"#",
    b"=",
    b"null",
    b"~",
    b"NaN",
    b"1e999",
    b"9" * 40,
    b"-",
    b"0x",
    b"../",
    b"projects",
    b"path",
    b"2026-02-30T25:61:61.1234567890+99:99",
)


def _replace(file: Path, data: bytes) -> None:
    # Some file systems flush a file that is cut and written again; a new one they do not.
    file.unlink(missing_ok=True)
    file.write_bytes(data)


def _check_line(text: str) -> None:
    assert text.splitlines() == [text]


def _check_place(error: YamlError) -> None:
    assert error.line > 0
    assert error.column > 0
    assert str(error) == f"line {error.line}, column {error.column}: {error.problem}"


def _decode(record: dict[str, object], *, is_v1: bool) -> None:
    orchestrator = decode_orchestrator(
        record,
        stem=ORCHESTRATOR.stem,
        file=ORCHESTRATOR.file,
        modified_at=NOW,
        is_v1=is_v1,
        inherited_agent="claude-code",
    )
    planned = _plan(ENTRY, orchestrator)

    if planned.session is not None:
        for name in planned.session.__struct_fields__:
            assert str(getattr(planned.session, name)).encode() is not None
    for note in (*planned.session_notes, *planned.record_notes):
        _check_line(note.text)


def _plan(entry: Entry, orchestrator: Orchestrator | None) -> PlannedProject:
    legacy = LegacyProject(
        entry=entry,
        orchestrator=orchestrator,
        also_live=(),
        also_live_count=0,
        sessions_read=0,
        files_skipped=0,
        notes=(),
    )

    return map_project(legacy, HOME)


def _weight(root: Node, limit: int) -> int:
    """Return how many values a node stands for, aliases expanded; no more than needed."""
    count, pending = 0, [root]
    while pending and count <= limit:
        node = pending.pop()
        count += 1
        if isinstance(node, dict):
            pending += node.values()
        elif isinstance(node, list):
            pending += node

    return count
