"""What a pruner asks to see of a forward: measured in a layer, shown before the next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.execution.active import Active
from saccade.backbones.execution.key_layout import KeyLayout
from saccade.backbones.execution.probe import last_queries
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.network import Network
from saccade.backbones.network.token_states import Places, TokenStates
from saccade.controller.protocols import ATTENTION, MEASURED
from saccade.controller.signals import attention_received, row_attention
from saccade.controller.views import EXTRAS, VisualView


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose tokens are to be reduced, and where.

    Attributes
    ----------
    number : int
        In the forward.
    active : Active
    layer : int
    before : mapping of str to Tensor
        See `Session.before`.
    """

    number: int
    active: Active
    layer: int
    before: Mapping[str, Tensor]

    @property
    def inputs(self) -> Prepared:
        """Of the sequence."""
        return self.active.inputs

    @property
    def text(self) -> Places:
        """Positions of the prompt's rows after its last picture."""
        visual = self.inputs.visual_positions
        first = int(visual[-1]) + 1 if len(visual) else 0
        return np.arange(first, len(self.inputs))

    @property
    def answer(self) -> Places:
        """Positions of the answer's rows."""
        return np.arange(self.active.response) + len(self.inputs)


class PrunerInputs:
    """Measures and shows what the needs of a pruner name.

    Parameters
    ----------
    needs : frozenset of str
    queries : int
        Last rows of each sequence, whose attention is the answer's.
    network : Network or None
        For what only it can compute; None where nothing such is asked.
    """

    def __init__(self, needs: frozenset[str], queries: int, network: Network | None) -> None:
        self.needs, self.queries, self.network = needs, queries, network
        self._received: dict[str, Tensor] = {}
        self._q: Tensor | None = None
        self._k: Tensor | None = None
        self._rows: tuple[Places, ...] = ()
        self._columns: KeyLayout | None = None
        self._entered: TokenStates | None = None

    @property
    def measures(self) -> bool:
        """Whether something is measured in the layer before the drop."""
        return bool(self.needs & MEASURED)

    def enter(self, rows: TokenStates) -> None:
        """See the rows that enter the stack, if the answer's are asked for."""
        if "answer" in self.needs:
            self._entered = rows

    def measure(
        self,
        rows: TokenStates,
        q: Tensor,
        k: Tensor,
        columns: KeyLayout,
        inputs: Sequence[Prepared],
    ) -> None:
        """Measure a layer's attention: queries (B, H, L, d) of the rows, keys of `columns`."""
        self._q, self._k, self._columns, self._rows = q, k, columns, rows.alive
        self._received = {
            name.removeprefix("attention:"): self._receive(name, rows, q, k, columns, inputs)
            for name in sorted(self.needs & ATTENTION)
        }

    def _receive(
        self,
        name: str,
        rows: TokenStates,
        q: Tensor,
        k: Tensor,
        columns: KeyLayout,
        inputs: Sequence[Prepared],
    ) -> Tensor:
        """Attention received, scattered to original positions (B, longest original length)."""
        who, _, how = name.removeprefix("attention:").partition(":")
        asking = None
        if who == "response":
            q = last_queries(rows, q, self.queries)
        elif who == "last":
            q = last_queries(rows, q, 1)
        elif who == "instruction":
            q = _instruction(rows, q, inputs)
        elif rows.key_mask is not None:
            asking = rows.key_mask[: len(q)]
        values = attention_received(q, k, columns.mask, asking, mean_logits=how == "logits")
        return columns.scattered(values)

    def view(self, asked: Asked, present: Places, rows: TokenStates) -> VisualView:
        """The view of the visual tokens numbered `present`, among the rows entering a layer."""
        inputs, among = asked.inputs, torch.from_numpy(present)
        places = inputs.visual_positions[present]
        device = inputs.embeds.device
        columns = torch.from_numpy(places).to(device)
        i = asked.number
        attention = {name: values[i][columns] for name, values in self._received.items()}
        if "attention:instruction:own" in self.needs:
            attention["instruction:own"] = self._own(asked, rows)[columns]
        running = "tower:run" in self.needs
        embeds = inputs.embeds if running else inputs.whole()
        return VisualView(
            features=embeds[columns].detach().clone(),
            centers=inputs.centers[among],
            images=inputs.images[places].long(),
            attention=attention,
            extras={
                name: make(self, asked, present, rows)
                for name, make in _EXTRAS.items()
                if name in self.needs
            },
            tower=inputs.tower if running else None,
            step=asked.active.step,
            layer=asked.layer,
            seed=asked.active.seed,
        )

    def _own(self, asked: Asked, rows: TokenStates) -> Tensor:
        """Attention that the layer itself will give from the prompt's last row, (longest,)."""
        assert self.network is not None
        i = asked.number
        one = TokenStates(
            rows.hidden[i : i + 1],
            rows.positions[i : i + 1],
            None if rows.key_mask is None else rows.key_mask[i : i + 1],
            rows.alive[i : i + 1],
        )
        q, k = self.network.queries_keys(asked.layer, one)
        columns = KeyLayout.of_rows(one, 1)
        q = _instruction(one, q, [asked.inputs])
        return columns.scattered(attention_received(q, k, columns.mask))[0]

    def row_weights(self, i: int, asking: Places, seen: Places) -> Tensor:
        """Attention (rows, len(seen)) of the rows at positions `asking` to the keys at `seen`."""
        assert self._q is not None and self._k is not None and self._columns is not None
        index = torch.from_numpy(np.flatnonzero(np.isin(self._rows[i], asking)))
        mask = None if self._columns.mask is None else self._columns.mask[i : i + 1]
        q = self._q[i : i + 1, :, index.to(self._q.device)]
        weights = row_attention(q, self._k[i : i + 1], mask).mean(dim=1)[0]
        return weights[:, self._key_places(i, seen)]

    def keys(self, i: int, seen: Places) -> Tensor:
        """Keys (len(seen), H d) at original positions."""
        assert self._k is not None
        return self._k[i][:, self._key_places(i, seen)].transpose(0, 1).flatten(1).clone()

    def answer(self, i: int, positions: Places) -> Tensor:
        """Embeddings (R, D) of those of these positions that entered the forward."""
        assert self._entered is not None
        index = torch.from_numpy(np.flatnonzero(np.isin(self._entered.alive[i], positions)))
        return self._entered.hidden[i][index.to(self._entered.hidden.device)].clone()

    def _key_places(self, i: int, seen: Places) -> Tensor:
        assert self._columns is not None and self._k is not None
        found = self._columns.starts[i] + np.searchsorted(self._columns.places[i], seen)
        return torch.from_numpy(found).to(self._k.device)

    def final(self, i: int, ran: TokenStates, inputs: Prepared) -> Tensor:
        """States (N, D) of the visual tokens behind the last layer and the final norm; NaN where
        they did not reach it."""
        assert self.network is not None
        visual = inputs.visual_positions
        there = np.isin(visual, ran.alive[i])
        index = torch.from_numpy(np.searchsorted(ran.alive[i], visual[there]))
        hidden = ran.hidden[i][index.to(ran.hidden.device)]
        out = hidden.new_full((len(visual), hidden.shape[-1]), torch.nan)
        out[torch.from_numpy(there).to(out.device)] = self.network.model.norm(hidden)
        return out

    def entering(self, i: int, rows: TokenStates, positions: Places, normed: bool) -> Tensor:
        """Rows (len(positions), D) that enter a layer, after the final norm if asked."""
        index = torch.from_numpy(np.searchsorted(rows.alive[i], positions))
        hidden = rows.hidden[i][index.to(rows.hidden.device)]
        if not normed:
            return hidden.clone()
        assert self.network is not None
        out: Tensor = self.network.model.norm(hidden)
        return out


