"""Diagrams of Mermaid as pictures that were drawn before: pages need no script from the net.

A picture's name is the hash of its diagram's text: a diagram that was changed since is shown as
text until `redraw` has drawn it again.
"""

import hashlib
import re
from pathlib import Path

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def drawn(markdown: str, folder: Path) -> str:
    """A page with its diagrams as pictures of a folder, where it has them."""

    def picture(match: re.Match[str]) -> str:
        path = picture_of(match[1], folder)
        if not path.exists():
            return f"```text\n{match[1]}```"
        return f'<div class="diagram">{path.read_text(encoding="utf-8")}</div>'

    return FENCE.sub(picture, markdown)


def picture_of(diagram: str, folder: Path) -> Path:
    """Where the picture of a diagram lies."""
    return folder / f"{hashlib.sha256(diagram.encode()).hexdigest()[:12]}.svg"


def redraw(page: Path, folder: Path, script: Path) -> list[Path]:
    """Draw all diagrams of a page with Mermaid, in Debian's chromium.

    Parameters
    ----------
    page : Path
        Markdown.
    folder : Path
        Gets the pictures.
    script : Path
        ``mermaid.min.js`` of the package ``mermaid`` (11 was used).
    """
    from playwright.sync_api import sync_playwright

    written = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        tab.set_content("<body></body>")
        tab.add_script_tag(content=script.read_text(encoding="utf-8"))
        for diagram in FENCE.findall(page.read_text(encoding="utf-8")):
            path = picture_of(diagram, folder)
            plain = re.sub(r"</?b>", "", diagram)  # which pictures would show as it is
            path.write_text(tab.evaluate(_DRAW, [f"d{path.stem}", plain]) + "\n", "utf-8")
            written.append(path)
        browser.close()
    return written


_DRAW = """async ([id, text]) => {
  mermaid.initialize({startOnLoad: false, theme: "base", htmlLabels: false,
    flowchart: {htmlLabels: false}, fontFamily: "system-ui, sans-serif",
    themeVariables: {primaryColor: "#e8eef6", primaryBorderColor: "#5577a3",
      primaryTextColor: "#22262c", lineColor: "#767c86", textColor: "#767c86",
      clusterBkg: "#7f7f7f1a", clusterBorder: "#8a8f98", titleColor: "#767c86",
      edgeLabelBackground: "#e8eef6", noteBkgColor: "#f3ead5", noteTextColor: "#22262c",
      signalTextColor: "#767c86", signalColor: "#767c86", loopTextColor: "#767c86",
      labelBoxBkgColor: "#e8eef6", labelTextColor: "#22262c", actorLineColor: "#8a8f98"}});
  return (await mermaid.render(id, text)).svg;
}"""
