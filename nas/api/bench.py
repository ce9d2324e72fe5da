"""Tables of record made: every training of a declared table, on real data, resumable and in parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random

from einmix import Architecture
from nas.api.defaults import load_data, rungs
from nas.api.resources import bundle_of, find_device, local_executor, made_on
from nas.errors import NasError
from nas.executors.executor import Executor, run_job
from nas.executors.serial import Serial
from nas.loop.past import TRIES, make_job, settled
from nas.loop.plan import Plan
from nas.loop.progress import shown
from nas.loop.status import Status, Watcher
from nas.loop.trainings import Work, trainings_in
from nas.options.bench import Bench
from nas.options.replay import Replay
from nas.ranking.objectives import Objective
from nas.runs.files import write_whole
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Outcome, record
from nas.runs.result import Result
from nas.runs.settings import versions
from nas.runs.storage import Storage
from nas.strategies import make_strategy
from nas.strategies.strategy import Strategy
from nas.tabular.datasheet import croissant
from nas.tabular.declared import Declared, declared
from nas.tabular.replay import Recorded, Step, replay
from nas.tabular.table import Table, mixer_of, packed_table
from nas.tabular.verified import Verified, compared
from nas.training.latency import Conditions, latencies
from nas.training.recipe import Recipe, kind_on
from nas.training.worker import MakeTrainer
from search_spaces import BoundSpace, Budget

MAKERS = "makers"
"""A table's run has notes (`RunFolder.note`) by this name of what went on with it and is not what began it."""


def make(asked: Bench, watcher: Watcher | None = None, *, quiet: bool = False) -> RunFolder:
    """Trains all of a table, or what of it a run lacks yet; with `part` (from 1 on) of so many parts this one alone.

    What failed is trained once more. Raises NasError for an unknown table.
    """
    return trained(asked, declared(asked.table), watcher, quiet=quiet)


