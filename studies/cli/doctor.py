"""``saccade doctor``: is everything here, and does it work?"""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer import Option

from saccade.studies.cli.consoles import emit, out
from saccade.studies.cli.doctor_model import examine_model
from saccade.studies.cli.doctor_table import show_model
from saccade.studies.cli.environment import broken_imports, device_facts, extensions, versions

MODEL = "embedded/llada-v"
DOCUMENTS, NEEDED = range(1, 5), 2
"""Samples that are asked about, all of which it reads right where it was made; right answers
needed: on other hardware it may err now and then, a broken one errs always."""


def doctor(
    model: Annotated[
        str | None,
        Option(help="Check this checkpoint instead: a folder, a cached hub id, an embedded name."),
    ] = None,
    revision: Annotated[str | None, Option(help="Branch, tag or commit of a hub id.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check this installation, or with --model a checkpoint.

    Of the installation: versions, devices, what other packages add, and a model's answers; the
    embedded model reads a few built-in documents. Of a checkpoint: family, sizes, memory,
    tokenizer, what is missing and whether it loads; no weights are read and nothing is downloaded.
    Ends with exit code 1 if something needed is missing or broken.
    """
    if model is not None:
        _doctor_model(model, revision, as_json)
        return
    checks = [
        {"name": name, "ok": ok, "detail": detail}
        for name, (ok, detail) in (("packages", check_packages()), (MODEL, check_model()))
    ]
    findings = {
        "ok": all(check["ok"] for check in checks),
        "versions": versions(),
        "device": _attempt(device_facts),
        "extensions": _attempt(extensions),
        "checks": checks,
    }
    if as_json:
        emit(findings)
    else:
        _show(findings, out())
    if not findings["ok"]:
        raise typer.Exit(1)


def _doctor_model(name: str, revision: str | None, as_json: bool) -> None:
    found = examine_model(name, revision)
    if as_json:
        emit(found)
    else:
        show_model(found, out())
    if not found["ok"]:
        raise typer.Exit(1)


def check_packages() -> tuple[bool, str]:
    """Whether everything needed imports, and what does not."""
    broken = broken_imports()
    return not broken, "; ".join(broken) or "all import"


def check_model() -> tuple[bool, str]:
    """Whether the embedded checkpoint loads and reads its own documents, and how well."""
    try:
        right = _right_answers()
    except Exception as error:  # whatever is broken is a finding
        return False, f"{type(error).__name__}: {error}"
    n = len(DOCUMENTS)
    return right >= NEEDED, f"reads {right} of {n} rows right; expected: {n} of {n}"


def _right_answers() -> int:
    from saccade.backbones import load
    from saccade.studies.tasks import tasks

    model, task, right = load(MODEL, device="cpu"), tasks.make("code"), 0
    for sample in task.samples(DOCUMENTS):
        answer = model.generate(
            sample.question,
            sample.images,
            gen_length=task.gen_length,
            block_length=task.block_length,
            steps=task.steps,
        )
        right += sample.score(answer.text or "").exact == 1.0
    return right


def _attempt(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return look()
    except Exception as error:  # torch itself may be what is broken
        return {"problem": f"{type(error).__name__}: {error}"}


def _show(findings: dict[str, Any], console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for part in ("versions", "device", "extensions"):
        if findings[part]:
            table.add_row(f"[bold]{part}[/]", "")
        for name, value in findings[part].items():
            text = ", ".join(value) or "none" if isinstance(value, list) else str(value)
            table.add_row(f"  {name}", escape(text))
    table.add_row("[bold]checks[/]", "")
    for check in findings["checks"]:
        verdict = "[green]ok[/]" if check["ok"] else "[red]BROKEN[/]"
        table.add_row(f"  {check['name']}", f"{verdict} {escape(check['detail'])}")
    console.print(table, highlight=False)