def _instruction(rows: TokenStates, q: Tensor, inputs: Sequence[Prepared]) -> Tensor:
    """Queries (B, H, 1, d) of the last row of each prompt."""
    ends = [
        int(np.searchsorted(alive, len(own) - 1))
        for alive, own in zip(rows.alive, inputs, strict=False)
    ]
    index = torch.tensor(ends, device=q.device)[:, None, None, None]
    return q.gather(2, index.expand(-1, q.shape[1], 1, q.shape[3]))


def _text(glance: PrunerInputs, asked: Asked, present: Places, rows: TokenStates) -> Tensor:
    return asked.inputs.embeds[torch.from_numpy(asked.text).to(asked.inputs.embeds.device)].clone()


def _visual(asked: Asked, present: Places) -> Places:
    return asked.inputs.visual_positions[present]


def _before(glance: PrunerInputs, asked: Asked, present: Places, rows: TokenStates) -> Tensor:
    """Nothing was seen before the first step: no row is there, and the method says what to do."""
    seen = asked.before.get("rows:before")
    if seen is None:
        return torch.full((len(asked.active.masked), len(present)), torch.nan)
    return seen[:, torch.from_numpy(present).to(seen.device)].clone()


def _final(glance: PrunerInputs, asked: Asked, present: Places, rows: TokenStates) -> Tensor:
    """NaN before the first step."""
    seen = asked.before.get("final:before")
    if seen is None:
        return torch.full((len(present), rows.hidden.shape[-1]), torch.nan)
    return seen[torch.from_numpy(present).to(seen.device)].clone()


def _tower(name: str) -> Callable[[PrunerInputs, Asked, Places, TokenStates], Tensor]:
    def show(glance: PrunerInputs, asked: Asked, present: Places, rows: TokenStates) -> Tensor:
        assert asked.inputs.tower is not None
        return asked.inputs.tower.seen(name)[torch.from_numpy(present)].clone()

    return show


_EXTRAS: dict[str, Callable[[PrunerInputs, Asked, Places, TokenStates], Any]] = {
    "text": _text,
    "answer": lambda g, a, p, r: g.answer(a.number, a.answer),
    "rows:text": lambda g, a, p, r: g.row_weights(a.number, a.text, _visual(a, p)),
    "rows:answer": lambda g, a, p, r: g.row_weights(a.number, a.answer, _visual(a, p)),
    "rows:before": _before,
    "final:before": _final,
    "masked": lambda g, a, p, r: a.active.masked.clone(),
    "hidden": lambda g, a, p, r: g.entering(a.number, r, _visual(a, p), normed=False),
    "normed": lambda g, a, p, r: g.entering(a.number, r, _visual(a, p), normed=True),
    "normed:text": lambda g, a, p, r: g.entering(a.number, r, a.text, normed=True),
    "keys": lambda g, a, p, r: g.keys(a.number, _visual(a, p)),
    "keys:text": lambda g, a, p, r: g.keys(a.number, a.text),
    **{name: _tower(name) for name in EXTRAS if name.startswith("tower:")},
}
