"""Tensors that behave as on a device: every time the host looks at one, it is written down."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from saccade.backbones import Prepared

LOOKS = {"cpu", "item", "tolist", "numpy", "__array__", "equal", "allclose", "is_nonzero"} | {
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "__contains__",
    "nonzero",
    "masked_select",
    "unique",
}
"""Functions whose result the host has to wait for."""


class OnDevice(Tensor):
    """A tensor on the device, and so is all that is computed with it until it is copied."""

    looks: list[str] | None = None

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = super().__torch_function__(func, types, args, kwargs or {})
        name = getattr(func, "__name__", "")
        if name in LOOKS or _copies(name, args, kwargs or {}) or _picks(name, args):
            assert cls.looks is not None, f"{name} outside of looks_counted()"
            cls.looks.append(name)
            if isinstance(out, Tensor):
                return out.as_subclass(Tensor)
        return out


def _copies(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    given = [*args[1:], *kwargs.values()]
    return name == "to" and any(isinstance(each, str) and each == "cpu" for each in given)


def _picks(name: str, args: Sequence[Any]) -> bool:
    """Whether a mask chooses rows: how many it chooses, the host has to ask."""
    index = args[1] if name == "__getitem__" else ()
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)


@contextmanager
def looks_counted() -> Iterator[list[str]]:
    """What the host does in this block that it has to wait for, in order."""
    OnDevice.looks = []
    try:
        yield OnDevice.looks
    finally:
        OnDevice.looks = None


def on_device(request: Prepared) -> Prepared:
    """The same request, its embeddings on the device."""
    return replace(request, embeds=request.embeds.as_subclass(OnDevice))
