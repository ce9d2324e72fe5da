"""`nas compare`: the best network of a run against networks of the literature at its size, on test data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from einmix import Architecture
from nas.api.defaults import default_seeds, load_data, path_text
from nas.api.resources import find_device, local_executor, worker_count
from nas.api.saved import SavedRun
from nas.data.dataset import SYNTHETIC, Dataset
from nas.data.known import place_of
from nas.data.sources import Source
from nas.errors import NasError
from nas.executors.executor import Executor
from nas.loggers import check_loggers
from nas.loggers.feed import logging_to
from nas.loop.past import TRIES, make_job, say_changes
from nas.loop.rates import around, best_rates, losses_of, sweep
from nas.loop.status import Status, Watcher
from nas.loop.trainings import Trainings, trainings_in
from nas.options.compare import Compare
from nas.ranking.gains import Compared, against
from nas.ranking.standings import Standing
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS, Key
from nas.runs.result import Result
from nas.runs.settings import versions
from nas.runs.storage import Storage
from nas.training.latency import Conditions, latencies
from nas.training.recipe import LARGE, Recipe
from nas.training.worker import MakeTrainer
from search_spaces import SpaceError
from search_spaces.blocks.patch import Patch
from search_spaces.sizing.resizing import patch_of
from search_spaces.sizing.scaling import (
    NEAR,
    Target,
    depth_of,
    moved,
    nearest_anywhere,
    nearest_found,
    nearest_member,
    possible_patches,
)
from search_spaces.zoo import Inputs, member

Tuned = Mapping[str, tuple[Result, ...]]
"""Trainings at several learning rates, by the network's name."""

TUNING = 3
"""On large data a learning rate is tried for one part in so many of the epochs: it takes long."""


