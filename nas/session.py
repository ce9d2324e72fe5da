"""From what a user asked for to a search that can run, and from a run back to what it was."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any

from einmix import Architecture, Linear, PatternError
from nas.cluster.messages import LOCAL, Settings
from nas.data import Dataset, load
from nas.data import place_of as place_of_data
from nas.errors import NasError, counted, nearest
from nas.executors import Executor, LocalWorkers, Serial
from nas.loggers import check as check_loggers
from nas.loggers import logging_to
from nas.objectives import Objective, parse_objectives, quality
from nas.options import Options
from nas.packing import sharing_at_first
from nas.preprocessing import Preprocessing, ranges
from nas.ranking import Ranking, Standing, along_front, of_one_kind, rank, ranked
from nas.recipe import LARGE, Recipe
from nas.results import Result, take
from nas.runs import Run
from nas.scaling import NEAR, Target, nearest_member
from nas.search import Plan, Search, Watcher, check_result, say_changes
from nas.storage import Storage, place_of
from nas.strategies import Started, Strategy, make_strategy
from nas.trial import Kind
from nas.versions import versions
from nas.worker import PRELOAD, MakeTrainer, find_device, kind_on, warm_up
from search_spaces import Budget, SearchSpace, Space, SpaceError
from search_spaces import load as load_space
from search_spaces.zoo import Inputs, member

SHORTEST = 4
"""Letters of an id that name an architecture: what is shorter is a rank."""

BAND = 2
"""Candidates have from 1 / BAND of the largest parameter count to all of it: patterns are compared, not sizes."""

CPU_IMAGES = 10_000
"""Training images that a search on the CPU takes of a larger data set."""

SEEDS, FEW_SEEDS = 5, 3
"""Seeds of the finals, and those where a training takes long."""

LITTLE, ENOUGH = 0.001, 0.1
"""A share of the space that a default budget should not fall below, and one at which it is wide enough."""

WIDER = (
    ("max_params",),
    ("max_macs",),
    ("min_params",),
    ("max_params", "min_params"),
    ("max_params", "max_macs"),
    ("max_params", "min_params", "max_macs"),
)
"""Options that widen a budget together, in the order in which they are tried."""

MAY_DIFFER = (
    "trials",
    "minutes",
    "top",
    "seeds",
    "device",
    "workers",
    "ray",
    "gpus_per_trial",
    "space_file",
    "data.name",
    "data_path",
    "data_dir",
    "storage",
    "log",
    "command",
    "versions",
    "inputs",
    "started",
)
"""Settings that a run can go on with although they have changed; its data may lie elsewhere, with one fingerprint."""

LAST = "last"
"""What the latest session was asked for of these is kept in a file of this name, since run.json keeps the first."""


class Session:
    """A search made ready: everything is checked before anything is trained or written."""

    def __init__(self, options: Options, dataset: Dataset | None = None):
        self.options = options
        self.objectives = parse_objectives(options.objective)
        self.place = None if options.storage is None else place_of(options.storage)
        declared = load_space(options.space)
        self.device, self.devices = find_device(options.device) if options.ray is None else ray_device(options)
        self.dataset = dataset or load_data(options.data, options.data_dir, options.seed, options.images, self.device)
        self.space = bind(declared, options, self.dataset)
        self.budget = budget_band(self.space, options)
        self.recipe = Recipe.for_dataset(
            self.dataset,
            epochs=options.epochs,
            lr=options.lr,
            batch=options.batch,
            weight_decay=options.weight_decay,
            label_smoothing=options.label_smoothing,
            augment=options.augment,
        )
        self.first = [starting(name, self.space, self.budget) for name in options.start]
        self.started = {each.id: name for each, name in zip(self.first, options.start, strict=True)}
        self.plan = Plan(
            trials=options.trials,
            epochs=self.recipe.epochs,
            lr=self.recipe.lr,
            seed=options.seed,
            rungs=rungs(self.recipe.epochs) if options.prune and len(self.objectives) == 1 else (),
            minutes=options.minutes,
            top=options.top,
            seeds=options.seeds or default_seeds(self.dataset),
            objectives=self.objectives,
            start=self.started,
            kind=self.kind,
            retry_failed=options.retry_failed,
        )
        strategy = make_strategy(
            options.strategy, self.space, self.budget, seed=options.seed, objectives=self.objectives
        )
        self.strategy: Strategy = Started(strategy, self.first)
        self.complaint = ""  # about trainings of the search that could not be brought to an end
        check_loggers(options.log)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What run.json keeps: everything needed to repeat the run."""
        options, space = self.options, self.space
        return {
            "space": {"name": space.space.name, "bias": space.space.bias, "families": families(space)}
            | {name: list(sizes) for name, sizes in space.sizes.items()}
            | ({"forms": list(space.space.forms)} if space.space.forms else {})
            | ({"weights": dict(space.space.weights)} if space.space.weights else {}),
            "data": self.dataset.facts() | {"mean": list(self.dataset.mean), "std": list(self.dataset.std)},
            "recipe": self.recipe.to_json(),
            "budget": vars(self.budget),
            "strategy": options.strategy,
            "objective": options.objective,
            "seed": options.seed,
            "rungs": list(self.plan.rungs),
            "trials": options.trials,
            "minutes": options.minutes,
            "top": options.top,
            "seeds": self.plan.seeds,
            "device": self.device,
            "workers": self.workers,
            "ray": self.options.ray,
            "gpus_per_trial": options.gpus_per_trial,
            "command": options.command,
            "space_file": str(Path(options.space).resolve()) if options.space.endswith(".py") else None,
            "data_path": path_text(options.data),
            "data_dir": str(options.data_dir.resolve()),
            "storage": self.place,
            "log": list(options.log),
            "versions": versions(),
            "inputs": preprocessing(self.dataset).to_json(),
        } | ({"start": list(options.start), "started": self.started} if options.start else {})

    @cached_property
    def name(self) -> str:
        """The run's name: as asked, or made of space, data and a hash of what makes the run what it is.

        A run that was made with these settings under another such name, because its data was called otherwise or by
        an earlier version, is that run.
        """
        if self.options.run:
            return self.options.run
        space, place = self.space.space.name, place_of_data(self.options.data) or Path(self.options.data)
        data = re.sub(r"[^A-Za-z0-9_-]+", "-", place.stem) or "data"
        name = f"{space}-{data}-{digest(self.settings, MAY_DIFFER)}"
        root = self.options.runs_dir
        if (root / name).exists():
            return name
        return Run.made_with(root, rf"{re.escape(space)}-.+-[0-9a-f]{{6}}", self.settings, MAY_DIFFER) or name

    @property
    def workers(self) -> int:
        """How many worker processes train; with 0 this process does, or as many as a Ray cluster has room for."""
        if self.options.ray is not None and self.options.ray != LOCAL:
            return self.options.workers or 0
        return worker_count(self.options.workers, self.device, self.devices)

    @property
    def kind(self) -> Kind:
        """What is trained on; of a cluster's GPUs it is assumed that they compute in bfloat16."""
        if self.device == "cuda" and self.options.ray not in (None, LOCAL):
            return "cuda", "bfloat16"
        return kind_on(self.device)

    def executor(self, run: Run, storage: Storage | None, watcher: Watcher) -> Executor:
        """Local worker processes, this process, or a Ray cluster; they keep trainings under way in a storage."""
        latency = any(objective.name == "latency" for objective in self.objectives)
        make = MakeTrainer(self.dataset, self.recipe, self.device, self.devices, storage=storage, latency=latency)
        if self.options.ray is None:
            return local_executor(make, self.workers)
        from nas.cluster.workers import RayWorkers

        settings = Settings(self.options.ray, self.workers, cores(), self.device, self.options.gpus_per_trial)
        if self.options.ray == LOCAL:
            settings = replace(settings, sharing=sharing_at_first(self.workers, self.devices))
        return RayWorkers(replace(make, devices=1), settings, say=watcher.say, log=run.path / "ray.log")

    def share(self) -> float:
        """The estimated share of the space that is within the budget."""
        return self.space.share(self.budget, Random(self.options.seed))

    @property
    def widening(self) -> str:
        """The options that would widen a default budget which leaves next to nothing of the space; else empty.

        Of the options that were not given the first that leave a tenth, else those that leave most.
        """
        if (share := self.share()) >= LITTLE:
            return ""
        drawn = self.space.costs(Random(self.options.seed), 200)
        params, macs = zip(*drawn, strict=True)
        most = {"max_params": params, "max_macs": macs}
        limits = {name: quantiles(costs, n=4, method="inclusive")[-1] for name, costs in most.items()}
        limits["min_params"] = quantiles(params, n=4, method="inclusive")[0]
        best = ""
        for names in WIDER:
            wider = {name: round(limits[name]) for name in names}
            if all(getattr(self.options, name) is None for name in names) and share < ENOUGH:
                with suppress(SpaceError, NasError):
                    budget = _band(self.space, replace(self.options, **wider))
                    found = sum(budget.admits(*costs) for costs in drawn) / len(drawn)
                    if found > max(2 * share, LITTLE):
                        share = found
                        best = " ".join(f"--{name.replace('_', '-')} {limit}" for name, limit in wider.items())
                        best += f" leaves about {100 * share:.2g}%"
        return best

    def open_run(self) -> Run:
        """The run directory, locked for this search."""
        run = Run.create_or_open(self.options.runs_dir, self.name, self.settings, may_differ=MAY_DIFFER)
        own = {name: value for name, value in self.settings.items() if name in MAY_DIFFER}
        own = {name: value for name, value in own.items() if name not in ("command", "versions", "inputs")}
        run.keep(LAST, own | {"workers": self.options.workers})
        return run

    def search(self, watcher: Watcher, run: Run) -> list[Standing]:
        """Runs the search and its finals, or what is left of them, and ranks all that the run holds.

        Raises NasError where latencies would be compared that were measured on different devices.
        """
        self._check_latencies(run)
        say_changes(run, self.kind, watcher)
        # a folder of this machine is one that no other has, unless the user says so
        here = self.options.ray in (None, LOCAL)
        storage = run.storage(self.place) if here or self.place is not None else None
        if storage is not None and self.place is not None:
            storage.check()
        with logging_to(self.options.log, run, watcher.say), self.executor(run, storage, watcher) as executor:
            search = Search(self.space, self.strategy, executor, run, self.plan, storage=storage)
            search.explore(watcher)
            if search.exhausted:
                watcher.say(f"every architecture of space {self.space.space.name!r} within the budget has been tried")
            self._say_finalists(search, watcher)
            search.finals(watcher)
            self.complaint = search.trainings.complaint
            if self.complaint:
                watcher.say(self.complaint)
        if storage is not None and not search.trainings.unfinished:
            storage.tidy(self.plan.epochs)
        return standings_of(run.results(), run, self.objectives, self.started)

    def _say_finalists(self, search: Search, watcher: Watcher) -> None:
        """Says how many there are, where they are fewer than was asked for."""
        chosen = sum(not label for label, _ in search.entries())
        if chosen < self.plan.top:
            why = "the front has no more" if len(self.objectives) > 1 else "no more have come to their end"
            watcher.say(f"finals: {counted(chosen, 'network')}, not {self.plan.top}: {why} that are no references")

    def _check_latencies(self, run: Run) -> None:
        measured = {run.kind_of(result)[0] for result in run.results() if result.latency is not None}
        if measured - {self.device} and any(objective.name == "latency" for objective in self.objectives):
            (other, *_) = sorted(measured - {self.device})
            raise NasError(
                f"run {run.name!r} measured latencies on {other}, this would be on {self.device}: "
                f"go on with --device {other}, or choose another --run"
            )


