"""Random numbers are those of the published code on a CPU, and no more than needed elsewhere."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.backbones.decoding.sampling import random_confidence, response_noise

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
