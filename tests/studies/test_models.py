"""Studies of several models: each runs its cases in a folder of its own, compared with itself."""

import json
import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from saccade.controller import StudyError
from saccade.studies.cases import Case, Plugin, StudyConfig, each_model, load_study
from saccade.studies.overview import grid, render_overview
from saccade.studies.records import Record, run_folders
from saccade.studies.report import report_html
from saccade.studies.runner import run_study
from saccade.studies.summary import paired_change, summarise, summarise_all

ROOT = Path(__file__).parents[2]
MODELS = ("embedded/llada-v", "embedded/llava-ar")


def study(*extra: Case, **changes: object) -> StudyConfig:
    half = Plugin.model_validate({"name": "after-share", "share": 0.5, "keep": 0.5})
    cases = (Case(name="none"), Case(name="half", policy=half, pruner=Plugin(name="random")))
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
        ("models: [embedded/llava]", "unknown embedded model 'embedded/llava'; known: "),
        ("model: ./nowhere", "no checkpoint folder at ./nowhere"),
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
        ("{name: a, settings: {steps: 2}}", "case 'a' on task 'yesno': .*one token a step"),
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
    assert seen == sorted(seen) and seen[-1] == (8, 8)  # 2 models, 2 batches, 2 cases
    return folder


def test_each_model_has_a_folder_and_goes_on_from_it(run: Path) -> None:
    folders = run_folders(run)
    assert [folder.name for folder in folders] == ["embedded-llada-v", "embedded-llava-ar"]
    before = [(folder / "records.jsonl").read_bytes() for folder in folders]
    run_study(study(), run, threads=1)
    assert [(folder / "records.jsonl").read_bytes() for folder in folders] == before
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
    render_overview(summaries, console)
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


def test_changes_are_paired_by_sample() -> None:
    draw = random.Random(1)
    baseline = {i: float(draw.random() < 0.9) for i in range(40)}
    case = {i: float(draw.random() < 0.7) for i in range(40)}
    changes = [case[i] - baseline[i] for i in range(40)]
    change, se = paired_change(baseline, dict(reversed(case.items())))
    assert change == pytest.approx(statistics.mean(changes))
    assert se == pytest.approx(statistics.stdev(changes) / math.sqrt(40))
    assert math.isnan(paired_change({3: 1.0}, {3: 0.0})[1])


def test_only_sure_changes_are_marked(
    config: StudyConfig, made_run: "object", tmp_path: Path
) -> None:
    def worse(record: Record) -> Record:
        lost = record.case == "half" and record.task == "yesno"
        return replace(record, score=0.0 if lost and record.sample != 2 else 1.0)

    folder = made_run(config, worse)  # type: ignore[operator]
    cells = dict(grid(summarise(folder)))
    assert [c.score for c in cells["none"]] == ["100.0", "100.0"]
    assert [c.sign for c in cells["half"]] == [-1, 0]
    assert cells["half"][0].change == "-80.0 ± 20.0" and cells["half"][1].change == "+0.0 ± 0.0"


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
