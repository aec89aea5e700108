"""On which device a model is loaded, and in which dtype."""

from collections import Counter
from collections.abc import Mapping

import torch

from saccade.backbones.checkpoints.memory import FLOATS, name_of
from saccade.backbones.checkpoints.weights import TOWER, Fit
from saccade.controller.names import did_you_mean

Device = torch.device | str | int
DeviceMap = Device | Mapping[str, Device]


def place(device: Device | None = None, device_map: DeviceMap | None = None) -> torch.device:
    """The one device of a model.

    Parameters
    ----------
    device : torch.device, str or int, optional
        By default "cuda" where there is one, else "cpu".
    device_map : str or mapping, optional
        As transformers takes it: "auto" is the GPU with the most free memory, or the CPU; a device
        is that; a mapping from names of modules to devices must name one device alone.

    Raises
    ------
    ValueError
        If both are given, there is no such device, or the map spreads the model.
    """
    if device is not None and device_map is not None:
        raise ValueError(f"device={device!r} and device_map={device_map!r}: give one of them")
    if device_map is None:
        return _default() if device is None else _device(device, "device")
    if isinstance(device_map, Mapping):
        return _only(device_map)
    return _best() if device_map == "auto" else _device(device_map, "device_map")


def _default() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _best() -> torch.device:
    """The GPU with the most free memory, the first of equal ones; the CPU without any."""
    if not torch.cuda.is_available() or torch.cuda.device_count() == 1:
        return _default()
    numbers = range(torch.cuda.device_count())
    return torch.device("cuda", max(numbers, key=lambda i: torch.cuda.mem_get_info(i)[0]))


def _only(device_map: Mapping[str, Device]) -> torch.device:
    places = list(dict.fromkeys(_device(own, "device_map") for own in device_map.values()))
    if len(places) != 1:
        shown = ", ".join(map(str, places)) or "no device"
        raise ValueError(
            f"device_map spreads the model over {shown}; Saccade runs a model on one device: give "
            "device_map='auto' or device=..., and a smaller dtype if it does not fit there"
        )
    return places[0]


def _device(given: Device, name: str) -> torch.device:
    try:
        if isinstance(given, bool):
            raise TypeError
        return torch.device("cuda", given) if isinstance(given, int) else torch.device(given)
    except (RuntimeError, TypeError) as error:
        auto = ", or 'auto'" if name == "device_map" else ""
        raise ValueError(
            f"{name}: {given!r} is no device; give cpu, cuda or cuda:N{auto}"
        ) from error


def check_there(device: torch.device) -> None:
    """Raise `ValueError` for a device that this machine or this build of torch does not have."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(f"no device {str(device)!r} here; there is {', '.join(here)}") from error


def stored_dtype(made: Fit) -> tuple[torch.dtype, str]:
    """The dtype that most of a language model's numbers are stored in, and what is to be said of
    it: "" where all are alike."""
    counts: Counter[torch.dtype] = Counter()
    for own, tensor in made.places.items():
        if not own.startswith(TOWER) and tensor.dtype is not None:
            counts[tensor.dtype] += tensor.n_elements
    kinds = {tensor.dtype for tensor in made.places.values() if tensor.dtype is not None}
    most = counts.most_common(1)[0][0]
    said = "" if len(kinds) == 1 else f"stored in {', '.join(sorted(map(name_of, kinds)))}; "
    if most in FLOATS:
        return most, said
    wide = torch.float32 if most.itemsize > torch.float32.itemsize else torch.bfloat16
    return wide, f"{said}{name_of(most)} is not computed with; "


def choose_dtype(
    dtype: torch.dtype | str | None, made: Fit, device: torch.device
) -> tuple[torch.dtype, str]:
    """The dtype of the loaded weights, and what is to be said of the choice.

    By default they stay as they are stored. Only float16 becomes float32 on a CPU: it is slower
    there, and its range is the smallest.

    Raises
    ------
    ValueError
        For what is no floating-point type that models compute in.
    """
    if dtype is None or dtype == "auto":
        own, said = stored_dtype(made)
        if own == torch.float16 and device.type == "cpu":
            return torch.float32, f"{said}float16 becomes float32 on a CPU; "
        return own, said
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    computed = (*FLOATS, torch.float64)
    if not isinstance(found, torch.dtype) or found not in computed:
        near = did_you_mean(dtype, ("float32", "bfloat16", "float16"))
        raise ValueError(f"dtype={dtype!r}; {near}give float32, bfloat16 or float16")
    return found, ""
