"""Architectures as data: JSON, identity, cost, and whatever else a file may hold."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import algebra
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import VALUES, counted, mutate

from einmix import Architecture, Mixer, PatternError, Stage, build, sample_mixer, source
from einmix.kinds import Mix, Norm, Residual
from einmix.networks.architecture import MAX_BLOCKS

EMBED = "h=s4.m2:1 w=s4.m2:1 c=m1:6 +b"


CHANNELS = algebra.nodes("norm", "12", "gelu", "6")


TOKENS = algebra.nodes("norm", "h=m4:8 w=s4 c=g6 +b", "gelu", "h=m8:4 w=s4 c=g6 +b")


SUBGRID = algebra.nodes("norm", "h=m2.s2 w=m2.s2 c=g2.s3 +b")


AFFINE = algebra.nodes("h=s4 w=s4 c=g6 +b", "h=s4 w=s4 c=m6 +b", "h=s4 w=s4 c=g6")


SMALL = algebra.network(EMBED, (TOKENS, CHANNELS), (SUBGRID, CHANNELS), (SUBGRID, CHANNELS))


NETWORKS = {
    "small": SMALL,
    "affine": algebra.network(EMBED, (AFFINE,)),
    "no blocks": algebra.network(EMBED),
    "empty block and branch": algebra.network(EMBED, (), ((),)),
    "sequence": algebra.network("t=s6.m2:1 c=m3:4 +b", (algebra.nodes("norm", "t=m6 c=s4"),)),
    "volume": algebra.network("d=s2 h=s2 w=s2.m2:1 c=m1:4 +b", (algebra.nodes("d=m2 h=m2 w=s2 c=g4 +b"),)),
    "four axes": algebra.network("t=s2 d=s2 h=s2 w=s2 c=m1:4", (algebra.nodes("t=m2 d=s2 h=s2 w=m2 c=s4 +b"),)),
    "frozen embedding": Architecture(SMALL.inputs, (Stage((Mix(Mixer.parse(EMBED), weights="frozen"),), ()),), 3),
    "embedding with a start": Architecture(SMALL.inputs, (Stage((Mix(Mixer.parse(EMBED), start="zero"),), ()),), 3),
    "two stages": Architecture(
        SMALL.inputs,
        (*SMALL.stages, *algebra.network("h=s2.m2:1 w=s2.m2:1 c=m6:8", (algebra.nodes("h=m2 w=m2 c=g8"),)).stages),
        5,
    ),
}


NAMES = pytest.mark.parametrize("name", NETWORKS)


@NAMES
def test_json_round_trips(name: str) -> None:
    arch = NETWORKS[name]
    assert Architecture.from_json(arch.to_json()) == arch
    assert Architecture.from_json(json.loads(arch.to_json())) == arch
    assert Architecture.from_json(arch.to_json()).id == arch.id
    assert json.dumps(json.loads(arch.to_json()), separators=(",", ":")) == arch.to_json()


def test_the_json_and_the_id_do_not_change_between_versions() -> None:
    """Runs keep ids in their files: a change here makes old results unreadable."""
    assert SMALL.to_json() == (
        '{"inputs":{"h":8,"w":8,"c":1},"stages":[{"embed":"h=s4.m2:1 w=s4.m2:1 c=m1:6 +b","blocks":['
        '[["norm","mix h=m4:8 w=s4 c=g6 +b","gelu","mix h=m8:4 w=s4 c=g6 +b"],["norm","linear 12","gelu","linear 6"]],'
        '[["norm","mix h=m2.s2 w=m2.s2 c=g2.s3 +b"],["norm","linear 12","gelu","linear 6"]],'
        '[["norm","mix h=m2.s2 w=m2.s2 c=g2.s3 +b"],["norm","linear 12","gelu","linear 6"]]]}],"classes":3}'
    )
    assert SMALL.id == "8b61052da2"


def test_ids_tell_networks_apart_and_nothing_else() -> None:
    assert len({arch.id for arch in NETWORKS.values()}) == len(NETWORKS)
    assert replace(SMALL, classes=4).id != SMALL.id
    read = Mixer.from_einmix("b c h w -> b c h0 w", "h h0", h=4, h0=4, w=4, c=6)
    as_read, plain = (algebra.network(EMBED, (algebra.nodes(str(read)),)), algebra.network(EMBED, ((), ())))
    assert as_read.id == algebra.network(EMBED, (algebra.nodes("h=m2.m2 w=s4.s1 c=s6"),)).id != plain.id


@NAMES
def test_costs_are_those_of_the_built_network(name: str) -> None:
    arch = NETWORKS[name]
    net = build(arch)
    sizes = [size for _, size in arch.inputs]
    x = torch.randn(2, sizes[-1], *sizes[:-1])
    assert arch.params == sum(p.numel() for p in net.parameters())
    assert arch.macs == counted(net, x)
    assert net(x).shape == (2, arch.classes)


def test_published_models_have_their_published_numbers_of_parameters() -> None:
    """As counted in timm: mixer_s16_224 and resmlp_12_224, both with 1000 classes."""
    embed = "h=s14.m16:1 w=s14.m16:1 c=m3:{} +b"
    token = algebra.nodes("norm", "h=m14:16 w=m14:16 c=s512 +b", "gelu", "h=m16:14 w=m16:14 c=s512 +b")
    channel = algebra.nodes("norm", "2048", "gelu", "512")
    assert algebra.network(embed.format(512), *[(token, channel)] * 8, classes=1000).params == 18_528_264
    affine, scale = "h=s14 w=s14 c=g384 +b", "h=s14 w=s14 c=g384"
    patches = algebra.nodes(affine, "h=m14 w=m14 c=s384 +b", scale)
    channel = algebra.nodes(affine, "1536", "gelu", "384", scale)
    assert algebra.network(embed.format(384), *[(patches, channel)] * 12, classes=1000).params == 15_350_872


def test_mixers_and_untouched() -> None:
    assert [str(mixer) for mixer in NETWORKS["affine"].mixers] == [
        "h=s4 w=s4 c=g6 +b",
        "h=s4 w=s4 c=m6 +b",
        "h=s4 w=s4 c=g6",
    ]
    assert NETWORKS["affine"].untouched() == ("h", "w") == NETWORKS["no blocks"].untouched()
    assert SMALL.untouched() == () and NETWORKS["volume"].untouched() == ("w",)


def test_redundancies_in_words() -> None:
    """The tutorial's find in ResMLP: an affine layer before a linear one, and a scale after one."""
    assert NETWORKS["affine"].redundancies() == (
        "h=s4 w=s4 c=g6 +b is redundant before h=s4 w=s4 c=m6 +b",
        "h=s4 w=s4 c=g6 is redundant after h=s4 w=s4 c=m6 +b",
    )
    branch = algebra.nodes("h=s4 w=s4 c=g6 +b", "24", "gelu", "6", "h=s4 w=s4 c=g6")
    assert algebra.network(EMBED, (branch,)).redundancies() == (
        "h=s4 w=s4 c=g6 +b is redundant before h=s4 w=s4 c=m6:24 +b",
        "h=s4 w=s4 c=g6 is redundant after h=s4 w=s4 c=m24:6 +b",
    )


