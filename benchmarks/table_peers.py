"""Other projects' searches on a table of record, as benchmarks/strategies.py runs them beside this project's.

Every library sees the space as a plain user would write it, one categorical choice for each axis and one for the
channels, and has its own defaults where they make sense; one worker trains. It is told what the table says of the
searcher's seed. Of two things all peers have the good:

- What was trained once is not paid again: a network that is proposed again costs nothing as far as it was trained, and
  teaches the same figures. It counts as a trial, though, even then.
- A combination that the (half of the) table has not costs nothing and is no trial: another one is asked for. Optuna is
  told that it was pruned before its first epoch (of failures it takes no notice, and TPE would ask for the same one for
  ever), but for its Gaussian process, which takes no notice of that either: there it stays at work for good. Syne Tune
  is told that it failed; NePS never hears of it, as failures would take up places of its brackets.

A search would choose the network of least validation loss among those that it has trained to the end, and is over once
that can no longer change. NePS and Syne Tune are no dependencies of this project (`pip install neural-pipeline-search
syne-tune`; Ray comes with `pip install '.[ray]'`).
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np

from nas.errors import NasError
from nas.runs.job import Job, Score
from nas.tabular.replay import Recorded, Step

PIP = {"optuna": "optuna", "ray": "'ray[tune]'", "neps": "neural-pipeline-search", "syne_tune": "syne-tune"}
"""What to install for what is imported."""


class Search:
    """One search of a peer: the space that it sees, what trainings say and cost, and what it would choose when.

    `choices` are the factors of each axis, and of the channels, `jobs` the trainings of those combinations that there
    are; `steps` is what it would have chosen so far.
    """

    def __init__(self, recorded: Recorded, seed: int, trials: int):
        self.epochs = recorded.table.declared.epochs
        self.steps: list[Step] = []
        self._recorded, self._trials, self._seconds, self._best = recorded, trials, 0.0, float("inf")
        factors = {id: answers(mixer) for id, mixer in recorded.mixers.items()}
        names = list(next(iter(factors.values())))
        self.choices = {name: sorted({each[name] for each in factors.values()}) for name in names}
        self.jobs = {
            tuple(each[name] for name in names): Job({}, id, recorded.lr, seed, self.epochs)
            for id, each in factors.items()
        }
        if len(self.jobs) < len(factors):
            raise NasError("networks of this table differ in more than the factors of their axes")
        self._trained: dict[str, int] = defaultdict(int)
        self._least = min(self._score(job, self.epochs).loss for job in self.jobs.values())

    @property
    def is_over(self) -> bool:
        """Whether all trials are spent, or nothing can be chosen any more that is better."""
        return self._trials <= 0 or self._best <= self._least

    def begin(self, chosen: dict[str, str]) -> Job | None:
        """A trial of what was chosen of each of the choices; None, and no trial, where the table does not have it."""
        job = self.jobs.get(tuple(chosen[name] for name in self.choices))
        self._trials -= job is not None
        return job

    def train(self, job: Job, until: int | None = None) -> Iterator[Score]:
        """The scores of a network from its first epoch on, each paid for when it is taken and was not yet."""
        for epoch in range(1, (until or self.epochs) + 1):
            score = self._score(job, epoch)
            if epoch > self._trained[job.id]:
                self._trained[job.id] = epoch
                self._seconds += self._recorded.seconds(job) / self.epochs
                if epoch == self.epochs and score.loss < self._best:
                    self._best = score.loss
                    self.steps.append(Step(self._seconds, self._recorded.regret(job.id), job.id))
            yield score

    def _score(self, job: Job, epoch: int) -> Score:
        """As recorded; of what failed the worst there can be, as not every library has a word for that."""
        return self._recorded.score(job, epoch) or Score(epoch, 1e6, 0.0)


def answers(mixer: str) -> dict[str, str]:
    """The factors of each axis in the text of a mixer.

    >>> answers("h=m2.s2 w=m4 c=g8.s4 +b")
    {'h': 'm2.s2', 'w': 'm4', 'c': 'g8.s4'}
    """
    return dict(word.split("=") for word in mixer.split() if "=" in word)


def imported(name: str) -> Any:
    """What is imported by a name. Raises NasError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise NasError(f"{package} cannot be imported ({error}): pip install {PIP[package]}") from None


def is_installed(peer: str) -> bool:
    """Whether there is the library of a peer, which its name begins with."""
    return find_spec(peer.partition(" ")[0].replace("-", "_")) is not None


def optuna(
    recorded: Recorded, seed: int, trials: int, *, sampler: str, pruner: str = "Nop", **options: Any
) -> list[Step]:
    """Optuna's, by ask and tell; every epoch is reported."""
    library = imported("optuna")
    library.logging.set_verbosity(library.logging.WARNING)
    search, states = Search(recorded, seed, trials), library.trial.TrialState
    study = library.create_study(
        study_name=f"{seed}",  # by which HyperbandPruner draws brackets
        sampler=getattr(library.samplers, f"{sampler}Sampler")(seed=seed),
        pruner=getattr(library.pruners, f"{pruner}Pruner")(**options),
    )
    while not search.is_over:
        trial = study.ask()
        job = search.begin({name: trial.suggest_categorical(name, texts) for name, texts in search.choices.items()})
        if job is None:
            if sampler != "GP":
                study.tell(trial, state=states.PRUNED)
            continue
        for score in search.train(job):
            trial.report(score.loss, score.epoch)
            if trial.should_prune():
                study.tell(trial, state=states.PRUNED)
                break
        else:
            study.tell(trial, score.loss)
    return search.steps


