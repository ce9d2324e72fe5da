"""`nas top`, `nas show`: what a run has found."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.terminal import AsJson, Id, RunName, RunsDir, opened, print_json, training_json
from nas.errors import NasError, counted, one_line
from nas.options.common import RUNS

if TYPE_CHECKING:
    from nas.api.saved import SavedRun
    from nas.ranking.standings import Standing
    from nas.runs.own import Metric
    from nas.runs.result import Result


def top(
    run: RunName,
    n: Annotated[int, typer.Option("-n", min=0, help="How many candidates to show, beside all finalists.")] = 10,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="All networks as CSV in place of a table.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """The ranking of a run.

    Example: nas top subgrid-digits-1a2b3c -n 20
    """
    from nas.api.rows import csv_text, rows
    from nas.cli.tables import print_ranking
    from nas.ranking.run_ranking import sureness

    if as_csv and as_json:
        raise NasError("top takes --csv or --json, not both")
    found = opened(runs_dir, run).saved
    if as_csv:
        print(csv_text(rows(found.standings)), end="")
        return
    objectives, noun, sure, order = found.objectives, found.noun, sureness(found.folder), found.order
    print_ranking(
        found.standings, found.name, n, as_json, objectives=objectives, noun=noun, until_sure=sure, order=order
    )


def show(run: RunName, id: Id, as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """One architecture: its mixers in words and as EinMix, its trainings, its text.

    Example: nas show subgrid-digits-1a2b3c 9c41
    """
    from einmix import source

    found = opened(runs_dir, run).saved
    standing = found.find(id)
    trainings = [result for result in found.results if result.id == standing.id]
    lr, is_found = found.lr, found.recipe.lr is None
    if as_json:
        print_json(_standing_json(found, standing, trainings))
    else:
        _print_standing(standing)
        print("trainings" + (f" (learning rate {lr:g}, as found)" if is_found else ""))
        _print_trainings(trainings, lr, found.metric)
        print("\n" + source(standing.architecture, {"title": standing.id}), end="")


def _standing_json(found: SavedRun, standing: Standing, trainings: list[Result]) -> dict[str, Any]:
    from nas.cli.tables import architecture_json
    from nas.ranking.standings import ranked

    place = next(place for place, other in ranked(found.standings) if other.id == standing.id)
    architecture = standing.architecture
    more = {
        "architecture": json.loads(architecture.to_json()),
        "trainings": [training_json(result) for result in trainings],
        "redundancies": list(architecture.redundancies()),
        "untouched": list(architecture.untouched()),
    }
    return standing.row(place) | architecture_json(architecture) | more


def _print_standing(standing: Standing) -> None:
    from einmix import describe
    from einmix.networks.summary import block_mixers, block_words, einmix_line
    from nas.ranking.words import accuracy, gain, gain_verdict

    architecture = standing.architecture
    name = one_line(standing.title)
    print(f"{name}: {architecture.params:,} parameters, {architecture.macs:,} MACs an image")
    gained = f", {gain(standing)} points over {one_line(standing.gain.against)}" if standing.gain else ""
    if standing.gain and standing.gain.unit:  # of which less may be better
        gained = f": {gain_verdict(standing)}"
    name = standing.metric.name
    where = f"{name} where it was judged" if standing.is_judged else f"validation {name}"
    print(f"{where} {accuracy(standing)} (n={standing.n}){gained}")
    number = 0
    for block, same in groupby(architecture.blocks):
        first, number = number + 1, number + len(list(same))
        print(f"block {first}" + f" to {number}" * (number > first) + f"  {block_words(block, bias=True)}")
        for mixer in dict.fromkeys(block_mixers(block)):
            print(f"         {describe(mixer)}\n         {einmix_line(mixer)}")
    for note in architecture.redundancies():
        print(f"redundant: {note}")
    for axis in architecture.untouched():
        print(f"untouched: no mixer mixes anything along {axis}")


def _print_trainings(trainings: list[Result], lr: float, metric: Metric) -> None:
    """A line a training, with its learning rate where that is not the search's."""
    for result in trainings:
        rate = f"  lr {result.lr:g}" if result.lr != lr else ""
        end = result.score and f"loss {result.score.loss:.3f}  {metric.name} {metric.text(result.score.accuracy)}"
        test = f"  test {metric.text(result.test.accuracy)}" if result.test else ""
        step = max(1, len(result.train_loss) // 5)
        losses = " ".join(f"{loss:.2f}" for loss in result.train_loss[::step]) + f" (every {step} epochs)" * (step > 1)
        print(
            f"  {result.phase:6} seed {result.seed}{rate}  {counted(result.epochs, 'epoch')}  {result.state:8}  "
            f"{end or one_line(result.reason)}{test}  {result.seconds:.1f} s  training loss {losses}"
        )
