"""Batches as tensors: pages with several questions each, or samples of one task kind."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saccade.studies.tasks.documents import KINDS, Page, draw_page
from saccade.studies.tasks.documents.digits import glyph_bank
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage
from saccade.studies.training.grounding import answer_places, page_places
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
    places : Tensor (B, 24, N) bool
        Patches of each digit, see `grounding`.
    opening : Tensor (P,) int64
        The prompt before the picture, the same for all.
    groups : tuple of Questions, one per kind
    """

    pages: tuple[Page, ...]
    pixels: Tensor
    places: Tensor
    opening: Tensor
    groups: tuple[Questions, ...]


def draw_pages(
    step: int, n: int, seed: int, omitted: float = 0.0
) -> tuple[tuple[Page, ...], np.random.Generator]:
    """Training pages of one step, and the generator that goes on from them."""
    rng = np.random.default_rng([seed, 7, step])
    bank = glyph_bank("train", variants=VARIANTS)
    return tuple(draw_page(bank, rng, omitted) for _ in range(n)), rng


def make_batch(
    chat: Chat,
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
        prompts = [[chat.prompt(q)[1] for q, _ in row] for row in pairs]
        answers = [[chat.answer(kind, a) for _, a in row] for row in pairs]
        places = [
            [
                answer_places(kind, question, [chat.tokenizer.decode([token]) for token in ids])
                for (question, _), ids in zip(asked, given, strict=True)
            ]
            for asked, given in zip(pairs, answers, strict=True)
        ]
        tensors = (torch.tensor(values) for values in (prompts, answers, places))
        groups.append(Questions(kind, *tensors))
    opening = torch.tensor(chat.prompt("")[0])
    pixels = torch.from_numpy(pixel_views(list(pages)))
    marks = torch.stack([page_places(page) for page in pages])
    return Batch(pages, pixels, marks, opening, tuple(groups))


@dataclass(frozen=True, slots=True)
class Views:
    """Pages and what each of their patches shows.

    Attributes
    ----------
    pixels : Tensor (B, 3, 96, 96)
    digits, places : Tensor (B, N) int64
        Labels of the patches, see `patch_labels`.
    """

    pixels: Tensor
    digits: Tensor
    places: Tensor


def make_views(step: int, n_pages: int, seed: int) -> Views:
    """Draw the pages of a step of a "vision" stage."""
    pages, _ = draw_pages(step, n_pages, seed)
    pixels = torch.from_numpy(pixel_views(list(pages)))
    return Views(pixels, *batch_labels(pages))


def draw(chat: Chat, stage: Stage, number: int, n_pages: int, seed: int) -> Batch | Views:
    """What draw `number` of a stage shows: it follows from the seed and that number."""
    if stage.kind == "vision":
        return make_views(number, n_pages, seed)
    return make_batch(chat, number, n_pages, stage.per_page, seed, stage.omitted)


def batch_labels(pages: tuple[Page, ...]) -> tuple[Tensor, Tensor]:
    """Patch targets (V, P) of several pages: digits and places."""
    pairs = [patch_labels(page) for page in pages]
    digits, places = zip(*pairs, strict=True)
    return torch.from_numpy(np.stack(digits)), torch.from_numpy(np.stack(places))
