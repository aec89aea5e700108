"""The table of counterfactuals on disk: a part for every sample, each whole or not there.

So a run that is killed loses what it was at, no more; a second run, or one on another machine that
shares the folder, goes on; and whoever writes a part writes the same.
"""

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import StudyError
from saccade.controller.learned.features import FEATURES
from saccade.controller.preset_files import write_first
from saccade.tuning.counterfactuals import COLUMNS, Row

if TYPE_CHECKING:
    import pandas as pd

RECIPE, PARTS = "recipe.json", "parts"
LOOSE = ("model", "versions")
"""What a recipe says that may differ in a run that goes on."""
LARGEST = 1e9
"""Of numbers in it: those of learned models are no larger."""
ABANDONED = 3600.0
"""Seconds after which a half-written file is nobody's."""
OURS = re.compile(r"\.(recipe\.json|.*\.parquet)\.\w+")
"""Names of half-written files."""
ORDER = ["task", "seed", "sample", "step", "action"]
"""By which rows are sorted."""


class TraceTable:
    """A folder of parts.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """Make the folder, or go on in it.

        Raises
        ------
        StudyError
            If it was begun by another recipe, naming what differs, or holds something else.
        """
        if self.folder.exists() and not self._is_ours():
            raise StudyError(
                f"{self.folder} holds something that is no table of traces; give another --out"
            )
        (self.folder / PARTS).mkdir(parents=True, exist_ok=True)
        text = json.dumps(dict(recipe), indent=2, sort_keys=True) + "\n"
        write_first(self.folder / RECIPE, text.encode())
        self._check(recipe)  # which another process may have written
        self._sweep()

    def _is_ours(self) -> bool:
        """Whether it has a recipe, or is as empty as a run leaves it that ends before that."""
        if not self.folder.is_dir():
            return False
        parts = self.folder / PARTS
        begun = [path for path in self.folder.iterdir() if not path.name.startswith(f".{RECIPE}.")]
        empty = not begun or (begun == [parts] and parts.is_dir() and not any(parts.iterdir()))
        return empty or (self.folder / RECIPE).exists()

    def _sweep(self) -> None:
        """Remove what runs that were killed have left half done, long ago."""
        for folder in (self.folder, self.folder / PARTS):
            for path in folder.glob(".*"):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > ABANDONED and OURS.match(path.name):
                        path.unlink()

    def _check(self, recipe: Mapping[str, Any]) -> None:
        known, given = self.recipe, json.loads(json.dumps(recipe))
        names = sorted((known.keys() | given.keys()) - set(LOOSE))
        wrong = [name for name in names if known.get(name) != given.get(name)]
        if wrong:
            told = "; ".join(
                f"{name} {_short(known.get(name))}, not {_short(given.get(name))}" for name in wrong
            )
            raise StudyError(
                f"{self.folder} was begun otherwise ({told}); collect into another --out, or give "
                "what it was begun with"
            )

    @property
    def recipe(self) -> dict[str, Any]:
        """What its parts are made of.

        Raises
        ------
        StudyError
            If there is none, or it cannot be read.
        """
        path = self.folder / RECIPE
        try:
            recipe = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise StudyError(
                f"{self.folder} is no table of traces: it has no {RECIPE}; give the folder that "
                "saccade traces collect wrote"
            ) from None
        except ValueError as error:
            raise StudyError(f"{path} is damaged: {error}; collect again") from error
        if not isinstance(recipe, dict):
            raise StudyError(f"{path} holds no JSON object; collect again")
        return recipe

    def part(self, task: str, seed: int, sample: int, identity: str = "") -> Path:
        """The file of a sample; `identity` says what else tells its task from others."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", task)[:40].strip("-")
        tag = hashlib.sha256(f"{task} {identity}".encode()).hexdigest()[:8]
        return self.folder / PARTS / f"{plain}-{tag}-{seed}-{sample:08d}.parquet"

    def write(
        self, task: str, seed: int, sample: int, rows: Sequence[Row], identity: str = ""
    ) -> None:
        """Write the part of a sample; without rows it is an empty one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([(name, _type(kind)) for name, kind in COLUMNS])
        whole = [{"task": task, "sample": sample, **row} for row in rows]
        path = self.part(task, seed, sample, identity)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            made = pa.Table.from_pylist(whole, schema=schema)
            pq.write_table(made, name, write_page_checksum=True)
            with open(name, "rb+") as file:
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def read(self) -> "pd.DataFrame":
        """All rows, in an order that does not depend on who wrote them.

        Raises
        ------
        StudyError
            If there are none, or a part cannot be read.
        """
        import pandas as pd

        self.recipe  # noqa: B018  # says what is wrong with a folder that is none
        parts = sorted((self.folder / PARTS).glob("[!.]*.parquet"))
        frames = [frame for frame in map(_read_part, parts) if len(frame)]
        if not frames:
            raise StudyError(f"{self.folder} has no rows yet; saccade traces collect makes some")
        whole = pd.concat(frames, ignore_index=True)
        return whole.sort_values(ORDER, kind="stable", ignore_index=True)


def _read_part(path: Path) -> "pd.DataFrame":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        names = table.column_names
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, str(error)) from error
    missing = [name for name, _ in COLUMNS if name not in names]
    if missing:
        raise StudyError(
            f"{path} lacks the columns {', '.join(missing[:5])}; collect again with this version"
        )
    for name, kind in COLUMNS:
        found = str(table.schema.field(name).type).removeprefix("large_")
        if found != str(_type(kind)):
            raise _damaged(path, f"{name} is {found}, not {_type(kind)}")
    frame = table.select([name for name, _ in COLUMNS]).to_pandas()
    wrong = _not_known(frame)
    if wrong:
        raise _damaged(path, wrong)
    return frame


def _not_known(frame: "pd.DataFrame") -> str:
    """A value that has to be there and is not, or is no usable number; "" if all are sound."""
    for name, kind in COLUMNS:
        column = frame[name]
        if name not in FEATURES and bool(column.isna().any()):
            return f"{name} is missing in a row"
        if kind == "float64" and bool((column.abs() > LARGEST).any()):
            return f"{name} is {column[column.abs() > LARGEST].iloc[0]:g} in a row"
    return "page is blank in a row" if bool((frame["page"].str.strip() == "").any()) else ""


def _damaged(path: Path, why: str) -> StudyError:
    return StudyError(f"{path} is damaged ({why}); delete it and collect again")


def _type(kind: str) -> Any:
    import pyarrow as pa

    return {
        "string": pa.string(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }[kind]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
