"""``saccade presets``, ``certify`` and ``generate --preset``: results, and every wrong input."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from saccade.backbones import load
from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.controller import Preset, PresetError
from saccade.controller.preset import Backbone, Splits
from saccade.controller.preset_names import shipped_presets
from saccade.studies.analysis.changed_answers import changed_answers
from saccade.studies.cli import app
from saccade.studies.cli.percent import parse_percent
from saccade.studies.cli.preset_inputs import front_of
from saccade.studies.tasks.documents import make_sample
from tests.controller.presets import made

ROOT = Path(__file__).parents[3]
SAMPLE = make_sample("code", 1)


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, list(map(str, words)))


def told(result: Result) -> str:
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    model = load("embedded/llada-v")
    return Backbone(name="embedded/llada-v", hash=fingerprint(model.network), dtype="float32")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "page.png"
    SAMPLE.page.image.save(path)
    return path


@pytest.fixture
def file(backbone: Backbone, tmp_path: Path) -> Iterator[Path]:
    yield made(backbone=backbone, policy="auto()").write(tmp_path / "mine.json")


def test_percents_are_read_as_people_type_them() -> None:
    for text in ("5%", "5 %", "0.05", ".05", "5.0%"):
        assert parse_percent("--x", text) == 0.05
    for text in ("5", "0", "0%", "100%", "1", "-5%", "five", "", "5%%", "nan", "1e-2"):
        with pytest.raises(ValueError, match="--x"):
            parse_percent("--x", text)


def test_generate_uses_a_preset(page: Path, file: Path) -> None:
    result = invoke("generate", page, SAMPLE.question, "--preset", file, "--json")
    content = json.loads(result.stdout)
    assert result.exit_code == 0 and content["text"] == SAMPLE.answer
    assert "warning" not in result.stderr
    assert content["policy"] == "auto()" and len(content["visual_tokens_per_step"]) < 8


def test_generate_warns_on_other_terms(page: Path, file: Path) -> None:
    words = ("generate", page, SAMPLE.question, "--preset", file)
    result = invoke(*words, "--steps", "4")
    assert result.exit_code == 0 and result.stderr.count("steps=4, not 8") == 1
    other = invoke(*words, "-m", "embedded/lavida-dream")
    assert other.exit_code == 0 and "another backbone than embedded/llada-v" in told(other)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "nothing/here/at-all"), "no preset"),
        (("--preset", "embedded/llada-v/logn"), "did you mean"),
        (("--preset", "{file}", "--policy", "auto"), "--policy beside --preset"),
        (("--preset", "{file}", "--pruner", "random"), "--pruner beside --preset"),
        (("--preset", "{file}", "--positions", "compact"), "--positions beside --preset"),
        (("--preset", "{damaged}"), "is not a preset"),
    ],
)
def test_wrong_presets_are_told_and_exit_with_2(
    page: Path, file: Path, words: tuple[str, ...], said: str
) -> None:
    damaged = file.with_name("damaged.json")
    damaged.write_text("{")
    filled = [word.format(file=file, damaged=damaged) for word in words]
    result = invoke("generate", page, SAMPLE.question, *filled)
    assert result.exit_code == 2 and said in told(result)


def test_a_preset_does_not_decide_what_is_downloaded(page: Path, tmp_path: Path) -> None:
    other = made(backbone=Backbone(name="somebody/model", hash="0" * 64)).write(tmp_path)
    result = invoke("generate", page, SAMPLE.question, "--preset", other)
    assert result.exit_code == 2 and "give it as --model" in told(result)


def test_certify_writes_a_certificate_into_the_preset(file: Path) -> None:
    words = ("--max-change", "30%", "--confidence", "0.9", "--samples", "8", "--json")
    result = invoke("certify", file, *words)
    content = json.loads(result.stdout)
    own = Preset.read(file)
    assert result.exit_code == 0 and own.certificate is not None
    assert content == own.certificate.model_dump(mode="json")
    assert content["outcome"] == "kept" and content["n"] == 8
    assert "--max-change 30%" in content["command"]
    shown = invoke("presets", "show", file)
    assert "with confidence 0.9 at most 0.3" in " ".join(shown.stdout.split())


@pytest.mark.slow
def test_a_certificate_is_for_certain_settings(backbone: Backbone, tmp_path: Path) -> None:
    file = made(backbone=backbone, policy="none", generation={}).write(tmp_path / "a.json")
    assert invoke("certify", file, "--max-change", "30%", "--samples", "8").exit_code == 0
    assert Preset.read(file).generation == {"gen_length": 16, "block_length": 16, "steps": 8}


def test_certify_abstains_with_too_few_samples(file: Path, page: Path, tmp_path: Path) -> None:
    target = tmp_path / "other.json"
    result = invoke("certify", file, "--samples", "4", "--out", target)
    assert result.exit_code == 0 and "45 are the least" in told(result)
    assert "at least 45 samples" in " ".join(result.stdout.split())
    assert Preset.read(file).certificate is None
    out = invoke("generate", page, SAMPLE.question, "--preset", target, "--json")
    assert json.loads(out.stdout)["policy"] == "keep()"
    checked = invoke("presets", "check", target)
    assert checked.exit_code == 2 and "does nothing" in told(checked)


@pytest.mark.slow
def test_certify_tests_the_front_of_a_folder(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "front").mkdir(parents=True)
    own = Preset.read(file).model_copy(update={"splits": Splits(tune=4)})
    own.write(folder)
    own.model_copy(update={"policy": "none"}).write(folder / "front" / "00.json")
    own.write(folder / "front" / "01.json")
    result = invoke("certify", folder, "--max-change", "30%", "--samples", "8", "--json")
    content = json.loads(result.stdout)
    # Where the tuned one changes nothing on the tune set, no-op is no cheaper and is not tested.
    assert content["outcome"] == "kept" and Preset.read(folder).policy == "auto()"
    assert [one["policy"] for one in content["tested"]][-1] == "auto()"


def test_the_front_of_a_search_is_read_from_its_result(file: Path, tmp_path: Path) -> None:
    own = Preset.read(file)
    own.write(tmp_path / "preset.json")
    rows = [
        {"policy": own.policy, "pruner": own.pruner},
        {"policy": "auto(commit=0.99)", "pruner": None, "test_ideal": 2.0, "measured": 1.5},
        {"policy": "keep()", "pruner": None},
        {"policy": "keep()", "pruner": None},
    ]
    result = tmp_path / "result.json"
    result.write_text(json.dumps({"front": rows}))
    found = [one.preset for one in front_of(str(tmp_path))]
    assert [one.policy for one in found] == ["auto()", "auto(commit=0.99)", "keep()"]
    assert found[1].front.ideal == 2.0 and found[1].front.measured == 1.5
    assert found[1].generation == own.generation and found[1].backbone == own.backbone
    for front in ("all", [3], [{"policy": "open('x')"}], [{}], [{"policy": "learned('/x')"}]):
        result.write_text(json.dumps({"front": front}))
        with pytest.raises(PresetError, match="result.json"):
            front_of(str(tmp_path))
    result.unlink()
    result.symlink_to(ROOT / "pyproject.toml")
    with pytest.raises(PresetError, match="leads out of"):
        front_of(str(tmp_path / ""))


@pytest.mark.slow
def test_questions_without_answers_can_be_certified(file: Path, tmp_path: Path) -> None:
    for i in range(20):
        make_sample("code", i).page.image.save(tmp_path / f"{i}.png")
    lines = [
        json.dumps({"image": f"{i}.png", "question": make_sample("code", i).question})
        for i in range(20)
    ]
    asked = tmp_path / "mine.jsonl"
    asked.write_text("\n".join(lines))
    words = ("certify", file, "--benchmark", asked, "--max-change", "40%")
    result = invoke(*words, "--json")
    content = json.loads(result.stdout)
    assert result.exit_code == 0 and content["n"] == content["questions"] == 6
    assert content["task"] == "mine"
    lost = invoke(*words, "--loss", "lost")
    assert lost.exit_code == 2 and "answer" in told(lost)
    many = invoke(*words, "--samples", "7")
    assert many.exit_code == 2 and "has 6 samples" in told(many)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.json",), "no preset"),
        (("{file}", "--max-change", "5"), "--max-change"),
        (("{file}", "--max-change", "0%"), "--max-change"),
        (("{file}", "--confidence", "100%"), "--confidence"),
        (("{file}", "--loss", "chagned"), "did you mean changed"),
        (("{file}", "--task", "nothing"), "unknown task"),
        (("{file}", "-m", "embedded/lavida-dream", "--samples", "8"), "another backbone"),
        (("{file}", "--out", "/nowhere/at/all.json"), "no folder"),
        (("{file}", "--benchmark", "{folder}/none.jsonl"), "cannot be read"),
        (("{file}", "--task", "code", "--benchmark", "x.jsonl"), "not both"),
    ],
)
def test_wrong_certifications_exit_with_2(file: Path, words: tuple[str, ...], said: str) -> None:
    filled = [word.format(file=file, folder=file.parent) for word in words]
    result = invoke("certify", *filled)
    assert result.exit_code in (1, 2) and said in told(result), result.stderr
    assert Preset.read(file).certificate is None


@pytest.mark.skipif(not shipped_presets(), reason="no preset is shipped")
def test_a_shipped_preset_is_not_written_into() -> None:
    result = invoke("certify", shipped_presets()[0])
    assert result.exit_code == 2 and "give --out" in told(result)


def test_list_and_show_and_export(file: Path, tmp_path: Path) -> None:
    listed = json.loads(invoke("presets", "list", "--json").stdout)
    assert [row["name"] for row in listed] == shipped_presets()
    assert invoke("presets", "list").exit_code == 0
    shown = json.loads(invoke("presets", "show", file, "--json").stdout)
    assert shown == json.loads(file.read_text())
    folder = tmp_path / "a" / "b"
    assert invoke("presets", "export", file, folder).exit_code == 0
    assert Preset.read(folder) == Preset.read(file)
    named = invoke("presets", "export", file, tmp_path / "named", "--name", "ours/short")
    assert named.exit_code == 0 and Preset.read(tmp_path / "named").name == "ours/short"
    assert invoke("presets", "export", file, tmp_path / "x", "--name", "").exit_code == 2
    again = invoke("presets", "export", file, folder)
    assert again.exit_code == 2 and "already" in told(again)


def test_recorded_answers_of_a_study_are_compared_with_its_baseline() -> None:
    found = changed_answers(ROOT / "studies" / "results" / "positions")
    for losses, costs in found.values():
        assert losses.shape[0] == len(costs) and losses.shape[1] >= 50
        assert set(np.unique(losses)) <= {0.0, 1.0} and all(0 < cost < 1.5 for cost in costs)


def test_coverage_says_how_often_a_promise_is_broken() -> None:
    result = invoke("coverage", "--draws", "200", "--samples", "200", "--json")
    (row,) = json.loads(result.stdout)
    assert row["broken"] <= row["allowed"] == 0.1 and row["best_mean_broken"] > row["broken"]
    assert invoke("coverage", "--max-change", "7").exit_code == 2


def test_shipped_presets_are_read_where_the_package_lies(tmp_path: Path) -> None:
    for name in shipped_presets():
        result = invoke("presets", "export", name, tmp_path / name.replace("/", "-"))
        assert result.exit_code == 0
    shutil.rmtree(tmp_path)
