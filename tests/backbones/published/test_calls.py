"""Calls in the published form: every argument does what it did, or says why it cannot."""

from typing import Any

import pytest
import torch
from torch import Tensor

import saccade
from saccade.backbones.published.tables import LAVIDA_DREAM, LLADA_V, CallTable
from tests.backbones.published.held import (
    FORBIDDEN,
    MASK,
    TILE,
    Coder,
    dream,
    llada,
    page,
    prompt,
    views,
    words,
)
from tests.backbones.published.llada import FORBIDDEN as PUBLISHED

LLADA: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 4, "mask_id": MASK}
DREAM: dict[str, Any] = {"max_new_tokens": 8, "steps": 4, "temperature": 0}
BARE = saccade.Controller("none")


def ids(answer: Any) -> list[list[int]]:
    found: list[list[int]] = (answer if isinstance(answer, Tensor) else answer.sequences).tolist()
    return found


def same(model: Any, call: dict[str, Any], seed: int = 3) -> list[list[int]]:
    """What the object answers by its published generate; in a block it answers the same."""
    wrapped = saccade.wrap(model, words())
    torch.manual_seed(seed)
    published = model.generate(**call)
    torch.manual_seed(seed)
    with BARE(wrapped):
        own = model.generate(**call)
    assert type(own) is type(published) and ids(own) == ids(published)
    return ids(own)


CODER = Coder(A=[8], B=[74, 8], S=[3, 4, 5])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps": 8, "block_length": 4},
        {"steps": 16},
        {"cfg_scale": 1.5},
        {"temperature": 0.7},
        {"remasking": "random"},
        {"stopping_criteria": ["A"], "tokenizer": CODER},
        {"stopping_criteria": ["B", "A"], "tokenizer": CODER},
        {"generation_suffix": "S", "tokenizer": CODER},
        {"generation_suffix": "", "stopping_criteria": None},
        {"max_new_tokens": 3, "use_cache": True, "pad_token_id": 1, "do_sample": False},
        {"num_beams": 1, "verbose": True, "cfg": 2.0, "gen_steps": 2, "think_mode": "no_think"},
    ],
)
def test_options_of_llada_v(options: dict[str, Any]) -> None:
    same(llada(), page() | LLADA | options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix_lm": True},
        {"prefix_lm": True, "alg": "topk_margin", "steps": 8},
        {"alg": "maskgit_plus", "top_p": None},
        {"alg": "maskgit_plus", "alg_temp": 0.5},
        {"alg": "origin", "schedule": "shift"},
        {"temperature": 0.8, "top_p": 0.9, "prefix_lm": True},
        {"temperature": 1.0, "top_k": 5, "alg": "entropy"},
        {"top_k": None, "alg": "topk_margin"},
        {"step_ratio": 0.5, "steps": 512},
        {"step_ratio": 0.5, "schedule": "shift", "schedule_kwargs": {"shift": 0.33}, "steps": 9},
        {"step_ratio": 0.5, "schedule": "cosine", "prefix_lm": True},
        {"step_ratio": 0.5, "schedule": "linear", "prefix_lm": True},
        {"eps": 0.2, "steps": 6},
        {"block_length": 4, "step_per_block": 2, "remasking": "x", "cfg_scale": 3.0},
        {"tokenizer": CODER, "stopping_criteria": ["A"], "until": ["x"], "verbose": True},
        {"max_new_tokens": 1, "prefix_lm": True},
    ],
)
def test_options_of_lavida_dream(options: dict[str, Any]) -> None:
    same(dream(), page() | DREAM | options)


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("more", [{}, {"max_new_tokens": 1}, {"step_ratio": 0.5, "steps": 8}])
def test_history(prefix: bool, more: dict[str, Any]) -> None:
    model = dream()
    wrapped = saccade.wrap(model, words())
    call = page() | DREAM | {"prefix_lm": prefix, "output_history": True} | more
    published: Any = model.generate(**call)
    with BARE(wrapped):
        own: Any = model.generate(**call)
    assert [step.tolist() for step in own.history] == [s.tolist() for s in published.history]


def test_defaults_are_the_published_ones() -> None:
    model = llada()
    assert len(same(model, page() | {"mask_id": MASK})[0]) == 128
    lavida = dream()
    assert len(same(lavida, page() | {"max_new_tokens": 8})[0]) > 8  # full mode, drawn


