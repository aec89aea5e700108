"""Peak memory by counting tensors, and that methods never make a whole attention map."""

import pytest
import torch

from saccade.controller import AfterShare, Controller, pruners
from saccade.studies.timing.memory import PeakMemory
from saccade.studies.timing.random_model import Sizes, random_model, random_request


def test_bytes_alive_at_once() -> None:
    with PeakMemory() as memory:
        a = torch.zeros(1000)
        b = a + 1
        view = b[:10]
        del a
        c = b.double()
        assert memory.now == 4000 + 8000
        del b, c
        assert memory.now == 4000  # the view keeps its storage
        del view
    assert memory.now == 0 and memory.peak == 12000


@pytest.mark.parametrize("name", ["fastv", "sparsevlm", "pyramiddrop", "dart"])
def test_scores_take_less_than_an_attention_map(name: str) -> None:
    """On 1,200 rows and 8 heads an attention map takes 46 MB; scoring some rows takes few."""
    sizes = Sizes(width=32, layers=3, mlp=16, side=34, prompt=20, gen_length=24, steps=2)
    model = random_model(sizes)
    request = random_request(model, sizes)
    whole = 4 * sizes.heads * sizes.length**2
    peaks = []
    for controller in (
        None,
        Controller(AfterShare(0.5, 0.25, layer=1), pruners.make(name), "needed"),
    ):
        with PeakMemory() as memory:
            model.generate(inputs=request, controller=controller, **sizes.settings)
        peaks.append(memory.peak)
    assert whole > 45e6 and peaks[0] < 4e6
    assert peaks[1] - peaks[0] < whole / 8
