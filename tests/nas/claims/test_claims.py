"""What a run may claim: one rule, its figures by an independent reading, and its words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from nas.claims.claims import UNKEPT, Claim, Claims, Entry, claims, compared, rival_of, smallest_gain
from nas.claims.contrasts import Judged
from nas.claims.until_sure import look, share
from nas.claims.words import before_finals, claim_lines, gain_cell, look_lines, sentence


def bits(*wrong: set[int], examples: int = 20) -> np.ndarray:
    """What each seed is right on, by what it has wrong."""
    right = np.ones((len(wrong), examples), bool)
    for seed, each in enumerate(wrong):
        right[seed, list(each)] = False
    return right


A = bits({19}, {18}, {19})
B = bits({18, 19}, {19}, {17, 18, 19})
R = bits({16, 17, 18, 19}, {15, 16, 17, 18, 19}, {15, 17, 18, 19})


def entry(id: str, right: np.ndarray, sizes: object = "small", **more: bool) -> Entry:
    return Entry(id, f"the {id}", str(sizes), Judged.of(right), **more)


def trained(random: np.random.Generator, errs: float, n: int, m: int) -> np.ndarray:
    """Seeds that err by chance alone, on the same share of the examples."""
    return random.random((n, m)) >= errs


# ------------------------------------------------------------------------------------------------------ the figures


def test_the_example_of_the_procedure():
    told = claims([entry("a", A), entry("b", B)], [entry("r", R)], searched=0.99)
    a, b = told.gains["a"], told.gains["b"]
    assert (a.mean, a.low, a.high) == pytest.approx((0.166667, 0.006634, 0.326700), abs=5e-7)
    assert (b.mean, b.low, b.high) == pytest.approx((0.116667, -0.019110, 0.252443), abs=5e-7)
    assert (a.df, b.df) == pytest.approx((120.0831, 35.1690), abs=5e-5)
    assert (a.se**2, a.se_all_seeds**2) == pytest.approx((0.00497076, 0.00385965), abs=5e-9)
    assert (a.verdict, b.verdict, a.against, a.rival) == ("ahead", "not told apart", "the r", "r")
    assert (told.together.mean, told.together.low, told.together.high, told.together.verdict) == (
        pytest.approx(0.141667, abs=5e-7),
        pytest.approx(0.017766, abs=5e-7),
        pytest.approx(0.265568, abs=5e-7),
        "ahead",
    )
    assert (told.may_be_best, told.cost, told.judge) == (("a", "b"), pytest.approx(0.038568, abs=5e-7), 20)


def test_a_gain_by_hand():
    """Straight from the bits: moments of the crossed layout, written down once more."""
    random = np.random.default_rng(1)
    a, b, c, r = (trained(random, errs, n, 50) for errs, n in ((0.05, 5), (0.08, 4), (0.1, 5), (0.2, 3)))
    told = claims([entry("a", a), entry("b", b), entry("c", c)], [entry("r", r), entry("low", r[:, ::-1] & b[:3])])
    every = [a, b, c, r]
    own = [x.mean(1).var(ddof=1) - (w := x.var(0, ddof=1).mean()) / 50 for x in every]
    w = [x.var(0, ddof=1).mean() for x in every]
    free = [len(x) - 1 for x in every]
    pooled = np.average(own, weights=free)
    images = np.var(a.mean(0) - r.mean(0), ddof=1) / 50
    seeds = sum(max(0, pooled, own[i]) / len(every[i]) for i in (0, 3))
    chance = sum(w[i] / 50 / len(every[i]) for i in (0, 3))
    variance = images + seeds
    df = sum(free) * (variance / (seeds + chance)) ** 2
    half = t.ppf(1 - 0.025 / 3, df) * variance**0.5
    gain, mean = told.gains["a"], a.mean() - r.mean()
    assert (gain.mean, gain.low, gain.high) == pytest.approx((mean, mean - half, mean + half))
    assert (gain.df, gain.se) == pytest.approx((df, variance**0.5))
    all_seeds = max(images - chance, 1 / 50**2) ** 0.5
    assert gain.se_all_seeds == pytest.approx(all_seeds)
    assert gain.half_width_all_seeds == pytest.approx(norm.ppf(1 - 0.025 / 3) * all_seeds)
    assert gain.p_better == pytest.approx(t.cdf(mean / variance**0.5, df))


def test_a_rival_has_the_same_sizes_and_all_its_seeds():
    finalist, low, high = entry("a", A), entry("low", R), entry("high", B)
    assert rival_of(finalist, [low, high]) is high
    assert rival_of(finalist, [low, replace(high, sizes="large")]) is low
    assert rival_of(finalist, [low, replace(high, failed=True)]) is low
    assert rival_of(finalist, []) is None


def test_finalists_of_several_sizes_share_the_error_and_are_not_taken_together():
    a, b = entry("a", A), entry("b", B, "large")
    told = claims([a, b], [entry("r", R), entry("s", R, "large")])
    assert {id: gain.rival for id, gain in told.gains.items()} == {"a": "r", "b": "s"} and told.together is None
    same = claims([a, replace(b, sizes="small")], [entry("r", R)])
    assert told.gains["a"] == same.gains["a"]
    alone = claims([a, b], [entry("r", R)])
    assert set(alone.gains) == {"a"} and alone.together is None and alone.may_be_best == ("a", "b")


def test_nothing_is_claimed_of_one_that_failed_with_a_seed_but_it_is_counted():
    a, b, r = entry("a", A), entry("b", B), entry("r", R)
    told, whole = (claims([a, replace(b, failed=failed)], [r]) for failed in (True, False))
    assert set(told.gains) == {"a"} and told.gains["a"] == whole.gains["a"]
    assert (told.may_be_best, told.cost, told.first) == (None, None, "a")
    first = claims([replace(a, failed=True), b], [r])
    assert (first.first, first.rank("b"), first.gain) == ("b", 2, whole.gains["b"])
    assert claims([replace(a, failed=True)], [r]).gain is None
    assert claims([], [r]) == Claims()


@pytest.mark.parametrize("seeds", [(1, 1, 1), (2, 1, 2), (2, 2, 2)])
def test_too_few_seeds(seeds):
    a, b, r = (entry(id, right[:n]) for id, right, n in zip("abr", (A, B, R), seeds, strict=True))
    told = claims([a, b], [r])
    for claim in (*told.gains.values(), told.together, *compared(a, [b, r])):
        assert (claim.verdict, claim.low, claim.df, claim.p_better) == ("too few seeds to tell", None, None, None)
    assert told.gain.mean == pytest.approx(a.judged.accuracy - r.judged.accuracy)
    assert (told.may_be_best, told.cost) == (None, None)
    assert gain_cell(told.gain) in ("+15.0", "+17.5")  # 95% for 80%, or for 77.5%
    assert claim_lines(told)[-1] == "judged on 20 images that chose nothing; too few seeds to tell (--seeds)"


GAIN = ["mean", "low", "high", "against", "df", "se", "se_all_seeds", "verdict", "p_better"]


def test_what_is_kept():
    told = claims([entry("a", A), entry("b", B)], [entry("r", R)])
    assert list(told.gains["a"].row()) == GAIN
    assert list(told.row()) == ["together", "may_be_best", "cost", "judge"]
    assert told.row()["may_be_best"] == ["a", "b"]
    same = bits(*[{1}] * 5)
    without_end = claims([entry("a", same)], [entry("r", same)])
    for row in (told.row(), told.gain.row(), without_end.row(), without_end.gain.row(), Claims().row()):
        json.dumps(row, allow_nan=False)
    assert without_end.gain.df == float("inf") and without_end.gain.row()["df"] is None


def test_a_comparison_shares_its_error_among_rivals():
    found, rivals = entry("a", A), [entry("b", B), entry("r", R)]
    worse, far = compared(found, rivals)
    assert (worse.verdict, far.verdict, far.against) == ("not told apart", "ahead", "the r")
    assert (far.low, far.high) == pytest.approx((0.006634, 0.326700), abs=5e-7)  # as of two finalists: the same pool
    assert compared(rivals[1], [found])[0].verdict == "behind"
    assert compared(found, [rivals[0], replace(rivals[1], failed=True)]) == [worse, None]
    assert compared(replace(found, failed=True), rivals) == [None, None] and compared(found, []) == []


# -------------------------------------------------------------------------------------------------------- the words

UP = Claim(0.019, "full token mixing", "r", "ahead", 0.002, 0.036, 30.0, half_width_all_seeds=0.0106)
OPEN = Claim(0.016, "full token mixing", "r", "not told apart", -0.001, 0.033, 30.0)
TOGETHER = Claim(0.016, "full token mixing", "r", "ahead", 0.003, 0.029, 30.0)
RUN = Claims(
    ("x", "y", "z"),
    {"x": UP, "y": OPEN, "z": OPEN},
    together=TOGETHER,
    first="x",
    may_be_best=("x", "y", "z"),
    cost=0.0081,  # a bound is rounded up
    judge=288,
    searched=0.99,
)
JUDGED = "judged on 288 images that chose nothing"
SEEDS = "with any number of seeds rank 1's gain would be known to ± 1.1 points; beyond that it takes more images"
SEARCH = "in the search rank 1 had 99.0%, on the images that chose it"


def test_lines_below_a_table():
    assert claim_lines(RUN) == [
        "the 3 finalists together: +1.6 points over full token mixing (95%: +0.3 to +2.9): ahead",
        "the best of the finalists may be any of 1, 2, 3 (95%); taking 1 costs at most 0.9 points",
        f"{JUDGED}; the intervals cover seeds, images and 3 finalists, not other training data",
        SEEDS,
        SEARCH,
    ]


ONE = replace(RUN, finalists=("x",), gains={"x": UP}, together=UP, may_be_best=None, cost=None)
LESS = Claim(0.019, "full token mixing", "r")


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (ONE, [f"{JUDGED}; the intervals cover seeds and images, not other training data", SEEDS, SEARCH]),
        (replace(ONE, gains={}, together=None, searched=None), [JUDGED]),
        (replace(ONE, gains={"x": LESS}, together=LESS), [f"{JUDGED}; too few seeds to tell (--seeds)", SEARCH]),
        (
            replace(RUN, gains={}, together=None, may_be_best=("x", "z"), searched=None, judge=1, error=0.1 / 3),
            [
                "the best of the finalists may be 1 or 3 (96.7%); taking 1 costs at most 0.9 points",
                "judged on 1 image that chose nothing; the intervals cover seeds, images and 3 finalists, not other "
                "training data",
            ],
        ),
        (
            replace(RUN, gains={}, together=None, may_be_best=("x",), cost=0.0, searched=None),
            [
                "the best of the finalists is 1 (95%)",
                f"{JUDGED}; the intervals cover seeds, images and 3 finalists, not other training data",
            ],
        ),
        (
            replace(RUN, gains=dict.fromkeys("xyz", LESS), together=LESS, may_be_best=None, cost=None),
            [
                "the 3 finalists together: +1.9 points over full token mixing: too few seeds to tell",
                f"{JUDGED}; too few seeds to tell (--seeds)",
                SEARCH,
            ],
        ),
        (Claims(), []),
    ],
    ids=["one", "no rival", "one seed", "several without a rival", "settled", "too few", "none"],
)
def test_lines_where_less_can_be_said(told, lines):
    assert claim_lines(told) == lines


def test_other_examples_have_their_word():
    assert claim_lines(replace(ONE, gains={}, together=None), "texts") == [
        "judged on 288 texts that chose nothing",
        "in the search rank 1 had 99.0%, on the texts that chose it",
    ]


@pytest.mark.parametrize(
    ("claim", "cell", "words"),
    [
        (UP, "+1.9 (+0.2 to +3.6)", "x is ahead of full token mixing: +1.9 points (+0.2 to +3.6)"),
        (OPEN, "+1.6 (-0.1 to +3.3)", "x cannot be told from full token mixing: +1.6 points (-0.1 to +3.3)"),
        (
            replace(UP, mean=-0.02, low=-0.03, high=-0.0001, verdict="behind"),
            "-2.0 (-3.0 to -0.0)",
            "x is behind full token mixing: -2.0 points (-3.0 to -0.0)",
        ),
        (replace(UP, low=0.0001), "+1.9 (+0.0 to +3.6)", "x is ahead of full token mixing: +1.9 points (+0.0 to +3.6)"),
        (LESS, "+1.9", "x and full token mixing: +1.9 points, too few seeds to tell (--seeds)"),
        (
            replace(LESS, verdict=UNKEPT),
            "+1.9",
            "x and full token mixing: +1.9 points, no interval: tested before it was kept which images were right",
        ),
        (
            replace(OPEN, mean=0.0, against="a\n\x1b[31mb"),
            "0.0 (-0.1 to +3.3)",
            "x cannot be told from a [31mb: 0.0 points (-0.1 to +3.3)",
        ),
    ],
)
def test_a_gain_in_words(claim, cell, words):
    assert (gain_cell(claim), sentence("x", claim)) == (cell, words)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from([1, 5, 40, 300]), st.floats(0, 0.5))
def test_verdicts_are_the_signs_of_the_printed_interval(seed, n, m, errs):
    random = np.random.default_rng(seed)
    finalists = [entry(id, trained(random, random.random() * errs, n, m)) for id in "abc"]
    told = claims(finalists, [entry("r", trained(random, errs, n, m))])
    for claim in (*told.gains.values(), told.together, *compared(finalists[0], finalists[1:])):
        cell = gain_cell(claim)
        if claim.low is None:
            assert claim.verdict == "too few seeds to tell" and "(" not in cell
            continue
        low, high = cell.split("(")[1].rstrip(")").split(" to ")
        said = "ahead" if low.startswith("+") else "behind" if high.startswith("-") else "not told apart"
        assert said == claim.verdict
    if told.may_be_best is not None:
        best = max(finalists, key=lambda each: each.judged.accuracy)
        assert best.id in told.may_be_best
        assert told.cost >= best.judged.accuracy - finalists[0].judged.accuracy


# ------------------------------------------------------------------------------------------------- before the finals


def test_the_smallest_gain_that_finals_will_tell():
    q, m, n = 0.04, 288, 5  # the search's best errs on 4%
    of_examples, of_seeds = 0.0384 * 0.44 / 288, 0.00005 / 5
    assert smallest_gain(q, m, n) == pytest.approx(1.35 * 2.5 * (of_examples + of_seeds) ** 0.5)
    assert before_finals(q, m, n) == [
        "on 288 images and 5 seeds a gain below about 2.8 points will mostly not be told from none"
    ]
    assert before_finals(0.1, 100, 1)[1] == "one image is 1.0 points"
    assert before_finals(0.1, 1, 1, "texts")[0].startswith("on 1 text and 1 seed a gain below about ")
    assert len(before_finals(0.1, 101, 1)) == 1
    assert smallest_gain(q, m, 10) < smallest_gain(q, m, 5) < smallest_gain(q, 100, 5) < smallest_gain(0.1, 100, 5)


# ------------------------------------------------------------------------------------------------------- until sure


def fixed(wrong: range, n: int, m: int = 400) -> np.ndarray:
    """A network all of whose seeds are wrong on the same."""
    return bits(*[set(wrong)] * n, examples=m)


def lucky(first: int, n: int = 5, m: int = 400) -> np.ndarray:
    """A network whose seeds differ by luck alone: each is wrong on all that the last one was, and on eight more."""
    return bits(*[set(range(first + 8 * seed)) for seed in range(n)], examples=m)


@pytest.mark.parametrize(
    ("finalists", "reference", "side", "cost", "further"),
    [
        # far ahead of the reference and of the other finalist: no more to ask
        ([fixed(range(4), 5), fixed(range(200, 260), 5)], fixed(range(300, 360), 5), "answered", "answered", ()),
        # equal seeds, each network wrong on images of its own: those do not tell, however many seeds there are
        ([fixed(range(30), 5), fixed(range(30, 62), 5)], fixed(range(70, 102), 5), "hopeless", "hopeless", ()),
        # 2 points ahead on the same images, but seeds differ by more: seeds tell
        ([lucky(4), lucky(12)], lucky(12), "open", "open", ("a", "b", "r")),
        ([lucky(12), lucky(20)], lucky(4), "open", "open", ("a", "b", "r")),  # or behind
        # ahead, but which finalist is best stays open; the third is out of it
        (
            [lucky(4), lucky(12), fixed(range(200, 400), 5)],
            fixed(range(250, 400), 5),
            "answered",
            "open",
            ("a", "b", "r"),
        ),
        ([fixed(range(4), 5)], fixed(range(300, 360), 5), "answered", None, ()),  # nothing else to take
        ([fixed(range(4), 1), fixed(range(5), 1)], fixed(range(90), 1), "open", "open", ("a", "b", "r")),
        ([lucky(4), lucky(12)], None, None, "open", ("a", "b")),
    ],
    ids=["answered", "hopeless", "open", "open behind", "one of two", "one finalist", "one seed", "no reference"],
)
def test_whether_more_seeds_are_worth_it(finalists, reference, side, cost, further):
    entries = [entry(id, right) for id, right in zip("abc", finalists, strict=False)]
    references = [] if reference is None else [entry("worse", ~reference), entry("r", reference)]
    seen = look(entries, references, error=share(0.9))
    assert (seen.side, seen.cost, seen.further) == (side, cost, further)
    assert seen.is_last == (not further)
    assert look([], references, error=share(0.9)).is_last


def test_hopeless_is_by_the_normal_quantile_and_the_variance_of_all_seeds():
    """From the bits: a chance of single images that is taken out of their variance, and no t."""
    random, error = np.random.default_rng(1), share(0.9)
    for errs in (0.1, 0.12, 0.16, 0.2):
        hard = (random.random(400) < 0.1) * 0.5
        a, r = (random.random((5, 400)) > hard + each for each in (0.1, errs))
        chance = sum(x.var(0, ddof=1).mean() / 400 / 5 for x in (a, r))
        difference = a.mean(0) - r.mean(0)
        left = norm.ppf(1 - error / 2) * max(np.var(difference, ddof=1) / 400 - chance, 1 / 400**2) ** 0.5
        seen = look([entry("a", a)], [entry("r", r)], error=error)
        assert seen.claims.gain.half_width_all_seeds == pytest.approx(left)
        open_ = "open" if abs(difference.mean()) > left else "hopeless"
        assert seen.side == (open_ if seen.claims.gain.verdict == "not told apart" else "answered")


def test_what_taking_rank_1_may_cost_is_held_against_what_is_asked():
    first, better = entry("a", lucky(12)), entry("b", lucky(4))  # by loss the order may be another than by accuracy
    bound, left = look([first, better], [], error=0.05).claims.cost, 0.02 + norm.ppf(0.95) / 400
    assert bound > 2 * left
    for within, answer in ((bound + 1e-9, "answered"), (bound - 1e-9, "open"), (left + 1e-9, "open")):
        assert look([first, better], [], error=0.05, within=within).cost == answer
    assert look([first, better], [], error=0.05, within=left - 1e-9).cost == "hopeless"


def test_a_look_in_words():
    entries = [entry("a", fixed(range(4), 5)), entry("b", fixed(range(200, 260), 5))]
    r = entry("r", fixed(range(300, 360), 5))
    assert look_lines(look(entries, [r], error=share(0.9)), 5) == [
        "90% sure after 5 seeds: 1 is ahead of the r",
        "90% sure after 5 seeds: taking 1 costs at most 0.5 points",
    ]
    assert look_lines(look(entries[1:], entries[:1], error=share(0.9)), 10) == [
        "90% sure after 10 seeds: 1 is behind the a"
    ]
    near = [entry("a", fixed(range(30), 5)), entry("b", fixed(range(30, 62), 5))]
    assert look_lines(look(near, [entry("r", fixed(range(70, 102), 5))], error=share(0.9)), 20, "texts") == [
        "not 90% sure after 20 seeds: more seeds would not tell 1 from the r; it takes more texts",
        "not 90% sure after 20 seeds: more seeds would not tell whether taking 1 costs at most 0.5 points; it takes "
        "more texts",
    ]
    early = [entry("a", fixed(range(4), 1)), entry("b", fixed(range(5), 1))]
    assert look_lines(look(early, [entry("r", fixed(range(90), 1))], error=share(0.9)), 1) == [
        "not 90% sure after 1 seed: more seeds may tell 1 from the r",
        "not 90% sure after 1 seed: more seeds may tell whether taking 1 costs at most 0.5 points",
    ]
    assert look_lines(look([], [r], error=share(0.9)), 1) == []
    failed = look([entries[0], replace(entries[1], failed=True)], [r], error=share(0.9))
    assert look_lines(failed, 5) == ["90% sure after 5 seeds: 1 is ahead of the r"] and failed.cost is None
