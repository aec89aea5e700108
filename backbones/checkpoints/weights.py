"""From the tensors of a checkpoint to a network: what fits, and reading it onto its device."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from saccade.backbones.checkpoints.headers import Stored
from saccade.backbones.checkpoints.layout import USUAL, Layout
from saccade.backbones.network.network import Network
from saccade.controller.errors import CheckpointError

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TOWER = "model.vision_tower.vision_tower."
PUBLISHED_TOWER = f"{TOWER}vision_model."
_ANY_TOWER = re.compile(rf"^{re.escape(TOWER)}(vision_model\.)?")
_UNUSED = (
    r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",
    rf"{re.escape(PUBLISHED_TOWER)}(embeddings\.position_ids|head\..*)",
)
"""Keys that some checkpoints store and no model uses, as patterns."""
Progress = Callable[[int, int], None]
"""Told how many bytes are read, and of how many."""


def published(name: str) -> str:
    """The published name of a tensor; newer writers leave ``vision_model.`` out of the tower's."""
    return _ANY_TOWER.sub(PUBLISHED_TOWER, name)


@dataclass(frozen=True, slots=True)
class Fit:
    """How the tensors of a checkpoint fill a network.

    Attributes
    ----------
    places : mapping of str to Stored
        From a tensor of the network to the stored one.
    rows : int or None
        Rows of the embedding and the head that are read; None for all.
    tied : bool
        The head is a copy of the embedding.
    zeros : tuple of str
        Tensors of the network that never run and are not stored.
    unused : tuple of str
        Stored tensors that no model uses.
    problems : tuple of str
        What does not fit; nothing may be read then.
    """

    places: Mapping[str, Stored]
    rows: int | None
    tied: bool
    zeros: tuple[str, ...]
    unused: tuple[str, ...]
    problems: tuple[str, ...]

    def check(self) -> None:
        """Raise `CheckpointError` if something does not fit."""
        refuse(self.problems)

    def shape(self, own: str) -> tuple[int, ...]:
        """Shape of what is read for a tensor of the network."""
        shape = self.places[own].shape
        cut = self.rows is not None and own in (EMBEDDING, HEAD)
        return (min(shape[0], self.rows), *shape[1:]) if cut and self.rows and shape else shape


def refuse(problems: Iterable[str]) -> None:
    """Raise `CheckpointError` if there are problems."""
    if found := [problem for problem in problems if problem]:
        raise CheckpointError(f"the weights do not fit the configuration; {'; '.join(found)}")


def listed(what: str, names: Iterable[str]) -> str:
    """A problem with its number and first names; "" where there are none."""
    found = sorted(names)
    return f"{what} {len(found)}: {', '.join(found[:5])}{' ...' * (len(found) > 5)}" * bool(found)


def fit(
    network: Network,
    tensors: Iterable[Stored],
    vocab: int | None,
    tied: bool = False,
    stored_vocab: int | None = None,
    layout: Layout = USUAL,
) -> Fit:
    """Compare what is stored with what a network needs, by name, shape and kind.

    Passed over are buffers of rotary and position ids, and of the tower its pooling head and the
    last layer, which published loaders delete. The tower's last norm never runs and may be missing.

    Parameters
    ----------
    network : Network
        On the meta device is enough.
    tensors : iterable of Stored
    vocab : int or None
        Cut the embedding and the head to this many rows, as published loaders do with the length of
        their tokenizer; None keeps all.
    tied : bool
        A checkpoint without a head takes the embedding, of which it gets a copy.
    stored_vocab : int, optional
        Of the configuration: with more rows it would lose ids that can be predicted.
    layout : Layout
    """
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wanted = {layout.key(published(name)): name for name in shapes}
    last = rf"{re.escape(PUBLISHED_TOWER)}encoder\.layers\.{network.tower.n_layers}\..*"
    unused_keys = re.compile("|".join((*_UNUSED, last)))
    places: dict[str, Stored] = {}
    unexpected: list[str] = []
    unused: list[str] = []
    twice: list[str] = []
    for tensor in tensors:
        name = published(tensor.name)
        own = wanted.get(name)
        if own is None:
            (unused if unused_keys.fullmatch(name) else unexpected).append(tensor.name)
        elif own in places:
            twice.append(tensor.name)
        else:
            places[own] = tensor
    missing = set(shapes) - places.keys()
    is_tied = tied and HEAD in missing and EMBEDDING in places
    zeros = {n for n in missing if published(n).startswith(f"{PUBLISHED_TOWER}post_layernorm.")}
    missing -= zeros | ({HEAD} if is_tied else set())
    names = {own: key for key, own in wanted.items()}
    made = Fit(places, vocab, is_tied, tuple(sorted(zeros)), tuple(unused), ())
    problems = (
        listed("missing keys", (names[own] for own in missing)),
        listed("unexpected keys", unexpected),
        listed("keys stored twice", twice),
        listed("wrong shapes", _misshapen(made, shapes, stored_vocab)),
        listed(
            "not floating point",
            (f"{t.name} {t.dtype_name}" for t in places.values() if not t.is_float),
        ),
    )
    return Fit(places, vocab, is_tied, made.zeros, made.unused, tuple(p for p in problems if p))


