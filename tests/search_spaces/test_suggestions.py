"""Networks and mixers from the trials of a real Optuna study."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from random import Random

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from einmix import Architecture
from search_spaces import SPACES, BoundSpace, Budget, Family, SpaceError, load, suggest, suggest_mixer
from search_spaces.bound.part import Part
from search_spaces.suggestions import FAMILIES

optuna.logging.set_verbosity(optuna.logging.ERROR)

SHAPES = {"t": {"t": 12}, "h w": {"h": 8, "w": 12}, "d h w": {"d": 4, "h": 4, "w": 8}}
ON_DATA = {
    f"{name} on {axes}": space.on(shape, channels=1, classes=10)
    for name, space in SPACES.items()
    for axes, shape in SHAPES.items()
}


def tiny(name: str = "local") -> BoundSpace:
    return load(name).on({"h": 8, "w": 8}, channels=1, classes=10, patch=(2,), width=(8,), depth=(1,), ratio=(1,))


def states(study: optuna.Study) -> dict[str, int]:
    names = [trial.state.name for trial in study.trials]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.parametrize("case", ON_DATA)
@settings(max_examples=5)
@given(data=st.data())
def test_a_question_has_the_same_choices_whenever_it_is_asked(case: str, data: st.DataObject) -> None:
    """Optuna refuses a parameter whose choices change in a study."""
    asked: dict[str, tuple[str, ...]] = {}

    def ask(name: str, options: Sequence[str]) -> str:
        assert asked.setdefault(name, tuple(options)) == tuple(options)
        assert len(options) > 1 and len(set(options)) == len(options)
        return data.draw(st.sampled_from(options))

    for _ in range(3):
        ON_DATA[case].choose(ask)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8)
@given(data=st.data())
def test_so_have_those_of_a_mixer(family: str, data: st.DataObject) -> None:
    asked: dict[str, tuple[str, ...]] = {}

    class Trial:
        def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
            assert asked.setdefault(name, tuple(choices)) == tuple(choices) and len(choices) > 1
            return data.draw(st.sampled_from(choices))

        def set_user_attr(self, key: str, value: object) -> None:
            raise AssertionError("a mixer is one of several")

    for h in (4, 6, 7):
        mixer = suggest_mixer(Trial(), "tokens", h=h, w=8, c=12, family=family)
        assert mixer.inputs == mixer.outputs == {"h": h, "w": 8, "c": 12} and mixer.bias


@pytest.mark.parametrize("sampler", [optuna.samplers.RandomSampler, optuna.samplers.TPESampler])
def test_a_study_tries_each_network_once_and_only_within_the_budget(
    sampler: type[optuna.samplers.BaseSampler], tmp_path: Path
) -> None:
    space, budget, tried = load("macro").on({"h": 8, "w": 8}, channels=1, classes=10), Budget(max_params=200_000), []

    def objective(trial: optuna.Trial) -> float:
        network = suggest(trial, space, budget)
        tried.append(network)
        return network.params

    study = optuna.create_study(sampler=sampler(seed=0))
    study.optimize(objective, n_trials=16)
    assert len({each.id for each in tried}) == len(tried) == states(study)["COMPLETE"]
    assert all(budget.admits(each.params, each.macs) and each in space for each in tried)
    refused = [trial.user_attrs["refused"] for trial in study.trials if trial.state.name == "PRUNED"]
    assert len(refused) == 16 - len(tried) > 0 and any("200,000 parameters" in why for why in refused)
    kept = study.best_trial.user_attrs
    best = Architecture.from_json(kept["architecture"])
    assert (best.id, best.params, best.macs) == (kept["network"], kept["params"], kept["macs"])
    assert suggest(study.best_trial, space) == best  # a finished trial gives its network again
    assert suggest(optuna.trial.FixedTrial(study.best_params), space) == best


def test_a_small_space_runs_out_and_what_failed_may_be_tried_again() -> None:
    space, fails = tiny(), 3

    def objective(trial: optuna.Trial) -> float:
        network = suggest(trial, space)
        if sum(each.state.name == "FAIL" for each in trial.study.trials) < fails:
            raise ValueError("no luck")
        return network.params

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=250, catch=ValueError)
    assert states(study) == {"COMPLETE": space.count(), "FAIL": fails, "PRUNED": 250 - fails - space.count()}
    refused = " ".join(trial.user_attrs.get("refused", "") for trial in study.trials)
    assert "is that of trial" in refused and "mixes nothing along an axis, so space 'local' leaves it out" in refused


def test_of_two_that_ask_at_once_the_first_has_the_network() -> None:
    space, study = tiny(), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    answers = next(iter(space.enumerate()))
    for _ in range(2):
        study.enqueue_trial(space.encode(answers))
    first, second = study.ask(), study.ask()
    second.set_user_attr("network", answers.id)  # as if it had been asked before the first was
    assert suggest(first, space) == answers
    with pytest.raises(optuna.TrialPruned, match=f"network {answers.id} is that of trial 0"):
        suggest(second, space)


def test_several_objectives() -> None:
    space = tiny("grouped")
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=optuna.samplers.NSGAIISampler(seed=0))
    study.optimize(lambda trial: ((network := suggest(trial, space)).params, network.macs), n_trials=12)
    assert states(study)["COMPLETE"] == space.count() and study.best_trials


@pytest.mark.parametrize("name", SPACES)
def test_a_space_may_be_sent_to_another_process(name: str) -> None:
    """Ray Tune sends what a trainable or a searcher holds."""
    space = load(name).on({"t": 8}, channels=1, classes=10, patch=(2,), width=(8,), depth=(2,))
    network = space.sample(Random(0))
    for each in (space, Part(space, [network])):
        again = pickle.loads(pickle.dumps(each))
        assert type(again) is type(each) and again.count() == each.count() and network in again
        assert again.sample(Random(1)) == each.sample(Random(1))


def test_layers_of_a_model_of_ones_own() -> None:
    def objective(trial: optuna.Trial) -> float:
        first = suggest_mixer(trial, "first", h=14, w=14, c=384, family="mixed")
        second = suggest_mixer(trial, "second", t=49, c=8, family=Family("rows", "m*", "s*"), bias=False)
        assert str(second) == "t=m49 c=s8"
        return first.params + second.params

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=10)
    assert states(study) == {"COMPLETE": 10} and all(name.startswith("first.") for name in study.best_params)


def test_what_cannot_be_asked_for() -> None:
    trial = optuna.create_study().ask()
    for wrong, words in (
        ({"family": "grupped"}, "no family 'grupped': did you mean 'grouped'? known: grouped, local,"),
        ({"family": load("macro")}, "a family is a name, a Family or a Space of families, not Space(name='macro'"),
        ({"h": 0}, "a mixer has 1 to 4 axes of positions and c, as in h=14, w=14, c=384, not {'h': 0, 'c': 8}"),
        ({"c": None}, "a mixer has 1 to 4 axes of positions and c"),
    ):
        with pytest.raises(SpaceError) as error:
            suggest_mixer(trial, "tokens", **{"h": 4, "c": 8} | wrong)  # type: ignore[arg-type]
        assert words in str(error.value)
    with pytest.raises(SpaceError, match="suggest takes a space on data"):
        suggest(trial, load("local"))  # type: ignore[arg-type]
