"""How long a search of short trainings takes to begin, and in all: this checkout's against another one's, in turns.

python benchmarks/start.py OTHER_CHECKOUT [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

SEARCH = [
    "search",
    "--space",
    "subgrid",
    "--trials",
    "8",
    "--epochs",
    "1",
    "--top",
    "1",
    "--seeds",
    "1",
    "--workers",
    "2",
]
NAS = f"import sys; sys.argv = ['nas', *{SEARCH!r}]; from nas.cli.main import main; main()"


def seconds(checkout: Path) -> tuple[float, float]:
    """Until the first training began (when it ended, less what it took), and until the search had ended."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        start, first = time.perf_counter(), 0.0
        process = subprocess.Popen(
            [sys.executable, "-c", NAS],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if ended := re.match(r"searching 1/.* ([\d.]+) s$", line.strip()):
                first = time.perf_counter() - start - float(ended[1])
        if process.wait() or not first:
            raise SystemExit(f"the search in {checkout} failed")
        return first, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    arms = {"other": options.other.resolve(), "this": Path(__file__).resolve().parent.parent}
    found = defaultdict(list)
    for repeat in range(1 + options.repeats):
        for name, checkout in arms.items():
            taken = seconds(checkout)
            if repeat:  # the first one fills caches
                found[name].append(taken)
    for name, taken in found.items():
        for what, values in zip(("until the first training", "in all"), zip(*taken, strict=True), strict=True):
            print(f"{name}: {what} {mean(values):.2f} ± {stdev(values):.2f} s (mean ± std, n={len(values)})")


if __name__ == "__main__":
    main()
