"""What a step shows, against the weights of eager attention; what it cost, against a counter."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from saccade.backbones.hf import wrap_hf
from saccade.controller import Controller, Drop, Plan
from saccade.controller.signals import candidate_confidence
from tests.backbones.hf.hf_models import AUTOREGRESSIVE, CANVAS, DIFFUSION, PICTURE, QWEN
from tests.backbones.hf.scripted import Script, Spread

HOW: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True}


@pytest.mark.parametrize("name", ["qwen2.5-vl", "gemma3", "llava"])
def test_attention_of_the_row_that_writes(name: str) -> None:
    kind = AUTOREGRESSIVE[name]
    model, request = kind.model("eager"), kind.request()
    plain = model.generate(**request, output_attentions=True, output_logits=True, **HOW)
    wrapped = wrap_hf(model)
    with Controller("keep", "divprune", probe="all", tokens=True)(wrapped):
        model.generate(**request, **HOW)
    visual = (request["input_ids"][0] == PICTURE).nonzero()[:, 0]
    n = request["input_ids"].shape[1]
    for step, record in enumerate(wrapped.traces[0]):
        tokens = plain.sequences[:, n + step]
        confidence, entropy, margin = candidate_confidence(plain.logits[step], tokens)
        torch.testing.assert_close(record.signals.confidence, confidence)
        torch.testing.assert_close(record.signals.entropy, entropy)
        torch.testing.assert_close(record.signals.margin, margin)
        received = []
        for layer, weights in enumerate(plain.attentions[step]):
            row = weights[0, :, -1].mean(0)
            first = n + step - len(row)  # a window leaves the first keys out
            there = visual[visual >= first] - first
            received.append(torch.zeros(len(visual)))
            received[-1][-len(there) :] = row[there] if len(there) else 0
            seen = record.signals
            assert abs(float(seen.attention_visual[layer] - row[there].sum())) < 1e-6
            assert abs(float(seen.attention_response[layer] - row[n - first :].sum())) < 1e-6
            kinds = seen.attention_visual + seen.attention_prompt + seen.attention_response
            torch.testing.assert_close(kinds, torch.ones(6))
        most = max(received, key=lambda own: float(own.sum()))
        torch.testing.assert_close(record.signals.received, most, atol=1e-6, rtol=1e-5)


def test_attention_of_the_canvas() -> None:
    model, request = DIFFUSION.model("eager"), DIFFUSION.request()
    weights: list[torch.Tensor] = []
    handles = [
        layer.self_attn.register_forward_hook(lambda *given: weights.append(given[2][1].clone()))
        for layer in model.model.decoder.layers
    ]
    wrapped = wrap_hf(model)
    torch.manual_seed(0)
    with Controller("keep", "divprune", probe="all", tokens=True)(wrapped):
        model.generate(**request)
    for handle in handles:
        handle.remove()
    visual = (request["input_ids"][0] == PICTURE).nonzero()[:, 0]
    for step, record in enumerate(wrapped.traces[0]):
        for layer in range(6):
            rows = weights[6 * step + layer][0].mean(0)
            seen = record.signals
            masked = record.signals.masked
            assert abs(float(seen.attention_visual[layer] - rows[:, visual].sum(1).mean())) < 1e-6
            own = rows[:, -CANVAS:].sum(1)
            assert abs(float(seen.attention_response[layer] - own.mean())) < 1e-6
            if bool(masked.any()):
                wanted = own[masked].mean()
                assert abs(float(seen.attention_response_masked[layer] - wanted)) < 1e-6


PLANS = {
    "nothing": {0: Plan()},
    "at the entry": {0: Plan((Drop(0, 0.25),))},
    "before a layer, then another": {0: Plan((Drop(2, 0.5), Drop(4, 0.25)))},
    "skipping": {0: Plan(bypass=frozenset({1, 3}))},
    "later": {0: Plan(), 2: Plan((Drop(1, 0.25),))},
    "back again": {0: Plan((Drop(1, 0.25),)), 2: Plan()},
}


class Silent(Script):
    """A script that reads nothing, so that nothing is measured."""

    reads = frozenset()


def counted(model: Any, request: Any, plans: dict[int, Plan], **how: Any) -> tuple[int, int]:
    """Multiply-accumulates of layers and head: those of the trace, and those that torch counts."""
    wrapped = wrap_hf(model)
    torch.manual_seed(0)
    with (
        Controller(Silent(plans), Spread())(wrapped),
        FlopCounterMode(display=False, depth=None) as counter,
    ):
        model.generate(**request, **how)
    flops = {name: sum(own.values()) // 2 for name, own in counter.get_flop_counts().items()}
    ends = ("language_model", ".decoder", "lm_head", "Linear")
    rotary = sum(n for name, n in flops.items() if name.endswith("rotary_emb"))
    own = sum(n for name, n in flops.items() if name.endswith(ends) and name.count(".") <= 2)
    return wrapped.traces[0].macs, own - rotary


SEVERAL = [("gemma4", case) for case in PLANS] + [
    (name, "before a layer, then another") for name in AUTOREGRESSIVE if name != "gemma4"
]


@pytest.mark.parametrize(("name", "case"), SEVERAL)
def test_macs_are_those_that_torch_counts(name: str, case: str) -> None:
    kind, plans = AUTOREGRESSIVE[name], PLANS[case]
    said, wanted = counted(kind.model("eager"), kind.request(), plans, **HOW)
    assert said == wanted


@pytest.mark.parametrize("case", ["before a layer, then another", "back again"])
def test_macs_of_canvases_are_those_that_torch_counts(case: str) -> None:
    model, plans = DIFFUSION.model("eager"), PLANS[case]
    model.set_experts_implementation("eager")  # torch does not count grouped products
    said, wanted = counted(model, DIFFUSION.request(), plans)
    assert said == wanted


def test_what_is_read_of_every_layer() -> None:
    model, request = QWEN.model(), QWEN.request()
    wrapped, n = wrap_hf(model), QWEN.request()["input_ids"].shape[1]
    with Controller(Silent({0: Plan((Drop(2, 0.25),))}), Spread())(wrapped):
        model.generate(**request, **HOW)
    first, second = wrapped.traces[0].steps[:2]
    assert first.rows_per_layer == (n, n, n - 18, n - 18, n - 18, n - 18) == first.keys_per_layer
    assert second.rows_per_layer == (1,) * 6
    assert second.keys_per_layer == tuple(own + 1 for own in first.keys_per_layer)
    assert second.visual_per_layer == (24, 24, 6, 6, 6, 6)
