"""Multiply-accumulates of a forward: the exact count, and the formula of the paper.

Both count multiply-accumulates of the decoder layers (a FLOP count is twice that).
"""

from collections.abc import Sequence

from saccade.controller.types import Geometry


def layer_macs(geometry: Geometry, queries: int, keys: int, number: int = 0) -> int:
    """Exact count of decoder layer `number` for `queries` rows attending to `keys` rows.

    Projections of queries, keys, values and output, scores and their sum, a gated MLP of three
    matrices, and the experts that a row passes with the router that chooses them. Where all heads
    together are as wide as the rows: ``(2 + 2g) q d^2 + 2 q k d + 3 q d m`` with g the share of
    key-value heads.
    """
    layer = geometry.layer(number)
    d, width = layer.hidden, layer.n_heads * layer.head_dim
    shared = layer.n_kv_heads * layer.head_dim * (2 if layer.value_proj else 1)
    experts = layer.experts_read * 3 * d * layer.expert_intermediate + d * layer.experts
    row = 2 * d * width + d * shared + 2 * keys * width + 3 * d * layer.intermediate + experts
    return queries * row


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
    counts = enumerate(zip(rows_per_layer, keys, strict=True))
    layers = sum(layer_macs(geometry, n, k, i) for i, (n, k) in counts)
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
