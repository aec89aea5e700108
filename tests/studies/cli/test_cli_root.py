"""The root of the command line: help, version, exit codes, streams."""

import errno
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from typer.testing import CliRunner, Result

import saccade
from saccade.controller.errors import (
    CapabilityError,
    CheckpointError,
    PlanError,
    StudyError,
    UnknownNameError,
)
from saccade.studies.cli import app, environment
from saccade.studies.cli.consoles import emit, scaled
from saccade.studies.cli.errors import describe
from saccade.studies.cli.progress import Steps

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "transformers", "sklearn", "pandas", "plotly", "PIL", "pydantic")


def invoke(*words: str, **options: Any) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(words), **options)


def commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)


ALL = [(), *commands(typer.main.get_command(app))]


def test_every_command_is_there() -> None:
    flat = {" ".join(path) for path in ALL}
    assert flat == {
        "",
        "learn",
        "report",
        "traces",
        "traces collect",
        "generate",
        "page",
        "models",
        "policies",
        "pruners",
        "train",
        "bench",
        "certify",
        "coverage",
        "presets",
        "presets list",
        "presets show",
        "presets check",
        "presets export",
        "presets make",
        "doctor",
        "study",
        "study run",
        "study hindsight",
        "study show",
        "tune",
        "tune run",
        "tune resume",
        "tune show",
        "calibrate",
        "calibrate vtw",
        "calibrate layer-skip",
    }


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_explains_and_gives_a_typed_example(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert f"Example: {' '.join(('saccade', *path))}" in text
    prose = text.split("╭")[0].partition("Usage:")[2]
    assert len(prose.split()) > 15


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import json, sys
from saccade.studies.cli import main
sys.argv = ["saccade", "--help"]
try:
    main()
except SystemExit as end:
    found = [name for name in {HEAVY} if name in sys.modules]
    sys.stderr.write(json.dumps([end.code, found]))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stderr) == [0, []]
    assert "generate" in run.stdout


def test_a_wrong_path_is_told_without_loading_torch_and_exits_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "saccade.studies.cli", "generate"]
    run = subprocess.run(
        [*command, str(tmp_path / "none.png"), "What?"], cwd=ROOT, capture_output=True, text=True
    )
    said = [line for line in run.stderr.splitlines() if not line.startswith("import time:")]
    assert run.returncode == 2
    assert said == [f"error: no picture at {tmp_path / 'none.png'}"]
    assert not re.search(r"\| +torch$", run.stderr, flags=re.MULTILINE)


def test_a_closed_pipe_is_quiet() -> None:
    code = "from saccade.studies.cli.consoles import emit; emit(list(range(10_000)))"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, text=True
        )
    assert run.stderr == ""


def test_version() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"saccade {saccade.__version__}\n")


@pytest.mark.parametrize(
    "words", [("--bogus",), ("generate", "--bogus"), ("bogus",), ("study", "bogus"), ("generate",)]
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...]) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert "Error" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [("--debug",), ()])
def test_debug_keeps_the_traceback(words: tuple[str, ...]) -> None:
    variables = {} if words else {"SACCADE_DEBUG": "1"}
    result = invoke(*words, "generate", "none.png", "What?", env=variables)
    assert isinstance(result.exception, FileNotFoundError)


def test_no_escape_codes_where_there_is_no_terminal() -> None:
    for result in (invoke("generate", "none.png", "What?"), invoke("--help")):
        assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownNameError("unknown policy 'x'; known: keep"), 2),
        (StudyError("unknown key"), 2),
        (CapabilityError("lacks it"), 2),
        (PlanError("cannot be carried out"), 2),
        (ValueError("steps=0"), 2),
        (TypeError("unknown option"), 2),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 2),
        (CheckpointError("damaged"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 1),
        (ImportError("install saccade[wandb]"), 1),
        (MemoryError(), 1),
        (RuntimeError("shapes do not match"), 1),
    ],
)
def test_exit_codes_tell_wrong_input_from_failure(error: Exception, code: int) -> None:
    message, found = describe(error)
    assert found == code
    assert message


