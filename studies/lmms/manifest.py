"""What lmms-eval finds under its entry-point group: where our model class is."""

from typing import Any


def manifest() -> Any:
    """The manifest of the model ``saccade``, as lmms-eval's registry takes it."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("saccade", simple_class_path="saccade.studies.lmms.model.Saccade")
