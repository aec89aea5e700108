"""Masked diffusion with shifted logits, as an autoregressive model is adapted to it.

Every row still predicts the token after it, so that what was learned is kept, but rows attend in
both directions. The pages of a batch are shared out between the two ways in which LaViDa-Dream
decodes: full mode, in which prompt and answer see each other, and prefix mode, in which the prompt
does not see the answer and its last row decides the first token. While the rows learn to look both
ways, many questions may share one pass of their page instead, as in `shared_prefix`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones.network.network import Network
from saccade.studies.training.batch import Batch, Questions
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage
from saccade.studies.training.objective import diffusion_loss, mask_response
from saccade.studies.training.shared_prefix import shared_prefix_hidden
from saccade.studies.training.stages import (
    Figures,
    answer_rows,
    embed_page,
    full_hidden,
    masked_questions,
    mean_loss,
    share_right,
)

FIRST = 0.5
"""Weight of the first token in prefix mode, which decides short answers."""


def shifted_loss(
    network: Network,
    chat: Chat,
    stage: Stage,
    batch: Batch,
    generator: torch.Generator,
    guide: float = 0.0,
) -> tuple[Tensor, Figures]:
    """Mean loss over the kinds of all questions of a batch, and each kind's figures.

    Half of the pages are in each mode, unless their questions share a pass. Masks are drawn from
    `generator`; there is no guide.
    """
    page, n = embed_page(network, batch), len(batch.pixels)
    if stage.shared_prefix:
        return _shared(network, chat, page, batch, generator)
    parts: dict[str, list[Tensor]] = {}
    figures: Figures = {}
    for group in batch.groups:
        for mode, here in (("full", slice(0, n // 2)), ("prefix", slice(n // 2, n))):
            if here.start == here.stop:
                continue
            part = Questions(
                group.kind, group.prompts[here], group.answers[here], group.places[here]
            )
            run = full_part if mode == "full" else prefix_part
            loss, right = run(network, chat, page[here], part, generator)
            parts.setdefault(group.kind, []).append(loss)
            figures[f"right {mode}/{group.kind}"] = right
    losses = {kind: torch.stack(both).mean() for kind, both in parts.items()}
    return mean_loss(losses, figures), figures


def _shared(
    network: Network, chat: Chat, page: Tensor, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """Loss where the questions of a page share its pass, which does not see them."""
    noises, questions = masked_questions(network, chat, batch, generator)
    ran = shared_prefix_hidden(network, page, questions)
    losses: dict[str, Tensor] = {}
    figures: Figures = {}
    for group, hidden, (_, masked, rates) in zip(batch.groups, ran.hidden, noises, strict=True):
        losses[group.kind], figures[f"right/{group.kind}"] = _scored(
            network, group, hidden, masked, rates
        )
    return mean_loss(losses, figures), figures


def _scored(
    network: Network, group: Questions, hidden: Tensor, masked: Tensor, rates: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss and share of right tokens of the rows before the masked ones."""
    logits = network.logits(answer_rows(hidden, group, 1).flatten(0, 1))
    answers, masked, rates = (
        t.to(logits.device) for t in (group.answers.flatten(0, 1), masked, rates)
    )
    right = share_right(logits, answers, masked)
    return diffusion_loss(logits, answers, masked, rates), right


def full_part(
    network: Network, chat: Chat, page: Tensor, group: Questions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Loss and share of right tokens where all rows see each other."""
    answers = group.answers.flatten(0, 1)
    noisy, masked, rates = mask_response(answers, chat.mask_id, generator)
    ids = torch.cat([group.prompts, noisy.view_as(group.answers)], dim=2)
    (hidden,) = full_hidden(network, page, [network.model.embed_tokens(ids.to(page.device))])
    return _scored(network, group, hidden, masked, rates)


def prefix_part(
    network: Network, chat: Chat, page: Tensor, group: Questions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Loss and share of right tokens where the prompt does not see the answer.

    The first token is always there, and predicted by the prompt alone; each other one by the row of
    the answer before it.
    """
    answers = group.answers.flatten(0, 1)
    noisy, masked, rates = mask_response(answers, chat.mask_id, generator)
    noisy[:, 0], masked[:, 0] = answers[:, 0], False
    embed, n = network.model.embed_tokens, group.prompts.shape[1]
    rest = embed(group.prompts.flatten(0, 1).to(page.device))
    prompt = torch.cat([page.repeat_interleave(n, dim=0), rest], dim=1)
    ran = shared_prefix_hidden(network, prompt, [embed(noisy.to(page.device))[:, None]])
    before = torch.cat([ran.page[:, -1:], ran.hidden[0][:, 0, :-1]], dim=1)
    logits = network.logits(before)
    answers, masked, rates = (t.to(logits.device) for t in (answers, masked, rates))
    first = F.cross_entropy(logits[:, 0], answers[:, 0])
    masked_first = masked.clone()
    masked_first[:, 0] = True
    right = share_right(logits, answers, masked_first)
    return diffusion_loss(logits, answers, masked, rates) + FIRST * first, right
