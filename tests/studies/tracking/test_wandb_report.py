"""A report in wandb: what is sent, the Report about it, and the page from what was logged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig
from saccade.studies.reports.compare.page import comparison_html
from saccade.studies.reports.compare.sources import read_sources
from saccade.studies.reports.compare.text_tables import comparison_text
from saccade.studies.tracking import publish as publishing
from saccade.studies.tracking.from_study import study_runs
from saccade.studies.tracking.from_wandb import FILES, read_wandb
from saccade.studies.tracking.gathering import Gathered, gather
from saccade.studies.tracking.publish import publish_folder, publish_report
from saccade.studies.tracking.report_definition import Grid, ReportDefinition
from saccade.studies.tracking.report_file import read_report, store_report
from saccade.studies.tracking.track import open_sinks, send_all
from saccade.studies.tracking.wandb_report import make_report
from tests.studies.tracking.conftest import varied
from tests.studies.tracking.hub import Hub
from tests.studies.tracking.sinks import stand_in
from tests.studies.tracking.test_from_tune import result_of, searched

PAGE = ("report.html", b"<!doctype html>")
BENCH = [
    {"case": case, "policy": "p", "pruner": None, "speedup": s, "speedup_ideal": s * 2}
    | {"seconds": [1.0], "seconds_bare": [s], "sizes": {"gen_length": 8}}
    for case, s in (("no pruner", 1.0), ("divprune", 1.5))
]


@pytest.fixture
def run(made_run: Callable[..., Path], config: StudyConfig) -> Path:
    """A study on disk."""
    return made_run(config, varied)


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """A search on disk, with its trials in a file."""
    from saccade.studies.runs.tune_trials import trials_text

    study = searched(1.0, 0.5, None)
    goal = {"max_drop": 0.01, "front": False, "objective": "cost"}
    study.set_user_attr("recipe", {"task": {"name": "code"}, "goal": goal})
    folder = tmp_path / "search"
    folder.mkdir()
    result = result_of(study)
    for row in (*result["front"], result["chosen"]):
        row |= {"test_score": 0.8, "test_relative": 1.0, "test_ideal": 2.0}
    (folder / "result.json").write_text(json.dumps(result))
    secret = {
        "config": {"model": "m", "task": "code"},
        "study": "made-up",
        "storage": "x://me:pw@h",
    }
    (folder / "tune.json").write_text(json.dumps(secret))
    (folder / "trials.json").write_text(trials_text(study))
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """What a bench has written."""
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(BENCH))
    return path


def panels(definition: ReportDefinition) -> dict[str, list[str]]:
    """Kinds of panels by the name of their set of runs."""
    grids = [block for block in definition.blocks if isinstance(block, Grid)]
    return {grid.name: [panel.kind for panel in grid.panels] for grid in grids}


def test_sources_have_the_runs_of_their_own_commands(run: Path) -> None:
    sources = read_sources([run])
    found = gather(sources, PAGE)
    *others, own = found.runs[run]
    assert [r.id for r in others] == [r.id for r in study_runs(sources.summaries)]
    assert found.home == run and own.kind == "report" and own.group == "made-up"
    made = {name: a for r in others for name, a in r.makes.items() if a.kind == "results"}
    assert own.uses == made and list(own.makes["made-up-page"].files) == ["report.html"]
    columns = own.tables["cases"].columns
    rows = [dict(zip(columns, row, strict=True)) for row in own.tables["cases"].rows]
    shown = [(row["case"], row["task"]) for row in rows if row["task"] != "all tasks"]
    assert shown == [(row["case"], row["task"]) for row in sources.summaries[0].rows()]


def test_several_sources_meet_in_a_folder_of_their_own(
    run: Path, search: Path, bench: Path
) -> None:
    found = gather(read_sources([run, search, bench]), PAGE)
    own = found.runs[found.home][-1]
    assert list(found.runs)[:2] == [run, search] and found.home.parent == Path("runs")
    assert own.group == found.home.name and {a.kind for a in own.uses.values()} == {
        "results",
        "search",
        "bench",
    }
    sent = [r for runs in found.runs.values() for r in runs]
    assert len({r.id for r in sent}) == len(sent)
    assert b"pw" not in b"".join(
        d for r in sent for a in r.makes.values() for d in a.files.values()
    )
    assert panels(found.definition) == {
        "report": ["table", "table", "media"],
        "cases": ["comparer", "parallel", *["scatter"] * 4, "table", "table", "media"],
        "trials of searches": ["parallel", "importances", "importances", "scatter", "comparer"],
        "searches": ["table", "table", "media"],
        "benches": ["comparer", "scatter", "table"],
    }


def test_the_definition_says_what_the_page_says(run: Path) -> None:
    sources = read_sources([run])
    sources.problems.append("something is missing")
    text = gather(sources, PAGE).definition.model_dump_json()
    page = comparison_html(sources)
    assert "something is missing" in text and "something is missing" in page
    assert "no setting is faster and keeps 99 % of the score" in text
    assert text == gather(sources, PAGE).definition.model_dump_json()


def test_a_report_of_wandb_is_made_of_it(run: Path, search: Path) -> None:
    workspaces = pytest.importorskip("wandb_workspaces.reports.v2")
    definition = gather(read_sources([run, search]), PAGE).definition
    hostile = 'a"b\\ = < > within_last 5 days [x] \U0001f600'
    blocks = [
        block.model_copy(update={"groups": (hostile,)}) if isinstance(block, Grid) else block
        for block in definition.blocks
    ]
    definition = definition.model_copy(update={"blocks": tuple(blocks)})
    spec = make_report(workspaces, definition, "me", "mine")._to_model().spec.model_dump()
    grids = [block for block in spec["blocks"] if block["type"] == "panel-grid"]
    for grid in grids:
        (runs,) = grid["metadata"]["run_sets"]
        assert runs["project"] is None, "runs are of the Report's own project"
        assert runs["filters"]["filters"][0]["value"] == [hostile]
    kinds = {
        p["view_type"] for g in grids for p in g["metadata"]["panel_bank_section_config"]["panels"]
    }
    assert {"Run Comparer", "Parallel Coordinates Plot", "Parameter Importance"} <= kinds
    assert {"Scatter Plot", "Media Browser", "Weave"} <= kinds


def test_the_file_keeps_what_was_sent(run: Path) -> None:
    from saccade.studies.tracking.report_file import Published, write_report_file

    found = gather(read_sources([run]), PAGE)
    store_report(run, found.definition, None, "mine", list(found.runs))
    stored = read_report(run)
    assert stored is not None and stored.folders == (".",) and stored.published is None
    sent = Published(server="s", id="v", url="u", digest="d")
    write_report_file(run, stored.model_copy(update={"published": sent}))
    store_report(run, found.definition, None, "mine", list(found.runs))
    again = read_report(run)
    assert again is not None and again.published == sent
    store_report(run, found.definition, None, "other", list(found.runs))
    moved = read_report(run)
    assert moved is not None and moved.published is None
    (run / "wandb" / "report.json").write_text('{"version": 1}')
    with pytest.raises(ValueError, match=r"report\.json is damaged"):
        read_report(run)


def test_nothing_to_publish_says_what_is_expected(run: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"neither wandb/report\.json nor runs"):
        publish_folder(run, 60)
    with pytest.raises(FileNotFoundError, match="no folder at"):
        publish_folder(tmp_path / "none", 60)


@pytest.fixture
def stored(run: Path) -> Path:
    """A study with a Report that waits, and no runs that do."""
    found = gather(read_sources([run]), PAGE)
    store_report(run, found.definition, None, "mine", list(found.runs))
    return run


def test_without_credentials_it_waits(stored: Path) -> None:
    before = read_report(stored)
    for folder in (stored, stored / "wandb"):
        with pytest.raises(OSError, match="wandb has no credentials here"):
            publish_folder(folder, 60)
    assert read_report(stored) == before


def test_a_server_that_refuses_costs_nothing(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    before = read_report(stored)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9 cannot be reached"):
        publish_folder(stored, 60)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9 cannot be reached"):
        read_wandb("me/mine/made-up", 60)
    assert read_report(stored) == before


def test_a_server_that_hangs_is_left(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb_workspaces")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with stand_in(hang=True) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        with pytest.raises(
            OSError, match=r"did not answer in 4 s; the Report is kept in .*report\.json"
        ):
            publish_report(stored, 4)


@pytest.mark.slow
def test_what_is_sent_comes_back_as_the_same_page(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb_workspaces")
    sources = read_sources([run])
    found = gather(sources, PAGE)
    log(found)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with stand_in(kind=Hub) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        notes = publish_folder(found.home, 120)
        assert "Report made" in notes[-1] and len(server.views) == 1, notes
        check_view(server, found)
        store_report(found.home, changed(found), None, "mine", list(found.runs))
        assert "brought up to date" in publish_folder(found.home, 120)[-1]
        assert "the Report is there" in publish_folder(found.home, 120)[-1]
        assert len(server.views) == 1 and "News" in json.dumps(server.views)
        check_lineage(server)
        again = read_wandb("me/mine/made-up", 120)
        assert comparison_text(again, "csv") == comparison_text(sources, "csv")
        assert comparison_html(again) == comparison_html(sources)


def log(found: Gathered) -> None:
    """Write everything offline."""
    problems: list[str] = []
    for folder, runs in found.runs.items():
        send_all(lambda own=runs: own, open_sinks(folder, "mine"), problems.append)  # type: ignore[misc]
    store_report(found.home, found.definition, None, "mine", list(found.runs))
    assert not problems


def changed(found: Gathered) -> ReportDefinition:
    from saccade.studies.tracking.report_definition import Heading

    blocks = (Heading(text="News"), *found.definition.blocks)
    return found.definition.model_copy(update={"blocks": blocks})


def check_view(server: Hub, found: Gathered) -> None:
    (view,) = server.views.values()
    assert view["description"] == found.definition.description
    assert {own["groupName"] for own in server.runs.values()} == {"made-up"}
    spec = json.loads(view["spec"])
    kinds = {block["type"] for block in spec["blocks"]}
    assert kinds == {"paragraph", "heading", "panel-grid"}


def check_lineage(server: Hub) -> None:
    """The report's run uses what other runs made, and made the page itself."""
    kinds = {id: own["artifactTypeName"] for id, own in server.artifacts.items()}
    by = [(run, how, kinds[id]) for run, how, id in server.links if run.startswith("report-")]
    assert {kind for _, how, kind in by if how == "used"} == {"results"}
    assert {kind for _, how, kind in by if how == "logged"} == {"report", "run_table"}


