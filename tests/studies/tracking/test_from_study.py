"""Runs of a study hold just what its summary says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import read_run
from saccade.studies.tracking.from_study import WORDS, study_runs
from saccade.studies.tracking.sample_table import COLUMNS, KINDS, TEXT, chosen, kind_of
from saccade.studies.tracking.sink import Mask, Picture, TrackedRun
from saccade.studies.tracking.step_signals import task_series


def by_name(summary: Summary) -> dict[str, TrackedRun]:
    return {f"{run.kind} {run.name}": run for run in study_runs([summary])}


def test_a_run_per_case_and_one_for_all_in_a_group(study: Callable[..., Summary]) -> None:
    runs = by_name(study())
    assert list(runs) == ["case none", "case half", "study made-up"]
    assert {run.group for run in runs.values()} == {"made-up"}
    assert len({run.id for run in runs.values()}) == 3


def test_figures_are_those_of_study_show(study: Callable[..., Summary]) -> None:
    summary = study()
    runs = by_name(summary)
    for row in summary.to_json()["cases"]:
        own = runs[f"case {row['case']}"].summary
        told = {
            f"{row['task']}/{key}": value
            for key, value in row.items()
            if value is not None and key not in WORDS
        }
        assert {key: own[key] for key in own if key.startswith(f"{row['task']}/")} == told


def test_ids_stay_when_a_study_goes_on(study: Callable[..., Summary]) -> None:
    before, after = by_name(study(3)), by_name(study())
    assert {name: run.id for name, run in before.items()} == {n: r.id for n, r in after.items()}


def test_another_recipe_has_other_ids(made_run: Callable[..., Path], config: StudyConfig) -> None:
    one = by_name(summarise(made_run(config)))
    more = by_name(summarise(made_run(config.model_copy(update={"samples": 6}))))
    assert {run.id for run in one.values()}.isdisjoint(run.id for run in more.values())


def test_series_come_when_a_task_is_complete(study: Callable[..., Summary]) -> None:
    assert set(by_name(study(3))["case half"].series) == {"yesno"}
    assert set(by_name(study())["case half"].series) == {"yesno", "code"}


def test_signals_are_means_over_answers(blank: Callable[..., Record]) -> None:
    one = blank("a", "t", 0, 0, forwards=2, keep=[1.0, 0.5], visual_runs=[(2, [4, 2])])
    one = replace(one, confidences=[0.5, None], attention=[([0.5, None], [1.0]), ([], [])])
    two = blank("a", "t", 1, 0, forwards=1, keep=[0.5], visual_runs=[(1, [1, 1])])
    series = task_series("t", [one, two])
    assert series.axis == "step"
    first = {
        "t/keep": 0.75,
        "t/visual tokens per layer": 2.0,
        "t/confidence": 0.5,
        "t/attention on visual": 0.5,
        "t/attention on response": 1.0,
        "t/answers at work": 2.0,
    }
    second = {"t/keep": 0.5, "t/visual tokens per layer": 3.0, "t/answers at work": 1.0}
    assert series.points == ((0, first), (1, second))


def test_sample_tables_show_pictures_and_both_answers(study: Callable[..., Summary]) -> None:
    grid = by_name(study())["case half"].tables["samples/yesno"]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in grid.rows]
    assert [row["kind"] for row in rows] == ["broke", "broke", "same", "same", "fixed"]
    assert all(isinstance(row["picture"], Picture) for row in rows)
    assert all(row["question"] for row in rows)
    broke = rows[0]
    assert (broke["baseline answer"], broke["score"], broke["loss"]) == ("Yes", 0.0, 1.0)
    assert isinstance(broke["answer"], str)
    assert len(broke["answer"]) < TEXT + 30 and "characters" in broke["answer"]


def test_masks_are_laid_over_pictures_where_they_are_known(study: Callable[..., Summary]) -> None:
    mask = Mask(((0, 1),), {0: "kept", 1: "dropped"})
    runs = study_runs([study()], masks=lambda summary, record: {"tokens": mask})
    rows = next(iter(runs)).tables["samples/yesno"].rows
    pictures = [cell for row in rows for cell in row if isinstance(cell, Picture)]
    assert pictures and all(own.masks == {"tokens": mask} for own in pictures)


def test_a_picture_that_is_gone_leaves_the_answers(
    study: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*words: object) -> None:
        raise FileNotFoundError("gone.png")

    monkeypatch.setattr("saccade.studies.tracking.sample_table.samples_of", gone)
    rows = by_name(study())["case half"].tables["samples/yesno"].rows
    assert [row[COLUMNS.index("picture")] for row in rows] == [None] * 5
    assert rows[-1][COLUMNS.index("answer")] == "Yes"


def test_a_sample_of_each_kind_is_chosen_then_by_loss(blank: Callable[..., Record]) -> None:
    scores = {0: (1, 1), 1: (0, 0), 2: (0, 1), 3: (1, 0), 4: (1, 0.5), 5: (1, 1)}
    key = {n: ("t", 0, n) for n in scores}
    before = {
        key[n]: blank("a", "t", n, 0, score=float(s[0]), exact=float(s[0]))
        for n, s in scores.items()
    }
    after = [
        blank("b", "t", n, 0, score=float(s[1]), exact=float(s[1] == 1)) for n, s in scores.items()
    ]
    kinds = [kind_of(own, before["t", 0, own.sample]) for own in chosen(after, before, 4)]
    assert sorted(kinds) == sorted(KINDS)
    assert [own.sample for own in chosen(after, before, 5)] == [3, 4, 0, 1, 2]


def test_results_are_a_folder_that_can_be_read_again(
    study: Callable[..., Summary], tmp_path: Path
) -> None:
    summary = study()
    made = by_name(summary)["study made-up"].makes
    (artifact,) = made.values()
    folder = tmp_path / "again"
    folder.mkdir()
    for name, data in artifact.files.items():
        (folder / name).write_bytes(data)
    assert read_run(folder)[2] == list(summary.records)
    assert summarise(folder).to_json() == summary.to_json()


def test_results_say_which_records_they_are_of(study: Callable[..., Summary]) -> None:
    runs = by_name(study())
    made = {name for run in runs.values() if run.kind == "case" for name in run.makes}
    assert set(runs["study made-up"].uses) == made and len(made) == 2


def test_a_shipped_preset_goes_along(made_run: Callable[..., Path], config: StudyConfig) -> None:
    none, half = config.cases
    preset = half.model_copy(update={"policy": None, "pruner": None, "preset": "{model}/long"})
    summary = summarise(made_run(config.model_copy(update={"cases": (none, preset)})))
    ((name, artifact),) = by_name(summary)["case half"].uses.items()
    assert name.startswith("preset-") and artifact.kind == "preset"
    assert b'"policy"' in artifact.files["preset.json"]


def test_a_front_is_drawn_for_each_task(study: Callable[..., Summary]) -> None:
    figures = by_name(study())["study made-up"].figures
    assert "front/yesno, ideal speed-up" in figures and len(figures) == 4
