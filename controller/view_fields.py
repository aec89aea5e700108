"""What a pruner may ask to see: one table, with the name, shape, time and maker of every field."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

Tokens = Literal["visual", "text", "answer"]
"""Rows of one sequence: its visual tokens that are still there, the prompt's rows after its last
picture, and those of the answer."""
When = Literal["now", "layer", "step"]
"""Known now; measured in the layer before the one where tokens go; measured in the step before."""


class ViewSource(Protocol):
    """What a backbone can show of one sequence where its visual tokens are about to be reduced.

    N are the visual tokens still there, T the rows of the prompt after its last picture, and R the
    positions of the answer.
    """

    def embeds(self, tokens: Tokens) -> Tensor:
        """Embeddings as they enter the language model, (rows, D)."""
        ...

    def received(self, rows: str, mean_logits: bool) -> Tensor:
        """Attention (N,) received in the layer before; `rows` names those that ask."""
        ...

    def received_ahead(self) -> Tensor:
        """Attention (N,) that the layer itself will give from the prompt's last row."""
        ...

    def weights(self, tokens: Tokens) -> Tensor:
        """Attention (rows, N) of each row in the layer before, mean over heads."""
        ...

    def keys(self, tokens: Tokens) -> Tensor:
        """Rotated keys (rows, H d) of the layer before."""
        ...

    def entering(self, tokens: Tokens, normed: bool) -> Tensor:
        """Rows (rows, D) that enter the layer, after the model's final norm if `normed`."""
        ...

    def before(self, name: str) -> Tensor:
        """What was kept of the step before under this name; NaN before the first."""
        ...

    def masked(self) -> Tensor:
        """Positions of the answer (R,) bool that are masked now."""
        ...

    def tower(self, name: str) -> Tensor:
        """What the vision tower shows under this name, (N, C) or (N,)."""
        ...


@dataclass(frozen=True, slots=True)
class ViewField:
    """One thing that a pruner may name in its `needs`.

    Attributes
    ----------
    name : str
    shape : tuple of str
        One letter a dimension: N visual tokens, T words after the last picture, R positions of the
        answer, D the language model's width, C the tower's, K the width of its heads' keys.
    what : str
        What it is, in a few words.
    make : callable or None
        Makes it from a `ViewSource`; None for what every view holds, or the tower itself.
    when : When
    of_prompt : bool
        Whether it is there only where the prompt's rows are computed, not read from a cache.
    """

    name: str
    shape: tuple[str, ...]
    what: str
    make: Callable[[ViewSource], Tensor] | None
    when: When = "now"
    of_prompt: bool = False


def _attention(rows: str, mean_logits: bool) -> ViewField:
    asking = {
        "response": "the rows of the answer",
        "all": "all rows of the forward",
        "last": "the last row of the forward",
        "instruction": "the last row of the prompt",
    }
    what = f"attention received from {asking[rows]}, mean over heads"
    return ViewField(
        f"attention:{rows}" + (":logits" if mean_logits else ""),
        ("N",),
        what + (" before the softmax" if mean_logits else ""),
        lambda source: source.received(rows, mean_logits),
        when="layer",
        of_prompt=rows == "instruction",
    )


def _tower(name: str, shape: tuple[str, ...], what: str) -> ViewField:
    return ViewField(name, shape, what, lambda source: source.tower(name))


