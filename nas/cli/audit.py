"""`nas audit`: what a run's figures are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.terminal import AsJson, RunName, RunsDir, opened, print_json, print_words
from nas.options.common import DATA_OF_RUN, RUNS


def audit(
    run: RunName,
    proxies: Annotated[bool, typer.Option("--proxies/--no-proxies", help="Zero-cost proxies, too.")] = True,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
    data_dir: Annotated[Path | None, typer.Option(help=DATA_OF_RUN.help)] = None,
) -> None:
    """How much of a run's order is signal: noise, correlations, probabilities, a checklist. It trains nothing.

    Example: nas audit subgrid-digits-1a2b3c
    """
    from nas.audit.words import audit_lines
    from nas.cli.terminal import console_for, say
    from nas.errors import NasError

    found = opened(runs_dir, run)
    told = found.audit(proxies=False)
    if proxies:
        try:
            told = found.audit(data_dir=data_dir)
        except NasError as error:
            say(f"without proxies: {error}")
    if as_json:
        print_json(told.row())
        return
    console = console_for()
    for line in audit_lines(told):
        print_words(console, line)
