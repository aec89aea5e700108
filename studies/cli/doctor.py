"""``saccade doctor``: is everything here, and does it work?"""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer import Option

from saccade.studies.cli.consoles import emit, out
from saccade.studies.cli.environment import broken_imports, device_facts, optional_parts, versions

MODEL = "embedded/llada-v"
DOCUMENTS, NEEDED = 4, 2
"""Questions asked, right answers needed: a working model errs now and then, a broken one always."""


def doctor(
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check this installation: versions, devices, optional parts, and a model's answers.

    The embedded model reads a few built-in documents. Ends with exit code 1 if something needed is
    missing or broken.
    """
    checks = [
        {"name": name, "ok": ok, "detail": detail}
        for name, (ok, detail) in (("packages", check_packages()), (MODEL, check_model()))
    ]
    findings = {
        "ok": all(check["ok"] for check in checks),
        "versions": versions(),
        "device": _attempt(device_facts),
        "optional": optional_parts(),
        "checks": checks,
    }
    if as_json:
        emit(findings)
    else:
        _show(findings, out())
    if not findings["ok"]:
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
    return right >= NEEDED, f"answers {right} of {DOCUMENTS} built-in documents correctly"


def _right_answers() -> int:
    from saccade.backbones import load
    from saccade.studies.tasks import tasks

    model, task, right = load(MODEL, device="cpu"), tasks.make("code"), 0
    for sample in task.samples(range(DOCUMENTS)):
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
    for title, part in (("versions", "versions"), ("device", "device"), ("optional", "optional")):
        table.add_row(f"[bold]{title}[/]", "")
        for name, value in findings[part].items():
            text = ", ".join(value) or "none" if isinstance(value, list) else str(value)
            table.add_row(f"  {name}", escape(text))
    table.add_row("[bold]checks[/]", "")
    for check in findings["checks"]:
        verdict = "[green]ok[/]" if check["ok"] else "[red]BROKEN[/]"
        table.add_row(f"  {check['name']}", f"{verdict} {escape(check['detail'])}")
    console.print(table, highlight=False)
