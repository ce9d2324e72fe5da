"""A run as an Optuna study, for optuna-dashboard and for whatever else reads studies."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

from einmix.networks.architecture import Slotted
from einmix.networks.summary import einmix_line
from nas.api.saved import SavedRun
from nas.errors import NasError, one_line
from nas.ranking.objectives import Objective, quality
from nas.ranking.standings import Standing, ranked
from nas.ranking.words import accuracy
from nas.runs.job import Score
from nas.runs.result import Result
from nas.strategies.tpe import parameters
from search_spaces import SpaceError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

OF = "einmix-nas run"
"""The user attribute of a study that says which run it is."""


def study(saved: SavedRun, storage: str | BaseStorage) -> Study:
    """Writes the study of a run, under its name: every candidate is a trial, in the order in which they ended.

    A trial has the questions of the space as parameters, the figures at the rungs as intermediate values, and the
    network's texts, with what finals found, as user attributes. The study of the same run is written anew.
    Raises NasError where it cannot be, or another study has the name.
    """
    import optuna

    name, run = saved.name, f"{saved.name} of {saved.folder.created}"
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        held = optuna.storages.get_storage(storage)
        names = {each.study_name for each in optuna.get_all_study_summaries(held, include_best_trial=False)}
        if name in names:
            if optuna.load_study(study_name=name, storage=held).user_attrs.get(OF) != run:
                raise NasError(f"{shown(storage)} has a study {name!r} that is not of this run: choose another place")
            optuna.delete_study(study_name=name, storage=held)
        directions = [_direction(saved, objective) for objective in saved.objectives]
        made = optuna.create_study(study_name=name, storage=held, directions=directions)
        made.set_user_attr(OF, run)
        made.set_user_attr("references", {s.label: accuracy(s) for s in saved.standings if s.is_reference})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made.set_metric_names([_name(saved, objective) for objective in saved.objectives])
        made.add_trials(_trials(saved))
    except NasError:
        raise
    except Exception as error:  # what SQLAlchemy, its drivers and Optuna raise has no common kind
        reason = one_line(str(error)) or type(error).__name__
        raise NasError(f"cannot write a study to {shown(storage)}: {shown(reason)[:300]}") from error
    finally:
        optuna.logging.set_verbosity(said)
    return made


def shown(storage: object) -> str:
    """A storage in words, without the user and the password that its URL may hold.

    >>> shown("mysql://me:secret@host/db")
    'mysql://…@host/db'
    """
    return re.sub(r"://[^/\s]*@", "://…@", one_line(str(storage)))


def _trials(saved: SavedRun) -> list[FrozenTrial]:
    places = {standing.id: (place, standing) for place, standing in ranked(saved.standings)}
    searched = {result.id: result for result in saved.results if result.phase == "search"}  # the last one counts
    return [_trial(saved, result, *places[id]) for id, result in searched.items() if id in places]


def _trial(saved: SavedRun, result: Result, place: int | None, standing: Standing) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    objectives, attributes = saved.objectives, _attributes(saved, result, place, standing)
    main = Objective(quality(objectives))
    rungs = {score.epoch: _value(saved, result, score, main) for score in result.scores}
    facts: dict[str, Any] = {"state": TrialState.FAIL, "user_attrs": attributes, "intermediate_values": rungs}
    if len(objectives) > 1:
        del facts["intermediate_values"]  # Optuna has them for one objective
    if result.score is not None and result.state != "failed":
        facts["state"] = TrialState.PRUNED if result.state == "pruned" else TrialState.COMPLETE
        if all(objective.known(result) for objective in objectives):
            facts["values"] = [_value(saved, result, result.score, objective) for objective in objectives]
    try:
        if isinstance(standing.architecture, Slotted):
            raise SpaceError("the slots of a model, which made them, are not kept")
        params, distributions = parameters(saved.space, standing.architecture)
    except SpaceError:  # the search began with it, or its space was another one then
        params, distributions = {}, {}
    return create_trial(params=params, distributions=distributions, **facts)


def _attributes(saved: SavedRun, result: Result, place: int | None, standing: Standing) -> dict[str, Any]:
    network = standing.architecture
    told: dict[str, Any] = {
        "network": result.id,
        "rank": place,
        "name": standing.name,
        "mixers": [str(mixer) for mixer in network.mixers],
        "einmix": [einmix_line(mixer) for mixer in network.mixers],
        "architecture": network.to_json(),
        "params": result.params,
        "macs": result.macs,
        "lr": result.lr,
        "seed": result.seed,
        "seconds": result.seconds,
        "reason": one_line(result.reason),
    }
    if standing.finals:
        told |= {f"final_{saved.metric.name}": standing.figure, "final_n": standing.n}
        told |= {"final_std": standing.std, "gain": standing.gain and standing.gain.row()}
    return {name: value for name, value in told.items() if value not in (None, "")}


def _value(saved: SavedRun, result: Result, score: Score, objective: Objective) -> float:
    value = objective.of(result, score)
    return saved.metric.figure(value) if objective.name == "accuracy" else value


def _direction(saved: SavedRun, objective: Objective) -> Literal["maximize", "minimize"]:
    if objective.name == "accuracy":
        return "maximize" if saved.metric.better == "higher" else "minimize"
    return objective.direction


def _name(saved: SavedRun, objective: Objective) -> str:
    return saved.metric.name if objective.name == "accuracy" else objective.name
