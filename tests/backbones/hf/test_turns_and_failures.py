"""Second turns, what a failing call leaves behind, other threads, and what is refused."""

import copy
import threading
from typing import Any

import pytest
import torch
from transformers import DynamicCache, LogitsProcessorList, StaticCache

from saccade.backbones.hf import wrap_hf
from saccade.controller import (
    BasePolicy,
    CapabilityError,
    Controller,
    Drop,
    Plan,
    PlanError,
    SaccadeError,
    Signals,
    StepState,
)
from tests.backbones.hf.hf_models import AUTOREGRESSIVE, CANVAS, DIFFUSION, QWEN, Kind, words
from tests.backbones.hf.scripted import Script, Spread

HOW: dict[str, Any] = {
    "max_new_tokens": 4,
    "do_sample": False,
    "output_logits": True,
    "return_dict_in_generate": True,
}
DROPS = {0: Plan((Drop(2, 0.25),))}
LATER = {0: Plan(), 2: Plan((Drop(2, 0.25),))}


def state_of(model: Any) -> Any:
    """All that a call could leave behind on a model."""
    hooks = [
        (len(own._forward_hooks), len(own._forward_pre_hooks), own.training)
        for own in model.modules()
    ]
    kernels = [own.config._attn_implementation for own in model.modules() if hasattr(own, "config")]
    return hooks, kernels, sorted(vars(model))


def second_turn(request: dict[str, torch.Tensor], first: Any) -> dict[str, Any]:
    """The conversation so far, and some words more, as callers give it."""
    ids = torch.cat([first.sequences, words(5, 77)[None]], 1)
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "mm_token_type_ids" in request:
        n = ids.shape[1] - request["mm_token_type_ids"].shape[1]
        kinds = torch.nn.functional.pad(request["mm_token_type_ids"], (0, n))
        given["mm_token_type_ids"] = kinds
    return given


@pytest.mark.parametrize("name", ["qwen2.5-vl", "llava", "gemma3"])
@pytest.mark.parametrize("plans", [{0: Plan()}, LATER], ids=["nothing", "hidden"])
def test_a_second_turn_on_the_returned_cache(name: str, plans: dict[int, Plan]) -> None:
    """What was only hidden is all there afterwards, with the controller or without."""
    kind = AUTOREGRESSIVE[name]
    model, request = kind.model(), kind.request()
    wrapped = wrap_hf(model)

    def first(policy: BasePolicy | None) -> Any:
        if policy is None:
            return model.generate(**request, **HOW)
        with Controller(policy, Spread())(wrapped):
            return model.generate(**request, **HOW)

    plain = first(None)
    turn = second_turn(request, plain)
    wanted = model.generate(**turn, past_key_values=plain.past_key_values, **HOW)
    own = first(Script({0: Plan()}))
    again = model.generate(**turn, past_key_values=own.past_key_values, **HOW)
    assert torch.equal(again.sequences, wanted.sequences)
    assert all(map(torch.equal, again.logits, wanted.logits))
    under = first(Script(plans))
    turn = second_turn(request, under)
    bare = first(Script(plans)).past_key_values
    free = model.generate(**turn, past_key_values=bare, **HOW)
    with Controller("keep", "divprune", probe="all")(wrapped):
        steered = model.generate(**turn, past_key_values=under.past_key_values, **HOW)
    assert torch.equal(free.sequences, steered.sequences)
    assert all(map(torch.equal, free.logits, steered.logits))
    assert wrapped.traces[0].n_visual == 0  # the picture belongs to the turn before


def test_a_cache_with_holes_goes_on_under_a_controller_only() -> None:
    model, request = QWEN.model(), QWEN.request()
    wrapped = wrap_hf(model)
    with Controller(Script(DROPS), Spread())(wrapped):
        first = model.generate(**request, **HOW)
    turn = second_turn(request, first)
    with pytest.raises(SaccadeError, match=r"missing from this cache.*attach one"):
        model.generate(**turn, past_key_values=first.past_key_values, **HOW)
    with Controller("keep", "divprune")(wrapped):
        out = model.generate(**turn, past_key_values=first.past_key_values, **HOW)
    keys = wrapped.traces[0].steps[0].keys_per_layer
    n = out.sequences.shape[1] - HOW["max_new_tokens"]
    assert keys == (n, n, *(n - 18,) * 4)


