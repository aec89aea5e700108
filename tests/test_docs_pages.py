"""Pages of docs/: links hold in the repository, examples run, the notebook has no outputs."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
LINK = re.compile(r"(?<!`)\]\(([^)\s#]*)(?:#[^)\s]*)?\)")
EXAMPLES = {
    f"{path.stem}-{number}": block
    for path in (DOCS / "index.md", *sorted((DOCS / "how-to").glob("*.md")))
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    )
    if "GSAI-ML/" not in block
}


@pytest.mark.parametrize("page", PAGES)
def test_links_hold_in_the_repository(page: str) -> None:
    path = DOCS / page
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if link]
    own = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in own if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(EXAMPLES[name], name, "exec"), {"__name__": "docs"})


def test_the_notebook_holds_no_outputs() -> None:
    notebook = json.loads((DOCS / "quickstart.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    text = [c["source"] for c in notebook["cells"] if c["cell_type"] == "markdown"]
    links = LINK.findall("".join("".join(source) for source in text))
    assert links and all((DOCS / link).exists() for link in links)
