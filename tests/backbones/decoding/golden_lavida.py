"""The recorded LaViDa-Dream set: its model, arrays and prompts."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import saccade
from saccade.backbones import Model, Prepared
from saccade.controller import Segments
from saccade.controller.types import PROMPT, VISUAL
from tests.golden_sets import golden_arrays, golden_json, golden_set

SET = "lavida_dream"


@functools.cache
def model(rounded: bool = False) -> Model:
    """The recorded model, with all rows of its vocabulary, as it was recorded."""
    folder = golden_set(SET)
    assert folder is not None
    return saccade.load(folder, device="cpu", cut_vocab=False, rounded_rotary=rounded)


@functools.cache
def model_with_words() -> Model:
    """The recorded model next to its tokenizer, as real checkpoints lie on disk."""
    folder = golden_set(SET)
    assert folder is not None
    with tempfile.TemporaryDirectory() as aside:
        shutil.copytree(folder, aside, dirs_exist_ok=True)
        for file in (folder / "tokenizer").iterdir():
            shutil.copy(file, Path(aside, file.name))
        return saccade.load(aside, device="cpu")


@functools.cache
def arrays(file: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(a) for name, a in golden_arrays(SET, file).items()}


def prompts() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = golden_json(SET, "prompts.json").get("prompts", {})
    return content


def prepared(source: str) -> Prepared:
    """The prefix of a recorded generate call: "mm" or "text"."""
    if source == "text":
        ids = arrays("text_forward.npz")["input_ids"][0]
        return model().prepare_ids(ids.tolist())
    stored = arrays("mm_forward.npz")
    embeds, visual = stored["inputs_embeds"], stored["image_pos"]
    kinds = torch.full((len(embeds),), PROMPT, dtype=torch.int8)
    kinds[visual] = VISUAL
    images = torch.full((len(embeds),), -1, dtype=torch.int16)
    images[visual] = 0
    return Prepared(embeds, Segments(kinds, images), torch.zeros(len(visual), 2), 1)