def test_a_callers_own_dynamic_cache_is_filled_in_place() -> None:
    model, request = QWEN.model(), QWEN.request()
    wrapped, memory, plain = wrap_hf(model), DynamicCache(), DynamicCache()
    with Controller("keep", "divprune")(wrapped):
        model.generate(**request, past_key_values=memory, **HOW)
    model.generate(**request, past_key_values=plain, **HOW)
    for own, other in zip(memory.layers, plain.layers, strict=True):
        assert type(own) is type(other) and torch.equal(own.keys, other.keys)


def test_a_second_turn_of_canvases() -> None:
    model, request = DIFFUSION.model(), DIFFUSION.request()
    wrapped, words_ = wrap_hf(model), words(5, 77)[None]
    how: dict[str, Any] = {"max_new_tokens": CANVAS, "eos_token_id": None}

    def turn(first: Any) -> Any:
        ids = torch.cat([first.sequences[:, -CANVAS:], words_], 1)
        torch.manual_seed(1)
        return model.generate(ids, past_key_values=first.past_key_values, **how).sequences

    torch.manual_seed(0)
    plain = model.generate(**request, **how)
    torch.manual_seed(0)
    with Controller(Script({0: Plan()}), Spread())(wrapped):
        own = model.generate(**request, **how)
    assert torch.equal(turn(plain), turn(own))
    torch.manual_seed(0)
    with Controller(Script(DROPS), Spread())(wrapped):
        cut = model.generate(**request, **how)
        turn(cut)
    assert wrapped.traces[0].n_visual == 0 and len(wrapped.traces[0]) > 0


class Failing(BasePolicy):
    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        if state.step == 2:
            raise RuntimeError("the policy failed")
        return Plan((Drop(1, 0.5),))


class Refusing(Spread):
    def select(self, view: Any, n: int) -> Any:
        raise RuntimeError("the pruner failed")


@pytest.mark.parametrize("kind", [QWEN, DIFFUSION], ids=["qwen", "diffusion"])
@pytest.mark.parametrize("parts", [(Failing(), Spread()), (Script(DROPS), Refusing())])
def test_nothing_is_left_behind(kind: Kind, parts: Any) -> None:
    model, request = kind.model(), kind.request()
    torch.manual_seed(0)
    plain = model.generate(**request, max_new_tokens=8)
    before, wrapped = state_of(model), wrap_hf(model)
    with pytest.raises(RuntimeError, match="failed"), Controller(*parts, probe="all")(wrapped):
        model.generate(**request)
    assert state_of(model) == before and wrapped.controller is None
    torch.manual_seed(0)
    again = model.generate(**request, max_new_tokens=8)
    one, other = (getattr(own, "sequences", own) for own in (plain, again))
    assert torch.equal(one, other)
    with Controller(Script(DROPS), Spread())(wrapped):
        model.generate(**request)
        inside = state_of(model)[:2]
    assert state_of(model) == before and inside == before[:2]


def test_nested_controllers_and_one_for_a_single_call() -> None:
    model, request = QWEN.model(), QWEN.request()
    wrapped = wrap_hf(model)
    with Controller(Script(DROPS), Spread())(wrapped):
        with Controller("keep", "divprune")(wrapped):
            model.generate(**request, **HOW)
            assert wrapped.traces[0].visual_tokens_ratio == 1
        model.generate(**request, **HOW)
        assert wrapped.traces[0].visual_tokens_ratio < 1
    plain = wrapped.generate(**request, **HOW)
    wrapped.generate(**request, controller=Controller("keep", "divprune"), **HOW)
    assert len(wrapped.traces[0]) == 4
    assert torch.equal(plain.sequences, model.generate(**request, **HOW).sequences)


