"""`nas draw`: pictures of mixers, networks and spaces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.typed import takes
from nas.options.draw import Draw
from nas.runs.files import telling

WHAT = "A mixer's text; an EinMix pattern, its shapes and sizes; a space; a network of the zoo; or RUN ID."


@takes(Draw, what="data", out="data")
def draw(
    asked: Draw,
    what: Annotated[list[str], typer.Argument(metavar="WHAT", help=WHAT)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The .svg, .png or .pdf to write (default: named after it).")
    ] = None,
) -> None:
    """Draw a mixer, a network or a space: what exchanges information, and which weights are shared.

    Example: nas draw 'h=m8.s4 w=m8.s4 c=g64' -o subgrid.svg
    """
    from nas.api.draw import draw as drawn

    picture = drawn(*what, asked=asked)
    path = out or Path(f"{_stem(picture.title)}.svg")
    with telling(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        print(picture.save(path))


def _stem(title: str) -> str:
    """A name for the file of a picture."""
    return re.sub(r"[^a-z0-9.]+", "-", title.lower()).strip("-.")[:100]
