"""The vision tower with the pictures of one request, for methods that act in it or read it."""

import copy
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from saccade.backbones.inputs.pictures import Picture
from saccade.backbones.network.network import Network
from saccade.backbones.network.text_tower import TextTower, relevance
from saccade.backbones.network.tower import tower_macs
from saccade.controller.attention import attention_received
from saccade.controller.errors import CapabilityError
from saccade.controller.views import Reduce


class _Seen:
    """What a tower showed of a request's pictures, once for all calls that ask; `prepared` if it is
    how they were encoded, which is counted as such."""

    def __init__(self) -> None:
        self.prepared = False
        self.lock = threading.RLock()
        self.features: Tensor | None = None
        self.looks: dict[str, Tensor] = {}

    def __getstate__(self) -> tuple[bool, Tensor | None, dict[str, Tensor]]:
        return self.prepared, self.features, self.looks

    def __setstate__(self, state: tuple[bool, Tensor | None, dict[str, Tensor]]) -> None:
        self.lock = threading.RLock()
        self.prepared, self.features, self.looks = state


class PictureTower:
    """Runs the tower again over a request's pictures; see `saccade.controller.views.TowerAccess`.

    It does not keep the network alive, and is stored without it: `bound` gives it one.

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
        Exact multiply-accumulates of all its runs so far. What an earlier call kept is counted once
        in every call that asks for it, so that none is cheaper for what came before it.
    question : str or None
        What was asked about the pictures.
    """

    def __init__(self, network: Network, shown: Sequence[Picture], count: int) -> None:
        self.shown, self.count = shown, count
        self.pictures = list(dict.fromkeys(shown))
        self.spent = 0
        self.question: str | None = None
        self._network: weakref.ref[Network] | None = weakref.ref(network)
        self._text: weakref.ref[TextTower] | None = None
        self._seen = _Seen()
        self._counted = False

    def bound(self, network: Network, text: TextTower | None) -> Self:
        """The same pictures for one call of a model, with a count of its own."""
        own = copy.copy(self)
        own.spent, own._network = 0, weakref.ref(network)
        own._counted = self._seen.prepared
        own.text = text
        return own

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_network": None, "_text": None}

    @property
    def network(self) -> Network:
        """The model's network.

        Raises
        ------
        CapabilityError
            If it is gone, or these inputs were stored and not given to a model since.
        """
        found = None if self._network is None else self._network()
        if found is None:
            raise CapabilityError(
                "these inputs know no model: theirs is gone, or they were stored; give them to "
                "generate, or prepare them anew"
            )
        return found

    @property
    def text(self) -> TextTower | None:
        """The model's text tower, if it has one."""
        return None if self._text is None else self._text()

    @text.setter
    def text(self, tower: TextTower | None) -> None:
        self._text = None if tower is None else weakref.ref(tower)

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
        with self._seen.lock:
            if self._seen.features is None:
                self.look()
            self._count()
            assert self._seen.features is not None
            return self._seen.features

    def encode(self) -> None:
        """Encode the pictures as a part of preparing them, as `look` does."""
        self.look()
        self._seen.prepared = True

    @torch.inference_mode()
    def look(self) -> None:
        """Encode the pictures, and keep what methods may ask about the last layer."""
        features, q, k = self.network.model.vision_tower.look(self._pixels())
        self._count()
        encoded = self.pack(self.network.model.mm_projector(features))
        q_full, k_full = (x.transpose(1, 2).flatten(2)[:, None] for x in (q, k))
        looks = {
            "tower:features": features,
            "tower:keys": k.mean(dim=1),
            "tower:keys:full": k_full[:, 0],
            "tower:attention": attention_received(q, k)[..., None],
            "tower:attention:full": attention_received(q_full, k_full)[..., None],
        }
        with self._seen.lock:
            self._seen.features, self._seen.looks = encoded, looks

    def _count(self) -> None:
        """Count what `look` computes, once."""
        if not self._counted:
            self._counted = True
            self.spent += self.n_views * tower_macs(self.network.tower, self.network.language)

    def seen(self, name: str) -> Tensor:
        """What `look` kept under a name of `EXTRAS`, as visual tokens (N, C) or (N,)."""
        with self._seen.lock:
            looks = self._seen.looks
            if not looks:
                self.look()
                looks = self._seen.looks
            self._count()
            if name == "tower:text" and name not in looks:
                looks[name] = self._relevance(looks["tower:features"])[..., None]
            values = looks[name]
        packed = self._packed(values, values.new_zeros(values.shape[2]))
        return packed[:, 0] if values.shape[2] == 1 else packed

    @torch.inference_mode()
    def _relevance(self, features: Tensor) -> Tensor:
        if self.text is None or self.question is None:
            lacks = "a text tower" if self.text is None else "a question: they were made from ids"
            raise CapabilityError(f"'tower:text' is needed, and the inputs lack {lacks}")
        norm = self.network.model.vision_tower.vision_tower.post_layernorm
        return relevance(features, norm, self.text.embed(self.question))

    @torch.inference_mode()
    def project(self, rows: Tensor) -> Tensor:
        """Rows (m, C) in the tower's space to visual tokens (m, D)."""
        out: Tensor = self.network.model.mm_projector(rows.to(self.network.model.image_newline))
        return out

    def _pixels(self) -> Tensor:
        newline = self.network.model.image_newline
        pixels = [p.pixels for p in self.pictures if p.pixels is not None]
        return torch.cat(pixels).to(newline.device, newline.dtype)
