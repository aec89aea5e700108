"""Made-up views, on which pruners are checked."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from saccade.controller.view_fields import EXTRAS, VIEW_FIELDS
from saccade.controller.views import Reduce, VisualView

WIDTH, TEXT, ANSWER = 8, 5, 4
SIZES = {"T": TEXT, "R": ANSWER, "D": WIDTH, "C": 10, "K": 6}
"""What the letters of `ViewField.shape` stand for here; N is the view's own."""


class MadeUpTower:
    """A tower of three layers over the tokens of a view that have a place in the picture.

    Parameters
    ----------
    features : Tensor (N, WIDTH)
    centers : Tensor (N, 2)
        NaN for newlines.
    """

    n_layers, n_views = 3, 1

    def __init__(self, features: Tensor, centers: Tensor) -> None:
        self.features = features.float()
        self.placed = ~centers.isnan().any(dim=1)
        self.owners = torch.where(self.placed, self.placed.long().cumsum(0) - 1, -1)
        self.n_patches = int(self.placed.sum())

    def run(self, reduce: Reduce) -> Tensor:
        """Every layer mixes the rows' entries; keys are those of two heads."""
        hidden = self.features[self.placed][None]
        for layer in range(self.n_layers):
            hidden = reduce(
                layer, hidden.roll(1, dims=2), hidden.unflatten(2, (2, -1)).transpose(1, 2)
            )
        return hidden

    def pack(self, patches: Tensor) -> Tensor:
        """In order, with zeros for newlines."""
        out = patches.new_zeros(len(self.placed), patches.shape[2])
        out[self.placed] = patches[0]
        return out


def random_view(size: int, needs: Iterable[str], generator: torch.Generator) -> VisualView:
    """A view of `size` tokens of two pictures, every fifth of them a newline."""
    centers = torch.rand(size, 2, generator=generator)
    centers[4::5] = torch.nan
    asked = [name.removeprefix("attention:") for name in sorted(needs) if "attention:" in name]
    asked = [name for name in asked if not name.startswith("tower")]
    # Shares of a row whose other keys get as much again.
    attention = {name: torch.randn(size, generator=generator).softmax(dim=0) / 2 for name in asked}
    features = torch.randn(size, WIDTH, generator=generator)
    images = torch.arange(size) * 2 // max(1, size)
    extras = {name: _extra(name, size, generator) for name in sorted(needs) if name in EXTRAS}
    tower = MadeUpTower(features, centers) if "tower:run" in needs else None
    return VisualView(features, centers, images, attention, extras, tower, layer=2, seed=7)


def _extra(name: str, size: int, generator: torch.Generator) -> Tensor:
    shape = tuple({**SIZES, "N": size}[letter] for letter in VIEW_FIELDS[name].shape)
    if name == "masked":
        return torch.arange(ANSWER) % 2 == 0
    values = torch.randn(shape, generator=generator)
    if "attention" in name or name.startswith("rows"):
        return values.softmax(dim=-1) / 2
    return values


def take(view: VisualView, tokens: Tensor) -> VisualView:
    """The view of some of its tokens, in tensors of their own."""
    features, centers = view.features[tokens], view.centers[tokens]
    return replace(
        view,
        features=features,
        centers=centers,
        images=view.images[tokens],
        attention={name: values[tokens] for name, values in view.attention.items()},
        extras={name: _taken(name, values, tokens) for name, values in view.extras.items()},
        tower=None if view.tower is None else MadeUpTower(features, centers),
    )


def _taken(name: str, values: Tensor, tokens: Tensor) -> Tensor:
    shape = VIEW_FIELDS[name].shape
    return values.index_select(shape.index("N"), tokens) if "N" in shape else values.clone()
