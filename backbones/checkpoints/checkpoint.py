"""Checkpoints on disk: configuration, shards, tokenizer; read strictly, written as published."""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from saccade.backbones.checkpoints.config import tower_config
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.tokenizer import ADDED, MERGES, SPECIALS, TOKENIZER, VOCABULARY
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import SO400M, TowerConfig
from saccade.controller.errors import CheckpointError

CONFIG, TOWER_CONFIG = "config.json", "vision_config.json"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_PUBLISHED_TOWER = "model.vision_tower.vision_tower.vision_model."
_OUR_TOWER = re.compile(r"^model\.vision_tower\.vision_tower\.(vision_model\.)?")
_UNUSED = (
    r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",
    rf"{re.escape(_PUBLISHED_TOWER)}(embeddings\.position_ids|head\..*)",
)
"""Keys that some checkpoints store and no model uses, as patterns."""


def read_tower_config(folder: Path, config: Mapping[str, Any]) -> TowerConfig:
    """Geometry of the tower: ``vision_config.json``, ``vision_config`` in the config, the config of
    a tower that lies in the checkpoint's folder (SigLIP's, or its vision part alone), or so400m.

    Raises
    ------
    CheckpointError
        If there is none of these, or one is damaged or not supported.
    """
    if (folder / TOWER_CONFIG).exists():
        return tower_config(read_json(folder / TOWER_CONFIG))
    if isinstance(config.get("vision_config"), dict):
        return tower_config(config["vision_config"])
    name = str(config.get("mm_vision_tower", ""))
    if name and (folder / name / CONFIG).is_file():
        whole = read_json(folder / name / CONFIG)
        part = whole.get("vision_config")
        return tower_config(part if isinstance(part, dict) else whole)
    if "so400m-patch14-384" in name:
        return SO400M
    raise CheckpointError(
        f"{folder}: the vision tower {name!r} is unknown; known is siglip(2)-so400m-patch14-384, "
        f"others need a {TOWER_CONFIG}"
    )


