"""What a run's reductions would save at the published size of LLaDA-V, by counting.

The small embedded models spend much of a step outside the decoder's matrices. Their own pattern of
visual tokens, step by step and layer by layer, is therefore also priced at the size at which the
paper measures. This is arithmetic, not a measurement.
"""

from collections.abc import Iterable, Sequence

from saccade.controller.cost import layer_macs
from saccade.controller.types import Geometry, round_keep
from saccade.studies.records import Record

PUBLISHED = Geometry(
    n_layers=32, hidden=4096, intermediate=12288, n_heads=32, n_kv_heads=32, vocab=126464
)
"""LLaDA-V (8B)."""
N_VISUAL, N_PROMPT = 3645, 130
"""Visual tokens of a picture at the published any-resolution setting, and tokens of its prompt."""


def projected_macs(runs: Iterable[tuple[int, Sequence[float]]], response: int) -> int:
    """Multiply-accumulates of the decoder layers at the published size.

    Parameters
    ----------
    runs : iterable of (int, sequence of float)
        How many steps, and the share of the visual tokens that each of the run's layers computed in
        them, in [0, 1]. Layer l of the 32 takes the share of layer ``floor(l * n_layers / 32)``.
    response : int
        Response tokens; they are computed in every layer and step, as the prompt's are.

    Returns
    -------
    int
        Exact counts of `saccade.controller.cost.layer_macs`, without the output head.
    """
    return sum(steps * _step_macs(shares, response) for steps, shares in runs)


def _step_macs(shares: Sequence[float], response: int) -> int:
    n = PUBLISHED.n_layers
    spread = [shares[layer * len(shares) // n] for layer in range(n)]
    rows = [round_keep(share, N_VISUAL) + N_PROMPT + response for share in spread]
    return sum(layer_macs(PUBLISHED, count, count) for count in rows)


def projected(record: Record) -> int:
    """Projected multiply-accumulates of a record; one without a picture counts as unpruned."""
    full = record.n_visual
    runs = [
        (steps, [count / full if full else 1.0 for count in layers])
        for steps, layers in record.visual_runs
    ]
    return projected_macs(runs, record.response)
