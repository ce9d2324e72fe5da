"""From what a user asked for to a search that can run, and from a run back to what it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from einmix import Architecture
from nas.api.defaults import (
    bind,
    budget_band,
    default_seeds,
    load_data,
    path_text,
    preprocessing,
    rungs,
    starting,
    widening,
)
from nas.api.own import check_own
from nas.api.resources import bundle_of, cores, find_device, local_executor, ray_device, warm_up, worker_count
from nas.api.resuming import halving_before, resumed
from nas.api.run import Run
from nas.api.saved import SavedRun
from nas.api.slots import space_of
from nas.claims.until_sure import LOOKS
from nas.claims.words import before_finals
from nas.data.dataset import Dataset
from nas.data.known import place_of as place_of_data
from nas.data.npz import GIVEN
from nas.data.objects import given
from nas.data.sources import Source
from nas.errors import NasError, counted
from nas.executors.cluster.messages import LOCAL, Settings
from nas.executors.executor import Executor
from nas.executors.packing import sharing_at_first
from nas.loggers import check_loggers
from nas.loggers.feed import logging_to
from nas.loop.loop import Loop
from nas.loop.past import none_succeeded, say_changes
from nas.loop.plan import Plan
from nas.loop.progress import shown
from nas.loop.status import Watcher
from nas.options.option import marked
from nas.options.search import Search
from nas.ranking.objectives import parse_objectives
from nas.ranking.run_ranking import standings_of, sureness
from nas.ranking.standings import Standing
from nas.runs.folder import LAST, RunFolder
from nas.runs.job import Kind
from nas.runs.own import Loss, Metric, Own, OwnTrainer, metric_in
from nas.runs.settings import versions
from nas.runs.storage import Storage, place_of
from nas.strategies import make_strategy
from nas.strategies.strategy import Started, Strategy
from nas.training.recipe import Recipe, kind_on
from nas.training.worker import HOW, MakeOwnTrainer, MakeTrainer, check_pass
from search_spaces import Space
from search_spaces import load as load_space


class Session:
    """A search made ready: everything is checked before anything is trained or written."""

    def __init__(
        self,
        options: Search,
        dataset: Dataset | None = None,
        *,
        source: Source | None = None,
        space: Space | None = None,
        own: Own | None = None,
    ):
        options.check()
        if options.until_sure is not None and (options.seeds or 0) > LOOKS[-1]:
            raise NasError(f"--seeds is {options.seeds}, at most {LOOKS[-1]} is expected with --until-sure")
        self.options, self.source, self.own = options, source, own
        self.objectives = parse_objectives(options.objective, metric_in(own))
        self.place = None if options.storage is None else place_of(options.storage)
        self.device, self.devices = find_device(options.device) if options.ray is None else ray_device(options)
        data = source or options.data
        self.dataset = dataset or load_data(data, options.data_dir, options.seed, options.images, self.device)
        check_own(own, options, self.dataset)
        declared = space or load_space(options.space)
        if own is not None and own.model is not None:
            self.space = space_of(own.model, declared)
            if own.trainer is None:
                check_pass(own.model, self.dataset, self.dataset.classes if own.loss is None else None)
        else:
            self.space = bind(declared, options, self.dataset)
        self.budget = budget_band(self.space, options)
        asked = {name: getattr(options, name) for name in marked(Search, "recipe")}
        self.recipe = Recipe.for_dataset(self.dataset, **asked)
        self.first = [starting(name, self.space, self.budget) for name in options.start]
        names = ["given" if name.startswith("{") else name for name in options.start]  # a JSON text
        self.started = {each.id: name for each, name in zip(self.first, names, strict=True)}
        self.plan = Plan(
            trials=options.trials,
            epochs=self.recipe.epochs,
            lr=self.recipe.lr,
            seed=options.seed,
            rungs=self._rungs(),
            eta=options.eta,
            grace=options.grace,
            order=options.order if metric_in(own).is_accuracy or "order" in options.given else "accuracy",
            minutes=options.minutes,
            top=options.top,
            seeds=options.seeds or (default_seeds(self.dataset) if options.until_sure is None else LOOKS[-1]),
            until_sure=options.until_sure,
            within=options.within / 100,
            objectives=self.objectives,
            start=self.started,
            kind=self.kind,
            retry_failed=options.retry_failed,
        )
        objectives = self.plan.searched
        made = make_strategy(options.strategy, self.space, self.budget, seed=options.seed, objectives=objectives)
        self.strategy: Strategy = Started(made, self.first)
        self.complaint = ""  # about trainings of the search that could not be brought to an end
        check_loggers(options.log)
        if options.until_sure is not None and self.dataset.judge is None:
            raise NasError(
                "--until-sure takes examples that judge: a class of the data has too few, or the run is older"
            )

    @classmethod
    def of(
        cls, asked: Search, *, source: Source | None = None, space: Space | None = None, own: Own | None = None
    ) -> Session:
        """The session of what was asked for, or of its run that goes on. Raises NasError as `resumed` does.

        Data and a space may be given themselves, in place of their names.
        """
        return cls(*resumed(asked, source), source=source, space=space, own=own)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What run.json keeps: everything needed to repeat the run."""
        options, space = self.options, self.space.facts()
        return {
            "space": {name: space[name] for name in ("name", "bias", "families")}
            | space["sizes"]
            | {name: space[name] for name in ("forms", "weights") if space[name]},
            "data": self.dataset.facts() | {"mean": list(self.dataset.mean), "std": list(self.dataset.std)},
            "recipe": self.recipe.to_json(),
            "budget": vars(self.budget),
            **options.kept("what"),
            **self._halving,
            **options.kept("how"),
            "seeds": self.plan.seeds,
            "device": self.device,
            "workers": self.workers,
            "storage": self.place,
            "space_file": str(Path(options.space).resolve()) if options.space.endswith(".py") else None,
            "data_path": path_text(self.source or options.data),
            "versions": versions(),
            "inputs": preprocessing(self.dataset).to_json(),
        } | (
            ({"start": list(options.start), "started": self.started} if options.start else {})
            | ({} if self.own is None else {"own": self.own.to_json()})
        )

    def _rungs(self) -> tuple[int, ...]:
        """Where candidates are compared: nowhere, with an objective that is not known before a training's end."""
        options, epochs = self.options, self.recipe.epochs
        if not options.prune or any(objective.name in ("latency", "seconds") for objective in self.objectives):
            return ()
        asked = tuple(sorted(set(options.rungs)))
        if asked and not (asked[0] >= 1 and asked[-1] < epochs):
            raise NasError(f"--rungs is {','.join(map(str, asked))}; epochs from 1 to {epochs - 1} are expected")
        return asked or rungs(epochs)

    @property
    def _halving(self) -> dict[str, Any]:
        """How weak candidates are stopped; what is as it always was before there were others is left out."""
        now = {"eta": self.plan.eta, "grace": self.plan.grace, "order": self.plan.order}
        before = halving_before(self.objectives)
        return {"rungs": list(self.plan.rungs)} | {name: now[name] for name in now if now[name] != before[name]}

    @cached_property
    def name(self) -> str:
        """The run's name: as asked, or made of space, data and a hash; data may have been called otherwise before."""
        if self.options.run:
            return self.options.run
        space, given = self.space.name, GIVEN if self.source else self.options.data
        place = place_of_data(self.source or given) or Path(given)
        data = re.sub(r"[^A-Za-z0-9_-]+", "-", place.stem) or "data"
        root, like = self.options.runs_dir, rf"{re.escape(space)}-.+"
        return RunFolder.name_for(root, f"{space}-{data}", self.settings, Search.may_differ(), like=like)

    @property
    def workers(self) -> int:
        """How many worker processes train; with 0 this process does, or as many as a Ray cluster has room for."""
        if self.options.ray is not None and self.options.ray != LOCAL:
            return self.options.workers or 0
        return worker_count(self.options.workers, self.device, self.devices)

    @property
    def kind(self) -> Kind:
        """What is trained on; of a cluster's GPUs it is assumed that they have TF32."""
        asked = self.options.precision
        if self.device == "cuda" and self.options.ray not in (None, LOCAL) and asked == "auto":
            return Kind("cuda", "tf32")
        return kind_on(self.device, asked)

    def executor(self, run: RunFolder, storage: Storage | None, watcher: Watcher) -> Executor:
        """Local worker processes, this process, or a Ray cluster; they keep trainings under way in a storage."""
        latency = any(objective.name == "latency" for objective in self.objectives)
        if (own := self.own) is not None and own.trainer is not None:
            made = MakeOwnTrainer(self.dataset, own.trainer, metric_in(own), self.device, self.devices)
            return local_executor(made, self.options.workers)
        how = {name: getattr(self.options, name) for name in HOW}
        make = MakeTrainer(
            self.dataset, self.recipe, self.device, self.devices, storage=storage, latency=latency, own=own, **how
        )
        if self.options.ray is None:
            return local_executor(make, self.options.workers)
        from nas.executors.cluster.workers import RayWorkers

        settings = Settings(self.options.ray, self.workers, cores(), self.device, self.options.gpus_per_trial)
        if self.options.ray == LOCAL:
            settings = replace(settings, sharing=sharing_at_first(self.workers, self.devices))
        settings = replace(settings, bundle=bundle_of(make))
        return RayWorkers(replace(make, devices=1), settings, say=watcher.say, log=run.path / "ray.log")

    def share(self) -> float:
        """The estimated share of the space that is within the budget."""
        return self.space.share(self.budget, Random(self.options.seed))

    @property
    def widening(self) -> str:
        """The options that would widen a default budget which leaves next to nothing of the space; else empty."""
        return widening(self.space, self.options, self.share())

    def open_run(self) -> RunFolder:
        """The run directory, locked for this search."""
        run = RunFolder.create_or_open(self.options.runs_dir, self.name, self.settings, may_differ=Search.may_differ())
        own = {name: value for name, value in self.settings.items() if name in Search.may_differ()}
        own = {name: value for name, value in own.items() if name not in ("command", "versions", "inputs")}
        looked = self.options.until_sure or sureness(run)  # finals that were looked at stay so
        run.keep(LAST, own | {"workers": self.options.workers, "until_sure": looked})
        return run

    def run(self, watcher: Watcher, run: RunFolder) -> list[Standing]:
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
            search = Loop(self.space, self.strategy, executor, run, self.plan, storage=storage)
            search.tune(watcher)
            if search.lr is not None:
                search.explore(watcher)
                if search.exhausted:
                    watcher.say(f"every architecture of space {self.space.name!r} within the budget has been tried")
                self._say_finalists(search, watcher)
                search.finals(watcher, self.dataset.noun)
                search.other_rates(watcher)
            self.complaint = search.trainings.complaint or none_succeeded(run.results())
            if self.complaint:
                watcher.say(self.complaint)
        if storage is not None and not search.trainings.unfinished:
            storage.tidy(self.plan.epochs)
        return self._standings(run)

    def _standings(self, run: RunFolder) -> list[Standing]:
        return standings_of(run.results(), run, self.objectives, self.started)

    def _say_finalists(self, search: Loop, watcher: Watcher) -> None:
        """Says how many there are, where they are fewer than was asked for, and what finals to come can tell."""
        chosen, judge, noun = search.chosen(), self.dataset.judge, self.dataset.noun
        begun = any(result.phase == "final" for result in search.results.values())
        if judge is not None and self.plan.metric.is_accuracy and chosen and not begun and (score := chosen[0].score):
            for line in before_finals(1 - score.accuracy, len(judge), self.plan.seeds, noun):
                watcher.say(line)
        if len(chosen) < self.plan.top:
            why = "the front has no more" if len(self.objectives) > 1 else "no more have come to a score"
            watcher.say(f"finals: {counted(len(chosen), 'network')}, not {self.plan.top}: {why}, references apart")

    def _check_latencies(self, run: RunFolder) -> None:
        measured = {run.kind_of(result).device for result in run.results() if result.latency is not None}
        if measured - {self.device} and any(objective.name == "latency" for objective in self.objectives):
            (other, *_) = sorted(measured - {self.device})
            raise NasError(
                f"run {run.name!r} measured latencies on {other}, this would be on {self.device}: "
                f"go on with --device {other}, or choose another --run"
            )


