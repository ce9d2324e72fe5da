"""`benchmarks/table_peers.py`: what others' searches see, pay and choose on a small table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_table import NETWORKS
from table_peers import PEERS, Search, is_installed

from nas.errors import NasError
from nas.tabular.replay import Half, Recorded
from nas.tabular.table import Table


def search_of(path: Path, half: Half = "whole", seed: int = 0, trials: int = 100) -> tuple[Search, Recorded]:
    recorded = Recorded(Table.read(path), 0.01, half)
    return Search(recorded, seed, trials), recorded


@pytest.mark.parametrize("name", [name for name in PEERS if is_installed(name)])
@pytest.mark.parametrize("half", ["whole", "tuning"])
def test_a_peer_chooses_ever_better_networks_of_the_table(name: str, half: Half, path: Path):
    recorded = Recorded(Table.read(path), 0.01, half)
    steps = PEERS[name](recorded, 1, 15)
    jobs = search_of(path, half, seed=1)[0].jobs.values()
    least = min(recorded.true_losses.values())
    loss_of = {recorded.true_losses[job.id] - least: recorded.score(job, 2).loss for job in jobs}
    losses = [loss_of[step.regret] for step in steps]  # by which it chose
    assert losses and losses == sorted(set(losses), reverse=True)
    assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)
    assert steps[0].seconds > 0 and steps[-1].seconds <= sum(map(recorded.seconds, jobs)) + 1e-6
    assert PEERS[name](recorded, 1, 15) == steps


def test_random_draws_find_what_the_seed_has_best(path: Path):
    recorded = Recorded(Table.read(path), 0.01)
    for seed in (0, 1):
        search, _ = search_of(path, seed=seed)
        best = min(search.jobs.values(), key=lambda job: recorded.score(job, 2).loss)
        steps = PEERS["optuna random"](recorded, seed, 5000)
        assert steps[-1].regret == recorded.true_losses[best.id] - min(recorded.true_losses.values())


def test_epochs_are_paid_once(path: Path):
    search, recorded = search_of(path)
    job = search.begin({name: texts[0] for name, texts in search.choices.items()})
    assert job is not None
    assert [score.epoch for score in search.train(job, 1)] == [1]
    assert not search.steps
    assert [score.epoch for score in search.train(job)] == [1, 2]
    assert list(search.train(job))[-1] == recorded.score(job, 2)
    (step,) = search.steps
    assert step.seconds == pytest.approx(recorded.seconds(job))


def test_half_a_table_is_seen_as_the_whole_space(path: Path):
    whole, _ = search_of(path)
    search, recorded = search_of(path, "reporting", trials=NETWORKS)
    assert search.choices == whole.choices
    begun = [search.begin(dict(zip(search.choices, factors, strict=True))) for factors in whole.jobs]
    assert {job.id for job in begun if job is not None} == recorded.true_losses.keys()
    assert len(recorded.true_losses) < NETWORKS
    assert not search.is_over  # what it does not have was no trial


@pytest.mark.parametrize(("trials", "trained"), [(NETWORKS, False), (1000, True)])
def test_a_search_is_over_with_its_trials_or_with_the_best(trials: int, trained: bool, path: Path):
    search, _ = search_of(path, trials=trials)
    for factors, job in search.jobs.items():
        assert not search.is_over or trained
        search.begin(dict(zip(search.choices, factors, strict=True)))
        if trained:
            list(search.train(job))
    assert search.is_over


def test_who_misses_a_library_is_told_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch):
    recorded = Recorded(Table.read(path), 0.01)
    for module in ("neps", "syne_tune"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NasError, match=r"pip install neural-pipeline-search$"):
        PEERS["neps hyperband"](recorded, 0, 1)
    with pytest.raises(NasError, match=r"pip install syne-tune$"):
        PEERS["syne-tune asha"](recorded, 0, 1)
