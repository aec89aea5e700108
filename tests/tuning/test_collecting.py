"""Collecting traces: resumable, the same from several processes, and never mixed."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saccade.controller import CapabilityError, StudyError
from saccade.controller.learned.actions import all_actions
from saccade.tuning import collecting
from saccade.tuning.collecting import collect
from saccade.tuning.counterfactuals import COLUMNS, Experiment
from saccade.tuning.splits import split_indices
from saccade.tuning.trace_table import PARTS, RECIPE, TraceTable
from tests.tuning.tiny_task import PageTask, word_model
from tests.tuning.tiny_traces import (
    EXPERIMENT,
    ROWS,
    collected,
    dying_source,
    failing_source,
    tiny_source,
)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / PARTS).iterdir())


def test_a_table_has_the_samples_of_the_tune_split(tmp_path: Path) -> None:
    frame = TraceTable(collected(tmp_path / "t", n=2)).read()
    assert list(frame.columns) == [name for name, _ in COLUMNS]
    assert len(frame) == 2 * 2 * ROWS and frame["changed"].dtype == bool
    own = frame.groupby("task")["sample"].unique()
    for task in tiny_source()[1]:
        assert set(own[task.name]) == set(list(split_indices(task, "tune"))[:2])


def test_more_samples_go_on_and_what_is_there_stays(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    folder = collected(tmp_path / "t", n=1)
    before = {path: path.stat().st_mtime_ns for path in (folder / PARTS).iterdir()}
    collected(folder, n=2, progress=lambda *place: said.append(place))
    assert said == [(2, 4), (3, 4), (4, 4)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert collect(tiny_source, folder, EXPERIMENT, n=2, name="tiny") == 0


def test_a_stopped_run_goes_on_to_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TraceTable(collected(tmp_path / "whole", n=2)).read()
    real, calls = collecting.counterfactuals, []

    def stopped(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(collecting, "counterfactuals", stopped)
        with pytest.raises(KeyboardInterrupt):
            collected(tmp_path / "t", n=2)
    assert len(parts(tmp_path / "t")) == 2, "what was done is kept, and nothing half done"
    pd.testing.assert_frame_equal(TraceTable(collected(tmp_path / "t", n=2)).read(), whole)


@pytest.mark.slow
def test_several_processes_collect_the_same(tmp_path: Path) -> None:
    one, two = collected(tmp_path / "one", n=3), collected(tmp_path / "two", n=3, workers=2)
    assert parts(one) == parts(two)
    pd.testing.assert_frame_equal(TraceTable(one).read(), TraceTable(two).read())
    assert all((one / PARTS / p).read_bytes() == (two / PARTS / p).read_bytes() for p in parts(one))


@pytest.mark.slow
def test_a_process_that_dies_or_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="a process ended before its time: 0 of 4 samples of this"):
        collect(dying_source, tmp_path / "t", EXPERIMENT, n=2, name="tiny", workers=2)
    collected(tmp_path / "t", n=2)


def test_processes_begin_deaf_to_ctrl_c() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    before = signal.getsignal(signal.SIGINT)
    with collecting._deaf():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True" and signal.getsignal(signal.SIGINT) is before


def test_a_sample_that_fails_leaves_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this page is blank"):
        collect(failing_source, tmp_path / "t", EXPERIMENT, n=2, name="tiny")
    assert len(parts(tmp_path / "t")) == 1


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "actions": ({"actions": all_actions((0.5,))}, r"actions \["),
    "shares": ({"shares": (0.25,)}, r"shares \[0.0, 0.5\], not \[0.25\]"),
    "pruner": ({"pruner": "uniform()"}, "pruner .*redvtp.*, not .*uniform"),
    "seed": ({"seed": 1}, "seed 0, not 1"),
    "labels": ({"label_free": True}, "label_free false, not true"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_recipe_is_refused_by_name(name: str, tmp_path: Path) -> None:
    changes, message = OTHERS[name]
    folder = collected(tmp_path / "t", n=1)
    before = parts(folder)
    other = dataclasses.replace(EXPERIMENT, **changes)
    with pytest.raises(StudyError, match=f"was begun otherwise .*{message}"):
        collect(tiny_source, folder, other, n=1, name="tiny")
    assert parts(folder) == before


def other_weights() -> Any:
    from tests.tiny import tiny_model

    return tiny_model(tokenizer=True, seed=1), [PageTask()]


def test_another_model_is_refused(tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    with pytest.raises(StudyError, match="was begun otherwise .backbone"):
        collect(other_weights, folder, EXPERIMENT, n=1, name="tiny")


def slower() -> Any:
    return word_model(), [PageTask(steps=8)]


def test_other_lengths_are_other_samples(tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    assert collect(slower, folder, EXPERIMENT, n=1, name="tiny") == 1
    assert len(parts(folder)) == 3


def test_a_full_disk_leaves_no_half_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    def full(table: Any, name: str, **_: Any) -> None:
        Path(name).write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(OSError, match="No space left"):
            collected(tmp_path / "t", n=1)
    assert parts(tmp_path / "t") == []
    assert len(TraceTable(collected(tmp_path / "t", n=1)).read()) == 2 * ROWS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0: must be a whole number, 1 or more"),
        ({"n": 20}, "n=20: the tune split of the task 'few pages' has 12 samples"),
        ({"workers": 0}, "workers=0"),
        ({"threads": 0}, "threads=0"),
    ],
)
def test_wrong_numbers(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        collected(tmp_path / "t", **options)
    assert not (tmp_path / "t").exists()


def test_an_action_that_the_model_cannot_carry_out_is_told_before_any_work(tmp_path: Path) -> None:
    wrong = Experiment(all_actions((), [(9,)]), pruner=None)
    with pytest.raises((CapabilityError, ValueError), match="9"):
        collect(tiny_source, tmp_path / "t", wrong, n=1, name="tiny")
    assert not (tmp_path / "t").exists()


def test_the_recipe_says_what_the_table_is_of(tmp_path: Path) -> None:
    recipe = json.loads((collected(tmp_path / "t", n=1) / RECIPE).read_text())
    assert recipe["split"] == "tune" and recipe["model"] == "tiny"
    assert len(recipe["backbone"]["hash"]) == 64
