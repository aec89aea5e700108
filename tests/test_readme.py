"""The README's Python runs as it stands; published checkpoints are stood in for by tiny ones."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saccade.backbones import Model, load
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.studies.tasks.documents import make_sample
from tests.tiny import fake_page, tiny_model

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
PUBLISHED = {"GSAI-ML/LLaDA-V": LLADA_V, "jacklishufan/lavida-dream-v1.0-instruct": LAVIDA}
"""Published checkpoints that the README loads."""


def printed(block: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("block", [block for block in BLOCKS if "GSAI-ML/" not in block])
def test_example_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bool(printed(block, capsys)) == ("print(" in block)


def test_the_first_example_reads_the_page_and_drops_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    *codes, first, second, third, fourth = printed(BLOCKS[0], capsys)
    assert codes == make_sample("transcribe", index=1).answer.splitlines()
    assert first.startswith("144 visual tokens: all tokens stay")
    assert second.startswith("108 visual tokens: cover 0.98 >= 0.80")
    assert third.startswith("72 visual tokens: cover 0.95 >= 0.80")
    assert "144 -> 108 tokens" in second and "108 -> 72 tokens" in third
    assert "layer 4" in second and "layer 5" in second and fourth.startswith("72 visual tokens")


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the published layouts with random weights, by the ids that the README loads."""
    folders = {}
    for name, family in PUBLISHED.items():
        folders[name] = tmp_path_factory.mktemp("published")
        tiny_model(tokenizer=True, family=family).save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize("block", [block for block in BLOCKS if "GSAI-ML/" in block])
def test_every_published_checkpoint_answers_as_written(
    block: str, stand_ins: dict[str, Path]
) -> None:
    """The lines that load run one by one, and after each of them all that follow the last."""
    lines = ast.parse(block).body
    loads = [line for line in lines if "saccade.load" in ast.unparse(line)]
    rest = [line for line in lines if line not in loads]
    loaded: list[str] = []

    def stand_in(name: str, device: str) -> Model:
        loaded.append(name)
        return load(stand_ins[name], dtype="float32", device="cpu")

    saccade = SimpleNamespace(load=stand_in)
    for line in loads:
        names: dict[str, Any] = {"saccade": saccade, "question": "What?", "image": fake_page()}
        exec(compile(ast.Module([line, *rest], []), "README.md", "exec"), names)
        assert names["out"].trace.forwards in (16, 17)  # prefix mode runs the prompt by itself
    assert loaded == list(stand_ins)


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 6
