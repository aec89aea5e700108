"""The map of the project, enforced by reading the sources: who may import whom, and how."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "backbones": [
        {"network"},
        {"inputs", "checkpoints"},
        {"execution", "takeover"},
        {"decoding"},
        {"families", "hf"},
        {"opening"},
        {"answering"},
        {"model"},
        {"loading"},
        {"published"},
    ],
    "studies": [
        {"tasks"},
        {"config"},
        {"runs"},
        {"analysis", "training"},
        {"lmms"},
        {"timing", "reports"},
        {"tracking"},
        {"cli", "site"},
    ],
}
"""Rooms of a folder, from the ground up: each imports itself and what lies below it."""

MAY_IMPORT = {
    "controller": set[str](),
    "pruners": {"controller"},
    "backbones": {"controller"},
    "tuning": {"controller", "pruners", "backbones"},
    "studies": {"controller", "pruners", "backbones", "tuning"},
}
LIBRARY = sorted(
    path for folder in ("saccade", *MAY_IMPORT) for path in (ROOT / folder).rglob("*.py")
)
SOURCES = LIBRARY + sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a source imports, wherever in it: ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield from (f"{'.' * node.level}{module or ''}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield target


def forbidden(name: str, folder: str) -> str | None:
    """Why a file of ``folder`` may not import ``name``, or None if it may."""
    first, _, rest = name.partition(".")
    if not first:
        return f"{name}: relative; write it from saccade on"
    if first in MAY_IMPORT:
        return f"{name}: the bare name makes a second copy; write saccade.{name}"
    if first != "saccade" or folder not in MAY_IMPORT or rest == "__version__":
        return None
    target = rest.partition(".")[0]
    if target not in MAY_IMPORT:
        return f"{name}: import it from the folder that it lives in"
    if target != folder and target not in MAY_IMPORT[folder]:
        return f"{name}: {folder} may import {sorted(MAY_IMPORT[folder]) or 'nothing of ours'}"
    return None


def complaints(source: str, folder: str) -> list[str]:
    return [why for name in imported(ast.parse(source)) if (why := forbidden(name, folder))]


def test_imports_follow_the_arrows() -> None:
    found = [
        f"{name_of(path)}: {why}"
        for path in SOURCES
        for why in complaints(path.read_text(encoding="utf-8"), path.relative_to(ROOT).parts[0])
    ]
    assert found == []


def test_rooms_import_what_lies_below_them() -> None:
    found = [
        f"{name_of(path)}: {why}"
        for path in LIBRARY
        if path.relative_to(ROOT).parts[0] in ROOMS and path.name != "__init__.py"
        for why in upward(path)
    ]
    assert found == []


def upward(path: Path) -> list[str]:
    """Imports of a file from rooms that do not lie below its own."""
    folder, *inner = path.relative_to(ROOT).with_suffix("").parts
    floors = {room: floor for floor, rooms in enumerate(ROOMS[folder]) for room in rooms}
    assert inner[0] in floors, f"{name_of(path)}: give its room a floor in ROOMS"
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    rooms = (name.split(".")[2:3] for name in names if name.startswith(f"saccade.{folder}."))
    others = {room[0] for room in rooms if room and room[0] in floors and room[0] != inner[0]}
    return [f"imports {other}" for other in sorted(others) if floors[other] >= floors[inner[0]]]


def test_the_library_does_not_print() -> None:
    """What is to be told is logged, or shown through rich by the command line."""
    found = [
        f"{name_of(path)}:{call.lineno}"
        for path in LIBRARY
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "print"
    ]
    assert found == []


def test_every_package_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.relative_to(ROOT).parts for path in LIBRARY}
    in_tree = {
        ".".join(parts if parts[0] == "saccade" else ("saccade", *parts)) for parts in folders
    }
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(in_tree)


def test_every_folder_is_mapped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    expected = {f"saccade.{folder}": folder for folder in MAY_IMPORT} | {"saccade": "saccade"}
    assert project["tool"]["setuptools"]["package-dir"] == expected


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("controller", "from saccade.pruners import Random"),
        ("controller", "from saccade import Plan"),
        ("controller", "from saccade import pruners"),
        ("controller", "import saccade"),
        ("pruners", "def late():\n    import saccade.backbones"),
        ("pruners", "importlib.import_module('saccade.studies.cli')"),
        ("backbones", "if TYPE_CHECKING:\n    from saccade.pruners import Random"),
        ("tuning", "from saccade.studies.cli import main"),
        ("studies", "from controller import Plan"),
        ("studies", "import tuning.presets as presets"),
        ("studies", "from . import cli"),
        ("studies", "from .cli import main"),
        ("tests", "from pruners.fastv import FastV"),
    ],
)
def test_a_wrong_import_is_found(folder: str, source: str) -> None:
    assert len(complaints(source, folder)) == 1


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("controller", "from saccade import __version__"),
        ("controller", "from saccade.controller.plan import Plan"),
        ("pruners", "import torch\nfrom saccade.controller import Selection"),
        ("studies", "from saccade.tuning import presets"),
        ("tests", "import saccade\nfrom saccade import Controller"),
    ],
)
def test_a_right_import_passes(folder: str, source: str) -> None:
    assert complaints(source, folder) == []
