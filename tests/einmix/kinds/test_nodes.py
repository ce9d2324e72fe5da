"""Every kind of node: what it computes, costs and connects, how it is written, and what is refused."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from itertools import product
from random import Random
from time import process_time
from typing import Any

import algebra
import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import (
    CASES,
    FOURIER,
    IMAGE,
    LINE,
    TIED,
    VOLUME,
    WIDTH,
    cases,
    check_cost,
    check_fan_ins,
    check_reach,
    check_text,
    check_touched,
    features,
    kinds_in,
    layers,
    network,
)
from mutations import mutate
from torch import Tensor, nn

from einmix import Architecture, Mixer, Node, PatternError, Sequence, Stage, build, source
from einmix.errors import shown
from einmix.kinds import (
    KINDS,
    Activation,
    Concat,
    Conv,
    Drop,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Norm,
    Residual,
    Reweight,
    Shift,
    Shuffle,
    Split,
    Sum,
    Unfold,
    Wrap,
)
from einmix.kinds.activation import FORMS
from einmix.layers import FastMix
from einmix.networks.emission import helpers, used
from einmix.networks.notation import from_value, to_value
from einmix.nodes.node import MAX_DEPTH, Leaf, Step, steps
from search_spaces.blocks.parts import mixer

HELPERS = helpers(KINDS)


def weights_of(net: nn.Module) -> list[Tensor]:
    """Weights of the mixers in a network, whether they are trained or not."""
    return [layer.weight for layer in net.modules() if hasattr(layer, "weight_shape")]


# ------------------------------------------------------------------------------------------ all of them, in a table


EVERY = pytest.mark.parametrize("name", CASES)


def test_the_table_has_every_kind_of_node() -> None:
    kinds = set().union(*(kinds_in(nodes) for nodes in cases(IMAGE).values()))
    assert kinds == set(KINDS)


@EVERY
def test_costs_are_those_of_the_built_layers(name: str) -> None:
    check_cost(*CASES[name])


@EVERY
def test_fan_ins_are_those_of_derivatives(name: str) -> None:
    nodes, grid = CASES[name]
    check_fan_ins(network(nodes, grid))


@EVERY
def test_json_and_back(name: str) -> None:
    check_text(*CASES[name])


@EVERY
def test_reach_is_where_derivatives_are(name: str) -> None:
    """Waves have zeros, so of their layers reach is a bound."""
    seeds = 20 if name.endswith("relu") else 2
    check_reach(*CASES[name], seeds=seeds, exact=not any(f"weights {wave}" in name for wave in FOURIER))


@EVERY
def test_what_is_touched_is_what_reach_says(name: str) -> None:
    check_touched(*CASES[name])


@pytest.mark.parametrize(
    ("node", "touched"),
    [
        (Shift((("h", 1), ("w", 0))), {"h"}),
        (Shift((("w", 0), ("h", 0))), set()),
        (Shift((("h", 0), ("w", -1), ("h", 0), ("h", 0), ("h", 1)), groups="runs"), {"w"}),  # five groups of four
        (Conv(1), set()),
        (Conv(2), {"h", "w"}),
        (Unfold(1), set()),
        (Unfold(2), {"h", "w"}),
        (Dynamic("w", segments=2), {"w"}),
        (Wrap(("h", 1), length=6), {"h"}),
        (Shuffle(2), {"c"}),
    ],
    ids=lambda value: "".join(sorted(value)) or "nothing" if isinstance(value, set) else str(value),
)
def test_touched(node: Node, touched: set[str]) -> None:
    assert steps((node,), IMAGE | {"c": WIDTH})[0].touched == touched


def test_ids_tell_all_of_them_apart() -> None:
    assert len({network(nodes).id for nodes in cases(IMAGE).values()}) == len(cases(IMAGE)) - 0


# ------------------------------------------------------------------------------------------ texts


TEXTS: list[tuple[Node, Any]] = [
    (Mix(Mixer.parse("h=m4 w=s3 c=g4 +b")), "mix h=m4 w=s3 c=g4 +b"),
    (Mix(Mixer.parse("h=m4 w=s3 c=g4 +b"), start="gate"), "mix h=m4 w=s3 c=g4 +b; start gate"),
    (
        Mix(Mixer.parse("h=m4 c=s4"), start="normal 0.02", weights="circulant"),
        "mix h=m4 c=s4; start normal 0.02; weights circulant",
    ),
    (Mix(Mixer.parse("h=s4 c=g4"), start="1"), "mix h=s4 c=g4"),
    (Linear(4), "linear 4"),
    (Linear(4, bias=False, start="zero"), "linear 4; bias no; start zero"),
    (Norm(), "norm"),
    (Norm("batch", eps=1e-3), "norm batch; eps 0.001"),
    (Activation("tanh"), "tanh"),
    (Drop("droppath", 0.1), "droppath 0.1"),
    (Shift((("h", 1), ("w", -2), ("h", 0))), "shift h+1 w-2 h+0"),
    (Shift((("h", 1),), edge="keep", groups="turns"), "shift h+1; edge keep; groups turns"),
    (Shuffle(2), "shuffle 2"),
    (Conv(3), "conv 3"),
    (Conv(3, out=8, stride=2, pad=1, bias=False), "conv 3; out 8; stride 2; pad 1; bias no"),
    (Unfold(3, stride=2, pad=1), "unfold 3; stride 2; pad 1"),
    (Wrap(("h", -1), length=6), "wrap h-1; length 6"),
    (Dynamic("h", segments=2, reduced=3), "dynamic h; segments 2; reduced 3"),
    (Residual((Norm(), Linear(4))), ["norm", "linear 4"]),
    (Sum(((Norm(),), ())), {"sum": [[], ["norm"]]}),
    (Reweight(((), (Norm(),)), ratio=2), {"reweight; ratio 2": [[], ["norm"]]}),
    (Concat(((Norm(),), ())), {"concat": [["norm"], []]}),
    (Split(((), (Residual(()),))), {"split": [[], [[]]]}),
    (Gate((Norm(),)), {"gate": [["norm"]]}),
]


@pytest.mark.parametrize(("node", "value"), TEXTS, ids=lambda v: str(v)[:40])
def test_texts(node: Node, value: Any) -> None:
    """Runs keep these texts: a change here makes old results unreadable."""
    assert to_value(node) == value and from_value(value) == node


def shortest(value: float) -> str:
    """Six digits where they are enough, as runs have them, else all."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


AXES = st.sampled_from(["t", "h", "w"])
SMALL = st.integers(1, 12)
MOVE = st.tuples(AXES, st.integers(-(2**24), 2**24))
STARTS = st.just("zero") | st.tuples(
    st.sampled_from(["", "normal "]), st.floats(1e-12, 1e3).filter(lambda value: value != 1).map(shortest)
).map("".join)
ANY_LEAF = st.one_of(
    st.builds(Mix, algebra.mixers(), start=STARTS, weights=st.sampled_from(["", "frozen"])),
    st.builds(Linear, SMALL, bias=st.booleans(), start=STARTS),
    st.builds(Norm, st.sampled_from(["layer", "batch", "group"]), eps=st.floats(1e-12, 1) | st.just(1)),
    st.builds(Activation, st.sampled_from(list(FORMS))),
    st.builds(
        Drop,
        st.sampled_from(["dropout", "droppath"]),
        st.floats(-0.0, 0.999) | st.sampled_from([5e-324, 2.3e-308, 0.1 / 7, 0, -0.0]),
    ),
    st.builds(Shift, st.lists(MOVE, min_size=1, max_size=4).map(tuple), edge=st.sampled_from(["zeros", "keep"])),
    st.builds(Shuffle, SMALL),
    st.builds(Conv, SMALL, out=st.integers(0, 9), stride=SMALL, pad=st.integers(0, 9), bias=st.booleans()),
    st.builds(Unfold, SMALL, stride=SMALL, pad=st.integers(0, 9)),
    st.builds(Wrap, MOVE, length=SMALL),
    st.builds(Dynamic, AXES, segments=SMALL, reduced=SMALL),
)