def test_an_axis_counts_as_missed_as_long_as_the_last_blocks_have_it() -> None:
    """The second of two stages merges rows: where none are left nobody misses them, where two are left one does."""
    nothing = algebra.network("h=s4.m2:1 w=s4.m2:1 c=m1:6", (algebra.nodes("h=s4 w=m4 c=s6"),))
    for merge, left, missed in (("h=m4:1 w=s4", "h=s1 w=s4", ()), ("h=s2.m2:1 w=s4", "h=s2 w=s4", ("h",))):
        second = algebra.network(f"{merge} c=m6", (algebra.nodes(f"{left} c=g6"),)).stages[0]
        assert Architecture(nothing.inputs, (*nothing.stages, second), 3).untouched() == missed


def test_embeddings_are_not_held_against_what_follows_them() -> None:
    """Nor are their own layers: an affine layer before the blocks is nobody's neighbour in a branch."""
    affine, linear = algebra.nodes("h=s4 w=s4 c=g6 +b", "h=s4 w=s4 c=m6 +b")
    embed = Mix(Mixer.parse("h=s4 w=s4 c=m1:6"))
    inputs = (("h", 4), ("w", 4), ("c", 1))
    blocks = ((Residual((Norm(), linear)),),)
    assert Architecture(inputs, (Stage((embed, affine, linear), blocks),), 3).redundancies() == ()
    inside = Architecture(inputs, (Stage((embed,), ((affine, linear),)),), 3).redundancies()
    assert inside == ("h=s4 w=s4 c=g6 +b is redundant before h=s4 w=s4 c=m6 +b",)


