"""The page of methods: every registered pruner and policy, and where it comes from."""

import inspect
from collections.abc import Callable
from typing import Any

from saccade.controller.registry import policies, pruners
from saccade.studies.site.markdown import as_text, linked, table
from saccade.studies.site.reference import public_names

OURS = "Saccade"
"""What registries call members that come with the package."""
INTRO = """---
hide: [navigation]
---

# Methods

A pruner says which visual tokens stay, a policy how many, before which layer and when; any of them
work together. The tables are made from the registries when the site is built: `saccade pruners` and
`saccade policies` show the same, and those of installed packages. What a method does otherwise than
its paper stands in its reference.

Six published methods were reproduced against recorded numbers of their codes (`tests/goldens/`);
how they compare is told in [fixed baselines](findings/fixed-baselines.md).
"""


def methods_page() -> str:
    """The page, as Markdown."""
    rows = [_pruner(name) for name in pruners if pruners.origin(name) == OURS]
    own = [_policy(name) for name in policies if policies.origin(name) == OURS]
    parts = (
        INTRO,
        "## Pruners",
        table(("name", "which tokens stay", "acts", "source"), rows, texts=4),
        "## Policies",
        table(("name", "what it does"), own, texts=2),
    )
    return "\n\n".join(parts) + "\n"


def _pruner(name: str) -> tuple[str, ...]:
    factory = pruners.factory(name)
    site, source = str(getattr(factory, "site", "")), str(getattr(factory, "source", ""))
    return _link(name, factory), _summary(factory), _where(site), linked(as_text(source))


def _policy(name: str) -> tuple[str, ...]:
    factory = policies.factory(name)
    return _link(name, factory), _summary(factory)


def _where(site: str) -> str:
    """Where a pruner acts, in words."""
    words = {"entry": "before the stack", "layer": "before a layer"}
    return as_text(words.get(site, site))


def _link(name: str, factory: Callable[..., Any]) -> str:
    """A member's name, linked to its reference."""
    public = getattr(factory, "__name__", "")
    return f"[`{name}`][saccade.{public}]" if public in public_names() else f"`{name}`"


def _summary(factory: object) -> str:
    """First paragraph of the docstring."""
    return as_text((inspect.getdoc(factory) or "").split("\n\n")[0].replace("`", ""))
