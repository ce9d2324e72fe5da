"""Mixers: text, canonical form, cost, order and redundancy, against matrices of weight labels."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product
from math import prod
from random import Random
from typing import Any

import algebra
import numpy as np
import pytest
import torch
from einops.layers.torch import EinMix
from hypothesis import given
from hypothesis import strategies as st

from einmix import Factor, FactorSet, Mixer, PatternError, describe, enumerate_mixers, sample_mixer
from einmix.algebra.factors import MAX_SIZE, divisors
from einmix.algebra.mixer import redundant
from einmix.networks.summary import title


def axis(text: str) -> Mixer:
    return Mixer.parse(f"x={text}")


# ---------------------------------------------------------------------------------------------------- text


@given(algebra.mixers())
def test_text_round_trips(mixer: Mixer) -> None:
    assert Mixer.parse(str(mixer)) == mixer
    assert str(Mixer.parse(str(mixer))) == str(mixer)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("h=m8.s4  w=m8.s4\tc=g64", "h=m8.s4 w=m8.s4 c=g64"),
        ("h=m2.m4.s2.s2 w=m8.s4 c=g64", "h=m8.s4 w=m8.s4 c=g64"),
        ("h=m8.s1.m4 c=s1", "h=m32 c=s1"),
        ("h=m8:8 c=g1.s64.g1 +b", "h=m8 c=s64 +b"),
        ("h=m4:1.m1:4 c=m3:8.m2:8", "h=m4 c=m6:64"),
        ("h=s8.m1:1 c=g1", "h=s8 c=s1"),
        ("t=s0008 c=m1:4", "t=s8 c=m1:4"),
        ("h=s2.g2.s1.g3.s2", "h=s2.g6.s2"),
    ],
)
def test_canonical_text(written: str, canonical: str) -> None:
    assert str(Mixer.parse(written)) == canonical


@given(algebra.mixers())
def test_canonical_form_has_no_unit_and_no_equal_neighbours(mixer: Mixer) -> None:
    for _, factors in mixer.axes:
        assert all((f.size, f.out) != (1, 1) for f in factors)
        assert all(a.role != b.role for a, b in pairwise(factors))


def test_equality_ignores_the_layout_alone() -> None:
    read = Mixer.from_einmix("b c t -> b c t0", "t t0", c=4, t=8, t0=8)
    assert read == Mixer.parse("t=m8 c=s4") and hash(read) == hash(Mixer.parse("t=m8 c=s4"))
    assert read.layout is not None and read.canonical().layout is None
    assert read != Mixer.parse("t=m8 c=s4 +b")


BIG = str(MAX_SIZE + 1)
BAD_TEXTS = [
    ("", "a mixer needs at least one axis: ''", "^ as in 'h=m8.s4 w=m8.s4 c=g64 +b'"),
    ("   ", "a mixer needs at least one axis: '   '", "^^^ as in 'h=m8.s4 w=m8.s4 c=g64 +b'"),
    ("+b", "a mixer needs at least one axis: '+b'", "^^ as in 'h=m8.s4 w=m8.s4 c=g64 +b'"),
    ("h=m8 +b c=s4", "nothing can follow +b: 'h=m8 +b c=s4'", "        ^^^^ put +b last"),
    ("h=m8 +b +b", "nothing can follow +b: 'h=m8 +b +b'", "        ^^ put +b last"),
    ("h=m8 c", "'c' is no axis: 'h=m8 c'", "     ^ write AXIS=FACTORS, as in h=m8.s4"),
    ("h8=", "'' is no factor: 'h8='", "   ^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("=m8", "'' is no axis name: '=m8'", "^ a lower-case letter, then letters and digits"),
    ("H=m8", "'H' is no axis name: 'H=m8'", "^ a lower-case letter, then letters and digits"),
    ("h_i=m8", "'h_i' is no axis name: 'h_i=m8'", "^^^ a lower-case letter, then letters and digits"),
    ("é=m8", "'é' is no axis name: 'é=m8'", "^ a lower-case letter, then letters and digits"),
    ("in=m8", "'in' is no axis name: 'in=m8'", "^^ a lower-case letter, then letters and digits"),
    ("b=s8 c=m4", "'b' cannot be an axis: 'b=s8 c=m4'", "^ b is the batch"),
    ("pattern=s8", "'pattern' cannot be an axis: 'pattern=s8'", "^^^^^^^ it is reserved"),
    ("self=s8", "'self' cannot be an axis: 'self=s8'", "^^^^ it is reserved"),
    ("h=m8 h=s4", "axis h stands twice: 'h=m8 h=s4'", "     ^ write every axis once"),
    ("h=m8..s4", "'' is no factor: 'h=m8..s4'", "     ^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("h=8 c=s4", "'8' is no factor: 'h=8 c=s4'", "  ^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("h=m8.s c=s4", "'s' is no factor: 'h=m8.s c=s4'", "     ^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("h=m-8", "'m-8' is no factor: 'h=m-8'", "  ^^^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("h=m8=s4", "'m8=s4' is no factor: 'h=m8=s4'", "  ^^^^^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("h=m٣", "'m٣' is no factor: 'h=m٣'", "  ^^ write a role and a size, as in m8, s4, g64 or m4:1"),
    ("h=m4.x8", "'x' is no role: 'h=m4.x8'", "     ^^ s shared, g grouped, m mixed"),
    ("h=m4.s8:4", "'s8:4' changes its size, and only mixed factors can: 'h=m4.s8:4'", "     ^^^^ write m8:4, or s8"),
    ("h=g8:4", "'g8:4' changes its size, and only mixed factors can: 'h=g8:4'", "  ^^^^ write m8:4, or g8"),
    ("h=m0", "'m0' has an impossible size: 'h=m0'", f"  ^^ write a size from 1 to {MAX_SIZE}"),
    ("h=m4:0", "'m4:0' has an impossible size: 'h=m4:0'", f"  ^^^^ write a size from 1 to {MAX_SIZE}"),
    (f"h=s{BIG}", f"'s{BIG}' has an impossible size: 'h=s{BIG}'", f"  ^^^^^^^^^ write a size from 1 to {MAX_SIZE}"),
    (
        "h=s4096.m2.g4096",
        "'s4096.m2.g4096' has an impossible size: 'h=s4096.m2.g4096'",
        f"  ^^^^^^^^^^^^^^ an axis is at most {MAX_SIZE} long",
    ),
]


@pytest.mark.parametrize(("text", "fact", "pointer"), BAD_TEXTS)
def test_bad_texts_point_at_the_token(text: str, fact: str, pointer: str) -> None:
    with pytest.raises(PatternError) as error:
        Mixer.parse(text)
    assert str(error.value).splitlines() == [fact, f"  {text}", f"  {pointer}"]
    assert error.value.summary == f"{fact} ({pointer.lstrip(' ^')})"


def test_the_caret_stands_under_its_token_also_after_a_line_break() -> None:
    with pytest.raises(PatternError) as error:
        Mixer.parse("h=m8\nc=x4")
    assert str(error.value).splitlines()[1:] == ["  h=m8 c=x4", "         ^^ s shared, g grouped, m mixed"]


def test_a_size_of_many_digits_is_refused_at_once() -> None:
    with pytest.raises(PatternError, match="has an impossible size"):
        Mixer.parse("h=m" + "9" * 100_000)


@pytest.mark.parametrize("value", [None, 3, b"h=m8", ["h=m8"]])
def test_a_mixer_is_a_text(value: object) -> None:
    with pytest.raises(PatternError, match="a mixer is written as a text, not"):
        Mixer.parse(value)  # type: ignore[arg-type]


@given(st.text(alphabet="hwcsgm0123456789=:.+b \n\tπ", max_size=30))
def test_any_text_is_a_mixer_or_a_pattern_error(text: str) -> None:
    try:
        mixer = Mixer.parse(text)
    except PatternError as error:
        assert error.summary and len(str(error).splitlines()) <= 3
    else:
        assert Mixer.parse(str(mixer)) == mixer


def test_the_largest_size_is_allowed() -> None:
    assert Mixer.parse(f"t=m{MAX_SIZE} c=s1").inputs == {"t": MAX_SIZE, "c": 1}


# ---------------------------------------------------------------------------------------------------- fit


def test_fit_gives_the_mixer_back() -> None:
    mixer = Mixer.parse("h=m8.s4 w=m8.s4 c=g64")
    assert mixer.fit({"h": 32, "w": 32, "c": 64}) is mixer


@pytest.mark.parametrize(
    ("text", "sizes", "lines"),
    [
        (
            "h=m8.s3 w=m8.s4 c=g64",
            {"h": 32, "w": 32, "c": 64},
            [
                "'h=m8.s3 w=m8.s4 c=g64' does not fit h=32: 8 * 3 = 24",
                "  h=m8.s3 w=m8.s4 c=g64",
                "    ^^^^^ sizes that fit 32: 1, 2, 4, 8, 16, 32",
            ],
        ),
        (
            "t=m4 c=s5 +b",
            {"t": 4, "c": 6},
            ["'t=m4 c=s5 +b' does not fit c=6: 5 = 5", "  t=m4 c=s5 +b", "         ^^ sizes that fit 6: 1, 2, 3, 6"],
        ),
        ("t=m4 c=s5", {"h": 4, "w": 4, "c": 5}, ["'t=m4 c=s5' has axes t c, not h w c"]),
        ("c=s5 t=m4", {"t": 4, "c": 5}, ["'c=s5 t=m4' has axes c t, not t c"]),
    ],
)
def test_a_mixer_that_does_not_fit(text: str, sizes: dict[str, int], lines: list[str]) -> None:
    with pytest.raises(PatternError) as error:
        Mixer.parse(text).fit(sizes)
    assert str(error.value).splitlines() == lines


# ---------------------------------------------------------------------------------------------------- cost


GOLDEN_COSTS = [
    ("h=m8.s4 w=m8.s4 c=g64", 64 * 64 * 64, 4_194_304),
    ("h=s4.m8 w=s4.m8 c=g64 +b", 64 * 64 * 64 + 64 * 64, 4_194_304),
    ("h=m16 w=m16 c=g8.s16", 8 * 256 * 256, 128 * 256 * 256),
    ("h=m32 w=s32 c=s32.m4", 32 * 4 * 32 * 4, 32 * 32 * (32 * 4) ** 2),
    ("h=s8 w=s8 c=g64 +b", 128, 8 * 8 * 64),
    ("h=s8.m4:1 w=s8.m4:1 c=m3:64 +b", 48 * 64 + 64, 64 * 48 * 64),
    ("h=s8 w=s8 c=s64 +b", 2, 8 * 8 * 64),
]


@pytest.mark.parametrize(("text", "params", "macs"), GOLDEN_COSTS)
def test_golden_costs(text: str, params: int, macs: int) -> None:
    assert (Mixer.parse(text).params, Mixer.parse(text).macs) == (params, macs)


@given(algebra.mixers())
def test_costs_are_those_of_the_layer_and_of_its_einsum(mixer: Mixer) -> None:
    layer = EinMix(**mixer.einmix())
    assert mixer.params == sum(p.numel() for p in layer.parameters())
    call = mixer.einmix()
    names = set(call["pattern"].replace("->", " ").replace("(", " ").replace(")", " ").split()) - {"b"}
    assert mixer.macs == prod(call[name] for name in names)
    matrix = algebra.labels(mixer)
    assert mixer.macs == (matrix >= 0).sum(), "one multiplication for each connection"
    assert mixer.params == matrix.max() + 1 + mixer.bias * (algebra.bias_labels(mixer).max() + 1)
    assert mixer.outputs == {name: prod(f.out for f in factors) for name, factors in mixer.axes}
    assert matrix.shape == (prod(mixer.outputs.values()), prod(mixer.inputs.values()))


@given(algebra.mixers())
def test_the_layer_is_a_member_of_its_family(mixer: Mixer) -> None:
    """The channels-last layer's matrix has zeros and equal entries just where the labels say, its bias too."""
    torch.manual_seed(0)
    layer = EinMix(**mixer.einmix()).double()
    for parameter in layer.parameters():  # as they start they have few enough digits that two may be equal
        torch.nn.init.normal_(parameter)
    linear, bias = algebra.layer_map(layer, *mixer.inputs.values())
    matrix = algebra.labels(mixer)
    assert algebra.contains(matrix, linear)
    assert len(np.unique(linear[matrix >= 0].round(12))) == matrix.max() + 1, "different weights are different"
    if mixer.bias:
        expected = algebra.bias_labels(mixer)
        assert len(np.unique(bias.round(12))) == expected.max() + 1
        assert algebra.contains(expected[:, None], bias[:, None])
    else:
        assert not bias.any()


