"""A preset: one small file that makes a model faster, with what it was measured to do.

It is JSON with a versioned schema. Policy and pruner are text, which is parsed and never run; what
it names beside itself is a plain file in its own folder, checked by hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from saccade.controller.certificate import Certificate
from saccade.controller.errors import PresetError, SaccadeError
from saccade.controller.preset_files import read_object, write_text
from saccade.controller.preset_texts import check_texts
from saccade.controller.preset_types import (
    Count,
    Factor,
    FileName,
    Frozen,
    Sha256,
    Short,
    Text,
    problems,
)

if TYPE_CHECKING:
    from saccade.controller.controller import Controller

MEND = "mend it, fetch it again, or make it anew with saccade tune"
SCHEMA = 1
"""Version of the files that are written."""
Whole = Annotated[int, Field(ge=-(2**64), le=2**64)]
Number = Annotated[float, Field(ge=-1e18, le=1e18)]
Option = bool | Whole | Number | Annotated[str, StringConstraints(max_length=200)] | None
Options = dict[Short, Option | Annotated[tuple[Option, ...], Field(max_length=64)]]
"""Options of `generate` by name, as JSON has them."""


class Learned(Frozen):
    """A learned model that the policy reads, in the preset's folder.

    Attributes
    ----------
    file : str
        A plain name.
    hash : str
        Its SHA-256.
    """

    file: FileName
    hash: Sha256


class Backbone(Frozen):
    """The model that a preset was made on.

    Attributes
    ----------
    name : str
        As `load` takes it.
    family, origin : str
    hash : str
        See `saccade.backbones.checkpoints.fingerprint`.
    dtype : str
        Of the weights, as they were loaded.
    """

    name: Short
    family: Text = ""
    origin: Text = ""
    hash: Sha256
    dtype: Text = ""


class TaskClass(Frozen):
    """What was asked: the name of the task, and how long its answers are."""

    name: Short
    kind: Literal["short", "long", "free"] = Field(
        validation_alias="class", serialization_alias="class"
    )


class Device(Frozen):
    """Where latency was measured."""

    kind: Short
    name: Text = ""
    threads: int | None = Field(default=None, ge=1, le=10**6)


class FrontPoint(Frozen):
    """What a setting gives, on samples that no search saw; None: not measured.

    Attributes
    ----------
    scored_by : "metric" or "agreement"
        The task's metric, or without right answers the agreement with the unpruned model's answer.
    score, score_relative : float or None
        By that, and as a share of the unpruned model's.
    ideal, projected : float or None
        Speed-up by exact multiply-accumulates, and of the same pattern at the published size.
    measured, measured_low, measured_high : float or None
        Measured speed-up, with its 95 % interval.
    """

    scored_by: Literal["metric", "agreement"] = "metric"
    score: float | None = Field(default=None, ge=-1e9, le=1e9)
    score_relative: float | None = Field(default=None, ge=-1e9, le=1e9)
    ideal: Factor | None = None
    projected: Factor | None = None
    measured: Factor | None = None
    measured_low: Factor | None = None
    measured_high: Factor | None = None


class Splits(Frozen):
    """The seed of the samples, and how many each disjoint set has."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    tune: Count = 0
    certify: Count = 0
    test: Count = 0


class Search(Frozen):
    """What the search cost, and the command that made the preset."""

    trials: Count = 0
    seconds: float = Field(default=0.0, ge=0, le=1e12)
    command: Text = ""


class Preset(Frozen):
    """A setting of the controller for one backbone and task, and what is known about it.

    Attributes
    ----------
    schema_version : int
        ``schema`` in the file.
    name : str
    policy, pruner : str, str or None
        As `parse_policy` and `parse_pruner` read them.
    positions : "original" or "compact"
    learned : Learned or None
    backbone : Backbone
    task : TaskClass
    generation : dict
        Options of `generate`, in the words of the backbone's family.
    device : Device
    front : FrontPoint
    splits : Splits
    search : Search
    certificate : Certificate or None
    versions : dict of str to str
        Of the packages that matter, by name.

    Raises
    ------
    PresetError
        From `read`, `load_text` and `controller`, saying what is wrong with a file.
    """

    schema_version: Literal[1] = Field(
        default=1, validation_alias="schema", serialization_alias="schema"
    )
    name: Short
    policy: Text
    pruner: Text | None = None
    positions: Literal["original", "compact"] = "original"
    learned: Learned | None = None
    backbone: Backbone
    task: TaskClass
    generation: Options = Field(default_factory=dict, max_length=64)
    device: Device
    front: FrontPoint = FrontPoint()
    splits: Splits = Splits()
    search: Search = Search()
    certificate: Certificate | None = None
    versions: dict[Short, Short] = Field(default_factory=dict, max_length=64)

    @model_validator(mode="after")
    def _parts_are_described(self) -> Self:
        """The texts describe a policy and a pruner; errors say what is wrong with them."""
        try:
            check_texts(
                self.policy, self.pruner, None if self.learned is None else self.learned.file
            )
        except (SaccadeError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def abstained(self) -> bool:
        """Whether it does nothing, as no setting passed the tests of its certificate."""
        return self.certificate is not None and self.certificate.outcome == "abstained"

    @classmethod
    def load_text(cls, content: object, where: str) -> Self:
        """A preset from parsed JSON; `where` names the file in errors."""
        given = content.get("schema") if isinstance(content, dict) else None
        if given is not None and type(given) is not int:
            raise PresetError(
                f"{where}: schema={str(given)[:80]!r}; it is a whole number, {SCHEMA}"
            )
        if given is not None and given > SCHEMA:
            raise PresetError(
                f"{where} has schema {given}; this version reads up to {SCHEMA}: update saccade"
            )
        try:
            return cls.model_validate_json(_dumped(content))
        except ValidationError as error:
            raise PresetError(f"{where} is not a preset: {problems(error)}; {MEND}") from error
        except (ValueError, RecursionError) as error:
            raise PresetError(f"{where} is not a preset: {error}; {MEND}") from error

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a preset's file, or ``preset.json`` of a folder.

        Raises
        ------
        FileNotFoundError
            If there is none.
        PresetError
            If it is too large, damaged, nested too deep, reaches out of its folder, or holds
            anything that a preset does not.
        """
        content, file = read_object(Path(path))
        return cls.load_text(content, str(file))

    def write(self, path: str | Path) -> Path:
        """Write the file, which appears whole or not at all; a folder gets ``preset.json``."""
        text = self.model_dump_json(indent=2, by_alias=True) + "\n"
        return write_text(Path(path), text)

    def controller(self, folder: str | Path | None = None) -> Controller:
        """The controller that it describes, as `Controller.from_preset` makes it.

        Parameters
        ----------
        folder : str or Path, optional
            Where the learned model lies, if the preset has one.
        """
        from saccade.controller.controller import Controller
        from saccade.controller.preset_controller import build

        return build(Controller, self, None if folder is None else Path(folder))


def _dumped(content: Any) -> str:
    """JSON once more: strict types are told apart there as they stand in the file."""
    import json

    return json.dumps(content, allow_nan=False)
