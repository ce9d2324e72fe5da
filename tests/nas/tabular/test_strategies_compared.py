"""`benchmarks/strategies.py`: what searches cost on a small table, by hand where that can be said."""

from __future__ import annotations

from itertools import permutations
from math import inf, log
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pool
import pytest
import strategies
from scipy.stats import spearmanr
from strategies import QUICK, SEARCHES, at_random, correlations, cost, curves, may_run
from table_peers import Search

from nas.surrogate.features import features
from nas.tabular.replay import Half, Recorded
from nas.tabular.table import Table


def test_those_of_the_quick_form_need_nothing_installed():
    assert set(QUICK) <= SEARCHES.keys() and all(map(may_run, QUICK))


@pytest.mark.parametrize("half", ["whole", "tuning"])
@pytest.mark.parametrize("seed", [0, 1, 5])
def test_the_largest_first_costs_what_comes_before_the_best(half: Half, seed: int, path: Path):
    recorded = Recorded(Table.read(path), 0.01, half)
    jobs = Search(recorded, seed, 0).jobs.values()
    params = {network.id: network.params for network in recorded.space.enumerate()}
    order = sorted(jobs, key=lambda job: -params[job.id])
    losses = [recorded.score(job, 2).loss for job in order]
    spent = sum(map(recorded.seconds, order[: losses.index(min(losses)) + 1]))
    reached, by_others, regret = cost("largest first", path, 0.01, half, seed)
    unit = fmean(map(recorded.seconds, jobs))
    assert reached == pytest.approx(spent / unit)
    other = Recorded(Table.read(path), 0.01, half, seed=1 - seed % 2)
    best = min(other.true_losses.values())  # of so few networks one is 5%
    chosen = [at for at, loss in enumerate(losses) if loss < min([*losses[:at], inf])]
    kept = [at for at in chosen if all(other.true_losses[order[each].id] == best for each in chosen if each >= at)]
    wanted = sum(map(recorded.seconds, order[: kept[0] + 1])) / unit if kept else inf
    assert by_others == pytest.approx(wanted)
    assert regret == recorded.regret(order[losses.index(min(losses))].id)


@pytest.mark.parametrize(("of", "best"), [(1, 1), (6, 1), (6, 2), (7, 3), (7, 7)])
def test_uniform_draws_are_counted(of: int, best: int):
    """By all orders."""
    first = sorted(min(order.index(each) for each in range(best)) + 1 for order in permutations(range(of)))
    assert at_random(of, best) == first[(len(first) - 1) // 2]


@pytest.mark.parametrize("name", ["surrogate", "random, no rungs", "one epoch of all, then the best"])
def test_every_search_pays_before_it_has_the_best(name: str, path: Path):
    reached, by_others, regret = cost(name, path, 0.01, "tuning", 0)
    assert reached >= 1 and by_others >= 1 and 0 <= regret < 1


def ends(path: Path, seed: int, epochs: int = 2) -> list[float]:
    """The validation losses after so many of the two epochs, network by network."""
    table = Table.read(path)
    by_id = {key.id: cell.losses["validation"][epochs - 1] for key, cell in table.cells.items() if key.seed == seed}
    return [by_id[id] for id in table.networks]


def test_orders_are_held_against_those_of_the_other_seeds(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(strategies, "ORDERS", {"half": (0.5, 1), "all": (1, 2)})
    monkeypatch.setattr(strategies, "DRAWS", 2)
    table = Table.read(path)
    found = correlations(table, "whole")
    between = spearmanr(ends(path, 0), ends(path, 1)).statistic
    assert found.keys() == {"half", "all"}
    for pairs in found.values():
        assert pairs.shape == (2 * 2, 2) and (np.abs(pairs) <= 1).all()  # seeds and draws, at one rate
        np.testing.assert_allclose(pairs[:, 1], between)  # of two seeds each is the other's truth
    (one, same, *_) = found["all"][:, 0]
    assert one == pytest.approx(same)  # nothing is drawn where all are seen

    monkeypatch.setattr(strategies, "EPOCHS", (1, 2))
    by_epoch = curves(table, "whole")
    early = [spearmanr(ends(path, seed, epochs=1), ends(path, 1 - seed)).statistic for seed in (0, 1)]
    assert by_epoch.shape == (2, 3)
    assert by_epoch[:, 0] == pytest.approx([fmean(early), between])


def test_a_pool_is_ordered_by_those_that_were_seen(path: Path):
    networks = Table.read(path).networks
    known = [features(each) for each in networks.values()]
    losses = np.array([log(2 + each["positions mixed"] + each["c grouped"] / 10) for each in known])
    process, trees = pool.predicted(SimpleNamespace(networks=networks, logs=losses[:, None, None]), 12)
    assert process > 0.5 and trees > 0.2
