"""Which model a preset was made on, as presets say it."""

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.backbones.checkpoints.promised import dtype_of
from saccade.backbones.model import Model
from saccade.controller.preset import Backbone


def backbone_of(model: Model) -> Backbone:
    """Name, family, origin, hash of the weights, and number format."""
    return Backbone(
        name=model.spec.name,
        family=model.family.model_types[0],
        origin=model.spec.origin,
        hash=fingerprint(model.network),
        dtype=dtype_of(model.network),
    )
