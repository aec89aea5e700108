"""``saccade models``, ``pruners`` and ``policies``: what there is to choose from."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from rich.markup import escape
from rich.table import Table
from typer import Option

from saccade.studies.cli.consoles import emit, out, scaled, warn

if TYPE_CHECKING:
    from saccade.controller.registry import Registry

AsJson = Annotated[bool, Option("--json", help="Print one JSON array.")]


def list_models(as_json: AsJson = False) -> None:
    """List the models that come with the package, and say how other ones are named.

    They are small, real models of handwritten documents: they run offline, on a CPU.
    """
    from saccade.backbones import embedded_models

    models = [_model(name) for name in embedded_models()]
    if as_json:
        return emit(models)
    table = _table("name", "origin", "layers x width", "parameters", "on disk")
    for model in models:
        if "problem" in model:
            table.add_row(model["name"], f"[red]{escape(model['problem'])}[/]", "", "", "")
            continue
        size = f"{model['layers']} x {model['width']}"
        disk = f"{scaled(model['bytes'])}B"
        table.add_row(model["name"], model["origin"], size, scaled(model["parameters"]), disk)
    out().print(table)
    out().print(
        "--model also takes the folder of a checkpoint, or a hub id such as GSAI-ML/LLaDA-V "
        "(fetched once, then cached).",
        highlight=False,
    )


def list_pruners(as_json: AsJson = False) -> None:
    """List the pruners: they say WHICH visual tokens stay, given how many.

    The site is where one acts: inside the vision tower, before the stack (entry), or before a later
    layer. Those of installed third parties appear too.
    """
    from saccade.controller.registry import pruners

    found = _each(pruners, _pruner)
    if as_json:
        return emit(found)
    table = _table("name", "site", "needs", "options", "source")
    for pruner in found:
        needs, options = ", ".join(pruner["needs"]), _options_text(pruner["options"])
        table.add_row(pruner["name"], pruner["site"], needs or "nothing", options, pruner["source"])
    out().print(table)


def list_policies(as_json: AsJson = False) -> None:
    """List the policies: they say HOW MUCH of the picture is kept, in which layers and steps.

    Write one as a Python call with its options: after_share(0.5, keep=0.25). Several are joined by
    `+`, and one that wraps another has it inside: abstain(progressive() + layer_skip(), steps=4).
    Those of installed third parties appear too.
    """
    from saccade.controller.registry import policies

    found = _each(policies, _policy)
    if as_json:
        return emit(found)
    table = _table("name", "options", "what it does")
    for policy in found:
        table.add_row(policy["name"], _options_text(policy["options"]), escape(policy["summary"]))
    out().print(table)


def _each(
    registry: "Registry[Any]", describe: "Callable[[Registry[Any], str], dict[str, Any]]"
) -> list[dict[str, Any]]:
    """Every member described; a warning names each one of another package that is broken."""
    names, problems = registry.usable()
    found = []
    for name in names:
        try:
            found.append(describe(registry, name))
        except Exception as error:  # a package may break in any way
            if registry.origin(name) == "Saccade":
                raise
            where = f"the {registry.what} {name!r} of {registry.origin(name)}"
            problems.append(f"{where} cannot be described: {type(error).__name__}: {error}")
    for problem in problems:
        warn(f"left out: {problem}")
    return found


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    return table


def _model(name: str) -> dict[str, Any]:
    from saccade.backbones import load
    from saccade.backbones.loading import resolve
    from saccade.controller.errors import SaccadeError

    folder = resolve(name)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    try:
        model = load(name, device="cpu")
    except SaccadeError as error:
        return {"name": name, "bytes": size, "folder": str(folder), "problem": str(error)}
    return {
        "name": name,
        "origin": model.spec.origin,
        "layers": model.spec.geometry.n_layers,
        "width": model.spec.geometry.hidden,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "bytes": size,
        "folder": str(folder),
    }


def _pruner(registry: "Registry[Any]", name: str) -> dict[str, Any]:
    from saccade.controller.member_options import options_of

    factory = registry.factory(name)
    options = options_of(factory)
    # An instance knows its needs best; one with required options is described by its class.
    member = factory if any(option.required for option in options) else registry.make(name)
    needs = getattr(member, "needs", ())
    return {
        "name": name,
        "site": str(getattr(member, "site", "")),
        "needs": sorted(needs) if isinstance(needs, set | frozenset) else [],
        "options": _options(options),
        "source": str(getattr(member, "source", "")),
        "summary": _summary(factory),
    }


def _policy(registry: "Registry[Any]", name: str) -> dict[str, Any]:
    from saccade.controller.member_options import options_of

    factory = registry.factory(name)
    return {"name": name, "options": _options(options_of(factory)), "summary": _summary(factory)}


def _options(options: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": option.name,
            "required": option.required,
            "default": None if option.required else option.default,
        }
        for option in options
    ]


def _options_text(options: list[dict[str, Any]]) -> str:
    texts = [
        option["name"] + (" (required)" if option["required"] else f"={option['default']}")
        for option in options
    ]
    return escape(", ".join(texts)) or "none"


def _summary(factory: object) -> str:
    """First paragraph of the docstring, in one line."""
    return (inspect.getdoc(factory) or "").split("\n\n")[0].replace("\n", " ")
