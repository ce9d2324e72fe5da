"""`nas export`: architectures of a run as files that stand alone."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.terminal import As, Out, RunName, RunsDir, opened, proven, say, typed, where, written
from nas.errors import NasError, counted
from nas.exports import FORMATS
from nas.options.common import RUNS


def export(
    run: RunName,
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="An architecture's rank or id.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Export the best so many (default: 1).")] = None,
    format: As = "module",
    out: Out = Path("exported"),
    optuna: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Write the run as an Optuna study instead, to a database: sqlite:///x.db."),
    ] = None,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write architectures as files that stand alone, with their trained weights.

    A module needs torch and einops alone; the other formats take an extra each: docs/exports.md.

    Example: nas export subgrid-digits-1a2b3c --top 3
    """
    from einmix.networks.architecture import Slotted
    from nas.api.export import best_trained
    from nas.api.export import export as export_all

    if id is not None and top is not None:
        raise NasError("export takes an ID or --top, not both")
    if optuna is not None:
        if id is not None or top is not None:
            raise NasError("export takes --optuna, which is all of a run, or networks, not both")
        from nas.api.study import shown

        whole = opened(runs_dir, run)
        print(f"study {whole.name!r} in {shown(optuna)}: {counted(len(whole.study(optuna).trials), 'trial')}")
        return
    found = opened(runs_dir, run).saved
    chosen = found.finished[: top or 1] if id is None else [found.find(id)]
    if len(chosen) < (top or 1):
        say(f"{counted(len(chosen), 'network')} of {found.name} came to the end, not {top}: an ID exports any other")
    for standing in chosen:
        if best_trained(found, standing) is None:
            say(
                f"{standing.id} has no weights, only finalists do: it is written without; "
                f"`nas train {found.name} {standing.id}{where(runs_dir)}` trains it, then export it again"
            )
    for exported in export_all(found, chosen, out, typed(), format=format):
        none = " (weights as they start)" if FORMATS[format].holds else " (no weights)"
        if isinstance(exported.architecture, Slotted):
            what = "the mixers of your model's slots; weights are those of all of it"
        else:
            what = proven(exported, format)
        print(f"{written(exported)}{'' if exported.weights else none}: {what}")
