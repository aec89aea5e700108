"""Layers that wait: what is made of them later is what plain attention over all keys gives."""

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.backbones.execution import kept_layers
from saccade.backbones.execution.kept_layers import KeptLayers, Shape
from saccade.controller.attention import row_attention, row_normalizers

BATCH, HEADS, ROWS, ALL_KEYS, WIDTH = 3, 4, 5, 17, 8
ASKED = slice(2, 13)
MASKED = [np.array(own, dtype=bool) for own in ([1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1])]
CPU = torch.device("cpu")


class Layer:
    """Random queries and keys, and their attention to the keys that are asked about."""

    def __init__(self, seed: int, key_heads: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(seed)
        q = 3 * torch.randn(BATCH, HEADS, ROWS, WIDTH, generator=generator)
        k = 3 * torch.randn(BATCH, key_heads, ALL_KEYS, WIDTH, generator=generator)
        self.q, self.k = q.to(dtype), k.to(dtype)
        self.normalizers = row_normalizers(self.q, self.k)
        self.weights = row_attention(self.q, self.k)[..., ASKED]

    @property
    def kept(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.q, self.k[:, :, ASKED], self.normalizers


def kept(
    key_heads: int = 2, dtype: torch.dtype = torch.float32, n_layers: int = 4
) -> tuple[KeptLayers, list[Layer]]:
    layers = [Layer(seed, key_heads, dtype) for seed in range(n_layers)]
    room = KeptLayers(Shape(BATCH, HEADS, key_heads, ROWS, 11, WIDTH), n_layers, CPU)
    for number, layer in enumerate(layers):
        room.add(10 + number, *layer.kept)
    return room, layers


@pytest.mark.parametrize("at_once", [1, HEADS * ROWS * 11 * 5, 2**20], ids=["1", "5", "all"])
@pytest.mark.parametrize("places", [[0, 1, 2, 3], [1, 2], [0, 3], [2]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_groups_are_means_over_heads_and_rows(
    monkeypatch: pytest.MonkeyPatch,
    key_heads: int,
    dtype: torch.dtype,
    places: list[int],
    at_once: int,
) -> None:
    monkeypatch.setattr(kept_layers, "AT_ONCE", at_once)
    room, layers = kept(key_heads, dtype)
    found = room.grouped(MASKED, places)
    assert room.layers == [10, 11, 12, 13] and found.dtype == torch.float32
    for own, place in zip(found, places, strict=True):
        weights = layers[place].weights
        torch.testing.assert_close(own[:, 0], weights.mean((1, 2)), atol=1e-5, rtol=1e-4)
        assert bool(own[1, 1].isnan().all()), "no row of it is masked"
        for b in (0, 2):
            wanted = weights[b][:, torch.from_numpy(MASKED[b])].mean((0, 1))
            torch.testing.assert_close(own[b, 1], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("at_once", [1, HEADS * ROWS * 11 * 5, 2**20])
def test_rows_are_summed_over_layers(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(kept_layers, "AT_ONCE", at_once)
    room, layers = kept()
    wanted = torch.stack([layer.weights.mean(1) for layer in layers]).sum(0)
    torch.testing.assert_close(room.by_row(), wanted, atol=1e-5, rtol=1e-4)


def test_others_take_the_place_of_those_that_are_forgotten() -> None:
    room, layers = kept()
    first = room.grouped(MASKED, [0, 1, 2, 3])
    room.clear()
    assert room.layers == [] and not room.full
    room.add(7, *layers[2].kept)
    torch.testing.assert_close(room.grouped(MASKED, [0]), first[2:3], equal_nan=True)


def test_large_layers_are_kept_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    room, _ = kept()
    assert room.full and room.room == 4
    monkeypatch.setattr(kept_layers, "WAITING", 1)
    assert KeptLayers(room.shape, 4, CPU).room == 1


def test_weights_stay_finite_where_scores_are_huge() -> None:
    """Scores of some thousands: only their difference from the normalizer is exponentiated."""
    room = KeptLayers(Shape(1, 1, 1, 1, 2, 1), 1, CPU)
    q, k = torch.full((1, 1, 1, 1), 60.0), torch.tensor([[[[60.0], [59.0]]]])
    room.add(0, q, k, row_normalizers(q, k))
    assert room.grouped([np.array([True])], [0]).flatten().tolist() == pytest.approx([1, 0] * 2)


def test_without_keys_there_is_nothing() -> None:
    room = KeptLayers(Shape(1, 2, 1, 3, 0, 4), 1, CPU)
    room.add(0, torch.ones(1, 2, 3, 4), torch.ones(1, 1, 0, 4), torch.ones(1, 2, 3))
    assert room.grouped([np.array([True, False, True])], [0]).shape == (1, 1, 2, 0)
    assert room.by_row().shape == (1, 3, 0)
