"""The vision tower with the pictures of one request, for methods that act in it or read it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from saccade.backbones.inputs.pictures import Picture
from saccade.backbones.network.network import Network
from saccade.backbones.network.text_tower import TextTower, relevance
from saccade.backbones.network.tower import tower_macs
from saccade.controller.attention import attention_received
from saccade.controller.errors import CapabilityError
from saccade.controller.views import Reduce


class PictureTower:
    """Runs the tower again over a request's pictures; see `saccade.controller.views.TowerAccess`.

    Parameters
    ----------
    network : Network
    shown : sequence of Picture
        As their visual tokens follow each other; one may be shown twice.
    count : int
        Visual tokens that the prompt has room for.

    Attributes
    ----------
    spent : int
        Exact multiply-accumulates of all its runs so far.
    """

    def __init__(self, network: Network, shown: Sequence[Picture], count: int) -> None:
        self.network, self.shown, self.count = network, shown, count
        self.pictures = list(dict.fromkeys(shown))
        self.spent = 0
        self.question: str | None = None
        self.text: TextTower | None = None
        self._features: Tensor | None = None
        self._looks: dict[str, Tensor] = {}

    def __repr__(self) -> str:
        return f"PictureTower({len(self.pictures)} pictures, {self.n_views} views)"

    @property
    def n_layers(self) -> int:
        return self.network.tower.n_layers

    @property
    def n_patches(self) -> int:
        return self.network.tower.side**2

    @property
    def n_views(self) -> int:
        return sum(picture.views for picture in self.pictures)

    @property
    def owners(self) -> Tensor:
        """The patch of each visual token, through the views of all pictures; -1 for newlines."""
        starts, start = {}, 0
        for picture in self.pictures:
            starts[picture], start = start, start + picture.views * self.n_patches
        own = [(picture.owners(), starts[picture]) for picture in self.shown]
        return torch.cat([torch.where(o < 0, -1, o + start) for o, start in own])[: self.count]

    def pack(self, patches: Tensor) -> Tensor:
        """Projected patches (V, P, D) as visual tokens (N, D), with the model's newlines."""
        return self._packed(patches, self.network.model.image_newline.detach())

    def _packed(self, patches: Tensor, newline: Tensor) -> Tensor:
        views = [picture.views for picture in self.pictures]
        pieces = dict(zip(self.pictures, patches.split(views), strict=True))
        packed = [p.pack(pieces[p], newline) for p in self.shown if p.pack is not None]
        return torch.cat(packed)[: self.count]

    @torch.inference_mode()
    def run(self, reduce: Reduce) -> Tensor:
        """Run the tower with rows taken out in it; projected rows (V, t, D) of what is left."""
        hidden, counts = self.network.model.vision_tower.reduced(self._pixels(), reduce)
        config, language = self.network.tower, self.network.language
        self.spent += self.n_views * tower_macs(config, language, counts)
        out: Tensor = self.network.model.mm_projector(hidden)
        return out

    def features(self) -> Tensor:
        """The visual tokens (N, D), encoded at the first call."""
        if self._features is None:
            self.look()
        assert self._features is not None
        return self._features

    @torch.inference_mode()
    def look(self) -> None:
        """Encode the pictures, and keep what methods may ask about the last layer."""
        features, q, k = self.network.model.vision_tower.look(self._pixels())
        self.spent += self.n_views * tower_macs(self.network.tower, self.network.language)
        self._features = self.pack(self.network.model.mm_projector(features))
        q_full, k_full = (x.transpose(1, 2).flatten(2)[:, None] for x in (q, k))
        self._looks = {
            "tower:features": features,
            "tower:keys": k.mean(dim=1),
            "tower:keys:full": k_full[:, 0],
            "tower:attention": attention_received(q, k)[..., None],
            "tower:attention:full": attention_received(q_full, k_full)[..., None],
        }

    def seen(self, name: str) -> Tensor:
        """What `look` kept under a name of `EXTRAS`, as visual tokens (N, C) or (N,)."""
        if not self._looks:
            self.look()
        if name == "tower:text" and name not in self._looks:
            self._looks[name] = self._relevance()[..., None]
        values = self._looks[name]
        packed = self._packed(values, values.new_zeros(values.shape[2]))
        return packed[:, 0] if values.shape[2] == 1 else packed

    @torch.inference_mode()
    def _relevance(self) -> Tensor:
        if self.text is None or self.question is None:
            lacks = "a text tower" if self.text is None else "a question: they were made from ids"
            raise CapabilityError(f"'tower:text' is needed, and the inputs lack {lacks}")
        norm: Any = self.network.model.vision_tower.transformer.post_layernorm
        return relevance(self._looks["tower:features"], norm, self.text.embed(self.question))

    @torch.inference_mode()
    def project(self, rows: Tensor) -> Tensor:
        """Rows (m, C) in the tower's space to visual tokens (m, D)."""
        out: Tensor = self.network.model.mm_projector(rows.to(self.network.model.image_newline))
        return out

    def _pixels(self) -> Tensor:
        newline = self.network.model.image_newline
        pixels = [p.pixels for p in self.pictures if p.pixels is not None]
        return torch.cat(pixels).to(newline.device, newline.dtype)
