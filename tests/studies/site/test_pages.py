"""Pages that are made for the site: complete, and with nothing from the net."""

from pathlib import Path

import pytest
import yaml

import saccade
from saccade.controller.registry import policies, pruners
from saccade.studies.site.diagrams import drawn, picture_of
from saccade.studies.site.hooks import NOTEBOOK, OWN, QUICKSTART, ROOT, loads_from_the_net
from saccade.studies.site.markdown import as_text, linked
from saccade.studies.site.methods import methods_page
from saccade.studies.site.reference import PAGES, names_of, reference_pages


def test_every_public_name_has_its_place() -> None:
    found = [name for page in PAGES for name in names_of(page)]
    assert sorted(found) == saccade.__all__
    assert all(names_of(page) for page in PAGES)
    assert "::: saccade.FastV\n" in reference_pages()["pruners"]
    assert "Progressive" in names_of("policies") and "Study" in names_of("results")


def test_every_method_is_listed_with_its_source() -> None:
    page = methods_page()
    listed = [line for line in page.splitlines() if line.startswith(("| [`", "| `"))]
    ours = [r for registry in (pruners, policies) for r in registry if "." not in r]
    assert all(any(f"`{name}`" in line.split("|")[1] for line in listed) for name in ours)
    assert "[arXiv 2403.06764](https://arxiv.org/abs/2403.06764)" in page


def test_the_site_names_every_page_once() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(config.split("\nnav:", 1)[1])

    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        inner = entry.values() if isinstance(entry, dict) else entry
        return [page for one in inner for page in pages(one)]  # type: ignore[attr-defined]

    named = pages(nav)
    docs = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    made = {QUICKSTART, "leaderboard.md", "methods.md", *(f"reference/{page}.md" for page in PAGES)}
    assert len(named) == len(set(named)) and set(named) == docs | made


def test_what_links_are_pointed_at_is_there() -> None:
    assert all((ROOT / "docs" / there).exists() for there in OWN) and NOTEBOOK in OWN


@pytest.mark.parametrize(
    ("page", "loads"),
    [
        ('<script src="https://x.org/a.js"></script>', True),
        ("<script src=https://x.org/a.js></script>", True),
        ('<link rel="stylesheet" href="//x.org/a.css">', True),
        ('<img alt="" src="http://x.org/a.png">', True),
        ('<a href="https://x.org">x</a>', False),
        ('<script src="assets/a.js"></script>', False),
    ],
    ids=["script", "bare", "style", "picture", "link", "own"],
)
def test_pages_that_load_from_the_net_are_found(page: str, loads: bool, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "report.html").write_text('<script src="https://x.org/a.js"></script>')
    assert loads_from_the_net(tmp_path) == (["a.html"] if loads else [])


def test_a_diagram_without_a_picture_is_text(tmp_path: Path) -> None:
    page = "a\n\n```mermaid\ngraph TD\n```\n\nb"
    assert drawn(page, tmp_path) == "a\n\n```text\ngraph TD\n```\n\nb"
    picture_of("graph TD\n", tmp_path).write_text("<svg></svg>")
    assert "<svg></svg>" in drawn(page, tmp_path) and "mermaid" not in drawn(page, tmp_path)


def test_texts_are_shown_as_they_are() -> None:
    assert as_text("a|b <i> *c*\n`d`") == "a&#124;b &#60;i&#62; &#42;c&#42; &#96;d&#96;"
    assert linked("FastV, arXiv 2403.06764").endswith("(https://arxiv.org/abs/2403.06764)")
