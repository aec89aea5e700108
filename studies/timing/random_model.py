"""A model with random weights, of any size, and a request to it: for timing, not for answers."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.families.llada_v import FAMILY
from saccade.backbones.inputs.chat import IMAGE_ID
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.model import Model
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.backbones.network.tower import init_weights
from saccade.controller.arguments import check_int

PATCH = 4
"""Pixels along a patch of its tiny tower."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the model and of its one request; all are whole numbers from 1.

    Attributes
    ----------
    width, layers, heads, mlp, vocab : int
        Of the decoder: residual stream, depth, attention heads, gated MLP, vocabulary (from 2).
    side : int
        Visual tokens along one side of the picture: there are ``side * side``.
    prompt : int
        Text tokens before the answer, half of them before the picture.
    gen_length, steps : int
        Response tokens, and denoising steps over all blocks.
    block_length : int, optional
        Tokens per block; None is one block.

    Raises
    ------
    ValueError
        Saying what was given and what is allowed.
    """

    width: int = 1024
    layers: int = 8
    heads: int = 8
    mlp: int = 3072
    vocab: int = 256
    side: int = 27
    prompt: int = 64
    gen_length: int = 32
    steps: int = 8
    block_length: int | None = None

    def __post_init__(self) -> None:
        if self.block_length is None:
            object.__setattr__(self, "block_length", self.gen_length)
        for field in fields(self):
            least = 2 if field.name == "vocab" else 1  # the mask and a token to commit
            value = check_int(field.name, getattr(self, field.name), least)
            object.__setattr__(self, field.name, value)
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width={self.width}, heads={self.heads}: the heads must share the width evenly, "
                f"each an even number; try width={2 * self.heads * -(-self.width // self.heads)}"
            )
        GenerateSettings.from_options(self.settings)

    @property
    def visual(self) -> int:
        """Visual tokens N."""
        return self.side**2

    @property
    def length(self) -> int:
        """Rows of a full step."""
        return self.visual + self.prompt + self.gen_length

    @property
    def settings(self) -> dict[str, Any]:
        """Options of `generate`."""
        names = ("gen_length", "block_length", "steps")
        return {name: getattr(self, name) for name in names} | {"seed": 0}


def random_model(
    sizes: Sizes,
    device: torch.device | None = None,
    dtype: str = "float32",
    attention: str = "sdpa",
) -> Model:
    """A LLaDA-V of these sizes with random weights, a tiny tower and no tokenizer.

    Its mask is the last id of the vocabulary. Answers mean nothing; each step costs what it would
    in a trained model of the same geometry.
    """
    language = LanguageConfig(
        sizes.width,
        sizes.mlp,
        sizes.layers,
        sizes.heads,
        sizes.heads,
        sizes.vocab,
        attention=attention,
    )
    tower = TowerConfig(16, 24, 1, 2, image_size=PATCH * sizes.side, patch_size=PATCH)
    network = Network(language, tower)
    init_weights(network, torch.Generator().manual_seed(0))
    # Those of the published vocabulary lie outside of this one.
    spec = replace(FAMILY.spec("random", language), mask_id=sizes.vocab - 1, forbidden_ids=())
    preprocessor = ImagePreprocessor(tower.image_size, (), "square")
    network = network.to(device, getattr(torch, dtype))
    return Model(network, FAMILY, spec, preprocessor, None, {"model_type": FAMILY.model_types[0]})


def random_request(model: Model, sizes: Sizes) -> Prepared:
    """Half of the prompt, a picture of noise, the other half; all ids but the mask may occur."""
    rng = np.random.default_rng(1)
    side = model.network.tower.image_size
    noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    ids = [int(i) for i in rng.integers(0, sizes.vocab - 1, sizes.prompt)]
    half = sizes.prompt // 2
    return model.prepare_ids([*ids[:half], IMAGE_ID, *ids[half:]], [noise])
