"""Texts and tables for Markdown pages, whatever they hold."""

import re
from collections.abc import Sequence

SPECIAL = frozenset('&<>"|*_`[]~\\#!^${}')


def as_text(text: str) -> str:
    """A text that Markdown and HTML show as it is, in one line."""
    one_line = " ".join(text.split())
    return "".join(f"&#{ord(c)};" if c in SPECIAL else c for c in one_line)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table of Markdown; the first `texts` columns are aligned left, the others right."""
    rule = ["---"] * texts + ["--:"] * (len(headings) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def linked(text: str) -> str:
    """A text with its arXiv numbers as links."""
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", text)
