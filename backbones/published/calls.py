"""Calls of the published generate methods: their options in our words, and what they return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer

from saccade.backbones.families.family import Family
from saccade.backbones.published.arguments import Arguments
from saccade.controller.trace import Generation
from saccade.controller.types import BackboneSpec


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is known of the model that a call asks.

    Attributes
    ----------
    classes : sequence of type
        Of the published object, its own first.
    config : mapping
        Of the object, as it is at the time of the call.
    family : Family
    spec : BackboneSpec
    tokenizer : Tokenizer or None
        Given to `wrap`.
    device : torch.device
    """

    classes: Sequence[type]
    config: Mapping[str, Any]
    family: Family
    spec: BackboneSpec
    tokenizer: Tokenizer | None
    device: torch.device


class Caller(Protocol):
    """How calls of one class are carried out."""

    def options(self, asked: Asked, given: Arguments) -> dict[str, Any]:
        """Options of `Model.generate` for a call; `TypeError` or `ValueError` naming the argument
        that has no meaning."""

    def answer(self, out: Generation, asked: Asked, given: Arguments, prompt_len: int) -> Any:
        """What the published generate returns for an answer after `prompt_len` positions."""
