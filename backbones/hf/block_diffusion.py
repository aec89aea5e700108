"""A call of DiffusionGemma: the prompt runs once, canvases of an answer are denoised against it."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from saccade.backbones.decoding.rules import sure_positions
from saccade.backbones.hf.call import ControlledCall
from saccade.backbones.hf.steering import Resting
from saccade.controller.types import StepState


class BlockDiffusionCall(ControlledCall):
    """Every pass of the decoder is a step; the plan of the first governs the prompt's pass too.

    A position counts as masked while the sampler has not accepted its token in the step before.
    """

    n_steps = n_blocks = 0
    ends: Tensor = torch.zeros(0, dtype=torch.int64)

    def begin(self, given: dict[str, Any], config: Any) -> dict[str, Any]:
        """As `AutoregressiveCall.begin`."""
        new = config.max_new_tokens
        if config.max_length and new == PLAIN_LENGTH:  # as its own generate decides
            new = config.max_length - self.sequences[0].prompt
        self.n_blocks = -(-int(new) // self.canvas)
        self.n_steps = int(config.max_denoising_steps) * self.n_blocks
        ends = config.eos_token_id
        self.ends = torch.tensor([] if ends is None else ends, dtype=torch.int64).flatten()
        criteria = StoppingCriteriaList([*(given.get("stopping_criteria") or ()), _Canvases(self)])
        processors = given.get("logits_processor")
        return {
            **given,
            "past_key_values": self.cache,
            "logits_processor": None if processors is None else type(processors)(processors),
            "stopping_criteria": criteria,
        }

    def _enter(self, stack: ExitStack) -> None:
        super()._enter(stack)
        self.canvas: int = self.model.config.canvas_length
        self._hook(stack, self.decoder, self._before_decoder)
        self._block, self._step = -1, 0
        self._planned = self._conditioned = False
        self._open = torch.ones(len(self.sequences), self.canvas, dtype=torch.bool)
        self._still: list[bool] = [False] * len(self.sequences)
        self._begun: list[list[int]] = [[] for _ in self.sequences]
        for name, make in (
            ("_prepare_sampler", self._sampler),
            ("_prepare_diffusion_stopping_criteria", self._stopping),
        ):
            own = getattr(self.model, name)
            vars(self.model)[name] = _made(self, own, make)
            stack.callback(vars(self.model).pop, name, None)

    # Passes.

    def _before_encoder(self, args: Any, kwargs: dict[str, Any]) -> None:
        """The prompt is computed, or a finished canvas joins it."""
        self._block += 1
        self._open = torch.ones_like(self._open)
        self._still = [False] * len(self.sequences)
        self._begun = [list(own.tokens) for own in self.sequences]
        first = not self._passes
        if first:
            self._remember_inputs(kwargs)
            self._plan_step()
            self.forward = self._steering(self.steps, self.cache, self._prompt_rows, None)
        else:
            self.forward = Resting()
        self._passes.append((args, dict(kwargs)))
        self._uncounted = True
        for step in self.steps if first else ():
            step.refreshed = True

    def _before_decoder(self, args: Any, kwargs: dict[str, Any]) -> None:
        """A step begins."""
        if self._uncounted:
            for own in self.sequences:
                self._count(own.number, 0)
            self._uncounted = False
        if not self._planned:
            self._plan_step()
        self._conditioned = kwargs.get("self_conditioning_logits") is not None
        measured = self._measured(self.canvas)
        self.forward = self._steering(self.steps, self.cache, self.canvas, measured)

    def _plan_step(self) -> None:
        quiet = [own for own in self.sequences if self._still[own.number]]
        finished = [own.done for own in quiet]
        for own in quiet:
            own.done = True
        self._plan([self._state(i) for i in range(len(self.sequences))], list(self._open))
        for own, done in zip(quiet, finished, strict=True):
            own.done = done
        self._planned = True

    def _state(self, i: int) -> StepState:
        left = int(self._open[i].sum())
        age = self.sequences[i].age
        block = max(self._block, 0)
        done = self.canvas - left
        return StepState(self._step, self.n_steps, block, self.n_blocks, left, done, age)

    # What the sampler does.

    def _sampler(self, sampler: Any) -> Any:
        return _Sampler(self, sampler)

    def _stopping(self, criteria: Any) -> Any:
        return None if criteria is None else _Stopping(self, criteria)

    def accepted(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Told which positions (B, R) the sampler accepts of the logits (B, R, V); gives those that
        are accepted under the plans."""
        confidence, best = logits.float().softmax(-1).max(-1)
        accepted = mask.clone()
        for i, step in enumerate(self.steps):
            rule = step.plan.commit
            if rule is not None and not self._still[i]:
                values = confidence[i].double().cpu()
                sure = sure_positions(rule, values, torch.ones(self.canvas, dtype=torch.bool))
                accepted[i] |= sure.to(accepted.device)
        self._end_step(logits, best, accepted.cpu())
        return accepted

    def _end_step(self, logits: Tensor, best: Tensor, accepted: Tensor) -> None:
        first = max(self._block, 0) * self.canvas
        filled = []
        quiet = [own for own in self.sequences if self._still[own.number] and not own.done]
        for own, taken in zip(self.sequences, accepted, strict=True):
            filled.append(tuple((taken.nonzero()[:, 0] + first).tolist()))
            if not own.done and not self._still[own.number]:
                own.tokens = self._begun[own.number] + best[own.number].tolist()
                self._count(own.number, self.canvas, self._conditioning)
        for own in quiet:
            own.done = True
        self._finish(logits, best, filled, new_block=bool(self._open.all()))
        for own in quiet:
            own.done = False
        self._open, self._planned, self._step = ~accepted, False, self._step + 1

    @property
    def _conditioning(self) -> int:
        """Multiply-accumulates of what the logits of the step before are turned into."""
        geometry = self.spec.geometry
        mlp = self.decoder.self_conditioning
        width: int = mlp.gate_proj.out_features  # type: ignore[union-attr,assignment]
        soft = geometry.vocab if self._conditioned else 0
        return self.canvas * geometry.hidden * (soft + 3 * width)

    def stopped(self, finished: Tensor) -> None:
        """Told which sequences (B,) have a canvas that stays as it is."""
        self._still = [a or b for a, b in zip(self._still, finished.tolist(), strict=True)]

    def ended(self, ids: Tensor) -> None:
        """Told the tokens (B, L) after a canvas is finished."""
        last = ids[:, -self.canvas :].cpu()
        for own, row in zip(self.sequences, last, strict=True):
            if own.done:
                continue
            own.tokens = self._begun[own.number] + row.tolist()
            own.done = bool(torch.isin(row, self.ends).any())


