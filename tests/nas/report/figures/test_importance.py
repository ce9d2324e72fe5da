"""What choices explain: against group means and least squares worked out by hand, and on made-up truths."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from einmix import Architecture, Mixer
from nas.report.figures.importance import (
    FEWEST,
    NONE,
    adjusted,
    choices_of,
    families_of,
    family,
    importance,
    indicators,
    levels_of,
    logits,
    omega_squared,
    step,
)


def network(*mixers: str, grid: int = 4, patch: int = 2) -> Architecture:
    blocks = [[["norm", f"mix {mixer}"], ["norm", "linear 64", "gelu", "linear 32"]] for mixer in mixers]
    embed = f"h=s{grid}.m{patch}:1 w=s{grid}.m{patch}:1 c=m1:32 +b"
    inputs = {"h": grid * patch, "w": grid * patch, "c": 1}
    return Architecture.from_json(
        json.dumps({"inputs": inputs, "stages": [{"embed": embed, "blocks": blocks}], "classes": 10})
    )


def by_hand(levels: list[str], y: np.ndarray) -> float:
    """Omega squared from sums of squares, group by group."""
    groups = [y[[level == name for level in levels]] for name in sorted(set(levels))]
    between = sum(len(group) * (group.mean() - y.mean()) ** 2 for group in groups)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    error = within / max(len(y) - len(groups), 1)
    total = between + within
    return (between - (len(groups) - 1) * error) / (total + error) if total + error else 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-300, 300)), min_size=5, max_size=40))
@settings(max_examples=60)
def test_omega_squared_is_that_of_sums_of_squares(rows):
    levels, y = [level for level, _ in rows], np.array([value / 100 for _, value in rows])
    design = indicators(levels)
    whole = np.column_stack([design, 1 - design.sum(1)])
    found = omega_squared(whole, y, np.ones((1, len(y))))[0]
    assert found == pytest.approx(by_hand(levels, y) if len(set(y)) > 1 else 0.0, abs=1e-6)


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(-9, 9), st.integers(0, 3)), min_size=6, max_size=20)


@given(ROWS)
@settings(max_examples=40)
def test_a_sample_counts_each_candidate_as_often_as_it_says(drawn):
    rows, counts = [(level, value / 3) for level, value, _ in drawn], [count for *_, count in drawn]
    if sum(counts) < 3:
        counts[0] = 3
    design = indicators([level for level, _ in rows])
    whole = np.column_stack([design, 1 - design.sum(1)])
    y = np.array([value for _, value in rows])
    found = omega_squared(whole, y, np.array([counts]))[0]
    repeated = [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]
    values = np.array([value for _, value in repeated])
    expected = by_hand([level for level, _ in repeated], values) if values.var() > 1e-6 * y.var() else 0.0
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_adjusted_share_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    design = np.column_stack([np.ones(50), x])
    left = y - design @ np.linalg.solve(design.T @ design, design.T @ y)
    assert adjusted(design, y) == pytest.approx(1 - (left @ left / 47) / y.var(ddof=1))
    assert adjusted(np.ones((50, 1)), y) == pytest.approx(0)


def test_what_matters_is_found_and_what_does_not_is_near_zero():
    rng = np.random.default_rng(1)
    chosen = {"loud": [], "quiet": [], "same": []}
    accuracies = []
    for loud, quiet, _ in product("ab", "xyz", range(20)):
        chosen["loud"].append(loud)
        chosen["quiet"].append(quiet)
        chosen["same"].append("one")
        accuracies.append(0.5 + 0.2 * (loud == "b") + 0.02 * rng.standard_normal())
    ids = [str(number) for number in range(len(accuracies))]
    first, second = importance(chosen, accuracies, ids, examples=1000)
    assert (first.name, second.name) == ("loud", "quiet")
    assert first.alone > 0.9 and first.low > 0.85 and first.beyond > 0.9 and first.low <= first.alone <= first.high
    assert second.alone < 0.05 and second.beyond < 0.05
    assert [(level.name, len(level.values)) for level in first.levels] == [("a", 60), ("b", 60)]


def test_a_choice_that_only_goes_with_another_has_nothing_of_its_own():
    rng = np.random.default_rng(2)
    patch = [str(number) for number in rng.integers(1, 3, 200)]
    shadow = [p if rng.random() < 0.9 else "2" for p in patch]
    accuracies = [0.6 + 0.2 * (p == "2") + 0.01 * rng.standard_normal() for p in patch]
    found = {each.name: each for each in importance({"patch": patch, "shadow": shadow}, accuracies, patch, 1000)}
    assert found["shadow"].alone > 0.4 and found["shadow"].beyond < 0.01
    assert found["patch"].beyond > 0.1


def test_of_few_candidates_or_equal_ones_nothing_is_said():
    levels, few = ["a", "b"] * FEWEST, [0.5, 0.6] * ((FEWEST - 1) // 2)
    assert importance({"x": levels[: len(few)]}, few, levels[: len(few)], 100) == []
    assert importance({"x": levels}, [0.5] * len(levels), levels, 100) == []
    assert importance({"x": ["a"] * len(levels)}, [0.5, 0.6] * FEWEST, levels, 100) == []
    assert importance({}, [0.5, 0.6] * FEWEST, levels, 100) == []


def test_logits_end_half_an_example_before_all_and_nothing():
    assert logits(np.array([0.0, 0.5, 1.0]), 100).round(3).tolist() == [-5.293, 0.0, 5.293]


def test_levels_are_in_the_order_of_their_numbers():
    found = levels_of(["16", "2", "1x4", "various", "1"], [0.1, 0.2, 0.3, 0.4, 0.5], "abcde")
    assert [level.name for level in found] == ["1", "1x4", "2", "16", "various"]
    assert found[2].ids == ("b",) and found[2].values == (0.2,)


def test_choices_of_a_network():
    found = choices_of(network("h=m2.s2 w=m2.s2 c=g32 +b", "h=m4 w=s4 c=g4.s8 +b", "h=m4 w=m4 c=g32 +b"))
    assert found == {
        "patch": "2",
        "width": "32",
        "depth": "3",
        "weights over c, in most blocks": "per channel",
        "step of a subgrid, the largest": "2",
        "axes that the last block mixes": "h and w",
        "blocks that mix along h": "3",
        "blocks that mix along w": "2",
    }
    assert choices_of(network("h=m4 w=s4 c=g4.s8", "h=s4 w=s4 c=s32"))["axes that the last block mixes"] == "none"
    assert choices_of(network("h=m4 w=s4 c=g4.s8"))["axes that the last block mixes"] == "h alone"
    assert choices_of(network("h=m4 w=s4 c=g4.s8", "h=m4 w=s4 c=g32"))["weights over c, in most blocks"] == "various"


def test_families_are_kinds_of_mixers():
    assert families_of(network("h=m2.s2 w=m2.s2 c=g32", "h=s2.m2 w=s2.m2 c=g32", "h=m2.s2 w=m2.s2 c=s32")) == [
        "subgrid",
        "local",
    ]
    assert families_of(network()) == [NONE]
    assert family(Mixer.parse("h=m4 w=m4 c=s8")) == "everywhere"
    assert family(Mixer.parse("h=s4 w=s4 c=g8")) == "in place"


@pytest.mark.parametrize(("mixer", "expected"), [("h=m4.s2 w=m8", 2), ("h=m8 w=m8", 1), ("h=s2.m4 w=s8 c=g2.s4", 1)])
def test_the_step_of_a_mixer(mixer, expected):
    assert step(Mixer.parse(mixer)) == expected
