"""Studies of several models: each runs its cases in a folder of its own, compared with itself."""

import json
import math
import random
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from saccade.controller import StudyError
from saccade.studies.analysis.paired import paired_change
from saccade.studies.analysis.summary import Summary, summarise, summarise_all, write_all
from saccade.studies.config.cases import each_model, load_study, model_slug
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.overview import UNTOUCHED, overview_groups
from saccade.studies.reports.report import report_html
from saccade.studies.reports.show import print_overview
from saccade.studies.reports.table import Cell
from saccade.studies.runs import runner
from saccade.studies.runs.model_folders import run_folders, waiting_models, write_models
from saccade.studies.runs.record import Record
from saccade.studies.runs.runner import run_study
from tests.studies.unit_files import contents

ROOT = Path(__file__).parents[3]
MODELS = ("embedded/llada-v", "embedded/llava-ar")


def study(*extra: Case, **changes: object) -> StudyConfig:
    half = "after_share(share=0.5, keep=0.5)"
    cases = (Case(name="none"), Case(name="half", policy=half, pruner="random"))
    values = {"name": "two", "models": MODELS, "samples": 3, "batch": 2, "tasks": ("digit",)}
    return StudyConfig.model_validate({**values, "cases": (*cases, *extra), **changes})


def test_each_model_runs_the_cases_that_are_for_it() -> None:
    only = Case(name="only", models=(MODELS[1],))
    first, second = each_model(study(only))
    assert (first.model, second.model) == MODELS and first.models == ()
    assert [case.name for case in first.cases] == ["none", "half"]
    assert [case.name for case in second.cases] == ["none", "half", "only"]
    assert second.cases[2].models == ()
    alone = StudyConfig(name="one", cases=(Case(name="none"),))
    assert each_model(alone) == (alone,)


