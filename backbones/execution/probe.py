"""What the answer's rows attended to in one forward: by kind, by visual token, and row by row.

Only the columns that are asked for are scored again: those of the visual tokens, and of the answer
where attention is wanted by kind; the model's own kernel tells how the rows were normalised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from saccade.backbones.execution.key_layout import AskedKeys, KeyLayout, KnownKeys
from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.network.decoder import Attended
from saccade.backbones.network.token_states import TokenStates, take_last
from saccade.controller.attention import attention_to, row_groups, row_normalizers
from saccade.controller.signals import ALL_ROWS
from saccade.controller.types import PROMPT, RESPONSE, VISUAL

GROUPS, KINDS = 2, 3
"""All rows of the answer and those still masked, see `row_groups`; prompt, visual and response."""


AT_ONCE = 2**21
"""Attention weights that are computed at once: layers wait until there are about as many, as one
large product is faster than several small ones."""


class _Waiting(NamedTuple):
    """A layer that waits to be scored: queries, normalizers and keys that are asked about."""

    layer: int
    q: Tensor
    normalizers: Tensor
    keys: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ProbeResult:
    """What a probe has seen of one forward.

    Attributes
    ----------
    masses : Tensor (B, n_layers, 2, 3) or None
        As in `ForwardResult`.
    received : Tensor (B, longest N) or None
        As in `ForwardResult`.
    """

    masses: Tensor | None = None
    received: Tensor | None = None


class Probe:
    """Takes in attention of the answer's rows, layer by layer.

    Parameters
    ----------
    contexts : sequence of StepContext
        Of the forward.
    n_layers : int
    probed : frozenset of int
        Layers whose attention is measured.
    kinds : bool
        Whether attention to prompt and response is measured, too, and not that to the picture
        alone.
    by_row : bool
        Whether attention is added up row by row, over all layers.
    known : dict
        Where keys that were asked about are looked up: it lives as long as the call.
    """

    def __init__(
        self,
        contexts: Sequence[StepContext],
        n_layers: int,
        probed: frozenset[int],
        kinds: bool,
        by_row: bool,
        known: KnownKeys,
    ) -> None:
        self.contexts, self.n_layers, self.probed = contexts, n_layers, probed
        self.kinds, self._known = kinds, known
        self.longest = max(context.sequence.n_visual for context in contexts)
        self._layout: KeyLayout | None = None
        self._asked: AskedKeys | None = None
        self._waiting: list[_Waiting] = []
        self._masses: Tensor | None = None
        self._tokens: Tensor | None = None
        self._by_row: Tensor | None = None
        self._sums_rows = by_row
        self._groups: Tensor | None = None

    def watches(self, layer: int) -> bool:
        """Whether it wants to see a layer."""
        return self._sums_rows or layer in self.probed

    def add(self, layer: int, rows: TokenStates, seen: Attended, layout: KeyLayout) -> None:
        """Take in a layer."""
        if layout is not self._layout or self._asked is None:
            self._score()
            inputs = [context.inputs for context in self.contexts]
            self._layout, self._asked = layout, self._known.asked(layout, inputs, self.kinds)
        n, queries = len(self.contexts), self.contexts[0].span.queries
        q, keys = last_queries(rows, seen.q[:n], queries), seen.keys[:n]
        if seen.normalizer is None:
            normalizers = row_normalizers(q, keys, layout.mask)
        else:
            normalizers = _last_of(rows, seen.normalizer[:n], queries)
        self._waiting.append(_Waiting(layer, q, normalizers, self._asked.take(keys)))
        each = normalizers.numel() * self._waiting[-1].keys.shape[2]
        if each * (len(self._waiting) + 1) > AT_ONCE:
            self._score()

    def result(self) -> ProbeResult:
        """What the probed layers showed; layers that were not probed are NaN."""
        self._score()
        if self._masses is None or self._tokens is None:
            return ProbeResult()
        spike = self._masses[:, :, ALL_ROWS, VISUAL].nan_to_num(-1.0).argmax(dim=1)
        every = torch.arange(len(spike), device=spike.device)
        return ProbeResult(self._masses, self._tokens[every, spike])

    def by_row(self) -> list[Tensor]:
        """Attention (R, N) of each sequence's rows to its visual tokens, mean over heads and all
        layers; positions of the answer that were not forwarded are NaN. Empty if nothing was
        added up."""
        self._score()
        if self._by_row is None:
            return []
        out = []
        for own, context in zip(self._by_row / self.n_layers, self.contexts, strict=True):
            seen = own[:, : context.sequence.n_visual]
            absent = seen.new_full((context.span.first, seen.shape[1]), torch.nan)
            out.append(torch.cat([absent, seen]))
        return out

    def _score(self) -> None:
        """Score the layers that wait, which have the same keys."""
        if not self._waiting or self._asked is None:
            return
        layers, q, normalizers, keys = zip(*self._waiting, strict=True)
        self._waiting = []
        weights = attention_to(torch.cat(q), torch.cat(keys), torch.cat(normalizers))
        weights = weights.unflatten(0, (len(layers), -1))  # (layers, B, H, Q, keys)
        if self._sums_rows:
            rows = self._asked.by_token(weights.sum(dim=(0, 2)), self.longest)
            rows = rows / weights.shape[2]
            self._by_row = rows if self._by_row is None else self._by_row + rows
        probed = [i for i, layer in enumerate(layers) if layer in self.probed]
        if probed:
            some = weights if len(probed) == len(layers) else weights[probed]
            self._add_up([layers[i] for i in probed], some, self._asked)

    def _add_up(self, layers: list[int], weights: Tensor, asked: AskedKeys) -> None:
        """Write the masses of some layers, and what their visual tokens received."""
        n, batch, heads, queries, n_keys = weights.shape
        if self._masses is None or self._tokens is None:
            shape = (batch, self.n_layers, GROUPS, KINDS)
            self._masses = weights.new_full(shape, torch.nan)
            self._tokens = weights.new_zeros(batch, self.n_layers, self.longest)
        groups = self._group_weights(heads, queries, weights.device).expand(n, -1, -1, -1)
        sums = groups.flatten(0, 1) @ weights.view(n * batch, heads * queries, n_keys)
        sums = asked.without_padding(sums.unflatten(0, (n, batch)).transpose(0, 1))
        visual = sums[..., : asked.n_visual].sum(-1)
        self._masses[:, layers, :, VISUAL] = visual
        if self.kinds:
            response = sums[..., asked.n_visual :].sum(-1)
            self._masses[:, layers, :, RESPONSE] = response
            self._masses[:, layers, :, PROMPT] = (1 - visual - response).clamp(min=0)
        self._tokens[:, layers] = asked.by_token(sums[:, :, ALL_ROWS], self.longest)

    def _group_weights(self, heads: int, queries: int, device: torch.device) -> Tensor:
        """Weight of each head's rows (B, 2, H Q) in the groups."""
        if self._groups is None:
            masked = torch.stack([context.masked[-queries:] for context in self.contexts])
            self._groups = (row_groups(masked) / heads).repeat(1, 1, heads).to(device)
        return self._groups


def last_queries(rows: TokenStates, q: Tensor, n: int) -> Tensor:
    """Queries (B, H, n, d) of the last `n` rows of each sequence."""
    if rows.key_mask is None:
        return q[:, :, -n:]
    flat = take_last(q.transpose(1, 2).flatten(2), rows.lengths[: len(q)], n)
    heads: Tensor = flat.unflatten(2, (q.shape[1], q.shape[3]))
    return heads.transpose(1, 2)


def _last_of(rows: TokenStates, normalizers: Tensor, n: int) -> Tensor:
    """Normalizers (B, H, n) of the last `n` rows of each sequence."""
    if rows.key_mask is None:
        return normalizers[:, :, -n:]
    return take_last(normalizers.transpose(1, 2), rows.lengths[: len(normalizers)], n).transpose(
        1, 2
    )
