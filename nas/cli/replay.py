"""`nas replay`: searches on a table of record, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.terminal import AsJson, print_json
from nas.cli.typed import takes
from nas.options.replay import Replay


@takes(Replay, table="strategy", as_json="seed")
def replay(
    asked: Replay,
    table: Annotated[Path, typer.Option("--table", metavar="TABLE", help="The Parquet file.")],
    as_json: AsJson = False,
) -> None:
    """Replay searches on a table of record: the real loop and strategy, recorded scores and costs, simulated workers.

    Example: nas replay --table runs/tables/digits.parquet --strategy random
    """
    from math import inf
    from statistics import median, quantiles

    from nas.api.bench import replayed
    from nas.errors import counted
    from nas.tabular.replay import seconds_to, top

    recorded, searches = replayed(table, asked)
    best = top(recorded, 0.01)
    rows = []
    for seed, steps in enumerate(searches, asked.seed):
        rows.append({"regret": steps[-1].regret if steps else inf, "seconds": seconds_to(steps, best)})
        if as_json:
            print_json({"seed": seed, **{name: value if value < inf else None for name, value in rows[-1].items()}})
    if as_json:
        return
    regrets, found = ([row[name] for row in rows if row[name] < inf] for name in ("regret", "seconds"))
    if len(regrets) < len(rows):
        print(f"{len(rows) - len(regrets)} of {len(rows)} searches chose nothing that came to its end with all seeds")
    if not regrets:
        return
    low, middle, high = quantiles(regrets, n=4, method="inclusive") if len(regrets) > 1 else regrets * 3
    told = [counted(asked.trials, "trial"), f"{len(rows)} search{'es' * (len(rows) > 1)}"]
    print(f"{asked.strategy}, {', '.join(told)} on {counted(len(recorded.true_losses), 'network')}:")
    print(f"  regret of what is chosen (validation loss): median {middle:.4f}, quartiles {low:.4f} to {high:.4f}")
    when = f", after {median(found):.0f} s in the median of those" if found else ""
    print(f"  {len(found)} of {len(rows)} chose one of the best 1% (regret at most {best:.4f}){when}")
