"""Tiny random models of transformers' own classes, and requests as their processors make them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.models.diffusion_gemma.configuration_diffusion_gemma import (
    DiffusionGemmaTextConfig,
)
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSamplerConfig,
)
from transformers.models.gemma4.configuration_gemma4 import Gemma4VisionConfig

PICTURE, END, PAD = 90, 1, 0
Request = dict[str, Tensor]
SIZES = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 24,
    "patch_size": 4,
}
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
WINDOWS = ["sliding_attention", "sliding_attention", "full_attention"] * 2


@dataclass(frozen=True)
class Kind:
    """A class, how its model is made, and a request for it."""

    make: Callable[[], Any]
    request: Callable[..., Request]

    def model(self, attention: str = "sdpa") -> Any:
        """Always the same one."""
        torch.manual_seed(0)
        model = self.make().eval()
        model.set_attn_implementation(attention)
        model.generation_config.pad_token_id = PAD
        return model


def words(n: int, seed: int) -> Tensor:
    return torch.randint(3, 80, (n,), generator=torch.Generator().manual_seed(seed))


def prompt(n: int, before: int, after: int, seed: int, around: tuple[int, ...]) -> Request:
    """A prompt with one picture of n tokens."""
    first, last = torch.tensor(around[:1]).long(), torch.tensor(around[1:]).long()
    picture = torch.full((n,), PICTURE)
    parts = [words(before, seed), first, picture, last, words(after, seed + 1)]
    ids = torch.cat(parts)[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def pixels(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def qwen_request(
    rows: int = 4, columns: int = 6, before: int = 4, after: int = 6, seed: int = 1
) -> Request:
    out = prompt(rows * columns, before, after, seed, (92, 93))
    out["pixel_values"] = pixels(4 * rows * columns, 3 * 2 * 16, seed=seed)
    out["image_grid_thw"] = torch.tensor([[1, 2 * rows, 2 * columns]])
    out["mm_token_type_ids"] = (out["input_ids"] == PICTURE).long()
    return out


def square_request(before: int = 4, after: int = 6, seed: int = 1) -> Request:
    return prompt(36, before, after, seed, ()) | {"pixel_values": pixels(1, 3, 24, 24, seed=seed)}


def onevision_request(before: int = 4, after: int = 6, seed: int = 1) -> Request:
    own = {
        "pixel_values": pixels(1, 2, 3, 24, 24, seed=seed),
        "image_sizes": torch.tensor([[24, 24]]),
    }
    return prompt(36 + 6 * 7, before, after, seed, ()) | own


def gemma3_request(before: int = 20, after: int = 6, seed: int = 1) -> Request:
    out = prompt(9, before, after, seed, (91, 92))
    kinds = (out["input_ids"] == PICTURE).long()
    return out | {"pixel_values": pixels(1, 3, 24, 24, seed=seed), "token_type_ids": kinds}


def gemma4_request(
    rows: int = 4, columns: int = 6, before: int = 5, after: int = 7, seed: int = 1
) -> Request:
    out = prompt(rows * columns, before, after, seed, (91, 92))
    h, w = 3 * rows, 3 * columns
    grid = torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy")
    out["pixel_values"] = pixels(1, h * w, 48, seed=seed)
    out["image_position_ids"] = torch.stack(grid, -1).reshape(1, -1, 2)
    out["mm_token_type_ids"] = (out["input_ids"] == PICTURE).long()
    return out


def _qwen25() -> Any:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
        "patch_size": 4,
        "window_size": 16,
        "fullatt_block_indexes": [1],
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    config = transformers.Qwen2_5_VLConfig(
        text_config=SIZES | {"rope_parameters": MROPE}, vision_config=vision, **_qwen_tokens()
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def _qwen3() -> Any:
    vision = {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [0, 1, 2],
    }
    rope = MROPE | {"mrope_interleaved": True}
    config = transformers.Qwen3VLConfig(
        text_config=SIZES | {"head_dim": 8, "rope_parameters": rope},
        vision_config=vision,
        **_qwen_tokens(),
    )
    return transformers.Qwen3VLForConditionalGeneration(config)


def _qwen_tokens() -> dict[str, int]:
    return {
        "image_token_id": PICTURE,
        "video_token_id": 94,
        "vision_start_token_id": 92,
        "vision_end_token_id": 93,
    }


def _llava() -> Any:
    config = transformers.LlavaConfig(
        text_config=transformers.Qwen2Config(**SIZES),
        vision_config=transformers.CLIPVisionConfig(projection_dim=32, **VISION),
        image_token_index=PICTURE,
        vision_feature_layer=-1,
    )
    return transformers.LlavaForConditionalGeneration(config)


def _onevision() -> Any:
    config = transformers.LlavaOnevisionConfig(
        text_config=transformers.Qwen2Config(**SIZES),
        vision_config=transformers.SiglipVisionConfig(**VISION),
        image_token_index=PICTURE,
        video_token_index=94,
        image_grid_pinpoints=[[24, 24]],
        vision_feature_layer=-1,
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config)


def _gemma3() -> Any:
    text = {"head_dim": 8, "sliding_window": 32, "query_pre_attn_scalar": 8}
    config = transformers.Gemma3Config(
        text_config=SIZES | text | {"layer_types": WINDOWS},
        vision_config=VISION,
        mm_tokens_per_image=9,
        image_token_index=PICTURE,
        boi_token_index=91,
        eoi_token_index=92,
    )
    return transformers.Gemma3ForConditionalGeneration(config)


GEMMA4_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "patch_size": 4,
    "pooling_kernel_size": 3,
    "position_embedding_size": 64,
}


def _gemma4(**text: Any) -> Any:
    own = {
        "head_dim": 8,
        "global_head_dim": 16,
        "sliding_window": 32,
        "layer_types": WINDOWS,
        "use_bidirectional_attention": "vision",
        "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": 100,
    }
    config = transformers.Gemma4Config(
        text_config=SIZES | own | text,
        vision_config=GEMMA4_VISION,
        audio_config=None,
        image_token_id=PICTURE,
        boi_token_id=91,
        eoi_token_id=92,
        video_token_id=93,
        audio_token_id=94,
    )
    return transformers.Gemma4ForConditionalGeneration(config)


CANVAS = 16


def diffusion_gemma(window: int = 64) -> Any:
    text = DiffusionGemmaTextConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        global_head_dim=16,
        num_global_key_value_heads=1,
        sliding_window=window,
        layer_types=WINDOWS,
        num_experts=8,
        top_k_experts=2,
        moe_intermediate_size=16,
        use_bidirectional_attention="vision",
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    config = transformers.DiffusionGemmaConfig(
        text_config=text,
        vision_config=Gemma4VisionConfig(initializer_range=0.2, **GEMMA4_VISION),
        boi_token_id=91,
        eoi_token_id=92,
        image_token_id=PICTURE,
        canvas_length=CANVAS,
    )
    model = transformers.DiffusionGemmaForBlockDiffusion(config)
    model.generation_config = DiffusionGemmaGenerationConfig(
        max_new_tokens=CANVAS,
        max_denoising_steps=5,
        sampler_config=EntropyBoundSamplerConfig(entropy_bound=15.0),
        t_min=0.4,
        t_max=0.8,
        stability_threshold=1,
        confidence_threshold=0.005,
        eos_token_id=[END],
        pad_token_id=PAD,
    )
    return model


QWEN = Kind(_qwen25, qwen_request)
DIFFUSION = Kind(diffusion_gemma, gemma4_request)
AUTOREGRESSIVE = {
    "qwen2.5-vl": QWEN,
    "qwen3-vl": Kind(_qwen3, qwen_request),
    "llava": Kind(_llava, square_request),
    "llava-onevision": Kind(_onevision, onevision_request),
    "gemma3": Kind(_gemma3, gemma3_request),
    "gemma4": Kind(_gemma4, gemma4_request),
}


def batch(*requests: Request) -> Request:
    """Several requests side by side, filled up on the left; patches of pictures at their end."""
    longest = max(own["input_ids"].shape[1] for own in requests)
    out: dict[str, list[Tensor]] = {name: [] for name in requests[0]}
    for own in requests:
        for name, value in own.items():
            if value.ndim == 2 and len(value) == 1 and value.shape[1] == own["input_ids"].shape[1]:
                value = torch.nn.functional.pad(value, (longest - value.shape[1], 0))
            out[name].append(value)
    most = max((len(value[0]) for value in out.get("image_position_ids", [])), default=0)
    for name, filler in (("pixel_values", 0.0), ("image_position_ids", -1)) if most else ():
        out[name] = [_longer(value, most, filler) for value in out[name]]
    return {name: torch.cat(values) for name, values in out.items()}


def _longer(value: Tensor, n: int, filler: float) -> Tensor:
    return torch.nn.functional.pad(value, (0, 0, 0, n - value.shape[1]), value=filler)
