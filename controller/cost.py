"""Multiply-accumulates of a forward: the exact count, and the formula of the paper.

Both count multiply-accumulates of the decoder layers (a FLOP count is twice that).
"""

from collections.abc import Sequence

from saccade.controller.types import Geometry


def layer_macs(geometry: Geometry, queries: int, keys: int) -> int:
    """Exact count of one decoder layer for `queries` rows attending to `keys` rows.

    Four projections with grouped keys and values, scores and their sum, and a gated MLP of three
    matrices: ``(2 + 2g) q d^2 + 2 q k d + 3 q d m`` with g the share of key-value heads.
    """
    d, m = geometry.hidden, geometry.intermediate
    projections = 2 * d * d + 2 * d * d * geometry.n_kv_heads // geometry.n_heads
    return queries * (projections + 2 * keys * d + 3 * d * m)


def head_macs(geometry: Geometry, rows: int) -> int:
    """Exact count of the output head over `rows`."""
    return rows * geometry.hidden * geometry.vocab


def forward_macs(
    geometry: Geometry,
    rows_per_layer: Sequence[int],
    head_rows: int,
    keys_per_layer: Sequence[int] | None = None,
) -> int:
    """Exact count of one forward: rows of every layer, and rows of the head.

    With a cache the rows of a layer attend to more keys than there are rows; without
    `keys_per_layer` they attend to themselves. A causal layer is counted as if every row saw all
    rows, as it runs without a kernel that leaves out the others.
    """
    keys = rows_per_layer if keys_per_layer is None else keys_per_layer
    layers = sum(layer_macs(geometry, n, k) for n, k in zip(rows_per_layer, keys, strict=True))
    return layers + head_macs(geometry, head_rows)


def paper_macs(
    geometry: Geometry, rows_per_layer: Sequence[int], keys_per_layer: Sequence[int] | None = None
) -> int:
    """Count by the paper's formula (arXiv 2511.15098, equations 6 and 8 as reconstructed).

    ``4 n d^2 + 2 n k d + 2 n d m`` per layer, with n rows and k keys (k = n without a cache): an
    MLP of two matrices, no grouped heads, no output head. Use it only to compare with published
    figures.
    """
    d, m = geometry.hidden, geometry.intermediate
    keys = rows_per_layer if keys_per_layer is None else keys_per_layer
    pairs = zip(rows_per_layer, keys, strict=True)
    return sum(4 * n * d * d + 2 * n * k * d + 2 * n * d * m for n, k in pairs)
