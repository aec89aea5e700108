"""Checkpoints on disk: configuration, shards, tokenizer; read strictly, written as published."""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.layout import USUAL, Layout
from saccade.backbones.checkpoints.tokenizer import ADDED, MERGES, SPECIALS, TOKENIZER, VOCABULARY
from saccade.backbones.checkpoints.weights import published
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import TowerConfig
from saccade.controller.errors import CheckpointError

CONFIG, TOWER_CONFIG = "config.json", "vision_config.json"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_PICKLE = re.compile(r".+\.(bin|pt|pth|ckpt)(\.index\.json)?")
_SHOWN = 3
"""Names of files that an error lists."""


def shard_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: those that its index names, one file, or shards whose
    names say that they are all there.

    Raises
    ------
    CheckpointError
        If there is none, or one is missing.
    """
    names = named_files(folder)
    missing = [name for name in names if not (folder / name).exists()]
    if missing or not names:
        links = [name for name in missing if (folder / name).is_symlink()]
        if links:
            raise CheckpointError(
                f"{folder}: {_few(links)} is a link to a file that is not there; fetch it again"
            )
        many = f"{len(missing)} of {len(names)} files: " if len(missing) > _SHOWN else ""
        raise CheckpointError(f"{folder} lacks {many}{_few(missing) or SINGLE}")
    return [folder / name for name in names]


def named_files(folder: Path) -> list[str]:
    """Names of the files that a checkpoint should have; some may be missing.

    Raises
    ------
    CheckpointError
        If nothing says what they are.
    """
    if (folder / INDEX).exists():
        places = read_json(folder / INDEX).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(p, str) for p in places.values()):
            raise CheckpointError(f"{folder / INDEX} has no weight_map from keys to file names")
        names = sorted(set(places.values()))
        _check_inside(folder, names)
        return names
    single = folder / SINGLE
    return [SINGLE] if single.exists() or single.is_symlink() else _shards_without_index(folder)


def _check_inside(folder: Path, names: list[str]) -> None:
    """Refuse an index that leads out of its folder; links inside may lead anywhere."""
    out = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
    if out:
        raise CheckpointError(
            f"{folder / INDEX} names files outside of its folder ({_few(out)}); put or link them "
            "into it, and name them as they stand there"
        )


def _no_weights(folder: Path) -> str:
    """What to do about a folder without a file of weights that is known."""
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if name.endswith(".safetensors")]
    if others:
        return (
            f"{folder} lacks {INDEX}, which says what {_few(others)} hold: copy it from where the "
            f"shards come from, or name a file that holds everything {SINGLE}"
        )
    pickles = [name for name in names if _PICKLE.fullmatch(name) and "training_args" not in name]
    if pickles:
        return (
            f"{folder} lacks {SINGLE}: its weights are pickle ({_few(pickles)}), which may run "
            "code and is not read; convert them where you trust them, with "
            "torch.load(..., weights_only=True) and safetensors.torch.save_file"
        )
    return f"{folder} lacks {SINGLE}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + " ..." * (len(names) > _SHOWN)


def _shards_without_index(folder: Path) -> list[str]:
    """Names of all shards, of which some may be missing."""
    found = [path.name for path in folder.iterdir() if _SHARD.fullmatch(path.name)]
    totals = {int(name[-17:-12]) for name in found}
    if len(totals) > 1:
        raise CheckpointError(
            f"{folder} holds shards of several checkpoints (of {', '.join(map(str, totals))}) and "
            f"no {INDEX} that says which belong together"
        )
    if not totals:
        raise CheckpointError(_no_weights(folder))
    total = max(totals)
    return [f"model-{i:05d}-of-{total:05d}.safetensors" for i in range(1, total + 1)]


def write_checkpoint(
    folder: Path,
    network: Network,
    config: Mapping[str, Any],
    tokenizer: Tokenizer | None,
    max_shard_bytes: int,
    layout: Layout = USUAL,
) -> None:
    """Write config, shards (with an index if several) and tokenizer under the published names.

    An older checkpoint in the folder is replaced, whatever its shards: the new files are written
    aside, then moved in place, and only then what is left of the old one is removed. So the folder
    may be the one that the network's weights are still mapped from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as aside:
        _write_files(Path(aside), network, config, tokenizer, max_shard_bytes, layout)
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
    layout: Layout,
) -> None:
    for name, content in ((CONFIG, config), (TOWER_CONFIG, _vision_config(network.tower))):
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(str(folder / TOKENIZER))
    tensors = {
        layout.key(published(k)): v.detach().cpu().contiguous()
        for k, v in network.state_dict().items()
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