def test_ids_that_the_published_loop_holds_as_numbers() -> None:
    """Whatever a tokenizer says: a small one stands beside a vocabulary of the real size."""
    model = llada(vocab_size=126349)
    model.forbidden = PUBLISHED
    with torch.no_grad():
        model.lm_head.weight[[*PUBLISHED, *FORBIDDEN]] *= 20  # else too many to be predicted
    answer = same(model, page() | LLADA | {"mask_id": 126336, "tokenizer": CODER})[0]
    assert set(answer) & set(FORBIDDEN) and not set(answer) & set(PUBLISHED)
    same(model, page() | {"gen_length": 4, "block_length": 4, "steps": 4})


def test_the_config_says_how_many_of_the_best_tokens_are_left() -> None:
    call = page() | DREAM | {"alg": "topk_margin", "max_new_tokens": 16}
    assert same(dream(top_k=3), call) != same(dream(top_k=None), call)


def test_positional_arguments_and_another_name_for_the_inputs() -> None:
    model, call = llada(), page()
    wrapped = saccade.wrap(model, words())
    published = model.generate(**call, **LLADA)
    given = (call["inputs"], call["images"], call["image_sizes"], ["image"])
    with BARE(wrapped):
        assert torch.equal(model.generate(*given, **LLADA), published)
        rest = {"images": given[1], "image_sizes": given[2]}
        assert torch.equal(model.generate(input_ids=given[0], **rest, **LLADA), published)
    lavida = dream()
    published = lavida.generate(*given, 6, 3, 0, None, 0.0, "maskgit_plus", True)
    with BARE(saccade.wrap(lavida, words())):
        own = lavida.generate(*given, 6, 3, 0, None, 0.0, "maskgit_plus", True)
    assert torch.equal(own.sequences, published.sequences) and len(own.history) == 3


@pytest.mark.parametrize(("held", "options"), [(llada, LLADA), (dream, DREAM)])
@pytest.mark.parametrize("left", [True, False])
def test_padding_is_dropped_on_either_side(held: Any, options: Any, left: bool) -> None:
    model, call = held(), page()
    pad, n = torch.full((1, 3), 81), call["inputs"].shape[1]
    parts = [pad, call["inputs"]] if left else [call["inputs"], pad]
    mask = torch.cat([torch.zeros(1, 3), torch.ones(1, n)], 1)
    padded = call | {
        "inputs": torch.cat(parts, 1),
        "attention_mask": mask if left else mask.flip(1),
    }
    assert same(model, padded | options) == same(model, call | options)
    boolean = padded | {"attention_mask": padded["attention_mask"].bool()}
    assert same(model, boolean | options) == same(model, call | options)


@pytest.mark.parametrize(("held", "options"), [(llada, LLADA), (dream, DREAM)])
def test_texts_keep_all_their_ids(held: Any, options: Any) -> None:
    model = held(tokenizer_model_max_length=4)
    text = {"inputs": prompt(0) % 60, "attention_mask": torch.tensor([[1, 0, 1, 1]])}
    text = {name: value.repeat(1, 3) for name, value in text.items()}
    assert same(model, text | options) != same(model, {"inputs": text["inputs"][:, :4]} | options)


def test_long_prompts_with_pictures_are_cut_as_the_config_says() -> None:
    call = page() | LLADA
    assert same(llada(tokenizer_model_max_length=30), call) != same(llada(), call)
    assert same(llada(tokenizer_model_max_length=None), call) == same(llada(), call)


def test_the_prefix_cache_of_the_published_hook() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    call = page() | LLADA | {"gen_length": 16, "block_length": 8, "steps": 8}
    with BARE(wrapped):
        whole = model.generate(**call)
        assert torch.equal(model.generate(**call, prefix_refresh_interval=1), whole)
        model.generate(**call, prefix_refresh_interval=4)
        assert (
            wrapped.last is not None and wrapped.last.trace.refreshes < wrapped.last.trace.forwards
        )
        model.generate(**call, threshold=1)
        by_rule = wrapped.last
        assert by_rule.trace.refreshes == 2  # every 32 steps of a block
        assert torch.equal(model.generate(**call, factor=1), torch.tensor([by_rule.tokens]))
        with pytest.raises(TypeError, match="threshold and factor"):
            model.generate(**call, threshold=1, factor=1)


