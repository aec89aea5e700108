"""The map of the project, enforced by reading the sources: who may import whom, and how."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

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


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    assert complaints(path.read_text(encoding="utf-8"), folder) == []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_does_not_print(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    lines = [call.lineno for call in calls if ast.unparse(call.func) == "print"]
    assert lines == [], "log it, or show it through rich in the CLI"


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
