"""A checkpoint's tokenizer: one file, or the vocabulary and merges of Qwen2's kind; and the tokens
that were added to either."""

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
LARGEST_HOLE = 10_000
"""Ids that may be left out before an added token: more are a mistake of the file."""


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """The checkpoint's fast tokenizer, or None if it has none.

    Without a ``tokenizer.json`` it is made from ``vocab.json`` and ``merges.txt``: byte-level BPE
    as Qwen2's and Dream's. In both cases it has the added tokens of ``tokenizer_config.json`` or,
    in older checkpoints, ``added_tokens.json``, with the ids that stand there. Ids that none of the
    files gives a token become special tokens of no meaning, which decode to nothing.

    Raises
    ------
    CheckpointError
        If a file is damaged or missing, or an added token cannot have the id that its file says.
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
    _add(tokenizer, folder)
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
    return tokenizer


def _add(tokenizer: Tokenizer, folder: Path) -> None:
    """Add the tokens that are not there yet, by ascending id."""
    known, end = tokenizer.get_added_tokens_decoder(), n_ids(tokenizer)
    for number, token in _added(folder):
        if number in known and known[number].content == token.content:
            continue
        if number > end and tokenizer.token_to_id(token.content) is None:
            tokenizer.add_tokens(_hole(end, number, folder, token.content))
        tokenizer.add_tokens([token])
        own = tokenizer.token_to_id(token.content)
        if own != number:
            raise CheckpointError(
                f"{folder}: the added token {token.content!r} has the id {number}, but {own} is "
                "the one that it has in the vocabulary, or the next that is free there"
            )
        end = max(end, number + 1)


def _hole(first: int, stop: int, folder: Path, content: str) -> list[AddedToken]:
    """Tokens for the ids that no file gives one, before the added token `content`."""
    if stop - first > LARGEST_HOLE:
        raise CheckpointError(
            f"{folder}: the added token {content!r} has the id {stop}, but the vocabulary ends at "
            f"{first - 1}"
        )
    return [AddedToken(f"<|unused {i}|>", special=True) for i in range(first, stop)]


def n_ids(tokenizer: Tokenizer) -> int:
    """One more than the largest id: the rows that an embedding needs."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


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
