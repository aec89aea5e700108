"""What a study leaves, as files for a tracker: a folder that ``saccade study show`` reads."""

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

from saccade.controller.errors import SaccadeError
from saccade.controller.preset_names import Found, shipped_presets
from saccade.studies.analysis.summary import Summary
from saccade.studies.config.case_controllers import preset_of
from saccade.studies.config.cases import model_slug
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.runs.identity import IDENTITY
from saccade.studies.runs.record import Record
from saccade.studies.tracking.remembering import name_from
from saccade.studies.tracking.sink import Artifact


def slug(summary: Summary) -> str:
    """Study and model in a name of an artifact."""
    name = name_from(summary.config.name) or "study"
    return f"{name}-{model_slug(summary.config.model)}"


def case_records(summary: Summary, records: Sequence[Record]) -> Artifact:
    """The records of one case."""
    about = {"study": summary.config.name, "case": records[0].case, "records": len(records)}
    return Artifact("records", {"records.jsonl.gz": _lines(records)}, about)


def study_results(summary: Summary) -> Artifact:
    """Recipe, all records, and the summary of a run."""
    parquet = io.BytesIO()
    summary.frame.to_parquet(parquet, index=False)
    files = {} if summary.identity is None else {IDENTITY: f"{summary.identity}\n".encode()}
    files |= {
        "recipe.json": json.dumps(summary.recipe, indent=2).encode() + b"\n",
        "records.jsonl.gz": _lines(summary.records),
        "summary.parquet": parquet.getvalue(),
        "summary.csv": summary.frame.to_csv(index=False).encode(),
    }
    about = {"study": summary.config.name, "model": summary.config.model}
    return Artifact("results", files, about)


def presets_of(case: Case, config: StudyConfig) -> dict[str, Artifact]:
    """The presets that a case runs, if shipped or on this disk: nothing is fetched."""
    found: dict[str, Artifact] = {}
    for task in config.tasks if case.preset is not None else ():
        try:
            if _here(case, config, task):
                own = preset_of(case, config, task)
                found[f"preset-{own.preset.name}"] = preset_artifact(own)
        except (SaccadeError, OSError, ValueError):  # moved or changed since
            continue
    return found


def _here(case: Case, config: StudyConfig, task: str) -> bool:
    """Whether a case's preset can be found without asking a hub."""
    name = (case.preset or "").replace("{model}", config.model).replace("{task}", task)
    return name in shipped_presets() or (Path(config.folder or ".") / name).exists()


def preset_artifact(found: Found) -> Artifact:
    """A preset's file, with the learned model that it reads."""
    preset, folder = found.preset, found.folder
    files = {"preset.json": preset.model_dump_json(indent=2, by_alias=True).encode() + b"\n"}
    if preset.learned is not None and folder is not None:
        files[preset.learned.file] = (folder / preset.learned.file).read_bytes()
    return Artifact("preset", files, {"policy": preset.policy, "pruner": preset.pruner})


def _lines(records: Sequence[Record]) -> bytes:
    """Compressed, the same bytes for the same records."""
    return gzip.compress(b"".join(record.line() for record in records), mtime=0)
