"""The object's own generate runs under a controller in a block, and is its own again after it."""

import copy
import inspect
import io
import pickle
import re
import threading
from typing import Any

import pytest
import torch

import saccade
from saccade import Controller
from tests.backbones.published.held import MASK, dream, llada, page, words
from tests.backbones.published.llada import LlavaLLaDAModelLM
from tests.tiny import fake_page, tiny_tokenizer

HALF = Controller("after_steps(2, keep=0.25)", "divprune")
SETTINGS: dict[str, Any] = {
    "gen_length": 8,
    "block_length": 8,
    "steps": 4,
    "mask_id": MASK,
}


def ask(model: Any) -> list[list[int]]:
    out: list[list[int]] = model.generate(**page(), **SETTINGS).tolist()
    return out


def test_without_a_controller_the_published_generate_runs() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    assert "generate" not in vars(model) and wrapped.last is None
    assert ask(model) == ask(wrapped)
    assert wrapped.last is not None and wrapped.last.trace.visual_tokens_ratio == 1


def test_in_a_block_the_object_and_the_wrapped_answer_under_the_controller() -> None:
    model = llada()
    wrapped, before = saccade.wrap(model, words()), ask(model)
    plain = ask(wrapped)
    full = wrapped.last
    with HALF(wrapped) as inside:
        assert inside is wrapped
        own = ask(model)
        last = wrapped.last
        assert own == ask(wrapped)
    assert full is not None and last is not None
    assert last.trace.macs < full.trace.macs and last.trace.visual_tokens_ratio < 1
    assert list(last.tokens) == own[0] and last.text == words().decode(own[0])
    assert plain == before == ask(model)
    assert "generate" not in vars(model)
    assert model.generate.__func__ is LlavaLLaDAModelLM.generate


def test_a_bare_controller_changes_nothing() -> None:
    model = llada()
    before = ask(model)
    with Controller("none")(saccade.wrap(model, words())):
        assert ask(model) == before


def test_lavida_drops_in_its_cached_prompt() -> None:
    model = dream()
    wrapped = saccade.wrap(model, words())
    call = page() | {"max_new_tokens": 8, "steps": 8, "temperature": 0, "prefix_lm": True}
    wrapped.generate(**call)
    full = wrapped.last
    with wrapped.attach(HALF):
        out = model.generate(**call)
    assert wrapped.last is not None and full is not None
    assert wrapped.last.trace.macs < full.trace.macs
    assert out.sequences.tolist() == [list(wrapped.last.tokens)] and out.history is None


@pytest.mark.parametrize("pruner", ["tome()", "visionzip()", "fastv()"])
def test_methods_in_the_tower_and_in_layers_work_on_tensors(pruner: str) -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    with Controller("after_share(0, keep=0.5)", pruner)(wrapped):
        ask(model)
    assert wrapped.last is not None and wrapped.last.trace.visual_tokens_ratio < 1


def test_nested_blocks_the_inner_one_wins() -> None:
    model = llada()
    wrapped, published = saccade.wrap(model, words()), ask(model)
    with HALF(wrapped):
        outer = ask(model)
        with Controller("none")(wrapped):
            assert ask(model) == published
        assert ask(model) == outer
        assert wrapped.last is not None and wrapped.last.trace.visual_tokens_ratio < 1
    assert "generate" not in vars(model)


def test_an_exception_in_a_block_gives_the_object_back() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    with pytest.raises(RuntimeError, match="mine"), HALF(wrapped):
        raise RuntimeError("mine")
    with pytest.raises(ValueError, match="block_length"), HALF(wrapped):
        model.generate(**page(), gen_length=8, block_length=3)
    assert "generate" not in vars(model) and wrapped.controller is None


def test_a_controller_that_does_not_fit_attaches_nothing() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    with pytest.raises(saccade.CapabilityError, match="tower:text"):
        wrapped.attach(Controller("after_share(0, keep=0.5)", 'trim("text-tower")'))
    with pytest.raises(TypeError, match="Controller"):
        wrapped.attach("none")  # type: ignore[arg-type]
    assert "generate" not in vars(model)


