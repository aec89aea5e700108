"""What the policy and pruner of a preset may say: calls of what is registered, and no paths."""

import ast
import re
from collections.abc import Iterator

from saccade.controller.expressions import (
    Described,
    describe_policy,
    is_none,
    parse_policy,
    parse_pruner,
)

WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\- ]*")
"""Texts that options may have: words, no paths and no names of files."""
READS, FILE_OPTION = "learned", "file"
"""The policy that reads a file, and its option that names it."""


def check_texts(policy: str, pruner: str | None, learned: str | None) -> None:
    """Check the texts of a preset.

    Parameters
    ----------
    policy : str
    pruner : str or None
    learned : str or None
        Name of the learned model's file: the one file that the policy may name.

    Raises
    ------
    UnknownNameError, ValueError, TypeError
        As `parse_policy`; and for a text that may be a path.
    """
    if learned is None and not is_none(policy):
        describe_policy(policy)
        if READS in names(policy):
            raise ValueError(
                f"the policy {policy!r} reads a learned model, and the preset has none"
            )
    for text in filter(None, (policy, pruner)):
        _check_words(text, learned)
    if learned is None:
        parse_policy(policy)
    else:  # it is made where its file is known
        _check_reads(describe_policy(policy), learned)
    if pruner is not None and not is_none(pruner):
        parse_pruner(pruner)


def files_read(value: object) -> list[object]:
    """What the learned policies in a described policy are given to read, however deep they lie."""
    if isinstance(value, tuple):
        return [file for inner in value for file in files_read(inner)]
    if not isinstance(value, Described):
        return []
    own = [value.options.get(FILE_OPTION)] if value.name == READS else []
    return own + files_read(tuple(value.options.values()))


def _check_reads(described: Described, learned: str) -> None:
    files = files_read(described)
    if not files:
        raise ValueError(f"the policy does not read the preset's learned model {learned!r}")
    wrong = [file for file in files if file != learned]
    if wrong:
        raise ValueError(
            f"{READS}({FILE_OPTION}={wrong[0]!r}): a preset reads its own learned model alone, "
            f"which is {learned!r}"
        )


def names(text: str) -> set[str]:
    """All names in a text, in small letters."""
    return {node.id.lower() for node in _nodes(text) if isinstance(node, ast.Name)}


def constants(text: str) -> set[str]:
    """All texts in quotes."""
    return {
        node.value
        for node in _nodes(text)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _check_words(text: str, learned: str | None) -> None:
    wrong = [c for c in constants(text) if c != learned and not WORD.fullmatch(c)]
    if wrong:
        raise ValueError(
            f"{wrong[0][:80]!r} in {text[:80]!r}: a preset names no file but its learned "
            "model, and options are words"
        )


def _nodes(text: str) -> Iterator[ast.AST]:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{text[:80]!r} is not read: {error}") from error
    return ast.walk(tree)
