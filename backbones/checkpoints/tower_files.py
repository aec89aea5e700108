"""The geometry of a checkpoint's vision tower: from a config, or from the tensors themselves."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from saccade.backbones.checkpoints.checkpoint import CONFIG, TOWER_CONFIG
from saccade.backbones.checkpoints.config import tower_config
from saccade.backbones.checkpoints.headers import Stored
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.weights import PUBLISHED_TOWER, published
from saccade.backbones.network.sizes import SO400M, TowerConfig
from saccade.controller.errors import CheckpointError


class _Size(NamedTuple):
    """What the tensors of a published SigLIP do not say, by their width."""

    heads: int
    layers: int


SIGLIP = {768: _Size(12, 12), 1024: _Size(16, 24), 1152: _Size(16, 27)}
"""Base, large and so400m, of SigLIP and SigLIP 2 alike."""
_LAYER = re.compile(rf"{re.escape(PUBLISHED_TOWER)}encoder\.layers\.(\d+)\.")
_PATCH = f"{PUBLISHED_TOWER}embeddings.patch_embedding.weight"
_POSITION = f"{PUBLISHED_TOWER}embeddings.position_embedding.weight"
_MLP = f"{PUBLISHED_TOWER}encoder.layers.0.mlp.fc1.weight"


def read_tower_config(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Sequence[Stored] = (),
    sides: Sequence[int] = (),
) -> TowerConfig:
    """Geometry of the tower: ``vision_config.json``, ``vision_config`` in the config, the config of
    a tower that lies in the checkpoint's folder (SigLIP's, or its vision part alone), so400m by its
    name, or what the tensors are.

    Parameters
    ----------
    folder : Path
    config : mapping
    tensors : sequence of Stored
        Of the checkpoint.
    sides : sequence of int
        Of its canvas sizes in pixels, which are multiples of a view's.

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
    found = _from_tensors(tensors, sides, name)
    if found is None:
        raise CheckpointError(
            f"{folder}: the vision tower {name!r} is unknown; known is siglip(2)-so400m-patch14-384"
            f", others need a {TOWER_CONFIG}"
        )
    return found


def _from_tensors(tensors: Sequence[Stored], sides: Sequence[int], name: str) -> TowerConfig | None:
    """What the shapes say; heads and depth are those of the published SigLIP of that width, and
    None where there is none."""
    shapes = {published(tensor.name): tensor.shape for tensor in tensors}
    patches, places, mlp = (shapes.get(key, ()) for key in (_PATCH, _POSITION, _MLP))
    if len(patches) != 4 or len(places) != 2 or len(mlp) != 2 or patches[0] not in SIGLIP:
        return None
    width, patch, side = patches[0], patches[2], math.isqrt(places[0])
    layers = {int(found[1]) for key in shapes if (found := _LAYER.match(key))}
    size = _image_size(sides, name, patch, side)
    known = SIGLIP[width]
    # The last layer of the whole tower never runs; published checkpoints are without it.
    used = min(len(layers), known.layers - 1)
    return TowerConfig(width, mlp[0], used, known.heads, size, patch)


def _image_size(sides: Sequence[int], name: str, patch: int, side: int) -> int:
    """Pixels along a view: patches need not fill it (27 of 14 pixels are 378 of 384), so what the
    canvas sizes are multiples of counts first, then a number in the tower's name."""
    least, most = side * patch, (side + 1) * patch - 1
    named = [int(number) for number in reversed(re.findall(r"\d+", name))]
    candidates = [math.gcd(*sides), *named]
    if (side, patch) == (SO400M.side, SO400M.patch_size):
        candidates.append(SO400M.image_size)
    return next((size for size in candidates if least <= size <= most), least)
