"""Models with random weights at published sizes, made where they run, and a request to each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from saccade.backbones.checkpoints.memory import available, gigabytes
from saccade.backbones.families import lavida_dream, llada_v
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import IMAGE_ID
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.loading import empty_network
from saccade.backbones.model import Model
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.backbones.network.tower import init_weights
from saccade.controller.types import Geometry
from saccade.studies.analysis.projection import LAVIDA_DREAM, LLADA_V

PATCH = 4
"""Pixels along a patch of the tiny tower that stands before every decoder."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a decoder and of what is asked of it.

    Attributes
    ----------
    family : Family
        How it decodes.
    geometry : Geometry
        Of the decoder.
    pictures, side : int
        Pictures of a request, and patches along the side of each.
    prompt : int
        Text tokens before the answer.
    gen_length, block_length, steps : int
        Of the answer.
    refreshing : mapping, or str
        What has a cached prompt computed again after some steps: options of `generate`, or a
        policy, where the prompt is cached anyway.
    """

    family: Family
    geometry: Geometry
    pictures: int
    side: int
    prompt: int = 130
    gen_length: int = 64
    block_length: int = 32
    steps: int = 16
    refreshing: Mapping[str, Any] | str = "with_refresh(keep(), after=4)"

    @property
    def language(self) -> LanguageConfig:
        """The decoder, with the traits of its family."""
        own, traits = self.geometry, self.family.decoder
        return LanguageConfig(
            own.hidden,
            own.intermediate,
            own.n_layers,
            own.n_heads,
            own.n_kv_heads,
            own.vocab,
            rms_norm_eps=traits.rms_norm_eps,
            rope_theta=traits.rope_theta,
            max_length=traits.max_length,
            qkv_bias=traits.qkv_bias,
            wide_rotary=traits.wide_rotary,
        )

    @property
    def options(self) -> dict[str, Any]:
        """Options of `generate`."""
        lengths = (self.gen_length, self.block_length, self.steps)
        return dict(self.family.settings.for_lengths(*lengths))


CACHING = {"prefix_refresh_interval": 4}
SHAPES: Mapping[str, Shape] = {
    "llada-v-8b": Shape(llada_v.FAMILY, LLADA_V.geometry, 5, 27, refreshing=CACHING),
    "lavida-dream-7b": Shape(lavida_dream.FAMILY, LAVIDA_DREAM.geometry, 1, 29),
    "width-1024": Shape(
        llada_v.FAMILY, Geometry(8, 1024, 3072, 8, 8, 256), 1, 27, prompt=64, refreshing=CACHING
    ),
    "embedded": Shape(
        llada_v.FAMILY, Geometry(6, 128, 352, 4, 4, 373), 1, 12, 24, 16, 8, 8, refreshing=CACHING
    ),
}
"""Published sizes with the visual tokens of a picture at the published setting (3645; LaViDa's 834
by 841), one that a CPU can time, and that of the embedded models."""


def check_room(shape: Shape, device: torch.device, dtype: torch.dtype) -> None:
    """Raise `ValueError` if the weights of a shape do not fit into what is free on a device."""
    network, free = empty_network(shape.language, _tower(shape)), available(device)
    need = sum(p.numel() for p in network.parameters()) * dtype.itemsize
    if free is not None and need > free:
        raise ValueError(
            f"the weights take {gigabytes(need)} and {device} has {gigabytes(free)} free; give a "
            "smaller shape or another device"
        )


def shaped_model(shape: Shape, device: torch.device, dtype: torch.dtype) -> Model:
    """A model of this shape, whose weights are drawn on its device in its dtype."""
    network = empty_network(shape.language, _tower(shape)).to(dtype).to_empty(device=device)
    init_weights(network, torch.Generator(device).manual_seed(0))
    return _model(network, shape)


def with_attention(model: Model, shape: Shape, attention: str) -> Model:
    """A model over the same weights, whose attention is computed by another kernel."""
    language = replace(model.network.language, attention=attention)
    network = empty_network(language, model.network.tower)
    network.load_state_dict(model.network.state_dict(), assign=True)
    return _model(network, shape)


def shaped_request(model: Model, shape: Shape) -> Prepared:
    """Pictures of noise with text before, between and after them."""
    rng = np.random.default_rng(1)
    size = model.network.tower.image_size
    pixels = rng.integers(0, 256, (shape.pictures, size, size, 3), dtype=np.uint8)
    ids = [int(i) for i in rng.integers(0, shape.geometry.vocab - 1, shape.prompt)]
    half = shape.prompt // 2
    marks = [IMAGE_ID] * shape.pictures
    return model.prepare_ids([*ids[:half], *marks, *ids[half:]], [*map(Image.fromarray, pixels)])


def _tower(shape: Shape) -> TowerConfig:
    return TowerConfig(16, 24, 1, 2, image_size=PATCH * shape.side, patch_size=PATCH)


def _model(network: Network, shape: Shape) -> Model:
    """A model without a tokenizer; its mask is the last id of the vocabulary."""
    spec = shape.family.spec("random", network.language)
    spec = replace(spec, mask_id=shape.geometry.vocab - 1, forbidden_ids=())
    preprocessor = ImagePreprocessor(network.tower.image_size, (), "square")
    config = {"model_type": shape.family.model_types[0]}
    return Model(network, shape.family, spec, preprocessor, None, config)