# ---------------------------------------------------------------------------------------------------- order


def rectangular(size: int, out: int, most: int = 3) -> list[Mixer]:
    """Every canonical mixer on one axis of these sizes with at most so many factors."""
    found = set()
    for count in range(1, most + 1):
        for roles in product("sgm", repeat=count):
            for sizes in product(divisors(size), divisors(out), repeat=count):
                pairs = zip(roles, sizes[::2], sizes[1::2], strict=True)
                factors = tuple(Factor(role, a, b) for role, a, b in pairs if role == "m" or a == b)
                ins, outs = prod(f.size for f in factors), prod(f.out for f in factors)
                if len(factors) == count and (ins, outs) == (size, out):
                    found.add(Mixer((("x", factors),)))
    return sorted(found, key=str)


def check_order(mixers: list[Mixer]) -> int:
    """Order and equality of all pairs against their labels; how many pairs are comparable."""
    matrices = [algebra.labels(mixer) for mixer in mixers]
    comparable = 0
    for (a, la), (b, lb) in product(zip(mixers, matrices, strict=True), repeat=2):
        assert (a <= b) == (b >= a) == algebra.included(la, lb), f"{a} <= {b}"
        assert (str(a) == str(b)) == (a == b) == algebra.same_partition(la, lb), f"{a} == {b}"
        comparable += a <= b
    return comparable


