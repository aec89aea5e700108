"""The options that editors complete are those that the families' settings have."""

import inspect
from dataclasses import fields
from typing import Any

import pytest

from saccade.backbones import Model
from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.decoding.options import ARGUMENTS, GenerateOptions
from saccade.backbones.families.registry import FAMILIES


def test_they_are_those_of_all_families() -> None:
    known = {field.name for family in FAMILIES for field in fields(family.settings)}  # type: ignore[arg-type]
    assert set(GenerateOptions.__annotations__) == known | {"max_new_tokens"}
    assert GenerateOptions.__total__ is False


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_refuses_those_of_others(family: object) -> None:
    settings = family.settings  # type: ignore[attr-defined]
    own = {field.name for field in fields(settings)}
    foreign = sorted(set(GenerateOptions.__annotations__) - own - {"max_new_tokens"})
    for name in foreign:
        with pytest.raises(TypeError, match=name):
            settings.from_options({name: 1})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"image": []}, "images"),
        ({"callbck": print}, "callback"),
        ({"thinkmode": "think"}, "think_mode"),
        ({"genlength": 4}, "gen_length"),
        ({"temprature": 1}, "temperature"),
    ],
)
@pytest.mark.parametrize("settings", [GenerateSettings, LavidaSettings, CausalSettings])
def test_what_was_meant_by_an_unknown_option_is_said(
    settings: Any, given: dict[str, Any], meant: str
) -> None:
    with pytest.raises(TypeError, match=rf"did you mean {meant}\? known options: gen_length"):
        settings.from_options(given)


def test_every_argument_of_generate_is_known() -> None:
    parameters = inspect.signature(Model.generate).parameters
    assert set(ARGUMENTS) == set(parameters) - {"self", "options"}
