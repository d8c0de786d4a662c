from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.generate_store import Generated, StoreShape, generate, main

SMALL = StoreShape(projects=8, records=6, transcript_bytes=3000)
MIXED = StoreShape(
    projects=20,
    records=11,
    transcript_bytes=3000,
    sidecars=2,
    v1_share=0.3,
    damaged_share=0.2,
    git=0.5,
    terminal_share=0.3,
)


def read_files(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }


def read_entries(directory: Path) -> dict[str, Any]:
    text = (directory / "root" / "config.yaml").read_bytes()
    entries: dict[str, Any] = yaml.load(text, yaml.CBaseLoader)["projects"]
    return entries


def find_sessions(directory: Path) -> dict[str, Path]:
    """Return each project's sessions directory (rule S2)."""
    found = {}
    for project_id, entry in read_entries(directory).items():
        home = directory / "root" / "projects" / project_id
        if not home.exists():
            name = f"{'[0-9a-f]' * 12}-{project_id}"
            (home,) = (directory / "root").glob(entry.get("storageKey", name))

        found[project_id] = home / "sessions"

    return found


def read_record(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    if text.startswith("{"):
        record: dict[str, Any] = json.loads(text)
        return record

    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value for key, _, value in pairs}


def unpack(value: object) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def read_state(record: dict[str, Any]) -> str:
    lifecycle = unpack(record.get("lifecycle") or record.get("statePayload"))
    state: str = unpack(lifecycle["session"])["state"]
    return state


def find_orchestrators(directory: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        project_id: [
            read_record(file) for file in sorted(sessions.glob("*-orchestrator*"))
        ]
        for project_id, sessions in find_sessions(directory).items()
    }


def find_workers(directory: Path) -> list[Path]:
    return [
        file
        for sessions in find_sessions(directory).values()
        for file in sorted(sessions.iterdir())
        if file.is_file() and "-orchestrator" not in file.name
    ]


def test_the_same_shape_gives_the_same_bytes(tmp_path: Path) -> None:
    store = tmp_path / "store"
    counts = generate(store, MIXED)
    files = read_files(store)
    shutil.rmtree(store)

    assert generate(store, MIXED) == counts
    assert read_files(store) == files


def test_another_seed_gives_another_store(tmp_path: Path) -> None:
    generate(tmp_path / "a", SMALL)
    generate(tmp_path / "b", StoreShape(projects=8, records=6, seed=2))

    assert set(read_entries(tmp_path / "a")) != set(read_entries(tmp_path / "b"))


def test_the_counts_are_those_of_the_store(tmp_path: Path) -> None:
    counts = generate(tmp_path, MIXED)

    records = [
        file
        for sessions in find_sessions(tmp_path).values()
        for file in sessions.iterdir()
        if file.is_file()
    ]
    live = [
        project_id
        for project_id, found in find_orchestrators(tmp_path).items()
        if {read_state(record) for record in found} - {"terminated", "done"}
    ]
    transcripts = read_files(tmp_path / "claude")
    record_bytes = sum(file.stat().st_size for file in records)
    transcript_bytes = sum(map(len, transcripts.values()))
    assert counts == Generated(
        projects=len(read_entries(tmp_path)),
        records=len(records),
        orchestrators=len(live),
        transcripts=sum(name.count("/") == 1 for name in transcripts),
        record_bytes=record_bytes,
        transcript_bytes=transcript_bytes,
        bytes=record_bytes + transcript_bytes,
    )
    assert (counts.projects, counts.records) == (20, 220)


def test_ids_prefixes_and_worktrees_are_sound(tmp_path: Path) -> None:
    generate(tmp_path, MIXED)

    sessions, prefixes = find_sessions(tmp_path), set()
    for project_id, entry in read_entries(tmp_path).items():
        assert re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", project_id)
        assert Path(entry["path"]) == tmp_path / "repos" / project_id
        assert Path(entry["path"]).is_dir()
        prefix = entry.get("sessionPrefix", project_id[:12])
        prefixes.add(prefix)
        name = f"{prefix}-orchestrator" + (
            ".json" if "projects" in sessions[project_id].parts else ""
        )
        record = read_record(sessions[project_id] / name)
        assert record["role"] == "orchestrator"
        assert Path(record["worktree"]).is_dir()
        assert (tmp_path / "worktrees" / project_id) in Path(record["worktree"]).parents

    assert len(prefixes) == MIXED.projects


def test_entries_are_of_both_generations(tmp_path: Path) -> None:
    generate(tmp_path, MIXED)

    repos = [entry["repo"] for entry in read_entries(tmp_path).values()]
    assert {type(repo) for repo in repos} == {str, dict}