@pytest.mark.parametrize("n", range(1, 13))
def test_order_and_equality_on_one_axis(n: int) -> None:
    mixers = list(enumerate_mixers(x=n))
    assert check_order(mixers) > len(mixers) or n == 1


@pytest.mark.slow
@pytest.mark.parametrize("n", [16, 18, 20, 24])
def test_order_and_equality_on_one_long_axis(n: int) -> None:
    check_order(list(enumerate_mixers(x=n)))


def test_order_on_a_sample_of_pairs_of_an_axis_of_12_and_24() -> None:
    """Lengths with factorisations that have no common refinement."""
    for n in (12, 24):
        listed, rng = [Mixer((("x", f),)) for f in FactorSet("*").enumerate(n)], Random(n)
        outcomes = Counter()
        for _ in range(400):
            a, b = rng.choice(listed), rng.choice(listed)
            assert (a <= b) == algebra.included(algebra.labels(a), algebra.labels(b)), f"{a} <= {b}"
            outcomes[a <= b] += 1
        assert min(outcomes.values()) > 10


@pytest.mark.parametrize(("size", "out"), [(1, 4), (4, 1), (2, 4), (4, 2), (4, 6), (6, 4)])
def test_order_and_equality_between_two_sizes(size: int, out: int) -> None:
    mixers = rectangular(size, out)
    assert len(mixers) >= (1 if 1 in (size, out) else 3)
    check_order(mixers)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 4), (3, 4), (4, 4)])