def search(
    asked: Search | None = None,
    *,
    metric: Metric | None = None,
    loss: Loss | None = None,
    trainer: OwnTrainer | None = None,
    model: Callable[[], Any] | None = None,
    watcher: Watcher | None = None,
    quiet: bool = False,
    **options: Any,
) -> Run:
    """Searches a space, or goes on with a run, as `nas search` does; options are those of `options.Search`.

    `space` may be a `Space` itself, `data` arrays `(x, y)` or by the names that an .npz has them, a torch `Dataset` or
    one of Hugging Face's, and `start` may hold an `Architecture`. A `metric` of your own takes the place of accuracy, a
    `loss` that of cross-entropy, a `trainer` that of all of training (docs/own_code.md); then `y` may be targets to be
    predicted. A `model` is a function that makes one of your own, of which the slots are searched (`einmix.slots`).
    It shows its progress on stderr, or to a `watcher`; `quiet` asks for nothing of it.
    Raises NasError and SpaceError for what cannot be, and NasError where every training failed.

    >>> run = search(space="local", data="digits", trials=8, epochs=4)  # doctest: +SKIP
    >>> run.best.accuracy, str(run.best.architecture.mixers[0])  # doctest: +SKIP
    >>> [reference.accuracy for reference in run.references]  # doctest: +SKIP
    """
    source, space = None, None
    own = Own(metric, loss, trainer, model) if metric or loss or trainer or model else None
    if not isinstance(options.get("data"), str | Path | None):
        source = given(options.pop("data"), targets=own is not None)
    if isinstance(options.get("space"), Space):
        space = options.pop("space")
    if "start" in options:
        starts = [options["start"]] if isinstance(options["start"], str | Architecture) else options["start"]
        options["start"] = tuple(each.to_json() if isinstance(each, Architecture) else each for each in starts)
    wanted = Search.of(options, asked)
    if wanted.ray is None:
        warm_up(wanted.device, wanted.workers)
    session = Session.of(wanted, source=source, space=space, own=own)
    with session.open_run() as folder, shown(watcher, quiet) as watching:
        for note in session.dataset.notes:
            watching.say(note)
        standings = session.run(watching, folder)
        saved = SavedRun(folder, folder.results())
        if told := none_succeeded(saved.results):
            raise NasError(f"run {folder.name!r}: {told}")
        if standings and wanted.report and own in (None, Own(model=model)):
            from nas.api.report import written_or_told  # after the work: a search begins without its imports

            written_or_told(saved, watching.say)
    return Run(SavedRun.open(folder.path.parent, folder.name, source))
