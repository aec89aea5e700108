"""Token ids as people have them, lists, arrays and tensors, to a plain list; or a plain error."""

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.backbones.inputs.chat import IMAGE_ID

TokenIds = Sequence[int] | NDArray[np.integer[Any]] | Tensor
"""Ids of one prompt: see `plain_ids`."""
_ALLOWED = "give a list of whole numbers, or an integer array or tensor of shape (L,) or (1, L)"


def plain_ids(given: object) -> list[int]:
    """The token ids of one prompt as a list.

    Parameters
    ----------
    given : sequence of int, or integer array or tensor (L,) or (1, L)
        Of any integer dtype. Two dimensions are taken where the first is 1, as tokenizers return
        them for one text; several prompts are refused, and so are nested lists, floats and bools,
        even where they have the value of a whole number.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If there is no id, or a shape of several prompts.
    """
    if isinstance(given, np.ma.MaskedArray) or (isinstance(given, Tensor) and given.is_nested):
        kind = "nested tensor" if isinstance(given, Tensor) else "masked array"
        raise TypeError(f"token ids are a {kind}; {_ALLOWED}")
    if isinstance(given, np.ndarray | Tensor):
        return _from_values(given)
    if isinstance(given, str):
        raise TypeError("token ids are given as a text; prepare() takes texts")
    if isinstance(given, Mapping):
        raise TypeError(f"token ids are given as a {type(given).__name__}; give its 'input_ids'")
    if isinstance(given, bytes | bytearray) or not isinstance(given, Sequence):
        raise TypeError(f"token ids are of type {type(given).__name__}; {_ALLOWED}")
    if not given:
        raise ValueError(f"there are no token ids; {_ALLOWED}, with one id or more")
    return [_whole(token, place) for place, token in enumerate(given)]


def check_vocabulary(ids: Sequence[int], vocab: int) -> None:
    """Raise `ValueError` for an id that a model of `vocab` tokens does not have."""
    for place, token in enumerate(ids):
        if token != IMAGE_ID and not 0 <= token < vocab:
            raise ValueError(
                f"token id {token} at place {place} is outside the vocabulary of {vocab}: give 0 "
                f"to {vocab - 1}, or {IMAGE_ID} where a picture goes"
            )


def _from_values(given: NDArray[Any] | Tensor) -> list[int]:
    """Ids of an array or a tensor."""
    shape = tuple(given.shape)
    dtype = str(given.dtype).removeprefix("torch.")
    whole = given.dtype.kind in "iu" if isinstance(given, np.ndarray) else _is_whole(given)
    if not whole:
        raise TypeError(f"token ids are of dtype {dtype}; {_ALLOWED}")
    if len(shape) == 2 and shape[0] > 1:
        raise ValueError(
            f"token ids of shape {shape} are those of {shape[0]} prompts; prepare each on its own"
        )
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(f"token ids have the shape {shape}; {_ALLOWED}, with one id or more")
    if isinstance(given, Tensor) and (given.layout != torch.strided or given.is_meta):
        raise TypeError("token ids are a tensor that is sparse or on no device; give a plain one")
    ids: list[int] = given.reshape(-1).tolist()
    return ids


def _whole(token: object, place: int) -> int:
    """One id of a sequence."""
    single = not isinstance(token, Tensor) or (token.ndim == 0 and _is_whole(token))
    if single and not isinstance(token, bool | np.bool_):
        try:
            return index(token)  # type: ignore[arg-type]  # what has no index raises
        except TypeError:
            pass
    shown = repr(token) if isinstance(token, bool | float | str) else type(token).__name__
    raise TypeError(f"token ids have {shown} at place {place}; {_ALLOWED}")


def _is_whole(tensor: Tensor) -> bool:
    kind = tensor.dtype
    return not (kind.is_floating_point or kind.is_complex or kind == torch.bool)
