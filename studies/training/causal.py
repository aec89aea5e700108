"""Next-token prediction: every row of a causal model predicts the token after it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones.network.network import Network
from saccade.studies.training.batch import Batch
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage
from saccade.studies.training.shared_prefix import shared_prefix_hidden
from saccade.studies.training.stages import (
    Figures,
    answer_rows,
    embed_page,
    guide_of,
    mean_loss,
    share_right,
)


def until_end(answers: Tensor, end_id: int) -> Tensor:
    """Tokens (..., R) bool of an answer up to and with its first end of turn."""
    ends = (answers == end_id).int()
    return ends.cumsum(-1) - ends == 0


def causal_loss(
    network: Network,
    chat: Chat,
    stage: Stage,
    batch: Batch,
    generator: torch.Generator,
    guide: float = 0.0,
) -> tuple[Tensor, Figures]:
    """Mean loss over the kinds of all questions of a batch, and each kind's figures.

    The questions of a page share its pass, which in a causal model is the real forward. Nothing is
    drawn from `generator`; `guide` weighs the guided attention loss.
    """
    page, embed = embed_page(network, batch), network.model.embed_tokens
    ids = [torch.cat([g.prompts, g.answers], dim=2).to(page.device) for g in batch.groups]
    watched = stage.guide_layer if guide else None
    hiddens, attention, _ = shared_prefix_hidden(network, page, [embed(i) for i in ids], watched)
    losses: dict[str, Tensor] = {}
    figures: Figures = {}
    for group, hidden in zip(batch.groups, hiddens, strict=True):
        logits = network.logits(answer_rows(hidden, group, 1).flatten(0, 1))
        answers = group.answers.flatten(0, 1).to(logits.device)
        counted = until_end(answers, chat.end_id)
        wrong = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none")
        losses[group.kind] = (wrong.view_as(answers) * counted).sum() / counted.sum()
        figures[f"right/{group.kind}"] = share_right(logits, answers, counted)
    total = mean_loss(losses, figures)
    if attention:
        guided = guide_of(batch, attention, 1)
        figures["guide"] = guided.detach()
        total = total + guide * guided
    return total, figures
