"""LaViDa-Dream's recorded forwards, caches and generate calls."""

import re
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import saccade
from saccade import Controller, Keep
from saccade.backbones import StepView
from saccade.backbones.decoding.lavida.answer import LavidaAnswer
from saccade.backbones.decoding.lavida.schedules import schedule_table
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.decoding.llada.answer import transfer_schedule
from saccade.backbones.network.cache import Reader, Recorder
from saccade.backbones.network.decoder import Attended, rotary_angles
from saccade.backbones.network.token_states import TokenStates
from tests.backbones.decoding.golden_lavida import SET, arrays, model, prepared
from tests.golden_sets import (
    assert_near,
    draws_as_recorded,
    golden_json,
    golden_params,
    golden_set,
)

pytestmark = pytest.mark.golden
close = partial(assert_near, tolerance=1e-4)
THERE = ["open"] if golden_set(SET) else []
IGNORED = {"block_length", "step_per_block", "do_sample", "num_beams", "use_cache", "pad_token_id"}
IGNORED |= {"output_history"}
"""Options of recorded calls that the published code ignores, or that only ask for a record."""
PUBLISHED = {"temperature": 0.2, "top_p": 0.95, "alg": "entropy", "prefix_lm": False}
"""Defaults of the published method."""


class Recording:
    """Collects the hidden states that enter each layer."""

    def __init__(self) -> None:
        self.entering: list[Tensor] = []

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        self.entering.append(rows.hidden[0])
        return rows

    def watches(self, layer: int) -> bool:
        return False

    def on_attention(self, layer: int, rows: TokenStates, seen: Attended) -> None: ...


@pytest.mark.parametrize("_set", golden_params(SET, THERE))
@torch.inference_mode()
def test_a_text_and_its_cache(_set: str) -> None:
    stored, network = arrays("text_forward.npz"), model().network
    embed, seen = network.model.embed_tokens, Recording()
    out = network.run(TokenStates.of(embed(stored["full_ids"])), seen).hidden
    close(torch.stack([*seen.entering, network.model.norm(out)[0]]), stored["hidden_states"])
    close(network.logits(out)[0], stored["logits"])

    ids = stored["input_ids"]
    memory = Recorder([ids.shape[1]])
    ran = network.run(TokenStates.of(embed(ids)), None, memory)
    close(network.logits(ran.hidden)[0], stored["prefill_logits"])
    for layer, entry in enumerate(memory.caches[0].entries):
        close(entry.k, stored["prefill_k_rope"][layer])
        close(entry.v, stored["prefill_v"][layer])
        assert entry.places.tolist() == list(range(ids.shape[1]))

    rest = stored["full_ids"][:, ids.shape[1] :]
    reader = Reader(memory.caches, rest.shape[1])
    ran = network.run(TokenStates.of(embed(rest), None, [ids.shape[1]]), None, reader)
    close(network.logits(ran.hidden)[0], stored["cached_step_logits"])


@pytest.mark.parametrize("_set", golden_params(SET, THERE))
@torch.inference_mode()
def test_a_page(_set: str) -> None:
    stored, network, seen = arrays("mm_forward.npz"), model().network, Recording()
    out = network.run(TokenStates.of(stored["inputs_embeds"][None]), seen).hidden
    states = torch.stack([*seen.entering, network.model.norm(out)[0]])
    close(states[:, stored["hs_pos"]], stored["hidden_states"])
    logits = network.logits(out)[0]
    close(logits[-48:], stored["logits_last48"])
    close(logits.double().sum(1).float(), stored["logits_rowsum"].float())
    assert torch.equal(logits.argmax(1), stored["logits_argmax"])


@pytest.mark.parametrize("_set", golden_params(SET, THERE))
@torch.inference_mode()
def test_rounded_frequencies(_set: str) -> None:
    text, page = arrays("text_forward.npz"), arrays("mm_forward.npz")
    language = model().network.language
    for stored, kind in (("fp32", torch.float32), ("bf16_as_fp32", torch.bfloat16)):
        angles = rotary_angles(
            torch.ones(1, 1), language.head_dim, language.rope_theta, torch.float32, kind
        )
        frequencies = text[f"inv_freq_{stored}"]
        cosines, sines = angles[:, 0, 0, 0, : len(frequencies)]
        torch.testing.assert_close(torch.atan2(sines, cosines), frequencies, atol=0, rtol=1e-5)
    network = model(rounded=True).network
    out = network.run(TokenStates.of(network.model.embed_tokens(text["full_ids"]))).hidden
    close(network.logits(out)[0], text["logits_invfreq_bf16"])
    name = "mm_logits_last48_invfreq_bf16"
    wanted = text[name] if name in text else page[name]
    out = network.run(TokenStates.of(page["inputs_embeds"][None])).hidden[:, -48:]
    close(network.logits(out)[0], wanted)


@pytest.mark.parametrize("_set", golden_params(SET, THERE))
@torch.inference_mode()
def test_half_precision_is_near(_set: str) -> None:
    stored = arrays("text_forward.npz")
    folder = golden_set(SET)
    assert folder is not None
    own = saccade.load(folder, torch.bfloat16, "cpu", cut_vocab=False)
    assert own.network.language.rotary == torch.bfloat16
    out = own.network.run(TokenStates.of(own.network.model.embed_tokens(stored["full_ids"]))).hidden
    given, wanted = own.network.logits(out)[0], stored["logits_all_bf16_as_fp32"]
    apart = (given - wanted).abs()  # a number in a thousand may lie further apart in other releases
    assert float(apart.flatten().quantile(0.999)) < 0.3 and float(apart.max()) < 0.6


