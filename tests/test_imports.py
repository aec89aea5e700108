"""``import saccade`` is light, and every public name is found when it is used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import saccade

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "sklearn", "pandas", "plotly", "optuna", "wandb", "tensorboard")

UNNEEDED = ("transformers", "huggingface_hub", "torch._dynamo", *HEAVY[2:])
"""What a call on an embedded model does without: each would cost seconds at the start."""


def test_importing_saccade_loads_nothing_heavy() -> None:
    code = f"""
import json, sys, saccade
dir(saccade), saccade.__version__
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == []


def test_an_answer_needs_neither_transformers_nor_what_studies_do() -> None:
    code = f"""
import json, sys, saccade
import numpy as np
model = saccade.load("embedded/llada-v")
page = np.full((40, 30, 3), 200, dtype=np.uint8)
out = model.generate("What is it?", [page], gen_length=8, block_length=8, steps=2)
assert len(out.tokens) <= 8
print(json.dumps([name for name in {UNNEEDED} if name in sys.modules]))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == []


def test_the_command_line_loads_no_tracker_until_one_is_asked_for() -> None:
    code = """
import sys, saccade.studies.cli.commands, saccade.studies.tracking.track
print([name for name in ("wandb", "tensorboard") if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_errors_can_be_caught_by_their_public_names() -> None:
    with pytest.raises(saccade.UnknownNameError):
        saccade.parse_policy("nothing")
    assert issubclass(saccade.UnknownNameError, saccade.SaccadeError)


@pytest.mark.parametrize("name", saccade.__all__)
def test_public_name_resolves_to_an_object_of_ours(name: str) -> None:
    assert name in dir(saccade)
    assert getattr(saccade, name).__module__.startswith("saccade.")


def test_unknown_name_is_an_attribute_error() -> None:
    typo = "Contoller"
    assert not hasattr(saccade, typo)
    with pytest.raises(AttributeError, match=f"'saccade' has no attribute '{typo}'"):
        getattr(saccade, typo)


def test_submodules_come_from_one_copy() -> None:
    from saccade import tuning

    assert tuning.__name__ == "saccade.tuning"
    assert tuning is sys.modules["saccade.tuning"]
