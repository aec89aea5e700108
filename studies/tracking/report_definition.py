"""What a wandb Report holds, as plain values that know of no library and can lie in a file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=20_000)]
"""Of a file: bounded, as it is sent to a server."""


class Value(BaseModel):
    """A frozen value whose unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Heading(Value):
    """Begins a part."""

    kind: Literal["heading"] = "heading"
    text: Text


class Paragraph(Value):
    """A text, which is read as no markup."""

    kind: Literal["paragraph"] = "paragraph"
    text: Text


class Notes(Value):
    """A list of texts."""

    kind: Literal["notes"] = "notes"
    texts: tuple[Text, ...]


class Axis(Value):
    """An axis of parallel coordinates.

    Attributes
    ----------
    config : bool
        Whether `name` is of the runs' configuration; else of their summary.
    """

    name: Text
    config: bool = False


class Comparer(Value):
    """Configuration and summary of runs side by side, differences first."""

    kind: Literal["comparer"] = "comparer"


class Parallel(Value):
    """Parallel coordinates, a line a run."""

    kind: Literal["parallel"] = "parallel"
    title: Text
    axes: tuple[Axis, ...]


class Importances(Value):
    """How much each parameter matters for a figure of the summary."""

    kind: Literal["importances"] = "importances"
    of: Text


class Scatter(Value):
    """Two figures of the summary against each other, a point a run."""

    kind: Literal["scatter"] = "scatter"
    title: Text
    x: Text
    y: Text


class TablePanel(Value):
    """A table that runs have logged."""

    kind: Literal["table"] = "table"
    key: Text


class Media(Value):
    """Pictures and figures that runs have logged."""

    kind: Literal["media"] = "media"
    title: Text
    keys: tuple[Text, ...]


Panel = Annotated[
    Comparer | Parallel | Importances | Scatter | TablePanel | Media, Field(discriminator="kind")
]


class Grid(Value):
    """Panels about some runs of the project.

    Attributes
    ----------
    name : str
        Of the set of runs.
    groups, kinds : tuple of str
        Runs of these groups and of these kinds of `TrackedRun`.
    """

    kind: Literal["grid"] = "grid"
    name: Text
    groups: tuple[Text, ...]
    kinds: tuple[Text, ...]
    panels: tuple[Panel, ...]


Block = Annotated[Heading | Paragraph | Notes | Grid, Field(discriminator="kind")]


class ReportDefinition(Value):
    """A wandb Report.

    Attributes
    ----------
    key : str
        Which report it is: the id of the run about it. Stands in its description, so that it is
        found again at the server.
    title : str
        At most 128 characters.
    """

    key: Annotated[str, Field(pattern="^report-[0-9a-f]{16}$")]
    title: Annotated[str, Field(min_length=1, max_length=128)]
    blocks: Annotated[tuple[Block, ...], Field(min_length=1, max_length=1000)]

    @property
    def description(self) -> str:
        """What stands under the title."""
        return f"Made by saccade report ({self.key})."
