"""What the headers of safetensors files say: names, shapes and dtypes, without the weights."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from saccade.controller.errors import CheckpointError

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as its file's header describes it.

    Attributes
    ----------
    name : str
    file : Path
    kind : str
        As safetensors writes it, such as "BF16".
    shape : tuple of int
    """

    name: str
    file: Path
    kind: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype | None:
        """None for kinds that are not known here."""
        return DTYPES.get(self.kind)

    @property
    def dtype_name(self) -> str:
        known = self.dtype
        return self.kind if known is None else str(known).removeprefix("torch.")

    @property
    def is_float(self) -> bool:
        return self.dtype is not None and self.dtype.is_floating_point

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        known = self.dtype
        return self.n_elements * (1 if known is None else known.itemsize)


def read_headers(files: Iterable[Path]) -> list[Stored]:
    """The tensors of several safetensors files, in their order.

    Raises
    ------
    CheckpointError
        Naming a file that is damaged or incomplete.
    """
    found = []
    for file in files:
        try:
            with safe_open(file, "pt") as shard:
                for name in shard.keys():
                    part = shard.get_slice(name)
                    shape = tuple(part.get_shape())
                    found.append(Stored(name, file, part.get_dtype(), shape))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} is damaged or incomplete: {error}") from error
    return found