def standings_of(
    results: Sequence[Result], run: Run, objectives: Sequence[Objective], started: Mapping[str, str]
) -> list[Standing]:
    """The ranking of a run's results; `started` are the names of the networks it began with, by id."""
    standings = rank(of_one_kind(results, run.kind_of), sizes_of, quality(objectives))
    named = [replace(standing, name=started.get(standing.id, "")) for standing in standings]
    return along_front(named, objectives)


def starting(name: str, space: SearchSpace, budget: Budget) -> Architecture:
    """A network of the zoo to start with: the largest that is in the space and the budget, or one of about its size.

    Raises SpaceError for an unknown name, NasError where it cannot be built on the data.
    """
    found, inputs = member(name), Inputs(space.shape, space.channels, space.classes)
    inside = []
    for patch, width, depth in product(*(space.sizes[size] for size in ("patch", "width", "depth"))):
        with suppress(SpaceError, PatternError):
            architecture = found.at(inputs, patch=patch, width=width, depth=depth)
            if budget.admits(architecture.params, architecture.macs) and architecture in space:
                inside.append(architecture)
    if inside:
        return max(inside, key=lambda architecture: architecture.params)
    middle = space.middle
    most = budget.max_params or space.references(middle)["full token mixing"].params
    target = Target("params", round((1 - NEAR) * most))
    return nearest_member(name, inputs, target, patch=middle.patch, depth=middle.depth)