_TABLE = (
    ViewField("features", ("N", "D"), "projected embeddings as they enter the model", None),
    ViewField("centers", ("N", "2"), "centers (x, y) of the tokens in their picture", None),
    ViewField("tower:run", (), "the vision tower, to run it once more", None),
    *(
        _attention(rows, mean_logits)
        for rows in ("response", "all", "last", "instruction")
        for mean_logits in (False, True)
    ),
    ViewField(
        "attention:instruction:own",
        ("N",),
        "attention that the layer itself will give from the last row of the prompt",
        lambda source: source.received_ahead(),
        of_prompt=True,
    ),
    ViewField(
        "text",
        ("T", "D"),
        "embeddings of the prompt's rows after its last picture",
        lambda source: source.embeds("text"),
    ),
    ViewField(
        "answer",
        ("R", "D"),
        "embeddings of the answer's rows as they enter this forward",
        lambda source: source.embeds("answer"),
    ),
    ViewField(
        "rows:text",
        ("T", "N"),
        "attention of each row of `text` in the layer before, mean over heads",
        lambda source: source.weights("text"),
        when="layer",
        of_prompt=True,
    ),
    ViewField(
        "rows:answer",
        ("R", "N"),
        "attention of each row of `answer` in the layer before, mean over heads",
        lambda source: source.weights("answer"),
        when="layer",
    ),
    ViewField(
        "rows:before",
        ("R", "N"),
        "attention of the answer's rows in the step before, mean over heads and layers; rows that "
        "were not forwarded are NaN",
        lambda source: source.before("rows:before"),
        when="step",
    ),
    ViewField(
        "final:before",
        ("N", "D"),
        "states behind the last layer and the final norm in the step before; NaN where a token did "
        "not reach that",
        lambda source: source.before("final:before"),
        when="step",
    ),
    ViewField(
        "masked",
        ("R",),
        "which positions of the answer are masked now (bool)",
        lambda source: source.masked(),
    ),
    ViewField(
        "hidden",
        ("N", "D"),
        "rows that enter the layer",
        lambda source: source.entering("visual", normed=False),
        of_prompt=True,
    ),
    ViewField(
        "normed",
        ("N", "D"),
        "the same after the model's final norm",
        lambda source: source.entering("visual", normed=True),
        of_prompt=True,
    ),
    ViewField(
        "normed:text",
        ("T", "D"),
        "those of the rows of `text`",
        lambda source: source.entering("text", normed=True),
        of_prompt=True,
    ),
    ViewField(
        "keys",
        ("N", "K"),
        "rotated keys of the layer before",
        lambda source: source.keys("visual"),
        when="layer",
    ),
    ViewField(
        "keys:text",
        ("T", "K"),
        "those of the rows of `text`",
        lambda source: source.keys("text"),
        when="layer",
        of_prompt=True,
    ),
    _tower(
        "tower:features",
        ("N", "C"),
        "the vision tower's output before the projector; 0 for newlines",
    ),
    _tower(
        "tower:keys",
        ("N", "K"),
        "keys of the tower's last layer, mean over heads; 0 for newlines",
    ),
    _tower("tower:keys:full", ("N", "C"), "the same, all heads side by side"),
    _tower(
        "tower:attention",
        ("N",),
        "attention received in the tower's last layer, mean over heads and queries of the same "
        "view; 0 for newlines",
    ),
    _tower("tower:attention:full", ("N",), "the same with one head over the full width"),
    _tower(
        "tower:text",
        ("N",),
        "relevance to the question, by the text tower that belongs to the vision tower: inner "
        "product of its embedding and the normed features; 0 for newlines",
    ),
)
VIEW_FIELDS = {field.name: field for field in _TABLE}
"""All of them, by name. To add one, add a row; a `ViewSource` makes it."""


def fields_when(when: When) -> frozenset[str]:
    """Names of the fields that are known at this time."""
    return frozenset(name for name, field in VIEW_FIELDS.items() if field.when == when)


MEASURED = fields_when("layer")
"""What is measured in the layer before: it is not there before layer 0."""
BEFORE = fields_when("step")
"""What is measured in the step before: it is not there before the first."""
OF_THE_PROMPT = frozenset(name for name, field in VIEW_FIELDS.items() if field.of_prompt)
"""What is there only where the prompt's rows are computed, not read from a cache."""
EXTRAS = frozenset(
    name
    for name, field in VIEW_FIELDS.items()
    if field.make is not None and not name.startswith("attention:")
)
"""What a view holds in addition to features, centers and attention."""
