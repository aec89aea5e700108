"""Masked diffusion as LLaDA-V is trained: masked tokens are predicted where they stand."""

import torch
from torch import Tensor

from saccade.backbones.network.network import Network
from saccade.studies.training.batch import Batch
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage
from saccade.studies.training.objective import diffusion_loss
from saccade.studies.training.shared_prefix import shared_prefix_hidden
from saccade.studies.training.stages import (
    Figures,
    answer_rows,
    embed_page,
    full_hidden,
    guide_of,
    masked_questions,
    mean_loss,
    share_right,
)


def masked_loss(
    network: Network,
    chat: Chat,
    stage: Stage,
    batch: Batch,
    generator: torch.Generator,
    guide: float = 0.0,
) -> tuple[Tensor, Figures]:
    """Mean loss over the kinds of all questions of a batch, and each kind's figures.

    Masks are drawn from `generator`; `guide` weighs the guided attention loss.
    """
    page = embed_page(network, batch)
    noises, questions = masked_questions(network, chat, batch, generator)
    attention: list[Tensor] = []
    if stage.shared_prefix:
        watched = stage.guide_layer if guide else None
        hiddens, attention, _ = shared_prefix_hidden(network, page, questions, watched)
    else:
        hiddens = full_hidden(network, page, questions)
    losses: dict[str, Tensor] = {}
    figures: Figures = {}
    for group, hidden, (_, masked, rates) in zip(batch.groups, hiddens, noises, strict=True):
        logits = network.logits(answer_rows(hidden, group, 0).flatten(0, 1))
        answers = group.answers.flatten(0, 1).to(logits.device)
        masked, rates = masked.to(logits.device), rates.to(logits.device)
        losses[group.kind] = diffusion_loss(logits, answers, masked, rates)
        figures[f"right/{group.kind}"] = share_right(logits, answers, masked)
    total = mean_loss(losses, figures)
    if attention:
        guided = guide_of(batch, attention, 0)
        figures["guide"] = guided.detach()
        total = total + guide * guided
    return total, figures
