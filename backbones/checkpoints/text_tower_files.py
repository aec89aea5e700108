"""Reading the text tower of a SigLIP checkpoint."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from saccade.backbones.checkpoints.checkpoint import shard_files
from saccade.backbones.checkpoints.config import text_config
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.tokenizer import TOKENIZER, read_tokenizer
from saccade.backbones.network.siglip import SiglipText
from saccade.backbones.network.text_tower import TextTower
from saccade.controller.errors import CheckpointError

PREFIX = "text_model."


def read_text_tower(folder: str | Path, width: int) -> TextTower:
    """The text tower of a SigLIP that has both.

    Parameters
    ----------
    folder : Path
        With ``config.json``, safetensors and ``tokenizer.json``.
    width : int
        Of the vision tower.

    Raises
    ------
    CheckpointError
        If something of it is missing, damaged, or does not fit.
    """
    folder = Path(folder)
    content = read_json(folder / "config.json").get("text_config")
    if not isinstance(content, dict):
        raise CheckpointError(f"{folder}/config.json has no text_config: it is not a whole SigLIP")
    config = text_config(content)
    if config.projection_size != width:
        raise CheckpointError(
            f"{folder}: its questions have {config.projection_size} entries, the vision "
            f"tower's features {width}; give the SigLIP that the vision tower comes from"
        )
    tokenizer = read_tokenizer(folder)
    if tokenizer is None:
        raise CheckpointError(f"{folder / TOKENIZER} cannot be read: there is none")
    network = SiglipText(config)
    weights: dict[str, Tensor] = {}
    for path in shard_files(folder):
        own = load_file(path)
        weights |= {k.removeprefix(PREFIX): own[k] for k in own if k.startswith(PREFIX)}
    try:
        missing = network.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if missing:
        first = PREFIX + missing[0]
        raise CheckpointError(f"{folder} lacks {len(missing)} weights, the first is {first}")
    return TextTower(network, tokenizer, config)
