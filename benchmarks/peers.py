"""Times what users would pick: the same candidates, data, epochs and rate in Optuna, in Ray Tune and in this project.

    python benchmarks/peers.py [--quick] [--turns N] [--arms "NAME,NAME"]
    python benchmarks/peers.py --write FOLDER    # what plain_script.py reads, to run it by itself

Every arm is a process of its own, timed from its start to its end, imports and data included; arms take turns. A search
of ours is timed to the line of its last candidate, its finals apart. All are ranked by accuracy as far as they trained
and held against runs/records/reference-NAME.jsonl (`reference.py` makes it). Without --lr all train at the rate that
`nas search` finds in its first turn. The table goes to stdout, all else to runs/records/peers-NAME.json.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from reference import MAIN, QUICK, RECORDS, Setting, candidates, truth
from scipy.stats import kendalltau

from einmix import Architecture
from einmix.kinds import Mix
from nas.api.search import Session
from search_spaces import BoundSpace

HERE = Path(__file__).parent
JOBS = 2
LOOK = 0.25
"""Seconds between two looks at the processes of an arm; what one that ends has computed since the last is not counted,
where its parent does not wait for it (Ray's)."""
RUN = "run"
OURS, OURS_FULL = "nas search", "nas search --no-prune"
PLAIN = [str(HERE / "plain_script.py"), "candidates.json", "data.npz"]
ARMS: dict[str, list[str]] = {
    OURS: [],
    OURS_FULL: ["--no-prune", "--top", "1", "--seeds", "1"],
    "Optuna, torch's threads": [*PLAIN, "--jobs", f"{JOBS}"],
    "Optuna, 1 thread a trial": [*PLAIN, "--jobs", f"{JOBS}", "--threads", "1"],
    "Optuna, 2 processes": [*PLAIN, "--processes", f"{JOBS}", "--threads", "1"],
    "Optuna, 2 processes, pruned": [*PLAIN, "--processes", f"{JOBS}", "--threads", "1", "--prune"],
    "Ray Tune, FIFO": [*PLAIN, "--tuner", "ray-fifo", "--jobs", f"{JOBS}"],
    "Ray Tune, FIFO, actors reused": [*PLAIN, "--tuner", "ray-fifo", "--jobs", f"{JOBS}", "--reuse-actors"],
    "Ray Tune, ASHA": [*PLAIN, "--tuner", "ray-asha", "--jobs", f"{JOBS}"],
    "Ray Tune, ASHA, actors reused": [*PLAIN, "--tuner", "ray-asha", "--jobs", f"{JOBS}", "--reuse-actors"],
}
"""What is run by Python; of `nas search` what is asked beside the setting."""
TARGETS = (
    (OURS_FULL, "Optuna", 2.0),
    (OURS_FULL, "Ray Tune, FIFO", 2.5),
    (OURS, "Optuna", 5.0),
    (OURS, "Ray Tune, ASHA", 3.0),
)
"""So many times as long as ours take those whose names begin so."""


@dataclass(frozen=True)
class Ranked:
    """A candidate as an arm left it."""

    id: str
    epochs: int
    accuracy: float


@dataclass(frozen=True)
class Turn:
    """One run of an arm: seconds of its search, CPU seconds of all its processes in it, and what came after it."""

    seconds: float
    cpu: float
    finals: float
    lr: float
    load: float
    ranked: tuple[Ranked, ...]


def command(arm: str, setting: Setting, lr: float | None) -> list[str]:
    """The command line of an arm, without Python's own name."""
    words = ARMS[arm]
    if not arm.startswith("nas "):
        return [*words, "--lr", f"{lr}"]
    flags = ["-m", "nas", "search", "--workers", f"{JOBS}", "--runs-dir", ".", "--run", RUN, "--json"]
    for name, value in setting.options.items():
        flags += [f"--{name.replace('_', '-')}", ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"]
    return [*flags, *words, *([] if arm == OURS else ["--lr", f"{lr}"])]


def plain(architecture: Architecture, space: BoundSpace) -> dict[str, Any]:
    """A candidate as what plain_script.py takes: sizes and EinMix calls, the embedding's with channels first."""
    skeleton, embed = space.skeleton(architecture), architecture.stages[0].embed[0]
    assert skeleton is not None and isinstance(embed, Mix)
    call = embed.mixer.einmix()
    call["pattern"] = call["pattern"].replace(" ci ->", " ->").replace("b ", "b ci ", 1)
    sizes = {"id": architecture.id, "width": skeleton.width, "ratio": skeleton.ratio}
    return sizes | {"embed": call, "mixers": [mixer.einmix() for mixer in architecture.mixers]}


def write(session: Session, folder: Path) -> None:
    """The input of plain_script.py: candidates and recipe, and the data as arrays that are normalised already."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = session.recipe.to_json() | {"classes": session.dataset.classes}
    given = {"candidates": [plain(each, session.space) for each in candidates(session)], "recipe": recipe}
    (folder / "candidates.json").write_text(json.dumps(given), encoding="utf-8")
    arrays = {}
    for part in ("train", "validation"):
        data = getattr(session.dataset, part)
        shape = (-1, *[1] * len(session.dataset.axes))
        mean, std = (np.reshape(each, shape) for each in (session.dataset.mean, session.dataset.std))
        arrays |= {f"x_{part}": ((data.x - mean) / std).astype(np.float32), f"y_{part}": data.y}
    np.savez(folder / "data.npz", **arrays)


def searched(folder: Path) -> list[dict[str, Any]]:
    """The candidates that a search of ours has finished so far."""
    path = folder / RUN / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in found if line["phase"] == "search"]


class Tree:
    """CPU seconds of a process and all that it starts, by looking at /proc; orphans become children of this process."""

    def __init__(self) -> None:
        self._spent: dict[int, float] = {}
        self._others = {os.getpid(), *self._stats()}

    @staticmethod
    def adopt() -> None:
        """From here on what outlives its parent becomes a child of this process (Linux)."""
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

    def look(self) -> float:
        """Seconds that were computed until now by what has been started below this process since this was made."""
        stats = self._stats()
        for pid in stats:
            above = pid
            while above in stats and above != os.getpid():
                above = int(stats[above][1])
            if above == os.getpid() and pid not in self._others:
                self._spent[pid] = (int(stats[pid][11]) + int(stats[pid][12])) / os.sysconf("SC_CLK_TCK")
        return sum(self._spent.values())

    @staticmethod
    def _stats() -> dict[int, list[str]]:
        """Of every process what /proc says of it, from its state on."""
        found = {}
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with suppress(OSError):  # it has ended
                    found[int(path.name)] = (path / "stat").read_text().rpartition(")")[2].split()
        return found


def run(arm: str, setting: Setting, folder: Path, lr: float | None) -> Turn:
    """One arm in an empty folder, once."""
    words, load = [sys.executable, *command(arm, setting, lr)], os.getloadavg()[0]
    with (folder / "out").open("w") as out, (folder / "errors").open("w") as errors:
        begun, before = time.perf_counter(), children()
        tree, spent, search = Tree(), 0.0, None
        process = subprocess.Popen(words, cwd=folder, stdout=out, stderr=errors)
        while process.poll() is None:
            time.sleep(LOOK)
            spent = tree.look()
            if arm.startswith("nas ") and search is None and len(searched(folder)) == setting.options["trials"]:
                search = time.perf_counter() - begun, spent
        seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{arm} failed: {(folder / 'errors').read_text()[-2000:]}")
    for _ in range(40):  # Ray's processes end some time after it
        if not reaped():
            break
        time.sleep(LOOK)
    if arm.startswith("nas "):
        assert search is not None
        lines = searched(folder)
        return Turn(*search, seconds - search[0], lines[0]["lr"], load, tuple(map(ranked_of, lines)))
    assert lr is not None
    ranked = [Ranked(**json.loads(line)) for line in (folder / "out").read_text().splitlines()]
    return Turn(seconds, max(spent, children() - before), 0.0, lr, load, tuple(ranked))


def ranked_of(line: dict[str, Any]) -> Ranked:
    """What a line of results.jsonl says of a candidate; one that failed got nowhere."""
    if line["state"] == "failed" or not line["scores"]:
        return Ranked(line["id"], 0, 0.0)
    return Ranked(line["id"], line["scores"][-1]["epoch"], line["scores"][-1]["accuracy"])


def children() -> float:
    """CPU seconds of the children of this process that have ended and were waited for, with theirs."""
    spent = os.times()
    return spent.children_user + spent.children_system


def reaped() -> bool:
    """Waits for what an arm left behind; whether there still is something."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def ranks(ranked: Sequence[Ranked]) -> dict[str, tuple[int, float]]:
    """What a ranking goes by: how far a candidate was trained, then its accuracy there."""
    return {each.id: (each.epochs, each.accuracy) for each in ranked}


def tau(found: dict[str, tuple[int, float]], losses: dict[str, float]) -> float:
    """Kendall's tau-b of a ranking and the reference, over what both have; 1 is the same order, 0 none.

    >>> round(tau({"a": (4, 0.8), "b": (4, 0.9), "c": (2, 0.95)}, {"a": 0.7, "b": 0.6, "c": 0.5}), 3)
    -0.333
    """
    ids = sorted(set(losses) & set(found))
    order = sorted(set(found.values()))
    return float(kendalltau([order.index(found[id]) for id in ids], [-losses[id] for id in ids]).statistic)


def spread(values: Sequence[float], digits: int) -> str:
    """Median, least and most."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratios(turns: dict[str, list[Turn]], arm: str, of: str, figure: Callable[[Turn], float]) -> list[float]:
    """How many times as much an arm took as one of ours, turn by turn."""
    return [figure(one) / figure(own) for one, own in zip(turns[arm], turns[of], strict=False)]


def table(turns: dict[str, list[Turn]], record: Path) -> list[str]:
    """What was found as markdown: wall and CPU time of the searches, times ours by turn, how well they rank."""
    losses, tested = truth(record), truth(record, "test")
    ours = [each for each in (OURS_FULL, OURS) if each in turns]
    heads = ["arm", "seconds", "CPU seconds", *(f"times `{each}`: wall, CPU" for each in ours)]
    rows = [[*heads, "Kendall's tau", "its first, test"]]
    for arm, own in turns.items():
        row = [arm, spread([turn.seconds for turn in own], 1), spread([turn.cpu for turn in own], 1)]
        for each in ours:
            found = [ratios(turns, arm, each, figure) for figure in (lambda t: t.seconds, lambda t: t.cpu)]
            row.append("; ".join(spread(values, 2) for values in found))
        orders = [ranks(turn.ranked) for turn in own]
        row.append(spread([tau(order, losses) for order in orders], 2) if losses else "–")
        firsts = [tested.get(max(order, key=order.__getitem__)) for order in orders]
        rows.append([*row, "–" if None in firsts else spread([100 * first for first in firsts], 1) + "%"])
    rows.insert(1, ["---"] * len(rows[0]))
    return [f"| {' | '.join(row)} |" for row in rows]


def notes(turns: dict[str, list[Turn]], record: Path) -> list[str]:
    """Rates, finals, how sure the reference is, and the targets."""
    found = []
    for arm in (OURS, OURS_FULL):
        for own in [turns[arm]] if arm in turns else []:
            after = spread([turn.finals for turn in own], 1)
            found.append(f"{arm}: rate {median(turn.lr for turn in own):.3g}; finals and the rest {after} s")
    if tested := truth(record, "test"):  # what their order by loss is worth
        one = {id: (0, -loss) for id, loss in truth(record, seeds=slice(1)).items()}
        alone = tau(one, truth(record, seeds=slice(1, None)))
        best = max(tested.values())
        found.append(f"reference: {len(one)} networks, best {best:.1%}; a seed and the mean of the others: {alone:.2f}")
    for own, name, least in TARGETS:
        for arm in turns:
            if arm.startswith(name) and own in turns:
                wall, cpu = (ratios(turns, arm, own, figure) for figure in (lambda t: t.seconds, lambda t: t.cpu))
                found.append(
                    f"{arm} / {own}: {median(wall):.2f} wall, {median(cpu):.2f} CPU, n={len(wall)} (target {least})"
                )
    return found


def keep(setting: Setting, turns: dict[str, list[Turn]], lines: Sequence[str]) -> None:
    """Writes the record: conditions, all turns, and the table."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    conditions = {
        "command": " ".join(["python", "benchmarks/peers.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "options": setting.options,
    }
    record = conditions | {"table": list(lines), "turns": {arm: [asdict(each) for each in turns[arm]] for arm in turns}}
    path = RECORDS / f"peers-{setting.name}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="16 candidates on digits, once: some minutes")
    parser.add_argument("--turns", type=int, help="how often each arm runs (default: 3, quick: 1)")
    parser.add_argument("--arms", help=f"of {'; '.join(ARMS)} (with semicolons)")
    parser.add_argument("--lr", type=float, help="the rate of all but `nas search` (default: the one that it finds)")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write what plain_script.py reads, run nothing")
    options = parser.parse_args()
    setting = QUICK if options.quick else MAIN
    session = setting.session()
    if options.write:
        write(session, options.write)
        return
    arms = [arm.strip() for arm in options.arms.split(";")] if options.arms else list(ARMS)
    ids, lr = {architecture.id for architecture in candidates(setting.session())}, options.lr
    if lr is None and OURS not in arms:
        parser.error(f"--lr is needed without {OURS!r}")
    Tree.adopt()
    turns: dict[str, list[Turn]] = defaultdict(list)
    with TemporaryDirectory(prefix="nas-peers-") as place:
        write(session, Path(place, "given"))
        for number in range(options.turns or (1 if options.quick else 3)):
            for arm in [*arms[:1], *arms[1:][number:], *arms[1:][:number]]:
                folder = Path(place, f"{number}-{arms.index(arm)}")
                folder.mkdir()
                for name in ("candidates.json", "data.npz"):
                    (folder / name).symlink_to(Path(place, "given", name))
                turn = run(arm, setting, folder, lr)
                assert set(ranks(turn.ranked)) == ids, f"{arm} trained other networks"
                turns[arm].append(turn)
                lr = turn.lr if lr is None else lr
                print(f"{arm}: {turn.seconds:.1f} s, CPU {turn.cpu:.1f} s, load {turn.load:.1f}", file=sys.stderr)
                lines = [*table(turns, setting.record), "", *notes(turns, setting.record)]
                keep(setting, turns, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
