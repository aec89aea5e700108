"""The naive way: all rows of all layers, in float64, with what plans take hidden by masks.

A controlled run is recorded at the door of the language model; its passes are run again by a copy
of the model that knows nothing of caches with holes or of left-out rows.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, DynamicCache
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

Lost = Callable[[int], Sequence[Tensor]]
"""Positions that nobody reads in a layer, of every sequence."""
_lost: list[Lost] = []


def _attend(
    module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(-1, -2) * scaling
    total = _total[0] if module.is_causal else _total[0] + q.shape[2]
    first = total - k.shape[2]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    elif module.is_causal:
        rows = torch.arange(total - q.shape[2], total)
        later = torch.arange(first, total) > rows[:, None]
        scores = scores.masked_fill(later, -torch.inf)
    for i, gone in enumerate(_lost[-1](module.layer_idx)):
        scores[i, :, :, gone[gone >= first] - first] = -torch.inf
    weights = scores.softmax(-1).nan_to_num()
    return (weights @ v).transpose(1, 2).contiguous(), None


_total = [0]
"""Positions of the sequence behind the rows that write the cache."""
AttentionInterface.register("dense_oracle", _attend)
AttentionMaskInterface.register(
    "dense_oracle", lambda *a, **k: sdpa_mask(*a, **{**k, "allow_is_causal_skip": False})
)


class Passes:
    """What entered some modules, pass by pass: (number of the module, keyword arguments)."""

    def __init__(self, *modules: nn.Module) -> None:
        self.modules, self.seen = modules, list[tuple[int, dict[str, Any]]]()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        def hook(number: int) -> Callable[..., None]:
            def keep(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
                self.seen.append((number, {k: v for k, v in kwargs.items() if v is not None}))

            return keep

        handles = [
            module.register_forward_pre_hook(hook(number), with_kwargs=True)
            for number, module in enumerate(self.modules)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class Dense:
    """A copy of a model in float64, dense, that hides what it is told to hide.

    `layers` are paths of the piles whose visual rows may skip layers.
    """

    def __init__(self, model: Any) -> None:
        self.model = copy.deepcopy(model).double()
        for module in self.model.modules():
            if hasattr(module, "q_proj") and hasattr(module, "layer_idx"):
                module.config._attn_implementation = "dense_oracle"
            if type(module).__name__.endswith("Experts"):
                module.config._experts_implementation = "eager"  # others know no float64
        self.cache = DynamicCache(config=self.model.config.get_text_config())

    @torch.no_grad()
    def run(
        self,
        module: nn.Module,
        kwargs: dict[str, Any],
        lost: Lost,
        skipped: dict[int, Sequence[Tensor]] | None = None,
    ) -> Tensor:
        """Last hidden states of a pass, in which rows at positions `skipped` (by layer, of every
        sequence) leave a layer as they entered it."""
        own = {name: _double(value) for name, value in kwargs.items()}
        own["past_key_values"] = self.cache
        rows = own.get("inputs_embeds")
        before = self.cache.get_seq_length()
        _total[0] = before + (0 if rows is None else rows.shape[1])
        handles = [
            layer.register_forward_hook(_put_back((skipped or {}).get(i), before))
            for i, layer in enumerate(module.layers)
        ]
        _lost.append(lost)
        try:
            out: Tensor = module(**own).last_hidden_state
        finally:
            _lost.pop()
            for handle in handles:
                handle.remove()
        return out


def _put_back(skipped: Sequence[Tensor] | None, before: int) -> Callable[..., Any]:
    def hook(_: nn.Module, args: Any, output: Any) -> Any:
        if skipped is None:
            return None
        made = (output[0] if isinstance(output, tuple) else output).clone()
        for i, positions in enumerate(skipped):
            made[i, positions - before] = args[0][i, positions - before]
        return (made, *output[1:]) if isinstance(output, tuple) else made

    return hook


def _double(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _double(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_double, value))
    floats = isinstance(value, Tensor) and value.is_floating_point()
    return value.double() if floats else value
