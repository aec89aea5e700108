"""Inputs of one request: the prompt with its pictures as embeddings, and what each token is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.backbones.inputs.chat import IMAGE_ID
from saccade.backbones.inputs.picture_tower import PictureTower
from saccade.backbones.inputs.pictures import Picture
from saccade.backbones.inputs.token_ids import check_vocabulary
from saccade.backbones.network.network import Network
from saccade.backbones.network.text_tower import TextTower
from saccade.controller.types import PROMPT, RESPONSE, VISUAL, Segments

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A request ready to be denoised.

    Attributes
    ----------
    embeds : Tensor (P, D)
        The spliced prompt; zeros for visual tokens if they are `pending`.
    segments : Segments
        Of the P prompt positions.
    centers : Tensor (N, 2) float32
        Of the visual tokens.
    views : int
        Views that went through the tower.
    tower : PictureTower or None
        The vision tower with this request's pictures, for what has to see them again. Inputs can be
        stored (pickled, copied, sent to a process); they do not hold the model.
    pending : bool
        Whether the visual tokens are encoded only when they are asked for.
    visual_positions : int64 array (N,)
        Ascending positions of the visual tokens, from `segments`.
    """

    embeds: Tensor
    segments: Segments
    centers: Tensor
    views: int
    tower: PictureTower | None = None
    pending: bool = False
    visual_positions: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "visual_positions", self.segments.visual.numpy())

    def __repr__(self) -> str:
        return f"Prepared({len(self)} positions, {len(self.visual_positions)} of them visual)"

    def __len__(self) -> int:
        return len(self.embeds)

    @property
    def images(self) -> Tensor:
        """Number of the image of each prompt position, -1 for text."""
        return self.segments.images

    def bound(self, network: Network, text: TextTower | None) -> "Prepared":
        """The same inputs for one call of a model, also where they were stored without one.

        Raises
        ------
        ValueError
            If the model is of another width, dtype or device than the one that made them.
        """
        own, theirs = self.embeds, network.model.image_newline
        if (own.shape[1:], own.dtype, own.device) != (theirs.shape, theirs.dtype, theirs.device):
            raise ValueError(
                f"these inputs are {_kind(own)} and the model's are {_kind(theirs)}: prepare them "
                "with this model, as it is now"
            )
        if self.tower is None:
            return self
        return replace(self, tower=self.tower.bound(network, text))

    def whole(self) -> Tensor:
        """The spliced prompt (P, D), its visual tokens encoded now if they were pending."""
        if not self.pending or self.tower is None:
            return self.embeds
        out = self.embeds.clone()
        out[self.segments.visual.to(out.device)] = self.tower.features().to(out.dtype)
        return out

    def kinds_with_response(self, n: int) -> NDArray[np.int8]:
        """Kind of every position when `n` response tokens follow the prompt."""
        kinds = self.segments.kinds.numpy()
        return np.concatenate([kinds, np.full(n, RESPONSE, dtype=np.int8)])


def splice(
    network: Network, ids: Sequence[int], pictures: Sequence[Picture], *, pending: bool = False
) -> Prepared:
    """Put pictures at their placeholders among embedded ids, and cut what is too long; with
    `pending` the visual tokens are encoded later.

    As in the published code, one placeholder too many shows the last picture again, and pictures
    without a placeholder are left out; both are logged.

    Raises
    ------
    ValueError
        If placeholders outnumber pictures by two or more, or there are no pictures for them, or an
        id is out of range.
    """
    places = [i for i, token in enumerate(ids) if token == IMAGE_ID]
    shown = _at_places(pictures, len(places))
    vocab = network.model.embed_tokens.num_embeddings
    check_vocabulary(ids, vocab)
    device = network.model.image_newline.device
    text = network.model.embed_tokens(
        torch.tensor([0 if token == IMAGE_ID else token for token in ids], device=device)
    )
    parts, kinds, images, start = [], [], [], 0
    for number, (place, picture) in enumerate(zip(places, shown, strict=True)):
        n = len(picture.centers)
        blank = text.new_zeros(n, text.shape[1])
        parts += [text[start:place], blank if pending else picture.features.to(text.dtype)]
        kinds += [PROMPT] * (place - start) + [VISUAL] * n
        images += [-1] * (place - start) + [number] * n
        start = place + 1
    parts.append(text[start:])
    kinds += [PROMPT] * (len(ids) - start)
    images += [-1] * (len(ids) - start)
    limit = network.language.max_length
    if len(kinds) > limit:
        log.warning("the prompt of %d tokens is cut to the model's %d", len(kinds), limit)
    segments = Segments(
        torch.tensor(kinds[:limit], dtype=torch.int8),
        torch.tensor(images[:limit], dtype=torch.int16),
    )
    centers = torch.cat([torch.zeros(0, 2), *(picture.centers for picture in shown)])
    count = len(segments.visual)
    tower = PictureTower(network, shown, count) if shown and shown[0].pixels is not None else None
    return Prepared(
        torch.cat(parts)[:limit],
        segments,
        centers[:count],
        sum(picture.views for picture in pictures),
        tower,
        pending and tower is not None,
    )


def _kind(values: Tensor) -> str:
    """Width, dtype and device of values (..., D)."""
    dtype = str(values.dtype).removeprefix("torch.")
    return f"{values.shape[-1]} {dtype} numbers a token on {values.device}"


def _at_places(pictures: Sequence[Picture], n_places: int) -> list[Picture]:
    """The picture of each placeholder, given the pictures of a request."""
    n = len(pictures)
    if n_places == n:
        return list(pictures)
    counts = f"the prompt has {n_places} image placeholders but {n} images were given"
    if n_places > n + 1 or n == 0:
        raise ValueError(counts)
    if n_places == n + 1:
        log.warning("%s: the last one is shown again", counts)
    elif n_places:
        log.warning("%s: only the first are used", counts)
    else:
        log.warning("%s: only the text is used", counts)
    return [pictures[min(i, n - 1)] for i in range(n_places)]
