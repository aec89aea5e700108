"""What a run's reductions would save at the published sizes, by counting.

The small embedded models spend much of a step outside the decoder's matrices. Their own pattern of
visual tokens, step by step and layer by layer, is therefore also priced at the sizes at which the
paper measures. This is arithmetic, not a measurement.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from saccade.controller.cost import layer_macs
from saccade.controller.types import Geometry
from saccade.studies.runs.record import Record


@dataclass(frozen=True, slots=True)
class Published:
    """A model at its published size.

    Attributes
    ----------
    geometry : Geometry
    n_visual, n_prompt : int
        Visual tokens of a picture at the published setting, and other tokens of its prompt.
    prefix : bool
        Whether the prompt runs on its own and is cached; else every step computes all.
    """

    geometry: Geometry
    n_visual: int
    n_prompt: int
    prefix: bool


LLADA_V = Published(
    Geometry(n_layers=32, hidden=4096, intermediate=12288, n_heads=32, n_kv_heads=32, vocab=126464),
    n_visual=3645,
    n_prompt=130,
    prefix=False,
)
LAVIDA_DREAM = Published(
    Geometry(n_layers=28, hidden=3584, intermediate=18944, n_heads=28, n_kv_heads=4, vocab=152064),
    n_visual=834,
    n_prompt=130,
    prefix=True,
)
BY_ORIGIN = {"from-scratch": LLADA_V, "ar-to-diffusion": LAVIDA_DREAM}
"""The published model of each origin that can be priced."""


def projected_macs(
    runs: Iterable[tuple[int, Sequence[float]]],
    response: int,
    published: Published = LLADA_V,
    refreshes: Collection[int] = (),
) -> int:
    """Multiply-accumulates of the decoder layers at a published size.

    Parameters
    ----------
    runs : iterable of (int, sequence of float)
        How many steps, and the share of the visual tokens that each of the run's layers read in
        them, in [0, 1]. Layer l of the published n takes the share of layer
        ``floor(l * n_layers / n)``.
    response : int
        Response tokens; they are computed in every layer and step.
    published : Published
    refreshes : collection of int
        Steps in which the prompt was computed, where it is cached.

    Returns
    -------
    int
        Exact counts of `saccade.controller.cost.layer_macs`, without the output head.
    """
    total = step = 0
    for steps, shares in runs:
        prompts = sum(step <= refresh < step + steps for refresh in refreshes)
        total += steps * _answer_macs(published, tuple(shares), response)
        total += prompts * _prompt_macs(published, tuple(shares)) if prompts else 0
        step += steps
    return total


def _rest(published: Published, shares: Sequence[float]) -> list[int]:
    """Tokens before the answer in every published layer."""
    n = published.geometry.n_layers
    spread = [shares[layer * len(shares) // n] for layer in range(n)]
    return [round(share * published.n_visual) + published.n_prompt for share in spread]


@lru_cache(maxsize=4096)  # most steps of a study read the same shares
def _answer_macs(published: Published, shares: tuple[float, ...], response: int) -> int:
    """Of a step: all rows, or those of the answer over what is cached."""
    counts = [rest + response for rest in _rest(published, shares)]
    rows = [response if published.prefix else count for count in counts]
    return sum(layer_macs(published.geometry, r, k) for r, k in zip(rows, counts, strict=True))


@lru_cache(maxsize=4096)
def _prompt_macs(published: Published, shares: tuple[float, ...]) -> int:
    """Of a prompt that runs on its own."""
    if not published.prefix:
        return 0
    return sum(layer_macs(published.geometry, n, n) for n in _rest(published, shares))


def projected(record: Record, published: Published = LLADA_V) -> int:
    """Projected multiply-accumulates of a record; one without a picture counts as unpruned."""
    full = record.n_visual
    runs = [
        (steps, [count / full if full else 1.0 for count in layers])
        for steps, layers in record.visual_runs
    ]
    return projected_macs(runs, record.response, published, record.refreshes)
