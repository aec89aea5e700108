"""Calls of LaViDa-Dream's published generate: its options in our words, its return value."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.backbones.published.arguments import Arguments
from saccade.backbones.published.calls import Asked
from saccade.controller.trace import Generation

OUTPUT = "DreamModelOutput"
"""The published class of what generate returns."""
TOP_K = 50
"""Comes with the config of every model under the transformers that LaViDa is pinned to."""


@dataclass(slots=True)
class Output:
    """Stands for the published class of return values where that cannot be found.

    Attributes
    ----------
    sequences : Tensor (1, n) int64
    history : list of Tensor (1, n), or None
        After every step.
    """

    sequences: Tensor
    history: list[Tensor] | None = None

    def __getitem__(self, key: int | str) -> Any:
        named = {"sequences": self.sequences, "history": self.history}
        there = {name: value for name, value in named.items() if value is not None}
        return there[key] if isinstance(key, str) else list(there.values())[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["sequences"] if self.history is None else ["sequences", "history"])


class LavidaCaller:
    """See `Caller`. Nothing ends an answer early: as the published loop does."""

    def options(self, asked: Asked, given: Arguments) -> dict[str, Any]:
        own = dict(given.options)
        own.pop("output_history")
        own["mask_id"] = own.pop("mask_token_id")
        if own["mask_id"] is None:
            own["mask_id"] = asked.spec.mask_id
        if "top_k" not in given.named:
            own["top_k"] = asked.config.get("top_k", TOP_K)
        own["alg_temp"] = own["alg_temp"] or 0.0
        shift = _shift(own.pop("schedule_kwargs"), own.pop("schedule__shift"))
        if own["alg"] == "origin":  # commits by chance, whatever the schedule
            own["schedule"] = None
        if shift is not None:
            own["shift"] = shift
        return {**own, "append_eot": False}

    def answer(self, out: Generation, asked: Asked, given: Arguments, prompt_len: int) -> Any:
        """An object with `sequences`: the answer (1, L), in full mode after `prompt_len` zeros; and
        with `history`, where it was asked for."""
        before = [0] * (0 if given.options["prefix_lm"] else prompt_len)

        def row(tokens: Sequence[int]) -> Tensor:
            return torch.tensor([[*before, *tokens]], dtype=torch.int64, device=asked.device)

        history = None
        if given.options["output_history"]:
            steps = [step.tokens for step in out.trace] or [out.tokens]
            steps += [steps[-1]] * (_published_steps(given.options) - len(steps))
            history = [row(tokens) for tokens in steps]
        return _output(asked.classes)(sequences=row(out.tokens), history=history)


def _shift(given: Any, single: Any) -> Any:
    """The shift of a schedule, as a mapping or on its own."""
    if given is None:
        return single
    if not isinstance(given, Mapping) or given.keys() - {"shift"}:
        raise TypeError(f"schedule_kwargs={given!r}; give {{'shift': a number}}, or leave it out")
    shift = given.get("shift")
    if single is not None and shift not in (None, single):
        raise TypeError(
            f"generate() got schedule__shift={single!r} and schedule_kwargs={given!r}: give one"
        )
    return single if shift is None else shift


def _published_steps(options: Mapping[str, Any]) -> int:
    """Steps of the published loop, which goes on where nothing is left to do."""
    length, ratio = options["max_new_tokens"], options["step_ratio"]
    return min(options["steps"], length) if ratio is None else int(length * ratio)


def _output(classes: Sequence[type]) -> Any:
    """The published class of return values: it stands beside one of the object's classes."""
    modules = (sys.modules.get(c.__module__) for c in classes)
    found = (getattr(module, OUTPUT, None) for module in modules)
    return next((kind for kind in found if isinstance(kind, type)), Output)
