"""`nas bench`: tables of record, made and verified."""

import typer

from nas.cli.typed import takes
from nas.options.bench import Bench

app = typer.Typer(help="Tables of record: every network of a small space, trained and kept.")


@app.command()
@takes(Bench)
def make(asked: Bench) -> None:
    """Train every network of a table at every rate with every seed, or what is left of that.

    Example: nas bench make --table digits
    """
    from nas.api import bench

    bench.make(asked)
