"""The command line, ``saccade``: one file per group of commands; torch loads inside them."""

from saccade.studies.cli.commands import app, main

__all__ = ["app", "main"]
