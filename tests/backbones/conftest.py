"""Small checkpoints on disk."""

from pathlib import Path

import pytest

from saccade.backbones import Model
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


@pytest.fixture(scope="module")
def speaking() -> Model:
    """A model with a tokenizer."""
    return tiny_model(tokenizer=True)


@pytest.fixture(scope="module")
def speaking_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a tokenizer, and more rows in its embedding than that has tokens."""
    folder = tmp_path_factory.mktemp("speaking")
    tiny_model(tokenizer=True, vocab=300).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    """A checkpoint of one shard, to be damaged."""
    model.save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def sharded(model: Model, tmp_path: Path) -> Path:
    """A checkpoint of many shards, to be damaged."""
    model.save_pretrained(tmp_path, max_shard_bytes=10_000)
    return tmp_path
