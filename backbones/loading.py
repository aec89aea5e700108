"""``load``: a checkpoint's folder, hub id or embedded name to a model. None of its code is run."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from saccade.backbones.checkpoints.hub import fetch
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.memory import (
    available,
    check_memory,
    gigabytes,
    name_of,
    needed,
)
from saccade.backbones.checkpoints.placing import DeviceMap, check_there, choose_dtype, place
from saccade.backbones.checkpoints.text_tower_files import read_text_tower
from saccade.backbones.checkpoints.weights import Fit, Progress, fit, read_weights
from saccade.backbones.families.family import Family
from saccade.backbones.families.registry import family_of
from saccade.backbones.model import Model
from saccade.backbones.network.attend import check_attention, check_kernel
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.backbones.opening import Opened, open_folder
from saccade.controller.errors import CheckpointError, UnknownNameError
from saccade.controller.names import closest, did_you_mean, unknown_name

log = logging.getLogger(__name__)
EMBEDDED = Path(__file__).parent / "embedded"


def embedded_models() -> list[str]:
    """Names of the checkpoints that come with the package, as `load` takes them."""
    return sorted(f"embedded/{path.parent.name}" for path in EMBEDDED.glob("*/config.json"))


def resolve(
    path_or_repo_id: str | Path, revision: str | None = None, *, cached: bool = False
) -> Path:
    """Find a checkpoint's folder: embedded, local, or fetched from the hub; with `cached` it must
    have been fetched before.

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
        return fetch(name, revision, cached) if cached else fetch(name, revision)
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


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A checkpoint whose tensors were compared with a network, and not read.

    Attributes
    ----------
    opened : Opened
    network : Network
        Without weights.
    fit : Fit
    """

    opened: Opened
    network: Network
    fit: Fit


def examine(folder: Path, *, cut_vocab: bool = True) -> Examined:
    """Look at a checkpoint as `load` does, without reading a weight.

    Raises
    ------
    CheckpointError
        As `load`, but for problems of the weights: they are in `Examined.fit`.
    """
    opened = open_folder(folder, cut_vocab=cut_vocab)
    network = empty_network(opened.language, opened.tower)
    vocab = opened.language.vocab_size if opened.cut else None
    layout = opened.family.layout
    made = fit(network, opened.tensors, vocab, opened.tied, opened.stored_vocab, layout)
    return Examined(opened, network, made)


def load(
    path_or_repo_id: str | Path,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | int | None = None,
    revision: str | None = None,
    *,
    device_map: DeviceMap | None = None,
    check_memory: bool = True,
    progress: Progress | None = None,
    cut_vocab: bool = True,
    rounded_rotary: bool | None = None,
    weights_via_fp16: bool = False,
    text_tower: str | Path | None = None,
    attention: str = "sdpa",
) -> Model:
    """Load a model from the layout of the real checkpoints.

    Everything but the weights is read and checked first. Then the log says what they take and what
    is free (``saccade.backbones.loading``, INFO), and they are read one by one, each onto its
    device.

    Parameters
    ----------
    path_or_repo_id : str or Path
        A folder, a hub id such as ``GSAI-ML/LLaDA-V``, or an embedded name such as
        ``embedded/llada-v``.
    dtype : torch.dtype or str, optional
        By default ("auto") that in which most of the language model is stored, but float32 where
        that is float16 and the device a CPU. (The published loader always takes float16.)
    device : torch.device, str or int, optional
        By default "cuda" where there is one, else "cpu".
    revision : str, optional
        Branch, tag or commit on the hub.
    device_map : str or mapping, optional
        As transformers takes it, instead of `device`: "auto" (the GPU with the most free memory), a
        device, or a mapping to one device. A model is not spread over several.
    check_memory : bool
        Refuse, before anything is read, what does not fit into the free memory. False tries.
    progress : callable, optional
        Called with (bytes read, all bytes) after every tensor.
    cut_vocab : bool
        Cut the vocabulary to the ids of the tokenizer, as the published loaders do. Without a
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
    attention : "sdpa", "flash" or "eager"
        What computes attention in the language model. "sdpa" is torch's own choice of a kernel,
        and what all published numbers here were made with. "flash" is the package flash-attn, 2 or
        3 (extra ``flash``): on CUDA, in bfloat16 or float16; padding of a batch is left out.
        "eager" writes it out in float32, and holds all scores of a layer at once. They round
        differently.

    Raises
    ------
    CheckpointError
        Saying what is missing, unexpected, damaged, unsupported, or too large.
    UnknownNameError
        For an unknown embedded name.
    ValueError
        For a dtype or a device that there is not, or on which `attention` does not run.
    ImportError
        If `attention` needs a package that is not installed, naming the extra.

    Notes
    -----
    A config that does not say where the newlines of a video go has them in
    every row ("grid").
    """
    check_kernel(attention)
    where = place(device, device_map)
    check_there(where)
    folder = resolve(path_or_repo_id, revision)
    examined = examine(folder, cut_vocab=cut_vocab)
    opened, made = examined.opened, examined.fit
    made.check()
    kind, said = choose_dtype(dtype, made, where)
    check_attention(attention, where, kind, opened.language.head_dim)
    name = str(path_or_repo_id) if "/" in str(path_or_repo_id) else folder.name
    _announce(name, examined, kind, where, said, check_memory)
    network = _settled(examined, kind, rounded_rotary, attention)
    via = torch.float16 if weights_via_fp16 else None
    read_weights(network, made, kind, where, via, progress)
    tokenizer, language = opened.tokenizer, network.language
    spec = opened.family.spec(name, language, None if tokenizer is None else tokenizer.token_to_id)
    texts = None
    if text_tower is not None:
        texts = read_text_tower(text_tower, opened.tower.hidden_size)
        spec = replace(spec, can=spec.can | {"tower:text"})
    model = Model(
        network.to(where, kind),
        opened.family,
        spec,
        opened.preprocessor,
        tokenizer,
        opened.loaded_config,
    )
    model.processor.text_tower = texts
    return model


def _announce(
    name: str,
    examined: Examined,
    kind: torch.dtype,
    where: torch.device,
    said: str,
    strict: bool,
) -> None:
    """Say what is going to be loaded, or that it does not fit."""
    for warning in examined.opened.warnings:
        log.warning("%s: %s", name, warning)
    need, free = needed(examined.network, examined.fit, kind), available(where)
    if strict:
        check_memory(name, need, kind, where)
    there = "" if free is None else f", of {gigabytes(free)} free"
    log.info(
        "loading %s: %s%s as %s on %s%s",
        name,
        said,
        gigabytes(need.total),
        name_of(kind),
        where,
        there,
    )


def _settled(
    examined: Examined, kind: torch.dtype, rounded: bool | None, attention: str
) -> Network:
    """The network without weights, with the rotary frequencies of its dtype and its attention."""
    opened = examined.opened
    if rounded is None:
        rounded = opened.family.decoder.rounded_rotary and kind == torch.bfloat16
    rotary = torch.bfloat16 if rounded else opened.language.rotary
    language = replace(opened.language, rotary=rotary, attention=attention)
    same = language == opened.language
    return examined.network if same else empty_network(language, opened.tower)


def empty_network(language: LanguageConfig, tower: TowerConfig) -> Network:
    """A network without weights, on the meta device."""
    with torch.device("meta"):
        return Network(language, tower)
