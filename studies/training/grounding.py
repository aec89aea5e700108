"""Guided attention: for a while, tokens are shown where on the page their digits stand.

From random weights a small model first learns the language of the answers and only much later to
look at the page. A loss on the attention of one layer, faded out over the first steps of a stage,
shortens that wait; afterwards attention is free to arrange itself.
"""

import re

import torch
from torch import Tensor

from saccade.studies.tasks.documents import Page
from saccade.studies.tasks.documents.page import N_ROWS, SIDES
from saccade.studies.training.pages import patch_labels

ELSEWHERE = -1
_DIGIT_OF_KIND = {"transcribe": 0, "describe": 1, "code": 1}
"""Digits that precede each code in an answer (row numbers), per kind."""


def page_places(page: Page) -> Tensor:
    """Patches (24, P) bool of each digit of the page: row by row, four places each."""
    _, places = (torch.from_numpy(labels) for labels in patch_labels(page))
    side = int(len(places) ** 0.5)
    rows = torch.arange(side).repeat_interleave(side) * N_ROWS // side
    return torch.stack([(rows == i // 4) & (places == i % 4) for i in range(N_ROWS * 4)])


def answer_places(kind: str, question: str, tokens: list[str]) -> list[int]:
    """Which digit of the page (0 to 23) each answer token is about; `ELSEWHERE` for the others.

    A row's side ("left", "middle", "right") is about its first digit.
    """
    numbers = [int(n) for n in re.findall(r"(?:digit|row) (\d)", question)]
    digits = [i for i, token in enumerate(tokens) if token.isdigit()]
    out = [ELSEWHERE] * len(tokens)
    if kind in ("digit", "yesno"):
        place, row = numbers
        out[0] = (row - 1) * 4 + place - 1
    elif kind in _DIGIT_OF_KIND:
        lead = _DIGIT_OF_KIND[kind]
        first = (numbers[0] - 1) if kind == "code" else 0
        for n, i in enumerate(digits):
            row, place = divmod(n, 4 + lead)
            if place >= lead:
                out[i] = (first + row) * 4 + place - lead
    sides = [i for i, token in enumerate(tokens) if token.strip() in SIDES]
    for row, i in enumerate(sides):
        out[i] = row * 4
    return out


def guided_loss(attention: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    """Negative log of the attention that lands on the right patches.

    Parameters
    ----------
    attention : Tensor (B, Q, R, P)
        Mean over heads of the attention of R rows to the patches of their page.
    targets : Tensor (B, Q, R) int64
        Digit of the page that each row should look at, or `ELSEWHERE`.
    places : Tensor (B, 24, P) bool
        Patches of each digit.
    """
    b, q, r = torch.nonzero(targets != ELSEWHERE, as_tuple=True)
    wanted = places[b, targets[b, q, r]]
    hit = (attention[b, q, r] * wanted).sum(-1)
    return -(hit + 1e-6).log().mean()
