"""Asking through ``saccade generate``, for several files of tests."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from saccade.studies.cli import app
from saccade.studies.tasks.documents import make_sample

SAMPLE = make_sample("code", 0)
SHORT = ("--gen-length", "4")


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["generate", *map(str, words)])


def answer(*words: object) -> dict[str, Any]:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content