def test_the_tokenizer_of_wrap_stands_in_for_the_calls() -> None:
    model = llada()
    call = page() | LLADA | {"stopping_criteria": ["A", [74, 8]]}
    with BARE(saccade.wrap(model)), pytest.raises(TypeError, match="tokenizer"):
        model.generate(**call)
    wrapped = saccade.wrap(model, words())
    named = call | {"stopping_criteria": ["w8"]}
    with BARE(wrapped):
        assert model.generate(**named).tolist() == [[]]
    assert wrapped.last is not None and wrapped.last.text == ""


def sized(model: Any, call: dict[str, Any], message: str, error: type[Exception]) -> None:
    with BARE(saccade.wrap(model, words())), pytest.raises(error, match=message) as raised:
        model.generate(**call)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("more", "message", "error"),
    [
        ({"gen_lenght": 3}, "did you mean gen_length", TypeError),
        ({"inputs_embeds": torch.zeros(1, 2, 3)}, "inputs_embeds.*-200", TypeError),
        ({"prefix_lm": True}, "prefix_refresh_interval", TypeError),
        ({"return_dict_in_generate": True}, "tensor of ids", TypeError),
        ({"position_ids": torch.tensor([[5, 6, 7]])}, "position_ids.*leave them out", ValueError),
        ({"attention_mask": torch.ones(1, 3)}, r"attention_mask.*\(1, 3\).*8 ids", ValueError),
        ({"attention_mask": torch.zeros(1, 8)}, "masks all ids", ValueError),
        ({"inputs": prompt().repeat(2, 1)}, "2 prompts", ValueError),
        ({"inputs": None}, "no inputs", TypeError),
        ({"inputs": prompt().float()}, "float32", TypeError),
        ({"input_ids": prompt()}, "inputs twice", TypeError),
        ({"inputs": torch.tensor([[1, -200, MASK]])}, "mask token 90 at place 2", ValueError),
        ({"inputs": torch.tensor([[1, -200, 96]])}, "outside the vocabulary", ValueError),
        ({"inputs": torch.tensor([[1, -200, -200, -200]])}, "3 image placeholders", ValueError),
        ({"images": None}, "1 image placeholders", ValueError),
        ({"images": []}, "images is empty", ValueError),
        ({"images": "page.png"}, "images is str", TypeError),
        ({"images": [[1, 2]]}, r"images\[0\] is of type list", TypeError),
        ({"images": torch.zeros(3, TILE, TILE)}, r"images is \(3, 16, 16\)", TypeError),
        ({"images": [torch.zeros(2, 3, 8, 8)]}, r"views of 16 pixels", ValueError),
        ({"images": [torch.zeros(5, 3, TILE, TILE).int()]}, "int32.*floats", TypeError),
        ({"image_sizes": None}, "image_sizes has no entry", ValueError),
        ({"image_sizes": [(16, 16)]}, r"5 views.*1 \+ 1x1", ValueError),
        ({"image_sizes": [(0, 16)]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": [40]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": [("40", 30)]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": [(float("nan"), 30)]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": [(float("inf"), 30)]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": [(40.5, 30)]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": [(40, 30, 3)]}, r"image_sizes\[0\]", ValueError),
        ({"image_sizes": 40}, "image_sizes=40; give .*height", ValueError),
        ({"modalities": ["audio"]}, "modalities=.*'image' or 'video'", ValueError),
        ({"modalities": []}, "modalities", ValueError),
        ({"modalities": ["text"]}, r"modalities\[0\]", ValueError),
        ({"stopping_criteria": "A"}, "give a list of texts", TypeError),
        ({"stopping_criteria": [3]}, "stopping_criteria has 3", TypeError),
        ({"mask_id": 400}, "mask_id=400", ValueError),
        ({"block_length": 3}, "block_length", ValueError),
        ({"temperature": "hot"}, "temperature", ValueError),
    ],
)
def test_llada_v_says_what_is_wrong(more: Any, message: str, error: type[Exception]) -> None:
    sized(llada(), page() | LLADA | more, message, error)


@pytest.mark.parametrize(
    ("more", "message", "error"),
    [
        ({"gen_length": 3}, "give max_new_tokens", TypeError),
        ({"max_length": 300}, "give max_new_tokens", TypeError),
        ({"generation_logits_hook_func": print}, "calls no hook", TypeError),
        ({"num_return_sequences": 2}, "once for each answer", TypeError),
        ({"schedule_kwargs": {"steep": 2}}, "schedule_kwargs", TypeError),
        ({"schedule_kwargs": {"shift": 2}, "schedule__shift": 3}, "give one", TypeError),
        ({"schedule__steep": 2}, "schedule__steep", TypeError),
        ({"schedule": "slow"}, "schedule='slow'", ValueError),
        ({"alg": "best"}, "alg='best'", ValueError),
        ({"modalities": ["video"]}, "reads no videos", ValueError),
    ],
)
def test_lavida_dream_says_what_is_wrong(more: Any, message: str, error: type[Exception]) -> None:
    sized(dream(), page() | DREAM | more, message, error)


