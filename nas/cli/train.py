"""`nas train`: one network of a run, for longer."""

import typer

from nas.cli.terminal import UNFINISHED, AsJson, Id, RunName, RunsDir, opened, print_json, training_json
from nas.cli.typed import takes
from nas.errors import counted, one_line
from nas.options.common import RUNS
from nas.options.train import Train


@takes(Train)
def train(asked: Train, run: RunName, id: Id, as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """Train one architecture for longer, and measure its test accuracy at the end.

    Example: nas train subgrid-digits-1a2b3c 9c41 --epochs 100 --seeds 3
    """
    from statistics import fmean, stdev

    results = opened(runs_dir, run).train(id, asked)
    for result in results:
        if as_json:
            print_json(training_json(result))
        elif result.score and result.test:
            print(
                f"seed {result.seed}: {counted(result.epochs, 'epoch')}, validation {result.score.accuracy:.1%}, "
                f"test {result.test.accuracy:.1%} (loss {result.test.loss:.3f}), {result.seconds:.1f} s"
            )
        else:
            print(f"seed {result.seed}: {result.state}: {one_line(result.reason)}")
    tested = [result.test.accuracy for result in results if result.test]
    if len(tested) > 1 and not as_json:
        print(f"test accuracy {fmean(tested):.1%} ± {100 * stdev(tested):.1f}% (mean ± std, n={len(tested)})")
    if len(results) < asked.seeds:
        raise typer.Exit(UNFINISHED)
