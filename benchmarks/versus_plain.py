"""Times the same candidates, recipe and data in this project's executor and in the plain script beside it.

    python benchmarks/versus_plain.py

Every arm is a process of its own, timed from its start to its end, imports and data included. The arms take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from statistics import fmean, median
from tempfile import TemporaryDirectory

import numpy as np

from einmix import Architecture
from nas.api.search import Session
from nas.executors.processes import LocalWorkers
from nas.loop.loop import Loop
from nas.loop.status import Quiet
from nas.options.search import Search
from nas.runs.result import Result
from nas.training.worker import PRELOAD, MakeTrainer

HERE = Path(__file__).parent
WORKERS = 2
_PLAIN = ["plain_script.py", "candidates.json", "data.npz"]
ARMS = {
    "nas": ["versus_plain.py", "--only-nas"],
    "plain, torch's threads": [*_PLAIN, "--jobs", str(WORKERS)],
    "plain, 1 thread a trial": [*_PLAIN, "--jobs", str(WORKERS), "--threads=1"],
}


class Fixed:
    """The strategy that proposes a given list."""

    ahead = True

    def __init__(self, architectures: list[Architecture]):
        self._rest = iter(architectures)

    def ask(self) -> Architecture | None:
        return next(self._rest, None)

    def expect(self, architecture: Architecture) -> None: ...

    def tell(self, architecture: Architecture, result: Result) -> None: ...


def prepare(candidates: int, epochs: int) -> tuple[Session, list[Architecture]]:
    """The session and its candidates: drawn uniformly from `subgrid` within the default budget, with a fixed seed."""
    options = Search(
        trials=candidates, epochs=epochs, workers=WORKERS, device="cpu", prune=False, runs_dir=Path("runs")
    )
    session = Session(options)
    rng = Random(0)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < candidates:
        architecture = session.space.sample(rng, session.budget)
        drawn[architecture.id] = architecture
    return session, list(drawn.values())


def run_nas(candidates: int, epochs: int) -> list[list[float]]:
    """Accuracy and parameters of the candidates, trained by the project."""
    session, architectures = prepare(candidates, epochs)
    make = MakeTrainer(session.dataset, session.recipe, "cpu")
    with session.open_run() as run, LocalWorkers(make, WORKERS, preload=PRELOAD) as executor:
        results = Loop(session.space, Fixed(architectures), executor, run, session.plan).explore(Quiet())
    by_id = {result.id: result for result in results}
    return [[by_id[a.id].score.accuracy, by_id[a.id].params] for a in architectures]  # type: ignore[union-attr]


def write_inputs(folder: Path, candidates: int, epochs: int) -> None:
    """The candidates as EinMix calls and the data as arrays, for the plain script."""
    session, architectures = prepare(candidates, epochs)
    plain = []
    for architecture in architectures:
        skeleton = session.space.skeleton(architecture)
        assert skeleton is not None
        embed = architecture.stages[0].embed[0].mixer.einmix()
        embed["pattern"] = embed["pattern"].replace(" ci ->", " ->").replace("b ", "b ci ", 1)  # channels first
        mixers = [mixer.einmix() for mixer in architecture.mixers]
        plain.append({"width": skeleton.width, "ratio": skeleton.ratio, "embed": embed, "mixers": mixers})
    recipe = session.recipe.to_json() | {"classes": session.dataset.classes}
    (folder / "candidates.json").write_text(json.dumps({"candidates": plain, "recipe": recipe}))
    arrays = {}
    for part in ("train", "validation"):
        data = getattr(session.dataset, part)
        arrays[f"x_{part}"] = ((data.x - session.dataset.mean[0]) / session.dataset.std[0]).astype(np.float32)
        arrays[f"y_{part}"] = data.y
    np.savez(folder / "data.npz", **arrays)


def timed(arm: str, folder: Path, epochs: int, candidates: int) -> tuple[float, list[list[float]]]:
    """Seconds and figures of one arm, run in a folder of its own."""
    script, *rest = ARMS[arm]
    command = [sys.executable, str(HERE / script), *rest, "--epochs", str(epochs)]
    if arm == "nas":
        command += ["--candidates", str(candidates)]
    with TemporaryDirectory(dir=folder) as inside:
        for name in ("candidates.json", "data.npz"):
            (Path(inside) / name).symlink_to(folder / name)
        begun = time.perf_counter()
        done = subprocess.run(command, cwd=inside, capture_output=True, text=True, check=True)
        wall = time.perf_counter() - begun
    print(f"{arm}: {wall:.1f} s", file=sys.stderr)
    return wall, json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-nas", action="store_true", help="train here, print the figures (one arm)")
    arguments = parser.parse_args()
    if arguments.only_nas:
        print(json.dumps(run_nas(arguments.candidates, arguments.epochs)))
        return
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    figures: dict[str, list[list[float]]] = {}
    with TemporaryDirectory(prefix="nas-versus-") as folder:
        write_inputs(Path(folder), arguments.candidates, arguments.epochs)
        for _ in range(arguments.repeats):
            for arm in ARMS:
                wall, figures[arm] = timed(arm, Path(folder), arguments.epochs, arguments.candidates)
                seconds[arm].append(wall)
    params = {arm: [size for _, size in found] for arm, found in figures.items()}
    assert all(sizes == params["nas"] for sizes in params.values()), "the arms trained different networks"
    print(f"{arguments.candidates} candidates, {arguments.epochs} epochs, {arguments.repeats} turns, {WORKERS} workers")
    for arm, walls in seconds.items():
        ratios = [wall / own for wall, own in zip(walls, seconds["nas"], strict=True)]
        print(
            f"{arm:24} {median(walls):6.1f} s ({min(walls):.1f} to {max(walls):.1f})   "
            f"{median(ratios):5.2f} x nas ({min(ratios):.2f} to {max(ratios):.2f})   "
            f"mean accuracy {fmean(accuracy for accuracy, _ in figures[arm]):.3f}"
        )


if __name__ == "__main__":
    main()
