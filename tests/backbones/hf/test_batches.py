"""What a sequence gets does not depend on what else is in its batch."""

from typing import Any, ClassVar

import pytest
import torch

from saccade.backbones.hf import wrap_hf
from saccade.controller import BasePolicy, Controller, Drop, Plan, Signals, StepState
from tests.backbones.hf.hf_models import (
    AUTOREGRESSIVE,
    CANVAS,
    DIFFUSION,
    QWEN,
    Kind,
    Request,
    batch,
)
from tests.backbones.hf.scripted import Fewer, Script

HOW: dict[str, Any] = {
    "max_new_tokens": 5,
    "do_sample": False,
    "output_logits": True,
    "return_dict_in_generate": True,
}
PLANS = {
    "at the entry": {0: Plan((Drop(0, 0.5),))},
    "before a layer": {0: Plan((Drop(2, 0.5),))},
    "later": {0: Plan(), 2: Plan((Drop(2, 0.5),))},
    "skipping": {0: Plan(bypass=frozenset({1, 4}))},
    "back again": {0: Plan((Drop(1, 0.5),)), 2: Plan()},
}


def run(model: Any, request: Request, policy: BasePolicy) -> Any:
    wrapped = wrap_hf(model)
    with Controller(policy, Fewer(), probe="all")(wrapped):
        return model.generate(**request, **HOW), wrapped.traces


def check_equal(model: Any, requests: list[Request], policy: BasePolicy) -> None:
    together, traces = run(model, batch(*requests), policy)
    for i, request in enumerate(requests):
        alone, (trace,) = run(model, request, policy)
        for one, other in zip(alone.logits, together.logits, strict=True):
            assert (one[0] - other[i]).abs().max() < 1e-4
        for own, other in zip(trace, traces[i], strict=True):
            for name in ("visual_per_layer", "rows_per_layer", "keys_per_layer", "kept", "macs"):
                assert getattr(own, name) == getattr(other, name), name
            for name in ("attention_visual", "attention_response", "received", "confidence"):
                torch.testing.assert_close(
                    getattr(own.signals, name),
                    getattr(other.signals, name),
                    atol=1e-5,
                    rtol=1e-4,
                    equal_nan=True,
                )


@pytest.mark.parametrize("plans", PLANS.values(), ids=PLANS)
def test_unequal_prompts(plans: dict[int, Plan]) -> None:
    sizes = ((4, 6, 4), (3, 4, 9), (2, 8, 6))
    requests = [QWEN.request(r, c, before=b, seed=b) for r, c, b in sizes]
    check_equal(QWEN.model(), requests, Script(plans))


@pytest.mark.parametrize("plans", [PLANS["at the entry"], PLANS["before a layer"]])
def test_prompts_of_one_length_that_lose_unequally(plans: dict[int, Plan]) -> None:
    """There is no mask from which the kernel could learn which keys come later."""
    requests = [QWEN.request(4, 6, 4, 6, 1), QWEN.request(2, 8, 8, 10, 2)]
    assert len({own["input_ids"].shape[1] for own in requests}) == 1
    check_equal(QWEN.model(), requests, Script(plans))


@pytest.mark.parametrize("name", ["qwen3-vl", "llava", "llava-onevision", "gemma3", "gemma4"])
def test_other_classes(name: str) -> None:
    kind: Kind = AUTOREGRESSIVE[name]
    requests = [kind.request(before=b, seed=b) for b in (22, 25)]
    check_equal(kind.model(), requests, Script(PLANS["before a layer"]))


class OnceForLarge(BasePolicy):
    """Asks for the prompt again in the third step, of sequences with many visual tokens."""

    reads: ClassVar[frozenset[str]] = frozenset({"received"})

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        seen = None if signals is None else signals.received
        large = seen is not None and len(seen) > 20
        if large and state.step >= 2:
            return Plan()
        return Plan((Drop(2, 0.5),))


def test_only_the_sequence_that_asks_is_computed_again() -> None:
    requests = [QWEN.request(4, 6), QWEN.request(3, 4, before=9, seed=5)]
    model = QWEN.model()
    _, traces = run(model, batch(*requests), OnceForLarge())
    assert [own.refreshed for own in traces[0]] == [True, False, True, False, False]
    assert [own.refreshed for own in traces[1]] == [True, False, False, False, False]
    check_equal(model, requests, OnceForLarge())


@pytest.mark.parametrize("plans", [PLANS["before a layer"], PLANS["at the entry"]])
def test_canvases(plans: dict[int, Plan]) -> None:
    """The first step from given canvases, as random numbers are drawn for a whole batch."""
    model, wrapped = DIFFUSION.model(), None
    wrapped = wrap_hf(model)
    requests = [DIFFUSION.request(r, c, b, seed=b) for r, c, b in ((4, 6, 5), (3, 4, 9))]
    canvases = torch.randint(0, 90, (2, CANVAS), generator=torch.Generator().manual_seed(0))
    how = {"max_new_tokens": CANVAS, "max_denoising_steps": 1}
    with Controller(Script(plans), Fewer(), probe="all")(wrapped):
        model.generate(**batch(*requests), decoder_input_ids=canvases, **how)
        together = wrapped.traces
        for i, request in enumerate(requests):
            model.generate(**request, decoder_input_ids=canvases[i : i + 1], **how)
            (own,), (other,) = wrapped.traces[0].steps, together[i].steps
            assert own.visual_per_layer == other.visual_per_layer and own.kept == other.kept
            assert own.macs == other.macs
            for name in ("confidence", "entropy", "attention_visual", "received"):
                one, both = getattr(own.signals, name), getattr(other.signals, name)
                torch.testing.assert_close(one, both, atol=1e-4, rtol=1e-3)


def test_an_answer_that_ends_earlier_is_recorded_to_its_end() -> None:
    model = QWEN.model()
    requests = [QWEN.request(4, 6), QWEN.request(3, 4, before=9, seed=5)]
    free = model.generate(**batch(*requests), **HOW)
    end = int(free.sequences[0, -3])
    how = HOW | {"eos_token_id": end}
    wrapped = wrap_hf(model)
    plain = model.generate(**batch(*requests), **how)
    with Controller("keep", "divprune")(wrapped):
        out = model.generate(**batch(*requests), **how)
    assert torch.equal(out.sequences, plain.sequences)
    for i, own in enumerate(wrapped.generations):
        row = out.sequences[i, batch(*requests)["input_ids"].shape[1] :].tolist()
        wanted = row[: row.index(end) + 1] if end in row else row
        assert list(own.tokens) == wanted and len(own.trace) == len(wanted)


def test_several_answers_to_one_request() -> None:
    model, wrapped = QWEN.model(), None
    wrapped = wrap_hf(model)
    how = HOW | {"do_sample": True, "num_return_sequences": 3}
    torch.manual_seed(0)
    plain = model.generate(**QWEN.request(), **how)
    torch.manual_seed(0)
    with Controller("keep", "divprune", probe="all")(wrapped):
        out = model.generate(**QWEN.request(), **how)
    assert torch.equal(out.sequences, plain.sequences)
    assert [own.n_visual for own in wrapped.traces] == [24] * 3
