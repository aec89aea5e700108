"""The quick start: a notebook that is run when the site is built, and shown as a page."""

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from saccade.controller.errors import StudyError

SECONDS = 300
"""Longest that a cell may take."""
FRAME = re.compile(r'src="([\w./-]+\.html)"')
Output = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Executed:
    """A notebook that was run.

    Attributes
    ----------
    markdown : str
        The page, with ``<div class="output" id="output-3"></div>`` where the outputs of a cell go.
    outputs : dict of str to str
        HTML of the outputs, by that id.
    files : dict of str to bytes
        Pages that it wrote and shows in frames, by the path that they are asked for.
    charts : bool
        Whether outputs need plotly.
    """

    markdown: str
    outputs: dict[str, str]
    files: dict[str, bytes]
    charts: bool


def execute(path: Path) -> Executed:
    """Run a notebook in an empty folder.

    Raises
    ------
    StudyError
        If it cannot be read, no kernel starts, or a cell fails; the message holds the cell and its
        error.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    try:
        reads: Any = nbformat.read
        notebook = reads(path, as_version=4)
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read as a notebook: {error}") from error
    with TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            startup_timeout=SECONDS,
            kernel_name="python3",
            resources=place,
        )
        try:
            client.execute(env={**os.environ, "PLOTLY_RENDERER": "plotly_mimetype"})
        except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
            raise StudyError(f"{path}: {error}") from error
        return shown(notebook.cells, Path(folder))


def shown(cells: list[Any], folder: Path) -> Executed:
    """A page from cells that were run in a folder."""
    parts: list[str] = []
    outputs: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"])
            continue
        parts.append(f"```python\n{cell['source']}\n```")
        if made := "".join(output_html(output, f"chart-{number}") for output in cell["outputs"]):
            name = f"output-{number}"
            outputs[name] = made
            files |= {path: (folder / path).read_bytes() for path in FRAME.findall(made)}
            parts.append(f'<div class="output" id="{name}"></div>')
    charts = any("Plotly.newPlot" in made for made in outputs.values())
    return Executed("\n\n".join(parts) + "\n", outputs, files, charts)


def output_html(output: Output, name: str) -> str:
    """What one output looks like on a page; nothing of what went to the error stream."""
    if output["output_type"] == "stream":
        return _plain(output["text"]) if output["name"] == "stdout" else ""
    data = output.get("data", {})
    for kind, maker in MAKERS.items():
        if kind in data:
            return maker(data[kind], name)
    return ""


def _chart(figure: Any, name: str) -> str:
    """A figure of plotly, which the page loads from the site."""
    from plotly.io import from_json, to_html

    config = {"displayModeBar": False, "responsive": True}
    own = from_json(json.dumps({key: figure[key] for key in ("data", "layout")}))
    html: str = to_html(own, config, include_plotlyjs=False, full_html=False, div_id=name)
    return html


def _html(source: str, _: str) -> str:
    return f'<div class="shown">{source}</div>'


def _picture(encoded: str, _: str) -> str:
    """A picture, from text that is nothing but base64."""
    pure = base64.b64encode(base64.b64decode(encoded)).decode()
    return f'<img src="data:image/png;base64,{pure}" alt="The picture that the cell shows">'


def _plain(text: str, _: str = "") -> str:
    return f"<pre>{escape(text.rstrip())}</pre>"


MAKERS: dict[str, Callable[[Any, str], str]] = {
    "application/vnd.plotly.v1+json": _chart,
    "image/png": _picture,
    "text/html": _html,
    "text/plain": _plain,
}
"""What makes HTML of each kind of data, the best one first."""
