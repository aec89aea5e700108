"""The tensors of a published object as those of a native network: the same storages, under our
names."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from saccade.backbones.network.network import Network
from saccade.backbones.published.refuse import tensors_of
from saccade.controller.errors import CapabilityError

TOWER = "model.vision_tower.vision_tower."
_WITHOUT = re.compile(r"\.base_layer(?=\.)|(?<=^model\.vision_tower\.vision_tower)\.vision_model")
"""Parts of names that say nothing: what a merged adapter lies around, and SigLIP's inner module."""
_ADAPTERS = re.compile(r"\.lora_\w+")
_UNUSED = re.compile(
    rf".*rotary_emb\.(original_)?inv_freq|{re.escape(TOWER)}(embeddings\.position_ids|head\..*)"
)
"""Buffers that are computed anew, and a pooling head that published code cuts off."""
_UNSEEN = re.compile(rf"{re.escape(TOWER)}post_layernorm\.(weight|bias)")
"""A norm that never runs, and may be missing."""
SHOWN = 5


def plain_name(name: str) -> str:
    """A tensor's name, of a published object or a native network, without what says nothing."""
    return _WITHOUT.sub("", name)


def published_tensors(published: nn.Module) -> dict[str, Tensor]:
    """Aliases of all tensors by their `plain_name`: same storage, no gradient, merged adapters
    left out."""
    return {
        plain_name(name): tensor.detach()
        for name, tensor in tensors_of(published)
        if not _ADAPTERS.search(name)
    }


def share(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Make a network without weights use tensors, as they are and where they are.

    Parameters
    ----------
    network : Network
        On the meta device.
    tensors : mapping
        By `plain_name`. They are not copied, and the parameters that they are aliases of keep
        their gradient flags.

    Raises
    ------
    CapabilityError
        If some are missing, unknown, of another shape, or of dtypes that do not go together.
    """
    wanted = {plain_name(name): name for name in network.state_dict()}
    shapes = {plain_name(name): value.shape for name, value in network.state_dict().items()}
    found = {name: tensor for name, tensor in tensors.items() if name in wanted}
    _check_dtypes(found)
    _check_fit(shapes, tensors)
    like = found["lm_head.weight"]
    for name in wanted.keys() - found.keys():
        found[name] = torch.zeros(shapes[name], dtype=like.dtype, device=like.device)
    network.load_state_dict({wanted[n]: t for n, t in found.items()}, assign=True)
    network.requires_grad_(False)
    for module in network.modules():  # index buffers, which no object has to give
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(like.device)


def _check_fit(shapes: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> None:
    """Raise `CapabilityError` unless the tensors are those of a network."""
    missing = [n for n in shapes if n not in tensors and not _UNSEEN.fullmatch(n)]
    unknown = [n for n in tensors if n not in shapes and not _UNUSED.fullmatch(n)]
    other = [
        f"{n} {tuple(tensors[n].shape)}, by its config {tuple(shape)}"
        for n, shape in shapes.items()
        if n in tensors and tensors[n].shape != shape
    ]
    problems = [
        f"{what} {len(names)}: {', '.join(sorted(names)[:SHOWN])}{' ...' * (len(names) > SHOWN)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("wrong shapes", other))
        if names
    ]
    if problems:
        raise CapabilityError(
            f"the object's tensors are not those of its published class; {'; '.join(problems)}. "
            "What was added or cut would not be run: wrap the object as it was published, whole "
            "and on one machine"
        )


def _check_dtypes(tensors: Mapping[str, Tensor]) -> None:
    """Raise `CapabilityError` if the language model, or the tower, has tensors of several dtypes.

    The tower may have another than the rest, as its features are cast. Published code runs other
    mixtures, if at all, only where autocast casts them in every call.
    """
    for what, inside in (("language model", False), ("vision tower", True)):
        dtypes: dict[str, str] = {}
        for name, tensor in tensors.items():
            if name.startswith(TOWER) == inside:
                dtypes.setdefault(str(tensor.dtype).removeprefix("torch."), name)
        if len(dtypes) > 1:
            mixed = ", ".join(f"{dtype} ({name})" for dtype, name in dtypes.items())
            raise CapabilityError(
                f"the {what} is of several dtypes: {mixed}; cast it to one before it is wrapped, "
                "such as model.to(torch.bfloat16)"
            )


def moved(network: Network, published: Any) -> str | None:
    """The first tensor of a published object that is no longer the network's, or None."""
    now = published_tensors(published)
    for name, own in network.named_parameters():
        there = now.get(plain_name(name))
        if there is None:
            if _UNSEEN.fullmatch(plain_name(name)):
                continue
            return name
        same = (there.data_ptr(), there.dtype, there.shape, there.device)
        if same != (own.data_ptr(), own.dtype, own.shape, own.device):
            return name
    return None
