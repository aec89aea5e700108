"""Fetching checkpoints from the Hugging Face hub: weights, JSON and merges, never code."""

from pathlib import Path
from typing import Any

from saccade.backbones.checkpoints.tokenizer import MERGES
from saccade.controller.errors import CheckpointError

PATTERNS = ["*.json", "*.safetensors", MERGES]


def fetch(repo_id: str, revision: str | None = None, cached: bool = False) -> Path:
    """Download a checkpoint (or find it in the local cache) and return its folder; with `cached`
    nothing is downloaded.

    Raises
    ------
    CheckpointError
        If the id is malformed or unknown, or the hub cannot be reached and nothing is cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        options: dict[str, Any] = {"local_files_only": True} if cached else {}
        found = snapshot_download(repo_id, revision=revision, allow_patterns=PATTERNS, **options)
        return Path(found)
    except HFValidationError as error:
        raise CheckpointError(f"{repo_id!r} is neither a folder nor a hub id: {error}") from error
    except LocalEntryNotFoundError as error:
        if cached:
            raise CheckpointError(
                f"{repo_id} is not in the local cache: download it, or give its folder"
            ) from error
        raise CheckpointError(
            f"{repo_id} is not in the local cache and the hub cannot be reached; go online, or "
            "give the folder of a downloaded checkpoint"
        ) from error
    except HfHubHTTPError as error:
        raise CheckpointError(f"the hub does not give {repo_id}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{repo_id} could not be downloaded: {error}") from error
