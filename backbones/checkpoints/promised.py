"""Whether a call is on the terms that a preset was made on."""

import dataclasses
from typing import Any, Protocol

from torch import nn

from saccade.backbones.checkpoints.fingerprint import known_fingerprint
from saccade.controller.promise import Promise


class Promisable(Protocol):
    """What is looked at of a model."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def family(self) -> Any: ...


def dtype_of(network: nn.Module) -> str:
    """Name of the dtype of a network's weights."""
    return str(next(network.parameters()).dtype).removeprefix("torch.")


def differences(promise: Promise, model: Promisable, settings: Any) -> list[str]:
    """How a model and the settings of a call differ from those of a preset, one clause each.

    Parameters
    ----------
    promise : Promise
    model : Model
    settings : Settings
        Of the call.
    """
    certified: dict[str, Any] | str
    try:
        own = model.family.settings.from_options(promise.preset.generation)
        certified = dataclasses.asdict(own)
    except (ValueError, TypeError) as error:
        certified = str(error)
    dtype = dtype_of(model.network)
    given = dataclasses.asdict(settings)
    return promise.differences(model.network, known_fingerprint, dtype, given, certified)
