"""What the answer's rows attended to in one forward: by kind, by visual token, and row by row.

Only the columns that are asked for are scored again: those of the visual tokens, and of the answer
where attention is wanted by kind; the model's own kernel tells how the rows were normalised.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.backbones.execution.kept_layers import KeptLayers, Shape
from saccade.backbones.execution.key_layout import AskedKeys, KeyLayout, KnownKeys
from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.network.decoder import Attended
from saccade.backbones.network.token_states import TokenStates, take_last
from saccade.controller.attention import row_normalizers
from saccade.controller.signals import ALL_ROWS
from saccade.controller.types import PROMPT, RESPONSE, VISUAL

GROUPS, KINDS = 2, 3
"""All rows of the answer and those still masked; prompt, visual and response."""


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
        self._kept: KeptLayers | None = None
        self._leave: weakref.finalize[..., Probe] | None = None
        self._masses: Tensor | None = None
        self._received: Tensor | None = None
        self._most: Tensor | None = None
        self._row_sums: Tensor | None = None

    def watches(self, layer: int) -> bool:
        """Whether it wants to see a layer."""
        return self.by_row or layer in self.layers

    def add(self, layer: int, rows: TokenStates, seen: Attended, layout: KeyLayout) -> None:
        """Take in a layer."""
        if layout is not self._layout or self._asked is None:
            if self._kept is not None:
                self._score_all()
            inputs = [context.inputs for context in self.contexts]
            self._layout, self._asked = layout, self._known.asked(layout, inputs, self.kinds)
        elif self._kept is not None and self._kept.full:
            self._score_all()
        if self._kept is None:
            self._kept = self._room(seen, self._asked.n)
        q, keys, normalizers = self._answer_rows(rows, seen, layout)
        self._kept.add(layer, q, self._asked.take(keys), normalizers)

    def _room(self, seen: Attended, n_keys: int) -> KeptLayers:
        """Room for layers like one, given back when nobody can ask for them any more."""
        (_, heads, _, width), key_heads = seen.q.shape, seen.keys.shape[1]
        shape = Shape(len(self.contexts), heads, key_heads, self._queries, n_keys, width)
        room = self._known.room(shape, self.n_layers, seen.q.device)
        if self.by_row:  # nobody may ask: then it is given back with the probe's end
            self._leave = weakref.finalize(self, self._known.give_back, room)
            self._leave.atexit = False
        return room

    def _answer_rows(
        self, rows: TokenStates, seen: Attended, layout: KeyLayout
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the answer's rows, all keys, and the normalizers of those rows."""
        n, (q, keys, normalizers) = len(self.contexts), (seen.q, seen.keys, seen.normalizer)
        if len(q) > n:  # with guidance there are copies, which are not measured
            q, keys = q[:n], keys[:n]
            normalizers = None if normalizers is None else normalizers[:n]
        q = last_queries(rows, q, self._queries)
        if normalizers is None:
            return q, keys, row_normalizers(q, keys, layout.mask)
        return q, keys, _last_of(rows, normalizers, self._queries)

    def result(self) -> ProbeResult:
        """What the measured layers showed; others are NaN."""
        if not self.layers:
            return ProbeResult()
        self._measure()
        if not self.by_row:  # else they wait on, until they are asked for row by row
            self._forget()
        masses, foreign = self._masses, self._foreign(range(self.n_layers))
        if foreign is not None and masses is not None:
            masses = masses.masked_fill(foreign.to(masses.device)[..., None, None], torch.nan)
        return ProbeResult(masses, self._received)

    def rows(self) -> list[Tensor]:
        """Attention (R, N) of each sequence's rows to its visual tokens, mean over heads and all
        layers; positions of the answer that were not forwarded are NaN."""
        self._sum_rows()
        self._forget()
        assert self._row_sums is not None
        out = []
        for own, context in zip(self._row_sums / self.n_layers, self.contexts, strict=True):
            seen = own[:, : context.sequence.n_visual]
            absent = seen.new_full((context.span.first, seen.shape[1]), torch.nan)
            out.append(torch.cat([absent, seen]))
        return out

    def _score_all(self) -> None:
        """Score all layers that wait: other ones follow, with other keys or too many."""
        self._measure()
        if self.by_row:
            self._sum_rows()
        self._forget()

    def _forget(self) -> None:
        """Leave the layers that waited."""
        if self._leave is not None:
            self._leave()
        elif self._kept is not None:
            self._known.give_back(self._kept)
        self._kept = None

    def _sum_rows(self) -> None:
        """Add up, row by row, the layers that wait."""
        if self._kept is not None and self._asked is not None:
            rows = self._asked.by_token(self._kept.by_row(), self.longest)
            self._row_sums = rows if self._row_sums is None else self._row_sums + rows

    def _measure(self) -> None:
        """Write down what those layers showed that wait and are measured."""
        kept, asked = self._kept, self._asked
        if kept is None or asked is None:
            return
        places = [i for i, layer in enumerate(kept.layers) if layer in self.layers]
        if not places:
            return
        masked = [own.masked.numpy()[-self._queries :] for own in self.contexts]
        sums = kept.grouped(masked, places)
        sums = asked.without_padding(sums.transpose(0, 1))
        tokens = sums[..., : asked.n_visual]
        layers, visual = [kept.layers[place] for place in places], tokens.sum(-1)
        self._write(layers, visual, sums[..., asked.n_visual :].sum(-1) if self.kinds else None)
        self._find_most(layers, visual[..., ALL_ROWS], tokens[:, :, ALL_ROWS], asked)

    def _write(self, layers: list[int], visual: Tensor, response: Tensor | None) -> None:
        """Write masses (B, layers, 2) of some layers."""
        if self._masses is None:
            shape = (len(self.contexts), self.n_layers, GROUPS, KINDS)
            self._masses = visual.new_full(shape, torch.nan)
        run = layers[-1] - layers[0] + 1 == len(layers)
        own = self._masses[:, layers[0] : layers[-1] + 1] if run else self._masses[:, layers]
        own[..., VISUAL] = visual
        if response is not None:
            own[..., RESPONSE] = response
            own[..., PROMPT] = (1 - visual - response).clamp(min=0)
        if not run:
            self._masses[:, layers] = own

    def _find_most(
        self, layers: list[int], masses: Tensor, tokens: Tensor, asked: AskedKeys
    ) -> None:
        """Keep what visual tokens (B, layers, n) received in the layer in which that is most, of
        these and of those before, by the mass (B, layers) on all of them."""
        foreign = self._foreign(layers)
        if foreign is not None:
            masses = masses.masked_fill(foreign.to(masses.device), -1.0)
        if len(layers) > 1:
            place = masses.argmax(1, keepdim=True)
            tokens = tokens.gather(1, place[..., None].expand(-1, 1, tokens.shape[2]))
            masses = masses.gather(1, place)
        received = asked.by_token(tokens, self.longest)[:, 0]
        if self._received is not None and self._most is not None:
            received = torch.where(masses > self._most, received, self._received)
            masses = torch.maximum(masses, self._most)
        self._most, self._received = masses, received

    def _foreign(self, layers: Sequence[int]) -> Tensor | None:
        """Which of these layers each sequence does not ask for, (B, layers) on the CPU; None where
        all ask for all."""
        if all(context.watched == self.layers for context in self.contexts):
            return None
        own = [[layer not in c.watched for layer in layers] for c in self.contexts]
        return torch.tensor(own)


def last_queries(rows: TokenStates, q: Tensor, n: int) -> Tensor:
    """Queries (B, H, n, d) of the last `n` rows of each sequence."""
    if rows.key_mask is None:
        return q.narrow(2, q.shape[2] - n, n)
    flat = take_last(q.transpose(1, 2).flatten(2), rows.lengths[: len(q)], n)
    heads: Tensor = flat.unflatten(2, (q.shape[1], q.shape[3]))
    return heads.transpose(1, 2)


def _last_of(rows: TokenStates, normalizers: Tensor, n: int) -> Tensor:
    """Normalizers (B, H, n) of the last `n` rows of each sequence."""
    if rows.key_mask is None:
        return normalizers.narrow(2, normalizers.shape[2] - n, n)
    return take_last(normalizers.transpose(1, 2), rows.lengths[: len(normalizers)], n).transpose(
        1, 2
    )
