"""What a checkpoint's folder says of itself: read and checked before any weight is."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from saccade.backbones.checkpoints.checkpoint import shard_files
from saccade.backbones.checkpoints.config import check_packing, language_config
from saccade.backbones.checkpoints.headers import Stored, read_headers
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.checkpoints.tokenizer import n_ids, read_tokenizer
from saccade.backbones.checkpoints.tower_files import read_tower_config
from saccade.backbones.families.family import Family
from saccade.backbones.families.registry import family_of
from saccade.backbones.inputs.pinpoints import parse_pinpoints
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.controller.errors import CheckpointError


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A checkpoint whose weights are not read.

    Attributes
    ----------
    folder : Path
    config : dict
        Its ``config.json``.
    family : Family
    language : LanguageConfig
        With the vocabulary that is read.
    tower : TowerConfig
    preprocessor : ImagePreprocessor
    tokenizer : Tokenizer or None
    tensors : tuple of Stored
    stored_vocab : int
        Rows that the config gives the embedding.
    cut : bool
        Whether rows beyond the tokenizer's ids are left out.
    warnings : tuple of str
        What is allowed, but hardly meant.
    """

    folder: Path
    config: dict[str, Any]
    family: Family
    language: LanguageConfig
    tower: TowerConfig
    preprocessor: ImagePreprocessor
    tokenizer: Tokenizer | None
    tensors: tuple[Stored, ...]
    stored_vocab: int
    cut: bool
    warnings: tuple[str, ...]

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding."""
        return bool(self.family.layout.read(self.config).get("tie_word_embeddings"))

    @property
    def loaded_config(self) -> dict[str, Any]:
        """The config of what is loaded, as it is saved: the head is always a matrix of its own."""
        own = self.family.layout.written(
            vocab_size=self.language.vocab_size, tie_word_embeddings=False
        )
        return {**self.config, **own}


def open_folder(folder: Path, *, cut_vocab: bool = True) -> Opened:
    """Read everything of a checkpoint but its weights.

    Raises
    ------
    CheckpointError
        Saying what is missing, damaged or unsupported; whether the tensors fit is not looked at.
    """
    config = read_json(folder / "config.json")
    family = family_of(config, folder)
    check_packing(config, video=family.video, pooled=family.pooled)
    tokenizer = read_tokenizer(folder)
    if tokenizer is not None:
        check_tokens(tokenizer, family, folder)
    language = language_config(config, family.decoder, family.layout)
    tensors = tuple(read_headers(shard_files(folder)))
    tower = read_tower_config(folder, config, tensors, _sides(config))
    stored_vocab, cut = language.vocab_size, tokenizer is not None and cut_vocab
    warnings: tuple[str, ...] = ()
    if tokenizer is not None:
        known = n_ids(tokenizer)
        warnings = _beyond(tokenizer, family, stored_vocab, known)
        if cut:
            language = replace(language, vocab_size=min(stored_vocab, known))
    preprocessor = preprocessor_of(config, tower, family)
    return Opened(
        folder,
        config,
        family,
        language,
        tower,
        preprocessor,
        tokenizer,
        tensors,
        stored_vocab,
        cut,
        warnings,
    )


def check_tokens(tokenizer: Tokenizer, family: Family, where: object) -> None:
    """Refuse a tokenizer that cuts a family's special tokens into pieces.

    Raises
    ------
    CheckpointError
        Naming the tokens.
    """
    broken = []
    for token in family.published_ids:
        ids = tokenizer.encode(token, add_special_tokens=False).ids
        if len(ids) != 1 or ids[0] != tokenizer.token_to_id(token):
            broken.append(f"{token} is {len(ids)} tokens")
    if broken:
        raise CheckpointError(
            f"{where}: the tokenizer does not know special tokens of {family.name}: "
            f"{', '.join(broken)}; add them to tokenizer_config.json (added_tokens_decoder) with "
            "their ids, or take the tokenizer of the published checkpoint"
        )


def _beyond(tokenizer: Tokenizer, family: Family, rows: int, known: int) -> tuple[str, ...]:
    """A warning where the tokenizer has ids without a row."""
    if known <= rows:
        return ()
    special = [t for t in family.published_ids if (tokenizer.token_to_id(t) or 0) >= rows]
    named = f", {', '.join(special)} among them" if special else ""
    return (
        f"the tokenizer has {known} ids and the model {rows} rows: the {known - rows} ids from "
        f"{rows} on can be neither read nor predicted{named}",
    )


def _sides(config: dict[str, Any]) -> list[int]:
    """Sides of the canvas sizes in pixels, where they are written in pixels."""
    given = config.get("image_grid_pinpoints")
    try:
        pairs = parse_pinpoints(given, 1) if given else ()
    except (TypeError, ValueError):
        pairs = ()  # said where they are needed
    return [side for pair in pairs for side in pair]


def preprocessor_of(
    config: dict[str, Any], tower: TowerConfig, family: Family
) -> ImagePreprocessor:
    """How pictures are tiled, by a config."""
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
