"""The text tower that was trained with a SigLIP vision tower: how much a patch has to do with a
question."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.backbones.checkpoints.checkpoint import shard_files
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.tokenizer import TOKENIZER, read_tokenizer
from saccade.controller.errors import CheckpointError

PREFIX = "text_model."


class TextTower:
    """Embeds questions into the space of the vision tower's features.

    Parameters
    ----------
    folder : Path
        A SigLIP checkpoint with both towers: ``config.json``, safetensors and ``tokenizer.json``.
    width : int
        Of the vision tower.

    Raises
    ------
    CheckpointError
        If something of it is missing, damaged, or does not fit.
    """

    def __init__(self, folder: str | Path, width: int) -> None:
        from transformers import SiglipTextConfig, SiglipTextModel

        folder = Path(folder)
        config = read_json(folder / "config.json").get("text_config")
        if not isinstance(config, dict):
            raise CheckpointError(f"{folder}/config.json has no text_config: it is no whole SigLIP")
        self.config = SiglipTextConfig(**config)
        if self.config.projection_size != width:
            raise CheckpointError(
                f"{folder}: its questions have {self.config.projection_size} entries, the vision "
                f"tower's features {width}; give the SigLIP that the vision tower comes from"
            )
        tokenizer = read_tokenizer(folder)
        if tokenizer is None:
            raise CheckpointError(f"{folder / TOKENIZER} cannot be read: there is none")
        self.tokenizer = tokenizer
        self.network = SiglipTextModel(self.config).eval()
        weights: dict[str, Tensor] = {}
        for path in shard_files(folder):
            own = load_file(path)
            weights |= {k.removeprefix(PREFIX): own[k] for k in own if k.startswith(PREFIX)}
        inner = cast(nn.Module, getattr(self.network, "text_model", self.network))
        try:
            missing = inner.load_state_dict(weights, strict=False).missing_keys
        except RuntimeError as error:
            raise CheckpointError(f"{folder}: {error}") from error
        missing = [name for name in missing if not name.endswith("position_ids")]
        if missing:
            first = PREFIX + missing[0]
            raise CheckpointError(f"{folder} lacks {len(missing)} weights, the first is {first}")

    @torch.inference_mode()
    def embed(self, question: str) -> Tensor:
        """One embedding (C,) of a question: pooled, and averaged over windows of as many tokens as
        the tower reads at once."""
        ids: Sequence[int] = self.tokenizer.encode(question).ids
        length = self.config.max_position_embeddings
        windows = [list(ids[i : i + length]) for i in range(0, max(1, len(ids)), length)]
        pad = self.config.pad_token_id or 0
        padded = torch.tensor([window + [pad] * (length - len(window)) for window in windows])
        pooled: Tensor = self.network(input_ids=padded).pooler_output
        return pooled.mean(dim=0)


def relevance(features: Tensor, norm: nn.Module, text: Tensor) -> Tensor:
    """Inner products (V, P) of normed features (V, P, C) and a question's embedding (C,)."""
    own: Any = norm
    weight, bias = own.weight.float(), own.bias.float()
    normed = F.layer_norm(features.float(), own.normalized_shape, weight, bias, own.eps)
    return normed @ text.to(normed)
