"""Where a forward first computed something that is no number, once an answer shows that it did."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.outcome import Outcome
from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.network.decoder import Attended, StackHook
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.errors import NonFiniteError

OPTIONS = (
    "the model's logits are numbers, and what the options of this call (cfg_scale, forbidden_ids, "
    "temperature) make of them is not"
)


class FiniteWatch:
    """A hook that does what another one does, and notes the first states that are not finite.

    Attributes
    ----------
    found : str
        Where they were; empty while all are finite.
    row : int
        In which row of the batch.
    """

    def __init__(self, hook: StackHook | None) -> None:
        self.hook, self.found, self.row = hook, "", 0

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        self.look(
            rows, "the embeddings of text and picture" if layer == 0 else f"layer {layer - 1}"
        )
        return rows if self.hook is None else self.hook.before_layer(layer, rows)

    def look(self, rows: TokenStates, where: str) -> None:
        """Note what is not finite in rows that are not padding."""
        mask = rows.key_mask
        self.note(rows.hidden, rows.hidden.new_ones(1, 1) > 0 if mask is None else mask, where)

    def note(self, values: Tensor, there: Tensor, where: str) -> None:
        """Note what is not finite in values (B, L, D), where they are `there` (B, L)."""
        wrong = ~torch.isfinite(values) & there[..., None]
        if not self.found and bool(wrong.any()):
            self.row = int(wrong.flatten(1).any(1).nonzero()[0])
            total = int(there.expand(values.shape[:2]).sum()) * values.shape[2]
            self.found = (
                f"{where} gave {int(wrong.sum())} of {total} values that are NaN or infinite"
            )

    def watches(self, layer: int) -> bool:
        return self.hook is not None and self.hook.watches(layer)

    def on_attention(self, layer: int, rows: TokenStates, seen: Attended) -> None:
        if self.hook is not None:
            self.hook.on_attention(layer, rows, seen)


def first_not_finite(outcome: Outcome) -> int | None:
    """The first sequence of a forward whose confidences are no numbers; None without one."""
    wrong = outcome.tables["confidence"].isnan().flatten(1).any(1)
    return int(wrong.nonzero()[0]) if bool(wrong.any()) else None


def refused(
    contexts: Sequence[StepContext], i: int, dtype: torch.dtype, what: str
) -> NonFiniteError:
    """What to raise for a sequence of a forward.

    Parameters
    ----------
    contexts : sequence of StepContext
        Of the forward.
    i : int
        Number of the sequence among them.
    dtype : torch.dtype
        Of the model.
    what : str
        Where something was not finite.
    """
    context, kind = contexts[i], str(dtype).removeprefix("torch.")
    largest = torch.finfo(dtype).max
    advice = (
        f"{kind} ends at {largest:.3g}: load the model as bfloat16 or float32"
        if largest < 1e5
        else "look at the weights and the picture: a number of theirs may be damaged or very large"
    )
    if what == OPTIONS:
        advice = "leave them at what is usual"
    return NonFiniteError(
        f"the answer's probabilities are not finite in step {context.state.step} of sequence "
        f"{context.number}: {what}; {advice}"
    )
