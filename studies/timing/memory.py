"""How much memory the tensors of a computation take at once, on any device."""

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of the tensors that operations inside a ``with`` block make and keep alive.

    What existed before does not count, nor what an operation needs only while it runs (SDPA's own
    working space, say). Operations take much longer meanwhile.

    Attributes
    ----------
    now, peak : int
        Bytes alive now, and the most there were at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: dict[int, weakref.finalize[Any, Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        before = {_place(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and _place(leaf) not in before:
                self._add(leaf)
        return out

    def _add(self, tensor: Tensor) -> None:
        storage, place = tensor.untyped_storage(), _place(tensor)
        known = self._alive.get(place)
        if place == 0 or (known is not None and known.alive):
            return
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        self._alive[place] = weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