def test_harmless_values_of_what_is_refused() -> None:
    same(llada(), page() | LLADA | {"return_dict_in_generate": False, "position_ids": None})
    more = {"num_return_sequences": 1, "generation_config": None, "output_scores": False}
    same(dream(), page() | DREAM | more | {"position_ids": torch.arange(8)[None]})


def test_a_shift_on_its_own() -> None:
    model = dream()
    call = page() | DREAM | {"schedule": "shift", "steps": 8}
    call |= {"step_ratio": 0.5, "max_new_tokens": 16}
    with BARE(saccade.wrap(model, words())):
        single = model.generate(**call, schedule__shift=0.33)
        assert ids(single) == ids(model.generate(**call, schedule_kwargs={"shift": 0.33}))


@pytest.mark.parametrize("table", [LLADA_V, LAVIDA_DREAM])
def test_an_argument_is_honoured_ignored_or_refused(table: CallTable) -> None:
    honoured = {*table.defaults, *table.positional}
    assert not honoured & table.ignored and not honoured & table.refused.keys()
    assert not table.ignored & table.refused.keys()


PAIR = [(40, 30), (16, 16)]


def listed() -> list[Tensor]:
    return [views(*size, seed=k) for k, size in enumerate(PAIR)]


@pytest.mark.parametrize(("held", "options"), [(llada, LLADA), (dream, DREAM)])
@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        (listed(), PAIR),
        (tuple(listed()), torch.tensor(PAIR)),
        (torch.stack([views(16, 16, seed=k) for k in range(2)]), [(16, 16), (12, 12)]),
        ([image[0] for image in listed()], PAIR),
        ([image[:1] for image in listed()], None),
        (torch.stack([image[0] for image in listed()]), PAIR),
        (torch.stack([image[0] for image in listed()]), None),
        ([listed()[0], listed()[1][0]], PAIR),
        (listed()[:1], PAIR),
        ([*listed(), views(30, 30)], [*PAIR, (30, 30)]),
    ],
    ids=[
        "list",
        "tuple",
        "stacked",
        "one view each",
        "one view and no sizes",
        "pad",
        "pad and no sizes",
        "mixed",
        "one too few",
        "one too many",
    ],
)
def test_forms_of_pictures(held: Any, options: Any, images: Any, sizes: Any) -> None:
    model = held()
    call = {"inputs": prompt(2), "image_sizes": sizes} | options
    if isinstance(images, tuple):  # the published code takes lists alone
        published = ids(model.generate(images=list(images), **call))
        assert ids(saccade.wrap(model, words()).generate(images=images, **call)) == published
        return
    same(model, call | {"images": images})


def test_videos() -> None:
    frames = views(30, 30)[:3]
    call = {"inputs": prompt(1), "images": [frames], "modalities": ["video"]} | LLADA
    same(llada(), call)
    mixed = call | {"inputs": prompt(2), "images": [frames, listed()[0]]}
    mixed |= {"image_sizes": [(1, 1), PAIR[0]], "modalities": ["video", "image"]}
    same(llada(), mixed)
    single = saccade.wrap(llada(), words()).generate(**call | {"modalities": "video"})
    assert ids(single) == same(llada(), call)


def test_the_config_counts_as_it_is_at_the_call() -> None:
    model = llada()
    wrapped, call = saccade.wrap(model, words()), page((64, 40)) | LLADA
    with BARE(wrapped):
        before = model.generate(**call)
        model.config.image_aspect_ratio = "anyres_max_1"
        under = model.generate(**call)
    assert torch.equal(under, model.generate(**call)) and not torch.equal(under, before)
    model.config.image_aspect_ratio = "pad"
    sized(model, call, "image_aspect_ratio is 'pad'", ValueError)
    model.config.mm_patch_merge_type = "flat"
    single = call | {"images": [call["images"][0][:1]]}
    sized(model, single, "mm_patch_merge_type is 'flat'", ValueError)
