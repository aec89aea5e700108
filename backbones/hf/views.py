"""What a pruner may see of a sequence where its visual tokens are about to be reduced."""

from typing import Any

import torch
from torch import Tensor, nn

from saccade.backbones.hf.seen_attention import SeenAttention
from saccade.backbones.hf.sequence import CallSequence, Step
from saccade.controller.errors import CapabilityError
from saccade.controller.session import Session
from saccade.controller.view_fields import EXTRAS, VIEW_FIELDS, Tokens
from saccade.controller.views import VisualView


class Source:
    """Shows one sequence before a layer; see `ViewSource`.

    Parameters
    ----------
    session : Session
    own : CallSequence
    step : Step
    present : Tensor (n,) int64
        Numbers of the visual tokens that are there.
    hidden : Tensor (L, D)
        Its rows that enter the layer.
    first : int
        Position of the first of them.
    queries : int
        How many of the last are the answer's.
    seen : SeenAttention or None
        The layer before, where it was asked for.
    norm : nn.Module
        The model's final norm.
    """

    def __init__(
        self,
        session: Session,
        own: CallSequence,
        step: Step,
        present: Tensor,
        hidden: Tensor,
        first: int,
        queries: int,
        seen: SeenAttention | None,
        norm: nn.Module,
    ) -> None:
        self.session, self.own, self.step, self.present = session, own, step, present
        self.hidden, self.first, self.queries = hidden, first, queries
        self._seen, self.norm = seen, norm

    def view(self, layer: int) -> VisualView:
        """All that the pruner needs."""
        made = {
            name: field.make(self)
            for name in sorted(self.session.needs)
            if (field := VIEW_FIELDS[name]).make is not None
        }
        assert self.own.features is not None
        return VisualView(
            features=self.own.features[self.present.to(self.own.features.device)].clone(),
            centers=self.own.centers[self.present],
            images=self.own.images[self.present],
            attention={
                name.removeprefix("attention:"): values
                for name, values in made.items()
                if name not in EXTRAS
            },
            extras={name: values for name, values in made.items() if name in EXTRAS},
            step=self.step.state.step,
            layer=layer,
        )

    def embeds(self, tokens: Tokens) -> Tensor:
        assert tokens == "text" and self.own.text is not None
        return self.own.text.clone()

    def received(self, rows: str, mean_logits: bool) -> Tensor:
        seen, i = self.seen, self.own.number
        there = (seen.at.rows[i] >= self.own.start).nonzero()[:, 0]
        if rows == "response":
            there = there[-self.queries :]
        elif rows == "last":
            there = there[-1:]
        elif rows == "instruction":
            before = seen.at.rows[i][there] < self.own.prompt
            there = there[before][-1:]
        return seen.received(i, there, mean_logits)[self._columns("visual")]

    def received_ahead(self) -> Tensor:
        raise CapabilityError("what a layer itself will attend to is not computed ahead here")

    def weights(self, tokens: Tokens) -> Tensor:
        rows = self.seen.rows_at(self.own.number, self._positions(tokens))
        return self.seen.weights(self.own.number, rows)[:, self._columns("visual")]

    def keys(self, tokens: Tokens) -> Tensor:
        keys = self.seen.k[self.own.number][:, self._columns(tokens)]
        return keys.transpose(0, 1).flatten(1).clone()

    def entering(self, tokens: Tokens, normed: bool) -> Tensor:
        index = (self._positions(tokens) - self.first).to(self.hidden.device)
        rows = self.hidden[index].clone()
        if not normed:
            return rows
        out: Tensor = self.norm(rows)
        return out

    def before(self, name: str) -> Tensor:
        """Nothing was seen before the first step: all is NaN, and the method says what to do."""
        show = self.session.before[self.own.number].get(name)
        if show is None:
            return torch.full((len(self.step.masked), len(self.present)), torch.nan)
        seen = show()
        return seen[:, self.present.to(seen.device)].clone()

    def masked(self) -> Tensor:
        return self.step.masked.clone()

    def tower(self, name: str) -> Any:
        raise CapabilityError(f"{name!r}: the tower's own features are not kept here")

    @property
    def seen(self) -> SeenAttention:
        assert self._seen is not None
        return self._seen

    def _positions(self, tokens: Tokens) -> Tensor:
        return self.own.visual[self.present] if tokens == "visual" else self.own.words

    def _columns(self, tokens: Tokens) -> Tensor:
        return self.seen.columns_at(self.own.number, self._positions(tokens))
