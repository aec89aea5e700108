"""Random checkpoints in the layouts of those that people download."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from saccade.backbones import Model
from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as DREAM
from saccade.backbones.families.lavida_llada import FAMILY as LAVIDA_LLADA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as ONEVISION
from tests.backbones.checkpoints.checkpoints import SINGLE, edit_json, edit_weights
from tests.tiny import TOWER, tiny_model

TILE = TOWER.image_size
GRID = [[TILE * a, TILE * b] for a in range(1, 7) for b in range(1, 7)]
NOISE = {f"a_field_nobody_reads_{i}": i for i in range(30)}
AUTO_MAP = {"AutoModelForCausalLM": "modeling_that_is_not_there.Model"}


def bf16(family: Family, seed: int = 0) -> Model:
    own = tiny_model(tokenizer=True, family=family, seed=seed)
    own.network.to(torch.bfloat16)
    return own


def llada_v(folder: Path) -> Model:
    """Shards with an index, code that is not there, 36 canvas sizes."""
    own = bf16(LLADA_V)
    own.save_pretrained(folder, max_shard_bytes=10_000)
    edit_json(
        folder / "config.json",
        architectures=[LLADA_V.architecture],
        auto_map=AUTO_MAP,
        image_grid_pinpoints=GRID,
        image_aspect_ratio="anyres_max_4",
        mm_vision_select_layer=-2,
        mm_vision_select_feature="patch",
        **NOISE,
    )
    return own


def lavida_dream(folder: Path) -> Model:
    """Its tokenizer in three files, a tower of somebody's own disk."""
    own = bf16(DREAM)
    own.save_pretrained(folder, max_shard_bytes=10_000)
    edit_json(
        folder / "config.json",
        architectures=[DREAM.architecture],
        mm_vision_tower="/data0/somebody/siglip",
        image_aspect_ratio="anyres",
        **NOISE,
    )
    split_tokenizer(folder)
    return own


def lavida_llada(folder: Path) -> Model:
    own = bf16(LAVIDA_LLADA)
    own.save_pretrained(folder, max_shard_bytes=10_000)
    edit_json(
        folder / "config.json",
        architectures=[LAVIDA_LLADA.architecture],
        image_aspect_ratio="anyres",
        **{usual: ... for usual in LAVIDA_LLADA.layout.fields if usual != "vocab_size"},
    )
    return own


def onevision(folder: Path, model_type: str = "llava") -> Model:
    """Another ``model_type``, a setting of videos, and a head that is the embedding."""
    own = bf16(ONEVISION)
    with torch.no_grad():
        own.network.lm_head.weight.copy_(own.network.model.embed_tokens.weight)
    own.save_pretrained(folder)
    edit_weights(folder / SINGLE, lambda tensors: tensors.pop("lm_head.weight"))
    edit_json(
        folder / "config.json",
        model_type=model_type,
        architectures=[ONEVISION.architecture],
        mm_newline_position="one_token",
        image_aspect_ratio="anyres_max_9",
        image_grid_pinpoints=GRID,
        tie_word_embeddings=True,
        use_sliding_window=False,
    )
    return own


def split_tokenizer(folder: Path) -> None:
    """A ``tokenizer.json`` as the three files of Qwen2's and Dream's slow tokenizers."""
    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    content = json.loads(words.to_str())
    (folder / "vocab.json").write_text(json.dumps(content["model"]["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    added: dict[str, Any] = {token["content"]: token["id"] for token in content["added_tokens"]}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    special = [token["content"] for token in content["added_tokens"] if token["special"]]
    roles = {"additional_special_tokens": special}
    (folder / "tokenizer_config.json").write_text(json.dumps(roles))
    (folder / "tokenizer.json").unlink()


LAYOUTS = {
    "LLaDA-V": llada_v,
    "LaViDa-Dream": lavida_dream,
    "LaViDa-LLaDA": lavida_llada,
    "LLaVA over Qwen2": onevision,
}
