"""Pages from templates: one file each, which needs nothing but itself and shows text as text."""

import base64
import gzip
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from saccade.controller.errors import StudyError
from saccade.studies.runs.files import replacing

HERE = Path(__file__).parent


def render_page(template: str, **values: Any) -> str:
    """A page from one of the templates.

    All values are escaped, but for `Markup`; a name that the template has and the values lack is an
    error. The filter ``tojson`` makes what may stand in a script whatever its texts say.
    """
    return _environment().get_template(template).render(values)


def write_page(page: str, path: str | Path, what: str) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    StudyError
        If the file cannot be written; the message names `what`.
    """
    try:
        with replacing(path) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"the {what} cannot be written to {path}: {error}") from error


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,  # a browser would not read it
        "separators": (",", ":"),
    }
    environment.globals["asset"] = _asset
    environment.globals["packed_plotly"] = _packed_plotly
    return environment


@cache
def _packed_plotly() -> str:
    """Plotly's own script, which is most of a page, compressed; the same bytes every time."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _asset(name: str) -> Markup:
    """A file of ours for a style or a script."""
    return Markup((HERE / "assets" / name).read_text(encoding="utf-8"))
