"""``load``: a checkpoint's folder, hub id or embedded name to a model. None of its code is run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from saccade.backbones.checkpoints.checkpoint import (
    load_weights,
    read_tower_config,
    shard_files,
)
from saccade.backbones.checkpoints.config import check_packing, language_config
from saccade.backbones.checkpoints.hub import fetch
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.text_tower_files import read_text_tower
from saccade.backbones.checkpoints.tokenizer import read_tokenizer
from saccade.backbones.families.family import Family
from saccade.backbones.families.registry import family_of
from saccade.backbones.inputs.pinpoints import parse_pinpoints
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.model import Model
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.controller.errors import CheckpointError, UnknownNameError
from saccade.controller.names import closest, did_you_mean, unknown_name

EMBEDDED = Path(__file__).parent / "embedded"


def embedded_models() -> list[str]:
    """Names of the checkpoints that come with the package, as `load` takes them."""
    return sorted(f"embedded/{path.parent.name}" for path in EMBEDDED.glob("*/config.json"))


def resolve(path_or_repo_id: str | Path, revision: str | None = None) -> Path:
    """Find a checkpoint's folder: embedded, local, or fetched from the hub.

    Raises
    ------
    UnknownNameError
        For an unknown embedded name, listing the known.
    CheckpointError
        If there is no such folder and the hub cannot give it.
    """
    name = str(path_or_repo_id)
    if name.startswith("embedded/"):
        if name not in embedded_models():
            raise UnknownNameError(unknown_name("embedded model", name, embedded_models()))
        return EMBEDDED / name.removeprefix("embedded/")
    folder = Path(path_or_repo_id)
    if folder.is_dir():
        return folder
    looks_local = folder.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1
    if looks_local:
        near = _embedded_meant(name)
        raise CheckpointError(
            f"no checkpoint folder at {name}; {near}give a folder, a hub id (owner/name), or one "
            f"of {', '.join(embedded_models())}"
        )
    try:
        return fetch(name, revision)
    except CheckpointError as error:
        near = _embedded_meant(name)
        raise CheckpointError(f"{error}{near and f'; {near.strip()}'}") from error.__cause__


def _embedded_meant(name: str) -> str:
    """The embedded model that a name means, if it has no owner or a misspelt "embedded"."""
    owner = name.rstrip("/").rpartition("/")[0]
    meant = not owner or closest(owner, ["embedded"]) is not None
    return did_you_mean(name, embedded_models()) if meant else ""


def read_family(path_or_repo_id: str | Path, revision: str | None = None) -> Family:
    """The family of a checkpoint, from its ``config.json`` alone; errors are those of `load`."""
    folder = resolve(path_or_repo_id, revision)
    return family_of(read_json(folder / "config.json"), folder)


def load(
    path_or_repo_id: str | Path,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
    *,
    cut_vocab: bool = True,
    rounded_rotary: bool | None = None,
    weights_via_fp16: bool = False,
    text_tower: str | Path | None = None,
) -> Model:
    """Load a model from the layout of the real checkpoints.

    Parameters
    ----------
    path_or_repo_id : str or Path
        A folder, a hub id such as ``GSAI-ML/LLaDA-V``, or an embedded name such as
        ``embedded/llada-v``.
    dtype : torch.dtype or str, optional
        By default float32 on a CPU and elsewhere the checkpoint's own, or bfloat16 if it names
        none. (The published loader always takes float16.)
    device : torch.device or str, optional
        "cuda" where there is one, else "cpu".
    revision : str, optional
        Branch, tag or commit on the hub.
    cut_vocab : bool
        Cut the vocabulary to the length of the tokenizer, as the published loaders do. Without a
        tokenizer it stays.
    rounded_rotary : bool, optional
        Round the rotary frequencies to bfloat16. By default where the published code does:
        LaViDa-Dream in bfloat16.
    weights_via_fp16 : bool
        Take the weights through float16, as LaViDa's evaluation does before it casts them to
        bfloat16: what is smaller than 2**-24 becomes 0.
    text_tower : str or Path, optional
        Folder of the whole SigLIP that the vision tower comes from, for methods that compare
        patches with the question (``TRIM("text-tower")``). No LLaVA-style checkpoint holds one.

    Raises
    ------
    CheckpointError
        Saying what is missing, unexpected, damaged or unsupported.
    UnknownNameError
        For an unknown embedded name.

    Notes
    -----
    A config that does not say where the newlines of a video go has them in
    every row ("grid").
    """
    folder = resolve(path_or_repo_id, revision)
    config = read_json(folder / "config.json")
    family = family_of(config, folder)
    check_packing(config)
    tokenizer = read_tokenizer(folder)
    language, tower = language_config(config, family.decoder), read_tower_config(folder, config)
    stored_vocab = language.vocab_size
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    kind = _dtype(dtype, config, where)
    cut = tokenizer is not None and cut_vocab
    if tokenizer is not None and cut:
        known = tokenizer.get_vocab_size(with_added_tokens=True)
        language = replace(language, vocab_size=min(language.vocab_size, known))
    if rounded_rotary is None:
        rounded_rotary = family.decoder.rounded_rotary and kind == torch.bfloat16
    if rounded_rotary:
        language = replace(language, rotary=torch.bfloat16)
    tied = bool(config.get("tie_word_embeddings"))
    # What is loaded, so that it is saved as such: the head is always a matrix of its own.
    config |= {"vocab_size": language.vocab_size, "tie_word_embeddings": False}
    network = _empty_network(language, tower)
    stored = torch.float16 if weights_via_fp16 else kind
    vocab = language.vocab_size if cut else None
    load_weights(network, shard_files(folder), stored, vocab, tied, stored_vocab)
    name = str(path_or_repo_id) if "/" in str(path_or_repo_id) else folder.name
    spec = family.spec(name, language, None if tokenizer is None else tokenizer.token_to_id)
    preprocessor = _preprocessor(config, tower, family)
    texts = None if text_tower is None else read_text_tower(text_tower, tower.hidden_size)
    if texts is not None:
        spec = replace(spec, can=spec.can | {"tower:text"})
    model = Model(network.to(where, kind), family, spec, preprocessor, tokenizer, config)
    model.processor.text_tower = texts
    return model


def _empty_network(language: LanguageConfig, tower: TowerConfig) -> Network:
    """A network without weights."""
    with torch.device("meta"):
        return Network(language, tower)


def _dtype(
    dtype: torch.dtype | str | None, config: dict[str, Any], device: torch.device
) -> torch.dtype:
    if dtype is None:
        stored = [config.get(name) for name in ("torch_dtype", "dtype")]  # older name, newer name
        own = next((name for name in stored if name not in (None, "auto")), "bfloat16")
        dtype = "float32" if device.type == "cpu" else own
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        near = did_you_mean(dtype, ("float32", "bfloat16", "float16"))
        raise ValueError(f"dtype={dtype!r}; {near}give float32, bfloat16 or float16")
    return found


def _preprocessor(config: dict[str, Any], tower: TowerConfig, family: Family) -> ImagePreprocessor:
    aspect = str(config.get("image_aspect_ratio") or "square")
    pinpoints = config.get("image_grid_pinpoints")
    anyres = aspect.startswith("anyres")
    if anyres and not pinpoints:
        raise CheckpointError(
            f"config.json: image_aspect_ratio {aspect!r} needs image_grid_pinpoints"
        )
    try:
        pairs = parse_pinpoints(pinpoints, tower.image_size) if anyres and pinpoints else ()
        return ImagePreprocessor(tower.image_size, pairs, aspect, family.rows_first)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"config.json: {error}") from error
