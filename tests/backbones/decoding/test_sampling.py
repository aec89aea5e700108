"""Random numbers are those of the published code on a CPU, and no more than needed elsewhere."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.backbones.decoding.sampling import gumbel_scores, random_confidence, response_noise

ROWS, VOCAB, SKIPPED = 5, 7, 11


def test_noise_is_that_of_the_whole_sequence() -> None:
    whole, own = (torch.Generator().manual_seed(3) for _ in range(2))
    wanted = torch.rand((1, SKIPPED + ROWS, VOCAB), dtype=torch.float64, generator=whole)
    given = response_noise((ROWS, VOCAB), SKIPPED, own, torch.device("cpu"))
    assert torch.equal(given, wanted[0, SKIPPED:])
    wanted = torch.rand((1, SKIPPED + ROWS), generator=whole)
    given = random_confidence(ROWS, SKIPPED, own, torch.device("cpu"))
    assert torch.equal(given, wanted[0, SKIPPED:])


class Drawn(TorchDispatchMode):
    """How many numbers are drawn."""

    numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if "rand" in str(func):
            self.numel += out.numel()
        return out


@pytest.mark.parametrize(("device", "rows"), [("cpu", SKIPPED + ROWS), ("meta", ROWS)])
def test_nothing_is_thrown_away_where_it_serves_nothing(device: str, rows: int) -> None:
    with Drawn() as drawn:
        noise = response_noise((ROWS, VOCAB), SKIPPED, None, torch.device(device))
    assert noise.shape == (ROWS, VOCAB) and drawn.numel == rows * VOCAB


@pytest.mark.parametrize("shift", [0.0, 900.0, -900.0, 1e6])
@pytest.mark.parametrize("temperature", [1e-310, 1e-38, 0.5, 16.0, 17.0, 1e300, 1.7e308])
def test_a_shift_of_all_logits_changes_no_draw(shift: float, temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(-20, 20, (64, 50), generator=generator).double()
    noise = torch.rand(64, 50, dtype=torch.float64, generator=generator)
    near = gumbel_scores(logits, noise, temperature)
    drawn = gumbel_scores(logits + shift, noise, temperature).argmax(-1)
    if temperature > 0.1:  # else equal logits are told apart by what float64 cannot hold
        assert torch.equal(drawn, near.argmax(-1))
    else:
        assert torch.equal(logits.gather(1, drawn[:, None])[:, 0], logits.amax(1))
    if temperature > 1e100:  # all tokens are as likely
        assert torch.equal(drawn, noise.argmax(-1))
