"""`nas bench`: tables of record, made and verified."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.terminal import UNFINISHED
from nas.cli.typed import takes
from nas.options.bench import Bench
from nas.options.common import DATA_DIR

HELP = """Tables of record: every network of a small space, trained and kept.

Example: nas bench make --table digits
"""

app = typer.Typer(help=HELP)


@app.command()
@takes(Bench)
def make(asked: Bench) -> None:
    """Train every network of a table at every rate with every seed, or what is left of that.

    Example: nas bench make --table digits
    """
    from nas.api import bench
    from nas.tabular.table import parquet

    parquet()  # else all would be trained before it is missed
    run = bench.make(asked)
    path = run.path / "table.parquet"
    table = bench.pack(run, path)
    faults = table.faults()
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, SHA-256 {sha256(path.read_bytes()).hexdigest()}")
    for fault in faults[:10]:
        print(f"  {fault}")
    awaited = asked.parts > 1 and bool(table.empty)  # the other parts
    if len(faults) > awaited:
        raise typer.Exit(UNFINISHED)


@app.command()
def verify(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="The Parquet file.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many cells.")] = 5,
    seed: Annotated[int, typer.Option(help="Which cells.", min=0)] = 0,
    data_dir: Annotated[Path, typer.Option(help=DATA_DIR.help)] = Path("data"),
) -> None:
    """Train random cells of a table again, and compare: every bit on the CPU that made it, within noise elsewhere.

    Example: nas bench verify runs/tables/digits.parquet -k 5
    """
    from nas.api import bench

    faults = bench.faults(table)
    for fault in faults[:10]:
        print(f"not passed  {fault}")
    failed = len(faults)
    for each in bench.verify(table, cells=k, seed=seed, data_dir=data_dir):
        word = "passed" if each.passed else "not passed"
        print(f"{word:10}  {each.key.id} ({each.mixer}) at {each.key.lr:g} with seed {each.key.seed}: {each.told}")
        failed += not each.passed
    if failed:
        raise typer.Exit(UNFINISHED)