def test_another_thread_sees_nothing_of_it() -> None:
    model, request = QWEN.model(), QWEN.request()
    wrapped, inside, done = wrap_hf(model), threading.Event(), threading.Event()
    plain = model.generate(**request, **HOW)

    class Waiting(BasePolicy):
        def plan(self, state: StepState, signals: Signals | None) -> Plan:
            if state.step == 1:
                inside.set()
                assert done.wait(60)
            return Plan((Drop(1, 0.25),))

        def __deepcopy__(self, memo: Any) -> "Waiting":
            return self

    controller, out = Controller(Waiting(), Spread()), []

    def steered() -> None:
        out.append(wrapped.generate(**request, controller=controller, **HOW))

    thread = threading.Thread(target=steered)
    thread.start()
    assert inside.wait(60)
    other = model.generate(**request, **HOW)
    done.set()
    thread.join()
    assert torch.equal(other.sequences, plain.sequences)
    assert all(map(torch.equal, other.logits, plain.logits))
    assert len(out) == 1 and wrapped.traces[0].visual_tokens_ratio < 1


def test_two_wrapped_over_one_model_in_any_order() -> None:
    """The one that was attached last answers; what is left at the end is the model's own."""
    model, request = QWEN.model(), QWEN.request()
    first, second, plain = wrap_hf(model), wrap_hf(model), model.generate(**request, **HOW)
    before = state_of(model)
    drops, keep = Controller(Script(DROPS), Spread()), Controller("keep")
    with first.attach(drops), second.attach(keep):
        assert torch.equal(model.generate(**request, **HOW).sequences, plain.sequences)
        assert first.last is None and second.last is not None
        called = first.generate(**request, **HOW)
    assert first.traces[0].visual_tokens_ratio < 1
    assert not torch.equal(called.logits[0], plain.logits[0])
    one, two = first.attach(drops), second.attach(keep)
    one.detach()
    assert torch.equal(model.generate(**request, **HOW).sequences, plain.sequences)
    two.detach()
    assert state_of(model) == before
    assert torch.equal(model.generate(**request, **HOW).sequences, plain.sequences)


def test_a_model_is_copied_outside_of_a_block_only() -> None:
    model = QWEN.model()
    with Controller("keep")(wrap_hf(model)):
        with pytest.raises(SaccadeError, match="leave the block"):
            copy.deepcopy(model)
    assert "generate" not in vars(copy.deepcopy(model))


def test_a_generate_of_the_models_own_is_called_and_comes_back() -> None:
    model, request, calls = QWEN.model(), QWEN.request(), []
    plain = type(model).generate.__get__(model)

    def counted(*args: Any, **given: Any) -> Any:
        calls.append(len(args))
        return plain(*args, **given)

    model.generate = counted
    with Controller("keep")(wrap_hf(model)) as wrapped:
        model.generate(**request, **HOW)
        wrapped.generate(**request, **HOW)
    assert len(calls) == 2 and model.generate is counted


@pytest.mark.parametrize("other", ["first", "inputs"])
def test_ids_that_are_given_twice(other: str) -> None:
    wrapped, request = wrap_hf(QWEN.model()), QWEN.request()
    ids = request["input_ids"]
    args, named = ((ids,), {}) if other == "first" else ((), {"inputs": ids})
    with pytest.raises(TypeError, match="twice; give them once, as input_ids"):
        wrapped.generate(*args, **named, **request, controller=Controller("keep"))


@pytest.mark.parametrize("kind", [QWEN, DIFFUSION], ids=["qwen", "diffusion"])
def test_a_callers_list_of_processors_stays_as_it_is(kind: Kind) -> None:
    model, own = kind.model(), LogitsProcessorList()
    wrapped = wrap_hf(model)
    with Controller("keep", "divprune")(wrapped):
        for _ in range(2):
            model.generate(**kind.request(), logits_processor=own, max_new_tokens=3)
    assert len(own) == 0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "static": ({"cache_implementation": "static"}, "cache_implementation='static'"),
    "quantized": ({"cache_implementation": "quantized"}, "cache_implementation='quantized'"),
    "offloaded": ({"cache_implementation": "offloaded"}, "cache_implementation='offloaded'"),
    "no cache": ({"use_cache": False}, "use_cache=False"),
    "beams": ({"num_beams": 2}, "beam search"),
    "lookup": ({"prompt_lookup_num_tokens": 3}, "assisted generation"),
    "chunks": ({"prefill_chunk_size": 4}, "prefill_chunk_size=4"),
    "guidance": ({"guidance_scale": 2.0}, "guidance_scale=2.0"),
}


