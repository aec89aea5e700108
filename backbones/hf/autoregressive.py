"""A call of an autoregressive model: the prompt's pass gives the first token, then one a pass."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from saccade.backbones.hf.call import ControlledCall
from saccade.controller.types import StepState

ONE = torch.ones(1, dtype=torch.bool)
"""The one position that a step decides."""


class AutoregressiveCall(ControlledCall):
    """Every pass of the language model is a step.

    `begin` takes the arguments of the caller's generate and gives those of the model's own.
    """

    n_steps = 0
    ends: frozenset[int] = frozenset()

    def begin(self, given: dict[str, Any], config: Any) -> dict[str, Any]:
        """What generate is called with: the cache, and who sees logits and tokens.

        Parameters
        ----------
        given : dict
            As the caller gave it.
        config : GenerationConfig
            What the model makes of it.
        """
        self.n_steps = _length(config, self.sequences[0].prompt)
        ends = config.eos_token_id
        self.ends = frozenset([] if ends is None else [ends] if isinstance(ends, int) else ends)
        processors = LogitsProcessorList([_Logits(self), *(given.get("logits_processor") or ())])
        criteria = StoppingCriteriaList([*(given.get("stopping_criteria") or ()), _Tokens(self)])
        return {
            **given,
            "past_key_values": self.cache,
            "logits_processor": processors,
            "stopping_criteria": criteria,
        }

    def _enter(self, stack: ExitStack) -> None:
        super()._enter(stack)
        self._logits: Tensor | None = None

    def _before_encoder(self, args: Any, kwargs: dict[str, Any]) -> None:
        """A step begins."""
        if not self._passes:
            self._remember_inputs(kwargs)
        self._plan(
            [self._state(i) for i in range(len(self.sequences))], [ONE] * len(self.sequences)
        )
        self._passes.append((args, dict(kwargs)))
        first = len(self._passes) == 1
        for step in self.steps:
            step.refreshed = step.refreshed or first
        measured = self._measured(1)
        self.forward = self._steering(self.steps, self.cache, 1, measured)

    def _state(self, i: int) -> StepState:
        own = self.sequences[i]
        written = len(own.tokens)
        left = max(self.n_steps - written, 0)
        return StepState(written, self.n_steps, 0, 1, left, written, own.age)

    def written(self, ids: Tensor) -> None:
        """Told the tokens (B, L) after a step."""
        assert self._logits is not None
        chosen = ids[:, -1:]
        last = chosen[:, 0].tolist()
        filled: list[tuple[int, ...]] = []
        for own, token in zip(self.sequences, last, strict=True):
            filled.append((len(own.tokens),))
            if not own.done:
                own.tokens.append(token)
                self._count(own.number, 1)
        self._finish(self._logits[:, None], chosen, filled)
        for own, token in zip(self.sequences, last, strict=True):
            own.done = own.done or token in self.ends
        self._logits = None

    def shown(self, logits: Tensor) -> None:
        """Told the logits (B, V) of a step."""
        self._logits = logits.detach().clone()


class _Logits(LogitsProcessor):
    """Shows a call the logits before they are processed."""

    def __init__(self, call: AutoregressiveCall) -> None:
        self.call = call

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.call.shown(scores)
        return scores


class _Tokens(StoppingCriteria):
    """Shows a call the tokens after a step; it never stops one."""

    def __init__(self, call: AutoregressiveCall) -> None:
        self.call = call

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        self.call.written(input_ids)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _length(config: Any, prompt: int) -> int:
    """Tokens that are written at most."""
    if config.max_new_tokens is not None:
        return int(config.max_new_tokens)
    return max(int(config.max_length or 0) - prompt, 0) or DEFAULT_LENGTH


DEFAULT_LENGTH = 20
"""What transformers writes where nothing is said."""
