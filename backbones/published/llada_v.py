"""Calls of LLaDA-V's published generate: its options in our words, its return value."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from saccade.backbones.published.arguments import Arguments
from saccade.backbones.published.calls import Asked
from saccade.backbones.published.companions import ids_of
from saccade.controller.trace import Generation

INTERVAL = 32
"""Steps between refreshes of the published prefix cache, where a call does not say."""


class LladaCaller:
    """See `Caller`. Stops are searched by their ids, and none is added: as the published loop
    does."""

    def options(self, asked: Asked, given: Arguments) -> dict[str, Any]:
        own = _constants(asked) | {k: v for k, v in given.options.items() if v is not None}
        own = given.options | own
        mask = own["mask_id"]
        if mask in given.ids:
            raise ValueError(
                f"the prompt has the mask token {mask} at place {given.ids.index(mask)}; the "
                "published loop fills it in with the answer, and this one does not: take it out"
            )
        threshold = own.pop("threshold")
        if threshold is not None and own["factor"] is not None:
            raise TypeError("generate() got threshold and factor, which are the same: give one")
        own["factor"] = own["factor"] if threshold is None else threshold
        if own["factor"] is not None and own["prefix_refresh_interval"] is None:
            own["prefix_refresh_interval"] = INTERVAL
        suffix = own.pop("generation_suffix")
        if suffix:
            own["generation_suffix"] = _ids(suffix, "generation_suffix", given, asked.tokenizer)
        own["stopping_criteria"] = _stops(own["stopping_criteria"], given, asked.tokenizer)
        return {**own, "append_eot": False}

    def answer(self, out: Generation, asked: Asked, given: Arguments, prompt_len: int) -> Tensor:
        """Ids (1, n) int64 before the stop, and the suffix after them."""
        return torch.tensor([list(out.tokens)], dtype=torch.int64, device=asked.device)


def _constants(asked: Asked) -> dict[str, Any]:
    """Ids that stand in the published loop as numbers, whatever a tokenizer says; a vocabulary that
    does not hold them all has its own."""
    family, ids = asked.family, asked.family.published_ids
    if max(ids.values()) >= asked.spec.geometry.vocab or family.mask is None:
        return {"mask_id": asked.spec.mask_id}
    forbidden = [ids[token] for token in family.forbidden]
    return {"mask_id": ids[family.mask], "forbidden_ids": forbidden}


def _stops(given: Any, call: Arguments, own: Tokenizer | None) -> list[list[int]]:
    if given is None:
        return []
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise TypeError(
            f"stopping_criteria={given!r}; give a list of texts, such as ['<|eot_id|>'], as the "
            "published generate takes it"
        )
    return [_ids(stop, "stopping_criteria", call, own) for stop in given]


def _ids(given: Any, name: str, call: Arguments, own: Tokenizer | None) -> list[int]:
    """The ids of a text, or ids as they are."""
    if isinstance(given, str):
        return ids_of(given, name, call.tokenizer, own)
    if isinstance(given, bytes) or not isinstance(given, Sequence):
        raise TypeError(f"{name} has {given!r}; give a text, or a list of token ids")
    return [int(token) for token in given]
