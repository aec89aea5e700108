"""Saccade's own SigLIP against transformers': equal to the last bit in the precisions that people
use, and as near as float64 allows (older releases round its scale of scores otherwise)."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    SiglipTextConfig,
    SiglipTextModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from saccade.backbones import load
from saccade.backbones.network.siglip import SiglipText, SiglipVision
from saccade.backbones.network.sizes import TextConfig, TowerConfig
from saccade.backbones.network.tower import VisionTower

DTYPES = [torch.float32, torch.bfloat16, torch.float64]
TOWERS = [
    TowerConfig(32, 48, 3, 2, image_size=16, patch_size=4),
    TowerConfig(72, 100, 2, 3, image_size=33, patch_size=14),  # 5 pixels that no patch covers
    TowerConfig(144, 538, 1, 2, image_size=70, patch_size=14, layer_norm_eps=1e-3),
    TowerConfig(20, 7, 4, 5, image_size=9, patch_size=9),
]


def named(network: torch.nn.Module) -> dict[str, Tensor]:
    """Tensors by their names without the level that older releases of transformers have."""
    return {re.sub(r"^(vision|text)_model\.", "", k): v for k, v in network.state_dict().items()}


def scattered(network: Any) -> Any:
    """Biases, norms and weights that all matter."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.2, 0.3, generator=generator)
    return network.eval()


def published(config: TowerConfig) -> SiglipVisionModel:
    """transformers' tower with one layer more, whose features published code takes at -2."""
    own = SiglipVisionConfig(
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.n_layers + 1,
        num_attention_heads=config.n_heads,
        image_size=config.image_size,
        patch_size=config.patch_size,
        layer_norm_eps=config.layer_norm_eps,
        vision_use_head=False,
    )
    own._attn_implementation = "sdpa"
    return scattered(SiglipVisionModel(own))


def filled(config: TowerConfig, theirs: SiglipVisionModel) -> VisionTower:
    tower = VisionTower(config)
    stored, last = named(theirs), f"encoder.layers.{config.n_layers}."
    tower.vision_tower.load_state_dict(
        {k: v for k, v in stored.items() if "position_ids" not in k and not k.startswith(last)}
    )
    return tower


def views(config: TowerConfig, count: int, dtype: torch.dtype) -> Tensor:
    size = (count, 3, config.image_size, config.image_size)
    return torch.randn(size, generator=torch.Generator().manual_seed(count)).to(dtype)


def assert_same(given: Tensor, wanted: Tensor) -> None:
    if given.dtype == torch.float64:
        torch.testing.assert_close(given, wanted, atol=1e-11, rtol=1e-11)
    else:
        assert torch.equal(given, wanted)


class Nothing:
    """A reduction that leaves all rows."""

    def bias(self) -> Tensor | None:
        return None

    def __call__(self, layer: int, hidden: Tensor, keys: Tensor) -> Tensor:
        return hidden


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("config", TOWERS, ids=lambda c: f"{c.image_size}-{c.patch_size}")
def test_features_are_those_of_transformers(config: TowerConfig, dtype: torch.dtype) -> None:
    theirs = published(config).to(dtype)
    tower = filled(config, theirs).to(dtype)
    for count in (1, 3):
        pixels = views(config, count, dtype)
        with torch.inference_mode():
            wanted = theirs(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
            assert_same(tower(pixels), wanted)
            assert torch.equal(tower.look(pixels)[0], tower(pixels))
            assert torch.equal(tower.reduced(pixels, Nothing())[0], tower(pixels))


@pytest.mark.parametrize("name", ["llada-v", "lavida-dream", "llava-ar"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_embedded_models_see_what_they_saw(name: str, dtype: torch.dtype) -> None:
    tower = load(f"embedded/{name}", dtype=dtype).network.model.vision_tower
    theirs = published(tower.config)
    own = dict(named(theirs))
    with torch.no_grad():
        for key, value in tower.vision_tower.state_dict().items():
            own[key].copy_(value)
    theirs, pixels = theirs.to(dtype), views(tower.config, 2, dtype)
    with torch.inference_mode():
        wanted = theirs(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        assert_same(tower(pixels), wanted)


def test_gradients_are_those_of_transformers() -> None:
    config = TOWERS[1]
    theirs = published(config)
    tower, pixels = filled(config, theirs), views(config, 2, torch.float32)
    tower(pixels).square().sum().backward()
    theirs(pixel_values=pixels, output_hidden_states=True).hidden_states[
        -2
    ].square().sum().backward()
    parameters = {re.sub(r"^vision_model\.", "", k): p for k, p in theirs.named_parameters()}
    for name, parameter in tower.vision_tower.named_parameters():
        if not name.startswith("post_layernorm"):
            assert parameter.grad is not None and parameters[name].grad is not None
            torch.testing.assert_close(parameter.grad, parameters[name].grad, msg=name)


LAYER = [
    *("layer_norm1", "self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"),
    *("self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2"),
]


def test_names_are_those_of_transformers_and_their_order_stays() -> None:
    """Hashes of models rest on the names, and what seeded weights are on the order."""
    tower = SiglipVision(TOWERS[0])
    mine = [name for name, _ in tower.named_parameters()]
    last = f"encoder.layers.{TOWERS[0].n_layers}."
    theirs = [name for name in named(published(TOWERS[0])) if not name.startswith(last)]
    assert sorted(mine) == sorted(name for name in theirs if "position_ids" not in name)
    assert list(tower.state_dict()) == mine
    layers = [f"encoder.layers.{i}.{name}" for i in range(TOWERS[0].n_layers) for name in LAYER]
    modules = ["embeddings.patch_embedding", *layers, "post_layernorm"]
    ordered = [f"{name}.{part}" for name in modules for part in ("weight", "bias")]
    assert mine == [*ordered[:2], "embeddings.position_embedding.weight", *ordered[2:]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("length", [1, 4, 7])
def test_questions_are_embedded_as_transformers_does(dtype: torch.dtype, length: int) -> None:
    config = TextConfig(24, 40, 3, 2, 19, 36, length=7, pad_id=0, layer_norm_eps=1e-5)
    theirs = scattered(
        SiglipTextModel(
            SiglipTextConfig(
                hidden_size=24,
                intermediate_size=40,
                num_hidden_layers=3,
                num_attention_heads=2,
                vocab_size=19,
                projection_size=36,
                max_position_embeddings=7,
                layer_norm_eps=1e-5,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=1,
                attn_implementation="sdpa",
            )
        )
    ).to(dtype)
    text = SiglipText(config)
    text.load_state_dict({k: v for k, v in named(theirs).items() if "position_ids" not in k})
    ids = torch.randint(19, (3, length), generator=torch.Generator().manual_seed(length))
    with torch.inference_mode():
        wanted = theirs(input_ids=ids).pooler_output
        assert_same(text.to(dtype)(ids), wanted)