def test_order_and_equality_on_two_axes_together(sizes: tuple[int, int]) -> None:
    check_order(list(enumerate_mixers(h=sizes[0], w=sizes[1])))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(6, 4), (6, 6), (8, 4)])
def test_order_and_equality_on_two_longer_axes(sizes: tuple[int, int]) -> None:
    check_order(list(enumerate_mixers(h=sizes[0], w=sizes[1])))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("s2.g3", "g6", True),  # no common refinement is needed
        ("s2.g3", "g3.s2", False),
        ("s3.g2", "g2.s3", False),
        ("m2.s3", "s3.m2", False),
        ("s2.m3", "s3.m2", False),
        ("s6", "m2.s3", True),
        ("g2.s3", "m2.g3", True),
        ("s2.m3", "m6", True),
        ("m2.s3", "m3.s2", False),
        ("s4.m2:1", "m8:4", True),
        ("m2:1.s4", "s4.m2:1", False),
        ("s4.m1:2", "g4.m1:2", True),
        ("g4.m1:2", "s4.m1:2", False),
        ("s8", "s4", False),
    ],
)
def test_order_by_example(a: str, b: str, expected: bool) -> None:
    assert (axis(a) <= axis(b)) is expected


def test_order_asks_for_the_same_axes_and_for_a_bias() -> None:
    small, large = Mixer.parse("h=s4 w=s4"), Mixer.parse("h=m4 w=m4")
    assert small <= large and Mixer.parse("h=s4 w=s4 +b") <= Mixer.parse("h=m4 w=m4 +b")
    assert small <= Mixer.parse("h=m4 w=m4 +b") and not Mixer.parse("h=s4 w=s4 +b") <= large
    assert not small <= Mixer.parse("w=m4 h=m4") and not small <= Mixer.parse("d=m4 w=m4")
    assert not Mixer.parse("h=m4:2") <= Mixer.parse("h=m4")
    with pytest.raises(TypeError):
        small <= 3  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        small >= "h=s4 w=s4"  # type: ignore[operator]  # noqa: B015


