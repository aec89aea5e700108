"""Search spaces: what is searched without being asked, what a file narrows, what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from saccade.controller.controller import Controller
from saccade.controller.expressions import parse_policy
from saccade.controller.registry import policies, pruners
from saccade.controller.text_form import parameters
from saccade.tuning.parameters import Parameter, SpaceError
from saccade.tuning.setting import Setting
from saccade.tuning.space import Space, default_narrowing, default_policies, default_pruners
from tests.tuning.tiny_task import word_model

ALL = "abstain(progressive() + layer_skip() + confident_commits())"


def drawn(seed: int) -> Callable[[Parameter], Any]:
    rng = np.random.default_rng(seed)

    def pick(own: Parameter) -> Any:
        if own.choices:
            return own.choices[int(rng.integers(len(own.choices)))]
        if own.whole:
            return int(rng.integers(own.low, own.high + 1))
        return own.rounded(float(rng.uniform(own.low, own.high)))

    return pick


def test_the_default_is_what_auto_does_with_every_nested_threshold_open() -> None:
    found = default_policies(word_model().spec)
    assert found[0] == ALL
    space = Space(found[:1], default_pruners(found[:1], word_model().spec))
    assert space.setting(lambda p: p.start) == Setting.of(ALL, "redvtp()")
    for name in ("abstain.steps", "progressive.cover", "layer_skip.margin", "with.layer_skip"):
        assert name in space.parameters
    assert space.parameters["progressive.surge"].log and space.parameters["abstain.steps"].whole
    assert space.parameters["redvtp.rows"].choices == ("masked", "all")


def test_a_drop_at_one_time_beside_commits_is_searched_by_default() -> None:
    spec = word_model().spec
    found = default_policies(spec)
    space = Space(found, default_pruners(found, spec), default_narrowing(found, spec))
    one = {"policy": found[1], "pruner": "fastv()", "fastv.queries": "all", "after_share.layer": 1}
    assert space.setting(lambda p: one.get(p.name, p.start)) == Setting.of(
        "after_share(share=0.0, keep=0.5, layer=1) + confident_commits()", "fastv(queries='all')"
    )
    for seed in range(10):
        made = space.setting(drawn(seed))
        Controller(made.policy, made.pruner)
    assert default_policies(replace(spec, origin="autoregressive")) == ["keep()"]
    assert default_narrowing(["keep()"], spec) == {}
    assert len(default_policies(replace(spec, can=spec.can - {"commit"}))) == 1


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_drawn_is_a_setting_that_its_text_makes_again(seed: int) -> None:
    space = Space([ALL], default_pruners([ALL], word_model().spec))
    setting = space.setting(drawn(seed))
    assert setting == Setting.of(setting.policy, setting.pruner)
    Controller(setting.policy, setting.pruner)
    flat = space.every(drawn(seed))
    assert flat == Setting.of(flat.policy, flat.pruner)


def test_only_what_matters_is_asked_for() -> None:
    space = Space([ALL], ["fastv()", "divprune()"])
    asked: list[str] = []

    def pick(own: Parameter) -> Any:
        asked.append(own.name)
        return False if own.name.startswith("with.") else own.start

    assert space.setting(pick) == Setting("abstain(keep())")
    assert set(asked) == {"abstain.steps", *(name for name in asked if name.startswith("with."))}


def test_what_a_text_gives_is_fixed_unless_the_space_opens_it() -> None:
    text = "progressive(cover=0.9)"
    assert "progressive.cover" not in Space([text]).parameters
    opened = Space([text], [], {"progressive.cover": [0.5, 1.0]}).parameters["progressive.cover"]
    assert (opened.low, opened.high, opened.start) == (0.5, 1.0, 0.9)


def test_options_without_a_range_are_opened_by_one() -> None:
    space = Space(
        ["after_share()"], ["divprune()"], {"after_share.share": 0, "after_share.keep": [0.1, 1]}
    )
    assert (
        space.setting(lambda p: p.ends[-1]).policy == "after_share(share=0.0, keep=1.0, hold=False)"
    )


def test_an_option_that_may_be_none_can_be_left_out() -> None:
    space = Space(["auto()"])
    found = {space.setting(drawn(seed)).policy for seed in range(30)}
    assert any("commit=None" in text for text in found) and not all("None" in t for t in found)


def test_the_same_policy_twice_has_parameters_of_its_own() -> None:
    space = Space(["progressive() + with_refresh(progressive())"])
    assert {"progressive.cover", "progressive.2.cover"} <= set(space.parameters)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (0.5, 0.5),
        ([0.5, 0.7], 0.7),
        ({"low": 0.1, "high": 0.7, "log": True}, 0.7),
        ([0.5, 0.5], 0.5),
    ],
)
def test_a_file_narrows(given: Any, value: float) -> None:
    space = Space(["progressive()"], [], {"progressive.cover": given})
    assert space.parameters["progressive.cover"].start == value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (({"progressive.covr": [0, 1]}), "did you mean progressive.cover"),
        (({"cover": [0, 1]}), "did you mean progressive.cover"),
        (({"progressive.cover": [0, 2]}), "must lie in"),
        (({"progressive.cover": [1, 0]}), "low must be at most high"),
        (({"progressive.cover": [0, 0.5, 1]}), "a list is a range"),
        (({"progressive.cover": ["a", 1]}), "both ends must be numbers"),
        (({"progressive.cover": [float("nan"), 1]}), "finite"),
        (({"progressive.cover": {"lo": 0, "high": 1}}), "did you mean low"),
        (({"progressive.cover": {"low": 0}}), "needs low and high"),
        (({"progressive.cover": {"low": 0, "high": 1, "log": True}}), "begins above 0"),
        (({"progressive.cover": {"low": 0, "high": 1, "log": 1}}), "true or false"),
        (({"progressive.warmup": [1, 2.5]}), "whole numbers"),
        (({"progressive.warmup": True}), "whole number"),
        (({"progressive.cover": {"choices": []}}), "one value or more"),
        (({"progressive.cover": {"choices": [0.5, 0.5]}}), "twice"),
        (({"progressive.cover": {"choices": ["x"]}}), "give a number"),
        (({"fastv.queries": "al"}), "did you mean all"),
    ],
)
def test_wrong_entries_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        Space(["progressive()"], ["fastv()"], given)


@pytest.mark.parametrize(
    ("policies_", "pruners_", "words"),
    [
        (["progresive()"], [], "did you mean progressive"),
        (["progressive(covr=1)"], [], "did you mean cover"),
        (["progressive("], [], "does not describe"),
        (["progressive()", "progressive()"], [], "twice"),
        (["progressive()"], ["fastvv()"], "did you mean fastv"),
        (["after_share(0.5)"], [], "needs keep"),
        ([], [], "no policy"),
    ],
)
def test_wrong_members_are_refused(policies_: list[str], pruners_: list[str], words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        Space(policies_, pruners_)


@pytest.mark.parametrize("name", [name for name in policies if name != "learned"])  # needs a file
def test_every_registered_policy_can_be_searched(name: str) -> None:
    needs = {p.name for p in parameters(policies.factory(name)) if p.default is p.empty}
    given = {"policy": "progressive()", "policies": "(keep(),)", "share": "0.5", "keep": "0.5"}
    given |= {"layer": "2", "steps": "1", "layers": "(1,)", "keeps": "(0.5,)"}
    text = f"{name}({', '.join(f'{key}={given[key]}' for key in needs)})"
    space = Space([text])
    for seed in range(5):
        try:
            parse_policy(space.setting(drawn(seed)).policy)
        except ValueError as error:  # values that exclude each other are the trials' to refuse
            assert "exceeds" in str(error)


@pytest.mark.parametrize("name", list(pruners))
def test_every_registered_pruner_can_be_searched(name: str) -> None:
    space = Space(["progressive()"], [f"{name}()"])
    assert all(space.setting(drawn(seed)).pruner for seed in range(5))
