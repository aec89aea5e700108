"""What both stand-ins do with pictures: encode, pack, splice. From the description of the published
code alone."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.backbones.published.layers import Config, Trunk

PLACEHOLDER = -200


class WithPictures(nn.Module):
    """A language model that reads pictures."""

    pooled = False

    def __init__(self, config: Config, vision: Config, bias: bool, loaded: bool = True) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config, vision, bias, loaded)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def get_model(self) -> Trunk:
        return self.model

    def get_vision_tower(self) -> Any:
        return self.model.vision_tower

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lm_head(self.model(x)[0])
        return out

    def encode_images(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.model.mm_projector(self.model.vision_tower(pixels))
        return out

    def prepare_inputs_labels_for_multimodal(
        self, ids: Tensor, mask: Tensor | None, images: Any, modalities: list[str], sizes: Any
    ) -> Tensor:
        """The embedded prompt (1, P, D)."""
        row = ids[0]
        if mask is not None:
            row = row[mask[0].bool()]
        if isinstance(images, list) or images.ndim == 5:
            shown = [
                self._packed(views, modalities[k] if k < len(modalities) else "image", sizes, k)
                for k, views in enumerate(images)
            ]
        else:
            shown = list(self.encode_images(images))
        parts, number, start = [], 0, 0
        for place in (row == PLACEHOLDER).nonzero()[:, 0].tolist():
            parts += [self.model.embed_tokens(row[start:place]), shown[number]]
            number, start = min(number + 1, len(shown) - 1), place + 1
        parts.append(self.model.embed_tokens(row[start:]))
        limit = getattr(self.config, "tokenizer_model_max_length", None)
        return torch.cat(parts)[:limit][None]

    def _packed(self, views: Tensor, modality: str, sizes: Any, k: int) -> Tensor:
        features = self.encode_images(views[None] if views.ndim == 3 else views)
        if modality == "video":
            return self._with_newlines(self._shrunk(features)).flatten(0, 2)
        if self.pooled:
            features = self._shrunk(features).flatten(1, 2)
        if len(features) == 1:
            return torch.cat([features[0], self.model.image_newline[None].to(features)])
        return torch.cat([features[0], self._tiles(features[1:], sizes[k])])

    def _shrunk(self, features: Tensor) -> Tensor:
        """(T, P, D) to (T, h, w, D), half as many a side, rounded up."""
        side = math.isqrt(features.shape[1])
        maps = features.unflatten(1, (side, side)).permute(0, 3, 1, 2)
        half = math.ceil(side / 2)
        small = F.interpolate(maps, (half, half), mode="bilinear", align_corners=False)
        return small.permute(0, 2, 3, 1)

    def _with_newlines(self, rows: Tensor) -> Tensor:
        newline = self.model.image_newline.to(rows).expand(*rows.shape[:-2], 1, -1)
        return torch.cat([rows, newline], -2)

    def _tiles(self, tiles: Tensor, size: Any) -> Tensor:
        width, height = (int(n) for n in size)
        tile = self.model.vision_tower.config.image_size
        columns, rows = (n // tile for n in canvas(self.config.image_grid_pinpoints, width, height))
        side = math.isqrt(tiles.shape[1])
        whole = tiles.reshape(rows, columns, side, side, -1).permute(4, 0, 2, 1, 3)
        whole = whole.flatten(3, 4).flatten(1, 2)
        h, w = whole.shape[1:]
        if width / height > w / h:
            p = (h - int(height * (w / width))) // 2
            whole = whole[:, p : h - p]
        else:
            p = (w - int(width * (h / height))) // 2
            whole = whole[:, :, p : w - p]
        whole = self._limited(whole, side)
        return self._with_newlines(whole.permute(1, 2, 0)).flatten(0, 1)

    def _limited(self, whole: Tensor, side: int) -> Tensor:
        aspect = self.config.image_aspect_ratio
        if "anyres_max" not in aspect:
            return whole
        h, w = whole.shape[1:]
        times = math.sqrt(h * w / (int(aspect.split("_")[-1]) * side**2))
        if times <= 1.1:
            return whole
        shape = (int(h // times), int(w // times))
        return F.interpolate(whole[None], shape, mode="bilinear", align_corners=False)[0]


def canvas(pinpoints: list[list[int]], width: int, height: int) -> tuple[int, int]:
    """The size on which a picture is laid before it is cut into tiles."""
    best, chosen = (-1, 0), (0, 0)
    for w, h in pinpoints:
        scale = min(w / width, h / height)
        shown = min(int(width * scale) * int(height * scale), width * height)
        if (shown, shown - w * h) > best:
            best, chosen = (shown, shown - w * h), (w, h)
    return chosen