def shard_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: those that its index names, one file, or shards whose
    names say that they are all there.

    Raises
    ------
    CheckpointError
        If there is none, or one is missing.
    """
    if (folder / INDEX).exists():
        places = read_json(folder / INDEX).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(p, str) for p in places.values()):
            raise CheckpointError(f"{folder / INDEX} has no weight_map from keys to file names")
        names = sorted(set(places.values()))
    elif (folder / SINGLE).exists():
        names = [SINGLE]
    else:
        names = _shards_without_index(folder)
    missing = [name for name in names if not (folder / name).exists()]
    if missing or not names:
        raise CheckpointError(f"{folder} lacks {', '.join(missing) or SINGLE}")
    return [folder / name for name in names]


def _shards_without_index(folder: Path) -> list[str]:
    """Names of all shards, of which some may be missing; `SINGLE` where there is none."""
    found = [path.name for path in folder.iterdir() if _SHARD.fullmatch(path.name)]
    totals = {int(name[-17:-12]) for name in found}
    if len(totals) > 1:
        raise CheckpointError(
            f"{folder} holds shards of several checkpoints (of {', '.join(map(str, totals))}) and "
            f"no {INDEX} that says which belong together"
        )
    total = max(totals, default=0)
    return [f"model-{i:05d}-of-{total:05d}.safetensors" for i in range(1, total + 1)] or [SINGLE]


def read_tensors(files: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    """Tensors of several safetensors files, one at a time."""
    for file in files:
        try:
            with safe_open(file, "pt") as shard:
                for name in shard.keys():
                    yield name, shard.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} is damaged or incomplete: {error}") from error


def load_weights(
    network: Network,
    files: Iterable[Path],
    dtype: torch.dtype,
    vocab: int | None,
    tied: bool = False,
    stored_vocab: int | None = None,
) -> None:
    """Fill a network from a checkpoint, strictly.

    Passed over are buffers of rotary and position ids, and of the tower its pooling head and the
    last layer, which published loaders delete. The tower's last norm never runs and may be missing.

    Parameters
    ----------
    network : Network
        Made on the meta device is enough.
    files : iterable of Path
    dtype : torch.dtype
    vocab : int or None
        Cut the embedding and the head to this many rows, as published loaders do with the length of
        their tokenizer; None keeps all.
    tied : bool
        A checkpoint without a head takes the embedding, of which it gets a copy.
    stored_vocab : int, optional
        Of the configuration: with more rows it would lose ids that can be predicted.

    Raises
    ------
    CheckpointError
        Naming keys that are missing or unexpected, tensors of wrong shape or not of floats, another
        vocabulary than the configuration's, or numbers that are not finite in `dtype`.
    """
    wanted = {_published(name): name for name in network.state_dict()}
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    last = rf"{re.escape(_PUBLISHED_TOWER)}encoder\.layers\.{network.tower.n_layers}\..*"
    unused = re.compile("|".join((*_UNUSED, last)))
    found: dict[str, Tensor] = {}
    unexpected, misshapen, whole, endless = [], [], [], []
    for name, value in read_tensors(files):
        if name not in wanted:
            if not unused.fullmatch(name):
                unexpected.append(name)
            continue
        if not value.is_floating_point():
            whole.append(f"{name} {str(value.dtype).removeprefix('torch.')}")
        if vocab is not None and name in (EMBEDDING, HEAD):
            if stored_vocab is not None and len(value) != stored_vocab:
                misshapen.append(f"{name} has {len(value)} rows, vocab_size={stored_vocab}")
            value = value[:vocab].clone()
        own = wanted.pop(name)
        if value.shape != shapes[own]:
            misshapen.append(f"{name} {tuple(value.shape)}, expected {tuple(shapes[own])}")
        else:
            endless += _not_finite(name, value, dtype)
        found[own] = value.to(dtype)
    if tied and HEAD in wanted and EMBEDDING in found:
        found[wanted.pop(HEAD)] = found[EMBEDDING].clone()
    for name in (f"{_PUBLISHED_TOWER}post_layernorm.{part}" for part in ("weight", "bias")):
        if name in wanted:
            own = wanted.pop(name)
            found[own] = torch.zeros(shapes[own], dtype=dtype)
    problems = [
        f"{what} {len(names)}: {', '.join(sorted(names)[:5])}{' ...' * (len(names) > 5)}"
        for what, names in (
            ("missing keys", list(wanted)),
            ("unexpected keys", unexpected),
            ("wrong shapes", misshapen),
            ("not floating point", whole),
            ("not finite", endless),
        )
        if names
    ]
    if problems:
        raise CheckpointError(f"the weights do not fit the configuration; {'; '.join(problems)}")
    network.load_state_dict(found, assign=True)


def _not_finite(name: str, value: Tensor, dtype: torch.dtype) -> list[str]:
    """What is wrong with a tensor that holds no numbers, or some that a type cannot hold."""
    if not value.is_floating_point() or not value.numel():
        return []
    ends = (value.float() if value.element_size() == 1 else value).aminmax()
    largest = max(abs(float(ends.min)), abs(float(ends.max)))
    if not math.isfinite(largest):
        return [f"{name} (damaged: it holds NaN or infinity)"]
    if largest > torch.finfo(dtype).max:
        kind = str(dtype).removeprefix("torch.")
        wider = (
            ": load it as bfloat16 or float32" if largest <= torch.finfo(torch.bfloat16).max else ""
        )
        return [f"{name} (up to {largest:.3g}, beyond {kind}{wider})"]
    return []


def _published(name: str) -> str:
    return _OUR_TOWER.sub(_PUBLISHED_TOWER, name)


def write_checkpoint(
    folder: Path,
    network: Network,
    config: Mapping[str, Any],
    tokenizer: Tokenizer | None,
    max_shard_bytes: int,
) -> None:
    """Write config, shards (with an index if several) and tokenizer under the published names.

    An older checkpoint in the folder is replaced, whatever its shards: the new files are written
    aside, then moved in place, and only then what is left of the old one is removed. So the folder
    may be the one that the network's weights are still mapped from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as aside:
        _write_files(Path(aside), network, config, tokenizer, max_shard_bytes)
        new = {path.name for path in Path(aside).iterdir()}
        for name in sorted(new, key=lambda name: name == INDEX):  # after the shards it names
            os.replace(Path(aside, name), folder / name)
    stale = {path.name for path in folder.iterdir() if _is_ours(path.name)} - new
    for name in sorted(stale, key=lambda name: name != INDEX):  # before the shards it names
        (folder / name).unlink()


def _is_ours(name: str) -> bool:
    tokenizer = (TOKENIZER, VOCABULARY, MERGES, SPECIALS, ADDED)
    return name in (INDEX, SINGLE, *tokenizer) or _SHARD.fullmatch(name) is not None


def _write_files(
    folder: Path,
    network: Network,
    config: Mapping[str, Any],
    tokenizer: Tokenizer | None,
    max_shard_bytes: int,
) -> None:
    for name, content in ((CONFIG, config), (TOWER_CONFIG, _vision_config(network.tower))):
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(str(folder / TOKENIZER))
    tensors = {
        _published(k): v.detach().cpu().contiguous() for k, v in network.state_dict().items()
    }
    shards = _shards(tensors, max_shard_bytes)
    if len(shards) == 1:
        _save_shard(shards[0], folder / SINGLE)
        return
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _save_shard(shard, folder / name)
        weight_map |= dict.fromkeys(shard, name)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _vision_config(tower: TowerConfig) -> dict[str, Any]:
    """A SigLIP configuration with its last layer counted, as published ones do."""
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": tower.hidden_size,
        "intermediate_size": tower.intermediate_size,
        "num_hidden_layers": tower.n_layers + 1,
        "num_attention_heads": tower.n_heads,
        "image_size": tower.image_size,
        "patch_size": tower.patch_size,
        "num_channels": 3,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": tower.layer_norm_eps,
    }


def _save_shard(shard: dict[str, Tensor], path: Path) -> None:
    save_file(shard, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes files only their owner may read


def _shards(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        n = tensor.numel() * tensor.element_size()
        if shards[-1] and size + n > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += n
    return shards