def test_a_study_that_could_not_write_has_failed() -> None:
    error = StudyError("the disk is full")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert describe(error) == ("the disk is full", 1)


def test_a_long_report_of_pydantic_becomes_short_clauses() -> None:
    class Two(BaseModel, extra="forbid"):
        number: int

    with pytest.raises(ValidationError) as caught:
        Two.model_validate({"number": "x", "name": 1})
    error = StudyError(f"file.yaml: {caught.value}")
    error.__cause__ = caught.value
    message, _ = describe(error)
    assert message.startswith("file.yaml: number: Input should be a valid integer")
    assert message.endswith("name: unknown key")


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"a": float("nan"), "b": (1, float("inf")), "c": "ü", "d": Path("x"), "e": frozenset({1})})
    out = json.loads(capsys.readouterr().out)
    assert out == {"a": None, "b": [1, None], "c": "ü", "d": "x", "e": [1]}


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1234, "1.23 k"), (1.5e9, "1.50 G"), (2e13, "20.00 T")],
)
def test_counts_have_units(number: float, text: str) -> None:
    assert scaled(number) == text


def test_progress_off_a_terminal_is_plain_lines_now_and_then() -> None:
    stream = StringIO()
    with Steps(Console(file=stream, width=80), every=3600.0) as steps:
        for done in range(1, 11):
            steps.update(done, 10, f"[case {done}]")
    assert stream.getvalue().splitlines() == ["[case 1] 1/10", "[case 10] 10/10"]


def test_no_line_of_progress_comes_twice() -> None:
    stream = StringIO()
    with Steps(Console(file=stream, width=80), every=0.0) as steps:
        for done in (0, 0, 1, 1, 2, 2):
            steps.update(done, 2, "2 processes")
    lines = [line.partition(",")[0] for line in stream.getvalue().splitlines()]
    assert lines == ["2 processes 0/2", "2 processes 1/2", "2 processes 2/2"]


def test_progress_on_a_terminal_is_a_bar_and_begins_where_a_run_was_resumed() -> None:
    stream = StringIO()
    with Steps(Console(file=stream, width=100, force_terminal=True)) as steps:
        steps.update(7, 10, "warm-up", "stage 1/2")
        steps.update(10, 10, "loss [1.0]", "stage 1/2")
        steps.update(1, 4, "loss 0.5", "stage 2/2")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "stage 1/2 loss [1.0]" in text and "10/10" in text
    assert "stage 2/2 loss 0.5" in text and "1/4" in text


def test_doctor_knows_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[<>=!~\[ ]", line)[0].lower() for line in project["dependencies"]}
    assert needed == set(environment.NEEDED)
    assert project["name"] == environment.DISTRIBUTION == "saccade-dmllm"


def test_an_installed_saccade_has_the_command() -> None:
    try:
        there = importlib.metadata.distribution(environment.DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed")
    files = {own.name: own.value for own in there.entry_points.select(group="console_scripts")}
    assert files["saccade"] == "saccade.studies.cli:main"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("genrate",), "generate"),
        (("study", "shwo"), "show"),
        (("calibrate", "layer_skip"), "layer-skip"),
        (("study", "run", "dmo"), "demo"),
        (("study", "run", "table-1"), "table1"),
        (("train", "lada-v", "--out", "nowhere"), "llada-v"),
        (("page", "a.png", "--kind", "transcibe"), "transcribe"),
        (("page", "a.png", "--split", "held-out"), "heldout"),
        (("bench", "--policy", "keep", "--task", "describ"), "describe"),
        (("bench", "--pruner", "div-prune()"), "divprune"),
        (("bench", "--dtype", "bf16"), "bfloat16"),
        (("calibrate", "vtw", "--model", "llada-v"), "embedded/llada-v"),
        (("calibrate", "vtw", "--kind", "Transcribe"), "transcribe"),
    ],
)
def test_what_was_meant_is_named(words: tuple[str, ...], meant: str) -> None:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, list(words))
    assert result.exit_code == 2 and f"did you mean {meant}" in result.output
