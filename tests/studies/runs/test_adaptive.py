"""The default controller on the embedded models: each rule acts where it should, and only there."""

from functools import cache
from typing import Any

import pytest
import torch

from saccade.backbones import Model, load
from saccade.controller import (
    Auto,
    BasePolicy,
    Controller,
    Cumulative,
    Drop,
    Generation,
    Keep,
    LayerSkip,
    Plan,
    Progressive,
)
from saccade.pruners import RedVTP
from saccade.studies.tasks.documents import KINDS, make_sample

SAMPLES = 3


@cache
def model(name: str) -> Model:
    return load(f"embedded/{name}", device="cpu")


def answers(name: str, kind: str, controller: Controller | None) -> list[Generation]:
    own, lengths = model(name), KINDS[kind]
    how: dict[str, Any] = own.family.settings.for_lengths(
        lengths.gen_length, lengths.block_length, lengths.steps
    )
    samples = [make_sample(kind, index, split="train") for index in range(SAMPLES)]
    inputs = [own.prepare(sample.question, [sample.page.image]) for sample in samples]
    return own.generate(inputs=inputs, controller=controller, **how)


def score(kind: str, outs: list[Generation]) -> float:
    samples = [make_sample(kind, index, split="train") for index in range(SAMPLES)]
    scores = [s.score(o.text or "").score for s, o in zip(samples, outs, strict=True)]
    return sum(scores) / SAMPLES


@pytest.mark.parametrize("name", ["llada-v", "lavida-dream"])
@pytest.mark.parametrize("kind", ["yesno", "digit"])
def test_short_answers_are_left_alone(name: str, kind: str) -> None:
    bare = answers(name, kind, None)
    for own, other in zip(answers(name, kind, Controller()), bare, strict=True):
        assert own.tokens == other.tokens and own.trace.macs == other.trace.macs
        assert all(step.plan == Plan() for step in own.trace)
        assert all(step.signals.attention_visual_masked is None for step in own.trace), (
            "nothing is measured"
        )


def test_a_model_trained_from_scratch_reads_less_and_skips_layers() -> None:
    bare = answers("llada-v", "transcribe", None)
    outs = answers("llada-v", "transcribe", Controller(Auto(commit=None)))
    assert score("transcribe", outs) >= score("transcribe", bare) - 0.1
    for out, full in zip(outs, bare, strict=True):
        kept = [len(step.kept) for step in out.trace]
        assert kept[0] == out.trace.n_visual and min(kept) >= out.trace.n_visual // 2
        assert min(kept) == out.trace.n_visual // 2
        assert out.trace.steps[0].plan == Plan()
        assert all(step.plan.bypass == {4, 5} for step in out.trace.steps[1:])
        assert out.trace.forwards == full.trace.forwards
        assert out.trace.macs < 0.6 * full.trace.macs


def test_commits_by_confidence_take_fewer_steps() -> None:
    for name in ("llada-v", "lavida-dream"):
        bare, outs = (answers(name, "transcribe", c) for c in (None, Controller()))
        assert score("transcribe", outs) >= score("transcribe", bare) - 0.1
        for own, full in zip(outs, bare, strict=True):
            assert own.trace.forwards < full.trace.forwards / 2


def test_a_ladder_that_goes_too_far_comes_back() -> None:
    """Without the rule that foresees it: down while confidence is high, up when it breaks."""
    reckless = Controller(Progressive((1, 0.1), cover=0.0, retry=99))
    for out in answers("llada-v", "transcribe", reckless):
        kept = [len(step.kept) for step in out.trace]
        n = out.trace.n_visual
        low = kept.index(round(0.1 * n))
        assert kept[:low] == [n] * low
        assert kept[low + 1 :] == [n] * len(kept[low + 1 :]), "one step was enough to see it"
        lost = out.trace.steps[low].signals.change
        assert lost is not None and lost.confidence is not None and lost.confidence < 0


def test_what_stayed_before_stays_again() -> None:
    """Two rungs down and one up: the choice of the upper one returns."""

    class Steps(BasePolicy):
        reads, reselects = frozenset[str](), True

        def plan(self, state: Any, signals: Any) -> Plan:
            keep = (1.0, 0.75, 0.25, 0.75)[min(state.step, 3)]
            return Plan((Drop(0, keep),))

        def reset(self) -> None: ...

    for out in answers("llada-v", "code", Controller(Steps(), RedVTP())):
        assert out.trace.steps[3].kept == out.trace.steps[1].kept
        assert set(out.trace.steps[2].kept) != set(out.trace.steps[1].kept)


def test_an_adapted_model_skips_what_is_known_already_in_the_prompt() -> None:
    bare = answers("lavida-dream", "code", Controller(Keep()))
    outs = answers("lavida-dream", "code", Controller(LayerSkip(layers=(4,))))
    assert [out.text for out in outs] == [out.text for out in bare]
    for out, full in zip(outs, bare, strict=True):
        n = out.trace.n_visual
        assert out.trace.refreshes == 1
        first, whole = out.trace.steps[0].rows_per_layer, full.trace.steps[0].rows_per_layer
        assert [b - a for a, b in zip(first, whole, strict=True)] == [0, 0, 0, 0, n, 0]


def test_the_default_does_nothing_to_an_autoregressive_model() -> None:
    bare, outs = (answers("llava-ar", "code", c) for c in (None, Controller()))
    assert [out.tokens for out in outs] == [out.tokens for out in bare]
    assert all(step.plan == Plan() for out in outs for step in out.trace)


def test_the_published_progressive_scheme_drops_what_is_most_alike() -> None:
    seen: list[Any] = []
    own, kind = model("llada-v"), KINDS["code"]
    sample = make_sample("code", 0, split="train")
    inputs = own.prepare(sample.question, [sample.page.image])
    how = own.family.settings.for_lengths(kind.gen_length, kind.block_length, kind.steps)
    controller = Controller(Cumulative())
    out = own.generate(inputs=inputs, controller=controller, callback=seen.append, **how)
    n = out.trace.n_visual
    assert [len(step.kept) for step in out.trace] == [n] * 2 + [n * 3 // 4] * 2 + [n // 2] * 2 + [
        n // 4
    ] * (len(out.trace) - 6)
    # The states behind the last layer in the step before the first drop, written out.
    hidden: list[torch.Tensor] = []
    last = own.network.model.layers[-1]
    handle = last.register_forward_hook(lambda module, given, gave: hidden.append(gave[0]))
    try:
        own.generate(inputs=inputs, **how)
    finally:
        handle.remove()
    states = hidden[1][0][torch.from_numpy(inputs.visual_positions)]
    with torch.inference_mode():
        units = torch.nn.functional.normalize(own.network.model.norm(states), dim=1)
    forward_groups = (units @ units.T).fill_diagonal_(-1).amax(dim=1)
    wanted = sorted((-forward_groups).topk(n * 3 // 4).indices.tolist())
    assert list(out.trace.steps[2].kept) == wanted
