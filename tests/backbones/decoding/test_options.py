"""The options that editors complete are those that the families' settings have."""

from dataclasses import fields

import pytest

from saccade.backbones.decoding.options import GenerateOptions
from saccade.backbones.families.registry import FAMILIES


def test_they_are_those_of_all_families() -> None:
    known = {field.name for family in FAMILIES for field in fields(family.settings)}  # type: ignore[arg-type]
    assert set(GenerateOptions.__annotations__) == known | {"max_new_tokens"}
    assert GenerateOptions.__total__ is False


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_types[0])
def test_a_family_refuses_those_of_others(family: object) -> None:
    settings = family.settings  # type: ignore[attr-defined]
    own = {field.name for field in fields(settings)}
    foreign = sorted(set(GenerateOptions.__annotations__) - own - {"max_new_tokens"})
    for name in foreign:
        with pytest.raises(TypeError, match=name):
            settings.from_options({name: 1})