@pytest.mark.parametrize(("given", "words_"), REFUSED.values(), ids=REFUSED)
def test_ways_of_generating_that_cannot_be_controlled(given: dict[str, Any], words_: str) -> None:
    model, before = QWEN.model(), None
    wrapped, before = wrap_hf(model), state_of(model)
    controller = Controller("keep", "divprune")
    with pytest.raises(CapabilityError, match=words_), controller(wrapped):
        model.generate(**QWEN.request(), **given, max_new_tokens=3)
    assert state_of(model) == before


def test_caches_that_cannot_hide_keys() -> None:
    model, controller = QWEN.model(), Controller("keep", "divprune")
    static = StaticCache(config=model.config.get_text_config(), max_cache_len=64)
    with pytest.raises(CapabilityError, match="past_key_values=StaticCache"):
        wrap_hf(model).generate(
            **QWEN.request(), past_key_values=static, controller=controller, max_new_tokens=3
        )
    diffusion = DIFFUSION.model()
    with pytest.raises(CapabilityError, match="cache_implementation='static'"):
        wrap_hf(diffusion).generate(
            **DIFFUSION.request(), cache_implementation="static", controller=controller
        )


def test_an_assistant_is_refused() -> None:
    model, wrapped = QWEN.model(), wrap_hf(QWEN.model())
    with pytest.raises(CapabilityError, match="assisted generation"):
        wrapped.generate(
            **QWEN.request(),
            assistant_model=model,
            controller=Controller("keep", "divprune"),
        )


def test_embeddings_alone_are_refused() -> None:
    wrapped, controller = wrap_hf(QWEN.model()), Controller("keep", "divprune")
    with pytest.raises(CapabilityError, match="needs input_ids"):
        wrapped.generate(inputs_embeds=torch.zeros(1, 4, 32), controller=controller)


def test_models_that_cannot_be_wrapped() -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    small = Qwen2Config(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(CapabilityError, match="Qwen2ForCausalLM is none of.*Qwen2_5_VL"):
        wrap_hf(Qwen2ForCausalLM(small))
    model = QWEN.model()
    model.hf_device_map = {"model.visual": 0, "lm_head": "cpu"}
    with pytest.raises(CapabilityError, match="one device"):
        wrap_hf(model)
    with pytest.raises(CapabilityError, match="not in memory"):
        wrap_hf(QWEN.model().to("meta"))


def test_parts_of_a_controller_that_cannot_be_honoured() -> None:
    wrapped = wrap_hf(QWEN.model())
    for controller, words_ in (
        (Controller("keep", "divprune", positions="compact"), "positions='compact'"),
        (Controller("after_steps(0, keep=0.5, layer=0)", "tome"), "tower:run"),
        (Controller("confident_commits(0.9)", "divprune"), "commit"),
    ):
        with pytest.raises(CapabilityError, match=words_), controller(wrapped):
            pass
        assert "generate" not in vars(wrapped.model) and wrapped.controller is None


def test_a_prompt_that_ends_in_a_picture_keeps_its_last_token() -> None:
    model, request = AUTOREGRESSIVE["llava"].model(), AUTOREGRESSIVE["llava"].request(after=0)
    wrapped = wrap_hf(model)
    controller = Controller(Script({0: Plan((Drop(1, 0.0),))}), Spread())
    with pytest.raises(PlanError, match="let words follow"), controller(wrapped):
        model.generate(**request, **HOW)


def test_a_kernel_without_masks_is_refused() -> None:
    model = QWEN.model()
    wrapped = wrap_hf(model)
    model.config.get_text_config()._attn_implementation = "flex_attention"
    with (
        pytest.raises(CapabilityError, match="set_attn_implementation"),
        Controller("keep", "divprune")(wrapped),
    ):
        pass
