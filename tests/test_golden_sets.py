"""Where golden sets are looked for, and what is said when there are none."""

from pathlib import Path

import pytest

from tests.golden_sets import SIGNS, golden_json, golden_params, golden_root, golden_set


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SACCADE_GOLDENS", str(tmp_path))
    return tmp_path


def test_without_the_variable_sets_lie_with_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SACCADE_GOLDENS", raising=False)
    assert golden_root() == Path(__file__).parent / "goldens"


def test_a_folder_of_sets_and_the_folder_of_one(root: Path) -> None:
    (root / "llada_v").mkdir()
    (root / "llada_v" / "generate.json").write_text('{"a": 1}')
    assert golden_set("llada_v") == root / "llada_v" and golden_set("pruners") is None
    assert golden_json("llada_v", "generate.json") == {"a": 1}
    (root / "fastv_x.npz").touch()
    assert golden_set("pruners") == root


def test_a_root_that_was_asked_for_must_hold_a_set(root: Path) -> None:
    (root / "pruners").mkdir()
    (root / "pruners" / "notes.npz").touch()
    known = ", ".join(SIGNS)
    for ask in (golden_root, lambda: golden_set("llada_v"), lambda: golden_params("pruners", [])):
        with pytest.raises(FileNotFoundError, match=f"no golden set there; .* {known}, or"):
            ask()


def test_no_such_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCADE_GOLDENS", "/nosuch")
    with pytest.raises(FileNotFoundError, match="SACCADE_GOLDENS=/nosuch: no golden set"):
        golden_set("llada_v")