def test_nothing_is_redundant_across_a_sum_or_something_not_linear() -> None:
    affine, linear = "h=s4 w=s4 c=g6 +b", "h=s4 w=s4 c=m6 +b"
    for branches in (
        [(affine, "gelu", linear)],
        [(affine, "norm", linear)],
        [(affine,), (linear,)],
        [(linear,), (affine,)],
    ):
        block = tuple(algebra.nodes(*branch) for branch in branches)
        assert algebra.network("h=s4 w=s4 c=m1:6", block).redundancies() == ()


@pytest.mark.parametrize("weights", ["frozen", "circulant"])
def test_nothing_is_redundant_beside_weights_that_are_not_free(weights: str) -> None:
    """A product with a frozen or tied matrix is no matrix that training would have found in one layer."""
    free, tied = Mix(Mixer.parse("h=s4 w=s4 c=m6")), Mix(Mixer.parse("h=s4 w=s4 c=m6"), weights=weights)
    affine = Mix(Mixer.parse("h=s4 w=s4 c=g6"))
    for block, found in (((affine, free), 1), ((affine, tied), 0), ((tied, affine), 0), ((free, tied), 0)):
        assert len(algebra.network(EMBED, (block,)).redundancies()) == found


# ---------------------------------------------------------------------------------------------------- refused


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small network's JSON with one value replaced."""
    data = json.loads(SMALL.to_json())
    place = data
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in steps:
        place = place[step]
    place[last] = value
    return data


NODE = "stages/0/blocks/0/0/1"


REFUSED = [
    ("inputs", {"h": 8, "w": 8}, "inputs are 1 to 4 axes and c, each once, not 'h w'"),
    ("inputs", {"c": 1}, "inputs are 1 to 4 axes and c, each once, not 'c'"),
    ("inputs", {"c": 1, "h": 8, "w": 8}, "inputs are 1 to 4 axes and c, each once, not 'c h w'"),
    (
        "inputs",
        {"u": 1, "t": 1, "d": 1, "h": 8, "w": 8, "c": 1},
        "inputs are 1 to 4 axes and c, each once, not 'u t d h w c'",
    ),
    ("inputs", {"b": 8, "w": 8, "c": 1}, "'b' cannot be an axis"),
    ("inputs", {'h"': 8, "w": 8, "c": 1}, "'h\"' is no axis name"),
    ("inputs", [["h", 8]], "this is no architecture: AttributeError: 'list' object has no attribute 'items'"),
    ("inputs/h", 9, "'h=s4.m2:1 w=s4.m2:1 c=m1:6 +b' does not fit h=9: 4 * 2 = 8"),
    ("inputs/h", 8.0, "h cannot be 8.0"),
    ("inputs/h", True, "h cannot be True"),
    ("inputs/h", 10**30, f"h cannot be {10**30}"),
    ("classes", 0, "classes cannot be 0"),
    ("classes", "3", "classes cannot be '3'"),
    ("classes", None, "classes cannot be None"),
    ("stages", [], f"an architecture has at least one stage, and at most {MAX_BLOCKS} blocks"),
    ("stages", 3, "this is no architecture: TypeError: 'int' object is not iterable"),
    ("stages/0/embed", 5, "a mixer is written as a text, not 5"),
    ("stages/0/embed", "h=s4.m2:1", "'h=s4.m2:1' has axes h, not h w c"),
    (
        "stages/0/blocks",
        [[[]]] * (MAX_BLOCKS + 1),
        f"an architecture has at least one stage, and at most {MAX_BLOCKS} blocks",
    ),
    ("stages/0/blocks/0", "norm", "'n' is no node"),
    (NODE, "pool 3", "'pool 3' is no node"),
    (NODE, "conv 3; colour 2", "'conv 3; colour 2' is no node"),
    (NODE, {"norm": [[]]}, "'norm' with 1 branches is no node"),
    (NODE, {"sum": [["norm"]]}, "a sum has 2 to 16 branches, not 1"),
    (NODE, "norm ", "'norm ' is no node"),
    (NODE, "linear", "'linear' is no node"),
    (NODE, "linear -1", "'linear -1' is no node"),
    (NODE, "linear ٣", "'linear ٣' is no node"),
    (NODE, "linear 0", "out cannot be 0"),
    (NODE, "linear 99999999999999999999", "out cannot be 9999999999"),
    (NODE, "linear 5", "'h=m8:4 w=s4 c=g6 +b' does not fit h=4: 8 = 8"),
    (NODE, "mix", "a mixer needs at least one axis: ''"),
    (NODE, "mix h=m4 w=s4 c=s7", "'h=m4 w=s4 c=s7' does not fit c=6: 7 = 7"),
    (NODE, 'mix h=m4");import os;("', "'m4\");import' is no factor"),
    (NODE, None, "'None' is no node"),
    (NODE, ["linear 5"], "a residual branch starts with h=4 w=4 c=6 and ends with h=4 w=4 c=5: they must be equal"),
    (
        "stages/0/blocks/0/0/3",
        "gelu",
        "a residual branch starts with h=4 w=4 c=6 and ends with h=8 w=4 c=6: they must be equal",
    ),
]


