"""What tests of samples share: made-up answers, and what a section holds."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from saccade.studies.reports.samples.entries import NAMES
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]
EVIL = "</script><img src=x onerror=alert(1)>\u2028<!--\ud7ff"


def data_of(page: str) -> dict[str, Any]:
    """The data of a section, its names put back."""
    found = re.search(r'id="samples-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    for entry in data["samples"]:
        entry |= {name: data["names"][entry[name]] for name in NAMES if name in entry}
    return data


def wrong(record: Record) -> Record:
    return replace(record, answer="No", score=0.0, exact=0.0)


def all_kinds(record: Record) -> Record:
    """Sample 0 breaks, 1 is fixed, 2 is wrong both times, the others are right."""
    kind = record.sample
    bad = {0: record.case != "none", 1: record.case == "none", 2: True}.get(kind, False)
    return wrong(record) if bad else record
