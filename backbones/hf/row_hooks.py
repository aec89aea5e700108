"""Hooks that let the decoder layers of any model of transformers run on some of their rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from saccade.backbones.hf.kept_cache import layers_of
from saccade.backbones.hf.kept_layer import KeptLayer
from saccade.backbones.hf.masks import cut_mask

Rows = Sequence[Tensor] | None
"""Ascending original positions (n,) of the rows of each sequence that a layer computes; None for
all that arrive."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerRows:
    """Which rows a layer computes, and which keys they read.

    Attributes
    ----------
    rows, columns : Tensor (B, n) and (B, m)
        Original positions, -1 for padding.
    numbers : Tensor (B, n) or None
        Numbers of the rows among those that arrive, padding included; None for all.

    All are on the host.
    """

    rows: Tensor
    columns: Tensor
    numbers: Tensor | None


class Director(Protocol):
    """What says which rows a layer computes."""

    def before_layer(self, layer: int, hidden: Tensor, held: KeptLayer) -> Rows:
        """Told before a layer runs on rows (B, L, D) that follow what is held."""
        ...

    def runs(self, layer: int, at: LayerRows, held: KeptLayer) -> None:
        """Told what a layer computes and reads."""
        ...


class RowHooks:
    """Hooks on a pile of decoder layers, for the length of a ``with`` block.

    Rows that a layer leaves out pass it as they are: all of them enter and leave each layer, so
    that what a model adds between its layers finds them where they always stood.

    Parameters
    ----------
    layers : sequence of modules
    director : callable
        Gives who says what happens, or None where nothing is to be done: as in another thread.
    writes : bool
        Whether the layers put their keys into the cache, or only read it.
    """

    def __init__(
        self, layers: Sequence[nn.Module], director: Callable[[], Director | None], writes: bool
    ) -> None:
        self.layers, self.director, self.writes = layers, director, writes
        self._handles: list[Any] = []
        self._waiting: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self._alike: tuple[tuple[int, ...], LayerRows] | None = None

    def __enter__(self) -> "RowHooks":
        for i, layer in enumerate(self.layers):
            before = layer.register_forward_pre_hook(self._before(i), with_kwargs=True)
            after = layer.register_forward_hook(self._after(i))
            self._handles += [before, after]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._waiting = [], {}

    def _before(self, i: int) -> Callable[..., Any]:
        def hook(layer: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            director = self.director()
            if director is None:
                return None
            hidden: Tensor = args[0] if args else kwargs["hidden_states"]
            memory = kwargs["past_key_values"]
            assert isinstance(memory, Cache)
            held = layers_of(memory)[i]
            rows = director.before_layer(i, hidden, held)
            planned = self._planned(rows, hidden, held)
            director.runs(i, planned, held)
            if planned.numbers is None and held.in_order:
                return None
            return self._cut(layer, i, args, dict(kwargs), planned)

        return hook

    def _planned(self, rows: Rows, hidden: Tensor, held: KeptLayer) -> LayerRows:
        batch, n = hidden.shape[:2]
        if rows is None and held.in_order:
            return self._in_order(held.seen, held.n, n, batch)
        numbers = None
        placed = torch.arange(held.seen, held.seen + n).expand(batch, -1)
        if rows is not None and any(len(own) < n for own in rows):
            placed = nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=-1)
            last = torch.stack([own[-1] for own in rows])
            numbers = torch.where(placed < 0, last[:, None], placed) - held.seen
        return LayerRows(placed, torch.cat([held.shown_places(batch), placed], 1), numbers)

    def _in_order(self, seen: int, held: int, n: int, batch: int) -> LayerRows:
        """That of layers that compute all rows and read all keys, one value for them all."""
        key = seen, held, n, batch
        if self._alike is None or self._alike[0] != key:
            places = torch.arange(seen - held, seen + n).expand(batch, -1)
            self._alike = key, LayerRows(places[:, held:], places, None)
        return self._alike[1]

    def _cut(
        self, layer: nn.Module, i: int, args: Any, kwargs: dict[str, Any], planned: LayerRows
    ) -> Any:
        """Arguments of a layer that runs on some rows, or reads some keys."""
        hidden: Tensor = args[0] if args else kwargs["hidden_states"]
        held, numbers = layers_of(kwargs["past_key_values"])[i], planned.numbers
        rows = planned.rows if numbers is None else numbers + held.seen
        kwargs["attention_mask"] = cut_mask(
            kwargs.get("attention_mask"),
            numbers,
            held.offset,
            rows,
            planned.columns,
            bool(getattr(layer.self_attn, "is_causal", True)),
            hidden,
        )
        if numbers is not None:
            numbers = numbers.to(hidden.device)
            self._waiting[i] = hidden, planned.rows.to(hidden.device), numbers
            if self.writes:
                held.arrive(planned.rows, hidden.shape[1])
            hidden = _taken(hidden, numbers)
            kwargs["position_embeddings"] = tuple(
                _taken(part, numbers) for part in kwargs["position_embeddings"]
            )
            if kwargs.get("position_ids") is not None:
                kwargs["position_ids"] = _taken(kwargs["position_ids"][..., None], numbers)[..., 0]
        if args:
            return (hidden, *(_taken_like(own, numbers) for own in args[1:])), kwargs
        return args, {**kwargs, "hidden_states": hidden}

    def _after(self, i: int) -> Callable[..., Any]:
        def hook(layer: nn.Module, args: Any, output: Any) -> Any:
            if self.director() is None or i not in self._waiting:
                return None
            full, rows, numbers = self._waiting.pop(i)
            made = output[0] if isinstance(output, tuple) else output
            n = full.shape[1]  # padding goes to one row more, which is cut off
            target = torch.where(rows < 0, n, numbers)[..., None].expand_as(made)
            back = nn.functional.pad(full, (0, 0, 0, 1)).scatter(1, target, made)[:, :n]
            return (back, *output[1:]) if isinstance(output, tuple) else back

        return hook


def _taken(t: Tensor, numbers: Tensor) -> Tensor:
    """Rows (..., B, n, d) of a tensor (..., B or 1, L, d)."""
    batch, n = numbers.shape
    t = t.expand(*t.shape[:-3], batch, *t.shape[-2:])
    return t.gather(-2, numbers[..., None].expand(*t.shape[:-2], n, t.shape[-1]))


def _taken_like(own: Any, numbers: Tensor | None) -> Any:
    """What a layer gets beside its rows: taken like them where it is one number a row and width."""
    if numbers is None or not isinstance(own, Tensor) or own.ndim != 3:
        return own
    return _taken(own, numbers)
