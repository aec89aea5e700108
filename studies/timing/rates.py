"""What a device reaches: multiply-accumulates of large matrices, and bytes that it moves."""

from dataclasses import dataclass
from functools import partial

import torch

from saccade.studies.timing.clock import timed

REPEATS = 5
"""Times that each is measured, of which the best counts."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The best that was measured.

    Attributes
    ----------
    macs : float
        Multiply-accumulates a second.
    bandwidth : float
        Bytes read and written a second.
    """

    macs: float
    bandwidth: float

    def floor(self, macs: int, read: int) -> float:
        """Least seconds of so many multiply-accumulates, for which so many bytes must be read."""
        return max(macs / self.macs, read / self.bandwidth)


def measured_rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """Multiply two square matrices, and copy a long tensor; larger ones on a GPU."""
    gpu = device.type == "cuda"
    width, numbers = (8192, 2**29) if gpu else (1024, 2**24)
    a, b, product = (torch.ones(width, width, dtype=dtype, device=device) for _ in range(3))
    macs = width**3 / _best(partial(torch.mm, a, b, out=product), device)
    source = torch.ones(numbers, dtype=dtype, device=device)
    target = torch.empty_like(source)
    moved = 2 * numbers * dtype.itemsize / _best(partial(target.copy_, source), device)
    return Rates(macs, moved)


@torch.inference_mode()
def _best(work: "partial[torch.Tensor]", device: torch.device) -> float:
    work()  # the first call chooses a kernel
    return min(timed(work, device)[1] for _ in range(REPEATS))
