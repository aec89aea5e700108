"""``saccade models``, ``pruners``, ``policies``, ``page`` and ``doctor``."""

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from saccade.backbones import embedded_models, loading
from saccade.controller import Keep, registry
from saccade.controller.registry import policies, pruners
from saccade.pruners import Random
from saccade.studies.cli import app, doctor, environment, page
from saccade.studies.tasks.documents import KINDS, make_sample


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, list(map(str, words)))


def listed(*words: object) -> Any:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_models_are_described() -> None:
    models = {model["name"]: model for model in listed("models")}
    assert list(models) == embedded_models()
    model = models["embedded/llada-v"]
    assert (model["origin"], model["layers"], model["width"]) == ("from-scratch", 6, 128)
    weights = (loading.EMBEDDED / "llada-v" / "model.safetensors").stat().st_size
    assert weights < model["bytes"] < weights + 100_000
    assert 2 * model["parameters"] == pytest.approx(weights, rel=0.02)  # float16 on disk
    text = invoke("models").stdout
    assert "6 x 128" in text and "hub id" in text


def test_a_broken_model_is_listed_with_its_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(loading.EMBEDDED / "llada-v", tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").unlink()
    monkeypatch.setattr(loading, "EMBEDDED", tmp_path)
    assert "lacks model.safetensors" in listed("models")[0]["problem"]
    assert "lacks model.safetensors" in " ".join(invoke("models").stdout.split())


def test_pruners_and_policies_are_described() -> None:
    found = {pruner["name"]: pruner for pruner in listed("pruners")}
    assert list(found) == list(pruners)
    assert found["divprune"]["needs"] == ["features"] and found["divprune"]["site"] == "entry"
    assert "arXiv" in found["divprune"]["source"]
    known = {policy["name"]: policy for policy in listed("policies")}
    assert list(known) == list(policies)
    options = {option["name"]: option for option in known["after_share"]["options"]}
    assert options["share"]["required"] and options["layer"]["default"] is None
    assert all(entry["summary"] for entry in (*found.values(), *known.values()))


def test_those_of_third_parties_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Mine(Keep):
        """Does nothing, elsewhere."""

    def picky(strength: float) -> Random:
        """Needs an option."""
        return Random(int(strength))

    monkeypatch.setitem(policies._factories, "mine", Mine)
    monkeypatch.setitem(pruners._factories, "picky", picky)
    entry = {policy["name"]: policy for policy in listed("policies")}["mine"]
    assert entry["summary"] == "Does nothing, elsewhere."
    assert "strength (required)" in " ".join(invoke("pruners").stdout.split())


def test_a_page_is_written_with_a_line_to_type(tmp_path: Path) -> None:
    for name in KINDS:
        path, sample, kind = tmp_path / f"my {name}.png", make_sample(name, 2), KINDS[name]
        result = invoke("page", path, "--kind", name, "--index", 2)
        assert result.exit_code == 0, result.output
        assert np.array_equal(np.asarray(Image.open(path)), sample.page.pixels)
        assert sample.question in result.stdout
        assert all(row in result.stdout for row in sample.answer.split("\n"))
        line = shlex.split(result.stdout.splitlines()[-1])
        assert line[:4] == ["saccade", "generate", str(path), sample.question]
        lengths = [str(n) for n in (kind.gen_length, kind.block_length, kind.steps)]
        assert line[5::2] == lengths


@pytest.mark.parametrize("name", embedded_models())
def test_every_model_reads_the_first_page_right(name: str) -> None:
    model = loading.load(name)
    for kind in KINDS.values():
        (sample,) = kind.samples([page.FIRST])
        lengths = (kind.gen_length, kind.block_length, kind.steps)
        options = model.family.settings.for_lengths(*lengths)
        answer = model.generate(sample.question, sample.images, **options)
        assert sample.score(answer.text or "").exact == 1, (kind.name, answer.text)


def test_the_first_page_is_that_of_the_models(tmp_path: Path) -> None:
    sample = make_sample("code", page.FIRST)
    assert sample.answer in invoke("page", tmp_path / "page.png").stdout


def test_the_line_of_a_page_works(tmp_path: Path) -> None:
    line = invoke("page", tmp_path / "page.png", "--kind", "digit").stdout.splitlines()[-1]
    result = invoke(*shlex.split(line)[1:], "--json")
    assert json.loads(result.stdout)["settings"]["gen_length"] == KINDS["digit"].gen_length


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("p.png", ("--kind", "poem"), "unknown task 'poem'; known: code, describe"),
        ("p.png", ("--split", "all"), "known splits: heldout, train"),
        ("p.doc", (), "end the name in .png"),
        ("none/p.png", (), "no folder"),
        ("", (), "is a folder"),
    ],
)
def test_wrong_pages(tmp_path: Path, name: str, words: tuple[str, ...], message: str) -> None:
    result = invoke("page", tmp_path / name, *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ") and message in result.stderr


def test_doctor_finds_everything_needed() -> None:
    result = invoke("doctor", "--json")
    findings = json.loads(result.stdout)
    checks = {check["name"]: check for check in findings["checks"]}
    assert checks["packages"]["ok"], checks
    assert "missing" not in findings["versions"].values()
    assert findings["device"]["cores"] >= 1 and isinstance(findings["device"]["gpus"], list)
    assert checks[doctor.MODEL]["detail"] == "reads 4 of 4 rows right; expected: 4 of 4"
    assert findings["extensions"] == {} and "optional" not in findings
    assert findings["ok"] == all(check["ok"] for check in checks.values())
    assert result.exit_code == (0 if findings["ok"] else 1)


def fixed(value: tuple[bool, str]) -> Callable[[], tuple[bool, str]]:
    return lambda: value


def test_doctor_says_what_breaks_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MODEL", "embedded/none")
    ok, detail = doctor.check_model()
    assert not ok and "known: embedded/" in detail


def test_doctor_asks_for_right_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_right_answers", lambda: doctor.NEEDED)
    assert doctor.check_model()[0]
    monkeypatch.setattr(doctor, "_right_answers", lambda: doctor.NEEDED - 1)
    assert not doctor.check_model()[0]


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_doctor_exits_with_1_if_something_needed_is_broken(
    monkeypatch: pytest.MonkeyPatch, ok: bool, code: int
) -> None:
    monkeypatch.setattr(doctor, "check_packages", fixed((True, "all import")))
    monkeypatch.setattr(doctor, "check_model", fixed((ok, "answers [some]")))
    result = invoke("doctor")
    assert result.exit_code == code
    assert ("BROKEN answers [some]" in result.stdout) is not ok


@pytest.mark.parametrize(("group", "command"), [(pruners, "pruners"), (policies, "policies")])
def test_a_broken_package_is_named_and_the_rest_is_listed(
    monkeypatch: pytest.MonkeyPatch, group: Any, command: str
) -> None:
    offered = [
        EntryPoint("broken", "no_such_package:Thing", group.group),
        EntryPoint("odd", "math:pi", group.group),
        EntryPoint("unmakeable", "builtins:range", group.group),
    ]
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [entry for entry in offered if entry.group == group],
    )
    ours = [name for name in group if group.origin(name) == "Saccade"]
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, [command, "--json"])
    assert result.exit_code == 0, result.output
    assert [entry["name"] for entry in json.loads(result.stdout)] == ours
    lines = result.stderr.splitlines()
    assert len(lines) == 3 and all(line.startswith("warning: left out: ") for line in lines)
    assert all(f"{e.name} = '{e.value}'" in result.stderr for e in offered)
    assert "No module named 'no_such_package'" in result.stderr


def test_a_broken_package_disturbs_no_other_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    groups = ("pruners", "policies", "tasks", "metrics")
    offered = [EntryPoint("broken", "no_such_package:Thing", f"saccade.{g}") for g in groups]
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [entry for entry in offered if entry.group == group],
    )
    line = invoke("page", tmp_path / "page.png", "--kind", "digit").stdout.splitlines()[-1]
    words = shlex.split(line)[1:]
    policy = ("--policy", "after_share(0, keep=0.5)", "--json")
    assert invoke(*words, *policy, "--pruner", "uniform").exit_code == 0
    for asked in (("--policy", "broken()"), (*policy, "--pruner", "broken")):
        failed = invoke(*words, *asked)
        assert failed.exit_code == 2 and "no_such_package" in failed.stderr
        assert "Traceback" not in failed.output
    found = environment.extensions()
    assert list(found) == [f"{kind} broken" for kind in ("policy", "pruner", "task", "metric")]
    assert all(text.startswith("BROKEN: the ") for text in found.values())
    failed = invoke("page", tmp_path / "page.png", "--kind", "broken")
    assert failed.exit_code == 2 and "the task 'broken' of" in failed.stderr
    assert "no_such_package" in failed.stderr