@pytest.mark.parametrize("v1_share", [0.0, 1.0])
def test_records_have_the_mean_size_and_vary(tmp_path: Path, v1_share: float) -> None:
    shape = StoreShape(
        projects=3,
        records=101,
        record_bytes=3000,
        v1_share=v1_share,
        damaged_share=0,
        transcripts=0,
    )
    generate(tmp_path, shape)

    sizes = [file.stat().st_size for file in find_workers(tmp_path)]
    assert sum(sizes) / len(sizes) == pytest.approx(3000, rel=0.05)
    assert max(sizes) > 2 * min(sizes)


@pytest.mark.parametrize(
    ("encodings", "spelled"),
    [
        pytest.param("object", {("lifecycle", dict, dict)}, id="object"),
        pytest.param("string", {("lifecycle", str, dict)}, id="string"),
        pytest.param("payload", {("statePayload", str, dict)}, id="payload"),
        pytest.param("nested", {("lifecycle", dict, str)}, id="nested"),
        pytest.param(
            "mixed",
            {
                ("lifecycle", dict, dict),
                ("lifecycle", str, dict),
                ("statePayload", str, dict),
                ("lifecycle", dict, str),
            },
            id="mixed",
        ),
    ],
)
def test_lifecycles_are_spelled_as_asked(
    tmp_path: Path, encodings: Any, spelled: set[tuple[str, type, type]]
) -> None:
    shape = StoreShape(
        projects=4, records=9, v1_share=0, damaged_share=0, encodings=encodings
    )
    generate(tmp_path, shape)

    for pattern in ("*-orchestrator.json", "*[0-9].json"):
        found = set()
        for file in tmp_path.glob(f"root/projects/*/sessions/{pattern}"):
            record = read_record(file)
            key = "lifecycle" if "lifecycle" in record else "statePayload"
            session = unpack(record[key])["session"]
            found.add((key, type(record[key]), type(session)))

        assert found == spelled


def test_v1_projects_hold_key_value_records(tmp_path: Path) -> None:
    generate(tmp_path, StoreShape(projects=8, records=6, v1_share=1, own_files=1))

    homes = [sessions.parent for sessions in find_sessions(tmp_path).values()]
    files = [file for home in homes for file in (home / "sessions").glob("*-*")]
    assert not (tmp_path / "root" / "projects").exists()
    assert len(files) == 48
    assert {file.read_bytes()[:10] for file in files} == {b"# session\n"}
    assert {Path((home / ".origin").read_text().rstrip()).is_file() for home in homes}
    assert {len(home.name) == 12 for home in homes} == {True, False}


def test_damaged_records_are_damaged_in_six_ways(tmp_path: Path) -> None:
    generate(tmp_path, StoreShape(projects=2, records=13, v1_share=0, damaged_share=1))

    found: dict[str, int] = {}
    for file in find_workers(tmp_path):
        body = file.read_bytes()
        try:
            text = body.decode()
            json.dumps(json.loads(text), ensure_ascii=False).encode()
            kind = "renamed" if re.search(r"\.json\.corrupt-\d+$", file.name) else "ok"
        except UnicodeDecodeError:
            kind = "bad UTF-8"
        except UnicodeEncodeError:
            kind = "surrogate"
        except json.JSONDecodeError:
            kind = "cut" if body.startswith(b"{") else "mark" if body else "empty"

        found[kind] = found.get(kind, 0) + 1

    kinds = ("renamed", "bad UTF-8", "surrogate", "cut", "mark", "empty")
    assert found == dict.fromkeys(kinds, 4)


def test_a_share_of_the_workers_is_damaged(tmp_path: Path) -> None:
    generate(tmp_path / "sound", StoreShape(projects=2, records=51, damaged_share=0))
    generate(
        tmp_path / "damaged", StoreShape(projects=2, records=51, damaged_share=0.2)
    )
    sound, damaged = (
        read_files(tmp_path / name / "root") for name in ("sound", "damaged")
    )

    kept = [name for name in sound if damaged.get(name) == sound[name]]
    assert len(sound) - len(kept) >= 20


def test_transcripts_are_in_the_buckets_of_worktrees(tmp_path: Path) -> None:
    shape = StoreShape(projects=5, records=2, transcripts=3, transcript_bytes=1_200_001)
    counts = generate(tmp_path, shape)

    found = 0
    for record, *_ in find_orchestrators(tmp_path).values():
        slug = re.sub("[^a-zA-Z0-9]", "-", os.path.realpath(record["worktree"]))
        resume_id = record.get("claudeSessionUuid")
        file = tmp_path / "claude" / slug / f"{resume_id}.jsonl"
        if file.exists():
            found += 1
            lines = [json.loads(line) for line in file.read_bytes().splitlines()]
            assert file.stat().st_size == 1_200_001
            assert {line["sessionId"] for line in lines} == {resume_id}
            assert {line["cwd"] for line in lines} == {record["worktree"]}

    assert (
        counts.transcripts == found == len(list((tmp_path / "claude").iterdir())) == 3
    )