def test_what_is_sent_of_a_bench_is_read_the_same(bench: Path, tmp_path: Path) -> None:
    sources = read_sources([bench])
    *_, whole, _ = next(iter(gather(sources, PAGE).runs.values()))
    (artifact,) = whole.makes.values()
    folder = tmp_path / "again"
    folder.mkdir()
    for name, data in artifact.files.items():
        (folder / name).write_bytes(data)
    assert read_sources([folder]).benches[0].rows == sources.benches[0].rows


def test_what_is_sent_of_a_search_is_shown_the_same(search: Path, tmp_path: Path) -> None:
    sources = read_sources([search])
    (own,) = [r for r in gather(sources, PAGE).runs[search] if r.kind == "search"]
    (artifact,) = [a for a in own.makes.values() if a.kind == "search"]
    folder = tmp_path / "again"
    folder.mkdir()
    for name, data in artifact.files.items():
        (folder / name).write_bytes(data)
    again = read_sources([folder])
    assert again.searches[0].study is not None and not again.problems
    assert comparison_text(again, "md") == comparison_text(sources, "md")
    assert [r.id for r in gather(again, PAGE).runs[folder]] == [
        r.id for r in gather(sources, PAGE).runs[search]
    ]


class Entry:
    """A file of an artifact, as wandb shows it before and while it is fetched."""

    def __init__(self, path: str, data: bytes, size: int | None = None, ref: str | None = None):
        self.path, self.data, self.ref = path, data, ref
        self.size = len(data) if size is None else size

    def download(self, root: str, skip_cache: bool) -> None:
        (Path(root) / self.path).write_bytes(self.data)


