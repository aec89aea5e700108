"""Names that nobody knows: the one that was meant is named, and nothing where none is near."""

import pytest

from saccade.backbones import embedded_models, load
from saccade.controller import CheckpointError, Controller, UnknownNameError, policies, pruners
from saccade.controller.names import closest, not_allowed, unknown_name
from saccade.pruners import FastV

OPTIONS = ("gen_length", "block_length", "steps", "temperature", "prefix_lm")
MODELS = ("embedded/lavida-dream", "embedded/llada-v", "embedded/llava-ar")


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("after-share", policies, "after_share"),
        ("AfterShare", policies, "after_share"),
        ("share_after", policies, "after_share"),
        ("layerskip", policies, "layer_skip"),
        ("progresive", policies, "progressive"),
        ("confident", policies, "confident_commits"),
        ("FastV", pruners, "fastv"),
        ("fast_v", pruners, "fastv"),
        ("div prune", pruners, "divprune"),
        ("sparse-vlm", pruners, "sparsevlm"),
        ("vision_zip", pruners, "visionzip"),
        ("genlength", OPTIONS, "gen_length"),
        ("num_steps", OPTIONS, "steps"),
        ("refix_lm", OPTIONS, "prefix_lm"),
        ("temp", OPTIONS, "temperature"),
        ("llada-v", MODELS, "embedded/llada-v"),
        ("embeded/LLaDA_V", MODELS, "embedded/llada-v"),
        ("embedded/lavida", MODELS, "embedded/lavida-dream"),
    ],
)
def test_what_was_meant_is_found(given: str, known: list[str], meant: str) -> None:
    assert closest(given, known) == meant


@pytest.mark.parametrize("given", ["", "  ", "qwxz", "é", None, 3, "x" * 10_000])
def test_nothing_near_is_nothing(given: object) -> None:
    assert closest(given, policies) is None


def test_nothing_is_known() -> None:
    assert unknown_name("thing", "a", []) == "unknown thing 'a'; known: none"


def test_values_that_are_not_allowed() -> None:
    assert not_allowed("rows", "al", ("masked", "all")) == (
        "rows='al'; did you mean all? allowed: 'masked', 'all'"
    )
    assert not_allowed("rows", 3, (None, "all")) == "rows=3; allowed: None, 'all'"


@pytest.mark.parametrize("name", ["llada-v", "LLaDA-V", "embeded/llada-v/"])
def test_a_model_that_was_meant_is_named(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"did you mean embedded/llada-v\?"):
        load(name)
    with pytest.raises(UnknownNameError, match=r"did you mean embedded/llada-v\? known"):
        load("embedded/lladav")


def test_a_folder_is_no_misspelt_model() -> None:
    with pytest.raises(CheckpointError) as caught:
        load("/nowhere/llada-v")
    assert "did you mean" not in str(caught.value) and embedded_models()[0] in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "pruner", "message"),
    [
        ("aftershare(0.5)", None, r"did you mean after_share\?"),
        ("after_share(0.5, kep=0.2)", None, r"no option 'kep'; did you mean keep\?"),
        ("keep", "div_prune", r"did you mean divprune\?"),
        ("keep", "fastv(querys='all')", r"did you mean queries\?"),
        ("keep", "fastv(queries='al')", r"did you mean all\? allowed"),
        ("fastv", None, "it is a pruner"),
        ("none + layer_skip()", None, "none stands alone"),
    ],
)
def test_in_texts_of_a_controller(policy: str, pruner: str | None, message: str) -> None:
    with pytest.raises((UnknownNameError, ValueError), match=message):
        Controller(policy, pruner)


def test_a_pruner_in_the_place_of_the_policy() -> None:
    with pytest.raises(TypeError, match="is not a policy: it is a pruner"):
        Controller(FastV())  # type: ignore[arg-type]
