"""The search for layers to skip: each alone, then together while the prediction stays."""

import pytest
import torch

from saccade.backbones import Prepared
from saccade.controller import LayerSkip
from saccade.tuning.layer_skip import Kind, find_layers, find_shared_layers
from saccade.tuning.vtw import first_logits, kl_to_full
from tests.tiny import fake_request, tiny_model

MODEL = tiny_model()


@pytest.fixture(scope="module")
def inputs() -> list[Prepared]:
    return [fake_request(MODEL, [(40, 30)], seed) for seed in range(2)]


def divergence(inputs: list[Prepared], layers: tuple[int, ...]) -> float:
    found = []
    for sample in inputs:
        full = first_logits(MODEL, sample, 6, None)
        moved = first_logits(MODEL, sample, 6, LayerSkip(layers=layers))
        found.append(kl_to_full(full, moved[:, None]).mean())
    return float(torch.stack(found).mean())


def test_layers_alone_and_together(inputs: list[Prepared]) -> None:
    calls: list[tuple[int, int]] = []
    found = find_layers(
        MODEL, inputs, length=6, limit=1e9, progress=lambda *done: calls.append(done)
    )
    alone = [divergence(inputs, (layer,)) for layer in range(4)]
    assert list(found.divergence) == pytest.approx(alone)
    order = sorted(range(4), key=alone.__getitem__)
    sets = [tuple(sorted(order[:n])) for n in range(1, 5)]
    assert [layers for layers, _ in found.steps] == sets
    assert found.steps[-1][1] == pytest.approx(divergence(inputs, (0, 1, 2, 3)))
    assert found.layers == (0, 1, 2, 3)
    assert calls[-1][0] <= calls[-1][1] == 16


def test_the_limit_holds_for_all_together(inputs: list[Prepared]) -> None:
    everything = find_layers(MODEL, inputs, length=6, limit=1e9)
    limit = everything.steps[1][1]  # of the two least harmful together
    found = find_layers(MODEL, inputs, length=6, limit=limit)
    assert set(everything.steps[0][0]) <= set(found.layers)
    assert found.layers and divergence(inputs, found.layers) <= limit * (1 + 1e-6)
    assert all(found.divergence[layer] <= limit for layer in found.layers)


def test_no_layer_may_be_within_the_limit(inputs: list[Prepared]) -> None:
    found = find_layers(MODEL, inputs, length=6, limit=0.0)
    assert found.layers == () and found.steps == ()


def test_no_samples() -> None:
    with pytest.raises(ValueError, match="give one or more"):
        find_layers(MODEL, [])


def test_layers_that_every_kind_allows(inputs: list[Prepared]) -> None:
    """What is within the limit in one kind of question alone is not taken."""
    kinds = {"short": Kind(inputs[:1], 3), "long": Kind(inputs[1:], 6)}
    short = find_layers(MODEL, inputs[:1], length=3, limit=1e9)
    long = find_layers(MODEL, inputs[1:], length=6, limit=1e9)
    pairs = list(zip(short.divergence, long.divergence, strict=True))
    worst = [max(pair) for pair in pairs]
    limit = sorted(worst)[0] * (1 + 1e-9)  # one layer alone is allowed by both
    found = find_shared_layers(MODEL, kinds, limit=limit)
    assert list(found.divergence) == pytest.approx(worst)
    assert found.layers == (worst.index(min(worst)),)
    assert set(found.by_kind) == set(kinds)
    for own, single in ((found.by_kind["short"], short), (found.by_kind["long"], long)):
        assert own.divergence == pytest.approx(single.divergence)
        assert own.layers == tuple(i for i, d in enumerate(single.divergence) if d <= limit)


def test_kinds_without_samples(inputs: list[Prepared]) -> None:
    with pytest.raises(ValueError, match="give one or more"):
        find_shared_layers(MODEL, {"a": Kind(inputs, 3), "b": Kind([], 3)})
