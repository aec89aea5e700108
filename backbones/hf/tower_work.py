"""Multiply-accumulates of a vision tower and what projects its features, counted as they run."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from saccade.backbones.hf.watching import named

PRODUCTS = (nn.Linear, nn.Conv2d, nn.Conv3d)


class TowerWork:
    """Counts the products of all that is no language model in a model.

    Linear layers and convolutions are seen by hooks, attention by its function; products that a
    module writes out by hand, such as tables of positions that are looked up as a product, are not.

    Parameters
    ----------
    model : PreTrainedModel
    piles : sequence of modules
        The language model's.

    Attributes
    ----------
    macs : int
        So far.
    """

    def __init__(self, model: Any, piles: Sequence[nn.Module]) -> None:
        self.macs = 0
        own = {module for pile in piles for module in pile.modules()}
        own.add(model.get_output_embeddings())
        self._parts = [part for part in model.modules() if part not in own]

    def enter(self, stack: ExitStack) -> None:
        """Count until a stack is closed."""
        for part in self._parts:
            if isinstance(part, PRODUCTS):
                handle = part.register_forward_hook(self._multiplied)
                stack.callback(handle.remove)
        attentions = [part for part in self._parts if type(part).__name__.endswith("Attention")]
        stack.enter_context(named(attentions))

    def attended(self, module: nn.Module, q: Tensor, k: Tensor) -> None:
        """Count the scores of an attention and their sum."""
        batch, heads, rows, width = q.shape
        self.macs += 2 * batch * heads * rows * k.shape[2] * width

    def _multiplied(self, part: nn.Module, args: Any, output: Tensor) -> None:
        weight = part.weight
        assert isinstance(weight, Tensor)
        each = weight[0].numel()  # of one number of the output
        self.macs += output.numel() * each
