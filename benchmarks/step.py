"""The whole training step on one thread: this checkout's against another one's, in turns, CPU time.

python benchmarks/step.py OTHER_CHECKOUT [--quick] [--nets a b …]
python benchmarks/step.py --profile NET

24 networks of width 32 on 8 x 8 images in batches of 64: of every space, and of the zoo. Both checkouts train each of
them in a process of its own, as a worker would; a turn is an epoch of 17 steps (and the evaluation of one image).
Beside the ratio stands what a training takes before and in its first epoch beyond another epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import exp, log
from pathlib import Path
from random import Random
from statistics import mean, median

STEPS, BATCH, WIDTH, DEPTH, WARM = 17, 64, 32, 4, 2
SPACES = {"grouped": 1, "local": 1, "subgrid": 2, "per_channel": 1, "mixed": 3, "roles": 2, "macro": 4}
ZOO = ["mixer", "gmlp", "convmixer", "vip", "s2mlp", "fnet", "monarch", "smlp", "hire", "maxim"]
HERE = Path(__file__).resolve().parent.parent


def networks() -> dict[str, str]:
    """The networks by what they are called here, as JSON."""
    from search_spaces import load
    from search_spaces.blocks.parts import Inputs
    from search_spaces.zoo import ZOO as MEMBERS

    found = {}
    for name, n in SPACES.items():
        space = load(name).on({"h": 8, "w": 8}, channels=1, classes=10, width=(WIDTH,), depth=(DEPTH,), patch=(1,))
        found |= {f"{name}-{seed}": space.sample(Random(seed)) for seed in range(n)}
    inputs = Inputs({"h": 8, "w": 8}, 1, 10)
    found |= {name: MEMBERS[name].at(inputs, patch=1, width=WIDTH, depth=DEPTH) for name in ZOO}
    return {name: network.to_json() for name, network in found.items()}


def train(network: str, epochs: int, report: Callable[[object], bool]) -> None:
    """One training, with whatever checkout is imported; `report` is called after every epoch but the last."""
    from nas.data.known import load
    from nas.data.sources import Arrays
    from nas.runs.job import Job
    from nas.training.recipe import Recipe
    from nas.training.trainer import ArchitectureTrainer

    digits = load("digits", data_dir=Path(), seed=0)
    few = [Arrays(part.x[:n], part.y[:n]) for part, n in ((digits.train, STEPS * BATCH), (digits.validation, 1))]
    trainer = ArchitectureTrainer(replace(digits, train=few[0], validation=few[1]), Recipe(batch=BATCH), threads=1)
    trainer.start()
    job = Job(json.loads(network), "a1", lr=1e-3, seed=0, epochs=epochs, rungs=tuple(range(1, epochs)))
    report(None)
    trainer(job, report)


def serve() -> None:
    """Trains what it reads, an epoch a line, and writes the CPU seconds of each."""
    import nas
    from nas.executors import executor

    if hasattr(executor, "keep_memory"):  # as worker processes do, from the commit on that has it
        executor.keep_memory()
    assert nas.__file__ and Path(nas.__file__).is_relative_to(os.environ["PYTHONPATH"])
    for network in sys.stdin:
        started = 0.0

        def report(score: object) -> bool:
            nonlocal started
            print(json.dumps(time.process_time() - started if score else 0), flush=True)
            more = sys.stdin.readline() == "on\n"
            started = time.process_time()
            return more

        train(network, 1_000_000, report)


@contextmanager
def arm(checkout: Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--serve"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(process: subprocess.Popen[str], line: str) -> float:
    """Says a line to a process; the seconds that it answers."""
    assert process.stdin and process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit("one of the two has failed")
    return float(answer)


def turns(arms: list[subprocess.Popen[str]], network: str, n: int) -> list[list[float]]:
    """CPU seconds an epoch of each, turn by turn, the first `WARM` included."""
    for process in arms:
        said(process, network)
    found = []
    for turn in range(WARM + n):
        order = arms if turn % 2 else arms[::-1]
        taken = {id(process): said(process, "on") for process in order}
        found.append([taken[id(process)] for process in arms])
    for process in arms:
        assert process.stdin
        process.stdin.write("off\n")
    return found


def compare(other: Path, nets: dict[str, str], n: int) -> None:
    print(f"{'network':14} other, ms  this, ms  other / this: median (min to max), n={n}   first epoch's extra, ms")
    ratios = []
    with arm(other) as theirs, arm(HERE) as ours:
        for name, network in nets.items():
            found = turns([theirs, ours], network, n)
            each = sorted(slow / fast for slow, fast in found[WARM:])
            slow, fast = (1e3 * median(times) / STEPS for times in zip(*found[WARM:], strict=True))
            extra = (1e3 * first - STEPS * usual for first, usual in zip(found[0], (slow, fast), strict=True))
            spread = f"{median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})"
            print(f"{name:14} {slow:9.2f}  {fast:8.2f}  {spread:42}", *(f"{ms:8.0f}" for ms in extra), flush=True)
            ratios.append((median(each), name))
    geometric = exp(mean(log(ratio) for ratio, _ in ratios))
    print(f"geometric mean {geometric:.3f} of {len(ratios)} networks; worst {min(ratios)[0]:.2f} ({min(ratios)[1]})")


def profiled(network: str) -> None:
    """Self CPU time by operator, in 2 epochs after the first."""
    from torch.profiler import ProfilerActivity, profile

    watch = profile(activities=[ProfilerActivity.CPU])
    epoch = 0

    def report(score: object) -> bool:
        nonlocal epoch
        epoch += 1
        if epoch == 1 + WARM:
            watch.start()
        return True

    train(network, 2 + WARM, report)
    watch.stop()
    print(watch.key_averages().table(sort_by="self_cpu_time_total", row_limit=30, max_name_column_width=44))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="Fewer turns.")
    parser.add_argument("--nets", nargs="+", help="These networks alone.")
    parser.add_argument("--profile", metavar="NET", help="Where a network's step spends its time, instead.")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    nets = {} if options.serve else networks()
    if options.serve:
        serve()
    elif options.profile:
        profiled(nets[options.profile])
    elif options.other:
        compare(
            options.other.resolve(), {name: nets[name] for name in options.nets or nets}, 5 if options.quick else 15
        )
    else:
        parser.error(f"which checkout? (networks: {', '.join(nets)})")


if __name__ == "__main__":
    main()
