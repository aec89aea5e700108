"""Registries: known names, refused duplicates, members from installed packages."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import saccade.controller.registry as registry_module
from saccade.controller import (
    ExtensionError,
    Keep,
    SaccadeError,
    UnknownNameError,
    policies,
    pruners,
)
from saccade.controller.registry import Registry

GROUP = "saccade.tests"
ROOT = Path(__file__).parents[2]
HIDDEN = "assert 'saccade.pruners' not in sys.modules"


@pytest.fixture
def registry() -> Registry[Any]:
    made: Registry[Any] = Registry("thing", GROUP)
    made.register("keep", Keep)
    return made


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that offer a member, one that hides ours, and one that cannot be imported."""
    offered = [
        EntryPoint("counter", "collections:Counter", GROUP),
        EntryPoint("keep", "collections:OrderedDict", GROUP),
        EntryPoint("broken", "no_such_package:Thing", GROUP),
    ]

    def entry_points(group: str) -> list[EntryPoint]:
        return [entry for entry in offered if entry.group == group]

    monkeypatch.setattr(registry_module, "entry_points", entry_points)


def test_made_by_name(registry: Registry[Any]) -> None:
    assert registry.make("keep") == Keep() and registry.factory("keep") is Keep
    assert list(registry) == ["keep"] and "keep" in registry and "drop" not in registry


def test_unknown_names_list_the_known(registry: Registry[Any]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        registry.make("kept")
    assert str(caught.value) == "unknown thing 'kept'; did you mean keep? known: keep"
    assert isinstance(caught.value, SaccadeError) and isinstance(caught.value, KeyError)
    empty: Registry[Any] = Registry("thing", GROUP)
    with pytest.raises(UnknownNameError, match="known: none"):
        empty.factory("kept")


def test_duplicates_are_refused(registry: Registry[Any]) -> None:
    with pytest.raises(ValueError, match="a thing named 'keep' is already registered"):
        registry.register("keep", dict)
    assert registry.factory("keep") is Keep


def test_wrong_options_name_the_member(registry: Registry[Any]) -> None:
    with pytest.raises(TypeError, match="thing 'keep': .*often"):
        registry.make("keep", often=True)


@pytest.mark.usefixtures("installed")
def test_installed_packages_offer_more(registry: Registry[Any]) -> None:
    assert list(registry) == ["broken", "counter", "keep"]
    assert "counter" in registry and registry.make("counter", a=2)["a"] == 2
    assert registry.factory("keep") is Keep, "a package cannot replace ours"
    with pytest.raises(UnknownNameError, match="known: broken, counter, keep"):
        registry.factory("another")
    with pytest.raises(ExtensionError, match="ModuleNotFoundError.*no_such_package") as caught:
        registry.factory("broken")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.usefixtures("installed")
def test_one_broken_package_hides_no_other(registry: Registry[Any]) -> None:
    names, problems = registry.usable()
    assert names == ["counter", "keep"]
    (problem,) = problems
    assert "the thing 'broken' of an unknown package (entry point broken = " in problem
    assert registry.origin("keep") == "Saccade"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("gone", "no_such_package:Thing", "ModuleNotFoundError"),
        ("lacks", "collections:Nothing", "AttributeError"),
        ("number", "math:pi", "no class or function"),
        ("mal formed", "collections:Counter", "its name must be a word"),
        ("odd", "not an entry!", "cannot be used"),
        ("exits", "tests.controller.exits:Thing", "SystemExit"),
        ("syntax", "tests.controller.no_python:Thing", "SyntaxError"),
    ],
)
def test_whatever_is_broken_is_named_with_its_package(
    registry: Registry[Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    entry = EntryPoint(name, value, GROUP)
    vars(entry)["dist"] = SimpleNamespace(name="their-package", version="1.2")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [entry])
    monkeypatch.setattr(EntryPoint, "load", _load)
    with pytest.raises(ExtensionError, match=rf"of their-package 1\.2 .*{why}") as caught:
        registry.make(name)
    assert registry.usable() == (["keep"], [str(caught.value)])


def _load(entry: EntryPoint) -> Any:
    if entry.name == "exits":
        raise SystemExit("usage: ...")
    if entry.name == "syntax":
        raise SyntaxError("invalid syntax")
    module, _, name = entry.value.partition(":")
    return getattr(import_module(module), name)


@pytest.mark.usefixtures("installed")
def test_a_member_that_fails_while_it_is_made_is_named(
    registry: Registry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError("no licence")

    monkeypatch.setitem(registry._loaded, "counter", fails)
    monkeypatch.setattr(registry, "factory", lambda name: fails)
    with pytest.raises(ExtensionError, match="'counter' of .*RuntimeError: no licence"):
        registry.make("counter")


@pytest.mark.parametrize("use", ["list(pruners)", "'fastv' in pruners", "pruners.make('random')"])
def test_our_pruners_are_found_without_importing_them(use: str) -> None:
    script = f"from saccade.controller import pruners; import sys; {HIDDEN}; assert {use}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_a_name_of_ours_is_taken_from_the_start() -> None:
    script = (
        "from saccade.controller import pruners\n"
        "try: pruners.register('random', dict)\n"
        "except ValueError: import saccade.pruners\n"
        "else: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_ours() -> None:
    assert (policies.group, pruners.group) == ("saccade.policies", "saccade.pruners")
    assert {"keep", "after_share"} <= set(policies)
    assert {"divprune", "fastv", "random"} <= set(pruners)
