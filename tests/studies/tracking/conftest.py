"""Studies with something to show, and where trackers may write."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.record import Record

HOSTILE = "</script><script>alert(1)</script>\n| `x` \u2028" + "y" * 5000


def varied(record: Record) -> Record:
    """Answers that differ, are slower or faster, and measured what there is."""
    if record.case == "none":
        good = record.sample != 3
    else:
        good = record.sample not in (1, 4)
    digest = hashlib.sha256(f"{record.case}{record.task}{record.unit}".encode()).digest()
    measured = record.case == "half"
    return replace(
        record,
        answer="Yes" if good else HOSTILE,
        score=float(good),
        exact=float(good),
        seconds=0.5 + digest[0] / 512,
        macs=900 if record.case == "none" else 457,
        attention=[([0.5, None], [0.25, 0.75])] * 4 if measured else [],
        confidences=[0.25, 0.5, 0.75, None] if measured else [],
    )


@pytest.fixture
def study(made_run: Callable[..., Path], config: StudyConfig) -> Callable[..., Summary]:
    """``study(units=None)`` is the summary of a study of which so many units are answered."""
    return lambda units=None: summarise(made_run(config, varied, units))


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials and no settings of whoever runs the tests; servers on this machine alone."""
    for name in ("API_KEY", "MODE", "BASE_URL", "PROJECT", "IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
