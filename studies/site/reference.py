"""Pages of the reference: every public name on one of them, told from its docstring."""

import ast
import inspect
from functools import cache
from importlib import import_module
from pathlib import Path

from saccade.controller.errors import SaccadeError
from saccade.controller.policy import BasePolicy

STUB = Path(__file__).parent.parent.parent / "saccade" / "__init__.pyi"
"""The list of public names, of a checkout: the site is built from one."""
PAGES = {
    "models": "Models and answers",
    "controller": "Controller and presets",
    "policies": "Policies",
    "pruners": "Pruners",
    "values": "Plans, states, signals",
    "results": "Results",
    "errors": "Errors",
}
"""Title of each page, in the order of the site."""
NAMED = {
    "models": ("load", "Model", "Generation", "Trace", "StepView"),
    "controller": ("Controller", "Preset"),
    "policies": ("parse_policy", "check_policy"),
    "pruners": ("parse_pruner",),
}
"""Names that stand first on a page; others find theirs by what they are."""


def reference_pages() -> dict[str, str]:
    """Markdown of every page, by its name in `PAGES`."""
    return {page: _page(title, names_of(page)) for page, title in PAGES.items()}


def names_of(page: str) -> list[str]:
    """Public names on a page, in its order."""
    first = list(NAMED.get(page, ()))
    return first + [n for n in public_names() if n not in first and page_of(n) == page]


@cache
def public_names() -> dict[str, str]:
    """Every public name in order, and the module that it comes from."""
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    found = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return dict(sorted((alias.name, str(node.module)) for node in found for alias in node.names))


def page_of(name: str) -> str:
    """The page that a public name stands on."""
    for page, names in NAMED.items():
        if name in names:
            return page
    found = getattr(import_module(public_names()[name]), name)
    if inspect.isclass(found) and issubclass(found, BasePolicy):
        return "policies"
    if inspect.isclass(found) and issubclass(found, SaccadeError):
        return "errors"
    home = found.__module__.split(".")[1]
    return {"pruners": "pruners", "studies": "results"}.get(home, "values")


def _page(title: str, names: list[str]) -> str:
    return "\n\n".join([f"# {title}", *(f"::: saccade.{name}" for name in names)]) + "\n"
