"""What tests of the command line share."""

from pathlib import Path

import pytest

from tests.studies.cli.generating import SAMPLE


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "page.png"
    SAMPLE.page.image.save(path)
    return path
