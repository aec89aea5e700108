"""What ``saccade doctor --model`` found out, as a table."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from saccade.studies.cli.consoles import scaled

SHOWN = 6
"""Names of a list that the table shows; the JSON has all."""


def show_model(found: Mapping[str, Any], console: Console) -> None:
    """The table of what was found, and the verdict as its last line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _rows(found):
        table.add_row(name, escape(text))
    verdict = "[green]loads[/]" if found["ok"] else f"[red]no:[/] {escape(found['verdict'])}"
    table.add_row("[bold]verdict[/]", verdict)
    console.print(table, highlight=False)


def _rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The table's rows: name and text."""
    rows = [("model", str(found["model"]))]
    if found.get("folder") not in (None, found["model"]):
        rows.append(("folder", str(found["folder"])))
    makers: dict[str, Callable[[Any], str]] = {
        "family": _family_text,
        "decoder": _decoder_text,
        "tower": _tower_text,
        "shards": _shards_text,
        "stored": _stored_text,
        "memory": _memory_text,
        "tokenizer": _tokenizer_text,
        "passed_over": _list_text,
        "ignored": _list_text,
        "warnings": "; ".join,
    }
    names = {"passed_over": "tensors passed over", "ignored": "config ignored"}
    for part, text in makers.items():
        if part in found and found[part] not in ([], ()):
            rows.append((names.get(part, part), text(found[part])))
    return rows


def _family_text(own: Mapping[str, Any]) -> str:
    classes = own["architectures"]
    shown = ", ".join(map(str, classes)) if isinstance(classes, list) else str(classes)
    known = f"{own['name']}, {own['origin']}" if "name" in own else "unknown"
    return f"{known} (model_type {own['model_type']}, architectures {shown})"


def _decoder_text(own: Mapping[str, Any]) -> str:
    cut = "" if own["rows"] == own["vocabulary"] else f" of {own['rows']} rows"
    return (
        f"{own['layers']} layers, {own['heads']} heads ({own['key_heads']} of keys), width "
        f"{own['width']}, MLP {own['mlp']}, vocabulary {own['vocabulary']}{cut}, prompts up to "
        f"{own['longest_prompt']} tokens"
    )


def _tower_text(own: Mapping[str, Any]) -> str:
    return (
        f"{own['layers']} layers that run, {own['heads']} heads, width {own['width']}, views of "
        f"{own['image']} pixels in patches of {own['patch']}: {own['tokens_per_view']} tokens each"
    )


def _shards_text(own: Mapping[str, Any]) -> str:
    missing = f"; missing: {_list_text(own['missing'])}" if own["missing"] else ""
    return f"{len(own['present'])} of {len(own['present']) + len(own['missing'])}{missing}"


def _stored_text(own: Mapping[str, Any]) -> str:
    from saccade.backbones.checkpoints.memory import gigabytes

    kinds = ", ".join(f"{kind} {gigabytes(n)}" for kind, n in own["bytes_by_dtype"].items())
    return f"{own['tensors']} tensors, {scaled(own['parameters'])} numbers: {kinds}"


def _memory_text(own: Mapping[str, Any]) -> str:
    from saccade.backbones.checkpoints.memory import gigabytes

    needs = ", ".join(f"{kind} {gigabytes(n)}" for kind, n in own["needed"].items())
    free = ", ".join(
        f"{device} {'?' if n is None else gigabytes(n)}" for device, n in own["free"].items()
    )
    default = own.get("by_default")
    chosen = f"by default {default['cpu']} on a CPU, {default['cuda']} on a GPU" if default else ""
    return "; ".join(filter(None, (f"needs {needs}", f"free: {free}", chosen)))


def _tokenizer_text(own: Mapping[str, Any] | None) -> str:
    if own is None:
        return "none: only token ids can go in and out"
    special = own.get("special", {})
    broken = [token for token, ids in special.items() if len(ids) != 1]
    text = f"{own['ids']} ids, {len(special) - len(broken)} of {len(special)} special tokens"
    if own.get("mask") is not None:
        text += f", mask {own['mask']}"
    return text + (f"; not one token: {', '.join(broken)}" if broken else "")


def _list_text(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
