"""Batches as tensors: pages with several questions each, or samples of one task kind."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from saccade.backbones.prepare import IMAGE_ID
from saccade.backbones.prompt import encode_with_images, render_chat, render_question
from saccade.studies.documents import KINDS, Page, draw_page
from saccade.studies.documents.digits import glyph_bank
from saccade.studies.training.grounding import answer_places
from saccade.studies.training.pages import patch_labels, pixel_views

VARIANTS = 24
"""Varied copies of each glyph that training pages draw from."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions of one kind about every page of a batch, which all have the same lengths.

    Attributes
    ----------
    kind : str
    prompts : Tensor (B, Q, L) int64
        The prompt after the picture.
    answers : Tensor (B, Q, R) int64
        Ended by the end-of-turn token and filled up with it.
    places : Tensor (B, Q, R) int64
        Which digit of the page each answer token is about, see `grounding`.
    """

    kind: str
    prompts: Tensor
    answers: Tensor
    places: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Pages with their questions.

    Attributes
    ----------
    pages : tuple of Page
    pixels : Tensor (B, 3, 96, 96)
    opening : Tensor (P,) int64
        The prompt before the picture, the same for all.
    groups : tuple of Questions, one per kind
    """

    pages: tuple[Page, ...]
    pixels: Tensor
    opening: Tensor
    groups: tuple[Questions, ...]


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Id of a special token; one that the tokenizer lacks raises `KeyError`."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise KeyError(f"the tokenizer has no {token}")
    return found


def encode_prompt(tokenizer: Tokenizer, question: str) -> tuple[list[int], list[int]]:
    """Token ids of the published chat prompt before and after its one picture."""
    text = render_chat([("user", render_question(question, 1))])
    ids = encode_with_images(text, lambda s: list(tokenizer.encode(s).ids), image_id=IMAGE_ID)
    at = ids.index(IMAGE_ID)
    return ids[:at], ids[at + 1 :]


def encode_answer(tokenizer: Tokenizer, kind: str, answer: str) -> list[int]:
    """Token ids of the answer, the end-of-turn token, and more of those up to ``gen_length``."""
    length = KINDS[kind].gen_length
    ids = list(tokenizer.encode(answer).ids)
    if len(ids) + 1 > length:
        raise ValueError(f"{kind}: an answer of {len(ids)} tokens does not fit {length}")
    return ids + [token_id(tokenizer, "<|eot_id|>")] * (length - len(ids))


def draw_pages(
    step: int, n: int, seed: int, omitted: float = 0.0
) -> tuple[tuple[Page, ...], np.random.Generator]:
    """Training pages of one step, and the generator that goes on from them."""
    rng = np.random.default_rng([seed, 7, step])
    bank = glyph_bank("train", variants=VARIANTS)
    return tuple(draw_page(bank, rng, omitted) for _ in range(n)), rng


def make_batch(
    tokenizer: Tokenizer,
    step: int,
    n_pages: int,
    per_page: dict[str, int],
    seed: int,
    omitted: float = 0.0,
) -> Batch:
    """Draw the pages of a step and ask `per_page` questions of each kind about every one."""
    pages, rng = draw_pages(step, n_pages, seed, omitted)
    groups = []
    for kind, count in per_page.items():
        pairs = [[KINDS[kind].ask(page, rng) for _ in range(count)] for page in pages]
        prompts = [[encode_prompt(tokenizer, q)[1] for q, _ in row] for row in pairs]
        answers = [[encode_answer(tokenizer, kind, a) for _, a in row] for row in pairs]
        places = [
            [
                answer_places(kind, question, [tokenizer.decode([token]) for token in ids])
                for (question, _), ids in zip(asked, given, strict=True)
            ]
            for asked, given in zip(pairs, answers, strict=True)
        ]
        tensors = (torch.tensor(values) for values in (prompts, answers, places))
        groups.append(Questions(kind, *tensors))
    opening = torch.tensor(encode_prompt(tokenizer, "")[0])
    pixels = torch.from_numpy(pixel_views(list(pages)))
    return Batch(pages, pixels, opening, tuple(groups))


def batch_labels(pages: tuple[Page, ...]) -> tuple[Tensor, Tensor]:
    """Patch targets (V, P) of several pages: digits and places."""
    pairs = [patch_labels(page) for page in pages]
    digits, places = zip(*pairs, strict=True)
    return torch.from_numpy(np.stack(digits)), torch.from_numpy(np.stack(places))
