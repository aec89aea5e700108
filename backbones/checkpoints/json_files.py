"""JSON files of a checkpoint."""

import json
from pathlib import Path
from typing import Any

from saccade.controller.errors import CheckpointError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or raise `CheckpointError` naming the file and what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}: is it a checkpoint?") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return content
