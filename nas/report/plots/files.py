"""Plots as files: SVG that stands alone, with colours written out, light or dark as the reader's system is."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import Markup

from nas.report.plots.svg import tag

STYLE = Path(__file__).with_name("plots.css")


def without_comments(path: Path) -> str:
    """A style or script without the comments that are for its readers here."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^\s*(//.*|/\*.*?\*/)\n", "", text, flags=re.MULTILINE)


def rules() -> str:
    """The rules of plots, and the colours that the rest of a page takes as well."""
    return without_comments(STYLE)


def alone(plot: Markup, width: float, height: float, key: str = "") -> str:
    """A plot of these units on paper, as a text that other programs draw as well: they know of no variables.

    What its marks mean, which in a page stands above it, is the `key`, a line below.
    """
    head, _, inside = str(plot).partition(">")
    if key:
        height += 24
        head = re.sub(r'viewBox="[^"]*"', f'viewBox="0 0 {width:g} {height:g}"', head)
        inside = f"{tag('text', key, class_='ti', x=4, y=height - 8)}{inside}"
    opened = head.replace("<svg", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"', 1)
    paper = '<rect class="paper" width="100%" height="100%"/>'
    diamond = '<defs><path id="dia" d="M0-5.6L5.6 0L0 5.6L-5.6 0Z"/></defs>'
    return f"{opened}><style>{written_out(rules())}</style>{paper}{diamond}{inside}\n"


def written_out(style: str) -> str:
    """Rules with the colours of light paper in place of variables, and again with those of dark paper."""
    light, dark = (
        dict(re.findall(r"--(\w+):([^;}]+)", part)) for part in re.findall(r":root\{(.*?)\}", style, re.DOTALL)
    )
    body = re.sub(r"@media[^{]*\{:root\{.*?\}\}|:root\{.*?\}", "", style, flags=re.DOTALL).strip()
    body += "\n.paper{fill:var(--paper)}"

    def coloured(colours: dict[str, str]) -> str:
        return re.sub(r"var\(--(\w+)\)", lambda found: (light | colours)[found[1]], body)

    return f"{coloured({})}\n@media (prefers-color-scheme:dark){{\n{coloured(dark)}\n}}"
