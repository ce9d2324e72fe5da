"""A run as an Optuna study: loaded by Optuna, and shown by optuna-dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.trial import TrialState
from optuna_dashboard import wsgi
from searches import Noting

import nas
from einmix import Architecture
from nas.api.search import Session
from nas.errors import NasError
from nas.executors.serial import Serial
from nas.options.search import Search
from search_spaces import load, suggest

SMALL: dict[str, Any] = {"space": "local", "strategy": "random", "trials": 6, "epochs": 8, "lr": 0.01, "width": (8,)}
SMALL |= {"depth": (1, 2), "top": 1, "seeds": 2, "images": 100, "workers": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nas.Run]:
    """A run of stub trainings, in which the first network fails."""
    folder = tmp_path_factory.mktemp("runs")
    first = Session(Search(**SMALL)).strategy.ask()
    assert first is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.api.search.local_executor", lambda *_: Serial(Noting(folder / "log", {first.id: "raise"})))
        yield nas.search(Search(**SMALL), run="x", runs_dir=folder, quiet=True)


def test_every_candidate_is_a_trial_with_all_that_is_known_of_it(run: nas.Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    run.study(url)
    study = optuna.load_study(study_name="x", storage=url)
    searched = {result.id: result for result in run.saved.results if result.phase == "search"}
    assert [trial.user_attrs["network"] for trial in study.trials] == [*searched]
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    assert {trial.state for trial in study.trials} == {*states.values()}
    space = load("local").on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,), depth=(1, 2))
    for trial, result in zip(study.trials, searched.values(), strict=True):
        assert trial.state == states[result.state]
        assert trial.intermediate_values == {score.epoch: score.accuracy for score in result.scores}
        if result.score is not None and result.state != "failed":
            assert trial.value == result.score.accuracy
        network = Architecture.from_json(trial.user_attrs["architecture"])
        assert network.id == result.id and suggest(optuna.trial.FixedTrial(trial.params), space) == network
        assert trial.user_attrs["mixers"] == [str(mixer) for mixer in network.mixers]
        assert all(line.startswith("Mix(") for line in trial.user_attrs["einmix"])
    best = next(trial for trial in study.trials if trial.user_attrs.get("rank") == 1)
    assert best.user_attrs["final_accuracy"] == run.best.accuracy and best.user_attrs["final_n"] == 2
    assert study.direction.name == "MAXIMIZE" and study.metric_names == ["accuracy"]
    assert study.user_attrs["references"].keys() == {"full token mixing", "channels only", "shared local"}


def test_the_dashboard_opens_it(run: nas.Run) -> None:
    storage = optuna.storages.InMemoryStorage()
    made = run.study(storage)

    def get(path: str) -> Any:
        environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
        setup_testing_defaults(environ)
        said: list[str] = []
        body = b"".join(wsgi(storage)(environ, lambda status, *_: said.append(status)))
        assert said == ["200 OK"]
        return json.loads(body)

    assert [each["study_name"] for each in get("/api/studies")["study_summaries"]] == ["x"]
    assert len(get(f"/api/studies/{made._study_id}")["trials"]) == 6


def test_it_is_written_anew_but_never_over_another_study(run: nas.Run) -> None:
    place, other = optuna.storages.InMemoryStorage(), optuna.storages.InMemoryStorage()
    assert len(run.study(place).trials) == len(run.study(place).trials) == 6
    optuna.create_study(study_name="x", storage=other)
    with pytest.raises(NasError, match=r"InMemoryStorage.* has a study 'x' that is not of this run: choose"):
        run.study(other)
    with pytest.raises(NasError, match=r"^cannot write a study to sqlite:////no/such/x\.db: .*unable to open database"):
        run.study("sqlite:////no/such/x.db")
    with pytest.raises(NasError, match=r"^cannot write a study to nosql://…@host: [^\n]*$") as told:
        run.study("nosql://me:secret@host")
    assert "secret" not in str(told.value)


def test_several_objectives(run: nas.Run) -> None:
    run.saved.folder.settings["objective"] = "accuracy,macs"
    made = nas.Run(run.saved.again()).study(optuna.storages.InMemoryStorage())
    run.saved.folder.settings["objective"] = "accuracy"
    assert [each.name for each in made.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert made.metric_names == ["accuracy", "macs"] and made.best_trials
