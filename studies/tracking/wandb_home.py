"""Where wandb may write: in a folder of results, and nowhere else."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MISSING = 'wandb is not installed: pip install "saccade-dmllm[wandb]"'
FOLDERS = {
    "WANDB_DIR": ".",
    "WANDB_DATA_DIR": "wandb/data",
    "WANDB_CACHE_DIR": "wandb/cache",
    "WANDB_CONFIG_DIR": "wandb/config",
}
"""Where wandb keeps what, from the folder on."""


def home_settings(folder: Path) -> Mapping[str, str]:
    """The environment variables that keep wandb in a folder."""
    return {name: str((folder / own).resolve()) for name, own in FOLDERS.items()}


def wandb_at_home(folder: Path) -> Any:
    """The module wandb, kept in a folder. Changes the environment: for a process of its own.

    Raises
    ------
    ImportError
        Without wandb, naming the extra.
    OSError
        Where it cannot be written.
    """
    own = home_settings(folder)
    for path in own.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    if "wandb" not in sys.modules:
        os.environ |= own
    return wandb_module()


def wandb_module() -> Any:
    """The module wandb; an `ImportError` that names the extra without it."""
    try:
        import wandb
    except ImportError as error:
        raise ImportError(MISSING) from error
    return wandb


def quiet_settings(wandb: Any, **more: Any) -> Any:
    """Settings of a wandb that says nothing and looks at nothing but what it is given."""
    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_stats=True,
        x_disable_meta=True,
        **more,
    )
