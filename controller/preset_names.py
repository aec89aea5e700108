"""Where presets come from: those that are shipped, paths, and the hub."""

import os
from pathlib import Path
from typing import NamedTuple

from saccade.controller.errors import PresetError
from saccade.controller.names import did_you_mean
from saccade.controller.preset import Preset
from saccade.controller.preset_files import FILE

SHIPPED = Path(__file__).parent / "presets"
PATIENCE = 4.0
"""Seconds in which the hub has to answer, unless HF_HUB_ETAG_TIMEOUT says otherwise."""
BUSY = (408, 429)
"""Answers, beside those of a fault of its own, of a hub that cannot be used now."""


class Found(NamedTuple):
    """A preset, its folder if any, and what links may lead to (None: the folder alone)."""

    preset: Preset
    folder: Path | None
    root: Path | None = None


def shipped_presets() -> list[str]:
    """Names of the presets that come with the package, such as ``embedded/llada-v/long``."""
    files = SHIPPED.rglob("*.json")
    return sorted(file.relative_to(SHIPPED).with_suffix("").as_posix() for file in files)


def find_preset(name: str | Path) -> Found:
    """Find and read a preset: a shipped name, a file or folder, or a hub id.

    Raises
    ------
    PresetError
        If there is none by that name, or it cannot be used.
    """
    text = str(name)
    if text in shipped_presets():
        file = SHIPPED / f"{text}.json"
        return Found(Preset.read(file), file.parent)
    path = _expanded(Path(name))
    if _exists(path):
        return Found(Preset.read(path), path if path.is_dir() else path.parent)
    looks_local = text.startswith((".", "/", "~", "embedded/")) or text.endswith(".json")
    if isinstance(name, Path) or looks_local or text.count("/") != 1:
        raise PresetError(_unknown(text))
    return _fetched(text)


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # the home of nobody
        return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _unknown(text: str) -> str:
    known = shipped_presets()
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    owner = text.rpartition("/")[0]
    near = [one for one in known if one.rpartition("/")[0] == owner] or known
    return (
        f"no preset {shown!r}; {did_you_mean(text[:200], near)}give a path, a hub id (owner/name), "
        f"or one of {', '.join(known) or 'none shipped'}"
    )


def _fetched(repo_id: str) -> Found:
    """A preset of a hub repository: ``preset.json``, and the learned model that it names."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        local = not _answers(repo_id)
        file = Path(hf_hub_download(repo_id, FILE, local_files_only=local))
        preset = Preset.read(file)
        if preset.learned is not None:
            hf_hub_download(repo_id, preset.learned.file, local_files_only=local)
    except HFValidationError as error:
        raise PresetError(f"{_unknown(repo_id)}; as a hub id: {error}") from error
    except LocalEntryNotFoundError as error:
        raise PresetError(
            f"{_unknown(repo_id)}; the hub's {repo_id} is not in the local cache, and the hub "
            "cannot be reached: try again later, go online, or give the path of a downloaded preset"
        ) from error
    except EntryNotFoundError as error:
        raise PresetError(f"the hub's {repo_id} has no {FILE}, or lacks what it names") from error
    except (HfHubHTTPError, OSError) as error:
        told = " ".join(str(error).split())
        raise PresetError(f"the hub does not give a preset {repo_id}: {told}") from error
    # The cache links its snapshots to its own store: snapshots/COMMIT/FILE to ../../blobs/HASH.
    return Found(preset, file.parent, file.parent.parent.parent)


def _answers(repo_id: str) -> bool:
    """Whether the hub can be reached, by one short question: a download would try for minutes."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        patience = HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else PATIENCE
        get_hf_file_metadata(hf_hub_url(repo_id, FILE), timeout=patience)
    except HFValidationError:
        raise
    except HfHubHTTPError as error:
        code = None if error.response is None else error.response.status_code
        return code is None or not (code in BUSY or code >= 500)
    except Exception:  # whatever the client of the installed version raises
        return False
    return True