def preprocessing(dataset: Dataset) -> Preprocessing:
    """How raw inputs become those that a network was trained on."""
    return Preprocessing(ranges(dataset.train.x, dataset.white), dataset.names, dataset.mean, dataset.std)


def digest(settings: Mapping[str, Any], may_differ: Collection[str]) -> str:
    """Six hexadecimal digits of what makes a run what it is; how its data's path was typed does not."""
    identity = {name: value for name, value in settings.items() if name not in may_differ}
    if settings["data_path"] is not None:
        identity["data"] = {name: value for name, value in settings["data"].items() if name != "name"}
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:6]


def default_seeds(dataset: Dataset) -> int:
    """How many seeds there are where nobody says it."""
    return FEW_SEEDS if len(dataset.train) >= LARGE else SEEDS


def load_data(name: str, data_dir: Path, seed: int, images: int | None, device: str) -> Dataset:
    """The data; of a large set on the CPU as many training images as a search needs."""
    return load(name, data_dir=data_dir, seed=seed, limit=images or (CPU_IMAGES if device == "cpu" else None))


def path_text(data: str) -> str | None:
    """The absolute path of data that is named by its path, as a setting."""
    place = place_of_data(data)
    return None if place is None else str(place)


def worker_count(wanted: int | None, device: str, devices: int) -> int:
    """As many worker processes as wanted, else one a GPU, else one a core."""
    if wanted is not None:
        return wanted
    return cores() if device == "cpu" else devices


