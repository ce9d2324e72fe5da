"""Tables of record made: every training of a declared table, on real data, resumable and in parts."""

from __future__ import annotations

from nas.api.defaults import load_data
from nas.api.resources import find_device, local_executor
from nas.executors.executor import Executor
from nas.loop.progress import shown
from nas.loop.status import Status, Watcher
from nas.loop.trainings import trainings_in
from nas.options.bench import Bench
from nas.runs.folder import RunFolder
from nas.runs.settings import versions
from nas.runs.storage import Storage
from nas.tabular.declared import Declared, declared
from nas.training.recipe import Recipe, kind_on
from nas.training.worker import MakeTrainer


def make(asked: Bench, watcher: Watcher | None = None, *, quiet: bool = False) -> RunFolder:
    """Trains all of a table, or what of it a run lacks yet; with `part` (from 1 on) of so many parts this one alone.

    What failed is trained once more. Raises NasError for an unknown table.
    """
    table = declared(asked.table)
    device, devices = find_device(asked.device)
    dataset = load_data(table.data, asked.data_dir, 0, None, device)
    recipe = Recipe.for_dataset(dataset, epochs=table.epochs)
    networks = table.networks(dataset.shape, dataset.channels, dataset.classes)
    jobs = list(table.jobs(networks))
    first, last = (len(jobs) * n // asked.parts for n in (asked.part - 1, asked.part))

    def executor(storage: Storage) -> Executor:
        return local_executor(MakeTrainer(dataset, recipe, device, devices, curves=True), asked.workers)

    settings = settings_of(asked.table, table, dataset.facts(), recipe)
    kind, name = kind_on(device, "auto"), asked.run or f"table-{asked.table}"
    with (
        RunFolder.create_or_open(asked.runs_dir, name, settings, may_differ=("versions",)) as run,
        shown(watcher, quiet) as watching,
        trainings_in(run, executor, watching) as trainings,
    ):
        names = {network.id: str(network.mixers[0]) for network in networks if network.mixers}
        status = Status("train", 0, kind=kind, names=names, title=f"table {asked.table}")
        trainings.completed(jobs[first:last], watching, status, tries=2)
    return run


def settings_of(name: str, table: Declared, data: dict[str, object], recipe: Recipe) -> dict[str, object]:
    """What the run of a table keeps: all that is needed to make it again."""
    return {
        "table": {"name": name, **vars(table)},
        "data": data,
        "data_path": None,
        "recipe": recipe.to_json(),
        "versions": versions(),
    }
