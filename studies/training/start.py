"""The checkpoint that a training begins from."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from saccade.backbones.loading import load, resolve
from saccade.backbones.network.network import Network
from saccade.controller.errors import StudyError
from saccade.studies.runs.recipe import file_hashes
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import TrainConfig
from saccade.studies.training.trainer import FAMILY_OF, build_network


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Weights and words to begin from.

    Attributes
    ----------
    network : Network
    tokenizer : Tokenizer
    hashes : dict of str to str
        SHA-256 of the checkpoint's files.
    """

    network: Network
    tokenizer: Tokenizer
    hashes: dict[str, str]


def start_of(config: TrainConfig) -> Start:
    """Load the checkpoint that a configuration begins from (`TrainConfig.init`).

    Raises
    ------
    StudyError
        If it has no tokenizer, its tokenizer lacks a token of the family, or its sizes are others
        than the configured ones.
    CheckpointError, UnknownNameError
        As `load` does.
    """
    name = str(config.init)
    model = load(name, torch.float32, "cpu")
    if model.tokenizer is None:
        raise StudyError(f"init {name}: it has no tokenizer")
    chat = Chat(model.tokenizer, FAMILY_OF[config.family])
    try:
        for token in (chat.family.end_of_turn, chat.family.mask):
            chat.token(token or chat.family.pad)
    except KeyError as error:
        raise StudyError(f"init {name}: {error.args[0]}, which {config.family} needs") from error
    wanted = build_network(config, model.tokenizer.get_vocab_size()).state_dict()
    given = model.network.state_dict()
    odd = [k for k in wanted.keys() | given.keys() if _shape(wanted, k) != _shape(given, k)]
    if odd:
        key = min(odd)
        raise StudyError(
            f"init {name}: {key} is {_shape(given, key)}, but the configured sizes make it "
            f"{_shape(wanted, key)}; give the sizes of {name}"
        )
    return Start(model.network, model.tokenizer, file_hashes(resolve(name)))


def _shape(state: dict[str, torch.Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None
