"""The page: one file that asks nothing of anybody; all that came from a run is escaped, and no other script may run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from einmix.pictures.shapes import LOOKS
from einmix.pictures.shapes import style as looks
from nas.errors import counted, one_line
from nas.ranking.words import short
from nas.report import verdict
from nas.report.figures.facts import RunFacts
from nas.report.figures.series import best_so_far
from nas.report.plots.files import rules, without_comments
from nas.report.plots.icons import Icons
from nas.report.plots.paths import over_trials
from nas.report.view import view

HERE = Path(__file__).parent

SHOWN = 200
"""Networks that have a row with pictures, beside finalists and references; the results of all are in the page."""


def page(runs: Sequence[RunFacts], *, live: str = "", shown: int = SHOWN) -> str:
    """The HTML of one run, or of several side by side.

    `live` is what a server calls the state of the runs: it says when there is another, and the page may ask it, and
    nobody else.
    """
    style, script = (without_comments(HERE / name) for name in ("report.css", "report.js"))
    style = rules() + style + looks(set(LOOKS), "auto")
    policy = {
        "default-src": "'none'",
        "style-src": hashed(style),
        "script-src": hashed(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    } | ({"connect-src": "'self'"} if live else {})
    icons = Icons()
    views = [view(run, icons, shown) for run in runs]
    body = environment().get_template("report.html")
    title = verdict.headline(runs[0]) if len(runs) == 1 else f"{len(runs)} runs side by side"
    return body.render(
        title=title,
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        style=Markup(style),
        script=Markup(script),
        live=live,
        views=views,
        icons=icons.symbols(),
        best_so_far=over_trials(
            [(run.name, best_so_far(run)) for run in runs],
            max(run.audit.facts.validation for run in runs),
        )
        if len(runs) > 1
        else None,
    )


@cache
def environment() -> Environment:
    """Where templates come from; everything they are given is escaped unless it was made as markup."""
    found = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"one_line": one_line, "counted": counted, "short": short, "duration": verdict.duration}
    return found


def hashed(text: str) -> str:
    """As a policy names a text that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
