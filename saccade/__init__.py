"""Faster diffusion multimodal language models: look at the picture only when it matters.

The public names stand in one list, ``__init__.pyi``, which type checkers and editors read, too.
They are resolved on first use, so ``import saccade`` is light: torch is not loaded until something
needs it.
"""

import ast
from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"

_HERE = Path(__file__).parent
if not (_HERE / "controller").is_dir():  # a checkout: the five folders lie beside this one
    __path__.append(str(_HERE.parent))


def _homes() -> dict[str, str]:
    """The module of each public name, from the stub."""
    tree = ast.parse((_HERE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names}


_HOMES = _homes()
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'saccade' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
