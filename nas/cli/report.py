"""`nas report`: a run as one HTML page, or several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.terminal import say, warn, where
from nas.cli.typed import takes
from nas.errors import NasError
from nas.options.report import Report


@takes(Report)
def report(
    asked: Report,
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Names of runs, or paths of their directories.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file to write (default: report.html in the run's folder).")
    ] = None,
) -> None:
    """A run as one page: what may be claimed, the networks, plots, the audit, the results; it asks nothing of anybody.

    Example: nas report subgrid-digits-1a2b3c -o report.html
    """
    from nas.api.report import runs_named, write_plots, write_report

    if asked.serve and out is not None:
        raise NasError("--serve writes no file: leave out -o")
    if asked.plots is not None and (asked.serve or len(runs) > 1):
        raise NasError("--plots is for the page of one run, and not with --serve")
    found = runs_named(runs, asked.runs_dir)
    for each in found:
        warn(each.folder)
    if asked.serve:
        _serve(runs, asked)
    else:
        print(write_report(found, out, where=where(asked.runs_dir)))
    if asked.plots is not None:
        for path in write_plots(found[0], asked.plots):
            print(path)


def _serve(runs: list[str], asked: Report) -> None:
    from nas.api.report import served

    with served(runs, asked) as server:
        print(server.address, flush=True)
        say("the address is for this machine and has a token in it; Ctrl-C ends")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended: the run goes on, if it does")