def ray(recorded: Recorded, seed: int, trials: int) -> list[Step]:
    """Ray Tune's ASHA on random draws: its scheduler decides, called as its controller calls it, without a cluster."""
    search, draw = Search(recorded, seed, trials), random.Random(seed)
    scheduler = imported("ray.tune.schedulers").ASHAScheduler(
        metric="loss", mode="min", grace_period=1, max_t=search.epochs, reduction_factor=4
    )
    number = 0
    while not search.is_over:
        job = search.begin({name: draw.choice(texts) for name, texts in search.choices.items()})
        if job is None:
            continue
        number += 1
        trial = SimpleNamespace(trial_id=f"{number}")
        scheduler.on_trial_add(None, trial)
        for score in search.train(job):
            result = {"training_iteration": score.epoch, "loss": score.loss}
            if scheduler.on_trial_result(None, trial, result) == scheduler.STOP:
                break
    return search.steps


def neps(recorded: Recorded, seed: int, trials: int, *, optimizer: str) -> list[Step]:
    """NePS's, by ask and tell: it asks for networks, and for some again with more epochs, which are trials too.

    Its own choice ("auto") is hyperband where trainings can be stopped and nobody says what is likely to be good.
    """
    library, torch = imported("neps"), imported("torch")
    load = imported("neps.optimizers").load_optimizer
    search = Search(recorded, seed, trials)
    for seeds in (random.seed, np.random.seed, torch.manual_seed):  # it draws from all three
        seeds(seed)
    named = {name: library.HPOCategorical(texts) for name, texts in search.choices.items()}
    space = library.SearchSpace(named | {"epochs": library.HPOInteger(1, search.epochs, is_fidelity=True)})
    asked = library.AskAndTell(load(optimizer, space)[0])
    while not search.is_over:
        trial = asked.ask()
        job = search.begin({name: trial.config[name] for name in search.choices})
        if job is None:
            del asked.trials[trial.id]
            continue
        *_, last = search.train(job, trial.config["epochs"])
        asked.tell(trial, last.loss)
    return search.steps


def syne_tune(recorded: Recorded, seed: int, trials: int, *, scheduler: str) -> list[Step]:
    """Syne Tune's: its scheduler suggests and decides, called as its Tuner calls it."""
    logging.getLogger("syne_tune").setLevel(logging.ERROR)  # it warns of every failure
    choice = imported("syne_tune.config_space").choice
    suggested = imported("syne_tune.backend.trial_status").Trial
    stop = imported("syne_tune.optimizer.scheduler").SchedulerDecision.STOP
    search = Search(recorded, seed, trials)
    np.random.seed(seed)  # some of its searchers draw from it
    its = getattr(imported("syne_tune.optimizer.baselines"), scheduler)(
        config_space={name: choice(texts) for name, texts in search.choices.items()},
        metric="loss",
        time_attr="epoch",
        max_t=search.epochs,
        random_seed=seed,
    )
    number = 0
    while not search.is_over:
        trial = suggested(number, its.suggest().config, datetime.now())
        number += 1
        its.on_trial_add(trial)
        job = search.begin(trial.config)
        if job is None:
            its.on_trial_error(trial)
            continue
        for score in search.train(job):
            if its.on_trial_result(trial, {"epoch": score.epoch, "loss": score.loss}) == stop:
                break
        its.on_trial_remove(trial)
    return search.steps


def hyperband(recorded: Recorded, seed: int, trials: int) -> list[Step]:
    """Optuna's TPE with its Hyperband."""
    most = recorded.table.declared.epochs
    options = {"min_resource": 1, "max_resource": most, "reduction_factor": 3}
    return optuna(recorded, seed, trials, sampler="TPE", pruner="Hyperband", **options)


PEERS: dict[str, Callable[[Recorded, int, int], list[Step]]] = {
    "optuna tpe + hyperband": hyperband,
    "optuna tpe + asha": partial(optuna, sampler="TPE", pruner="SuccessiveHalving", min_resource=1, reduction_factor=4),
    "optuna gp": partial(optuna, sampler="GP"),
    "optuna nsga2": partial(optuna, sampler="NSGAII"),
    "optuna random": partial(optuna, sampler="Random"),
    "ray asha": ray,
    "neps hyperband": partial(neps, optimizer="hyperband"),
    "neps priorband": partial(neps, optimizer="priorband"),
    "syne-tune asha": partial(syne_tune, scheduler="ASHA"),
    "syne-tune bohb": partial(syne_tune, scheduler="BOHB"),
    "syne-tune asha + cqr": partial(syne_tune, scheduler="ASHACQR"),
}
"""By name what searches the recorded table, with a seed, for so many trials, and says when it would choose what."""
