"""What the records of a task show step by step, as means over its answers."""

from collections.abc import Callable, Iterator, Sequence

from saccade.studies.runs.record import Record
from saccade.studies.tracking.sink import Series

Values = Sequence[float | None]


def task_series(task: str, records: Sequence[Record]) -> Series:
    """Means per step over the answers that took it; names begin with the task's.

    The share of the visual tokens that reached the last layer, and those computed per layer, are
    always there; confidence and attention masses where the records hold them (``probe: all``).
    """
    known = {name: [of(record) for record in records] for name, of in SIGNALS.items()}
    points = []
    for step in range(max((record.forwards for record in records), default=0)):
        values = {
            name: _mean(own[step] for own in of if step < len(own)) for name, of in known.items()
        }
        found = {f"{task}/{name}": value for name, value in values.items() if value is not None}
        found[f"{task}/answers at work"] = float(sum(step < r.forwards for r in records))
        points.append((step, found))
    return Series("step", tuple(points))


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _per_layer(record: Record) -> Values:
    """Visual tokens of a layer, mean over layers, per step."""
    return [sum(layers) / len(layers) for steps, layers in record.visual_runs for _ in range(steps)]


def _attention(place: int) -> Callable[[Record], Values]:
    """Attention mass per step, mean over the layers that were measured."""
    return lambda record: [_mean(iter(masses[place])) for masses in record.attention]


SIGNALS: dict[str, Callable[[Record], Values]] = {
    "keep": lambda record: record.keep,
    "visual tokens per layer": _per_layer,
    "confidence": lambda record: record.confidences,
    "attention on visual": _attention(0),
    "attention on response": _attention(1),
}
"""What is shown per step, by name."""