@pytest.mark.parametrize("wrong", ["auto()", 0, ""])
def test_a_calls_controller_is_one(wrong: Any) -> None:
    wrapped = saccade.wrap(llada(), words())
    with pytest.raises(TypeError, match=re.escape(f"controller={wrong!r}; give a Controller")):
        wrapped.generate(**page(), **SETTINGS, controller=wrong)


def test_two_wrapped_over_one_object_in_any_order() -> None:
    model = llada()
    first, second = saccade.wrap(model, words()), saccade.wrap(model, words())
    published = ask(model)
    one, two = first.attach(HALF), second.attach(Controller("none"))
    assert ask(model) == published and second.last is not None and first.last is None
    one.detach()
    assert ask(model) == published and first.last is None
    two.detach()
    assert "generate" not in vars(model)
    with first.attach(HALF), second.attach(Controller("none")):
        ask(model)
    assert first.last is None and "generate" not in vars(model)


def test_attachments() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    held = wrapped.attach(HALF)
    assert "attached" in repr(held) and held.controller is HALF
    assert wrapped.controller is HALF
    held.detach()
    held.detach()
    assert wrapped.controller is None and "detached" in repr(held)
    with wrapped.attach(HALF) as again:
        assert wrapped.controller is HALF
        again.detach()
        assert "generate" not in vars(model)


def test_attachments_that_end_out_of_order_say_so() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    one, two = wrapped.attach(HALF), wrapped.attach(Controller("none"))
    with pytest.raises(saccade.SaccadeError, match="out of order"):
        one.detach()
    assert "generate" not in vars(model)
    with pytest.raises(saccade.SaccadeError, match="out of order"):
        two.detach()
    assert "generate" not in vars(model) and wrapped.controller is None


def test_threads_in_one_block() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    with HALF(wrapped):
        alone = ask(model)
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(ask(model))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [alone] * 3


def test_threads_pass_a_controller_of_their_own() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    with HALF(wrapped):
        under = ask(model)
    found = wrapped.generate(**page(), **SETTINGS, controller=HALF)
    assert found.tolist() == under and "generate" not in vars(model)


def test_state_and_weights_can_be_stored_in_a_block_the_object_after_it() -> None:
    model = llada()
    wrapped, keys = saccade.wrap(model, words()), list(model.state_dict())
    with HALF(wrapped):
        assert list(model.state_dict()) == keys
        with pytest.raises(saccade.SaccadeError, match="leave the block"):
            copy.deepcopy(model)
        with pytest.raises(saccade.SaccadeError, match="leave the block"):
            pickle.dumps(model)
        shallow = copy.copy(model)
    assert ask(shallow) == ask(model)
    assert ask(copy.deepcopy(model)) == ask(model)
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    assert ask(torch.load(stored, weights_only=False)) == ask(model)


def test_what_stands_there_looks_like_the_published_generate() -> None:
    model = llada()
    signature = inspect.signature(model.generate)
    with HALF(saccade.wrap(model, words())):
        kept: Any = model.generate
        assert inspect.signature(kept) == signature and kept.__name__ == "generate"
        assert "under a controller" in repr(kept)
    assert kept(**page(), **SETTINGS).tolist() == ask(model)


def test_a_generate_that_is_replaced_in_a_block_stays() -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    with HALF(wrapped):
        model.generate = mine = lambda: "mine"
    assert vars(model)["generate"] is mine and wrapped.controller is None


def test_questions_and_pictures_go_to_the_wrapped_model() -> None:
    tokenizer = tiny_tokenizer()
    model = llada(vocab_size=tokenizer.get_vocab_size())
    wrapped = saccade.wrap(model, tokenizer)
    assert wrapped.spec.mask_id == tokenizer.token_to_id("<|mdm_mask|>")
    with HALF(wrapped):
        out = wrapped.generate("What is it?", [fake_page()], gen_length=8, steps=4)
    assert isinstance(out.text, str) and out.trace.visual_tokens_ratio < 1
    assert wrapped.last is None


def test_a_wrapped_model_can_be_saved_and_loaded(tmp_path: Any) -> None:
    model = llada()
    wrapped = saccade.wrap(model, words())
    wrapped.save_pretrained(tmp_path)
    loaded = saccade.load(tmp_path)
    for name, value in loaded.network.state_dict().items():
        assert torch.equal(value, wrapped.network.state_dict()[name])
