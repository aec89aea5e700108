"""What a wheel holds beside the sources, by the configuration that it is built from."""

import tomllib
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parent.parent


def packaged() -> set[str]:
    """Files that the lists of package data name, from the root of the checkout."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tool = tomllib.loads(text)["tool"]["setuptools"]
    return {
        path.relative_to(ROOT).as_posix()
        for package, patterns in tool["package-data"].items()
        for pattern in patterns
        for path in (ROOT / tool["package-dir"][package]).glob(pattern)
    }


def test_committed_results_stay_in_the_checkout() -> None:
    assert (ROOT / "studies" / "results").is_dir()
    assert [name for name in packaged() if "results" in name] == []
    assert not (ROOT / "MANIFEST.in").exists(), "it would add files to the wheel"


def test_what_is_read_when_installed_is_packaged() -> None:
    found = packaged()
    assert {"saccade/__init__.pyi", "saccade/py.typed"} <= found
    data = ("backbones/embedded", "studies/configs", "studies/published", "controller/presets")
    folders = (*data, "studies/reports/assets", "studies/reports/templates")
    in_tree = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert in_tree and in_tree <= found


def test_lower_bounds_are_what_the_oldest_set_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line)
    needed = [*project["dependencies"], *project["optional-dependencies"]["oldest"]]
    bounds = dict(line.lower().split(",")[0].split(">=") for line in needed if ">=" in line)
    assert {line.lower().split(">=")[0] for line in project["dependencies"]} <= bounds.keys()
    for name, bound in bounds.items():
        assert Version(pins[name]) == Version(bound), f"{name}: {pins[name]} is tested"
