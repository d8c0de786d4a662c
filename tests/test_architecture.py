"""The imports point one way, and every module reads alike."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from types import GenericAlias

import pytest

ROOT = Path(__file__).parent.parent
STAGES = frozenset(
    {"compare", "decode", "discover", "locate", "map", "relocate", "write"}
)
MODULES = sorted(
    file.relative_to(ROOT)
    for package in ("pipeline", "stages")
    for file in (ROOT / package).rglob("*.py")
)
# Files that say nothing but what their folder is for.
EMPTY = frozenset(
    Path(folder, "__init__.py")
    for folder in (
        "stages",
        "stages/floor",
        "stages/database",
        "pipeline/fleet",
        "pipeline/terminal",
    )
)


def parse(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def imports(module: Path) -> set[str]:
    """Return the full names of what a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)

    return names


def own_stage(module: Path) -> str | None:
    """Return the stage that a module belongs to; None for the floor."""
    name = module.parts[1].removesuffix(".py")

    return name if name in STAGES else None


def of_package(package: str) -> list[Path]:
    return [module for module in MODULES if module.parts[0] == package]


@pytest.mark.parametrize("module", of_package("stages"), ids=str)
def test_stage_imports_the_floor_and_no_other_stage(module: Path) -> None:
    found = {
        name.split(".")[1] for name in imports(module) if name.startswith("stages.")
    }

    assert found & STAGES <= {own_stage(module)}


@pytest.mark.parametrize("module", of_package("stages"), ids=str)
def test_stage_never_imports_the_pipeline(module: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(module)}

    assert not packages & {"pipeline", "tests", "bench"}


@pytest.mark.parametrize("module", of_package("pipeline"), ids=str)
def test_pipeline_imports_nothing_that_is_not_installed_with_it(module: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(module)}

    assert not packages & {"tests", "bench"}


@pytest.mark.parametrize(
    "module", [m for m in MODULES if m != Path("stages/__init__.py")], ids=str
)
def test_module_begins_with_a_docstring(module: Path) -> None:
    docstring = ast.get_docstring(parse(module))

    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if m not in EMPTY and m.name != "__main__.py"],
    ids=str,
)
def test_module_names_what_it_offers_in_a_sorted_tuple(module: Path) -> None:
    assigned = [
        node.value
        for node in parse(module).body
        if isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ]

    assert len(assigned) == 1
    assert isinstance(assigned[0], ast.Tuple)
    names = ast.literal_eval(assigned[0])
    assert list(names) == sorted(set(names))
    assert not [name for name in names if name.startswith("_")]
    imported = importlib.import_module(".".join(module.with_suffix("").parts))
    assert all(hasattr(imported, name) for name in names)


RULES = [
    f"{letter}{number}"
    for letter, count in {
        "C": 9,
        "P": 6,
        "B": 8,
        "S": 8,
        "L": 9,
        "T": 6,
        "D": 11,
        "G": 3,
    }.items()
    for number in range(1, count + 1)
]


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_named_where_it_is_carried_out_and_where_it_is_tested(
    rule: str,
) -> None:
    pattern = re.compile(rf"(?<![A-Za-z0-9]){rule}(?![0-9A-Za-z])")
    folders = {"code": ("pipeline", "stages"), "tests": ("tests",)}
    named = {
        name
        for name, places in folders.items()
        for place in places
        for file in (ROOT / place).rglob("*.py")
        if pattern.search(file.read_text(encoding="utf-8"))
    }

    assert named == {"code", "tests"}


def test_pipeline_exports_what_it_says() -> None:
    import pipeline

    exported: dict[str, object] = {}
    exec("from pipeline import *", exported)

    assert set(exported) - {"__builtins__"} == set(pipeline.__all__)
    assert all(
        getattr(value, "__doc__", None)
        for name in pipeline.__all__
        # The name of a function's type says all that there is to say of it.
        if not isinstance(value := exported[name], GenericAlias)
    )


def test_messages_are_frozen_and_take_keywords_only() -> None:
    import msgspec

    import stages.messages

    kinds = [
        kind
        for kind in vars(stages.messages).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind is not msgspec.Struct
    ]

    assert kinds
    for kind in kinds:
        assert kind.__struct_config__.frozen
        with pytest.raises(TypeError):
            kind("by position")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_the_terminal_knows_of_click_and_rich(module: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(module)}
    is_terminal = module.parts[:2] == ("pipeline", "terminal")

    assert is_terminal or not packages & {"click", "rich"}


@pytest.mark.parametrize("module", of_package("stages"), ids=str)
def test_the_floor_stands_on_nothing_of_ours(module: Path) -> None:
    found = {".".join(name.split(".")[:2]) for name in imports(module)}
    ours = {name for name in found if name.startswith("stages.")}

    if module.parts[1] == "floor":
        assert ours <= {"stages.floor", "stages.errors", "stages.messages"}
    elif module.parts[1] == "database":
        assert not {name.split(".")[1] for name in ours} & STAGES


def test_no_stage_catches_everything() -> None:
    broad = [
        str(module)
        for module in of_package("stages")
        for node in ast.walk(parse(module))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) == "Exception")
    ]

    assert broad == []


def test_stages_print_nothing_and_read_no_environment() -> None:
    found = [
        f"{module}: {ast.unparse(node)}"
        for module in of_package("stages")
        for node in ast.walk(parse(module))
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ")
    ]

    assert found == []