@pytest.mark.parametrize(("path", "value", "fact"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(path: str, value: Any, fact: str) -> None:
    with pytest.raises(PatternError) as error:
        Architecture.from_json(changed(path, value))
    assert str(error.value).splitlines()[0].startswith(fact)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '"x"',
        "{}",
        '{"inputs": {}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5000,
        "NaN",
        "\x00",
        "\ud800",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_architecture(text: str) -> None:
    with pytest.raises(PatternError, match=r"this is no architecture|\d+ is no"):
        Architecture.from_json(text)


@pytest.mark.parametrize("value", [None, 3, b"{}", [], [SMALL.to_json()]])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(PatternError, match="this is no architecture"):
        Architecture.from_json(value)


def test_a_missing_key_is_named() -> None:
    data = json.loads(SMALL.to_json())
    del data["classes"]
    with pytest.raises(PatternError, match="this is no architecture: KeyError: 'classes'"):
        Architecture.from_json(data)


@given(st.data())
def test_any_json_is_refused_or_an_architecture(data: st.DataObject) -> None:
    value = json.loads(data.draw(st.sampled_from([arch.to_json() for arch in NETWORKS.values()])))
    for _ in range(data.draw(st.integers(1, 2))):
        value = mutate(value, data.draw)
    for form in (value, json.dumps(value)):
        try:
            arch = Architecture.from_json(form)
        except PatternError as error:
            assert error.summary
        else:
            assert Architecture.from_json(arch.to_json()) == arch
            compile(source(arch), "text", "exec")


@given(st.text(max_size=40) | VALUES.map(str))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        Architecture.from_json(text)


@given(st.integers(0, 2**32))
def test_random_networks_round_trip_and_cost_what_they_say(seed: int) -> None:
    rng = Random(seed)
    sizes: dict[str, int] = rng.choice([{"h": 4, "w": 4, "c": 6}, {"t": 12, "c": 4}, {"d": 2, "h": 3, "w": 2, "c": 4}])
    embed = Mixer.parse(
        " ".join(f"{name}=" + (f"s{n}.m2:1" if name != "c" else f"m3:{n}") for name, n in sizes.items())
    )
    blocks = [
        tuple(
            algebra.nodes(
                *rng.choice([[], ["norm"]]),
                *[str(sample_mixer(rng, bias=rng.random() < 0.5, **sizes)) for _ in range(rng.randint(1, 2))],
            )
            for _ in range(rng.randint(1, 2))
        )
        for _ in range(rng.randint(0, 3))
    ]
    arch = algebra.network(str(embed), *blocks)
    assert Architecture.from_json(arch.to_json()) == arch
    net = build(arch)
    assert arch.params == sum(p.numel() for p in net.parameters())
    inputs = [size for _, size in arch.inputs]
    assert arch.macs == counted(net, torch.randn(1, inputs[-1], *inputs[:-1]))
