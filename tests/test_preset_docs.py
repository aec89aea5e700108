"""The commands of the page about presets are those of the program."""

import re
import shlex
from pathlib import Path

import typer

from saccade.studies.cli import app

PAGE = (Path(__file__).parent.parent / "docs" / "presets.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_is_read() -> None:
    blocks = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    found = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    lines = [line for line in found if line and not line.startswith("mkdir")]
    root = typer.main.get_command(app)
    for line in lines:
        words = shlex.split(line)
        assert words.pop(0) == "saccade"
        command = root
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        command.make_context(line, words)
    assert len(lines) == 12


def test_its_options_are_there() -> None:
    root = typer.main.get_command(app)
    names = {
        option
        for command in (root.commands["certify"], *root.commands["presets"].commands.values())  # type: ignore[attr-defined]
        for parameter in command.params
        for option in parameter.opts
    } | {"--preset"}
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", PAGE)) <= names
