"""Policies and pruners as text: read from the syntax tree, and written the same way."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.controller import (
    Abstain,
    AfterShare,
    AfterSteps,
    Auto,
    BasePolicy,
    Clamp,
    Compose,
    ConfidentCommits,
    Controller,
    Keep,
    LayerSkip,
    Plan,
    Progressive,
    UnknownNameError,
    parse_policy,
    parse_pruner,
)
from saccade.controller import registry as registries
from saccade.controller.expressions import DEEPEST, LONGEST, describe_policy
from saccade.controller.member_options import options_of
from saccade.controller.registry import policies
from saccade.pruners import FastV, Random


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("auto", Auto()),
        ("auto()", Auto()),
        ("auto(layers=4, commit=None)", Auto(commit=None, layers=(4,))),
        ("AfterShare(0.5, 0.25)", AfterShare(0.5, 0.25)),
        ("after_share(0.5, keep=.25, layer=1)", AfterShare(0.5, 0.25, layer=1)),
        ("abstain(keep, steps=3)", Abstain(Keep(), 3)),
        ("abstain(policy=keep(), steps=3)", Abstain(Keep(), 3)),
        ("progressive(cover=0.9) + layer_skip()", Compose([Progressive(cover=0.9), LayerSkip()])),
        (
            "layer_skip(layers=[2, 4]) + confident_commits(value=1, kind='factor') + keep",
            Compose([LayerSkip(layers=(2, 4)), ConfidentCommits(1, "factor"), Keep()]),
        ),
        (
            "abstain(clamp(after_steps(1, 0.1), least=0.3) + keep())",
            Abstain(Clamp(AfterSteps(1, 0.1), least=0.3) + Keep()),
        ),
    ],
)
def test_what_a_text_means(text: str, wanted: BasePolicy) -> None:
    made = parse_policy(text)
    assert made == wanted and type(made) is type(wanted)
    assert parse_policy(repr(made)) == made
    assert Controller(text).policy == wanted


def test_pruners_as_text() -> None:
    assert parse_pruner("random(seed=3)") == Random(3)
    assert parse_pruner("fastv('all', head_mean=\"logits\")") == FastV("all", "logits")
    assert repr(FastV("all")) == "fastv(queries='all')" and repr(Random()) == "random()"
    assert Controller("after_share(0.5, 0.25)", "fastv").pruner == FastV()


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.none() | st.integers(0, 99),
    st.booleans(),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_any_options_survive(
    share: float, keep: float, layer: int | None, hold: bool, layers: list[int]
) -> None:
    policy = AfterShare(share, keep, layer, hold) + Abstain(LayerSkip(layers=layers))
    assert parse_policy(repr(policy)) == policy


def test_only_what_differs_is_written() -> None:
    assert repr(Progressive()) == "progressive()"
    assert repr(Progressive(cover=0.9, every=1)) == "progressive(cover=0.9)"
    assert repr(Abstain(Progressive() + LayerSkip(), 4)) == (
        "abstain(progressive() + layer_skip(), steps=4)"
    )


def test_sums_are_flat() -> None:
    one, two, three = Keep(), LayerSkip(), Progressive()
    assert (one + two) + three == one + (two + three) == Compose([one, two, three])
    with pytest.raises(TypeError):
        one + 3


WRONG = {
    "": "does not describe a policy",
    "keep(": "does not describe a policy",
    "keep)": "does not describe a policy",
    "keep +": "does not describe a policy",
    "3": "write a call such as",
    "lambda: 1": "write a call such as",
    "keep - keep": "only policies are joined, and by",
    "keep.plan()": "write a call such as",
    "(keep)(1)(2)": "write a call such as",
    "after_share(0.5)": "needs keep: write after_share",
    "after_share(share=0.5)": "needs keep: write after_share",
    "after_share(0.5, 0.2, shre=1)": "no option 'shre'; did you mean share",
    "after_share(0.5, 0.2, share=1)": "share is given twice",
    "after_share(1, 2, 3, 4, 5, 6)": "takes at most 5 options; 6 given",
    "after_share(2, 0.5)": "share=2.0: must lie in",
    "after_share('x', 0.5)": "share='x': give a number",
    "after_share(0.5, half)": "a text stands in quotes, 'half'",
    "after_share(0.5, 1 / 2)": "only policies are joined",
    "after_share(0.5, keep=0.5, **{})": r"\*\* is not read",
    "after_share(0.5, {'keep': 1})": "values are numbers",
    "after_share(0.5, f'{1}')": "values are numbers",
    "after_share(0.5, open('x'))": "unknown policy 'open'",
    "__import__('os')": "unknown policy '__import__'",
    "keep(1)": "takes at most 0 options",
    "abstain()": "needs policy: write abstain",
    "abstain(3)": "wraps a policy",
    "layer_skip(layers='4/5')": "layers='4/5': must be a sequence",
    "vtw(layer=True)": "layer=True: give a whole number",
    "x" * (LONGEST + 1): "has 4001 letters; at most 4000",
    "abstain(" * (DEEPEST + 2) + "keep" + ")" * (DEEPEST + 2): "calls inside each other",
    # How it was written before.
    "after-share:share=0.5,keep=0.25": r"did you mean after_share\(share=0.5, keep=0.25\)",
    "layer-skip:layers=4/5": r"did you mean layer_skip\(layers=\(4, 5\)\)",
    "layer-skip": r"did you mean layer_skip\(\)",
    "layer-skip(layers=(4, 5))": r"did you mean layer_skip\(layers=\(4, 5\)\)",
    "aftr-share:share=0.5": r"did you mean after_share\(share=0.5\)",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said(text: str) -> None:
    with pytest.raises((ValueError, UnknownNameError), match=WRONG[text]):
        parse_policy(text)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match="did you mean progressive.*known: abstain, after_"):
        parse_policy("progresive")
    with pytest.raises(UnknownNameError, match="unknown policy 'fastv'; it is a pruner"):
        parse_policy("fastv()")
    with pytest.raises(UnknownNameError, match="unknown pruner 'auto'; it is a policy"):
        parse_pruner("auto")
    with pytest.raises(ValueError, match="only policies are joined"):
        parse_pruner("random() + random()")


def test_a_text_can_be_looked_into() -> None:
    call = describe_policy("abstain(after_share(0.5, 0.25) + keep, steps=2)")
    assert (call.name, call.options["steps"]) == ("abstain", 2)
    inside = call.options["policy"]
    assert inside.name == "compose"
    assert inside.options["policies"][0].options == {"share": 0.5, "keep": 0.25}


def test_what_a_policy_says_of_itself_is_no_option() -> None:
    names = [option.name for option in options_of(policies.factory("after_share"))]
    assert names == ["share", "keep", "layer", "hold", "early"]
    assert options_of(policies.factory("keep")) == []


@dataclass(repr=False)
class Mine(BasePolicy):
    """A third party's."""

    most: int = 3

    def plan(self, state: Any, signals: Any) -> Plan:
        return Plan()


def test_policies_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("my-own", f"{__name__}:Mine", "saccade.policies")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Mine)
    monkeypatch.setattr(
        registries, "entry_points", lambda group: [entry] if group == "saccade.policies" else []
    )
    monkeypatch.setattr(policies, "_loaded", {})
    made = parse_policy("my_own(most=5)")
    assert made == Mine(5) and repr(made) == "my_own(most=5)"
    assert parse_policy("Mine(5)") == made, "once it is loaded its own name will do"


@pytest.mark.parametrize("text", ["auto(commit=%s)", "keep() + after_share(%s, keep=0.5)"])
def test_numbers_beyond_all_bounds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="beyond all bounds"):
        parse_policy(text % ("9" * 400))