def trees(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    branch = st.lists(inner, max_size=2).map(tuple)
    branches = st.lists(branch, min_size=2, max_size=3).map(tuple)
    several = [st.builds(kind, branches) for kind in (Sum, Concat, Split)]
    return st.one_of(
        *several, *(st.builds(kind, branch) for kind in (Residual, Gate)), st.builds(Reweight, branches, ratio=SMALL)
    )


ANY_NODE = st.recursive(ANY_LEAF, trees, max_leaves=5)


@settings(max_examples=50)
@given(ANY_NODE, ANY_NODE)
def test_any_node_reads_back_as_itself_and_no_two_share_a_text(a: Node, b: Node) -> None:
    for node in (a, b):
        again = from_value(json.loads(json.dumps(to_value(node))))
        assert again == node and to_value(again) == to_value(node)
    assert (to_value(a) == to_value(b)) == (a == b)


@given(st.floats(1e-3, 0.9), st.integers(-3, 3))
def test_numbers_that_differ_by_little_are_two_networks(share: float, steps_off: int) -> None:
    near = share
    for _ in range(abs(steps_off)):
        near = float(np.nextafter(near, steps_off))
    pairs = [
        [Drop("droppath", each) for each in (share, near)],
        [Norm(eps=each) for each in (share, near)],
        [Linear(4, start=f"normal {shortest(each)}") for each in (share, near)],
    ]
    for a, b in pairs:
        one, other = network((a,)), network((b,))
        assert (one.id == other.id) == (one == other) == (share == near)
        assert Architecture.from_json(one.to_json()) == one
    assert f"DropPath({share!r})".replace("e-0", "e-") in source(network((pairs[0][0],)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, "0.1", None, 10**5000], ids=shown)
def test_what_is_no_number_is_refused(value: Any) -> None:
    for make in (lambda: Drop("dropout", value), lambda: Norm(eps=value), lambda: Linear(value)):
        with pytest.raises(PatternError, match="cannot be"):
            make()
    if not isinstance(value, (bool, str, int)) and value is not None:
        with pytest.raises(PatternError, match="a start cannot be"):
            Linear(4, start=f"normal {value}")


@pytest.mark.parametrize("bias", [1, 0, "no", None])
def test_a_layer_has_a_bias_or_not(bias: Any) -> None:
    for make in (lambda: Linear(4, bias=bias), lambda: Conv(3, bias=bias)):
        with pytest.raises(PatternError, match=r"bias cannot be .*\n  True or False"):
            make()


@pytest.mark.parametrize("by", [True, 1.0, "1", None, 2**24 + 1])
def test_a_move_is_a_number_of_positions(by: Any) -> None:
    for make in (lambda: Shift((("h", by),)), lambda: Wrap(("h", by), length=4)):
        with pytest.raises(PatternError, match="a move cannot be"):
            make()


REFUSED: list[tuple[Any, str]] = [
    ("norm layer", "'norm layer' is no node (it is written 'norm')"),
    ("norm; eps 1e-5", "'norm; eps 1e-5' is no node (it is written 'norm')"),
    ("norm; eps 0.00100", "'norm; eps 0.00100' is no node (it is written 'norm; eps 0.001')"),
    ("norm instance", "no norm 'instance' (known: layer, batch, group)"),
    ("norm; eps 2", "eps cannot be 2.0 (a number from 1e-12 to 1)"),
    ("norm; eps nan", "eps cannot be nan (a number from 1e-12 to 1)"),
    ("norm; eps x", "'norm; eps x' is no node (known: mix MIXER"),
    ("gelu; form relu", "'gelu; form relu' is no node (known: mix MIXER"),
    ("softmax", "'softmax' is no node (known: mix MIXER"),
    ("linear 04", "'linear 04' is no node (it is written 'linear 4')"),
    ("linear 4;bias no", "'linear 4;bias no' is no node (known: mix MIXER"),
    ("linear 4; bias yes", "bias cannot be 'yes' (True or False: in a text nothing, or bias no)"),
    ("linear 4; bias no; bias no", "'linear 4; bias no; bias no' says something twice"),
    ("linear 4; start zero; bias no", "(it is written 'linear 4; bias no; start zero')"),
    ("linear 4; start one", "no start 'one' (zero, gate, a number, or normal and a number)"),
    ("linear 4; start gate", "a linear layer does not start as a gate (a mixer over positions does)"),
    ("linear 4; start 0.10", "no start '0.10' (the number is written 0.1)"),
    ("droppath 0.0142857142857142870", "(it is written 'droppath 0.014285714285714287')"),
    ("dropout -0", "'dropout -0' is no node (it is written 'dropout 0')"),
    ("linear 4; start ٣", "no start '٣' (the number is written 3)"),
    ("linear 4; start 0", "a start cannot be 0.0 (a number from 1e-12 to 1000)"),
    ("linear 4; start -1", "a start cannot be -1.0 (a number from 1e-12 to 1000)"),
    ("linear 4; start nan", "a start cannot be nan (a number from 1e-12 to 1000)"),
    ("linear 4; start normal", "no start 'normal'"),
    ("linear 4; start normal 1e99", "a start cannot be 1e+99 (a number from 1e-12 to 1000)"),
    ("linear 16777217", "out cannot be 16777217 (an integer from 1 to 16777216)"),
    ("mix h=m4 c=s4; start gate", "a mixer that starts as a gate has a bias of one (write +b)"),
    ("mix h=m4 c=s4; start 1; start 2", "'mix h=m4 c=s4; start 1; start 2' says something twice"),
    ("mix h=m4 c=s4; weights dense", "no weights 'dense' (known: frozen, circulant, toeplitz, cos, sin, -sin)"),
    ("mix h=m4:2 c=s4; weights cos", "cos weights are for mixed factors that keep their size, not for h=m4:2 c=s4"),
    ("mix h=s4 c=g4; weights circulant", "circulant weights are for mixed factors that keep their size, not for h=s4"),
    ("mix h=m4 c=s4; start 0.1; weights sin", "sin weights start as they are, not as '0.1'"),
    ("mix h=m2.m2 c=s4", "'mix h=m2.m2 c=s4' is no node (it is written 'mix h=m4 c=s4')"),
    ("mix h=m4 c=s4; colour red", "'mix h=m4 c=s4; colour red' is no node (known: mix MIXER"),
    ("dropout 1", "the share that is dropped cannot be 1.0 (a number from 0 to 0.999)"),
    ("droppath 0.10", "'droppath 0.10' is no node (it is written 'droppath 0.1')"),
    ("droppath", "'droppath' is no node (known: mix MIXER"),
    ("shift", "a shift has 1 to 64 moves, not 0"),
    ("shift h", "'h' is no axis with a distance (as in h+1 w-2)"),
    ("shift +1", "'+1' is no axis with a distance (as in h+1 w-2)"),
    ("shift h+1 h+" + "9" * 40, "is no axis with a distance (as in h+1 w-2)"),
    ("shift h-0", "'shift h-0' is no node (it is written 'shift h+0')"),
    ("shift h+٣", "'shift h+٣' is no node (it is written 'shift h+3')"),
    ("shift h+²", "'shift h+²' is no node (known: mix MIXER"),
    ("shift " + "h+1 " * 65, "a shift has 1 to 64 moves, not 65"),
    ("shift h+1; edge open", "no shift with edge 'open' and groups 'runs' (edge is zeros, wrap or keep"),
    ("shift h+1; edge wrap; groups turns", "a shift in turns does not wrap (edge is zeros or keep)"),
    ("shuffle 0", "groups cannot be 0 (an integer from 1 to 16777216)"),
    ("shuffle 2; bias no", "'shuffle 2; bias no' is no node (known: mix MIXER"),
    ("conv 0", "kernel cannot be 0 (an integer from 1 to 1024)"),
    ("conv 3; pad 2000", "pad cannot be 2000 (an integer from 0 to 1024)"),
    ("conv 3; out 0", "'conv 3; out 0' is no node (it is written 'conv 3')"),
    ("conv 3; stride -1", "'conv 3; stride -1' is no node (known: mix MIXER"),
    ("unfold 3; bias no", "'unfold 3; bias no' is no node (known: mix MIXER"),
    ("wrap h+1", "'wrap h+1' is no node (known: mix MIXER"),
    ("wrap h+1 w+1; length 3", "'wrap h+1 w+1; length 3' is no node (known: mix MIXER"),
    ("wrap h+1; length 0", "length cannot be 0 (an integer from 1 to 16777216)"),
    ("dynamic h", "'dynamic h' is no node (it is written 'dynamic h; segments 8; reduced 2')"),
    ("dynamic h; segments 0; reduced 2", "segments cannot be 0"),
    ({"sum": [["norm"]]}, "a sum has 2 to 16 branches, not 1"),
    ({"sum": [[]] * 17}, "a sum has 2 to 16 branches, not 17"),
    ({"sum": {"a": []}}, "\"{'sum': {'a': []}}\" is no node"),
    ({"sum": [[], "norm"]}, "\"{'sum': [[], 'norm']}\" is no node"),
    ({"sum; ratio 2": [[], []]}, "'sum; ratio 2' is no node"),
    ({"reweight; ratio 0": [[], []]}, "ratio cannot be 0"),
    ({"reweight; ratio 4": [[], []]}, "it is written"),
    ({"reweight; colour 4": [[], []]}, "'reweight; colour 4' is no node"),
    ({"reweight; ratio x": [[], []]}, "is no node"),
    ({"gate": [[], []]}, "'gate' with 2 branches is no node"),
    ({"gate; body x": [[]]}, "'gate; body x' with 1 branches is no node"),
    ({"split; branches x": [[], []]}, "'split; branches x' is no node"),
    ({3: [[], []]}, "'{3: [[], []]}' is no node"),
    ({"gate": [], "sum": []}, "\"{'gate': [], 'sum': []}\" is no node"),
    ({}, "'{}' is no node"),
    ({"residual": [[]]}, "'residual' with 1 branches is no node"),
    (3, "'3' is no node"),
    (None, "'None' is no node"),
    ("", "'' is no node"),
    ("x" * 500, "'" + "x" * 80 + "' is no node"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(value: Any, words: str) -> None:
    with pytest.raises(PatternError) as error:
        from_value(value)
    assert words in error.value.summary and len(error.value.summary) < 500


MISFITS: list[tuple[Node, str]] = [
    (Residual((Linear(5),)), "a residual branch starts with h=4 w=3 c=4 and ends with h=4 w=3 c=5: they must be equal"),
    (Sum(((), (Linear(5),))), "branches of a sum end differently: h=4 w=3 c=4 and h=4 w=3 c=5"),
    (Reweight(((), (Conv(2),))), "branches of a reweight end differently: h=4 w=3 c=4 and h=3 w=2 c=4"),
    (Reweight(((), (Norm(),)), ratio=5), "hidden channels cannot be 0 (an integer from 1 to 16777216)"),
    (Concat(((), (Conv(2, out=4),))), "branches of a concat end differently: h=4 w=3 c=1 and h=3 w=2 c=1"),
    (Split(((), (), ())), "4 channels cannot be cut into 3 equal parts"),
    (Split(((), (Unfold(2),))), "branches of a split end differently: h=4 w=3 c=1 and h=3 w=2 c=1"),
    (Residual((Linear(5), Gate(()))), "5 channels cannot be cut into 2 equal parts"),
    (Gate((Linear(4),)), "in a gate h=4 w=3 c=2 meet a branch that ends with h=4 w=3 c=4: they must be equal"),
    (Mix(Mixer.parse("h=m4 w=s4 c=s4")), "'h=m4 w=s4 c=s4' does not fit w=3: 4 = 4 (sizes that fit 3: 1, 3)"),
    (Shift((("h", 4),)), "a shift by 4 along h does not fit h=4 w=3 c=4"),
    (Shift((("c", 1),)), "a shift by 1 along c does not fit h=4 w=3 c=4"),
    (Shift((("t", 1),)), "there is no axis 't' among h=4 w=3 c=4"),
    (Shuffle(3), "4 channels do not divide into 3 groups"),
    (Conv(5), "windows of 5 do not fit h=4 w=3 c=4 with 0 around"),
    (Unfold(7, pad=1), "windows of 7 do not fit h=4 w=3 c=4 with 1 around"),
    (Wrap(("h", 4), length=4), "'wrap h+4; length 4' does not fit h=4 w=3 c=4"),
    (Wrap(("h", 0), length=9), "'wrap h+0; length 9' does not fit h=4 w=3 c=4"),
    (Wrap(("c", 1), length=4), "'wrap c+1; length 4' does not fit h=4 w=3 c=4"),
    (Dynamic("c", segments=2, reduced=2), "dynamic mixing is along positions, not c"),
    (Dynamic("t", segments=2, reduced=2), "there is no axis 't' among h=4 w=3 c=4"),
    (Dynamic("h", segments=3, reduced=2), "4 channels do not divide into 3 segments"),
    (Residual(("norm",)), "str is no kind of node with a rule for 'through' (write the rule)"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("node", "words"), MISFITS, ids=lambda v: str(v)[:40])
def test_sizes_that_do_not_fit(node: Node, words: str) -> None:
    with pytest.raises(PatternError) as error:
        network((node,))
    assert error.value.summary == words


FOUR = {"u": 4, "d": 2, "h": 2, "w": 2}


@pytest.mark.parametrize("name", cases(FOUR))
def test_on_four_axes_a_node_runs_or_is_refused(name: str) -> None:
    """torch has no Conv4d and no BatchNorm4d: that is said of the architecture, not found by building it."""
    nodes = cases(FOUR)[name]
    words = {"conv": "a convolution", "norm batch": "a batch norm", "norms": "a batch norm", "sum of": "a convolution"}
    found = [what for start, what in words.items() if name.startswith(start) or "wide conv" in name]
    if found:
        with pytest.raises(PatternError, match=r"stands on 1 to 3 axes and c, not on u=4 d=2 h=2 w=2 c=\d") as error:
            network(nodes, FOUR)
        assert error.value.summary.startswith(found[0]) and "(write " in error.value.summary
    else:
        arch = network(nodes, FOUR)
        assert build(arch)(torch.randn(2, WIDTH, *FOUR.values())).shape == (2, 3)


EMITS = {"kind": "fake", "emit": lambda self, step: []}


@pytest.mark.parametrize(
    ("fields", "says", "words"),
    [
        ([], {"kind": "fake"}, "abstract"),
        ([("x", complex)], EMITS, "nothing says how Fake.x is written: annotate it with a form"),
        ([("x", int), ("y", int)], EMITS, "one field of Fake may stand behind its word: make the others keyword-only"),
    ],
    ids=["not emitted", "of an unknown type", "two behind the word"],
)
def test_what_could_not_be_written_or_built_is_no_kind(fields: list[Any], says: dict[str, Any], words: str) -> None:
    kind = make_dataclass("Fake", fields, bases=(Leaf,), namespace=says, frozen=True)
    with pytest.raises(TypeError, match=words):
        kind(*(1 for _ in fields))


def test_a_leaf_that_says_nothing_is_a_function_at_every_element() -> None:
    node = make_dataclass("Fake", [("x", int)], bases=(Leaf,), namespace=EMITS, frozen=True)(3)
    step = Step(node, {"h": 2, "c": 3}, {"h": 2, "c": 3})
    assert (node.text, step.cost, step.touched, node.through(step.before)) == ("fake 3", (0, 0), set(), step.before)
    assert np.array_equal(step.reach.matrix(), np.eye(6)) and node.resized(lambda n: 2 * n) is node
    assert (node.as_mixer(step.before), node.width) == (None, 0)


def test_helpers_stand_in_the_order_that_modules_have_had_and_others_behind() -> None:
    made = {name: f"\ndef {name}(x):\n    return frozen(x)\n" for name in ("aid", "zeal")}
    others = [make_dataclass("Fake", [], namespace={"helpers": (source,)}) for source in made.values()]
    known = helpers((others[1], *reversed(KINDS), others[0]))
    assert list(known) == [*HELPERS, "zeal", "aid"]
    assert used(known, "frozen(Wrap(1))") == [HELPERS["Wrap"], HELPERS["frozen"]]
    assert used(known, "zeal(x)") == [HELPERS["frozen"], made["zeal"]]


def nested(depth: int) -> Sequence:
    return (Residual(nested(depth - 1)),) if depth else (Norm(),)


def test_nesting_is_limited() -> None:
    assert network(nested(MAX_DEPTH))
    with pytest.raises(PatternError, match=f"sequences stand in each other more than {MAX_DEPTH} deep"):
        network(nested(MAX_DEPTH + 1))
    data = json.loads(network(nested(1)).to_json())
    data["stages"][1]["embed"] = [json.loads("[" * 900 + "]" * 900)]
    with pytest.raises(PatternError):
        Architecture.from_json(data)


def test_the_order_of_branches_that_are_summed_says_nothing() -> None:
    a, b, c = (Linear(4),), (Norm(), Linear(4)), (Mix(mixer(IMAGE, "s4", {"h": "m4"})),)
    for kind in (Sum, Reweight):
        assert kind((a, b, c)) == kind((c, a, b)) and hash(kind((a, b, c))) == hash(kind((c, b, a)))
        assert network((kind((a, b, c)),)).id == network((kind((b, c, a)),)).id
        written = {kind.kind: [[to_value(node) for node in branch] for branch in (c, b, a)]}
        assert to_value(from_value(written)) == to_value(kind((a, b, c)))
    for ordered in (Concat, Split):
        assert ordered((a, b)) != ordered((b, a))


def test_the_order_of_branches_is_that_of_equal_nodes() -> None:
    """How somebody wrote a mixer in EinMix is no part of it, and of the order of branches neither."""
    plain = Mixer.parse("h=s4 w=s3 c=m4")
    layout = Mixer.from_einmix("b c h w -> b h w c0", "c c0", c=4, c0=4, h=4, w=3)
    assert layout == plain and layout.layout
    for kind, mixers in product((Sum, Reweight), product((plain, layout), repeat=3)):
        branches = [(Mix(each, start=start),) for each, start in zip(mixers, ("zero", "0.1", ""), strict=True)]
        one, same = kind(tuple(branches)), kind(tuple((Mix(plain, start=start),) for start in ("", "zero", "0.1")))
        assert one == same and to_value(one) == to_value(same)
        assert network((one,)).id == network((same,)).id and source(network((one,))) == source(network((same,)))


def test_what_is_equal_is_summed_up_alike() -> None:
    """Equal blocks are looked at once: a layout that one of them was read in is none of a network's."""
    plain = Mixer.parse("h=s4 w=s3 c=m4")
    layout = Mixer.from_einmix("b c h w -> b h w c0", "c c0", c=4, c0=4, h=4, w=3)
    read, written = (Mix(each) for each in (layout, plain))
    assert layout.einmix() != plain.einmix() and read == written
    assert read.mixer.einmix() == plain.einmix()


@pytest.mark.parametrize("value", ["h=s4 w=s3 c=m6", None, 4])
def test_a_mix_is_of_a_mixer(value: Any) -> None:
    with pytest.raises(PatternError, match="mixer cannot be"):
        Mix(value)


# ------------------------------------------------------------------------------------------ how weights start


def only_mixer(*nodes: Node, grid: Mapping[str, int] = IMAGE, width: int = WIDTH) -> Any:
    """The one EinMix layer of the nodes, right after building."""
    torch.manual_seed(0)
    (found,) = (layer for layer in layers(*nodes, grid=grid, width=width).modules() if hasattr(layer, "weight_shape"))
    return found


@pytest.mark.parametrize(("start", "value"), [("zero", 0.0), ("1", 1.0), ("0.1", 0.1), ("0.0001", 0.0001)])
def test_starts_with_a_value(start: str, value: float) -> None:
    mix = only_mixer(Mix(mixer(IMAGE, "s4", {"h": "m4"}), start=start))
    assert (mix.weight == value).all() and not mix.bias.any()
    linear = layers(Linear(8, start=start))[0]
    assert (linear.weight == value).all() and not linear.bias.any()
    scale = only_mixer(Mix(mixer(IMAGE, "g4", bias=False), start=start))
    assert (scale.weight == value).all() and scale.bias is None


def test_starts_with_a_distribution() -> None:
    grid = {"h": 32, "w": 32}
    mix = only_mixer(Mix(mixer(grid, "s4", {"h": "m32", "w": "m32"}), start="normal 0.02"), grid=grid)
    assert mix.weight.std().item() == pytest.approx(0.02, rel=0.01) and abs(mix.weight.mean()) < 1e-4
    assert not mix.bias.any()
    gate = only_mixer(Mix(mixer(grid, "s4", {"h": "m32", "w": "m32"}), start="gate"), grid=grid)
    assert gate.weight.std().item() == pytest.approx(1e-6, rel=0.01) and (gate.bias == 1).all()
    linear = layers(Linear(2048, start="normal 0.5"), grid=grid)[0]
    assert linear.weight.std().item() == pytest.approx(0.5, rel=0.03) and not linear.bias.any()


def test_what_mixes_nothing_starts_as_the_identity_and_a_gate_as_open() -> None:
    x = features()
    for bias in (True, False):
        assert torch.equal(layers(Mix(mixer(IMAGE, "g4", bias=bias))).double()(x), x)
    torch.manual_seed(0)
    gate = layers(Gate((Norm(), Mix(mixer(IMAGE, "s2", {"h": "m4", "w": "m3"}), start="gate")))).double()
    torch.testing.assert_close(gate(x), x[..., :2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("weights", ["frozen", *FOURIER])
def test_frozen_weights_are_no_parameters(weights: str) -> None:
    net = layers(Mix(mixer(IMAGE, "g2.s2", {"h": "m4"}), weights=weights))
    assert [name.rpartition(".")[2] for name, _ in net.named_parameters()] == ["bias"]
    (before,) = map(torch.clone, weights_of(net))
    net(features().float()).square().sum().backward()
    torch.optim.SGD(net.parameters(), 1.0).step()
    assert torch.equal(weights_of(net)[0], before) and before.abs().sum() > 0
    assert any(name.endswith("weight") for name in net.state_dict()), "kept with a checkpoint"


# ------------------------------------------------------------------------------------------ waves and offsets


@pytest.mark.parametrize("axes", [("h",), ("w",), ("h", "w"), ("h", "w", "c")], ids="".join)
def test_waves_are_the_parts_of_an_orthonormal_fourier_transform(axes: tuple[str, ...]) -> None:
    sizes, x = {**IMAGE, "c": WIDTH}, features()
    terms = {axis: f"m{n}" if axis in axes else f"s{n}" for axis, n in sizes.items()}
    plain = Mixer.parse(" ".join(f"{axis}={term}" for axis, term in terms.items()))
    expected = torch.fft.fftn(x, dim=[1 + list(sizes).index(axis) for axis in axes], norm="ortho")
    for part, values in (("cos", expected.real), ("sin", -expected.imag), ("-sin", expected.imag)):
        torch.testing.assert_close(layers(Mix(plain, weights=part)).double()(x), values, atol=1e-6, rtol=1e-5)


def test_waves_within_groups_are_alike() -> None:
    x = features()
    shared, own = (
        layers(Mix(mixer(IMAGE, c, {"h": "m4"}, bias=False), weights="cos")).double() for c in ("s4", "g2.s2")
    )
    assert torch.equal(shared(x), own(x))


@pytest.mark.parametrize("channels", ["s4", "g4", "g2.s2", "m4", "s2.m2"])
@pytest.mark.parametrize("axes", [("h",), ("h", "w")], ids="".join)
def test_circulant_weights_move_with_the_input(axes: tuple[str, ...], channels: str) -> None:
    whole = {axis: f"m{IMAGE[axis]}" for axis in axes}
    net = algebra.randomised(layers(Mix(mixer(IMAGE, channels, whole), weights="circulant")))
    for bias in (p for name, p in net.named_parameters() if name.endswith("bias")):
        nn.init.constant_(bias, 0.5)
    x = features()
    for along, by in ((axis, by) for axis in axes for by in range(IMAGE[axis])):
        place = 1 + list(IMAGE).index(along)
        torch.testing.assert_close(net(x.roll(by, place)), net(x).roll(by, place))
    free = algebra.randomised(layers(Mix(mixer(IMAGE, channels, whole))))
    assert not torch.allclose(free(x.roll(1, 1)), free(x).roll(1, 1))


def test_toeplitz_weights_are_a_convolution_with_zeros_around() -> None:
    net = algebra.randomised(
        layers(Mix(mixer({"t": 7}, "s4", {"t": "m7"}, bias=False), weights="toeplitz"), grid={"t": 7})
    )
    (weight,) = weights_of(net)
    for i, o in product(range(6), repeat=2):
        assert weight[i, o] == weight[i + 1, o + 1]
    assert len(weight.unique()) == 13
    (numbers,) = net.parameters()
    x = features({"t": 7})
    flat = rearrange(x, "b t c -> (b c) 1 t")
    expected = nn.functional.conv1d(flat, numbers.flatten().flip(0)[None, None], padding=6)
    torch.testing.assert_close(net(x), rearrange(expected, "(b c) 1 t -> b t c", c=WIDTH))


@pytest.mark.parametrize("weights", TIED)
def test_ties_by_offset_over_several_factors(weights: str) -> None:
    """Equal numbers exactly where group and offset of all mixed factors are equal."""
    text = "h=m2.s2 w=m3 c=g2.m2"
    net = algebra.randomised(layers(Mix(Mixer.parse(text), weights=weights)))
    (weight,) = weights_of(net)
    lengths = 2, 3, 2
    assert weight.shape == (*lengths[:2], 2, 2, *lengths[:2], 2) or weight.ndim == 7
    order = net[0].weight_shape.split()
    found: dict[Any, set[float]] = {}
    for index in np.ndindex(*weight.shape):
        at = dict(zip(order, index, strict=True))
        group = tuple(value for name, value in at.items() if name[-1] not in "io")
        ends = [(at[name], at[f"{name[:-1]}o"]) for name in order if name.endswith("i")]
        offsets = tuple(
            (o - i) % n if weights == "circulant" else o - i for (i, o), n in zip(ends, lengths, strict=True)
        )
        found.setdefault((group, offsets), set()).add(weight[index].item())
    assert all(len(values) == 1 for values in found.values())
    assert len(set().union(*found.values())) == len(found) == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("weights", ["frozen", *TIED, *FOURIER])
def test_special_weights_of_more_names_than_einops_knows(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Mix(Mixer.parse("h=m2.s2 w=m3 c=g2.m2 +b"), weights=weights)
    torch.manual_seed(0)
    plain = layers(node).double()
    monkeypatch.setattr("einmix.kinds.mix.MAX_NAMES", 2)
    torch.manual_seed(0)
    gathered = layers(node).double()
    assert "Rearrange" in str(gathered) and "Rearrange" not in str(plain)
    with torch.no_grad():
        for target, own in zip(gathered.parameters(), plain.parameters(), strict=True):
            nn.init.normal_(own)
            target.copy_(own.reshape(target.shape))
        if weights == "frozen":
            weights_of(gathered)[0].copy_(weights_of(plain)[0].reshape(weights_of(gathered)[0].shape))
        for net in (plain, gathered):
            next(p for name, p in net.named_parameters() if name.endswith("bias")).zero_()
    torch.testing.assert_close(gathered(features()), plain(features()))


@pytest.mark.parametrize("groups", ["runs", "turns"])
@pytest.mark.parametrize("edge", ["zeros", "keep", "wrap"])
def test_a_shift_is_a_frozen_mixer_that_permutes(edge: str, groups: str) -> None:
    if (edge, groups) == ("wrap", "turns"):
        pytest.skip("refused")
    shift, x = Shift((("h", 1), ("h", -2)), edge=edge, groups=groups), features()
    mix = layers(Mix(mixer(IMAGE, "g2.s2" if groups == "runs" else "s2.g2", {"h": "m4"}, bias=False), weights="frozen"))
    (weight,) = weights_of(mix.double())
    assert weight.shape == (2, 4, 4) and not list(mix.parameters())
    weight.zero_()
    for group, (_, by) in enumerate(shift.moves):
        for out in range(4):
            inside = 0 <= out - by < 4
            if inside or edge != "zeros":
                weight[group, (out - by) % 4 if inside or edge == "wrap" else out, out] = 1
    assert torch.equal(layers(shift)(x), mix(x))


# ------------------------------------------------------------------------------------------ plain formulas


def by_loops(x: Tensor, value: Callable[..., Any]) -> Tensor:
    """The features of which `value` gives each number from its indices."""
    y = torch.empty_like(x)
    for index in np.ndindex(*x.shape):
        y[index] = value(*index)
    return y


@pytest.mark.parametrize(
    ("edge", "groups"), [(e, g) for e in ("zeros", "keep", "wrap") for g in ("runs", "turns")][:-1]
)
@pytest.mark.parametrize("width", [1, 3, 4, 5, 7, 8])
def test_shifts_by_loops(width: int, edge: str, groups: str) -> None:
    """Also where channels do not divide into groups, or are fewer: `torch.chunk` says which run a channel is in."""
    moves = (("h", 1), ("w", -2), ("h", 0), ("h", -3))
    x = features(width=width, count=1)
    runs = [k for k, part in enumerate(torch.arange(width).chunk(len(moves))) for _ in part]

    def value(b: int, h: int, w: int, c: int) -> Any:
        axis, by = moves[runs[c] if groups == "runs" else c % len(moves)]
        at = {"h": h, "w": w}
        at[axis] -= by
        if not 0 <= at[axis] < IMAGE[axis]:
            if edge == "zeros":
                return 0.0
            at[axis] = at[axis] % IMAGE[axis] if edge == "wrap" else at[axis] + by
        return x[b, at["h"], at["w"], c]

    assert torch.equal(layers(Shift(moves, edge=edge, groups=groups), width=width)(x), by_loops(x, value))


@pytest.mark.parametrize("axis", ["h", "w"])
def test_dynamic_mixing_by_loops(axis: str) -> None:
    segments, reduced, width = 2, 3, 6
    net, x = (
        algebra.randomised(layers(Dynamic(axis, segments=segments, reduced=reduced), width=width))[0],
        features(width=width),
    )
    read, square = (layer for layer in net.modules() if isinstance(layer, nn.Linear))
    y = torch.zeros_like(x)
    for example, other in product(range(2), range(IMAGE["w" if axis == "h" else "h"])):
        here: Any = (example, slice(None), other) if axis == "h" else (example, other)
        tokens = x[here]
        n, per = len(tokens), width // segments
        few = tokens @ read.weight.T + read.bias
        for s in range(segments):
            numbers = torch.cat([few[i, s * reduced : (s + 1) * reduced] for i in range(n)])
            matrix = (square.weight @ numbers + square.bias).reshape(n, n)
            chances = matrix.exp() / matrix.exp().sum(0)
            part = slice(s * per, (s + 1) * per)
            for out in range(n):
                y[here][out, part] = sum(chances[i, out] * tokens[i, part] for i in range(n))
    torch.testing.assert_close(net(x), y)


def test_reweighted_branches_by_loops() -> None:
    net, x = (
        algebra.randomised(layers(Reweight(((Linear(6),), (Conv(1, out=6),), (Norm(), Linear(6))), ratio=2)))[0],
        features(),
    )
    ways = [branch(x) for branch in net.branches]
    first, second = (layer for layer in net.weigh if isinstance(layer, nn.Linear))
    assert first.out_features == 3
    y = torch.zeros_like(ways[0])
    for example in range(2):
        pooled = sum(way[example] for way in ways).mean((0, 1))
        scores = (second.weight @ nn.functional.gelu(first.weight @ pooled + first.bias) + second.bias).reshape(6, 3)
        for c in range(6):
            share = scores[c].exp() / scores[c].exp().sum()
            y[example, :, :, c] = sum(share[k] * ways[k][example, :, :, c] for k in range(3))
    torch.testing.assert_close(net(x), y)


def test_sums_joins_parts_gates_and_residuals() -> None:
    x, f = features(), Linear(4, start="normal 1")
    half = Linear(2, start="normal 1")
    torch.manual_seed(0)
    inner = layers(f).double()[0]
    pairs: list[tuple[Node, Callable[[Any, Tensor], Tensor]]] = [
        (Sum(((), (f,))), lambda net, x: x + net[1](x)),
        (Residual((f, Activation("relu"))), lambda net, x: x + net.f[0](x).relu()),
        (Concat(((f,), ())), lambda net, x: torch.stack([*net[0](x).unbind(-1), *x.unbind(-1)], -1)),
        (Split(((half,), ())), lambda net, x: torch.stack([*net[0](x[..., :2]).unbind(-1), x[..., 2], x[..., 3]], -1)),
        (Gate((half,)), lambda net, x: x[..., :2] * net.f[0](x[..., 2:])),
    ]
    for node, formula in pairs:
        net = algebra.randomised(layers(node))[0]
        torch.testing.assert_close(net(x), formula(net, x))
    assert inner(x).shape == x.shape


@pytest.mark.parametrize(("by", "length"), [(0, 4), (1, 4), (-3, 4), (1, 6), (-2, 8), (3, 3), (-1, 1), (2, 5)])
def test_wraps_by_loops(by: int, length: int) -> None:
    """Position p of the circle is what was at p - by; a longer axis goes around, a shorter one ends."""
    x = features()
    y = layers(Wrap(("h", by), length=length))(x)
    circle = min(4, length)
    assert y.shape[1] == length
    assert all(torch.equal(y[:, p], x[:, (p - by) % circle]) for p in range(length))


def test_an_axis_is_filled_up_and_cut_again() -> None:
    x = features({"h": 7, "w": 3})
    for by in range(-3, 4):
        filled = layers(Wrap(("h", by), length=9), grid={"h": 7, "w": 3})(x)
        assert torch.equal(filled[:, :7], x.roll(by, 1)) and torch.equal(filled[:, 7:], filled[:, :2])
        assert (
            torch.equal(layers(Wrap(("h", by), length=9), Wrap(("h", -by), length=7), grid={"h": 7, "w": 3})(x), x)
            or by
        )


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(1, 1, 0), (2, 1, 0), (3, 1, 1), (2, 2, 1), (3, 2, 0)])
def test_windows_are_those_of_torch(kernel: int, stride: int, pad: int) -> None:
    x = features()
    theirs = nn.Unfold(kernel, stride=stride, padding=pad)(x.movedim(-1, 1))
    ours = layers(Unfold(kernel, stride=stride, pad=pad))(x)
    torch.testing.assert_close(ours, theirs.unflatten(-1, ours.shape[1:3]).movedim(1, -1))
    for grid in (LINE, {"d": 3, "h": 4, "w": 3}):  # as a convolution whose weights say which number goes where
        net, volume = layers(Unfold(kernel, stride=stride, pad=pad), grid=grid), features(grid)
        places = kernel ** len(grid)
        weight = torch.eye(WIDTH * places, dtype=torch.float64).reshape(WIDTH * places, WIDTH, *[kernel] * len(grid))
        convolve = getattr(nn.functional, f"conv{len(grid)}d")
        expected = convolve(volume.movedim(-1, 1), weight, stride=stride, padding=pad)
        torch.testing.assert_close(net(volume), expected.movedim(1, -1))


@pytest.mark.parametrize("grid", [LINE, IMAGE, VOLUME], ids=lambda grid: f"{len(grid)}")
@pytest.mark.parametrize(
    "node",
    [Conv(3, pad=1), Conv(2, out=6, stride=2, pad=1), Conv(3, out=4, pad=1, bias=False), Conv(1, stride=2)],
    ids=str,
)
def test_convolutions_are_those_of_torch(node: Conv, grid: dict[str, int]) -> None:
    net, x = algebra.randomised(layers(node, grid=grid)), features(grid)
    theirs = getattr(nn, f"Conv{len(grid)}d")(
        *(WIDTH, node.out or WIDTH, node.kernel, node.stride, node.pad),
        groups=1 if node.out else WIDTH,
        bias=node.bias,
    ).double()
    theirs.load_state_dict({name.rpartition(".")[2]: value for name, value in net.state_dict().items()})
    torch.testing.assert_close(net(x), theirs(x.movedim(-1, 1)).movedim(1, -1))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_shuffled_channels_are_those_of_torch(groups: int) -> None:
    x = features(width=6)
    theirs = nn.ChannelShuffle(groups)(x.movedim(-1, 1)).movedim(1, -1)
    assert torch.equal(layers(Shuffle(groups), width=6)(x), theirs)


@pytest.mark.parametrize(
    ("node", "theirs"), [(Norm("batch"), nn.BatchNorm2d(4)), (Norm("group"), nn.GroupNorm(1, 4))], ids=str
)
def test_norms_of_positions_are_those_of_torch(node: Norm, theirs: nn.Module) -> None:
    net, x = layers(node).double(), features()
    torch.testing.assert_close(net(x), theirs.double()(x.movedim(-1, 1)).movedim(1, -1))


def test_a_norm_has_the_epsilon_that_it_says() -> None:
    for form, kind in (("layer", nn.LayerNorm), ("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)):
        for eps in (1e-5, 1e-6, 1e-3):
            (norm,) = (layer for layer in layers(Norm(form, eps=eps)).modules() if isinstance(layer, kind))
            assert norm.eps == eps


def test_whole_examples_are_dropped() -> None:
    """Those that stay are scaled up, so that the expectation is the input."""
    net, x = layers(Drop("droppath", 0.25)), torch.ones(4000, 4, 3, 4)
    torch.manual_seed(0)
    y = net.train()(x).flatten(1)
    kept = y[:, 0] > 0
    assert torch.equal(y, torch.where(kept[:, None], torch.tensor(4 / 3), torch.tensor(0.0)).expand_as(y))
    assert kept.double().mean().item() == pytest.approx(0.75, abs=0.03) and y.mean().item() == pytest.approx(
        1, abs=0.03
    )
    assert torch.equal(net.eval()(x), x)
    single = layers(Drop("dropout", 0.25)).train()(x)
    assert 0 < (single[0] == 0).sum() < single[0].numel() and single.mean().item() == pytest.approx(1, abs=0.02)


# ------------------------------------------------------------------------------------------ the fast layer


@EVERY
def test_the_fast_layer_computes_and_learns_the_same(name: str) -> None:
    nodes, grid = CASES[name]
    plain = algebra.randomised(layers(*nodes, grid=grid)).eval()
    fast = layers(*nodes, grid=grid, mix=FastMix).double().eval()
    assert any(isinstance(m, FastMix) for m in fast.modules()) == any(
        hasattr(m, "weight_shape") for m in plain.modules()
    )
    fast.load_state_dict(plain.state_dict())
    inputs = features(grid).requires_grad_(), features(grid).requires_grad_()
    outputs = [net(x) for net, x in zip((plain, fast), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for y in outputs:
        y.sin().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for (which, a), (other, b) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        assert which == other
        torch.testing.assert_close(a.grad, b.grad)


# ------------------------------------------------------------------------------------------ structured layers


def channels_of(*terms: str) -> tuple[Mix, ...]:
    return tuple(Mix(mixer(IMAGE, term, bias=False)) for term in terms)


STRUCTURED: dict[str, tuple[Sequence, str, str, dict[str, int], int]] = {
    "low rank": (channels_of("m12:2", "m2:12"), "bhwi,ir,ro->bhwo", "b h w i -> b h w i", {}, 12 * 2 + 2 * 12),
    "monarch, shuffled": (
        (*channels_of("g3.m4"), Shuffle(3), *channels_of("g4.m3"), Shuffle(4)),
        "bhwgk,gkl,lgp->bhwpl",
        "b h w (g k) -> b h w g k",
        {"g": 3},
        3 * 4 * 4 + 4 * 3 * 3,
    ),
    "monarch": (channels_of("g3.m4", "m3.g4"), "bhwgk,gkl,glp->bhwpl", "b h w (g k) -> b h w g k", {"g": 3}, 84),
    "block tensor train": (
        channels_of("m3:8.g4", "g4.m8:3"),
        "bhwij,ijxr,xrjy->bhwxy",
        "b h w (i j) -> b h w i j",
        {"i": 3},
        4 * (3 * 4 * 2) + 4 * (2 * 4) * 3,
    ),
}
"""Nodes from 12 channels to 12, an einsum of their weights, the input as it takes it, and the number of parameters."""


@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_layers_are_two_mixers(name: str) -> None:
    """A dense layer over channels as two cheaper ones: the formulas of the papers, and their numbers of parameters."""
    nodes, equation, cut, sizes, params = STRUCTURED[name]
    net, x = algebra.randomised(layers(*nodes, width=12)), features(width=12)
    first, second = weights_of(net)
    if name == "monarch, shuffled":  # the second acts on blocks of what the shuffle brought together
        assert (first.shape, second.shape) == ((3, 4, 4), (4, 3, 3))
    if name == "monarch":
        second = rearrange(second, "l g p -> g l p")
    if name == "block tensor train":  # to x outputs and r ranks for each of the j, then from j and r for each x
        first = rearrange(first, "j i (x r) -> i j x r", r=2)
        second = rearrange(second, "x (r j) y -> x r j y", r=2)
    expected = torch.einsum(equation, rearrange(x, cut, **sizes), first, second)
    torch.testing.assert_close(net(x), expected.flatten(3))
    assert sum(p.numel() for p in net.parameters()) == params == sum(s.cost[0] for s in steps(nodes, IMAGE | {"c": 12}))
    assert params < 12 * 12 or name == "block tensor train"


# ------------------------------------------------------------------------------------------ what becomes code


def random_nodes(rng: Random, sizes: dict[str, int], depth: int = 0) -> tuple[Sequence, dict[str, int]]:
    """A few nodes of any kind that fit these sizes, with the sizes after them."""
    found: list[Node] = []
    for _ in range(rng.randint(1, 3)):
        for _ in range(20):
            try:
                node = random_node(rng, sizes, depth)
                (step,) = steps((node,), sizes)
            except PatternError:
                continue
            found.append(node)
            sizes = step.after
            break
    return tuple(found), sizes


def random_node(rng: Random, sizes: dict[str, int], depth: int) -> Node:
    axis, c = rng.choice(list(sizes)[:-1]), sizes["c"]
    grid = {name: n for name, n in sizes.items() if name != "c"}
    n = grid[axis]

    def mix(**options: str) -> Mix:
        role = rng.choice("sgm")
        return Mix(mixer(grid, f"{role}{c}", {axis: f"m{n}"}, bias=rng.random() < 0.5), **options)

    def inner(before: dict[str, int] = sizes) -> Sequence:
        return random_nodes(rng, before, depth + 1)[0] if depth < 3 else (Norm(),)

    makers: list[Callable[[], Node]] = [
        mix,
        lambda: mix(start=rng.choice(["zero", "gate", "0.1", "normal 0.02"])),
        lambda: mix(weights=rng.choice(["frozen", *TIED, *FOURIER])),
        lambda: Mix(mixer(grid, f"g{c}")),
        lambda: Mix(mixer(grid, f"m{c}:{rng.choice([4, 8])}", {axis: f"m{n}:{rng.choice([n, 2])}"})),
        lambda: Linear(rng.choice([4, 8, c]), bias=rng.random() < 0.5),
        lambda: Norm(rng.choice(["layer", "batch", "group"]), eps=rng.choice([1e-5, 1e-6])),
        lambda: Activation(rng.choice(list(FORMS))),
        lambda: Drop(rng.choice(["dropout", "droppath"]), 0.1),
        lambda: Shift(
            tuple((rng.choice(list(grid)), rng.choice([-1, 0, 1])) for _ in range(3)),
            edge=rng.choice(["zeros", "keep"]),
        ),
        lambda: Shift(((axis, 1), (axis, -1)), edge="wrap"),
        lambda: Shuffle(rng.choice([2, 4])),
        lambda: Conv(3, out=rng.choice([0, 4]), pad=1) if len(grid) < 4 else Shuffle(2),
        lambda: Unfold(2, stride=2),
        lambda: Wrap((axis, rng.choice([-1, 0, 1])), length=n + rng.choice([-1, 0, 1])),
        lambda: Dynamic(axis, segments=rng.choice([1, 2]), reduced=2),
        lambda: Residual(inner()),
        lambda: Sum((inner(), (), inner())),
        lambda: Reweight((inner(), ()), ratio=rng.choice([2, 4])),
        lambda: Concat((inner(), ())),
        lambda: Split((inner(sizes | {"c": c // 2}), ())),
        lambda: Gate(inner(sizes | {"c": c // 2})),
    ]
    return rng.choice(makers)()


HOSTILE_AXES = [
    *(
        "nn",
        "torch",
        "c2",
        "n",
        "t",
        "d",
        "h",
        "w",
        "hidden",
        "mix",
        "mix1",
        "value",
        "x",
        "x1",
        "layers",
        "layer",
        "self",
    ),
    *(
        "lengths",
        "part",
        "around",
        "moves",
        "turns",
        "axis",
        "segments",
        "reduced",
        "kernel",
        "stride",
        "pad",
        "length",
    ),
    *(
        "scale",
        "normal",
        "tied",
        "fourier",
        "frozen",
        "model",
        "net",
        "p",
        "range",
        "print",
        "sum",
        "super",
        "len",
        "b",
    ),
    *("pattern", "weight_shape", "bias_shape", "bias", "std", "lambda", "class", "if", "none", "args", "kwargs", "r"),
    *("Mix", "Reduce", "__class__", "_", "a.b", "a b", "h'", 'h"', "é", "ﬁ", "x" * 70, "tokens", "channels", "gated"),
    *(
        "ci",
        "co",
        "cio",
        "s",
        "g",
        "i",
        "o",
        "c1",
        "hi",
        "ho",
        "wi",
        "wo",
        "ni",
        "no",
        "device",
        "eps",
        "groups",
        "float",
    ),
]
"""Names of modules, functions, parameters and keywords, what the text names itself, and what is no name at all."""


def random_network(rng: Random, axes: list[str]) -> Architecture:
    """Two stages of random nodes; blocks are those nodes in a residual, so often as they keep their sizes."""
    sizes = {axis: rng.choice([4, 6]) for axis in axes} | {"c": 8}
    inputs, stages = tuple(sizes.items()), []
    for _ in range(2):
        embed, sizes = random_nodes(rng, sizes)
        blocks = []
        for _ in range(rng.randint(0, 3)):
            body, after = random_nodes(rng, sizes)
            blocks.append((Residual(body) if after == sizes else Residual((Norm(), Linear(sizes["c"]))),))
        stages.append(Stage(embed, tuple(blocks * rng.randint(1, 2))))
    return Architecture(inputs, tuple(stages), 3)


FUNCTIONS = {"Mix", "Rearrange", "Reduce", "range", "print", "sum", "tokens", "channels", "gated"} | set(HELPERS)
MODULES = {
    *("Module", "Sequential", "Identity", "Linear", "LayerNorm", "GroupNorm", "Dropout"),
    *(f"{layer}{k}d" for layer in ("Conv", "BatchNorm") for k in (1, 2, 3)),
    *(FORMS.values()),
}
KEYWORDS = {
    *("weight_shape", "bias_shape", "bias", "eps", "stride", "padding", "pad", "groups", "turns", "around", "part"),
    *("std", "listed"),
}


def foreign_code(arch: Architecture) -> set[str]:
    """Names in the module's own code (without the helpers, which no architecture changes) of no known meaning."""
    text = source(arch)
    for helper in HELPERS.values():
        text = text.replace(helper, "\n")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    own = {function.name for function in functions}
    arguments = {arg.arg for function in functions for arg in function.args.args}
    found = {
        name for name in arguments if not re.fullmatch(r"(mix|hidden|groups|segments|move|region|[tdhwcn])[0-9]*", name)
    }
    assert len(own) == len(functions), "two functions of one name"
    assert not own & (FUNCTIONS - {"tokens", "channels", "gated"})
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found |= {node.id} - FUNCTIONS - own - arguments - {"nn", "int", "_", "layer", "net", "p", "__name__"}
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} - MODULES - {"numel", "parameters"}
        elif isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Name) and node.func.id in ("Mix", "Rearrange")
        ):
            found |= {str(keyword.arg) for keyword in node.keywords} - KEYWORDS - arguments
        elif isinstance(node, ast.ImportFrom | ast.Import):
            module = getattr(node, "module", None)
            found |= {alias.name for alias in node.names if module is None} - {"torch"}
            found |= {module} - {None, "torch", "einops.layers.torch"}
        else:
            plain = (ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Expr, ast.Constant, ast.Load)
            plain += (ast.Call, ast.keyword, ast.Tuple, ast.List, ast.Store, ast.If, ast.Compare, ast.Eq, ast.Assign)
            plain += (
                ast.alias,
                ast.Starred,
                ast.GeneratorExp,
                ast.comprehension,
                ast.UnaryOp,
                ast.USub,
                ast.BinOp,
                ast.Mult,
            )
            plain += (ast.FloorDiv,)
            found |= set() if isinstance(node, plain) else {type(node).__name__}
    return found


@given(st.integers(0, 2**32))
def test_names_in_the_text_of_any_tree_come_from_a_fixed_vocabulary(seed: int) -> None:
    """Whatever axes are called, their names stand in strings, and as keywords of Mix and Rearrange."""
    rng = Random(seed)
    axes = rng.sample(HOSTILE_AXES, rng.randint(1, 3))
    try:
        arch = random_network(rng, axes)
    except PatternError as error:
        assert "no axis name" in error.summary or "cannot be an axis" in error.summary
        axes = ["t", "nn", "x1"][: len(axes)]
        arch = random_network(rng, axes)
    assert foreign_code(arch) == set()
    net = build(arch)
    assert sum(p.numel() for p in net.parameters()) == arch.params
    assert net(torch.randn(2, 8, *[size for _, size in arch.inputs[:-1]])).shape == (2, 3)
    assert Architecture.from_json(arch.to_json()) == arch


@pytest.mark.parametrize("axis", HOSTILE_AXES)
def test_an_axis_of_any_name_is_refused_or_runs(axis: str) -> None:
    """In every kind of node at once: so a name that would hide a function or a parameter of the text shows itself."""
    try:
        table = cases({axis: 4, "q": 2})
    except PatternError as error:
        assert "no axis name" in error.summary or "cannot be an axis" in error.summary or "is no" in error.summary
        return
    nodes = [
        Residual(each)
        for each in table.values()
        if steps(each, {axis: 4, "q": 2, "c": 4})[-1].after == {axis: 4, "q": 2, "c": 4}
    ]
    assert len(nodes) > 30
    first = Stage((Mix(mixer({axis: 4, "q": 2}, "m4")),), tuple((node,) for node in nodes))
    try:
        arch = Architecture(((axis, 4), ("q", 2), ("c", 4)), (first,), 3)
    except PatternError as error:
        assert axis in str(error)
        return
    assert foreign_code(arch) == set()
    assert build(arch).eval()(torch.randn(1, 4, 4, 2)).shape == (1, 3)


def as_json(nodes: list[Any], sizes: Mapping[str, int] = IMAGE) -> str:
    value = {"inputs": {**sizes, "c": 4}, "stages": [{"embed": nodes, "blocks": []}], "classes": 3}
    return json.dumps(value)


DEEP: Any = ["norm"]
for _ in range(11):
    DEEP = [{"sum": [DEEP, DEEP]}]
LARGE = 2**24
COSTLY: dict[str, str] = {
    "wide": as_json([f"linear {LARGE}"] * 50),
    "wide windows": as_json([f"linear {LARGE // 2**20}", "unfold 1000; pad 1000"]),
    "long axes": as_json([f"dynamic t; segments {LARGE}; reduced {LARGE}"], {"t": LARGE}),
    "long mixer": as_json([f"mix t=m{LARGE} c=m4", f"mix t=m{LARGE} c=m4; weights cos"], {"t": LARGE}),
    "highly composite": as_json(["mix t=m14414400 c=m4; weights circulant"], {"t": 14414400}),
    "many shifts": as_json([f"linear {LARGE}", "shift " + "h+1 " * 63 + "h+1"]),
    "turns": as_json([f"linear {LARGE}", "shift " + "h+1 " * 63 + "h+1; groups turns"]),
    "shuffles": as_json([f"linear {LARGE}", f"shuffle {LARGE}"]),
    "digits": as_json(["linear " + "9" * 100_000]),
    "digits of a mixer": as_json(["mix h=m" + "9" * 100_000]),
    "a long start": as_json(["linear 4; start 0." + "1" * 100_000]),
    "many nodes": as_json(["norm"] * 20_000),
    "many branches": as_json([{"sum": [["norm"]] * 16}] * 500),
    "deep": as_json(DEEP),
    "brackets": as_json([json.loads("[" * 400 + "]" * 400)]),
    "blocks": json.dumps(
        {
            "inputs": {"h": 4, "w": 4, "c": 4},
            "stages": [
                {"embed": "h=s4 w=s4 c=m4", "blocks": [[[f"linear {4 + k}", "gelu", "linear 4"]] for k in range(1024)]}
            ],
            "classes": 3,
        }
    ),
}


@pytest.mark.parametrize("name", COSTLY)
def test_nothing_that_json_can_say_takes_long(name: str) -> None:
    """Read, counted and written, or refused; nothing is built."""
    start = process_time()
    try:
        arch = Architecture.from_json(COSTLY[name])
        assert arch.params >= 0 and arch.macs >= 0 and arch.untouched() is not None
        text = source(arch)
        compile(text, "text", "exec")
    except PatternError:
        pass
    assert process_time() - start < 5


@given(st.data())
def test_any_change_to_the_json_of_nodes_is_refused_or_another_network(data: st.DataObject) -> None:
    nodes, grid = CASES[data.draw(st.sampled_from(list(CASES)))]
    value = json.loads(network(nodes, grid).to_json())
    for _ in range(data.draw(st.integers(1, 2))):
        value = mutate(value, data.draw)
    try:
        arch = Architecture.from_json(value)
        text = arch.to_json()
    except PatternError as error:
        assert error.summary
    else:
        assert Architecture.from_json(text).to_json() == text
        assert foreign_code(arch) == set()
