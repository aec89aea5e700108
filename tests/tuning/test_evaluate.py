"""Settings scored on the same samples: identity, accounting, agreement."""

from statistics import fmean

import pytest

from saccade.controller.errors import CapabilityError, SaccadeError
from saccade.tuning.agreement import agreement
from saccade.tuning.evaluate import Evaluation, Outcome
from saccade.tuning.splits import split_samples
from tests.tuning.tiny_task import SETTINGS, PageTask, word_model

HALF = ("after_share(share=0.0, keep=0.5)", "uniform()")


def evaluation(n: int = 5, **options: object) -> Evaluation:
    samples = split_samples(PageTask(), "tune", n)
    return Evaluation(word_model(), samples, SETTINGS, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("label_free", [False, True])
def test_nothing_done_is_the_unpruned_model_bit_for_bit(label_free: bool) -> None:
    own = evaluation(label_free=label_free)
    out = own.score("keep()")
    assert out.answers == own.bare and out.cost == 1 and out.changed == 0
    assert out.losses == (0.0,) * 5 and out.score == out.bare_score
    assert not label_free or out.score == 1


def test_scores_and_work_are_those_of_plain_generate_calls() -> None:
    own = evaluation(5, batch=2)
    out = own.score(*HALF)
    for place, sample in enumerate(own.samples):
        bare = word_model().generate(sample.question, sample.images, **SETTINGS)
        alone = word_model().generate(
            sample.question, sample.images, controller=own.controller(*HALF), **SETTINGS
        )
        macs = [one.trace.macs + one.trace.prepare_macs for one in (alone, bare)]
        assert out.answers[place].macs == macs[0] < macs[1] == own.bare[place].macs
        assert out.costs[place] == macs[0] / macs[1]
        assert out.answers[place].tokens == alone.tokens
        assert out.answers[place].score == sample.score(alone.text or "").score
        assert out.losses[place] == own.bare[place].score - out.answers[place].score
    assert out.cost == fmean(out.costs) < 1


def test_the_unpruned_answers_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    own, plain, calls = evaluation(3), word_model().generate, []

    def counted(**options: object) -> object:
        calls.append(options["controller"])
        return plain(**options)  # type: ignore[call-overload]

    monkeypatch.setattr(word_model(), "generate", counted, raising=False)
    own.score(*HALF)
    own.score(*HALF)
    assert calls.count(None) == 1 and len(calls) == 3


def test_a_watch_sees_every_batch_and_may_end_it() -> None:
    seen: list[int] = []

    def watch(out: Outcome) -> None:
        seen.append(len(out.answers))
        if len(seen) == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        evaluation(7, batch=3).score(*HALF, watch=watch)
    assert seen == [3, 6]


def test_batches_do_not_change_what_comes_out() -> None:
    assert evaluation(5, batch=2).score(*HALF) == evaluation(5, batch=5).score(*HALF)


def test_the_fingerprint_follows_the_samples() -> None:
    assert evaluation(3).fingerprint == evaluation(3).fingerprint != evaluation(4).fingerprint


@pytest.mark.parametrize(
    ("tokens", "other", "share"),
    [
        ((), (), 1.0),
        ((1, 2, 3, 4), (1, 2, 3, 4), 1.0),
        ((1, 2, 3, 4), (1, 9, 3, 4), 0.75),
        ((1, 2, 3, 4), (2, 3, 4), 0.75),
        ((), (1, 2), 0.0),
        ((5,), (6,), 0.0),
    ],
)
def test_agreement_is_by_edits(tokens: tuple[int], other: tuple[int], share: float) -> None:
    assert agreement(tokens, other) == agreement(other, tokens) == share


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(ValueError, match="no samples"):
        Evaluation(word_model(), [], SETTINGS)
    with pytest.raises(SaccadeError, match="did you mean after_share"):
        evaluation(1).score("after_shar(0.5, keep=0.5)")
    with pytest.raises((CapabilityError, SaccadeError, ValueError)):
        evaluation(1).score("vtw(layer=99)")