def ray_device(options: Options) -> tuple[str, int]:
    """The kind of device that all of a search's trainings on a cluster have: a GPU, where there is one.

    Raises NasError where Ray is not installed, or the cluster that has to be asked cannot be joined.
    """
    from nas.cluster.workers import cluster_resources, require_ray

    require_ray()
    if options.ray == LOCAL:
        return find_device(options.device)
    if options.device == "auto":
        assert options.ray is not None
        return ("cuda" if cluster_resources(options.ray).get("GPU") else "cpu"), 1
    if options.device not in ("cpu", "cuda"):
        raise NasError(f"device {options.device!r} is not one of a cluster: known: auto, cpu, cuda")
    return options.device, 1


def local_executor(make: MakeTrainer, workers: int) -> Executor:
    """Worker processes with one thread each, or with 0 workers this process with all its threads."""
    if workers == 0:
        return Serial(replace(make, threads=cores()))
    if make.device == "cpu":
        return LocalWorkers(make, workers, preload=PRELOAD)
    return LocalWorkers(make, workers, method="spawn", devices=make.devices)


def bind(declared: Space, options: Options, dataset: Dataset) -> SearchSpace:
    """The space on the shape of the data, with the sizes that were asked for."""
    if options.draw is not None:
        declared = declared.drawn(options.draw)
    return declared.on(
        dataset.shape,
        channels=dataset.channels,
        classes=dataset.classes,
        patch=options.patch,
        width=options.width,
        depth=options.depth,
        ratio=options.ratio,
    )


def budget_band(space: SearchSpace, options: Options) -> Budget:
    """One band of sizes: from half the largest parameter count to all of it.

    The largest is as asked, else that of full token mixing at the space's middle sizes, which then also bounds the
    multiply-accumulates (to twice its own). A band that would be empty gives way below. Raises SpaceError.
    """
    budget = _band(space, options)
    if options.min_params is None and not _possible(space, budget):
        budget = replace(budget, min_params=0)
    space.check(budget)
    return budget


