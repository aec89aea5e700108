"""A checkpoint's tokenizer: one file, or the vocabulary and merges of Qwen2's kind."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from saccade.backbones.json_files import read_json
from saccade.controller.errors import CheckpointError

TOKENIZER, VOCABULARY, MERGES, SPECIALS = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
)
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts a text before it merges: digits one by one."""


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """The checkpoint's fast tokenizer, or None if it has none.

    Without a ``tokenizer.json`` it is made from ``vocab.json``, ``merges.txt`` and the added tokens
    of ``tokenizer_config.json``, byte-level BPE as Qwen2's and Dream's.

    Raises
    ------
    CheckpointError
        If a file is damaged or missing, or an added token has another id than its files say.
    """
    path = folder / TOKENIZER
    if path.exists():
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise CheckpointError(f"{path} is not a tokenizer: {error}") from error
    elif (folder / VOCABULARY).exists():
        tokenizer = _from_parts(folder)
    else:
        return None
    # A training run's cutting and filling may be stored in the file; a prompt must stay whole.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _from_parts(folder: Path) -> Tokenizer:
    if not (folder / MERGES).exists():
        raise CheckpointError(f"{folder} has {VOCABULARY} but no {MERGES}")
    try:
        model = models.BPE.from_file(str(folder / VOCABULARY), str(folder / MERGES))
    except Exception as error:  # tokenizers raises bare Exception
        raise CheckpointError(
            f"{folder}: {VOCABULARY} and {MERGES} are no vocabulary: {error}"
        ) from error
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    for number, token in _added(folder):
        tokenizer.add_tokens([token])
        if tokenizer.token_to_id(token.content) != number:
            raise CheckpointError(
                f"{folder / SPECIALS}: {token.content!r} has the id {number}, but "
                f"{tokenizer.token_to_id(token.content)} is the next of {VOCABULARY}"
            )
    return tokenizer


def _added(folder: Path) -> list[tuple[int, AddedToken]]:
    """Added tokens by ascending id."""
    path = folder / SPECIALS
    stored: dict[str, dict[str, Any]] = {}
    if path.exists():
        stored = read_json(path).get("added_tokens_decoder") or {}
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    try:
        return sorted(
            (
                (
                    int(number),
                    AddedToken(about["content"], **{f: about.get(f, False) for f in flags}),
                )
                for number, about in stored.items()
            ),
            key=lambda pair: pair[0],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: added_tokens_decoder is damaged: {error!r}") from error
