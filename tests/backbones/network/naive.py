"""The plain versions that the fast ones are compared with: a forward, and the published loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones.network.decoder import DecoderLayer, RMSNorm
from saccade.backbones.network.network import Network


@dataclass
class Naive:
    """What a plain forward over one sequence gave.

    Attributes
    ----------
    logits : Tensor (L', V)
        Of the rows that reached the end.
    attention : list of Tensor (H, L', L')
        Softmaxed, one per layer.
    """

    logits: Tensor
    attention: list[Tensor] = field(default_factory=list)


Change = Callable[[Tensor, Tensor], Tensor]
Visible = Callable[[int], Tensor]
"""Which rows each row may attend to in a layer: (L, L) bool."""


@torch.inference_mode()
def naive_forward(
    network: Network,
    embeds: Tensor,
    alive: Mapping[int, Sequence[int]] | None = None,
    visible: Visible | None = None,
    positions: Tensor | None = None,
    change: Mapping[int, Change] | None = None,
    skip: Mapping[int, Sequence[int]] | None = None,
) -> Naive:
    """One sequence (L, D), attention written out; from layer `l` on only the rows `alive[l]` exist.

    Before that, ``change[l]`` may make others of them, given all rows and their positions. Rows are
    physically removed, and the others keep the positions they had. What is `visible` says instead
    which of all rows each attends to. Rows at positions ``skip[l]`` are neither computed
    nor seen in layer `l`.
    """
    out, hidden = Naive(embeds), embeds
    positions = torch.arange(len(embeds)) if positions is None else positions
    for index, layer in enumerate(network.model.layers):
        assert isinstance(layer, DecoderLayer)
        if change is not None and index in change:
            hidden = change[index](hidden, positions)
        if alive is not None and index in alive:
            stays = torch.isin(positions, torch.as_tensor(list(alive[index])))
            positions, hidden = positions[stays], hidden[stays]
        seen = None if visible is None else visible(index)
        skips = torch.isin(positions, torch.as_tensor(list((skip or {}).get(index, ()))))
        if bool(skips.any()):
            everything = torch.ones(len(hidden), len(hidden), dtype=torch.bool)
            seen = everything if seen is None else seen.clone()
            seen[:, skips] = torch.eye(len(hidden), dtype=torch.bool)[:, skips]
        before = hidden
        mixed, weights = _attend(network, layer, hidden, positions, seen)
        out.attention.append(weights)
        hidden = hidden + mixed
        x, mlp = _norm(layer.post_attention_layernorm, hidden), layer.mlp
        gated = F.silu(x @ mlp.gate_proj.weight.T) * (x @ mlp.up_proj.weight.T)
        hidden = hidden + gated @ mlp.down_proj.weight.T
        hidden = torch.where(skips[:, None], before, hidden)
    out.logits = _norm(network.model.norm, hidden) @ network.lm_head.weight.T
    return out


def _norm(norm: RMSNorm, x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight


def _attend(
    network: Network,
    layer: DecoderLayer,
    hidden: Tensor,
    positions: Tensor,
    seen: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    config, own = network.language, layer.self_attn
    d = config.head_dim
    x = _norm(layer.input_layernorm, hidden)
    frequency = config.rope_theta ** (-torch.arange(0, d, 2) / d)
    turn = torch.polar(torch.ones(()), positions[:, None] * frequency)[:, None]

    def heads(linear: torch.nn.Linear, turned: bool) -> Tensor:
        y = x @ linear.weight.T
        y = (y if linear.bias is None else y + linear.bias).reshape(len(x), -1, d)
        if turned:
            z = torch.complex(y[..., : d // 2], y[..., d // 2 :]) * turn
            y = torch.cat([z.real, z.imag], dim=-1)
        return y.repeat_interleave(config.n_heads // y.shape[1], dim=1).transpose(0, 1)

    q, k, v = heads(own.q_proj, True), heads(own.k_proj, True), heads(own.v_proj, False)
    scores = q @ k.transpose(1, 2) / d**0.5
    weights = (scores if seen is None else scores.masked_fill(~seen, -torch.inf)).softmax(-1)
    return (weights @ v).transpose(0, 1).flatten(1) @ own.o_proj.weight.T, weights


@dataclass
class LoopStep:
    """What one step of the published loop committed, positions counted in the response."""

    k: int
    picked: list[int]
    ids: list[int]


@dataclass
class Loop:
    """Result of the published loop."""

    tokens: list[int]
    steps: list[LoopStep]


def published_loop(
    logits_of: Callable[[Tensor, Tensor], Tensor],
    prompt: Tensor,
    table: Tensor,
    *,
    mask_id: int,
    forbidden: Sequence[int] = (),
    gen_length: int,
    block_length: int,
    steps: int,
    stops: Sequence[Sequence[int]] = (),
    suffix: Sequence[int] = (),
    search_all_stops: bool = False,
    commit_ineligible: bool = True,
) -> Loop:
    """LLaDA-V's greedy loop over the FULL sequence: masks are found by their embedding.

    `logits_of` maps embeddings (L, D) and ids (L,) to logits (L, V); `table` embeds ids.
    """
    p, end = len(prompt), len(prompt) + gen_length
    tail = torch.tensor(list(suffix), dtype=torch.int64)
    x = torch.cat([prompt, table[mask_id].expand(gen_length, -1), table[tail]])
    t = torch.cat([torch.full((end,), mask_id), tail])
    n_blocks, stop, log = gen_length // block_length, None, []
    per_block = steps // n_blocks

    def is_masked() -> Tensor:
        return ((x - table[mask_id]).abs() < 1e-5).all(-1)

    for block in range(n_blocks):
        first, last = p + block * block_length, p + (block + 1) * block_length
        if stop is not None and stop <= first:
            break
        n = int(is_masked()[first:last].sum())
        for i in range(per_block):
            masked = is_masked()
            if stop is not None and not masked[p:stop].any() or not masked[first:last].any():
                break
            logits = logits_of(x, t).clone()
            for token in forbidden:
                logits[masked, token] = -torch.inf
            best = logits.argmax(-1)
            ranked = logits.double().softmax(-1).gather(-1, best[:, None])[:, 0]
            ranked[last if stop is None else stop :] = -torch.inf
            ranked[end:] = -torch.inf
            ranked[~masked] = -torch.inf
            k = n // per_block + (1 if i < n % per_block else 0)
            if not commit_ineligible:
                k = min(k, int((ranked > -torch.inf).sum()))
            picked = torch.topk(ranked, k).indices
            new = picked[masked[picked]]
            x[new], t[new] = table[best[new]], best[new]
            stop = _find_stop(t[p:end].tolist(), stops, stop, p, search_all_stops)
            inside = sorted(int(at) - p for at in picked if at >= p)
            log.append(LoopStep(k, inside, t[p:].tolist()))
    return Loop(t[p : stop or end].tolist() + list(suffix), log)


def _find_stop(
    ids: list[int], stops: Sequence[Sequence[int]], stop: int | None, offset: int, search_all: bool
) -> int | None:
    for wanted in stops:
        for at in range(len(ids)):
            if ids[at : at + len(wanted)] == list(wanted):
                if stop is None or at + offset < stop:
                    stop = at + offset
                break
        if stop is not None and not search_all:
            break
    return stop


def masses_by_kind(
    run: Naive, kinds: Tensor, n: int, rows: Sequence[int], alive: Mapping[int, list[int]] = {}
) -> Tensor:
    """Attention (n_layers, 3) of some of the last `n` rows on tokens of each kind, mean over heads
    and rows; from the layers of `alive` on, only those positions are there."""
    here, out = torch.arange(len(kinds)), []
    for layer, weights in enumerate(run.attention):
        here = torch.tensor(alive[layer]) if layer in alive else here
        per_key = weights.mean(0)[-n:][list(rows)].mean(0)
        out.append([float(per_key[kinds[here] == kind].sum()) for kind in range(3)])
    return torch.tensor(out)
