"""Cases that presets make, and studies on the samples of a split."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from saccade.controller import AfterShare, ConfidentCommits, Keep, StudyError
from saccade.controller.preset_names import SHIPPED
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.case_controllers import controller_of
from saccade.studies.config.cases import each_model, load_study, with_own
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.reports.case_words import case_texts, what_cases_do
from saccade.studies.runs.runner import run_study
from saccade.studies.runs.unit_runner import samples_of
from saccade.studies.tasks import tasks
from saccade.tuning.splits import split_samples

LONG = SHIPPED / "embedded" / "llada-v" / "long.json"


def preset(path: Path, policy: str, **more: Any) -> None:
    content = json.loads(LONG.read_text(encoding="utf-8"))
    content |= {"policy": policy, "certificate": None, "generation": {}, **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def study(place: Path, case: str, **more: Any) -> StudyConfig:
    lines = [f"{name}: {json.dumps(value)}" for name, value in more.items()]
    text = "\n".join(
        ["name: a", *lines, "cases:", "  - {name: none}", f"  - {{name: own, {case}}}"]
    )
    path = place / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


def test_each_task_has_its_preset(tmp_path: Path) -> None:
    preset(tmp_path / "p" / "yesno.json", "keep()")
    preset(tmp_path / "p" / "digit.json", "after_share(share=0, keep=0.5)", pruner="random()")
    config = study(tmp_path, "preset: 'p/{task}.json'", tasks=["yesno", "digit"])
    made = [controller_of(config.cases[1], config, task) for task in config.tasks]
    assert [type(own.policy) for own in made if own is not None] == [Keep, AfterShare]
    assert controller_of(config.cases[0], config, "digit") is None
    assert with_own(config, ["embedded/lavida-dream"]).folder == tmp_path


def test_each_model_has_its_preset(tmp_path: Path) -> None:
    names = ["embedded/llada-v", "embedded/lavida-dream"]
    for name, keep in zip(names, (0.5, 0.25), strict=True):
        preset(tmp_path / f"{name}.json", f"after_share(share=0, keep={keep})", pruner="random()")
    config = study(tmp_path, "preset: '{model}.json'", tasks=["digit"], models=names)
    made = [controller_of(one.cases[1], one, "digit") for one in each_model(config)]
    assert [own.policy.keep for own in made if own is not None] == [0.5, 0.25]  # type: ignore[attr-defined]


def test_a_shipped_preset_is_found_by_its_name(tmp_path: Path) -> None:
    config = study(tmp_path, "preset: '{model}/long'", tasks=["describe"])
    made = controller_of(config.cases[1], config, "describe")
    assert made is not None and isinstance(made.policy, ConfidentCommits)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        pytest.param("preset: absent.json", "case 'own' on task 'digit': no preset", id="absent"),
        pytest.param("preset: 'p/{tsk}.json'", "'tsk'.*'model', 'task'", id="place"),
        pytest.param("preset: x.json, policy: keep()", "preset and policy.*give one", id="both"),
        pytest.param("preset: x.json, pruner: random()", "preset and pruner", id="pruner"),
        pytest.param("preset: x.json, positions: compact", "preset and positions", id="positions"),
    ],
)
def test_what_cannot_be_a_preset_is_told(tmp_path: Path, case: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path, case, tasks=["digit"])


def test_a_damaged_preset_is_told_with_its_task(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{", encoding="utf-8")
    with pytest.raises(StudyError, match=r"case 'own' on task 'digit': .*p\.json"):
        study(tmp_path, "preset: p.json", tasks=["digit"])


def test_the_folder_is_that_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="unknown key 'folder'"):
        study(tmp_path, "policy: keep()", tasks=["digit"], folder="elsewhere")


def test_the_baseline_has_no_preset(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="the baseline 'own' has the preset"):
        study(tmp_path, "preset: '{model}/long'", tasks=["digit"], baseline="own")


def test_samples_of_a_split_are_those_of_the_search(tmp_path: Path) -> None:
    config = study(tmp_path, "policy: keep()", tasks=["digit"], split="test", samples=3, batch=2)
    task = tasks.make("digit")
    asked = [s.index for unit in plan_units(config) for s in samples_of(config, task, unit)]
    assert asked == [s.index for s in split_samples(task, "test", 3, seed=0)]
    plain = config.model_copy(update={"split": None})
    assert [s.index for s in samples_of(plain, task, Unit("digit", 0, (0, 1)))] == [0, 1]


def test_a_split_has_only_so_many_samples(tmp_path: Path) -> None:
    for i in range(10):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    rows = [{"image": f"{i}.png", "question": "Which?", "answer": "a"} for i in range(10)]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "own.jsonl").write_text("\n".join(lines), encoding="utf-8")
    own = {"name": "own", "file": "own.jsonl", "gen_length": 2, "block_length": 2, "steps": 2}
    study(tmp_path, "policy: keep()", benchmarks=[own], split="test", samples=3)
    with pytest.raises(StudyError, match="the test split of the task 'own' has 3"):
        study(tmp_path, "policy: keep()", benchmarks=[own], split="test", samples=4)


def test_a_run_says_what_its_presets_did(tmp_path: Path) -> None:
    preset(tmp_path / "digit.json", "after_share(share=0, keep=0.5)", pruner="random()")
    config = study(tmp_path, "preset: '{task}.json'", tasks=["digit"], split="test", samples=2)
    summary = summarise(run_study(config, tmp_path / "run"))
    said = summary.recipe["cases"]["own"]["digit"]
    assert said["policy"] == "after_share(share=0, keep=0.5)" and said["pruner"] == "random()"
    assert str(tmp_path) not in json.dumps(summary.recipe["config"]), "no path of this machine"
    own = next(row for row in summary.rows() if row["case"] == "own")
    assert own["visual_tokens_ratio"] < 1
    assert [record.sample for record in summary.records] == [0, 1, 0, 1]
    assert case_texts(config.cases)["own"] == "preset {task}.json"
    assert "does what a preset says" in what_cases_do(config.cases, "none")


def test_another_preset_is_another_recipe(tmp_path: Path) -> None:
    preset(tmp_path / "digit.json", "after_share(share=0, keep=0.5)", pruner="random()")
    config = study(tmp_path, "preset: '{task}.json'", tasks=["digit"], samples=1)
    run_study(config, tmp_path / "run")
    preset(tmp_path / "digit.json", "after_share(share=0, keep=0.5)", pruner="random()", name="b")
    run_study(config, tmp_path / "run")  # what else its file says makes no difference
    preset(tmp_path / "digit.json", "after_share(share=0, keep=0.25)", pruner="random()")
    with pytest.raises(StudyError, match=r"another recipe.*own\.digit\.policy"):
        run_study(config, tmp_path / "run")
