"""A stand-in for LLaDA-V's published class: same name, tensors, config and call."""

from typing import Any

import torch
from torch import Tensor

from tests.backbones.published.arch import WithPictures
from tests.backbones.published.layers import Config

FORBIDDEN = (126081, 126080, 126346, 126347)


class LlavaLLaDAModelLM(WithPictures):
    """Its generate is the published loop by its description: everything is computed in every step,
    and what is masked is told by embeddings.

    `forbidden` are the ids that are never predicted; constants in the published code.
    """

    forbidden = FORBIDDEN

    def __init__(self, config: Config, vision: Config, loaded: bool = True) -> None:
        super().__init__(config, vision, False, loaded)

    @torch.no_grad()
    def generate(
        self,
        inputs: Any = None,
        images: Any = None,
        image_sizes: Any = None,
        modalities: list[str] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        mask = kwargs.pop("attention_mask", None)
        if images is None:
            embeds = self.model.embed_tokens(inputs)
        else:
            kinds = modalities or ["image"]
            embeds = self.prepare_inputs_labels_for_multimodal(
                inputs, mask, images, kinds, image_sizes
            )
        return self.generate_with_embeds(embeds, **kwargs)

    def generate_with_embeds(
        self,
        prompt: Tensor,
        steps: int = 128,
        gen_length: int = 128,
        block_length: int = 128,
        temperature: float = 0.0,
        cfg_scale: float = 0.0,
        remasking: str = "low_confidence",
        mask_id: int = 126336,
        tokenizer: Any = None,
        stopping_criteria: Any = None,
        generation_suffix: Any = None,
        **_: Any,
    ) -> Tensor:
        assert gen_length % block_length == 0
        blocks = gen_length // block_length
        assert steps % blocks == 0
        p = prompt.shape[1]
        empty = self.model.embed_tokens(torch.tensor([mask_id]))[0]
        suffix = tokenizer.encode(generation_suffix) if generation_suffix and tokenizer else []
        after = self.model.embed_tokens(torch.tensor([suffix], dtype=torch.int64))
        x = torch.cat([prompt, empty.expand(1, gen_length, -1), after], 1)
        ids = torch.full(x.shape[1:2], mask_id)
        ids[p + gen_length :] = torch.tensor(suffix, dtype=torch.int64)
        stops = [tokenizer.encode(text) for text in stopping_criteria or ()]
        stop: int | None = None
        for block in range(blocks):
            start = p + block * block_length
            end = start + block_length
            if stop is not None and stop <= start:
                break
            n, spb = int(self._masked(x, empty)[start:end].sum()), steps // blocks
            for i in range(spb):
                masked = self._masked(x, empty)
                if stop is not None and not masked[p:stop].any():
                    break
                if not masked[start:end].any():
                    break
                logits = self._logits(x, p, empty, cfg_scale)
                logits[masked[:, None] & self._never(logits)] = -torch.inf
                best = _noisy(logits, temperature).argmax(-1)
                if remasking == "random":
                    sure = torch.rand(1, len(best))[0]
                else:
                    sure = logits.double().softmax(-1).gather(-1, best[:, None])[:, 0]
                sure[end if stop is None else stop :] = -torch.inf
                sure[~masked] = -torch.inf
                for place in sure.topk(n // spb + (i < n % spb)).indices.tolist():
                    if masked[place]:
                        ids[place] = best[place]
                        x[0, place] = self.model.embed_tokens.weight[best[place]]
                stop = _stop(ids[p : p + gen_length].tolist(), stops, stop, p)
        last = p + gen_length if stop is None else stop
        return torch.cat([ids[p:last], ids[p + gen_length :]])[None]

    def _masked(self, x: Tensor, empty: Tensor) -> Tensor:
        return ((x - empty).abs() < 1e-5).all(-1)[0]

    def _never(self, logits: Tensor) -> Tensor:
        never = torch.zeros(logits.shape[-1], dtype=torch.bool)
        never[list(self.forbidden)] = True
        return never[None]

    def _logits(self, x: Tensor, p: int, empty: Tensor, cfg_scale: float) -> Tensor:
        logits = self.lm_head(self.model(x)[0]).float()[0]
        if cfg_scale <= 0:
            return logits
        blind = x.clone()
        blind[:, :p] = empty
        without = self.lm_head(self.model(blind)[0]).float()[0]
        return without + (cfg_scale + 1) * (logits - without)


def _noisy(logits: Tensor, temperature: float) -> Tensor:
    if temperature == 0:
        return logits
    wide = logits.double()
    noise = torch.rand_like(wide[None])[0]
    return wide.exp() / (-torch.log(noise)) ** temperature


def _stop(ids: list[int], stops: list[list[int]], known: int | None, p: int) -> int | None:
    """Once a stop is known, only the first sequence is looked for."""
    for own in stops:
        places = (i for i in range(len(ids) - len(own) + 1) if ids[i : i + len(own)] == own)
        first = next(places, None)
        if first is not None and (known is None or p + first < known):
            known = p + first
        if known is not None:
            break
    return known
