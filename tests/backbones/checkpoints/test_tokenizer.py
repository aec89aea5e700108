"""Tokenizers of a checkpoint: one file, or Qwen2's three."""

import json
from pathlib import Path

import pytest
from transformers import Qwen2Tokenizer

from saccade.backbones.checkpoints.tokenizer import read_tokenizer
from saccade.controller import CheckpointError

TEXTS = (
    "Hello, world! It's 1234.",
    "  two  spaces\n\n\nand lines\r\n",
    "ünïcode — naïve ﬁ ½ 数字",
    "cafe\u0301",
    "<|im_start|>user\nWhat?<|im_end|>\n",
)
ADDED = {4: "<|endoftext|>", 5: "<|im_start|>", 6: "<|im_end|>"}


def write(folder: Path, *, first: int = 0) -> Path:
    """A vocabulary of all bytes and a few merges, with added tokens behind it."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    merges = [("l", "l"), ("ll", "o"), ("Ġ", "t"), ("Ġt", "w")]
    vocabulary = {token: i for i, token in enumerate([*letters, *("".join(m) for m in merges)])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (folder / "merges.txt").write_text(lines, encoding="utf-8")
    after = len(vocabulary) + first
    tokens = {
        str(after + i): {"content": token, "special": True, "normalized": False}
        for i, token in enumerate(ADDED.values())
    }
    content = {"added_tokens_decoder": tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_it_cuts_and_merges_as_transformers_does(tmp_path: Path) -> None:
    own = read_tokenizer(write(tmp_path))
    assert own is not None
    theirs = Qwen2Tokenizer.from_pretrained(tmp_path)
    for text in TEXTS[:-1]:
        assert own.encode(text).ids == theirs(text)["input_ids"]
    ids = own.encode(TEXTS[-1]).ids
    assert ids[0] == own.token_to_id("<|im_start|>") and ids[-2] == own.token_to_id("<|im_end|>")
    assert own.decode(own.encode("Hello, two.").ids) == "Hello, two."


@pytest.mark.parametrize("hole", [1, 3, 500])
def test_ids_may_be_left_out_before_added_tokens(hole: int, tmp_path: Path) -> None:
    """The tokens keep their ids; what is left out decodes to nothing, and no text gives it."""
    plain = tmp_path / "plain"
    plain.mkdir()
    without, own = read_tokenizer(write(plain)), read_tokenizer(write(tmp_path, first=hole))
    assert without is not None and own is not None
    stored = json.loads((tmp_path / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    for number, token in stored.items():
        assert own.token_to_id(token["content"]) == int(number)
    first = min(map(int, stored))
    assert own.decode([*own.encode("a").ids, first - 1, *own.encode("b").ids]) == "ab"
    for text in TEXTS:
        ids = without.encode(text).ids
        assert own.encode(text).ids == [i if i < first - hole else i + hole for i in ids]
    again = tmp_path / "again"
    again.mkdir()
    own.save(str(again / "tokenizer.json"))
    saved = read_tokenizer(again)
    assert saved is not None and saved.get_vocab() == own.get_vocab()


def test_a_hole_that_is_a_mistake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has the id \d+, but the vocabulary ends at \d+"):
        read_tokenizer(write(tmp_path, first=10_001))


@pytest.mark.parametrize("first", [-1, -200])
def test_an_added_token_has_the_id_that_is_written(first: int, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'<\|endoftext\|>' has the id \d+, but \d+ is the"):
        read_tokenizer(write(tmp_path, first=first))


def test_tokens_that_only_the_config_adds(tmp_path: Path) -> None:
    """As transformers does where ``tokenizer.json`` was written before they were added."""
    whole = read_tokenizer(write(tmp_path))
    assert whole is not None
    content = json.loads(whole.to_str())
    late = content["added_tokens"].pop()
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    own = read_tokenizer(tmp_path)
    assert own is not None and own.token_to_id(late["content"]) == late["id"]
    for text in TEXTS:
        assert own.encode(text).ids == whole.encode(text).ids
    (tmp_path / "tokenizer_config.json").unlink()
    cut = read_tokenizer(tmp_path)
    assert cut is not None and len(cut.encode(late["content"]).ids) > 1
    (tmp_path / "added_tokens.json").write_text(json.dumps({late["content"]: late["id"]}))
    older = read_tokenizer(tmp_path)
    assert older is not None and older.encode(late["content"]).ids == [late["id"]]


def test_added_tokens_of_an_older_checkpoint(tmp_path: Path) -> None:
    """They stand in a file of ids; those with a role are special: not decoded, not merged."""
    newer = read_tokenizer(write(tmp_path))
    content = json.loads((tmp_path / "tokenizer_config.json").read_text())
    ids = {about["content"]: int(n) for n, about in content["added_tokens_decoder"].items()}
    ids |= {"<plain>": max(ids.values()) + 1}
    (tmp_path / "added_tokens.json").write_text(json.dumps(dict(reversed(ids.items()))))
    roles = {"eos_token": "<|endoftext|>", "unk_token": None, "add_bos_token": False}
    roles["additional_special_tokens"] = ["<|im_start|>", {"content": "<|im_end|>"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(roles))
    older = read_tokenizer(tmp_path)
    assert newer is not None and older is not None
    for text in TEXTS:
        assert older.encode(text).ids == newer.encode(text).ids
        assert older.decode(older.encode(text).ids) == newer.decode(newer.encode(text).ids)
    assert older.encode("a<plain>").ids[-1] == ids["<plain>"]
    assert older.decode(older.encode("a<plain><|im_end|>").ids) == "a<plain>"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("merges.txt", None, "has vocab.json but no merges.txt"),
        ("vocab.json", "{", "vocab.json and merges.txt are not a vocabulary"),
        ("tokenizer_config.json", "{", "is not valid JSON"),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"x": {}}}',
            "added_tokens_decoder is damaged",
        ),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    folder = write(tmp_path)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(folder)


def test_an_id_that_is_no_number_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "tokenizer_config.json").unlink()
    (folder / "added_tokens.json").write_text('{"<x>": "7"}')
    with pytest.raises(CheckpointError, match="the id of '<x>' is '7', no integer"):
        read_tokenizer(folder)


def test_without_any_there_is_none(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path) is None
