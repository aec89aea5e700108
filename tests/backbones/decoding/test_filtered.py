"""Filters and confidences of LaViDa-Dream against their definition, row by row."""

import math

import pytest
import torch
from torch import Tensor

from saccade.backbones.decoding.filtered import candidates, filtered, ranking_confidence


def slowly(
    row: list[float], temperature: float, top_p: float | None, top_k: int | None
) -> set[int]:
    """Tokens of a row that stay."""
    scaled = [x / temperature for x in row] if temperature else row
    order = sorted(range(len(row)), key=lambda i: -scaled[i])
    total = sum(math.exp(x) for x in scaled)
    stays, before = set[int](), 0.0
    for i in order:
        if top_p is None or top_p >= 1 or not before > top_p or not stays:
            stays.add(i)
        before += math.exp(scaled[i]) / total
    if top_k is not None:
        worst = sorted((scaled[i] for i in stays), reverse=True)[: min(top_k, len(row))][-1]
        stays = {i for i in stays if scaled[i] >= worst}
    return stays


def staying(logits: Tensor) -> list[set[int]]:
    least = torch.finfo(logits.dtype).min
    return [set((row > least).nonzero()[:, 0].tolist()) for row in logits.flatten(0, -2)]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("top_p", [None, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 3, 100])
def test_what_stays(temperature: float, top_p: float | None, top_k: int | None) -> None:
    logits = torch.randn(2, 3, 11, generator=torch.Generator().manual_seed(1))
    given = filtered(logits, temperature, top_p, top_k)
    wanted = [slowly(row.tolist(), temperature, top_p, top_k) for row in logits.flatten(0, 1)]
    assert staying(given) == wanted
    kept = given > torch.finfo(given.dtype).min
    torch.testing.assert_close(given[kept], (logits / (temperature or 1))[kept])
    assert torch.equal(given.argmax(-1), logits.argmax(-1))


def test_equal_logits_stay_together() -> None:
    logits = torch.tensor([[[2.0, 1.0, 1.0, 1.0, 0.0]]])
    assert staying(filtered(logits, 0, None, 2)) == [{0, 1, 2, 3}]
    assert staying(filtered(torch.zeros(1, 1, 5), 0, None, 2)) == [{0, 1, 2, 3, 4}]


def test_certainties() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    chosen = torch.tensor([0, 1])
    assert ranking_confidence(p, chosen, "maskgit_plus").tolist() == pytest.approx([0.5, 0.1])
    assert ranking_confidence(p, chosen, "origin").tolist() == pytest.approx([0.5, 0.1])
    assert ranking_confidence(p, chosen, "topk_margin").tolist() == pytest.approx([0.2, 0.7])
    entropy = [sum(x * math.log(x + 1e-10) for x in row) for row in p.tolist()]
    assert ranking_confidence(p, chosen, "entropy").tolist() == pytest.approx(entropy)


def test_entropies_in_float16_are_numbers() -> None:
    p = torch.tensor([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float16)
    given = ranking_confidence(p, torch.tensor([0, 0]), "entropy")
    wanted = 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert given.tolist() == pytest.approx([wanted, 0.0], abs=2e-3)


def test_one_token_leads_by_everything() -> None:
    p = torch.ones(2, 1)
    assert ranking_confidence(p, torch.zeros(2, dtype=torch.int64), "topk_margin").tolist() == [
        1.0,
        1.0,
    ]


def test_candidates_are_drawn_for_the_rows_that_are_wanted() -> None:
    p = torch.rand(2, 4, 50).softmax(-1)
    wanted = torch.tensor([[True, False, True, False], [False] * 4])
    generators = [torch.Generator().manual_seed(i) for i in (1, 2)]
    drawn = candidates(p, generators, wanted)
    assert torch.equal(drawn[~wanted], p.argmax(-1)[~wanted])
    alone = torch.multinomial(p[0, wanted[0]], 1, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn[0, wanted[0]], alone[:, 0])
    assert torch.equal(candidates(p, None), p.argmax(-1))


def test_draws_follow_the_probabilities() -> None:
    p = torch.tensor([0.6, 0.3, 0.1]).expand(1, 6000, 3)
    drawn = candidates(p, [torch.Generator().manual_seed(0)])
    shares = torch.bincount(drawn[0], minlength=3) / 6000
    torch.testing.assert_close(shares, p[0, 0], atol=0.03, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.0, 1.0, 3e4, 1e30, 1e39, 1.7e308])
def test_temperatures_leave_the_order_of_tokens(dtype: torch.dtype, temperature: float) -> None:
    logits = torch.randperm(50, generator=torch.Generator().manual_seed(0)).to(dtype)
    best, third = int(logits.argmax()), set(logits.topk(3).indices.tolist())
    assert staying(filtered(logits[None], temperature, None, 1)) == [{best}]
    assert staying(filtered(logits[None], temperature, 1e-300, None)) == [{best}]
    assert staying(filtered(logits[None], temperature, None, 3)) == [third]
    assert staying(filtered(logits[None], temperature, 0.03, 1)) == [{best}]


def test_of_equal_tokens_the_first_stays() -> None:
    logits = torch.zeros(1, 4000).index_fill_(1, torch.tensor([7, 1900, 3500]), 1.0)
    assert staying(filtered(logits, 1.0, 1e-6, None)) == [{7}]
