"""Checks an installed Saccade as a newcomer meets it; run it from outside the checkout.

Use ``python -I``: isolated mode keeps the checkout and PYTHONPATH out of the way.
"""

import subprocess
import sys
from pathlib import Path

import saccade

VERSION = "0.1.0"


def import_smoke() -> None:
    home = Path(saccade.__file__).parent
    assert home.parent.name == "site-packages", f"saccade comes from {home}, not from a wheel"
    assert saccade.__version__ == VERSION, saccade.__version__
    assert (home / "py.typed").is_file()
    print(f"saccade {saccade.__version__} imports from site-packages")


def command_smoke(*arguments: str) -> None:
    command = Path(sys.executable).with_name("saccade")
    subprocess.run([command, *arguments], check=True)


def documents_smoke() -> None:
    from saccade import AfterShare, Controller, DivPrune
    from saccade.studies.documents import KINDS, make_sample

    sample, kind = make_sample("code", 0), KINDS["code"]
    model = saccade.load("embedded/llada-v")
    with Controller(AfterShare(0.5, 0.25), DivPrune())(model):
        out = model.generate(
            images=[sample.page.image],
            prompt=sample.question,
            gen_length=kind.gen_length,
            block_length=kind.block_length,
            steps=kind.steps,
        )
    print(sample.question, "->", out.text)


if __name__ == "__main__":
    import_smoke()
    command_smoke("--help")
    command_smoke("doctor")
    documents_smoke()
    print("The installed wheel works.")
