"""A stand-in for LaViDa-Dream's published class: same name, tensors, config and call."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.backbones.published.arch import WithPictures
from tests.backbones.published.layers import Config


@dataclass
class DreamModelOutput:
    sequences: Tensor
    history: list[Tensor] | None = None


class LlavaDreamForMaskedDiffusion(WithPictures):
    """Its generate is the published loop by its description."""

    pooled = True

    def __init__(self, config: Config, vision: Config, loaded: bool = True) -> None:
        super().__init__(config, vision, True, loaded)

    @torch.no_grad()
    def generate(
        self,
        inputs: Any = None,
        images: Any = None,
        image_sizes: Any = None,
        modalities: list[str] | None = None,
        max_new_tokens: int = 512,
        steps: int = 512,
        temperature: float = 0.2,
        top_p: float | None = 0.95,
        alg_temp: float = 0.0,
        alg: str = "entropy",
        output_history: bool = False,
        **kwargs: Any,
    ) -> DreamModelOutput:
        mask = kwargs.pop("attention_mask", None)
        if images is None:
            prompt = self.model.embed_tokens(inputs)
        else:
            kinds = modalities or ["image"]
            prompt = self.prepare_inputs_labels_for_multimodal(
                inputs, mask, images, kinds, image_sizes
            )
        top_k = kwargs.get("top_k", getattr(self.config, "top_k", 50))
        filters = (temperature, top_p, top_k)
        return self._sample(
            prompt, max_new_tokens, steps, filters, alg, alg_temp, output_history, kwargs
        )

    def _sample(
        self,
        prompt: Tensor,
        length: int,
        steps: int,
        filters: tuple[float, float | None, int | None],
        alg: str,
        alg_temp: float,
        output_history: bool,
        more: dict[str, Any],
    ) -> DreamModelOutput:
        prefix, empty = bool(more.get("prefix_lm", False)), self.config.mask_token_id
        steps = min(steps, length)
        times = torch.linspace(1, more.get("eps", 1e-3), steps + 1)
        if more.get("step_ratio") is not None:
            steps = int(length * more["step_ratio"])
        p, cache = prompt.shape[1], None
        ids = torch.cat([torch.zeros(p, dtype=torch.int64), torch.full((length,), empty)])
        if prefix:
            hidden, cache = self.model(prompt)
            ids = ids[p:]
            ids[0] = self.lm_head(hidden)[0, -1].argmax()
        table = None
        if more.get("schedule") is not None:
            shift = (more.get("schedule_kwargs") or {}).get("shift", 3)
            table = counts(int((ids == empty).sum()), steps, more["schedule"], shift)
        history = []
        for i in range(steps):
            masked = ids == empty
            x = self.model.embed_tokens(ids)[None]
            if not prefix:
                x[:, :p] = prompt
            logits = self.lm_head(self.model(x, cache)[0])[0]
            logits = torch.cat([logits[:1], logits[:-1]])[masked]
            share = 1.0 if i == steps - 1 else float(1 - times[i + 1] / times[i])
            n = int(masked.sum())
            k = table[i] if table is not None else (n if i == steps - 1 else int(n * share))
            self._commit(ids, masked, logits, filters, (alg, alg_temp), k, share)
            history.append(ids.clone()[None])
        return DreamModelOutput(ids[None], history if output_history else None)

    def _commit(
        self,
        ids: Tensor,
        masked: Tensor,
        logits: Tensor,
        filters: tuple[float, float | None, int | None],
        how: tuple[str, float],
        k: int,
        share: float,
    ) -> None:
        alg, alg_temp = how
        places = masked.nonzero()[:, 0]
        if alg == "origin":
            chosen = torch.rand(len(places)) < share
            ids[places[chosen]] = sampled(logits[chosen], filters, alg)[1]
            return
        sure, best = sampled(logits, filters, alg)
        if k == 0:
            return
        if alg_temp:
            chosen = torch.multinomial((sure / alg_temp).softmax(-1), k)
        else:
            chosen = sure.topk(k).indices
        ids[places[chosen]] = best[chosen]


def sampled(
    logits: Tensor, filters: tuple[float, float | None, int | None], alg: str
) -> tuple[Tensor, Tensor]:
    """Confidences and candidates of rows (n, V)."""
    temperature, top_p, top_k = filters
    if temperature > 0:
        logits = logits / temperature
    lowest = torch.finfo(logits.dtype).min
    if top_p is not None and top_p < 1:
        values, order = logits.sort(descending=True)
        out = values.softmax(-1).cumsum(-1) > top_p
        out = torch.cat([torch.zeros_like(out[:, :1]), out[:, :-1]], -1)
        logits = logits.masked_fill(torch.zeros_like(out).scatter(-1, order, out), lowest)
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, lowest)
    shares = logits.softmax(-1)
    if temperature > 0:
        best = torch.distributions.Categorical(shares).sample()
        sure = shares.gather(-1, best[:, None])[:, 0]
    else:
        sure, best = shares.max(-1)
    if alg == "topk_margin":
        ordered = shares.sort(descending=True).values
        sure = ordered[:, 0] - ordered[:, 1]
    if alg == "entropy":
        sure = (shares * torch.log(shares + 1e-10)).sum(-1)
    return sure, best


def counts(masked: int, steps: int, schedule: str, shift: float) -> list[int]:
    """How many are committed in each step of a schedule."""
    n = min(steps, masked)
    u = torch.linspace(0, 1, n + 1)
    sigma = {
        "shift": lambda: shift * u / (1 + (shift - 1) * u),
        "cosine": lambda: 1 - 0.5 * (1 + torch.cos(torch.pi * u)),
        "logit_normal": lambda: torch.tensor([NormalDist().cdf(float(x)) for x in torch.logit(u)]),
    }.get(schedule, lambda: u)()
    found = F.relu((sigma * masked).int().diff() - 1).add(1).tolist()
    i = 0
    while sum(found) > masked:
        if found[i % n] > 1:
            found[i % n] -= 1
        i += 1
    return list(reversed(found))