def runs() -> dict[str, dict[str, Any]]:
    found = golden_json(SET, "generate_meta.json")
    return {name: run for name, run in found.items() if not name.startswith("_")}


def options(name: str, run: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a run, in our words."""
    given = PUBLISHED | {k: v for k, v in run["kwargs"].items() if k not in IGNORED}
    shift = (given.pop("schedule_kwargs", None) or {}).get("shift")
    if shift is not None:
        given["shift"] = shift
    if name.endswith("topkNone"):
        given["top_k"] = None
    given.setdefault("steps", given["max_new_tokens"])
    seeds = re.findall(r"seed(\d+)", name)
    seed = int(seeds[0]) if seeds else None
    return {k: v for k, v in given.items() if v is not None or k == "top_k"} | {"seed": seed}


@pytest.mark.parametrize("name", golden_params(SET, runs()))
def test_generate(name: str) -> None:
    if "seed" in name and not draws_as_recorded():
        pytest.skip("this torch draws other numbers from a seed than the one that recorded them")
    run, stored, steps = runs()[name], arrays("generate.npz"), list[StepView]()
    mask = golden_json(SET, "config.json")["mask_token_id"]
    inputs = prepared(run.get("source") or name.partition("_")[0])
    how = {"mask_id": mask, "append_eot": False, **options(name, run)}
    out = model().generate(inputs=inputs, callback=steps.append, **how)

    history = stored[f"{name}.history"].tolist()
    assert [list(step.record.tokens) for step in steps] == history[: len(steps)]
    assert all(ids == history[len(steps) - 1] for ids in history[len(steps) :])
    assert list(out.tokens) == stored[f"{name}.sequences"][0, -len(out.tokens) :].tolist()
    if how["prefix_lm"] and run.get("first_token") is not None:
        assert out.tokens[0] == run["first_token"]
    if run.get("forwards") is not None and len(steps) == len(history):
        assert out.trace.forwards + (how["prefix_lm"] is True) == run["forwards"]
    for view in steps:
        if f"{name}.conf" not in stored:
            continue
        confidence = stored[f"{name}.conf"][view.step]
        masked = ~confidence.isnan()
        given = view.confidence[masked].float()
        torch.testing.assert_close(given, confidence[masked], atol=1e-5, rtol=0)
        assert torch.equal(view.chosen[masked], stored[f"{name}.x0"][view.step][masked].long())


def tables() -> dict[str, list[int]]:
    found: dict[str, list[int]] = golden_json(SET, "schedules.json").get(
        "get_num_transfer_tokens_sch", {}
    )
    return found


@pytest.mark.parametrize("name", golden_params(SET, tables()))
def test_schedules(name: str) -> None:
    fields = dict(part.split("=", 1) for part in name.split(",", 3))
    masked, steps, schedule = int(fields["mask"]), int(fields["steps"]), fields["schedule"]
    if schedule.startswith("None"):
        assert transfer_schedule(masked, steps) == tables()[name]
        return
    shift = float(fields["kwargs"].strip("{}").split(":")[1]) if "{" in name else 3.0
    assert schedule_table(masked, steps, schedule, shift) == tables()[name]


def counts() -> dict[str, list[int]]:
    found: dict[str, list[int]] = golden_json(SET, "schedules.json").get("vanilla_counts", {})
    return found


@pytest.mark.parametrize("name", golden_params(SET, counts()))
def test_counts_without_a_schedule(name: str) -> None:
    fields = dict(part.split("=") for part in name.split(","))
    length, steps = int(fields["L"]), int(fields["steps"])
    answer = LavidaAnswer(LavidaSettings(gen_length=length, steps=steps), mask_id=9)
    if fields["prefix"] == "True":
        answer.begin(1)
    committed = []
    while not answer.done:
        commit = answer.commit(torch.ones(length, dtype=torch.int64), torch.rand(length))
        committed.append(commit.k)
    assert committed == tables_end(counts()[name])


def tables_end(recorded: list[int]) -> list[int]:
    """Counts up to the last that commits something: the loop ends there."""
    while len(recorded) > 1 and recorded[-1] == 0:
        recorded = recorded[:-1]
    return recorded


@pytest.mark.parametrize("_set", golden_params(SET, THERE))
def test_nothing_dropped_under_a_controller_is_the_recorded_answer(_set: str) -> None:
    name = next(name for name in runs() if "prefix" in name and "seed" not in name)
    mask = golden_json(SET, "config.json")["mask_token_id"]
    how = {"mask_id": mask, "append_eot": False, **options(name, runs()[name])}
    inputs = prepared(runs()[name].get("source") or name.partition("_")[0])
    out = model().generate(inputs=inputs, controller=Controller(Keep()), **how)
    assert list(out.tokens) == arrays("generate.npz")[f"{name}.sequences"][0].tolist()
    assert [step.refreshed for step in out.trace] == [True] + [False] * (len(out.trace) - 1)
