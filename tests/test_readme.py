"""The README's Python runs as it stands, but for the checkpoint that has to be downloaded."""

import re
from pathlib import Path

import pytest

from saccade.studies.tasks.documents import make_sample

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", [block for block in BLOCKS if "GSAI-ML/" not in block])
def test_example_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    if "print(" in block:
        text, _, steps = capsys.readouterr().out.partition("|")
        assert text.split() == make_sample("transcribe", index=0).answer.split()
        assert 0 < int(steps.split()[0]) < 16


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 4