def test_no_transcripts_can_be_asked_for(tmp_path: Path) -> None:
    counts = generate(tmp_path, StoreShape(projects=3, records=1, transcripts=0))

    assert (counts.transcripts, counts.transcript_bytes) == (0, 0)
    assert list((tmp_path / "claude").iterdir()) == []


def test_sidecars_stand_beside_their_transcript(tmp_path: Path) -> None:
    shape = StoreShape(
        projects=2, records=1, transcripts=2, transcript_bytes=10, sidecars=3
    )
    generate(tmp_path, shape)

    for bucket in (tmp_path / "claude").iterdir():
        (transcript,) = bucket.glob("*.jsonl")
        sidecar = transcript.with_suffix("")
        assert transcript.stat().st_size == 10
        assert len(list(sidecar.glob("subagents/*.jsonl"))) == 2
        assert len(list(sidecar.glob("tool-results/*.txt"))) == 1


def test_a_long_bucket_is_cut_and_hashed(tmp_path: Path) -> None:
    store = tmp_path / "Größe 😀" / ("long" * 30) / ("name" * 30)
    generate(store, StoreShape(projects=1, records=1, transcripts=1))

    (bucket,) = (store / "claude").iterdir()
    ((record,),) = find_orchestrators(store).values()
    code = record["worktree"].encode("utf-16-be").hex(" ", 2).split(" ")
    value = 0
    for unit in code:
        value = ctypes.c_int32(31 * value + int(unit, 16)).value

    assert "-Gr--e----longlong" in bucket.name
    assert (len(bucket.name[:200]), bucket.name[200]) == (200, "-")
    assert int(bucket.name[201:], 36) == abs(value)


def test_own_files_take_the_settings_out_of_the_entries(tmp_path: Path) -> None:
    generate(tmp_path, StoreShape(projects=10, records=1, own_files=1))

    wrapped = set()
    for project_id, entry in read_entries(tmp_path).items():
        (file,) = Path(entry["path"]).glob("agent-orchestrator.*")
        own = yaml.load(file.read_bytes(), yaml.BaseLoader)
        wrapped.add("projects" in own)
        settings = own["projects"][project_id] if "projects" in own else own
        assert settings
        assert not settings.keys() & entry.keys()

    assert wrapped == {True, False}


def test_without_own_files_checkouts_are_empty(tmp_path: Path) -> None:
    generate(tmp_path, StoreShape(projects=5, records=1, own_files=0))

    assert len(list((tmp_path / "repos").iterdir())) == 5
    assert list((tmp_path / "repos").glob("*/*")) == []


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git itself")
def test_repositories_answer_with_their_origin(tmp_path: Path) -> None:
    generate(tmp_path, StoreShape(projects=4, records=1, git=0.5))

    repositories = [file.parent for file in tmp_path.glob("repos/*/.git")]
    assert len(repositories) == 2
    for repository in repositories:
        asked = subprocess.run(
            ["git", "remote", "get-url", "origin"],
            cwd=repository,
            capture_output=True,
            check=True,
            text=True,
        )
        assert asked.stdout == f"git@github.com:acme/{repository.name}.git\n"


def test_a_share_of_the_orchestrators_has_ended(tmp_path: Path) -> None:
    shape = StoreShape(projects=20, records=4, terminal_share=0.5)
    counts = generate(tmp_path, shape)

    ended, several = [], []
    for project_id, found in find_orchestrators(tmp_path).items():
        states = [read_state(record) for record in found]
        if states == ["terminated"]:
            ended.append(project_id)
        elif len(states) == 3:
            several.append(project_id)
            assert len([s for s in states if s not in ("terminated", "done")]) == 1

    assert (len(ended), len(several), counts.orchestrators) == (5, 5, 15)


def test_the_command_prints_its_counts_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--projects 2 --records 3 --transcripts 1 --transcript-bytes 2KiB"
    main(
        [str(tmp_path), *arguments.split(), "--record-bytes", "4096", "--v1-share", "0"]
    )

    (line,) = capsys.readouterr().out.splitlines()
    printed = json.loads(line)
    assert printed["transcript_bytes"] == 2048
    assert printed["records"] == 6
    assert printed["bytes"] == printed["record_bytes"] + 2048


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("--records 0", "at least 1", id="no-records"),
        pytest.param("--sidecars -1", "negative", id="negative"),
        pytest.param("--transcripts 21", "number of projects", id="transcripts"),
        pytest.param("--git 1.5", "from 0 to 1", id="share"),
        pytest.param("--transcript-bytes 1MB", "is no size", id="size"),
        pytest.param("--encodings xml", "invalid choice", id="encodings"),
    ],
)
def test_wrong_numbers_are_wrong_use(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    message: str,
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), *arguments.split()])

    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_never_written_over(tmp_path: Path) -> None:
    generate(tmp_path, SMALL)
    files = read_files(tmp_path)

    with pytest.raises(FileExistsError):
        generate(tmp_path, SMALL)

    assert read_files(tmp_path) == files
