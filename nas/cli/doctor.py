"""`nas doctor`: what a search would use of this machine, and what is amiss."""

from __future__ import annotations

import typer

from nas.cli.terminal import UNFINISHED, AsJson, print_json, print_words
from nas.cli.typed import takes
from nas.options.doctor import Doctor

MARKS = {"good": "ok", "note": "note", "bad": "BAD"}


@takes(Doctor)
def doctor(asked: Doctor, *, as_json: AsJson = False) -> None:
    """What a search would use of this machine, what is amiss, and what to do about it; a small search is tried.

    Example: nas doctor
    """
    from nas.api.doctor import examine
    from nas.cli.terminal import console_for

    console, bad = console_for(), 0
    for finding in examine(asked):
        bad += finding.state == "bad"
        if as_json:
            print_json(vars(finding))
            continue
        print_words(console, f"{MARKS[finding.state]:5} {finding.about:10} {finding.found}")
        if finding.advice:
            print_words(console, f"{'':16} -> {finding.advice}")
    if bad:
        raise typer.Exit(UNFINISHED)
