"""What the answer's rows attended to in one forward: by kind, by visual token, and row by row.

Only the columns that are asked for are scored again: those of the visual tokens, and of the answer
where attention is wanted by kind; the model's own kernel tells how the rows were normalised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
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


AT_ONCE = 2**23
"""Attention weights that may wait at once (32 MiB when they are computed): one large product is
faster than several small ones, and what nobody asks for is never computed."""


class _Waiting(NamedTuple):
    """A layer that waits to be scored: its rows, and what attention worked with."""

    layer: int
    rows: TokenStates
    seen: Attended


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
    """Takes in attention of the answer's rows, layer by layer, and scores it when it is asked.

    Parameters
    ----------
    contexts : sequence of StepContext
        Of the forward; they say which layers are measured.
    n_layers : int
    kinds : bool
        Whether attention to prompt and response is measured, too, and not that to the picture
        alone.
    by_row : bool
        Whether attention of all layers may be asked for row by row.
    known : KnownKeys
        Keys that were asked about in this call.
    """

    def __init__(
        self,
        contexts: Sequence[StepContext],
        n_layers: int,
        kinds: bool,
        by_row: bool,
        known: KnownKeys,
    ) -> None:
        self.contexts, self.n_layers = contexts, n_layers
        self.kinds, self.by_row, self._known = kinds, by_row, known
        self.layers = frozenset[int]().union(*(context.watched for context in contexts))
        self.longest = max(context.sequence.n_visual for context in contexts)
        self._queries = contexts[0].span.queries
        self._layout: KeyLayout | None = None
        self._asked: AskedKeys | None = None
        self._waiting: list[_Waiting] = []
        self._masses: Tensor | None = None
        self._tokens: Tensor | None = None
        self._row_sums: Tensor | None = None
        self._groups: Tensor | None = None

    def watches(self, layer: int) -> bool:
        """Whether it wants to see a layer."""
        return self.by_row or layer in self.layers

    def add(self, layer: int, rows: TokenStates, seen: Attended, layout: KeyLayout) -> None:
        """Take in a layer."""
        if layout is not self._layout or self._asked is None:
            self._score_all()
            inputs = [context.inputs for context in self.contexts]
            self._layout, self._asked = layout, self._known.asked(layout, inputs, self.kinds)
        self._waiting.append(_Waiting(layer, rows, seen))
        each = len(self.contexts) * seen.q.shape[1] * self._queries * self._asked.n
        if each * (len(self._waiting) + 1) > AT_ONCE:
            self._score_all()

    def result(self) -> ProbeResult:
        """What the measured layers showed; others are NaN."""
        if not self.layers:
            return ProbeResult()
        if self._masses is not None or not self.by_row:
            self._score_all()
        else:  # the others wait on, until they are asked for row by row
            self._measure([own for own in self._waiting if own.layer in self.layers])
        assert self._masses is not None and self._tokens is not None
        masses = self._masses
        if any(context.watched != self.layers for context in self.contexts):
            masses = self._own_layers(masses)
        spike = masses[:, :, ALL_ROWS, VISUAL].nan_to_num(-1.0).argmax(dim=1)
        every = torch.arange(len(spike), device=spike.device)
        return ProbeResult(masses, self._tokens[every, spike])

    def _own_layers(self, masses: Tensor) -> Tensor:
        """Masses in which a sequence's layers are NaN that others have measured for themselves."""
        foreign = torch.ones(masses.shape[:2], dtype=torch.bool)
        for own, context in zip(foreign, self.contexts, strict=True):
            own[list(context.watched)] = False
        return masses.masked_fill(foreign.to(masses.device)[..., None, None], torch.nan)

    def rows(self) -> list[Tensor]:
        """Attention (R, N) of each sequence's rows to its visual tokens, mean over heads and all
        layers; positions of the answer that were not forwarded are NaN."""
        self._sum_rows(self._waiting)
        self._waiting = []
        assert self._row_sums is not None
        out = []
        for own, context in zip(self._row_sums / self.n_layers, self.contexts, strict=True):
            seen = own[:, : context.sequence.n_visual]
            absent = seen.new_full((context.span.first, seen.shape[1]), torch.nan)
            out.append(torch.cat([absent, seen]))
        return out

    def _score_all(self) -> None:
        """Score all layers that wait: other ones follow, with other keys or too many."""
        waiting, self._waiting = self._waiting, []
        self._measure([own for own in waiting if own.layer in self.layers])
        if self.by_row:
            self._sum_rows(waiting)

    def _weights(self, waiting: Sequence[_Waiting], asked: AskedKeys) -> Tensor:
        """Attention (layers, B, H, Q, keys) of some layers with the same keys."""
        parts = [self._asked_part(own, asked) for own in waiting]
        q, keys, normalizers = parts[0]
        if len(parts) > 1:
            q, keys, normalizers = (torch.cat(part) for part in zip(*parts, strict=True))
        out: Tensor = attention_to(q, keys, normalizers).unflatten(0, (len(waiting), -1))
        return out

    def _asked_part(self, own: _Waiting, asked: AskedKeys) -> tuple[Tensor, Tensor, Tensor]:
        """The answer's queries of a layer, keys that are asked about, and normalizers."""
        n, (_, rows, seen) = len(self.contexts), own  # with guidance, copies are not measured
        q, every = last_queries(rows, seen.q[:n], self._queries), seen.keys[:n]
        if seen.normalizer is not None:
            normalizers = _last_of(rows, seen.normalizer[:n], self._queries)
        else:
            normalizers = row_normalizers(
                q, every, None if self._layout is None else self._layout.mask
            )
        return q, asked.take(every), normalizers

    def _sum_rows(self, waiting: Sequence[_Waiting]) -> None:
        if waiting and self._asked is not None:
            weights = self._weights(waiting, self._asked)
            summed = weights.sum(0).sum(1)  # one after the other is much faster than both at once
            rows = self._asked.by_token(summed / weights.shape[2], self.longest)
            self._row_sums = rows if self._row_sums is None else self._row_sums + rows

    def _measure(self, waiting: Sequence[_Waiting]) -> None:
        if waiting and self._asked is not None:
            layers = [own.layer for own in waiting]
            self._add_up(layers, self._weights(waiting, self._asked), self._asked)

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
        where: slice | list[int] = layers
        if layers[-1] - layers[0] + 1 == n:
            where = slice(layers[0], layers[-1] + 1)
        self._masses[:, where, :, VISUAL] = visual
        if self.kinds:
            response = sums[..., asked.n_visual :].sum(-1)
            self._masses[:, where, :, RESPONSE] = response
            self._masses[:, where, :, PROMPT] = (1 - visual - response).clamp(min=0)
        self._tokens[:, where] = asked.by_token(sums[:, :, ALL_ROWS], self.longest)

    def _group_weights(self, heads: int, queries: int, device: torch.device) -> Tensor:
        """Weight of each head's rows (B, 2, H Q) in the groups: all, and those still masked."""
        if self._groups is None:
            masked = [context.masked[-queries:].numpy() for context in self.contexts]
            groups = row_groups(np.stack(masked)) / heads
            self._groups = torch.from_numpy(np.tile(groups, (1, 1, heads))).to(device)
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
