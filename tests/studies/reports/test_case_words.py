"""What the report says that cases do."""

import pytest

from saccade.studies.config.study import Case
from saccade.studies.reports.case_words import KINDS, case_texts, kind_of, what_cases_do


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        (None, "nothing"),
        ("keep()", "nothing"),
        ("auto()", "signals"),
        ("auto(commit=None)", "signals"),
        ("clamp(auto(), 0.5)", "signals"),
        ("abstain(progressive())", "signals"),
        ("layer_skip()", "signals"),
        ("confident_commits()", "signals"),
        ("abstain(confident_commits())", "signals"),
        ("progressive() + layer_skip(layers=(1,))", "signals"),
        ("layer_skip(layers=(4, 5))", "schedule"),
        ("after_share(0.5, keep=0.25)", "schedule"),
        ("cumulative()", "schedule"),
        ("vtw(layer=2)", "schedule"),
        ("by_layer(layers=(1,), keeps=(0.5,))", "schedule"),
        ("vtw(layer=4) + confident_commits()", "both"),
        ("not_installed_here(1)", "own"),
    ],
)
def test_kinds(policy: str | None, kind: str) -> None:
    assert kind_of(Case.model_construct(name="a", policy=policy)) == kind


def test_few_cases_are_named_and_many_counted() -> None:
    cases = [Case(name="none"), Case(name="seen", policy="auto()")]
    cases += [Case(name=f"s{i}", policy="vtw(layer=1)") for i in range(2)]
    assert what_cases_do(cases, "none") == (
        f"“seen” {KINDS['signals'][0]}; 2 cases {KINDS['schedule'][1]} (“s0”, “s1”). "
    )
    cases += [Case(name=f"t{i}", policy="vtw(layer=1)") for i in range(5)]
    assert what_cases_do(cases, "none").endswith(f"; 7 cases {KINDS['schedule'][1]}. ")
    assert what_cases_do(cases[:1], "none") == ""


def test_each_case_is_written_in_full() -> None:
    case = Case.model_validate(
        {
            "name": "a",
            "policy": "auto()",
            "pruner": "random()",
            "settings": {"steps": 4},
            "positions": "compact",
        }
    )
    assert case_texts([Case(name="none"), case]) == {
        "none": "no controller",
        "a": "auto(), pruner random(), steps 4, positions compact",
    }
