"""What mkdocs calls while it builds the site: pages that are made, links that hold on both sides.

`mkdocs.yml` names this file. Pages of `docs/` link to what the repository has; where the site has a
page of its own for that, the link goes there.
"""

import re
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from saccade.controller.errors import SaccadeError
from saccade.studies.site.diagrams import drawn
from saccade.studies.site.leaderboard import leaderboard_page
from saccade.studies.site.methods import methods_page
from saccade.studies.site.quickstart import Executed, execute
from saccade.studies.site.reference import reference_pages

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
NOTEBOOK, QUICKSTART = "quickstart.ipynb", "quickstart.md"
PLOTLY = "assets/plotly.min.js"
OWN = {
    NOTEBOOK: QUICKSTART,
    "../studies/results/": "leaderboard.md",
    "../pruners/": "methods.md",
    "../saccade/__init__.pyi": "reference/models.md",
}
"""Pages of the site for what the repository has, both as seen from `docs/`."""
FROM_THE_NET = re.compile(
    r"""<(?:script|img|iframe)[^>]+src=["']?(?:https?:)?//|<link[^>]+rel=["']?(?:stylesheet|preconnect|preload)[^>]+href=["']?(?:https?:)?//"""
)


@cache
def quickstart() -> Executed:
    """The notebook, run once in a build."""
    return execute(DOCS / NOTEBOOK)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    try:
        made: dict[str, str | bytes] = {
            "leaderboard.md": leaderboard_page(ROOT / "studies/results", ROOT / "studies/configs"),
            "methods.md": methods_page(),
            QUICKSTART: quickstart().markdown,
        }
        made |= {f"reference/{name}.md": page for name, page in reference_pages().items()}
        made |= quickstart().files
    except SaccadeError as error:
        raise PluginError(str(error)) from error
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the site's own pages, and show diagrams as pictures."""
    up = "../" * page.file.src_uri.count("/")
    for there, here in OWN.items():
        markdown = markdown.replace(f"]({up}{there})", f"]({up}{here})")
    return drawn(markdown, DOCS / "images/diagrams")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the outputs of the notebook where they belong."""
    if page.file.src_uri != QUICKSTART:
        return html
    for name, output in quickstart().outputs.items():
        html = html.replace(f'id="{name}"></div>', f'id="{name}">{output}</div>')
    return (f'<script src="{PLOTLY}"></script>\n' if quickstart().charts else "") + html


def on_post_build(config: MkDocsConfig) -> None:
    """Add plotly, and refuse a site that would load anything from the net."""
    site = Path(config.site_dir)
    if quickstart().charts:
        from plotly.offline import get_plotlyjs

        (site / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")
    if found := loads_from_the_net(site):
        raise PluginError(f"these pages would load something from the net: {', '.join(found)}")


def loads_from_the_net(site: Path) -> list[str]:
    """Pages of a site that load styles, scripts, pictures or frames from elsewhere."""
    found = []
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site)
        ours = name.parts[0] != "runs"  # reports hold all of plotly, which names addresses
        if ours and FROM_THE_NET.search(page.read_text(encoding="utf-8")):
            found.append(str(name))
    return found
