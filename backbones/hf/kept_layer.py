"""A layer of a cache of transformers that can hide keys: it says how long the sequence is, and
shows less of it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from saccade.controller.errors import SaccadeError


class KeptLayer(DynamicLayer):
    """Keys and values of one layer, of which some can be hidden and some may never have come.

    Lengths and the sizes of masks are those of the whole sequence, so that positions and masks are
    made as ever; `RowHooks` cut the columns of what is not there from the masks. Which keys are
    where is known on the host, so that nothing waits for the device.

    Parameters
    ----------
    window : int, optional
        Rows see the last `window` keys, themselves among them; None for all.

    Attributes
    ----------
    seen : int
        Positions of the sequence so far, whether their keys are here or not.
    places : Tensor (B, n) int64 or None
        Original position of every key that is held, ascending, -1 for padding; None: they are the
        last n in order.
    shown : Tensor (B, m) int64 or None
        Numbers of the shown ones among those held, -1 for padding; None for all.
    steered : bool
        Whether hooks make masks for what is shown.
    readable : bool
        Whether it may be read without them: not where any layer of its cache has holes.
    """

    is_croppable = False

    def __init__(self, window: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_sliding, self.window, self.seen = window is not None, window, 0
        self.places: Tensor | None = None
        self.shown: Tensor | None = None
        self.steered, self.readable = False, True
        self._arriving: tuple[Tensor, int] | None = None
        self._few: tuple[Tensor, Tensor] | None = None
        self._gone: list[Tensor | None] | None = None

    # What models read.

    @property
    def keys(self) -> Tensor | None:
        return self._keys if self.shown is None else self._cut()[0]

    @keys.setter
    def keys(self, value: Tensor | None) -> None:
        self._keys = value

    @property
    def values(self) -> Tensor | None:
        return self._values if self.shown is None else self._cut()[1]

    @values.setter
    def values(self, value: Tensor | None) -> None:
        self._values = value

    def get_seq_length(self) -> int:
        return self.seen

    def get_max_length(self) -> int:
        return -1 if self.window is None else self.window

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        length = self.seen if self.window is None else min(self.seen, self.window - 1)
        return length + query_length, self.offset

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Take in new rows, and give all that they may read; see `arrive`."""
        if not self.steered and not self.readable:
            raise SaccadeError(HOLES)
        if not self.is_initialized:
            self._begin(key_states, value_states)
        whole = key_states.shape[2]
        new, arriving = None, self._arriving
        if arriving is not None:
            new, whole = arriving
        self._arriving, batch, added = None, len(key_states), key_states.shape[2]
        read = (_joined(self.keys, key_states), _joined(self.values, value_states))
        if new is not None or self.places is not None:
            if new is None:
                new = _run(self.seen, added, batch)
            self.places = torch.cat([self.held_places(batch), new], 1)
        if self.shown is None:
            self._keys, self._values = read
        else:
            assert self._keys is not None
            self._few = read
            more = _run(self._keys.shape[2], added, batch)
            self.shown = torch.cat([self.shown, more], 1)
            self._keys = _joined(self._keys, key_states)
            self._values = _joined(self._values, value_states)
        self.seen += whole
        if self.window is not None:
            self._trim()
        return read

    def reset(self) -> None:
        """Forget everything."""
        steered = self.steered
        self.__init__(self.window)  # type: ignore[misc]
        self.steered = steered

    # What the hooks read and do.

    @property
    def offset(self) -> int:
        """First position that a later row may see."""
        return 0 if self.window is None else max(self.seen - self.window + 1, 0)

    def arrive(self, places: Tensor, whole: int) -> None:
        """Say that the next rows stand at `places` (B, n), -1 for padding, of `whole` new
        positions."""
        self._arriving = places, whole

    def held_places(self, batch: int) -> Tensor:
        """Original positions (B, n) of all keys that are held, -1 for padding."""
        if self.places is not None:
            return self.places
        return _run(self.seen - self.n, self.n, batch)

    def shown_places(self, batch: int) -> Tensor:
        """Original positions (B, m) of the keys that are shown, -1 for padding."""
        held = self.held_places(batch)
        if self.shown is None:
            return held
        return held.gather(1, self.shown.clamp(min=0)).masked_fill(self.shown < 0, -1)

    @property
    def n(self) -> int:
        """Keys that are held."""
        return 0 if self._keys is None else self._keys.shape[2]

    @property
    def in_order(self) -> bool:
        """Whether nothing is missing and nothing hidden."""
        return self.places is None and self.shown is None

    def hide(self, lost: Sequence[Tensor | None]) -> None:
        """Show all but these original positions (n,) of each sequence; None for none of them."""
        if self._keys is None:
            return
        if self._gone is not None and all(map(_same, lost, self._gone)):
            return  # what came since is shown
        self._gone = list(lost)
        if all(own is None or not len(own) for own in lost):
            self.shown = self._few = None
            return
        places = self.held_places(len(lost))
        stays = places >= 0
        for own, row, gone in zip(stays, places, lost, strict=True):
            if gone is not None:
                own &= ~torch.isin(row, gone)
        shown = None if bool(stays.all()) else _numbers(stays)
        same = shown is not None and self.shown is not None and torch.equal(shown, self.shown)
        if not same:
            self.shown, self._few = shown, None

    def show(self) -> None:
        """Show all that is held."""
        self.shown = self._few = self._gone = None

    def taken(self, other: "KeptLayer", which: Sequence[bool]) -> None:
        """Become, for the sequences named by `which`, what another layer of equal length holds."""
        batch = len(which)
        parts = []
        for i, own in enumerate(which):
            source = other if own else self
            places = source.held_places(batch)[i]
            there = places >= 0
            assert source._keys is not None and source._values is not None
            parts.append((source._keys[i][:, there], source._values[i][:, there], places[there]))
        most = max(len(places) for _, _, places in parts)
        self._keys = torch.stack([_padded(keys, most) for keys, _, _ in parts])
        self._values = torch.stack([_padded(values, most) for _, values, _ in parts])
        pads = [torch.nn.functional.pad(p, (0, most - len(p)), value=-1) for _, _, p in parts]
        self.places, self.shown, self._few, self._gone = torch.stack(pads), None, None, None

    def _begin(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
        self._keys, self._values = key_states[:, :, :0], value_states[:, :, :0]

    def _cut(self) -> tuple[Tensor, Tensor]:
        """Keys and values that are shown; made when they are read."""
        if self._few is None:
            assert self.shown is not None and self._keys is not None and self._values is not None
            index = self.shown.clamp(min=0)[:, None, :, None].to(self._keys.device)
            self._few = (
                self._keys.gather(2, index.expand(-1, *_heads(self._keys))),
                self._values.gather(2, index.expand(-1, *_heads(self._values))),
            )
        return self._few

    def _trim(self) -> None:
        """Forget what no later row can see."""
        assert self._keys is not None and self._values is not None and self.window is not None
        if self.places is None:
            cut = max(self._keys.shape[2] - self.window + 1, 0)
        else:
            self.places = self.places.masked_fill(self.places < self.offset, -1)
            cut = _leading(self.places < 0)
            self.places = self.places[:, cut:]
        self._keys, self._values = self._keys[:, :, cut:], self._values[:, :, cut:]
        if self.shown is not None and cut:
            self._few = None
            left = self.shown - cut
            left = left.masked_fill(left < 0, -1)
            self.shown = left[:, _leading(left < 0) :]


HOLES = (
    "visual tokens that a plan dropped are missing from this cache, and without a controller "
    "nothing says so to the model; attach one, Controller('keep')(wrapped), or begin a new cache"
)


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or torch.equal(one, other)


def _heads(t: Tensor) -> tuple[int, int, int]:
    return t.shape[1], -1, t.shape[3]


def _joined(old: Tensor | None, new: Tensor) -> Tensor:
    assert old is not None
    return torch.cat([old, new], 2)


def _run(first: int, n: int, batch: int) -> Tensor:
    return torch.arange(first, first + n).expand(batch, -1)


def _padded(t: Tensor, n: int) -> Tensor:
    """Keys (H, m, d) filled up with zeros to (H, n, d)."""
    return torch.nn.functional.pad(t, (0, 0, 0, n - t.shape[1]))


def _leading(gone: Tensor) -> int:
    """How many of the first columns are gone in all rows of a table (B, n)."""
    there = (~gone).any(0)
    return int(there.float().argmax()) if bool(there.any()) else gone.shape[1]


def _numbers(stays: Tensor) -> Tensor:
    """Numbers (B, m) of what stays (B, n), ascending, -1 for padding at the end."""
    counts = stays.sum(1)
    order = stays.long().argsort(dim=1, descending=True, stable=True)[:, : int(counts.max())]
    pad = torch.arange(order.shape[1]) >= counts[:, None]
    return order.masked_fill(pad, -1)
