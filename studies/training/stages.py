"""What the stages share: reading patches, pages and questions as embeddings, figures of a step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from saccade.backbones.network.network import Network
from saccade.backbones.network.token_states import TokenStates
from saccade.studies.training.batch import Batch, Questions, Views
from saccade.studies.training.chat import Chat
from saccade.studies.training.grounding import ELSEWHERE, guided_loss
from saccade.studies.training.objective import mask_response, patch_loss
from saccade.studies.training.pages import N_DIGIT_CLASSES, N_PLACE_CLASSES

Figures = dict[str, Tensor]
"""Named scalars of a step, left on their device until somebody reads them."""


def plain_figures(figures: Mapping[str, Tensor]) -> dict[str, float]:
    """The numbers."""
    return {name: value.item() for name, value in figures.items()}


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


def vision_loss(network: Network, heads: PatchHeads, views: Views) -> tuple[Tensor, Figures]:
    """Loss of reading the patches of some pages, and the figures to log."""
    device = network.model.image_newline.device
    scores = heads(network.model.vision_tower(views.pixels.to(device)))
    digits, places = views.digits.to(device), views.places.to(device)
    loss = patch_loss(scores, (digits, places))
    inked = digits != N_DIGIT_CLASSES - 1
    right = (scores[0].argmax(-1) == digits) & inked
    return loss, {"loss": loss.detach(), "digits": right.sum() / inked.sum()}


def embed_page(network: Network, batch: Batch) -> Tensor:
    """Embedded opening and visual tokens of every page (B, P + V, D)."""
    device = network.model.image_newline.device
    visual = network.encode_views(batch.pixels.to(device))
    opening = network.model.embed_tokens(batch.opening.to(device)).expand(len(visual), -1, -1)
    return torch.cat([opening, visual], dim=1)


def masked_questions(
    network: Network, chat: Chat, batch: Batch, generator: torch.Generator
) -> tuple[list[tuple[Tensor, Tensor, Tensor]], list[Tensor]]:
    """What `mask_response` makes of each kind's answers, and the questions with these, embedded
    (B, Q, L, D)."""
    embed = network.model.embed_tokens
    noises, questions = [], []
    for group in batch.groups:
        noise = mask_response(group.answers.flatten(0, 1), chat.mask_id, generator)
        ids = torch.cat([group.prompts, noise[0].view_as(group.answers)], dim=2)
        questions.append(embed(ids.to(embed.weight.device)))
        noises.append(noise)
    return noises, questions


def full_hidden(network: Network, page: Tensor, questions: list[Tensor]) -> list[Tensor]:
    """Hidden states as of `shared_prefix_hidden`, by the real forward: a sequence a question."""
    out = []
    for group in questions:
        n, length = group.shape[1], group.shape[2]
        hidden = torch.cat([page.repeat_interleave(n, dim=0), group.flatten(0, 1)], dim=1)
        ran = network.run(TokenStates.of(hidden)).last(length)
        out.append(ran.unflatten(0, (-1, n)))
    return out


def share_right(logits: Tensor, answers: Tensor, counted: Tensor) -> Tensor:
    """Share of the counted tokens (N, R) whose logits (N, R, V) are best at the answer; NaN where
    none is counted."""
    right = (logits.argmax(-1) == answers) & counted
    return right.sum() / counted.sum()


def mean_loss(losses: Mapping[str, Tensor], figures: Figures) -> Tensor:
    """Mean over the kinds; each is written down."""
    figures |= {f"loss/{kind}": loss.detach() for kind, loss in losses.items()}
    return torch.stack(list(losses.values())).mean()


def guide_of(batch: Batch, attention: list[Tensor], shift: int) -> Tensor:
    """Mean guided loss over the kinds of attention (B, Q, L, P) of questions with their answers.

    With `shift` 1 the row before a token is guided, which predicts it.
    """
    first, parts = len(batch.opening), []
    for group, seen in zip(batch.groups, attention, strict=True):
        rows = answer_rows(seen, group, shift)[..., first:]
        if bool((group.places != ELSEWHERE).any()):
            targets = group.places.to(seen.device)
            parts.append(guided_loss(rows, targets, batch.places.to(seen.device)))
    return torch.stack(parts).mean()


def answer_rows(values: Tensor, group: Questions, shift: int) -> Tensor:
    """Rows (B, Q, R, ...) of the answer among those of prompt and answer (B, Q, L, ...), or with
    `shift` 1 those before them."""
    n = group.answers.shape[2]
    return values[:, :, values.shape[2] - n - shift : values.shape[2] - shift]
