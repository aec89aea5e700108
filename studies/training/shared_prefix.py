"""Many questions about one page in one forward: the page runs once, every question reads it.

A full forward spends most of its time on visual tokens. While a model learns to read, several
questions share one pass of the page: rows of the page attend to the page, rows of a question (text
and answer) attend to the page and to themselves, at the positions they would have alone. Only that
the page does not see the question differs from the real forward, which a last stage trains.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones.decoder import DecoderLayer, rotary_angles, rotate
from saccade.backbones.network import Network
from saccade.controller.signals import row_attention


def _project(layer: DecoderLayer, x: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries and keys, and values, each (N, H, L, d)."""
    attention, x = layer.self_attn, layer.input_layernorm(x)
    q, k, v = (
        projection(x).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return rotate(q, angles), rotate(k, angles), v


def _finish(layer: DecoderLayer, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    gqa = k.shape[1] != q.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, enable_gqa=gqa)
    x = x + layer.self_attn.o_proj(out.transpose(1, 2).flatten(2))
    done: Tensor = x + layer.mlp(layer.post_attention_layernorm(x))
    return done


def _per_question(page: Tensor, n: int) -> Tensor:
    """Repeat page keys (B, H, L, d) for each of `n` questions: (B n, H, L, d)."""
    return page.repeat_interleave(n, dim=0)


def shared_prefix_hidden(
    network: Network, page: Tensor, questions: list[Tensor], watched: int | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Run pages and their questions through the layers.

    Parameters
    ----------
    page : Tensor (B, P, D)
        Embedded prompt up to and including the visual tokens.
    questions : list of Tensor (B, Q_g, L_g, D)
        Embedded rest of the prompt and answer, Q_g questions of equal length in each group.
    watched : int, optional
        Layer whose attention is wanted.

    Returns
    -------
    hidden : list of Tensor (B, Q_g, L_g, D)
        Before the final norm.
    attention : list of Tensor (B, Q_g, L_g, P)
        Of the watched layer, to the page, mean over heads; empty if none is watched.
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
            flat[i] = _finish(layer, group, gq, keys, values)
            if number == watched:
                seen = row_attention(gq, keys)[..., :start].mean(1)
                attention.append(seen.unflatten(0, (-1, n)))
        page = _finish(layer, page, q, k, v)
    hidden = [group.unflatten(0, (-1, n)) for group, n in zip(flat, counts, strict=True)]
    return hidden, attention
