"""Fetching from the hub, whose client is a fake here: what is asked of it, and what its errors
become."""

from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from saccade.backbones.checkpoints.hub import fetch
from saccade.controller.errors import CheckpointError


class Hub:
    """A hub with one repository; what is asked of it is kept in `asked`."""

    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error = folder, error
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def snapshot_download(self, repo_id: str, **options: Any) -> str:
        validate_repo_id(repo_id)
        self.asked.append((repo_id, options))
        if self.error is not None:
            raise self.error
        return str(self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    own = Hub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", own.snapshot_download)
    return own


RESPONSE: Any = SimpleNamespace(status_code=404, headers={}, request=None)
"""As much of an HTTP response as the hub's errors read, whichever client made it."""


def test_the_folder_of_a_repository_is_given(hub: Hub, tmp_path: Path) -> None:
    assert fetch("some/model") == tmp_path
    assert fetch("some/model", "v1") == tmp_path
    assert [(name, options["revision"]) for name, options in hub.asked] == [
        ("some/model", None),
        ("some/model", "v1"),
    ]


def test_weights_json_and_merges_are_asked_for_and_no_code(hub: Hub) -> None:
    fetch("some/model")
    ((_, options),) = hub.asked
    assert set(options) == {"revision", "allow_patterns"}

    def taken(*names: str) -> list[str]:
        return [n for n in names if any(fnmatch(n, p) for p in options["allow_patterns"])]

    wanted = ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json", "merges.txt"]
    assert taken(*wanted) == wanted
    assert taken("modeling_llada.py", "pytorch_model.bin", "x.pkl", "x.pt", "README.md") == []


@pytest.mark.parametrize("name", ["not a name/x", "--a/b", "a/" + "b" * 100])
def test_a_malformed_id(hub: Hub, name: str) -> None:
    with pytest.raises(CheckpointError, match="is neither a folder nor a hub id: ") as caught:
        fetch(name)
    assert repr(name) in str(caught.value) and hub.asked == []
    assert isinstance(caught.value.__cause__, HFValidationError)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RepositoryNotFoundError("404: no such repository", response=RESPONSE),
            "the hub does not give some/model: 404: no such repository",
        ),
        (
            RevisionNotFoundError("404: no such revision", response=RESPONSE),
            "the hub does not give some/model: 404: no such revision",
        ),
        (
            LocalEntryNotFoundError("nothing is cached"),
            "some/model is not in the local cache and the hub cannot be reached; go online, or "
            "give the folder of a downloaded checkpoint",
        ),
        (OSError("no space left"), "some/model could not be downloaded: no space left"),
        (OfflineModeIsEnabled("offline"), "some/model could not be downloaded: offline"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
def test_errors_of_the_hub_are_ours(hub: Hub, error: Exception, message: str) -> None:
    hub.error = error
    with pytest.raises(CheckpointError) as caught:
        fetch("some/model")
    assert str(caught.value).strip() == message
    assert caught.value.__cause__ is error


def test_other_errors_are_not_hidden(hub: Hub) -> None:
    hub.error = KeyError("a bug")
    with pytest.raises(KeyError, match="a bug"):
        fetch("some/model")
