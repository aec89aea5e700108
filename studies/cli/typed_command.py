"""The command as it was typed, for recipes and pages: without passwords."""

import shlex
import sys


def typed_command() -> str:
    """The words of this process's command, as a shell takes them."""
    return shlex.join(["saccade", *map(_without_password, sys.argv[1:])])


def _without_password(word: str) -> str:
    from saccade.tuning.storage import shown

    return shown(word) if "://" in word else word
