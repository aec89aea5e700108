"""The records of a run as a small table: what analyses need, without texts and patterns."""

from pathlib import Path

import pandas as pd

from saccade.studies.projection import BY_ORIGIN, projected
from saccade.studies.summary import Summary


def compact_records(summary: Summary) -> pd.DataFrame:
    """One row per case, task, seed and sample.

    Columns: ``case``, ``task``, ``seed``, ``sample``, ``unit``, ``score``, ``forwards``, ``macs``
    (with those of the vision tower), ``projected`` (NaN for origins that are not priced),
    ``seconds`` (preparation included).
    """
    published = BY_ORIGIN.get(summary.recipe["backbone"]["origin"])
    return pd.DataFrame(
        {
            "case": record.case,
            "task": record.task,
            "seed": record.seed,
            "sample": record.sample,
            "unit": record.unit,
            "score": record.score,
            "forwards": record.forwards,
            "macs": record.macs + record.prepare_macs,
            "projected": None if published is None else projected(record, published),
            "seconds": record.seconds + record.prepare_seconds,
        }
        for record in summary.records
    ).astype({"case": "category", "task": "category"})


def write_compact(summary: Summary, path: str | Path) -> None:
    """Write that table as a parquet file."""
    compact_records(summary).to_parquet(path, index=False, compression="zstd")