@st.composite
def three_mixers(draw: st.DrawFn) -> list[Mixer]:
    sizes = draw(st.sampled_from([{"h": 4, "c": 6}, {"t": 12}, {"h": 2, "w": 4, "c": 4}, {"t": 24}]))
    seeds = draw(st.lists(st.integers(0, 2**32), min_size=3, max_size=3))
    return [sample_mixer(Random(seed), bias=bool(seed % 2), **sizes) for seed in seeds]


@given(three_mixers())
def test_the_order_is_an_order(three: list[Mixer]) -> None:
    a, b, c = three
    assert a <= a
    assert (a <= b and b <= a) == (a == b)
    assert not (a <= b and b <= c) or a <= c


def test_transitive_and_antisymmetric_on_all_of_an_axis() -> None:
    mixers = list(enumerate_mixers(x=12))
    below = np.array([[a <= b for b in mixers] for a in mixers])
    assert ((below @ below) == below).all(), "transitive, being reflexive"
    assert (below & below.T == np.eye(len(mixers), dtype=bool)).all()
    assert below.sum() > 4 * len(mixers)


@given(algebra.mixers(largest=32), st.integers(0, 2**32))
def test_a_random_map_of_the_smaller_is_one_of_the_larger(mixer: Mixer, seed: int) -> None:
    """Families near the drawn one: its roles raised and lowered, each compared in both directions."""
    rng = np.random.default_rng(seed)
    raised = Mixer(
        tuple(
            (name, tuple(Factor("m" if f.size == f.out and rng.random() < 0.5 else f.role, *f[1:]) for f in factors))
            for name, factors in mixer.axes
        ),
        mixer.bias,
    )
    assert mixer <= raised
    assert algebra.contains(algebra.labels(raised), algebra.members(algebra.labels(mixer), rng))
    back = algebra.contains(algebra.labels(mixer), algebra.members(algebra.labels(raised), rng))
    assert back == (raised <= mixer)


def test_equal_texts_are_equal_families_numerically() -> None:
    """Random maps of pairs of small mixers: mutual membership and equal canonical text coincide."""
    rng, mixers = np.random.default_rng(0), list(enumerate_mixers(h=4, w=2, c=2))
    for a, b in ((mixers[i], mixers[j]) for i, j in rng.integers(0, len(mixers), (2000, 2))):
        la, lb = algebra.labels(a), algebra.labels(b)
        mutual = algebra.contains(lb, algebra.members(la, rng)) and algebra.contains(la, algebra.members(lb, rng))
        assert mutual == (str(a) == str(b))


