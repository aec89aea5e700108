"""The picture budget: what the processor's own option saves, and where there is none."""

from typing import Any

import pytest
import torch
from PIL import Image
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from saccade.backbones.hf import WrappedModel, wrap_hf
from saccade.controller import CapabilityError, Controller
from tests.backbones.hf.hf_models import DIFFUSION, QWEN, prompt


class Processor:
    """The class's own picture processor, in front of made-up words."""

    def __init__(self) -> None:
        self.pictures = Gemma4ImageProcessorPil(patch_size=4, pooling_kernel_size=3)

    def __call__(self, images: Any, images_kwargs: Any = None) -> dict[str, Any]:
        made = self.pictures(images, return_tensors="pt", **(images_kwargs or {}))
        (n,) = made.pop("num_soft_tokens_per_image")
        out = prompt(int(n), 5, 7, 1, (91, 92)) | dict(made)
        kinds = torch.zeros_like(out["input_ids"])
        kinds[0, 6 : 6 + int(n)] = 1
        return out | {"mm_token_type_ids": kinds}

    def batch_decode(self, ids: Any, skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return [" ".join(map(str, own)) for own in ids]


def run(wrapped: WrappedModel, budget: int | None) -> Any:
    picture = Image.new("RGB", (200, 160), (90, 120, 30))
    given = wrapped.process(images=picture, picture_budget=budget)
    with Controller("keep", "divprune")(wrapped):
        wrapped.model.generate(**given, max_denoising_steps=2)
    return wrapped.generations[0]


def test_a_smaller_budget_costs_less_in_tower_prompt_and_steps() -> None:
    wrapped = wrap_hf(DIFFUSION.model(), processor=Processor())
    small, plain = run(wrapped, 70), run(wrapped, None)
    assert 40 < small.trace.n_visual <= 70 < plain.trace.n_visual <= 280
    assert small.trace.prepare_macs < plain.trace.prepare_macs / 2
    assert small.trace.macs < plain.trace.macs
    assert small.text == " ".join(map(str, small.tokens))


def test_budgets_that_cannot_be_kept() -> None:
    wrapped = wrap_hf(DIFFUSION.model(), processor=Processor())
    with pytest.raises(ValueError, match="71"):
        run(wrapped, 71)
    with pytest.raises(ValueError, match="give one"):
        wrap_hf(DIFFUSION.model()).process(images=[])
    with pytest.raises(CapabilityError, match="Qwen2_5_VL.* no such option"):
        wrap_hf(QWEN.model(), processor=Processor()).process(images=[], picture_budget=70)
