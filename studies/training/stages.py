"""The losses of the stages: reading patches, answering from a shared page, answering in full."""

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from saccade.backbones.network import Network
from saccade.backbones.rows import Rows
from saccade.studies.training.batch import (
    Batch,
    Questions,
    batch_labels,
    draw_pages,
    make_batch,
    token_id,
)
from saccade.studies.training.config import Stage
from saccade.studies.training.grounding import ELSEWHERE, guided_loss, page_places
from saccade.studies.training.objective import diffusion_loss, mask_response, patch_loss
from saccade.studies.training.pages import N_DIGIT_CLASSES, N_PLACE_CLASSES, pixel_views
from saccade.studies.training.shared_prefix import shared_prefix_hidden

Figures = dict[str, float]


class PatchHeads(nn.Module):
    """Throw-away linear readers of the tower's features: digit and place per patch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.digits = nn.Linear(width, N_DIGIT_CLASSES)
        self.places = nn.Linear(width, N_PLACE_CLASSES)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Score features (V, P, D_v): (V, P, 11) and (V, P, 5)."""
        features = self.norm(features)
        return self.digits(features), self.places(features)


def vision_loss(
    network: Network, heads: PatchHeads, step: int, n_pages: int, seed: int
) -> tuple[Tensor, Figures]:
    """Loss of reading the patches of `n_pages` pages, and the figures to log."""
    pages, _ = draw_pages(step, n_pages, seed)
    device = network.model.image_newline.device
    pixels = torch.from_numpy(pixel_views(list(pages))).to(device)
    scores = heads(network.model.vision_tower(pixels))
    digits, places = (labels.to(device) for labels in batch_labels(pages))
    loss = patch_loss(scores, (digits, places))
    inked = digits != N_DIGIT_CLASSES - 1
    hits = (scores[0].argmax(-1) == digits)[inked].float().mean()
    return loss, {"loss": loss.item(), "digits": hits.item()}


def embed_page(network: Network, batch: Batch) -> Tensor:
    """Embedded opening and visual tokens of every page (B, P + V, D)."""
    device = network.model.image_newline.device
    visual = network.encode_views(batch.pixels.to(device))
    opening = network.model.embed_tokens(batch.opening.to(device)).expand(len(visual), -1, -1)
    return torch.cat([opening, visual], dim=1)


def full_hidden(network: Network, page: Tensor, questions: list[Tensor]) -> list[Tensor]:
    """Hidden states as of `shared_prefix_hidden`, by the real forward: a sequence a question."""
    out = []
    for group in questions:
        n, length = group.shape[1], group.shape[2]
        hidden = torch.cat([page.repeat_interleave(n, dim=0), group.flatten(0, 1)], dim=1)
        ran = network.run(Rows.of(hidden)).last(length)
        out.append(ran.unflatten(0, (-1, n)))
    return out


def _group_loss(
    logits: Tensor, group: Questions, masked: Tensor, rates: Tensor
) -> tuple[Tensor, Figures]:
    """Loss of the questions of one kind, and its figures.

    Where chance masked no token, there is no share of right ones.
    """
    some = bool(masked.any())
    answers = group.answers.flatten(0, 1).to(logits.device)
    masked, rates = masked.to(logits.device), rates.to(logits.device)
    loss = diffusion_loss(logits, answers, masked, rates)
    figures = {f"loss/{group.kind}": loss.item()}
    if some:
        right = (logits.argmax(-1) == answers)[masked].float().mean()
        figures[f"right/{group.kind}"] = right.item()
    return loss, figures


def model_loss(
    network: Network,
    tokenizer: Tokenizer,
    stage: Stage,
    draw: int,
    n_pages: int,
    seed: int,
    guide: float = 0.0,
) -> tuple[Tensor, Figures]:
    """Mean loss over the kinds of all questions about `n_pages` pages, and each kind's figures.

    Pages, questions and masks follow from `seed` and the number of the `draw`; `guide` weighs the
    guided attention loss.
    """
    batch = make_batch(tokenizer, draw, n_pages, stage.per_page, seed, stage.omitted)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + draw)
    mask_id = token_id(tokenizer, "<|mdm_mask|>")
    page, embed = embed_page(network, batch), network.model.embed_tokens
    noises = [mask_response(g.answers.flatten(0, 1), mask_id, generator) for g in batch.groups]
    questions = []
    for group, (noisy, _, _) in zip(batch.groups, noises, strict=True):
        ids = torch.cat([group.prompts, noisy.view_as(group.answers)], dim=2)
        questions.append(embed(ids.to(page.device)))
    attention: list[Tensor] = []
    if stage.shared_prefix:
        watched = stage.guide_layer if guide else None
        hiddens, attention = shared_prefix_hidden(network, page, questions, watched)
    else:
        hiddens = full_hidden(network, page, questions)
    losses: list[Tensor] = []
    figures: Figures = {}
    for group, hidden, (_, masked, rates) in zip(batch.groups, hiddens, noises, strict=True):
        rows = hidden[:, :, -group.answers.shape[2] :].flatten(0, 1)
        loss, seen = _group_loss(network.logits(rows), group, masked, rates)
        losses.append(loss)
        figures |= seen
    total = torch.stack(losses).mean()
    if attention:
        guided = _guide(batch, attention)
        figures["guide"] = guided.item()
        total = total + guide * guided
    return total, figures


def _guide(batch: Batch, attention: list[Tensor]) -> Tensor:
    """Mean guided loss over the kinds."""
    places = torch.stack([page_places(page) for page in batch.pages])
    first = len(batch.opening)
    parts = []
    for group, seen in zip(batch.groups, attention, strict=True):
        if bool((group.places != ELSEWHERE).any()):
            device = seen.device
            rows = seen[:, :, -group.answers.shape[2] :, first:]
            parts.append(guided_loss(rows, group.places.to(device), places.to(device)))
    return torch.stack(parts).mean()