class Comparison:
    """A comparison made ready: all networks have their sizes before anything is trained or written."""

    def __init__(self, saved: SavedRun, asked: Compare):
        saved.takes_networks("a comparison with the literature")
        self.saved, self.asked = saved, asked
        self.device, self.devices = find_device(asked.device)
        self._root = saved.folder.path.resolve().parent
        self._data_dir = asked.data_dir or saved.data_dir()
        self._split: int = saved.setting("data.seed", "a count")
        self.complaint = ""  # about trainings that could not be brought to an end
        self.settings  # noqa: B018 - all is checked on the way
        check_loggers(asked.log)

    @cached_property
    def standing(self) -> Standing:
        """The network that was found: the one asked for, or the best of the run that is no reference."""
        if self.asked.id is not None:
            return self.saved.find(self.asked.id)
        return self.saved.finished[0]

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is on other data than the search."""
        return self._located is None

    @cached_property
    def _located(self) -> tuple[str | Source, Dataset] | None:
        """The run's data in the run's split and how to load it; None where other data is asked for."""
        own, asked = self.saved.setting("data.name", "a text"), self.asked.data
        if asked in (None, own, own.removesuffix(SYNTHETIC)):
            return self.saved.located(self.asked.data_dir)
        if place_of(own) is None or place_of(asked) is None:
            return None
        try:  # the same data may have been moved
            return self.saved.located(self.asked.data_dir, asked)
        except NasError:
            return None

    @cached_property
    def dataset(self) -> Dataset:
        """The run's data in the run's split, unless other data or another number of images is asked for."""
        name: str | Source = self.asked.data or self.saved.setting("data.name", "a text")
        if self._located is not None:
            place, own = self._located
            if self.asked.images is None:
                return own
            name = place
        return load_data(name, self._data_dir, self._split, self.asked.images, self.device)

    @cached_property
    def recipe(self) -> Recipe:
        """That of the run; on other data with the epochs, batch and augmentation that fit it."""
        recipe, epochs = self.saved.recipe, self.asked.epochs
        if self.is_elsewhere:
            fitting = Recipe.for_dataset(self.dataset)
            recipe = replace(recipe, epochs=fitting.epochs, batch=fitting.batch, augment=fitting.augment)
        return replace(recipe, epochs=epochs or recipe.epochs)

    @cached_property
    def lrs(self) -> tuple[float, ...]:
        """The learning rates to choose from, or those to begin with: ascending."""
        given = self.asked.lrs or (self.saved.lr, around(self.saved.lr)[1])
        for lr in given:
            replace(self.recipe, lr=lr)  # refuses what is none
        return tuple(sorted(set(given)))

    @property
    def tuning_epochs(self) -> int:
        """Epochs for which a learning rate is tried."""
        epochs = self.recipe.epochs
        return max(1, round(epochs / TUNING)) if len(self.dataset.train) >= LARGE else epochs

    @property
    def seeds(self) -> range:
        """The seeds that networks are tested with: none was found by luck with them."""
        first = self._split + FIRST_SEEDS["compare"]
        return range(first, first + (self.asked.seeds or default_seeds(self.dataset)))

    @cached_property
    def inputs(self) -> Inputs:
        """What all networks take and give."""
        return Inputs(self.dataset.shape, self.dataset.channels, self.dataset.classes)

    @cached_property
    def found(self) -> Architecture:
        """The found network as it is trained here: as found, or carried to other data or to a budget."""
        found, budget = self.standing.architecture, self.asked.budget
        if self.is_elsewhere:
            try:
                found = moved(found, self.inputs, self.asked.patch or patch_of(found))
            except SpaceError as error:
                others = " or ".join(map(str, possible_patches(found, self.inputs)))
                raise NasError(f"{error}{f': --patch {others} goes' if others else ''}") from None
        if budget is None or Target(self.asked.match, budget).off(found) <= NEAR:
            return found
        best = nearest_found(found, self.inputs, Target(self.asked.match, budget), patch=patch_of(found))
        goes = f"with its mixers carried over: --budget {getattr(best, self.asked.match)} is a size that it has"
        where = f"about {depth_of(found)} blocks {goes}"
        return near(f"network {found.id}", best, Target(self.asked.match, budget), where)

    @cached_property
    def patch(self) -> Patch:
        """The patch at which the others are built, where it has a network of such a size."""
        return self.asked.patch or patch_of(self.found)

    @cached_property
    def networks(self) -> dict[str, Architecture]:
        """The found network, by its own id, then the others by their names, all of about one size."""
        target = Target(self.asked.match, self.asked.budget or getattr(self.found, self.asked.match))
        depth = self.asked.depth or depth_of(self.found)
        nearest_of = nearest_anywhere if self.asked.patch is None else nearest_member
        where = f"a patch of {self.patch} and about {depth} blocks (--budget, --patch and --depth change that)"
        others, refused = {}, {}
        for each in map(member, dict.fromkeys(self.asked.against)):
            try:
                best = nearest_of(each, self.inputs, target, patch=self.patch, depth=depth)
                others[each.name] = near(each.name, best, target, where)
            except (SpaceError, NasError) as error:
                refused[each.name] = str(error)
        if refused:
            also = f"; nor has {', '.join(list(refused)[1:])}" if len(refused) > 1 else ""
            goes = f": --against {','.join(others)} goes" if others else ""
            raise NasError(f"{next(iter(refused.values()))}{also}{goes}")
        return {self.standing.id: self.found} | others

    @property
    def at_other_patches(self) -> list[str]:
        """Those that have no network of such a size at the patch of the found one."""
        return [n for n, each in self.networks.items() if each is not self.found and patch_of(each) != self.patch]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What run.json keeps: everything needed to repeat the comparison."""
        asked = {name: getattr(self.asked, name) for name in ("match", "budget", "patch", "depth")}
        return {
            "comparison": {"run": self.saved.name, "found": self.standing.id, "id": self.found.id} | asked,
            "data": self.dataset.facts(),
            "recipe": self.recipe.to_json(),
            "lrs": list(self.lrs),
            "other_lrs": not self.asked.lrs,
            "tuning_epochs": self.tuning_epochs,
            "first_seed": self.seeds.start,
            **self.asked.kept("how"),
            "seeds": len(self.seeds),
            "networks": {name: each.id for name, each in self.networks.items()},
            "device": self.device,
            "workers": self.workers,
            "data_path": path_text(self._located[0] if self._located else self.dataset.name),
            "data_dir": str(self._data_dir.resolve()),
            "versions": versions(),
        }

    @cached_property
    def name(self) -> str:
        """The name of its own run directory, which stands beside that of the search."""
        words = f"{self.saved.name[:80]}-compare"
        return RunFolder.name_for(self._root, words, self.settings, Compare.may_differ())

    @property
    def workers(self) -> int:
        return worker_count(self.asked.workers, self.device, self.devices)

    @property
    def conditions(self) -> Conditions:
        """How latencies are measured."""
        return Conditions(self.device)

    def open_run(self) -> RunFolder:
        """The comparison's run directory, locked."""
        return RunFolder.create_or_open(self._root, self.name, self.settings, may_differ=Compare.may_differ())

    def compare(self, watcher: Watcher, run: RunFolder) -> list[Compared]:
        """Trains what has no line in the run yet: every network at its learning rates, then over the seeds.

        Nothing is tested that is not a result: the learning rate is chosen on validation data. A network is left out
        while a rate that is tried could not be brought to an end: with it another one may be chosen. Raises NasError
        where what a test was right on does not fit the test data or its accuracy.
        """
        say_changes(run, self.saved.kind(self.device), watcher)
        logging = logging_to(self.asked.log, run, watcher.say)
        with logging, trainings_in(run, self._executor, watcher) as trainings:
            tuned, decided = self._tuned(trainings, watcher)
            lacking = self._lacking(trainings)
            for name in lacking:
                watcher.say(_untested(name))
            chosen = {n: None if n in lacking else self._best(decided[n] or tuned[n]) for n in self.networks}
            slowest_first = sorted(self.networks, key=lambda name: -max((r.seconds for r in tuned[name]), default=0.0))
            rates = [(name, lr) for name in slowest_first if (lr := chosen[name]) is not None]
            job = partial(make_job, epochs=self.recipe.epochs, phase="compare")
            testing = [
                (replace(job(self.networks[name], lr, seed), label=name), self.networks[name])
                for seed in self.seeds
                for name, lr in rates
            ]
            tested = trainings.completed(testing, watcher, Status("compare", 0, kind=self.saved.kind(self.device)))
            self.complaint = trainings.complaint
        compared = [
            Compared(n, each, n == self.standing.id, tuned[n], _of(each, tested), chosen[n], decided=decided[n])
            for n, each in self.networks.items()
        ]
        compared = [
            replace(each, undecided=_untested(each.name)) if each.name in lacking else each for each in compared
        ]
        compared[0] = replace(compared[0], start=self.standing.name)
        try:
            compared[1:] = against(compared[0], compared[1:], seeds=len(self.seeds), examples=len(self.dataset.test))
        except ValueError as error:
            raise NasError(f"run {self.name!r}: {error}") from None
        alive = [each.architecture for each in compared if each.accuracies]
        ms = latencies(run, alive, self.conditions) if alive else {}
        return [replace(each, ms=ms.get(each.architecture.id)) for each in compared]

    def _tuned(self, trainings: Trainings, watcher: Watcher) -> tuple[Tuned, Tuned]:
        """Of every network its trainings at several learning rates, none where there is one rate only.

        Where these have fewer epochs than networks are trained for, then those of the best two rates with all of them.
        """
        begin = self.lrs if len(self.lrs) > 1 else ()
        tuned = self._swept(dict.fromkeys(self.networks, begin), self.tuning_epochs, trainings, watcher)
        best = {name: best_rates(losses_of(results))[:2] for name, results in tuned.items()}
        is_decided = self.tuning_epochs == self.recipe.epochs
        done = {*self.networks} if is_decided else {*self._lacking(trainings)}
        left = {name: () if name in done or len(rates) < 2 else rates for name, rates in best.items()}
        return tuned, self._swept(left, self.recipe.epochs, trainings, watcher)

    def _swept(
        self, rates: Mapping[str, Sequence[float]], epochs: int, trainings: Trainings, watcher: Watcher
    ) -> Tuned:
        """Of every network its trainings at these learning rates, and beyond where it is to go on, by its name."""
        missing = {(each.id, seed) for each in self.networks.values() for seed in self.seeds}
        missing -= {(result.id, result.seed) for result in trainings.run.results() if result.phase == "compare"}
        deciding = 2 * len(self.networks) if epochs < self.recipe.epochs else 0
        later = (len(missing) + deciding) * self.recipe.epochs / epochs
        status = Status("tune", 0, kind=self.saved.kind(self.device), later=later)
        return sweep(
            {name: {name: network} for name, network in self.networks.items()},
            rates,
            partial(trainings.completed, watcher=watcher, status=status, tries=TRIES),
            job=partial(make_job, seed=self._split + FIRST_SEEDS["tune"], epochs=epochs, phase="tune"),
            widen=not self.asked.lrs and epochs == self.tuning_epochs,
        )

    def _lacking(self, trainings: Trainings) -> list[str]:
        """The networks of which a training could not be brought to an end."""
        ids = {key.id for key in trainings.unfinished}
        return [name for name, network in self.networks.items() if network.id in ids]

    def _best(self, tried: Sequence[Result]) -> float | None:
        """The learning rate of the least validation loss; None where all failed."""
        return self.lrs[0] if len(self.lrs) == 1 else next(iter(best_rates(losses_of(tried))), None)

    def _executor(self, storage: Storage) -> Executor:
        how = self.saved.how(self.device)
        make = MakeTrainer(self.dataset, self.recipe, self.device, self.devices, storage=storage, **how)
        return local_executor(make, self.asked.workers)


def near(name: str, best: Architecture, target: Target, where: str) -> Architecture:
    """The nearest network of a name that there is. Raises NasError where it misses the target by over a twentieth."""
    if target.off(best) > NEAR:
        missed = f"{getattr(best, target.cost):,} are the nearest that it has at {where}"
        raise NasError(f"{name} has no size within {NEAR:.0%} of {target}: {missed}")
    return best


def _of(architecture: Architecture, results: Mapping[Key, Result]) -> tuple[Result, ...]:
    return tuple(result for result in results.values() if result.id == architecture.id)


def _untested(name: str) -> str:
    return f"{name} is not tested: not all of its learning rates could be tried, and the same command goes on with them"