def _band(space: SearchSpace, options: Options) -> Budget:
    """The band, be it empty or not."""
    reference = space.references(space.middle)["full token mixing"]
    least, most, fewest, _ = space.bounds()
    max_params, max_macs = options.max_params, options.max_macs
    if max_params is None:
        max_params = max(reference.params, least) if options.min_params is None else None
        max_macs = max_macs or max(BAND * reference.macs, fewest)
    min_params = options.min_params
    if min_params is None:
        assert max_params is not None
        min_params = min(max_params, most) // BAND
    return Budget(min_params, max_params, max_macs)


def families(space: SearchSpace) -> dict[str, dict[str, str]]:
    """What a block may be: the pattern of every axis, by family."""
    axes = (*space.shape, "c")
    return {family.name: {axis: family.pattern(axis) for axis in axes} for family in space.space.families}


def _possible(space: SearchSpace, budget: Budget) -> bool:
    try:
        space.sample(Random(0), budget)
    except SpaceError:
        return False
    return True


def rungs(epochs: int) -> tuple[int, ...]:
    """The epochs at which candidates are compared: a quarter and a half of all, where these are whole epochs."""
    return tuple(sorted({epochs // 4, epochs // 2} - {0, epochs}))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def search(watcher: Watcher | None = None, *, quiet: bool = False, **options: Any) -> Ranking:
    """The search in one call, as from the command line; options are those of `Options`.

    It shows its progress on stderr, as the command does, or to a watcher; `quiet` asks for nothing of it.

    >>> ranking = search(space="local", trials=8, epochs=4)  # doctest: +SKIP
    >>> ranking[0].accuracy, str(ranking[0].architecture.mixers[0])  # doctest: +SKIP
    >>> [reference.accuracy for reference in ranking.references]  # doctest: +SKIP
    """
    from nas import progress
    from nas.resuming import ready
    from nas.terminal import console_for

    chosen = Options(**options)
    if chosen.ray is None:
        warm_up(chosen.device, chosen.workers)
    session = ready({name: value for name, value in options.items() if value is not None})
    given = progress.Quiet() if quiet else watcher
    shown = nullcontext(given) if given else progress.watcher(console_for(stderr=True))
    with session.open_run() as run, shown as watching:
        for note in session.dataset.notes:
            watching.say(note)
        return Ranking.of(session.search(watching, run))


@dataclass(frozen=True)
class OpenRun:
    """A run that exists, with what its settings say, for commands that read it or train in it."""

    run: Run
    results: list[Result]

    @classmethod
    def open(cls, runs_dir: Path, name: str) -> OpenRun:
        """Raises NasError for an unknown or damaged run, or one that is a comparison."""
        run = Run.open(runs_dir, name)
        if "comparison" in run.settings:
            raise NasError(f"{name!r} holds a comparison, not a search: `nas compare` of its search shows it")
        return cls(run, run.results(validate=check_result))

    @cached_property
    def standings(self) -> list[Standing]:
        """The ranking of the run."""
        started = self.setting("started", "an object") if "started" in self.run.settings else {}
        names = {id: name for id, name in started.items() if isinstance(name, str)}
        return standings_of(self.results, self.run, self.objectives, names)

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """What the run optimises."""
        return parse_objectives(self.setting("objective", "a text"))

    def find(self, id: str) -> Standing:
        """An architecture by its rank, or by its id or the beginning of it. Raises NasError."""
        if len(id) < SHORTEST:
            places = {str(place): standing for place, standing in ranked(self.standings) if place is not None}
            if id not in places:
                ranks = f"run {self.run.name!r} has ranks 1 to {len(places)}, and "
                raise NasError(f"no architecture {id!r}: {ranks}an id takes at least {SHORTEST} letters")
            return places[id]
        found = [standing for standing in self.standings if standing.id.startswith(id)]
        if len(found) != 1:
            several = f"{len(found)} architectures of run {self.run.name!r} begin with {id!r}: write more of the id"
            ids = [standing.id for standing in self.standings]
            raise NasError(several if found else f"no architecture {id!r} in run {self.run.name!r}: {nearest(id, ids)}")
        return found[0]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return Recipe.from_json(self.setting("recipe", "an object"))

    @property
    def space_name(self) -> str:
        """The name of the space that was searched, fit for the name of a module."""
        name: str = self.setting("space.name", "a text")
        return name if name.isidentifier() and name.isascii() else "network"

    def dataset(self, data_dir: Path | None = None, data: str | None = None) -> Dataset:
        """The data of the run, loaded again, from where it is said to be or from where it was, or near that.

        Raises NasError when it is not there, or has changed.
        """
        _, dataset = self.located(data_dir, data)
        return dataset

    def located(self, data_dir: Path | None = None, data: str | None = None) -> tuple[str, Dataset]:
        """The data of the run, and how to load it. Raises NasError as `dataset` does."""
        name, fingerprint = self.setting("data.name", "a text"), self.setting("data.fingerprint", "a text")
        changed = f"is not what run {self.run.name!r} was made with: its fingerprint differs"
        errors = []
        for place in self._places(data_dir) if data is None else [data]:
            try:
                dataset = load(
                    place,
                    data_dir=self.data_dir(data_dir),
                    seed=self.setting("data.seed", "a count"),
                    limit=self.setting("data.train", "a count"),
                )
            except NasError as error:
                errors.append(error)
                continue
            if dataset.fingerprint == fingerprint:
                return place, replace(dataset, name=name)
            errors.append(NasError(f"data {place!r} {changed}: --data says where that is, another --run what is new"))
        was = self.optional("data_path", "a text") or name
        raise (
            errors[0]
            if errors
            else NasError(
                f"data {name!r} of run {self.run.name!r} is not where it was, {was}: write --data PATH, where it is now"
            )
        )

    def _places(self, data_dir: Path | None) -> list[str]:
        """Where the run's data can be: a known name; or its path of then, and what is called so nearby."""
        name, path = self.setting("data.name", "a text"), self.optional("data_path", "a text")
        if path is None and place_of_data(name) is None:
            return [name]
        was, latest = Path(path or name), (self.run.kept(LAST) or {}).get("data_path")
        near = [self._home / name, self.data_dir(data_dir) / was.name, Path(was.name)]
        places = [was, *([Path(latest)] if isinstance(latest, str) else []), *near]
        return [str(each) for each in dict.fromkeys(place.resolve() for place in places if place.exists())]

    def data_dir(self, given: Path | None = None) -> Path:
        """Where known data sets are: as said, else as in the search."""
        was = Path(self.setting("data_dir", "a text"))
        return given or (was if was.exists() or not (self._home / was).exists() else self._home / was)

    @property
    def _home(self) -> Path:
        """The folder from which runs of the first version, which kept relative paths, were most likely searched."""
        return self.run.path.resolve().parent.parent

    def optional(self, name: str, kind: str) -> Any:
        """A setting as `setting` gives it, or None where there is none."""
        *outer, last = name.split(".")
        values: Any = self.run.settings
        for part in outer:
            values = values.get(part) if isinstance(values, dict) else None
        return self.setting(name, kind) if isinstance(values, dict) and values.get(last) is not None else None

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How raw inputs become those of the networks; of an earlier version's run, by its data. Raises NasError."""
        if "inputs" not in self.run.settings:
            return preprocessing(self.dataset())
        mean, std = (self.setting(f"data.{moment}", "a list of finite numbers") for moment in ("mean", "std"))
        try:
            return Preprocessing.from_json(self.setting("inputs", "an object"), mean, std)
        except ValueError as error:
            raise NasError(f"{self.run.path / 'run.json'}: among its inputs {error}") from None

    def setting(self, name: str, kind: str) -> Any:
        """A setting by its dotted name, checked to be of a kind that `nas.results.take` knows. Raises NasError."""
        *outer, last = name.split(".")
        values = self.run.settings
        try:
            for part in outer:
                values = take(values, part, "an object")
            return take(values, last, kind)
        except ValueError as error:
            raise NasError(f"{self.run.path / 'run.json'}: among its settings {error}") from None


def sizes_of(architecture: Architecture) -> object:
    """What two networks share that differ in their blocks' mixing only: grids, depths, channel MLPs and norm."""
    blocks = (part for part in architecture.parts if part.role == "block")
    leaves = (leaf.node for part in blocks for step in part.steps for leaf in step.leaves())
    widest = max((node.out for node in leaves if isinstance(node, Linear)), default=0)
    grids = tuple(tuple(grid.items()) for grid in architecture.grids)
    return grids, tuple(len(stage.blocks) for stage in architecture.stages), widest, architecture.head