def _misshapen(
    made: Fit, shapes: Mapping[str, tuple[int, ...]], stored_vocab: int | None
) -> list[str]:
    """Tensors of another shape than the network's, or with other rows than the configuration's."""
    found = []
    for own, tensor in made.places.items():
        rows = tensor.shape[0] if tensor.shape else 0
        cut = made.rows is not None and own in (EMBEDDING, HEAD)
        if cut and stored_vocab is not None and rows != stored_vocab:
            found.append(f"{tensor.name} has {rows} rows, vocab_size={stored_vocab}")
        if made.shape(own) != shapes[own]:
            found.append(f"{tensor.name} {made.shape(own)}, expected {shapes[own]}")
    return found


def read_weights(
    network: Network,
    made: Fit,
    dtype: torch.dtype,
    device: torch.device,
    via: torch.dtype | None = None,
    progress: Progress | None = None,
) -> None:
    """Fill a network, one tensor after the other, each onto its device.

    Parameters
    ----------
    network : Network
        On the meta device is enough.
    made : Fit
        Without problems.
    dtype : torch.dtype
    device : torch.device
        A tensor that stays on the CPU as it is stored stays mapped from its file.
    via : torch.dtype, optional
        Weights are rounded to it first.
    progress : callable, optional
        Called after every tensor with the bytes that are read, and all bytes.

    Raises
    ------
    CheckpointError
        Naming numbers that are not finite in `dtype`, or a file that is damaged.
    """
    made.check()
    found: dict[str, Tensor] = {}
    endless: list[str] = []
    total, done = sum(tensor.n_bytes for tensor in made.places.values()), 0
    for file, names in _by_file(made).items():
        try:
            with safe_open(file, "pt") as shard:
                for own in names:
                    tensor = made.places[own]
                    value = _raw(shard, tensor, made.shape(own))
                    raw = value if device.type == "meta" else value.to(device)
                    endless += _not_finite(tensor.name, raw, via or dtype)
                    rounded = raw if via is None else raw.to(via)
                    found[own] = rounded.to(device, dtype)
                    done += tensor.n_bytes
                    if progress is not None:
                        progress(done, total)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} is damaged or incomplete: {error}") from error
    refuse([listed("not finite", endless)])
    if made.tied:
        found[HEAD] = found[EMBEDDING].clone()
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    for own in made.zeros:
        found[own] = torch.zeros(shapes[own], dtype=dtype, device=device)
    network.load_state_dict(found, assign=True)


def _by_file(made: Fit) -> dict[object, list[str]]:
    files: dict[object, list[str]] = {}
    for own, tensor in made.places.items():
        files.setdefault(tensor.file, []).append(own)
    return files


def _raw(shard: object, tensor: Stored, shape: tuple[int, ...]) -> Tensor:
    """A tensor as it is stored, or its first rows."""
    if shape == tensor.shape:
        whole: Tensor = shard.get_tensor(tensor.name)  # type: ignore[attr-defined]
        return whole
    rows: Tensor = shard.get_slice(tensor.name)[: shape[0]]  # type: ignore[attr-defined]
    return rows


def _not_finite(name: str, value: Tensor, dtype: torch.dtype) -> list[str]:
    """What is wrong with a tensor that holds no numbers, or some that a type cannot hold."""
    if not value.numel():
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
