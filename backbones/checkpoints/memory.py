"""What memory weights take on a device, and whether that is there."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from saccade.backbones.checkpoints.weights import Fit
from saccade.backbones.network.network import Network
from saccade.controller.errors import CheckpointError

HALF, FLOATS = torch.bfloat16, (torch.float32, torch.bfloat16, torch.float16)
_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model takes while it is loaded.

    Attributes
    ----------
    weights : int
    buffer : int
        Of the largest tensor as it is stored, while it becomes another dtype.
    """

    weights: int
    buffer: int

    @property
    def total(self) -> int:
        return self.weights + self.buffer


def needed(network: Network, made: Fit, dtype: torch.dtype) -> Need:
    """What a network takes in a dtype, and reading it from what is stored."""
    weights = sum(value.numel() for value in network.parameters()) * dtype.itemsize
    cast = [tensor.n_bytes for tensor in made.places.values() if tensor.dtype != dtype]
    return Need(weights, max(cast, default=0))


def available(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where nothing says so."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    free = [found for found in (_free_here(), _free_in_group()) if found is not None]
    return min(free, default=None)


def _free_here() -> int | None:
    """Memory of the machine that can be had without swapping."""
    try:
        psutil: Any = import_module("psutil")
        return int(psutil.virtual_memory().available)
    except ImportError:
        pass
    try:
        lines = dict(line.split(":", 1) for line in _PROC.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _free_in_group() -> int | None:
    """Memory that a container may still take; files that are only cached count as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return None if limit == "max" else int(limit) - used + int(stat["inactive_file"])
    except (OSError, KeyError, ValueError):
        return None


def gigabytes(n: int) -> str:
    """Bytes for people: "16.9 GB", "3.4 MB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n / 1000:.1f} kB"


def name_of(dtype: torch.dtype) -> str:
    """Such as "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def check_memory(name: str, need: Need, dtype: torch.dtype, device: torch.device) -> None:
    """Raise `CheckpointError` where a device says that it has not enough memory.

    Nothing was read then; the error says what would take less.
    """
    free = available(device)
    if free is None or need.total <= free:
        return
    less = "" if dtype.itemsize <= HALF.itemsize else f"dtype={name_of(HALF)!r}, "
    raise CheckpointError(
        f"{name} takes {gigabytes(need.total)} as {name_of(dtype)} and {device} has "
        f"{gigabytes(max(0, free))} free: give {less}another device, or check_memory=False to try "
        "nevertheless"
    )