PLAIN_LENGTH = 256
"""New tokens where nothing is said, over which DiffusionGemma lets ``max_length`` decide."""


class _Sampler:
    """A sampler that lets a call see and widen what it accepts."""

    def __init__(self, call: BlockDiffusionCall, inner: Any) -> None:
        self._call, self._inner = call, inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def accept_canvas(
        self, current_canvas: Tensor, denoiser_canvas: Tensor, logits: Tensor, cur_step: Any
    ) -> Tensor:
        own: Tensor = self._inner.accept_canvas(current_canvas, denoiser_canvas, logits, cur_step)
        mask: Tensor = self._inner.accepted_token_mask
        accepted = self._call.accepted(logits, mask)
        self._inner.accepted_token_mask = accepted  # the others are drawn anew
        return torch.where(accepted & ~mask, denoiser_canvas, own)


class _Stopping:
    """Criteria for the end of a canvas that let a call see what they say."""

    def __init__(self, call: BlockDiffusionCall, inner: Any) -> None:
        self._call, self._inner = call, inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, argmax_canvas: Tensor, logits: Tensor, **kwargs: Any) -> Tensor:
        finished: Tensor = self._inner(argmax_canvas, logits, **kwargs)
        self._call.stopped(finished)
        return finished


class _Canvases(StoppingCriteria):
    """Shows a call the tokens after each canvas; it never stops one."""

    def __init__(self, call: BlockDiffusionCall) -> None:
        self.call = call

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        self.call.ended(input_ids)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _made(call: BlockDiffusionCall, own: Any, make: Any) -> Any:
    """What makes a part of a call of this thread, and leaves that of others as it is."""

    def prepare(*args: Any, **kwargs: Any) -> Any:
        part = own(*args, **kwargs)
        return make(part) if call.here else part

    return prepare
