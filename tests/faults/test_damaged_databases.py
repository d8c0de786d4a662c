"""A damaged database is said in a sentence, or does not matter; nothing else comes of it."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from pipeline.probing import probe_with
from stages.errors import ImportFailed
from tests.faults.scene import Scene
from tests.stages.database.databases import make

PLACES = 40  # for each kind of damage
# What SQLite's and Python's own texts have, and no sentence of ours.
RAW = re.compile(
    r"sqlite|malformed|disk image|codec|Error\b|no such|near \"", re.IGNORECASE
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = Scene(tmp_path_factory.mktemp("damaged").resolve() / "home")
    made.import_cleanly()
    make(
        made.data_dir,
        "DELETE FROM change_log",
        "DELETE FROM sessions WHERE project_id = 'own'",
        "DELETE FROM projects WHERE id = 'own'",
    )

    return made


def damage(content: bytes, kind: str, chance: random.Random) -> bytes:
    # Where something stands: most of a young database is empty.
    place = chance.choice([at for at, byte in enumerate(content) if byte])
    if kind == "cut":
        return content[:place]
    if kind == "zeroed":
        return (
            content[:place]
            + bytes(min(512, len(content) - place))
            + content[place + 512 :]
        )
    if kind == "header":
        place %= 100
    changed = bytearray(content)
    changed[place] ^= 1 << chance.randrange(8)

    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flipped", "header", "zeroed", "cut"])
async def test_damaged_database_gives_a_sentence_or_does_not_matter(
    scene: Scene, kind: str
) -> None:
    content = scene.database.read_bytes()
    chance = random.Random(kind)
    kept = scene.home / "kept"
    shutil.copytree(scene.data_dir, kept)
    refused = 0
    try:
        for number in range(PLACES):
            damaged = damage(content, kind, chance)
            for run in (probe, dry_run, verify, import_all):
                put(scene, kept, damaged)
                said = await run(scene)
                assert not RAW.search(said), (number, run.__name__, said)
                refused += bool(said)
    finally:
        put(scene, kept, content)
        shutil.rmtree(kept)
    assert refused, "no damage was met"
    scene.assert_legacy_untouched()


def put(scene: Scene, kept: Path, content: bytes) -> None:
    shutil.rmtree(scene.data_dir)
    shutil.copytree(kept, scene.data_dir)
    scene.database.write_bytes(content)


async def probe(scene: Scene) -> str:
    return (await probe_with(scene.settings())).error or ""


async def dry_run(scene: Scene) -> str:
    try:
        await scene.run_import(is_dry_run=True)
    except ImportFailed as error:
        return str(error)
    return ""


async def verify(scene: Scene) -> str:
    try:
        await scene.verify()
    except ImportFailed as error:
        return str(error)
    return ""


async def import_all(scene: Scene) -> str:
    try:
        await scene.run_import()
    except ImportFailed as error:
        return str(error)
    return ""
