"""The file of a learned model: JSON of plain numbers, in known keys of sane sizes alone."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from saccade.controller.preset_types import Count, Frozen, Sha256, Share, Short, Text

SCHEMA = 1
"""Version of the files that are written."""
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
Layer = Annotated[int, Field(ge=0, le=10**4)]
Size = Annotated[int, Field(ge=1, le=10**8)]
Node = Annotated[int, Field(ge=-1, le=10**4)]
TREES, LEAVES = 2000, 256
"""Most trees of a model, and most leaves of a tree."""


class StoredAction(Frozen):
    """An action, and the share of the work still to do that it saved, on average."""

    keep: Share
    skip: tuple[Layer, ...] = Field(default=(), max_length=1000)
    commit: Share | None = None
    saved: Annotated[float, Field(ge=-100, le=1)]


class StoredTrees(Frozen):
    """Complete binary trees; a feature of -1 ends in the leaf furthest to the left."""

    feature: tuple[tuple[Node, ...], ...] = Field(min_length=1, max_length=TREES)
    threshold: tuple[tuple[Number, ...], ...]
    leaf: tuple[tuple[Number, ...], ...]
    base: Number

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        leaves = len(self.leaf[0]) if self.leaf else 0
        if not 2 <= leaves <= LEAVES or leaves & (leaves - 1):
            raise ValueError(f"trees have {leaves} leaves; a power of two, 2 to {LEAVES}")
        counts = {len(self.feature), len(self.threshold), len(self.leaf)}
        nodes = {len(row) for rows in (self.feature, self.threshold) for row in rows}
        if len(counts) > 1 or nodes != {leaves - 1} or {len(r) for r in self.leaf} != {leaves}:
            raise ValueError("the arrays of the trees differ in shape")
        return self


class StoredLine(Frozen):
    """Weights, one a feature."""

    weights: tuple[Number, ...] = Field(max_length=1000)
    base: Number


class StoredGeometry(Frozen):
    """Sizes of the backbone."""

    n_layers: Size
    hidden: Size
    intermediate: Size
    n_heads: Size
    n_kv_heads: Size
    vocab: Size


class StoredBackbone(Frozen):
    """The model that the counterfactuals were run on; `hash` is its fingerprint."""

    name: Short
    origin: Short
    geometry: StoredGeometry
    hash: Sha256


class StoredData(Frozen):
    """The table that it was learned from."""

    hash: Sha256
    rows: Count
    pages: Count
    changed: Share
    tasks: tuple[Short, ...] = Field(max_length=1000)


class StoredQuality(Frozen):
    """Log-losses on pages that a fold did not see, and whether it beats the constant."""

    log_loss: Annotated[float, Field(ge=0, le=1e6)]
    constant: Annotated[float, Field(ge=0, le=1e6)]
    better: bool


class LearnedFile(Frozen):
    """A learned model, and what it was made of and for.

    Attributes
    ----------
    schema_version : int
        ``schema`` in the file.
    kind : str
        What was learned.
    features : tuple of str
        In their order.
    ladder : tuple of float
        Keep ratios whose coverage is a feature.
    actions : tuple of StoredAction
    pruner : str or None
        Which chose the tokens, as text; None where no action drops any.
    backbone, data, quality
    trees, line
        One of the two.
    fill : tuple of float
        What stands for each feature that is not known.
    slope, shift : float
        Of the calibration.
    versions : dict of str to str
    sha256 : str
        Of all else, written as JSON with sorted keys and no blanks.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    kind: Literal["boosting", "logistic", "tree", "constant"]
    features: tuple[Short, ...] = Field(min_length=1, max_length=1000)
    ladder: tuple[Share, ...] = Field(max_length=100)
    actions: tuple[StoredAction, ...] = Field(min_length=1, max_length=1000)
    pruner: Text | None
    backbone: StoredBackbone
    data: StoredData
    quality: StoredQuality
    trees: StoredTrees | None = None
    line: StoredLine | None = None
    fill: tuple[Number, ...]
    slope: Number
    shift: Number
    versions: dict[Short, Short] = Field(default_factory=dict, max_length=64)
    sha256: Sha256

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        n = len(self.features)
        if (self.trees is None) == (self.line is None):
            raise ValueError("a model is trees or a line, one of the two")
        if len(self.fill) != n or (self.line is not None and len(self.line.weights) != n):
            raise ValueError(f"there are {n} features; fill and weights need one number for each")
        if self.trees is not None and max(map(max, self.trees.feature)) >= n:
            raise ValueError(f"a tree looks at a feature that is none of the {n}")
        layers = [layer for action in self.actions for layer in action.skip]
        if layers and max(layers) >= self.backbone.geometry.n_layers:
            raise ValueError(f"layer {max(layers)} is skipped, which the backbone does not have")
        if self.pruner is None and any(action.keep < 1 for action in self.actions):
            raise ValueError("an action drops tokens, and pruner is null; it must name one")
        return self
