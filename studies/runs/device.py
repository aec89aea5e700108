"""Where a model runs, as presets say it."""

import torch

from saccade.backbones.model import Model
from saccade.controller.preset import Device
from saccade.studies.runs.recipe import cpu_name


def device_of(model: Model) -> Device:
    """Kind and name of a model's device, and the threads that torch may use."""
    kind = model.device.type
    name = torch.cuda.get_device_name(model.device) if kind == "cuda" else cpu_name()
    return Device(kind=kind, name=name[:200], threads=torch.get_num_threads())