def test_a_study_of_one_model_says_nothing_of_several() -> None:
    alone = StudyConfig(name="one", cases=(Case(name="none"),))
    content = alone.plain()
    assert "models" not in content and set(content["cases"][0]) == {
        "name",
        "policy",
        "pruner",
        "settings",
    }
    assert StudyConfig.model_validate(content) == alone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: embedded/llada-v\nmodels: [embedded/llava-ar]", "give model or models, not both"),
        ("models: [embedded/llava-ar, embedded/llava-ar]", "'embedded/llava-ar' is given twice"),
        ("models: [embedded/llava]", "unknown embedded model 'embedded/llava'; did you mean emb"),
        ("model: ./nowhere", "no checkpoint folder at ./nowhere"),
        ("models: []", "the study has no models; give one or more, or leave out models"),
        ("models: embedded/llada-v", "models: give a list of one or more"),
    ],
)
def test_wrong_models_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"name: a\n{text}\ncases: [{{name: none}}]", encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        load_study(path)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("{name: a, models: [embedded/x]}", "unknown model of case 'a' 'embedded/x'; known: emb"),
        (
            "{name: a, settings: {steps: 2}}",
            "embedded/llava-ar: case 'a' on task 'yesno': .*one token a step",
        ),
        ("{name: a, models: []}", "case 'a' has no models; give one or more, or leave out models"),
        ("{name: a, models: [embedded/llava-ar, embedded/llava-ar]}", "is given twice"),
        ("{name: a, policy: keep, positions: close}", "cases.1.positions: .*'original' or 'comp"),
    ],
)
def test_wrong_cases_are_named(tmp_path: Path, case: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    text = f"name: a\nmodels: {list(MODELS)}\ncases: [{{name: none}}, {case}]"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        load_study(path)


def test_the_baseline_runs_on_all_models(tmp_path: Path) -> None:
    config = study(baseline="only", cases=(Case(name="only", models=(MODELS[0],)),))
    with pytest.raises(StudyError, match="the baseline 'only' has models; it must have none"):
        run_study(config, tmp_path / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    seen: list[tuple[int, int]] = []
    folder = tmp_path_factory.mktemp("runs") / "two"
    run_study(study(), folder, lambda done, total, label: seen.append((done, total)), threads=1)
    assert seen == sorted(seen) and seen[-1] == (8, 8)  # 2 models, 2 units, 2 cases
    return folder


def test_each_model_has_a_folder_and_goes_on_from_it(run: Path) -> None:
    folders = run_folders(run)
    assert [folder.name for folder in folders] == ["embedded-llada-v", "embedded-llava-ar"]
    before = [contents(folder) for folder in folders]
    run_study(study(), run, threads=1)
    assert [contents(folder) for folder in folders] == before
    settings = [json.loads((f / "recipe.json").read_text())["settings"]["digit"] for f in folders]
    assert settings[0]["gen_length"] == 2 and settings[1]["gen_length"] == 4
    assert "steps" not in settings[1]


def test_summaries_and_pages_name_the_models(run: Path) -> None:
    summaries = summarise_all(run)
    assert [one.config.model for one in summaries] == list(MODELS)
    assert all(one.finished for one in summaries)
    ar = summaries[1].rows()
    assert {row["origin"] for row in ar} == {"autoregressive"}
    assert {row["speedup_projected"] for row in ar} == {None}
    console = Console(width=100, record=True)
    print_overview(summaries, console)
    text = console.export_text()
    page = report_html(*summaries)
    for model in MODELS:
        assert model in text and page.count(f"<h3>{model}") >= 2
    assert "one a step" in page


def test_a_folder_of_one_model_is_not_one_of_several(tmp_path: Path, run: Path) -> None:
    with pytest.raises(StudyError, match="holds a run of one model; give another --out"):
        run_study(study(), run_folders(run)[0])
    (tmp_path / "models.json").write_text('["embedded/llada-v"]')
    with pytest.raises(StudyError, match="none of its models has begun"):
        run_folders(tmp_path)
    before = sorted(run.iterdir())
    with pytest.raises(StudyError, match="holds runs of several models; give another --out"):
        run_study(each_model(study())[0], run)
    assert sorted(run.iterdir()) == before


def test_a_folder_keeps_its_models(tmp_path: Path, run: Path) -> None:
    before = (run / "models.json").read_bytes()
    other = study(models=(MODELS[0], "embedded/lavida-dream"))
    with pytest.raises(StudyError, match=f"also holds a run of {MODELS[1]}, which is not one of"):
        run_study(other, run)
    assert (run / "models.json").read_bytes() == before and waiting_models(run) == []
    copied = tmp_path / "more"
    shutil.copytree(run, copied)
    write_models(copied, study(models=(*MODELS, "embedded/lavida-dream")))  # may be added
    assert waiting_models(copied) == ["embedded/lavida-dream"] and len(run_folders(copied)) == 2
    (copied / "models.json").write_text("{")
    with pytest.raises(StudyError, match="models.json is damaged"):
        run_folders(copied)


def test_what_the_last_model_cannot_do_is_said_before_the_first_runs(tmp_path: Path) -> None:
    deep = "after_share(share=0, keep=0, layer=6)"
    only = Case(name="deep", policy=deep, models=(MODELS[1],))
    with pytest.raises(StudyError, match="case 'deep': .* embedded/llava-ar has 6 layers, 0 to 5"):
        run_study(study(only), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_models_run_with_the_code_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = iter("abcdef")
    monkeypatch.setattr(runner, "git_state", lambda root: {"commit": next(commits), "dirty": None})
    folder = run_study(study(samples=1), tmp_path / "run", threads=1)
    recipes = [summary.recipe["git"]["commit"] for summary in summarise_all(folder)]
    assert recipes == ["a", "a"]
    with pytest.raises(StudyError, match="git.commit"):  # edited since: no study of two codes
        run_study(study(samples=1), folder, threads=1)


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("embedded/llava-ar", "embedded-llava-ar"),
        ("./here", "here"),
        ("..", "model"),
        ("a b", "a-b"),
    ],
)
def test_folders_of_models_lie_in_the_study_s(model: str, slug: str) -> None:
    assert model_slug(model) == slug


def test_one_file_has_the_rows_of_all_models(run: Path, tmp_path: Path) -> None:
    summaries = summarise_all(run)
    write_all(summaries, tmp_path)
    frame = pd.read_csv(tmp_path / "summary.csv")
    keys = frame[["backbone", "case", "task"]]
    assert len(keys.drop_duplicates()) == len(frame) == sum(len(one.frame) for one in summaries)
    assert set(frame["backbone"]) == set(MODELS)
    assert summaries[0].frame["backbone"].unique().tolist() == [MODELS[0]], "as it was"


def test_changes_are_paired_by_sample() -> None:
    draw = random.Random(1)
    baseline = {i: float(draw.random() < 0.9) for i in range(40)}
    case = {i: float(draw.random() < 0.7) for i in range(40)}
    changes = [case[i] - baseline[i] for i in range(40)]
    change, se = paired_change(baseline, dict(reversed(case.items())))
    assert change == pytest.approx(statistics.mean(changes))
    assert se == pytest.approx(statistics.stdev(changes) / math.sqrt(40))
    assert math.isnan(paired_change({3: 1.0}, {3: 0.0})[1])


def cells_of(summary: Summary, group: int = 0) -> dict[str, tuple[Cell, ...]]:
    """Cells of the overview's first table by case: of scores, or of speed-ups."""
    (table,) = overview_groups([summary])[group].tables
    return {line.name: line.cells for line in table.lines}


def test_only_sure_changes_are_marked(
    config: StudyConfig, made_run: "object", tmp_path: Path
) -> None:
    def worse(record: Record) -> Record:
        lost = record.case == "half" and record.task == "yesno"
        score = 0.0 if lost and record.sample != 2 else 1.0
        return replace(record, score=score, visual_tokens_ratio=0.5 if record.case == "half" else 1)

    folder = made_run(config, worse)  # type: ignore[operator]
    cells = cells_of(summarise(folder))
    assert [c.text for c in cells["none"]] == ["100.0", "100.0"]
    assert [c.tone for c in cells["half"]] == ["worse", ""]
    assert cells["half"][0].note == "-80.0 ± 20.0" and cells["half"][1].note == "+0.0 ± 0.0"


def test_a_policy_that_never_acts_is_told_from_one_that_costs_nothing(
    config: StudyConfig, made_run: "object", tmp_path: Path
) -> None:
    def idle(record: Record) -> Record:
        acted = record.case == "half" and record.task == "code"
        return replace(record, visual_tokens_ratio=0.6 if acted else 1.0)

    cells = cells_of(summarise(made_run(config, idle)))  # type: ignore[operator]
    assert [c.note for c in cells["half"]] == [UNTOUCHED, "+0.0 ± 0.0"]
    assert [c.note for c in cells["none"]] == ["", ""]


def test_speed_ups_are_measured_and_ideal(
    config: StudyConfig, made_run: "object", tmp_path: Path
) -> None:
    def faster(record: Record) -> Record:
        full = record.case == "none"
        return replace(record, seconds=1.9 if full else 0.9, macs=900 if full else 300)

    summary = summarise(made_run(config, faster, units=3))  # type: ignore[operator]
    cells = cells_of(summary, 1)
    assert [c.text for c in cells["none"]] == ["1.00 / 1.00", "-"]
    assert [c.text for c in cells["half"]] == ["2.00 / 2.50", "-"]


@pytest.mark.parametrize("n_models", [1, 3])
def test_the_overview_fits_100_columns(
    config: StudyConfig, made_run: "object", n_models: int
) -> None:
    tasks = ("yesno", "digit", "code", "transcribe", "describe")
    summary: Summary = summarise(made_run(config.model_copy(update={"tasks": tasks})))  # type: ignore[operator]
    console = Console(width=140, record=True)
    print_overview([summary] * n_models, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100 and not any("…" in line for line in lines)
    assert sum(line.startswith(("Score: ", "Speed-up: ")) for line in lines) == 2 * n_models


def test_the_contrast_is_valid() -> None:
    config = load_study(ROOT / "studies" / "configs" / "contrast.yaml")
    assert len(config.models) == 3 and config.tasks == (
        "yesno",
        "digit",
        "code",
        "transcribe",
        "describe",
    )
    compact = [case for case in config.cases if case.positions == "compact"]
    assert {case.models for case in compact} == {("embedded/lavida-dream",)}
    controlled = {(c.positions, str(c.policy), str(c.pruner)) for c in config.cases if c.policy}
    for case in compact:  # each is there with original positions too
        assert ("original", str(case.policy), str(case.pruner)) in controlled
