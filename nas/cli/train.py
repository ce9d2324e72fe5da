"""`nas train`: one network of a run, for longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.cli.terminal import AsJson, Id, RunName, RunsDir, opened, print_json, training_json
from nas.cli.typed import takes
from nas.errors import counted, one_line
from nas.options.common import RUNS
from nas.options.train import Train

if TYPE_CHECKING:
    from nas.runs.result import Result


@takes(Train)
def train(asked: Train, run: RunName, id: Id, as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """Train one architecture for longer, and measure its test accuracy at the end.

    Example: nas train subgrid-digits-1a2b3c 9c41 --epochs 100 --seeds 3
    """
    results = opened(runs_dir, run).train(id, asked)
    if as_json:
        for result in results:
            print_json(training_json(result))
    else:
        _print_trainings(results)


def _print_trainings(results: list[Result]) -> None:
    for result in results:
        if result.score and result.test:
            print(
                f"seed {result.seed}: {counted(result.epochs, 'epoch')}, validation {result.score.accuracy:.1%}, "
                f"test {result.test.accuracy:.1%} (loss {result.test.loss:.3f}), {result.seconds:.1f} s"
            )
        else:
            print(f"seed {result.seed}: {result.state}: {one_line(result.reason)}")
    from statistics import fmean, stdev

    tested = [result.test.accuracy for result in results if result.test]
    if len(tested) > 1:
        print(f"test accuracy {fmean(tested):.1%} ± {100 * stdev(tested):.1f}% (mean ± std, n={len(tested)})")
