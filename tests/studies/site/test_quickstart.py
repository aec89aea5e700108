"""Outputs of a notebook as a page shows them."""

import base64
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from saccade.controller.errors import StudyError
from saccade.studies.site.quickstart import execute, output_html, shown

HOSTILE = "</pre><script>alert(1)</script>"


def result(**data: Any) -> dict[str, Any]:
    kinds = {"html": "text/html", "text": "text/plain", "png": "image/png"}
    return {"output_type": "execute_result", "data": {kinds[k]: v for k, v in data.items()}}


def test_what_a_program_prints_is_text_and_warnings_are_left_out() -> None:
    out = {"output_type": "stream", "name": "stdout", "text": HOSTILE}
    assert output_html(out, "a") == "<pre>&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;</pre>"
    assert output_html(out | {"name": "stderr"}, "a") == ""


def test_the_best_kind_is_shown() -> None:
    assert "<b>x</b>" in output_html(result(html="<b>x</b>", text="x"), "a")
    assert "&lt;b&gt;" in output_html(result(text="<b>"), "a")
    encoded = base64.b64encode(b"picture").decode()
    assert encoded in output_html(result(png=encoded + "\n", text="x"), "a")


def test_charts_are_drawn_by_the_plotly_of_the_site() -> None:
    figure = go.Figure(data=[{"type": "bar", "y": [1, 2], "name": "</script>"}])
    kind = "application/vnd.plotly.v1+json"
    out = {"output_type": "display_data", "data": {kind: figure.to_plotly_json()}}
    made = output_html(out, "chart-1")
    assert "Plotly.newPlot" in made and 'id="chart-1"' in made and "src=" not in made
    assert made.count("</script>") == made.count("<script")


def test_cells_become_a_page_with_places_for_their_outputs(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "report.html").write_text("a page")
    frame = result(html='<iframe src="runs/report.html"></iframe>')
    cells = [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": "1 + 1", "outputs": []},
        {"cell_type": "code", "source": "frame", "outputs": [frame]},
    ]
    page = shown(cells, tmp_path)
    assert page.markdown.startswith("# Title\n\n```python\n1 + 1\n```\n\n```python\nframe\n```")
    assert '<div class="output" id="output-2"></div>' in page.markdown and not page.charts
    assert page.outputs.keys() == {"output-2"}
    assert page.files == {"runs/report.html": b"a page"}


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "none.ipynb").write_text("{")
    with pytest.raises(StudyError, match=r"none\.ipynb cannot be read as a notebook"):
        execute(tmp_path / "none.ipynb")
