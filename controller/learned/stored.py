"""Learned models on disk: read as numbers, and never run; written whole or not at all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from saccade.controller.errors import LearnedError, SaccadeError
from saccade.controller.learned.actions import Action
from saccade.controller.learned.features import FEATURES, RUNGS
from saccade.controller.learned.risk import Line, RiskModel, Trees
from saccade.controller.types import BackboneSpec

if TYPE_CHECKING:
    from saccade.controller.learned.schema import LearnedFile, StoredTrees

LARGEST = 64 * 2**20
"""Bytes of a file."""
AGAIN = "learn it again: saccade learn TABLE -o DIR"


@dataclass(frozen=True, eq=False)
class LearnedModel:
    """A learned model, ready for use.

    Attributes
    ----------
    actions : tuple of Action
    saved : float64 array (A,)
        Share of the work still to do that each action saved, on average.
    risk : RiskModel
    pruner : str or None
        Which chose the tokens, as text.
    content : LearnedFile
        All that the file says.
    """

    actions: tuple[Action, ...]
    saved: "np.ndarray[Any, np.dtype[np.float64]]"
    risk: RiskModel
    pruner: str | None
    content: "LearnedFile"

    def __deepcopy__(self, memo: Any) -> "LearnedModel":
        return self  # nobody changes it, and every sequence's policy may share it

    def mismatch(self, spec: BackboneSpec) -> str:
        """What a backbone has that the one it was learned on has not; "" if it is like that."""
        made = self.content.backbone
        wanted = {"origin": made.origin, **made.geometry.model_dump()}
        found = {"origin": spec.origin, **asdict(spec.geometry)}
        wrong = [f"{n} {found[n]}, not {wanted[n]}" for n in wanted if found[n] != wanted[n]]
        return ", ".join(wrong)


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a file says, but for the hash itself."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_learned(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a file of this content, with its hash, after checking it; return it.

    Raises
    ------
    LearnedError
        If it is no learned model's content.
    """
    from saccade.controller.preset_files import write_text

    whole = {**content, "sha256": content_hash(content)}
    text = json.dumps(whole, allow_nan=False, sort_keys=True)
    _checked(text, "the content")
    return write_text(Path(path), text + "\n")


def read_learned(path: str | Path) -> LearnedModel:
    """Read a learned model.

    Raises
    ------
    LearnedError
        If there is none, it is damaged or was changed, or it is another version's.
    """
    path = Path(path)
    content = _parsed(path)
    given = content.get("schema")
    if type(given) is int and given != 1:
        _fail(path, f"has schema {given}, and this version reads 1: update saccade, or {AGAIN}")
    try:
        found = content_hash(content)
    except (ValueError, RecursionError, TypeError) as error:
        _fail(path, f"is damaged: {error}; {AGAIN}", error)
    if found != content.get("sha256"):
        _fail(
            path,
            f"is damaged or was changed after it was written: its hash is {found[:12]}..., and it "
            f"says {str(content.get('sha256'))[:12]}...; fetch it again, or {AGAIN}",
        )
    made = _checked(json.dumps(content), str(path))
    _check_version(path, made)
    try:
        _check_pruner(made.pruner)
        return _model(made)
    except (SaccadeError, ValueError, TypeError) as error:
        _fail(path, f"cannot be used: {error}; {AGAIN}", error)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            _fail(path, f"{what}; give the learned.json that saccade learn wrote")
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, LearnedError):
            raise
        _fail(path, f"cannot be read: {error}", error)
    if len(data) > LARGEST:
        _fail(path, f"has more than {LARGEST} bytes; that is no learned model")
    try:
        content = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _fail(path, f"is not JSON, or cut off: {error}; fetch it again, or {AGAIN}", error)
    if not isinstance(content, dict):
        _fail(path, f"holds no JSON object; {AGAIN}")
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _fail(path: object, why: str, cause: Exception | None = None) -> NoReturn:
    raise LearnedError(f"the learned model {path} {why}") from cause


def _checked(text: str, where: str) -> "LearnedFile":
    from pydantic import ValidationError

    from saccade.controller.learned.schema import LearnedFile
    from saccade.controller.preset_types import problems

    try:
        return LearnedFile.model_validate_json(text)
    except ValidationError as error:
        _fail(where, f"is not one: {problems(error)}; {AGAIN}", error)


def _check_version(path: Path, made: "LearnedFile") -> None:
    """Features and ladder have to be those of this version."""
    if made.features != FEATURES:
        lacks, more = _apart(FEATURES, made.features), _apart(made.features, FEATURES)
        differs = "; ".join(
            f"{what} {', '.join(names[:5])}"
            for what, names in (("it lacks", lacks), ("it also has", more))
            if names
        )
        _fail(path, f"has other features ({differs or 'in another order'}); {AGAIN}")
    if made.ladder != RUNGS:
        _fail(path, f"has the ladder {made.ladder}, and this version {RUNGS}; {AGAIN}")


def _check_pruner(text: str | None) -> None:
    """Raise an error of `parse_pruner` for a text that describes none."""
    if text is not None:
        from saccade.controller.expressions import parse_pruner

        parse_pruner(text)


def _apart(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [name for name in one if name not in other]


def _model(made: "LearnedFile") -> LearnedModel:
    form: Trees | Line
    if made.line is not None:
        form = Line(np.array(made.line.weights, dtype=np.float64), made.line.base)
    else:
        assert made.trees is not None
        form = _trees(made.trees)
    fill = np.array(made.fill, dtype=np.float64)
    return LearnedModel(
        tuple(Action(own.keep, own.skip, own.commit) for own in made.actions),
        np.array([own.saved for own in made.actions], dtype=np.float64),
        RiskModel(form, fill, made.slope, made.shift),
        made.pruner,
        made,
    )


def _trees(stored: "StoredTrees") -> Trees:
    """A node without a feature sends everything to the left."""
    feature = np.array(stored.feature, dtype=np.int64)
    threshold = np.array(stored.threshold, dtype=np.float64)
    ends = feature < 0
    leaf = np.array(stored.leaf, dtype=np.float64)
    return Trees(np.where(ends, 0, feature), np.where(ends, np.inf, threshold), leaf, stored.base)
