"""`nas compare`: the best network of a run against networks of the literature."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import typer

from nas.cli.terminal import UNFINISHED, AsJson, RunName, RunsDir, console_for, opened, print_json, print_words, warn
from nas.cli.typed import takes
from nas.errors import counted, one_line
from nas.options.common import RUNS
from nas.options.compare import Compare

if TYPE_CHECKING:
    from nas.api.compare import Comparison
    from nas.ranking.gains import Compared


@takes(Compare)
def compare(asked: Compare, run: RunName, as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """Compare the best network of a run with networks of the literature of its size, on test data.

    Each is trained at the best of a few learning rates, which validation data chooses, then over seeds, and tested
    once each. The same command goes on where it was stopped; with more --seeds or --against it trains what is missing.

    Example: nas compare subgrid-digits-1a2b3c --against mixer,resmlp,vip
    """
    from nas.api.compare import Comparison
    from nas.loop.progress import watcher

    comparison = Comparison(opened(runs_dir, run).saved, asked)
    with comparison.open_run() as into:
        _introduce(comparison, as_json)
        warn(into)
        with watcher() as watching:
            compared = comparison.compare(watching, into)
    _print(comparison, compared, as_json)
    if comparison.complaint:
        raise typer.Exit(UNFINISHED)


def _introduce(comparison: Comparison, as_json: bool) -> None:
    dataset, networks = comparison.dataset, comparison.networks
    params = [each.params for each in networks.values()]
    say = partial(print, file=sys.stderr if as_json else sys.stdout)
    say(
        f"network {one_line(comparison.standing.title)} of {comparison.saved.name} and {len(networks) - 1} "
        f"of the zoo: {min(params):,} to {max(params):,} parameters"
    )
    say(
        f"data {dataset.name}: {len(dataset.train):,} training, {len(dataset.validation):,} validation and "
        f"{len(dataset.test):,} test images; learning rates over {counted(comparison.tuning_epochs, 'epoch')}, then "
        f"{counted(len(comparison.seeds), 'seed')} over {counted(comparison.recipe.epochs, 'epoch')}"
    )
    say(f"run {comparison.name}: {counted(comparison.workers, 'worker')} on {comparison.device}", flush=True)


def _print(comparison: Comparison, compared: list[Compared], as_json: bool) -> None:
    from nas.cli.comparisons import comparison_json, comparison_notes, comparison_table, verdict

    found, *others = compared
    if as_json:
        for each in compared:
            print_json(comparison_json(each, found))
        return
    console = console_for()
    console.print(comparison_table(compared, title=f"{comparison.name}: test accuracy", match=comparison.asked.match))
    for note in comparison_notes(comparison, compared):
        print_words(console, f"  {note}", style="dim")
    for each in others:
        print_words(console, verdict(found.title, each))
