"""A checkpoint's tokenizer: one file, or the vocabulary and merges of Qwen2's kind."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from saccade.backbones.checkpoints.json_files import read_json
from saccade.controller.errors import CheckpointError

TOKENIZER, VOCABULARY, MERGES, SPECIALS, ADDED = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "added_tokens.json",
)
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts a text before it merges: digits one by one."""


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """The checkpoint's fast tokenizer, or None if it has none.

    Without a ``tokenizer.json`` it is made from ``vocab.json``, ``merges.txt`` and the added tokens
    of ``tokenizer_config.json`` or, in older checkpoints, ``added_tokens.json``: byte-level BPE as
    Qwen2's and Dream's.

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
            f"{folder}: {VOCABULARY} and {MERGES} are not a vocabulary: {error}"
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
                f"{folder}: the added token {token.content!r} has the id {number}, but "
                f"{tokenizer.token_to_id(token.content)} is the next of {VOCABULARY}"
            )
    return tokenizer


def _added(folder: Path) -> list[tuple[int, AddedToken]]:
    """Added tokens by ascending id."""
    path = folder / SPECIALS
    about = read_json(path) if path.exists() else {}
    if about.get("added_tokens_decoder") is None and (folder / ADDED).exists():
        return _added_by_name(folder / ADDED, _special(about))
    stored: dict[str, dict[str, Any]] = about.get("added_tokens_decoder") or {}
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    try:
        found = [
            (int(number), AddedToken(token["content"], **{f: token.get(f, False) for f in flags}))
            for number, token in stored.items()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: added_tokens_decoder is damaged: {error!r}") from error
    return sorted(found, key=lambda pair: pair[0])


def _added_by_name(path: Path, special: set[str]) -> list[tuple[int, AddedToken]]:
    """Added tokens of an older checkpoint, whose file says only which id each has."""
    stored = read_json(path)
    wrong = [name for name, number in stored.items() if type(number) is not int]
    if wrong:
        raise CheckpointError(f"{path}: the id of {wrong[0]!r} is {stored[wrong[0]]!r}, no integer")
    return [
        (number, AddedToken(name, normalized=name not in special, special=name in special))
        for name, number in sorted(stored.items(), key=lambda pair: pair[1])
    ]


def _special(about: dict[str, Any]) -> set[str]:
    """Tokens with a role, such as ``eos_token``; a role may be written with flags or without."""
    further = about.get("additional_special_tokens")
    roles = [token for role, token in about.items() if role.endswith("_token")]
    roles += further if isinstance(further, list) else []
    names = (token.get("content") if isinstance(token, dict) else token for token in roles)
    return {name for name in names if isinstance(name, str)}
