"""The families of checkpoints that `load` knows."""

from collections.abc import Mapping
from typing import Any

from saccade.backbones.families import lavida_dream, llada_v, llava_ar
from saccade.backbones.families.family import Family
from saccade.controller.errors import CheckpointError

FAMILIES: tuple[Family, ...] = (llada_v.FAMILY, lavida_dream.FAMILY, llava_ar.FAMILY)


def family_of(config: Mapping[str, Any], where: object) -> Family:
    """The family of a checkpoint's ``config.json``, read at `where`.

    Raises
    ------
    CheckpointError
        If no family has its ``model_type``, listing the known ones.
    """
    given = config.get("model_type")
    for family in FAMILIES:
        if given in family.model_types:
            return family
    known = ", ".join(repr(name) for family in FAMILIES for name in family.model_types)
    raise CheckpointError(f"{where}: model_type {given!r} is not supported; supported: {known}")
