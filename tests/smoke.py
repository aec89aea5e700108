"""Checks an installed Saccade as a newcomer meets it; run it from outside the checkout.

Use ``python -I``: isolated mode keeps the checkout and PYTHONPATH out of the way.
"""

import re
import subprocess
import sys
from pathlib import Path

import saccade

VERSION = "0.1.0"
PRESET = "embedded/lavida-dream/long"


def import_smoke() -> None:
    home = Path(saccade.__file__).parent
    assert home.parent.name == "site-packages", f"saccade comes from {home}, not from a wheel"
    assert saccade.__version__ == VERSION, saccade.__version__
    assert (home / "py.typed").is_file() and (home / "__init__.pyi").is_file()
    assert not (home / "studies" / "results").exists(), "committed results belong to the checkout"
    print(f"saccade {saccade.__version__} imports from site-packages")


def command_smoke(*arguments: str) -> None:
    command = Path(sys.executable).with_name("saccade")
    subprocess.run([command, *arguments], check=True)


def readme_smoke() -> None:
    """Run the README's Python; only the real checkpoint would need a download."""
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    here = [block for block in blocks if "GSAI-ML/" not in block]
    assert len(here) == 5, "the README has other examples: adapt this test"
    for block in here:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


if __name__ == "__main__":
    import_smoke()
    command_smoke("--help")
    command_smoke("doctor")
    command_smoke("page", "page.png", "--kind", "code")
    command_smoke(
        *("generate", "page.png", "Which code is in row 3?", "--gen-length", "16"),
        *("--policy", "after_share(0.5, keep=0.25)", "--pruner", "divprune"),
    )
    command_smoke(
        *("generate", "page.png", "Which code is in row 3?", "--gen-length", "16"),
        *("--policy", "auto", "--trace", "out.html"),
    )
    command_smoke("presets", "list")
    command_smoke("generate", "page.png", "Which code is in row 3?", "--preset", PRESET)
    readme_smoke()
    print("The installed wheel works.")
