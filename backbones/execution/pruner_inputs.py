"""What a pruner asks to see of a forward: kept in one layer, shown before the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.execution.key_layout import KeyLayout
from saccade.backbones.execution.probe import last_queries
from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.decoder import Attended
from saccade.backbones.network.network import Network
from saccade.backbones.network.places import Places, among
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.attention import attention_received, row_attention
from saccade.controller.session import Shown
from saccade.controller.view_fields import EXTRAS, MEASURED, VIEW_FIELDS, Tokens
from saccade.controller.views import VisualView


class PrunerInputs:
    """Keeps what the needs of a pruner name while a forward runs, and shows it in views.

    Parameters
    ----------
    needs : frozenset of str
    contexts : sequence of StepContext
        Of the forward.
    network : Network
        For what only it can compute.
    """

    def __init__(
        self, needs: frozenset[str], contexts: Sequence[StepContext], network: Network
    ) -> None:
        self.needs, self.contexts, self.network = needs, contexts, network
        self.measures = bool(needs & MEASURED)
        self.entered: TokenStates | None = None
        self.layer: _Layer | None = None

    def enter(self, rows: TokenStates) -> None:
        """See the rows that enter the stack, if the answer's are asked for."""
        if "answer" in self.needs:
            self.entered = rows

    def keep(self, rows: TokenStates, seen: Attended, layout: KeyLayout) -> None:
        """Keep a layer's queries and keys, to measure what is asked."""
        n = len(self.contexts)
        self.layer = _Layer(rows, seen.q[:n], seen.keys[:n], layout, {})

    def view(
        self, i: int, layer: int, present: Places, rows: TokenStates, before: Mapping[str, Shown]
    ) -> VisualView:
        """The view of sequence `i`'s visual tokens numbered `present`, among the rows entering a
        layer; `before` is what its session kept of the step before."""
        source = _Source(self, i, layer, present, rows, before)
        made = {
            name: field.make(source)
            for name in sorted(self.needs)
            if (field := VIEW_FIELDS[name]).make is not None
        }
        context, running = self.contexts[i], "tower:run" in self.needs
        inputs = context.inputs
        embeds = inputs.embeds if running else inputs.whole()
        places = inputs.visual_positions[present]
        return VisualView(
            features=embeds[torch.from_numpy(places).to(embeds.device)].detach().clone(),
            centers=inputs.centers[torch.from_numpy(present)],
            images=inputs.images[places].long(),
            attention={
                name.removeprefix("attention:"): values
                for name, values in made.items()
                if name not in EXTRAS
            },
            extras={name: values for name, values in made.items() if name in EXTRAS},
            tower=inputs.tower if running else None,
            step=context.state.step,
            layer=layer,
            seed=context.sequence.seed,
        )

    def received(self, rows: str, mean_logits: bool) -> Tensor:
        """Attention received in the layer that was kept, of all sequences at their original
        positions (B, longest length)."""
        assert self.layer is not None
        if (rows, mean_logits) not in self.layer.received:
            self.layer.received[rows, mean_logits] = self._receive(self.layer, rows, mean_logits)
        return self.layer.received[rows, mean_logits]

    def _receive(self, layer: "_Layer", who: str, mean_logits: bool) -> Tensor:
        q, rows, asking = layer.q, layer.rows, None
        if who == "response":
            q = last_queries(rows, q, self.contexts[0].span.queries)
        elif who == "last":
            q = last_queries(rows, q, 1)
        elif who == "instruction":
            q = _instruction(rows, q, [context.inputs for context in self.contexts])
        elif rows.key_mask is not None:
            asking = rows.key_mask[: len(q)]
        values = attention_received(q, layer.k, layer.layout.mask, asking, mean_logits)
        return layer.layout.scattered(values)

    def final(self, i: int, ran: TokenStates) -> Tensor:
        """States (N, D) of the visual tokens behind the last layer and the final norm; NaN where
        they did not reach it."""
        visual = self.contexts[i].inputs.visual_positions
        there = among(visual, ran.alive[i])
        hidden = _rows_at(ran, i, visual[there])
        out = hidden.new_full((len(visual), hidden.shape[-1]), torch.nan)
        out[torch.from_numpy(there).to(out.device)] = self.network.model.norm(hidden)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What was kept of a layer: its rows, their queries, all keys, and what was received."""

    rows: TokenStates
    q: Tensor
    k: Tensor
    layout: KeyLayout
    received: dict[tuple[str, bool], Tensor]


class _Source:
    """Shows one sequence where tokens are about to go; see `ViewSource`."""

    def __init__(
        self,
        kept: PrunerInputs,
        i: int,
        layer: int,
        present: Places,
        rows: TokenStates,
        before: Mapping[str, Shown],
    ) -> None:
        self.kept, self.i, self.layer, self.rows = kept, i, layer, rows
        self.present, self._before = present, before
        self.context = kept.contexts[i]

    def _positions(self, tokens: Tokens) -> Places:
        inputs = self.context.inputs
        if tokens == "answer":
            return np.arange(self.context.response) + len(inputs)
        visual = inputs.visual_positions
        if tokens == "visual":
            return visual[self.present]
        return np.arange(int(visual[-1]) + 1 if len(visual) else 0, len(inputs))

    def embeds(self, tokens: Tokens) -> Tensor:
        positions = self._positions(tokens)
        if tokens == "answer":
            entered = self.kept.entered
            assert entered is not None
            there = positions[among(positions, entered.alive[self.i])]
            return _rows_at(entered, self.i, there)
        embeds = self.context.inputs.embeds
        return embeds[torch.from_numpy(positions).to(embeds.device)].clone()

    def received(self, rows: str, mean_logits: bool) -> Tensor:
        values = self.kept.received(rows, mean_logits)[self.i]
        return values[torch.from_numpy(self._positions("visual")).to(values.device)]

    def received_ahead(self) -> Tensor:
        rows, i, network = self.rows, self.i, self.kept.network
        one = TokenStates(
            rows.hidden[i : i + 1],
            rows.positions[i : i + 1],
            None if rows.key_mask is None else rows.key_mask[i : i + 1],
            rows.alive[i : i + 1],
        )
        q, k = network.queries_keys(self.layer, one)
        layout = KeyLayout.of_rows(one, 1)
        q = _instruction(one, q, [self.context.inputs])
        values = layout.scattered(attention_received(q, k, layout.mask))[0]
        return values[torch.from_numpy(self._positions("visual")).to(values.device)]

    def weights(self, tokens: Tokens) -> Tensor:
        layer, i = self._kept_layer(), self.i
        asking = np.flatnonzero(among(layer.rows.alive[i], self._positions(tokens)))
        q = layer.q[i : i + 1, :, torch.from_numpy(asking).to(layer.q.device)]
        mask = None if layer.layout.mask is None else layer.layout.mask[i : i + 1]
        weights = row_attention(q, layer.k[i : i + 1], mask).mean(dim=1)[0]
        return weights[:, self._columns("visual")]

    def keys(self, tokens: Tokens) -> Tensor:
        keys = self._kept_layer().k[self.i][:, self._columns(tokens)]
        return keys.transpose(0, 1).flatten(1).clone()

    def entering(self, tokens: Tokens, normed: bool) -> Tensor:
        hidden = _rows_at(self.rows, self.i, self._positions(tokens))
        if not normed:
            return hidden
        out: Tensor = self.kept.network.model.norm(hidden)
        return out

    def before(self, name: str) -> Tensor:
        """Nothing was seen before the first step: all is NaN, and the method says what to do."""
        show, among = self._before.get(name), torch.from_numpy(self.present)
        by_row = VIEW_FIELDS[name].shape[0] == "R"
        if show is None:
            n, width = len(self.present), self.rows.hidden.shape[-1]
            return torch.full((len(self.context.masked), n) if by_row else (n, width), torch.nan)
        seen = show()
        among = among.to(seen.device)
        return seen[:, among].clone() if by_row else seen[among].clone()

    def masked(self) -> Tensor:
        return self.context.masked.clone()

    def tower(self, name: str) -> Tensor:
        tower = self.context.inputs.tower
        assert tower is not None
        return tower.seen(name)[torch.from_numpy(self.present)].clone()

    def _kept_layer(self) -> _Layer:
        assert self.kept.layer is not None
        return self.kept.layer

    def _columns(self, tokens: Tokens) -> Tensor:
        """Columns of these rows' keys in the layer that was kept."""
        layer = self._kept_layer()
        places = np.searchsorted(layer.layout.places[self.i], self._positions(tokens))
        return torch.from_numpy(layer.layout.starts[self.i] + places).to(layer.k.device)


def _rows_at(rows: TokenStates, i: int, positions: Places) -> Tensor:
    """Hidden states (len(positions), D) of sequence `i` at original positions that are there."""
    index = torch.from_numpy(np.searchsorted(rows.alive[i], positions))
    return rows.hidden[i][index.to(rows.hidden.device)]


def _instruction(rows: TokenStates, q: Tensor, inputs: Sequence[Prepared]) -> Tensor:
    """Queries (B, H, 1, d) of the last row of each prompt that is there: one that ends in visual
    tokens may have lost its very last."""
    ends = [
        int(np.searchsorted(alive, len(own))) - 1
        for alive, own in zip(rows.alive, inputs, strict=False)
    ]
    index = torch.tensor(ends, device=q.device)[:, None, None, None]
    return q.gather(2, index.expand(-1, q.shape[1], 1, q.shape[3]))
