"""Tokenizers and image processors that come with an object: read, left alone, and checked."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer

import saccade
from saccade import CapabilityError
from saccade.backbones.checkpoints.tokenizer import read_tokenizer
from saccade.backbones.published.companions import own_tokenizer
from tests.backbones.published.held import TILE, dream, llada, words
from tests.golden_sets import golden_params, golden_set
from tests.tiny import tiny_tokenizer

TEXT = "Is 128 > 64? <|endoftext|> costs 3 €."


def test_a_fast_tokenizer_is_copied() -> None:
    ours = tiny_tokenizer()
    ours.enable_truncation(3)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=ours)
    made = own_tokenizer(fast)
    assert made.encode(TEXT, add_special_tokens=False).ids == fast.encode(
        TEXT, add_special_tokens=False, truncation=False
    )
    assert fast.backend_tokenizer is not made and made.truncation is None
    plain = own_tokenizer(ours)
    assert plain is not ours and ours.truncation is not None and plain.truncation is None


class Slow:
    """A tokenizer without a fast twin, as Dream's: it can be written to a folder."""

    def __init__(self, folder: Path, name: str = "", writes: bool = True) -> None:
        self.folder, self.name_or_path, self.writes = folder, name, writes
        found = read_tokenizer(folder)
        assert found is not None
        self.inner: Tokenizer = found
        self.added_tokens_encoder = {"<|mask|>": 404}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=False).ids)

    def save_pretrained(self, folder: str) -> None:
        if self.writes:
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)


class Other(Slow):
    """One that cuts texts in a way of its own."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return super().encode(text)[::-1]


def files() -> list[Path]:
    found = golden_set("lavida_dream")
    return [] if found is None else [found / "tokenizer"]


@pytest.mark.golden
@pytest.mark.parametrize("folder", golden_params("lavida_dream", files()))
def test_a_slow_tokenizer_is_rebuilt_from_its_files(folder: Path) -> None:
    slow = Slow(folder)
    made = own_tokenizer(slow)
    assert made.encode(TEXT, add_special_tokens=False).ids == slow.encode(TEXT)
    assert made.token_to_id("<|mask|>") == 404
    beside = own_tokenizer(Slow(folder, str(folder), writes=False))
    assert beside.get_vocab() == made.get_vocab()
    with pytest.raises(CapabilityError, match="cuts .* differently; give its fast twin"):
        own_tokenizer(Other(folder))
    with pytest.raises(CapabilityError, match=r"no vocab\.json"):
        own_tokenizer(Slow(folder, writes=False))


@pytest.mark.parametrize("given", [3, "gpt2", object()])
def test_what_is_no_tokenizer(given: Any) -> None:
    with pytest.raises(TypeError, match="no tokenizer"):
        saccade.wrap(llada(), given)


def test_a_class_is_no_tokenizer() -> None:
    with pytest.raises(TypeError, match="is a class"):
        saccade.wrap(llada(), transformers.PreTrainedTokenizerFast)


def test_special_ids_come_from_the_tokenizer_and_the_config() -> None:
    assert saccade.wrap(llada(), words()).spec.forbidden_ids == (81, 80, 82, 83)
    assert saccade.wrap(llada(), words()).spec.mask_id == 90
    assert saccade.wrap(dream(mask_token_id=77), words()).spec.mask_id == 77
    assert saccade.wrap(dream(mask_token_id=None), words()).spec.mask_id == 91


def test_without_a_tokenizer_ids_go_in_and_out() -> None:
    wrapped = saccade.wrap(llada())
    assert wrapped.tokenizer is None
    with pytest.raises(CapabilityError, match="no tokenizer"):
        wrapped.generate("What is it?")


def test_processors_are_checked_against_the_tower() -> None:
    model = llada()
    saccade.wrap(model, processor=model.get_vision_tower().image_processor)
    real = transformers.SiglipImageProcessor(size={"height": TILE, "width": TILE})
    saccade.wrap(model, processor=real)
    small = transformers.SiglipImageProcessor(size={"height": 8, "width": 8})
    with pytest.raises(CapabilityError, match=f"8x8 pixels, and the tower reads {TILE}x{TILE}"):
        saccade.wrap(model, processor=small)
    other = SimpleNamespace(size={"shortest_edge": TILE}, image_mean=(0.48, 0.46, 0.41))
    with pytest.raises(CapabilityError, match="image_mean"):
        saccade.wrap(model, processor=other)
    with pytest.raises(TypeError, match="no image processor"):
        saccade.wrap(model, processor=object())


def test_a_processor_may_hold_the_tokenizer() -> None:
    inner = llada().get_vision_tower().image_processor
    whole = SimpleNamespace(image_processor=inner, tokenizer=words())
    wrapped = saccade.wrap(llada(), processor=whole)
    assert wrapped.tokenizer is not None and wrapped.spec.mask_id == 90