@given(algebra.mixers(), st.data())
def test_other_ways_to_write_a_family_have_one_text(mixer: Mixer, data: st.DataObject) -> None:
    """Factors split in two and units put in between change neither the labels nor the text."""

    def rewritten(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
        written: list[Factor] = []
        for role, size, out in factors:
            first = data.draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
            other = first if role != "m" else data.draw(st.sampled_from([d for d in range(1, out + 1) if out % d == 0]))
            written += [Factor(role, first, other), Factor("s", 1, 1), Factor(role, size // first, out // other)]
        return tuple(written)

    written = tuple((name, rewritten(factors)) for name, factors in mixer.axes)
    for (_, before), (_, after) in zip(mixer.axes, written, strict=True):
        assert algebra.same_partition(algebra.axis_labels(before), algebra.axis_labels(after))
    assert str(Mixer(written, mixer.bias)) == str(mixer)


def test_order_says_enough_about_the_bias() -> None:
    mixers = list(enumerate_mixers(bias=True, h=4, c=6))
    pairs = [(a, b) for a, b in product(mixers, repeat=2) if a <= b]
    assert len(pairs) > 1000
    for a, b in pairs:
        assert algebra.included(algebra.bias_labels(a)[:, None], algebra.bias_labels(b)[:, None]), f"{a} <= {b}"


# ---------------------------------------------------------------------------------------------------- redundancy


@pytest.mark.parametrize(
    ("first", "second", "before", "after"),
    [
        # the tutorial's ResMLP: affine, then nn.Linear; nn.Linear, then layer scale
        ("t=s8 c=g16 +b", "t=s8 c=m16:64 +b", True, False),
        ("t=s8 c=m64:16 +b", "t=s8 c=g16", False, True),
        ("t=s8 c=m64:16 +b", "t=s8 c=g16 +b", False, True),
        # its patch branch: scales on channels do not go into a token mixer that all channels share…
        ("t=s8 c=g16", "t=m8 c=s16 +b", False, False),
        ("t=m8 c=s16 +b", "t=s8 c=g16 +b", False, False),
        # …but into one per channel they do
        ("t=s8 c=g16", "t=m8 c=g16 +b", True, False),
        ("t=s8 c=s16", "t=m8 c=s16 +b", True, False),
        # a bias goes nowhere where there is none
        ("t=s8 c=g16 +b", "t=s8 c=m16:64", False, False),
        ("t=s8 c=m16", "t=s8 c=m16", True, True),
        ("t=s8 c=m16:8", "t=s8 c=m8:16", False, False),
    ],
)
def test_redundant_neighbours(first: str, second: str, before: bool, after: bool) -> None:
    a, b = Mixer.parse(first), Mixer.parse(second)
    assert redundant(a, b, a_first=True) is before
    assert redundant(b, a, a_first=False) is after


def compositions_stay(a: Mixer, b: Mixer, a_first: bool, rng: np.random.Generator) -> bool:
    """Whether random maps of a beside random maps of b are maps of b, biases included."""
    la, lb = algebra.labels(a), algebra.labels(b)
    ba, bb = (algebra.bias_labels(x)[:, None] if x.bias else None for x in (a, b))
    for _ in range(3):
        x, y = algebra.members(la, rng), algebra.members(lb, rng)
        if not algebra.contains(lb, y @ x if a_first else x @ y):
            return False
        shift = np.zeros((len(y if a_first else x), 1))
        if ba is not None:
            shift = shift + (y @ algebra.members(ba, rng) if a_first else algebra.members(ba, rng))
        if bb is not None:
            shift = shift + (algebra.members(bb, rng) if a_first else x @ algebra.members(bb, rng))
        if (np.abs(shift) > 1e-9).any() and (bb is None or not algebra.contains(bb, shift)):
            return False
    return True


@pytest.mark.parametrize("a_first", [True, False], ids=["before", "after"])
def test_redundant_is_exactly_what_composition_shows_between_square_mixers(a_first: bool) -> None:
    rng, outcomes = np.random.default_rng(0), Counter()
    for sizes in ({"x": 4}, {"x": 6}, {"h": 2, "w": 4}):
        mixers = [m for bias in (False, True) for m in enumerate_mixers(bias=bias, **sizes)]
        pairs = product(mixers, repeat=2) if len(mixers) < 40 else rng.choice(np.array(mixers, dtype=object), (600, 2))
        for a, b in pairs:
            found = redundant(a, b, a_first=a_first)
            assert found == compositions_stay(a, b, a_first, rng), f"{a} beside {b}"
            outcomes[found] += 1
    assert min(outcomes.values()) > 50


@pytest.mark.parametrize("a_first", [True, False], ids=["before", "after"])
def test_what_is_called_redundant_beside_a_mixer_of_two_sizes_is(a_first: bool) -> None:
    rng, found = np.random.default_rng(0), 0
    for b in (Mixer(m.axes, bias) for m in rectangular(4, 6) + rectangular(6, 4) for bias in (False, True)):
        side = b.inputs if a_first else b.outputs
        for a in (m for bias in (False, True) for m in enumerate_mixers(bias=bias, **side)):
            if redundant(a, b, a_first=a_first):
                assert compositions_stay(a, b, a_first, rng), f"{a} beside {b}"
                found += 1
    assert found > 20


# ---------------------------------------------------------------------------------------------------- many


def test_the_number_of_mixers_on_8_8_64() -> None:
    nothing_mixed = FactorSet("*").count(64)
    each = [FactorSet("*").count(n) for n in (8, 8, 64)]
    assert prod(each) == 531_441 and nothing_mixed == 729
    still = [sum(all(f.role != "m" for f in factors) for factors in FactorSet("*").enumerate(n)) for n in (8, 8, 64)]
    assert prod(each) - prod(still) == 527_345


@pytest.mark.parametrize("sizes", [{"h": 4, "c": 6}, {"h": 2, "w": 3, "c": 4}, {"t": 12}])
def test_enumeration_lists_every_mixer_once(sizes: dict[str, int]) -> None:
    mixers = list(enumerate_mixers(**sizes))
    assert len({str(m) for m in mixers}) == len(mixers) == prod(FactorSet("*").count(n) for n in sizes.values())
    assert all(m.inputs == m.outputs == sizes for m in mixers)


def test_samples_are_uniform_mixers() -> None:
    rng = Random(0)
    counts = Counter(str(sample_mixer(rng, h=2, c=4)) for _ in range(27 * 200))
    assert set(counts) == {str(m) for m in enumerate_mixers(h=2, c=4)}
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 27 + 4 * (2 * 27) ** 0.5


@pytest.mark.parametrize(
    ("sizes", "fact"),
    [
        ({"h": 0}, "axis h cannot have size 0"),
        ({"h": MAX_SIZE + 1}, f"axis h cannot have size {MAX_SIZE + 1}"),
        ({"h": 2.0}, "axis h cannot have size 2.0"),
        ({"h": True}, "axis h cannot have size True"),
        ({"b": 4}, "'b' cannot be an axis"),
        ({"H": 4}, "'H' is no axis name"),
    ],
)
def test_sizes_are_checked(sizes: dict[str, int], fact: str) -> None:
    with pytest.raises(PatternError) as error:
        sample_mixer(Random(0), **sizes)
    assert str(error.value).startswith(fact)
    with pytest.raises(PatternError):
        next(enumerate_mixers(**sizes))


ANY: Any = Factor
IMPOSSIBLE: list[tuple[Any, str]] = [
    ((("c", (Factor("x", 4, 2),)),), "'x' is no role (s shared, g grouped, m mixed)"),
    ((("c", (Factor("g", 4, 2),)),), "g4:2 changes its size, and only mixed factors can (m4:2)"),
    ((("c", (Factor("s", 1, 2),)),), "s1:2 changes its size, and only mixed factors can (m1:2)"),
    ((("c", (Factor("m", 0, 0),)),), "a factor cannot lead from size 0 to 0 (write sizes from 1 to 16777216)"),
    ((("c", (Factor("m", -4, 4),)),), "a factor cannot lead from size -4 to 4"),
    ((("c", (Factor("m", 2**24 + 1, 1),)),), "a factor cannot lead from size 16777217 to 1"),
    ((("c", (Factor("m", 10**5000, 1),)),), "a factor cannot lead from size int of too many digits to 1"),
    ((("c", (ANY("m", "47", "47"),)),), "a factor cannot lead from size '47' to '47'"),
    ((("c", (ANY("m", 1e4 + 7, 1e4 + 7),)),), "a factor cannot lead from size 10007.0 to 10007.0"),
    ((("h", (Factor("m", 4, 4), ANY("m", True, 5))),), "a factor cannot lead from size True to 5"),
    ((("c", (("m", 47, 53),)),), "('m', 47, 53) is no factor (as in Factor(\"m\", 8, 8))"),
    ((("c", "m4"),), "'m' is no factor"),
    ((("c", (Factor("m", 2**13, 1), Factor("m", 2**13, 1))),), "m67108864:1 is too long"),
    ((("c", (Factor("s", 2, 2), Factor("m", 2**23, 1), Factor("g", 2, 2))),), "s2.m8388608:1.g2 is too long"),
    ((("b", (Factor("m", 4, 4),)),), "'b' cannot be an axis"),
    ((("h w", (Factor("m", 4, 4),)),), "'h w' is no axis name"),
    (((3, (Factor("m", 4, 4),)),), "3 is no axis name"),
    ((("c", ()), ("c", ())), "a mixer has axes, each once, not c c"),
    ((), "a mixer has axes, each once, not none"),
]


@pytest.mark.parametrize(("axes", "fact"), IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_no_mixer_is_made_of_what_its_text_could_not_say(axes: Any, fact: str) -> None:
    for _ in range(2):  # the second time nothing is remembered either
        with pytest.raises(PatternError) as error:
            Mixer(axes)
        assert error.value.summary.startswith(fact) and len(error.value.summary) < 200


@pytest.mark.parametrize("bias", [1, "no", None])
def test_a_bias_is_there_or_not(bias: Any) -> None:
    with pytest.raises(PatternError, match="bias cannot be"):
        Mixer((("c", (Factor("m", 4, 4),)),), bias)


# ---------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("h=m8.s4 w=m8.s4 c=g64", "an 8 x 8 subgrid in steps of 4, weights per channel"),
        ("h=m8.s4 w=m8.s2 c=g4.s8", "an 8 x 8 subgrid in steps of 4 x 2, weights per group of 8 channels"),
        ("h=s4.m8 w=s4.m8 c=s64", "within patches of 8 x 8, weights shared by all channels"),
        ("t=m8 c=s64", "all positions, weights shared by all channels"),
        ("h=m32 w=s32 c=s32.m4", "h mixed, w apart, channels mixed within segments of 4, alike in each"),
        ("h=s8 w=s8 c=g64", "position by position, weights per channel"),
        ("h=s8 w=s8 c=m64", "position by position, all channels mixed"),
        ("h=m8 w=s8 c=m4.s16", "h mixed, w apart, channels mixed in steps of 16, 4 at a time, alike in each"),
        ("h=s2.m4.s2 w=m16 c=s1", "h as s2.m4.s2, w mixed, weights shared by all channels"),
        ("h=s1 w=s1 c=m8", "the only position, all channels mixed"),
        ("h=m8:12 w=s4 c=s8", "h mixed, w apart, weights shared by all channels; h from 8 to 12"),
        (
            "h=s4.m8:1 w=m8:1.s4 c=m3:64",
            "h mixed within 8, w mixed in steps of 4, all channels mixed; "
            "h from 32 to 4, w from 32 to 4, c from 3 to 64",
        ),
    ],
)
def test_words(text: str, words: str) -> None:
    assert describe(Mixer.parse(text)) == words


CHANNELS_IN_WORDS = [
    ("s12", "weights shared by all channels"),
    ("g12", "weights per channel"),
    ("g3.s4", "weights per group of 4 channels"),
    ("s3.g4", "4 kinds of channels in turn, weights per kind"),
    ("m12", "all channels mixed"),
    ("s3.m4", "channels mixed within segments of 4, alike in each"),
    ("m3.s4", "channels mixed in steps of 4, 3 at a time, alike in each"),
    ("g3.m4", "channels mixed within groups of 4, weights per group"),
    ("m3.g4", "channels mixed in steps of 4, 3 at a time, weights per step"),
    ("s2.g2.m3", "channels as s2.g2.m3"),
]


@pytest.mark.parametrize(("channels", "words"), CHANNELS_IN_WORDS)
def test_words_for_channels(channels: str, words: str) -> None:
    assert describe(Mixer.parse(f"h=s5 w=s7 c={channels}")) == f"position by position, {words}"


@pytest.mark.parametrize(
    ("positions", "name", "words"),
    [
        ("h=m3.s4 w=m2.s5", "subgrid", "a 3 x 2 subgrid in steps of 4 x 5"),
        ("h=s3.m4 w=s2.m5", "local", "within patches of 4 x 5"),
        ("h=m3 w=m4", "everywhere", "all positions"),
        ("h=m3 w=s4", "along_h", "h mixed, w apart"),
        ("h=s3 w=m4", "along_w", "h apart, w mixed"),
        ("h=m3.s4 w=s2.m5", "along_h_w", "h mixed in steps of 4, w mixed within 5"),
        ("h=g3 w=m4", "along_w", "h apart with weights for each, w mixed"),
        ("h=s3 w=s4", "in_place", "position by position"),
        ("h=m3.s4 w=s1", "along_h", "h mixed in steps of 4, w alone"),
    ],
)
def test_names_and_words_for_positions(positions: str, name: str, words: str) -> None:
    mixer = Mixer.parse(f"{positions} c=g2")
    assert title(mixer) == name and describe(mixer) == f"{words}, weights per channel"


@given(algebra.mixers(names=("h", "w", "c")))
def test_titles_say_along_what_is_mixed(mixer: Mixer) -> None:
    along = {axis for axis, factors in mixer.axes for f in factors if f.role == "m"}
    axes = {"pointwise": {"c"}, "in_place": set(), "along_h": {"h"}, "along_w": {"w"}}
    assert title(mixer) in {*axes, "subgrid", "local", "everywhere", "along_h_w"}
    expected = axes.get(title(mixer), {"h", "w"})
    alone = {axis for axis, n in mixer.inputs.items() if n == mixer.outputs[axis] == 1}
    assert along - {"c"} | alone >= expected - {"c"} >= along - {"c"} - alone
    assert title(mixer) not in ("pointwise", "in_place") or along == expected


@given(algebra.mixers())
def test_every_mixer_has_words(mixer: Mixer) -> None:
    assert describe(mixer).isprintable()
