"""Many questions about one page in one forward: the page runs once, every question reads it.

A full forward spends most of its time on visual tokens. While a model learns to read, several
questions share one pass of the page: rows of the page attend to the page, rows of a question (text
and answer) attend to the page and to themselves, at the positions they would have alone. In a
causal model that is the real forward; in others only that the page does not see the question
differs from it, which a last stage trains.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones.network.decoder import DecoderLayer, rotary_angles, rotate
from saccade.backbones.network.network import Network


def _project(layer: DecoderLayer, x: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries and keys, and values, each (N, H, L, d)."""
    attention, x = layer.self_attn, layer.input_layernorm(x)
    q, k, v = (
        projection(x).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return rotate(q, angles), rotate(k, angles), v


def _finish(
    layer: DecoderLayer, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
) -> Tensor:
    gqa = k.shape[1] != q.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=gqa)
    x = x + layer.self_attn.o_proj(out.transpose(1, 2).flatten(2))
    done: Tensor = x + layer.mlp(layer.post_attention_layernorm(x))
    return done


def _seen(causal: bool, rows: int, before: int, device: torch.device) -> Tensor | None:
    """Which keys (rows, before + rows) some rows may attend to that come after `before` others."""
    if not causal:
        return None
    return torch.ones(rows, before + rows, dtype=torch.bool, device=device).tril(before)


def _per_question(page: Tensor, n: int) -> Tensor:
    """Repeat page keys (B, H, L, d) for each of `n` questions: (B n, H, L, d)."""
    return page.repeat_interleave(n, dim=0)


class SharedPass(NamedTuple):
    """Result of `shared_prefix_hidden`.

    Attributes
    ----------
    hidden : list of Tensor (B, Q_g, L_g, D)
        Of the questions, before the final norm.
    attention : list of Tensor (B, Q_g, L_g, P)
        Of the watched layer, to the page, mean over heads; empty if none is watched.
    page : Tensor (B, P, D)
        Of the pages, before the final norm.
    """

    hidden: list[Tensor]
    attention: list[Tensor]
    page: Tensor


def shared_prefix_hidden(
    network: Network, page: Tensor, questions: list[Tensor], watched: int | None = None
) -> SharedPass:
    """Run pages and their questions through the layers.

    Parameters
    ----------
    page : Tensor (B, P, D)
        Embedded prompt up to and including the visual tokens.
    questions : list of Tensor (B, Q_g, L_g, D)
        Embedded rest of the prompt and answer, Q_g questions of equal length in each group.
    watched : int, optional
        Layer whose attention is wanted.
    """
    config, device = network.language, page.device
    start = page.shape[1]
    longest = max(group.shape[2] for group in questions)
    places = torch.arange(start + longest, device=device)[None]
    angles = rotary_angles(places, config.head_dim, config.rope_theta, page.dtype)
    counts = [group.shape[1] for group in questions]
    flat = [group.flatten(0, 1) for group in questions]
    attention = []
    for number, layer in enumerate(network.model.layers):
        assert isinstance(layer, DecoderLayer)
        q, k, v = _project(layer, page, angles[..., :start, :])
        for i, (group, n) in enumerate(zip(flat, counts, strict=True)):
            here = angles[..., start : start + group.shape[1], :]
            gq, gk, gv = _project(layer, group, here)
            keys = torch.cat([_per_question(k, n), gk], dim=2)
            values = torch.cat([_per_question(v, n), gv], dim=2)
            mask = _seen(config.causal, group.shape[1], start, device)
            flat[i] = _finish(layer, group, gq, keys, values, mask)
            if number == watched:
                attention.append(_to_page(gq, keys, mask, start).unflatten(0, (-1, n)))
        page = _finish(layer, page, q, k, v, _seen(config.causal, start, 0, device))
    hidden = [group.unflatten(0, (-1, n)) for group, n in zip(flat, counts, strict=True)]
    return SharedPass(hidden, attention, page)


def _to_page(q: Tensor, keys: Tensor, mask: Tensor | None, start: int) -> Tensor:
    """Attention (N, L, start) of rows to the page, mean over heads."""
    keys = keys.repeat_interleave(q.shape[1] // keys.shape[1], dim=1)
    scores = (q @ keys.transpose(-1, -2)) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    seen: Tensor = scores.softmax(-1)[..., :start].mean(1)
    return seen
