"""Configurations of studies: what is right is built, what is wrong is named."""

from pathlib import Path

import pytest

from saccade.controller import (
    Abstain,
    AfterShare,
    ConfidentCommits,
    Controller,
    LayerSkip,
    Progressive,
    StudyError,
    parse_policy,
)
from saccade.pruners import DivPrune, Random
from saccade.studies.config.case_controllers import controller_of
from saccade.studies.config.cases import load_study, settings_of
from saccade.studies.config.study import Case, StudyConfig, plan_units
from saccade.studies.tasks.documents.tasks import KINDS

DEMO = Path(__file__).parents[3] / "studies" / "configs" / "demo.yaml"


def load_text(folder: Path, text: str) -> StudyConfig:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


def test_the_demonstration_is_valid() -> None:
    config = load_study(DEMO)
    assert (config.name, config.samples, config.batch) == ("demo", 48, 8)
    assert config.tasks == ("yesno", "code", "transcribe", "describe"), "short and long"
    policies = [case.policy for case in config.cases]
    assert policies[:4] == [None, "auto()", "auto(commit=None)", "abstain(confident_commits())"]
    assert sum(case.group == "fixed, keep 50 %" for case in config.cases) == 3
    assert config.takes and "takes" not in config.plain()
    assert all(len(case.name) <= 24 for case in config.cases)


def test_defaults(tmp_path: Path) -> None:
    config = load_text(tmp_path, "name: a\ncases: [{name: none}]")
    assert config.model == "embedded/llada-v"
    assert (config.seed, config.samples, config.batch) == (0, 48, 16)
    assert (config.tasks, config.baseline) == (tuple(KINDS), "none")


def test_cases_may_share_by_anchors(tmp_path: Path) -> None:
    text = """
    name: a
    cases:
      - {name: none}
      - name: half
        policy: &half after_share(0.5, keep=0.5)
        pruner: random
      - name: cached
        policy: *half
        pruner: random
        settings: {prefix_refresh_interval: 4}
    """
    call = load_text(tmp_path, text).cases[2].policy_call
    assert call is not None and call.name == "after_share"
    assert call.options == {"share": 0.5, "keep": 0.5}


def test_recipes_from_before_there_was_a_text_form_are_read() -> None:
    old = {"name": "abstain", "policy": {"name": "layer-skip", "layers": "2/4/5"}, "steps": 4}
    case = Case.model_validate({"name": "a", "policy": old})
    assert case.policy is not None
    assert parse_policy(case.policy) == Abstain(LayerSkip(layers=(2, 4, 5)), steps=4)
    old = {"name": "compose", "policies": ["progressive", {"name": "confident-commits"}]}
    case = Case.model_validate({"name": "a", "policy": old, "pruner": {"name": "llada-fastv"}})
    assert (case.policy, case.pruner) == (
        "compose(policies=(progressive(), confident_commits(), ))",
        "llada_fastv()",
    )
    assert parse_policy(case.policy or "") == Progressive() + ConfidentCommits()


def test_a_case_becomes_a_controller() -> None:
    case = Case.model_validate(
        {
            "name": "a",
            "policy": "after_share(share=0.5, keep=0.25)",
            "pruner": "random(seed=3)",
        }
    )
    controller = controller_of(case)
    assert isinstance(controller, Controller)
    assert controller.policy == AfterShare(0.5, 0.25)
    assert controller.pruner == Random(3)
    assert controller.probe == "needed"


@pytest.mark.parametrize("nothing", [None, "none", {"name": "none"}])
def test_none_is_the_bare_model(nothing: object) -> None:
    case = Case.model_validate({"name": "a", "policy": nothing, "pruner": nothing})
    assert controller_of(case) is None


def test_a_bare_name_is_a_plugin_without_options() -> None:
    case = Case.model_validate({"name": "a", "policy": "keep", "pruner": "divprune"})
    controller = controller_of(case)
    assert controller is not None
    assert controller.pruner == DivPrune()


def test_a_case_overrides_the_settings_of_a_task() -> None:
    case = Case(name="a", settings={"steps": 4, "temperature": 0.5})
    expected = {"gen_length": 16, "block_length": 16, "steps": 4, "temperature": 0.5}
    assert settings_of(case, KINDS["code"]) == expected


