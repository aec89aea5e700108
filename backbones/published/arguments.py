"""The arguments of a published call, sorted: inputs, options that are honoured, and the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.backbones.inputs.token_ids import plain_ids
from saccade.backbones.published.tables import COMMON, CallTable
from saccade.controller.names import did_you_mean


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """What a call of a published generate was given.

    Attributes
    ----------
    ids : tuple of int
        Of the prompt, -200 where pictures go, without padding where there are pictures.
    images, image_sizes, modalities
        As given; see `PictureForms`.
    tokenizer : object
        The call's own, or None.
    options : dict
        All of the table's defaults, with what was given.
    named : frozenset of str
        Which of them were given.
    """

    ids: tuple[int, ...]
    images: Any
    image_sizes: Any
    modalities: Any
    tokenizer: Any
    options: dict[str, Any]
    named: frozenset[str]


def read_arguments(table: CallTable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    """Sort the arguments of a call.

    Raises
    ------
    TypeError, ValueError
        Naming an argument that is unknown, given twice, or cannot be honoured, and what to do.
    """
    given = _named(table, args, kwargs)
    inputs = {name: given.pop(name, None) for name in ("inputs", "images", "image_sizes")}
    modalities = given.pop("modalities", ["image"])
    mask, positions = given.pop("attention_mask", None), given.pop("position_ids", None)
    tokenizer = given.pop("tokenizer", None)
    said = frozenset(given.keys() & table.defaults.keys())
    options = {name: given.pop(name, value) for name, value in table.defaults.items()}
    _check_rest(table, given)
    ids = _ids(inputs["inputs"])
    _check_positions(positions, len(ids))
    if inputs["images"] is not None:  # published: a text keeps all its ids, whatever is masked
        ids = _unmasked(ids, mask)
    pictures = inputs["images"], inputs["image_sizes"]
    return Arguments(tuple(ids), *pictures, modalities, tokenizer, options, said)


def _named(table: CallTable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name; ``input_ids`` may stand for ``inputs``."""
    if len(args) > len(table.positional):
        raise TypeError(
            f"generate() got {len(args)} positional arguments; it takes "
            f"{', '.join(table.positional)}, others by name"
        )
    named = dict(zip(table.positional, args, strict=False))
    twice = named.keys() & kwargs.keys()
    given = named | dict(kwargs)
    if "input_ids" in given:
        twice |= {"inputs"} & given.keys()
        given["inputs"] = given.pop("input_ids")
    if twice:
        raise TypeError(f"generate() got {min(twice)} twice; give it once")
    return given


def _check_rest(table: CallTable, rest: Mapping[str, Any]) -> None:
    """Raise `TypeError` for what is neither honoured nor harmless."""
    for name, value in rest.items():
        if name in table.ignored:
            continue
        if name not in table.refused:
            known = sorted({*table.positional, *COMMON, *table.defaults})
            raise TypeError(
                f"generate() got {name}={value!r}, which is not known under a controller; "
                f"{did_you_mean(name, known)}leave it out; known: {', '.join(known)}"
            )
        harmless, advice = table.refused[name]
        if not any(value is one or (type(value) is int and value == one) for one in harmless):
            raise TypeError(
                f"generate() got {name}, which cannot be honoured under a controller: {advice}"
            )


def _ids(given: Any) -> list[int]:
    if given is None:
        raise TypeError("generate() got no inputs: give the prompt's ids as a tensor (1, L)")
    if isinstance(given, Tensor) and given.ndim == 2 and len(given) > 1:
        raise ValueError(
            f"inputs of shape {tuple(given.shape)} are {len(given)} prompts; the published "
            "generate answers one: call it for each"
        )
    return plain_ids(given)


def _check_positions(given: Any, length: int) -> None:
    """Positions are counted from 0 on over the spliced prompt, and can be no others."""
    if given is None:
        return
    flat = torch.as_tensor(given).reshape(-1).tolist()
    if flat != list(range(length)):
        raise ValueError(
            f"position_ids={flat[:8]}...: the published generate takes no notice of positions; "
            "leave them out"
        )


def _unmasked(ids: Sequence[int], mask: Any) -> list[int]:
    """Ids where a mask is not 0; on which side the padding is makes no difference."""
    if mask is None:
        return list(ids)
    values = torch.as_tensor(mask)
    if values.numel() != len(ids) or values.ndim > 2:
        raise ValueError(
            f"attention_mask has the shape {tuple(values.shape)}, and inputs have {len(ids)} ids: "
            "give one number an id, 0 for padding"
        )
    kept = values.reshape(-1).bool().tolist()
    left = [token for token, keep in zip(ids, kept, strict=True) if keep]
    if not left:
        raise ValueError("attention_mask masks all ids; the prompt must keep one or more")
    return left