def taken(folder: Path, *entries: Entry) -> None:
    from types import SimpleNamespace

    from saccade.studies.tracking.wandb_download import take

    known: dict[str, Any] = {entry.path: entry for entry in entries}
    manifest = SimpleNamespace(entries=known)
    artifact = SimpleNamespace(type="results", manifest=manifest, get_entry=known.__getitem__)
    take(artifact, FILES["results"], folder)


def test_only_known_files_are_taken(tmp_path: Path) -> None:
    taken(
        tmp_path / "own", Entry("recipe.json", b"{}"), Entry("../../evil", b"x"), Entry("a.py", b"")
    )
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["recipe.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize(
    "entry, why",
    [
        (Entry("other.json", b"{}"), "has no recipe.json"),
        (Entry("recipe.json", b"{}", ref="file:///etc/passwd"), "is a reference"),
        (Entry("recipe.json", b"{}", size=1 << 40), "are allowed"),
        (Entry("recipe.json", b"{}" * 9, size=2), "not as long as was told"),
        (Entry("records.jsonl.gz", b"no gzip"), "is damaged"),
    ],
    ids=["unknown", "reference", "large", "longer", "damaged"],
)
def test_files_that_cannot_be_are_refused(tmp_path: Path, entry: Entry, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        taken(tmp_path / "own", entry)
    assert not (tmp_path / "own").exists()


def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    monkeypatch.setattr("saccade.studies.tracking.wandb_download.UNPACKED", 1 << 20)
    with pytest.raises(ValueError, match="becomes more than"):
        taken(tmp_path / "own", Entry("records.jsonl.gz", gzip.compress(bytes(4 << 20))))


@pytest.mark.parametrize("text", ["me/mine", "me/mine/", "/mine/g", "a:b/mine/g", ""])
def test_a_group_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give ENTITY/PROJECT/GROUP"):
        read_wandb(text, 60)


def test_nothing_is_read_without_credentials() -> None:
    with pytest.raises(OSError, match=publishing.NO_CREDENTIALS[:20]):
        read_wandb("me/mine/g", 60)