def test_units_cover_every_sample_once(config: StudyConfig) -> None:
    units = plan_units(config)
    assert [(u.task, u.number) for u in units] == [(t, i) for t in config.tasks for i in range(3)]
    assert [u.samples for u in units] == 2 * [(0, 1), (2, 3), (4,)]


CASES = "cases: [{name: none}, "
WRONG = {
    "sample: 3\ncases: [{name: none}]": r"unknown key 'sample' .*allowed: name, model, seed",
    CASES + "{name: a, polcy: keep}]": r"'polcy' \(cases\.1\.polcy\); did you mean policy\?",
    CASES + "{name: a, policy: kep}]": r"case 'a': unknown policy 'kep'; did you mean keep",
    CASES
    + "{name: a, policy: keep, pruner: dvprune}]": r"unknown pruner 'dvprune'; did you mean div",
    CASES + "{name: a, policy: 'after_share(shre=1, keep=1)'}]": "'after_share' has no option "
    "'shre'; did you mean share\\? options: share, keep, layer, hold, early$",
    CASES + "{name: a, policy: 'after_share(share=1)'}]": "'after_share' needs keep",
    CASES + "{name: a, policy: 'after_share(share=2, keep=1)'}]": r"share=2.0: must lie in",
    CASES + "{name: a, policy: 'after_share(share=x, keep=1)'}]": "case 'a': ",
    CASES + "{name: a, policy: {keep: 1}}]": "names nothing; write a call such as after_share",
    CASES + "{name: a, pruner: random}]": "the pruner random has no policy that would ask it",
    CASES + "{name: none}]": "the case 'none' is given twice",
    "cases: [{name: a}]": "unknown baseline 'none'; known: a",
    "baseline: a\ncases: [{name: a, policy: keep}]": "baseline 'a' has the policy keep; it must",
    "tasks: [yesno, cod]\ncases: [{name: none}]": r"unknown task 'cod'; did you mean code\? kn",
    "tasks: [yesno, yesno]\ncases: [{name: none}]": "the task 'yesno' is given twice",
    "tasks: []\ncases: [{name: none}]": "tasks: ",
    "cases: []": "cases: ",
    "samples: 0\ncases: [{name: none}]": r"samples: .*\(given: 0\)",
    "batch: 2.5\ncases: [{name: none}]": r"batch: .*\(given: 2.5\)",
    CASES
    + "{name: a, settings: {step: 3}}]": r"unknown option step; did you mean steps\? known opt",
    CASES
    + "{name: a, settings: {block_length: 3}}]": "case 'a' on task 'yesno': gen_length=2 is not",
    CASES + "{name: a, settings: {temperature: hot}}]": "case 'a' on task 'yesno'",
    "cases: [{name: none}]\ncases: [{name: none}]": "the key 'cases' is given twice",
    "cases: [": "not valid YAML",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(StudyError, match=WRONG[text]) as caught:
        load_text(tmp_path, f"name: wrong\n{text}")
    assert "study.yaml" in str(caught.value)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="the file: "):
        load_text(tmp_path, "- name")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study at .*absent.yaml"):
        load_study(tmp_path / "absent.yaml")
    with pytest.raises(StudyError, match="cannot be read"):
        load_study(tmp_path)


def test_a_value_that_was_meant_is_named(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: a\ncases: [{name: none}, {name: b, policy: keep, positions: orignal}]", "utf-8"
    )
    with pytest.raises(StudyError, match=r"'orignal'; did you mean original\? allowed: 'original'"):
        load_study(path)


@pytest.mark.parametrize("word", ["none", "None", "null", "~", '" none "', "none()"])
def test_none_is_no_policy_and_no_pruner(tmp_path: Path, word: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        f"name: a\ncases: [{{name: none, policy: {word}, pruner: {word}}}]", encoding="utf-8"
    )
    (case,) = load_study(path).cases
    assert case.policy is None and case.pruner is None and controller_of(case) is None


def test_a_case_of_another_length_is_still_one_block() -> None:
    longer = Case(name="longer", settings={"gen_length": 32})
    assert settings_of(longer, KINDS["code"]) == {"gen_length": 32, "steps": 8}
    blocks = Case(name="blocks", settings={"gen_length": 32, "block_length": 8})
    assert settings_of(blocks, KINDS["code"])["block_length"] == 8
