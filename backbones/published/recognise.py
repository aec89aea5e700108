"""What an object is: the published class in it, and the family of that."""

from typing import Any

from torch import nn

from saccade.backbones.families.family import Family
from saccade.backbones.families.registry import FAMILIES
from saccade.backbones.model import Model
from saccade.backbones.published.tables import TABLES
from saccade.controller.errors import CapabilityError

AROUND = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "DeepSpeedEngine": "module",
    "OptimizedModule": "_orig_mod",
}
"""Classes that hold a model in an attribute and call it in their own way."""
ANSWERING = (
    "generate",
    "generate_with_embeds",
    "diffusion_generate",
    "_sample",
    "forward_dream",
    "prepare_inputs_labels_for_multimodal",
    "encode_images",
)
"""Methods that the published classes answer with."""


def is_published(model: object) -> bool:
    """Whether one of an object's classes, or of a PEFT model's base, has a published name."""
    return bool({c.__name__ for c in type(_base_model(model)).__mro__} & TABLES.keys())


def recognised(model: object) -> tuple[nn.Module, Family]:
    """The object of a published class, and its family.

    It is told by the names of its classes, so that subclasses count, and never by a folder's name.
    Of a PEFT model it is the base model.

    Parameters
    ----------
    model : object
        As given by the user.

    Raises
    ------
    TypeError
        If it is none, saying what is known.
    CapabilityError
        If it is inside something else, or a subclass answers in its own way.
    """
    _check_kind(model)
    inner = _base_model(model)
    names = {c.__name__ for c in type(inner).__mro__} & TABLES.keys()
    family = next((family for family in FAMILIES if family.architecture in names), None)
    if family is None or not isinstance(inner, nn.Module):
        known = ", ".join(sorted(TABLES))
        raise TypeError(
            f"wrap() takes an object of a published class ({known}, or a subclass) or a multimodal "
            f"model of transformers, not a {type(inner).__name__}; folders and hub ids are loaded "
            "by saccade.load(), and what wrap() made is given to the controller as it is"
        )
    _check_own_answers(type(inner), family.architecture)
    return inner, family


def _check_kind(model: object) -> None:
    if isinstance(model, type):
        raise TypeError(f"{model.__name__} is a class: give an object, such as from_pretrained()'s")
    if isinstance(model, Model):
        raise TypeError(f"{model!r} is a Saccade model: give it to the controller as it is")
    inside = next((AROUND[c.__name__] for c in type(model).__mro__ if c.__name__ in AROUND), None)
    if inside is not None:
        raise CapabilityError(
            f"a {type(model).__name__} holds a model and calls it in its own way: wrap what is in "
            f"it, model.{inside}"
        )


def _base_model(model: Any) -> Any:
    """What a PEFT model is about, or the object itself."""
    if "PeftModel" not in {c.__name__ for c in type(model).__mro__}:
        return model
    configs = getattr(model, "peft_config", {}).values()
    if any(getattr(config, "is_prompt_learning", False) for config in configs):
        raise CapabilityError(
            "this PEFT model adds learned prompts, which the native model does not read: wrap its "
            "base model, model.get_base_model(), if you mean that"
        )
    return model.get_base_model()


def _check_own_answers(given: type, architecture: str) -> None:
    """Refuse a subclass that answers otherwise: what it does is not what would be run."""
    for own in given.__mro__:
        if own.__name__ == architecture:
            return
        changed = [name for name in ANSWERING if name in vars(own)]
        if changed:
            raise CapabilityError(
                f"{own.__name__} overrides {changed[0]} of {architecture}, and what it does there "
                "would be lost: wrap an object of the published class, and do that around the call"
            )
