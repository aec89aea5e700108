"""The leaderboard: figures of summaries, in the order that it says, whatever names hold."""

import math
from pathlib import Path

import pandas as pd
import pytest

from saccade.controller.errors import StudyError
from saccade.studies.analysis.summary import summarise
from saccade.studies.site.leaderboard import KEEPS, NEEDED, boards_of, leaderboard_page

ROOT = Path(__file__).parent.parent.parent.parent
RESULTS = ROOT / "studies" / "results"


def row(case: str, task: str, kept: float, ideal: float, **changes: object) -> dict[str, object]:
    own: dict[str, object] = {
        "case": case,
        "backbone": "embedded/llada-v",
        "task": task,
        "n": 10,
        "score_relative": kept,
        "speedup": ideal / 2,
        "speedup_ideal": ideal,
        "speedup_projected": ideal,
        "visual_tokens_ratio": 0.5,
    }
    return own | changes


def write(folder: Path, rows: list[dict[str, object]], name: str = "summary.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(NEEDED)).to_csv(folder / name, index=False)
    return folder


BARE = [row("none", task, 1.0, 1.0, speedup=1.0) for task in ("code", "yesno")]


def test_what_keeps_its_score_comes_first_by_work(tmp_path: Path) -> None:
    rows = [
        *BARE,
        row("fast and wrong", "code", 0.5, 9.0),
        row("fast and wrong", "yesno", 1.0, 9.0),
        row("good", "code", KEEPS, 2.0),
        row("good", "yesno", 1.0, 8.0),
        row("wrong once", "code", 0.9, 99.0),
    ]
    (board,) = boards_of(write(tmp_path / "one", rows))
    assert [e.case for e in board.entries] == ["good", "none", "wrong once", "fast and wrong"]
    good, none, once, _ = board.entries
    assert good.ideal == pytest.approx(4.0) and good.measured == pytest.approx(2.0)
    assert good.kept == pytest.approx((KEEPS + 1) / 2) and good.worst_task == "code"
    assert none.baseline and not good.baseline and once.tasks == ("code",)


def test_what_is_not_defined_is_a_dash(tmp_path: Path) -> None:
    rows = [*BARE, row("good", "code", 1.0, 2.0, speedup_projected=math.nan)]
    page = leaderboard_page(write(tmp_path / "all" / "one", rows).parent, tmp_path)
    line = "| 1 | **good** (code alone) | 100.0 % | code 100.0 % | 2.00 | 1.00 | - | 50 % |"
    assert line in page.replace("\u00a0", " ")


def test_names_are_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>|[x](javascript:y)*\n# z"
    page = leaderboard_page(
        write(tmp_path / "all" / "one", [*BARE, row(hostile, "code", 1.0, 2.0)]).parent, tmp_path
    )
    assert "<script" not in page and "](javascript" not in page and "\n# z" not in page


def test_folders_without_summaries_are_passed_over_and_bad_ones_named(tmp_path: Path) -> None:
    write(tmp_path / "all" / "good", BARE, "llada-v.summary.csv")
    (tmp_path / "all" / "bench").mkdir()
    assert "bench" not in leaderboard_page(tmp_path / "all", tmp_path)
    (tmp_path / "all" / "bench" / "summary.csv").write_text("case,task\nnone,code\n")
    with pytest.raises(StudyError, match=r"bench.summary\.csv has no column backbone"):
        leaderboard_page(tmp_path / "all", tmp_path)
    with pytest.raises(StudyError, match="no summaries in"):
        leaderboard_page(tmp_path / "all" / "good", tmp_path)


def test_the_committed_results_are_on_it() -> None:
    page = leaderboard_page(RESULTS, ROOT / "studies" / "configs")
    folders = {path.parent.name for path in RESULTS.glob("*/*summary.csv")}
    assert len(folders) > 10 and all(f"\n## {name}\n" in page for name in folders)
    assert "nan" not in page.replace("finance", "")


def test_a_committed_summary_is_what_its_records_give() -> None:
    folder = RESULTS / "adaptive-short"
    (board,) = boards_of(folder)
    frame = summarise(folder).frame
    for entry in board.entries:
        own = frame[frame.case == entry.case]
        assert entry.kept == pytest.approx(own.score_relative.mean())
        assert entry.measured == pytest.approx(math.exp(own.speedup.map(math.log).mean()))


def test_what_a_readme_says_is_told_without_its_commands(tmp_path: Path) -> None:
    folder = write(tmp_path / "all" / "one", BARE)
    said = "# Title\n\nTimes of two\ncores. To see\nthe tables:\n\n```\nrun it\n```\n"
    (folder / "README.md").write_text(said)
    page = leaderboard_page(folder.parent, tmp_path)
    assert "\n> Times of two cores.\n" in page and "run it" not in page