def trained(
    asked: Bench,
    table: Declared,
    watcher: Watcher | None = None,
    *,
    keep: Callable[[Architecture], bool] = lambda network: True,
    quiet: bool = False,
) -> RunFolder:
    """See `make`: of what is declared the networks that are kept, each training with one thread."""
    if asked.part > asked.parts:
        raise NasError(f"--part is {asked.part} of {asked.parts}")
    device, devices = find_device(asked.device)
    dataset = load_data(table.data, asked.data_dir, 0, None, device)
    recipe = Recipe.for_dataset(dataset, epochs=table.epochs)
    networks = [each for each in table.networks(dataset.shape, dataset.channels, dataset.classes) if keep(each)]
    jobs = list(table.jobs(networks))
    first, last = (len(jobs) * n // asked.parts for n in (asked.part - 1, asked.part))

    def executor(storage: Storage) -> Executor:
        train = MakeTrainer(dataset, recipe, device, devices, curves=True)
        # by default this process would train with all its threads: other bits, and seconds of several cores
        return Serial(train, bundle=bundle_of(train)) if asked.workers == 0 else local_executor(train, asked.workers)

    made = made_on() | ({} if device == "cpu" else {"device": device})
    settings = {  # all that is needed to make it again, and what it was made on
        "table": {"name": asked.table, **vars(table)},
        "data": dataset.facts(),
        "data_path": None,
        "recipe": recipe.to_json(),
        "versions": versions(),
        "made": made,
    }
    may_differ = {"versions", *(f"made.{each}" for each in made if each != "device")}
    kind, name = kind_on(device, "auto"), asked.run or f"table-{asked.table}"
    with (
        RunFolder.create_or_open(asked.runs_dir, name, settings, may_differ=may_differ) as run,
        shown(watcher, quiet) as watching,
        trainings_in(run, executor, watching) as trainings,
    ):
        note_maker(run, jobs[first:last], made)
        names = {network.id: mixer_of(network) for network in networks}
        status = Status("train", 0, kind=kind, names=names, title=f"table {asked.table}")
        trainings.completed(jobs[first:last], watching, status, tries=TRIES)
    return run


def pack(run: RunFolder, to: Path) -> Table:
    """The table of what a run holds so far, written as Parquet, its metadata beside it.

    Latencies (on the CPU) are those that the run keeps, or are measured of all its networks side by side. A run that
    went on elsewhere names all that it was made on, so that no machine is held to its bits.
    """
    results = run.results()
    networks = {result.id: Architecture.from_json(result.architecture) for result in results}
    conditions = Conditions("cpu")
    found = latencies(run, list(networks.values()), conditions)
    packed = packed_table({**run.settings, "made": makers(run), "latency": asdict(conditions)}, results, found)
    packed.write(to)
    write_whole(to.with_suffix(".json"), json.dumps(croissant(packed, to), indent=1).encode() + b"\n")
    return packed


def note_maker(run: RunFolder, jobs: Work, made: dict[str, str]) -> None:
    """Notes what goes on with a run, where any of these jobs is left to train."""
    done = {result.key for result in settled(run.results(), TRIES)}
    if made not in _makers(run) and any(job.key not in done for job, _ in jobs):
        run.note(MAKERS, made)


def makers(run: RunFolder) -> dict[str, str]:
    """What a run's trainings were made on: `made_on`, and the device where that is no CPU; of several, all."""
    every = _makers(run)
    return {name: " and ".join(dict.fromkeys(each[name] for each in every)) for name in every[0]}


def _makers(run: RunFolder) -> list[dict[str, str]]:
    """What began a run, then what went on with it; of notes that are none, an unknown one."""
    first = {name: str(value) for name, value in run.settings["made"].items()}
    return [first, *({name: str(note.get(name, "unknown")) for name in first} for note in run.notes(MAKERS))]


def faults(path: Path) -> list[str]:
    """What is wrong with a table as it is, and with its digest where its metadata lie beside it."""
    return Table.read(path).faults() + _digest_faults(path)


def _digest_faults(path: Path) -> list[str]:
    beside = path.with_suffix(".json")
    if not beside.exists() or sha256(path.read_bytes()).hexdigest() in beside.read_text(errors="replace"):
        return []
    return [f"its SHA-256 is another one than in {beside.name}"]


def verify(path: Path, *, cells: int = 5, seed: int = 0, data_dir: Path = Path("data")) -> Iterator[Verified]:
    """Trains random cells of a table again, one after the other, and compares them.

    On the class of CPU and with the torch that made it, all but the seconds has to be the same, bit for bit; elsewhere
    it is to end within what `nas.tabular.verified` allows. Raises NasError where the data has changed, and where the
    table holds what no training gives.
    """
    table = Table.read(path)
    if table.wrong:
        raise NasError(f"{path}: {table.wrong[0]}")
    device = table.facts["made"].get("device", "cpu")  # by which there are fewer images or all
    dataset = load_data(table.declared.data, data_dir, 0, None, device)
    if dataset.fingerprint != table.facts["data"]["fingerprint"]:
        raise NasError(f"the data of {path} is another one: its fingerprint differs")
    recipe = Recipe.from_json(dict(table.facts["recipe"]))
    train = MakeTrainer(dataset, recipe, "cpu", curves=True)(0)
    exact = made_on() == table.facts["made"]
    known = sorted(key for key in table.cells if key.id in table.networks)
    for key in Random(seed).sample(known, min(cells, len(known))):
        job = make_job(table.networks[key.id], key.lr, key.seed, key.epochs, "train")
        result = result_of(job, table.networks[key.id], run_job(train, job, lambda score: True))
        again = packed_table(table.facts, [result], {key.id: table.cells[key].latency}).cells[key]
        yield compared(table, table.cells[key], again, exact=exact)


def result_of(job: Job, network: Architecture, outcome: Outcome) -> Result:
    return Result.from_line(record(job, outcome, params=network.params, macs=network.macs, number=0))


def replayed(path: Path, asked: Replay) -> tuple[Recorded, list[list[Step]]]:
    """What a table has recorded, and the steps of searches on it. Raises NasError for what cannot be."""
    recorded = Recorded(Table.read(path), asked.lr, asked.half)
    if strange := _digest_faults(path):
        raise NasError(f"{path}: {strange[0]}")
    objectives, epochs = (Objective(asked.order),), recorded.table.declared.epochs

    def plan(seed: int) -> Plan:
        once = Plan(asked.trials, epochs, asked.lr, top=1, seeds=1, seed=seed, order=asked.order)
        return replace(once, rungs=rungs(epochs)) if asked.prune else once

    def strategy(seed: int, space: BoundSpace) -> Strategy:
        return make_strategy(asked.strategy, space, Budget(), seed=seed, objectives=objectives)

    seeds = range(asked.seed, asked.seed + asked.repeats)
    searches = [
        replay(recorded, partial(strategy, seed), plan(seed), workers=asked.workers, seed=seed) for seed in seeds
    ]
    return recorded, searches
