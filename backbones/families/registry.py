"""The families of checkpoints that `load` knows."""

from collections.abc import Mapping
from typing import Any

from saccade.backbones.families import lavida_dream, lavida_llada, llada_v, llava_ar
from saccade.backbones.families.family import Family
from saccade.controller.errors import CheckpointError

FAMILIES: tuple[Family, ...] = (
    lavida_llada.FAMILY,
    llada_v.FAMILY,
    lavida_dream.FAMILY,
    llava_ar.FAMILY,
)


def family_of(config: Mapping[str, Any], where: object) -> Family:
    """The family of a checkpoint's ``config.json``, read at `where`.

    Its ``model_type`` says it, or its ``architectures`` where training wrote the type of the
    language model or of another writer. Of families that share these, one whose layout has a mark
    is that of the configs with the mark.

    Raises
    ------
    CheckpointError
        If no family has either, listing the known ones.
    """
    given, stored = config.get("model_type"), config.get("architectures")
    architectures = stored if isinstance(stored, list) else []
    fitting = [f for f in FAMILIES if given in f.model_types]
    fitting = fitting or [f for f in FAMILIES if f.architecture in architectures]
    marked = [f for f in fitting if f.layout.mark is not None and f.layout.mark in config]
    plain = [f for f in fitting if f.layout.mark is None]
    if marked or plain:
        return (marked or plain)[0]
    types = dict.fromkeys(repr(name) for family in FAMILIES for name in family.model_types)
    classes = dict.fromkeys(repr(family.architecture) for family in FAMILIES)
    raise CheckpointError(
        f"{where}: model_type {given!r} is not supported; supported: {', '.join(types)}, or "
        f"architectures {', '.join(classes)}, and these are {stored!r}"
    )
