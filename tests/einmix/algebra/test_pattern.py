"""EinMix calls as people write them: read into mixers, written back, computing the same; and what is refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import prod
from typing import Any

import algebra
import numpy as np
import pytest
import torch
from einops import EinopsError, rearrange
from einops.layers.torch import EinMix
from hypothesis import given
from hypothesis import strategies as st

from einmix import Architecture, Factor, Mixer, PatternError, Stage, build, read_nodes
from einmix.algebra.writing import MAX_NAMES, write_einmix

pytestmark = pytest.mark.filterwarnings("ignore:EinMix. weight has no dimensions")


@dataclass(frozen=True)
class Row:
    """A call, the mixer that it is, and the same call written channels last, in its own names, as the mixer says it."""

    name: str
    pattern: str
    weight: str
    bias: str | None
    written_sizes: str
    text: str
    reading: str = ""
    batch: str = "b"

    @property
    def sizes(self) -> dict[str, int]:
        return {name: int(size) for name, size in re.findall(r"(\w+)=(\d+)", self.written_sizes)}

    @property
    def call(self) -> dict[str, Any]:
        return {"pattern": self.pattern, "weight_shape": self.weight, **self.bias_shape, **self.sizes}

    @property
    def bias_shape(self) -> dict[str, str]:
        return {} if self.bias is None else {"bias_shape": self.bias}


# fmt: off
ROWS = [
    # the tutorial, in its order
    Row("channels", "t b c -> t b c_out", "c c_out", None, "t=5 c=8 c_out=12", "t=s5 c=m8:12", "b t c -> b t c_out"),
    Row("ResMLP patches", "b t c -> b t0 c", "t t0", "t0", "t=16 t0=16 c=8", "t=m16 c=s8 +b"),
    Row("affine", "b t c -> b t c", "c", "c", "t=16 c=8", "t=s16 c=g8 +b"),
    Row("layer scale", "b t c -> b t c", "c", None, "t=16 c=8", "t=s16 c=g8"),
    Row("token mixer, first", "b hw c -> b hid c", "hw hid", "hid", "hw=16 hid=32 c=8", "hw=m16:32 c=s8 +b"),
    Row("token mixer, second", "b hid c -> b hw c", "hid hw", "hw", "hw=16 hid=32 c=8", "hw=m32:16 c=s8 +b"),
    Row("patch embedding", "b c_in (h hp) (w wp) -> b (h w) c", "c_in hp wp c", "c", "c_in=3 h=8 hp=4 w=8 wp=4 c=64",
        "h=s8.m4:1 w=s8.m4:1 c=m3:64 +b", "b (h hp) (w wp) c_in -> b h w c"),
    Row("ViP channels", "b h w c -> b h w c0", "c c0", "c0", "h=4 w=5 c=8 c0=8", "h=s4 w=s5 c=m8 +b"),
    Row("ViP height", "b h w (n c) -> b h0 w (n c0)", "h c h0 c0", None, "h=32 h0=32 w=32 n=32 c=4 c0=4",
        "h=m32 w=s32 c=s32.m4"),
    Row("ViP width", "b h w (n c) -> b h w0 (n c0)", "w c w0 c0", "w0 c0", "h=3 w=6 w0=6 n=2 c=4 c0=4",
        "h=s3 w=m6 c=s2.m4 +b"),
    Row("shared", "b hw c -> b hw_out c", "hw hw_out", None, "hw=16 hw_out=16 c=8", "hw=m16 c=s8"),
    Row("per channel", "b hw c -> b hw_out c", "c hw hw_out", None, "hw=16 hw_out=16 c=8", "hw=m16 c=g8"),
    Row("grouped", "b hw (group c) -> b hw_out (group c)", "group hw hw_out", None, "hw=16 hw_out=16 group=4 c=8",
        "hw=m16 c=g4.s8"),
    Row("local", "b c (h hI) (w wI) -> b c (h hO) (w wO)", "c hI wI hO wO", None, "h=2 hI=3 hO=3 w=2 wI=2 wO=2 c=4",
        "h=s2.m3 w=s2.m2 c=g4", "b (h hI) (w wI) c -> b (h hO) (w wO) c"),
    Row("subgrid", "b c (hI h) (wI w) -> b c (hO h) (wO w)", "c hI wI hO wO", None,
        "c=64 hI=8 h=4 wI=8 w=4 hO=8 wO=8", "h=m8.s4 w=m8.s4 c=g64", "b (hI h) (wI w) c -> b (hO h) (wO w) c"),
    # the tutorial's last list, and the same in other layouts
    Row("subgrid with a bias", "b c (hI h) (wI w) -> b c (hO h) (wO w)", "c hI wI hO wO", "c hO wO",
        "h=2 hI=3 hO=3 w=2 wI=2 wO=2 c=4", "h=m3.s2 w=m2.s2 c=g4 +b", "b (hI h) (wI w) c -> b (hO h) (wO w) c"),
    Row("subgrid of tokens in a row", "b (hI h wI w) c -> b (hO h wO w) c", "hI wI hO wO", "hO wO",
        "h=2 hI=3 hO=3 w=2 wI=2 wO=2 c=4", "h=m3.s2 w=m2.s2 c=s4 +b", "b (hI h) (wI w) c -> b (hO h) (wO w) c"),
    Row("rows of tokens in a row", "b (h w) c -> b (h w0) c", "w w0", "w0", "h=3 w=4 w0=4 c=5", "h=s3 w=m4 c=s5 +b",
        "b h w c -> b h w0 c"),
    Row("columns, c first", "b c h w -> b c h0 w", "h h0", "h0", "h=3 h0=3 w=4 c=5", "h=m3 w=s4 c=s5 +b",
        "b h w c -> b h0 w c"),
    Row("image to tokens", "b c h w -> b (h w) c", "c", None, "h=3 w=4 c=5", "h=s3 w=s4 c=g5", "b h w c -> b h w c"),
    Row("tokens to image", "b (h w) c -> b c0 h w", "c c0", "c0", "h=3 w=4 c=5 c0=6", "h=s3 w=s4 c=m5:6 +b",
        "b h w c -> b h w c0"),
    Row("part of an axis", "b (n h) w c -> b (n h0) w c", "h h0", None, "n=2 h=3 h0=3 w=4 c=5", "h=s2.m3 w=s4 c=s5"),
    Row("like a grid", "b (h n) w c -> b (h0 n) w c", "h h0", None, "n=2 h=3 h0=3 w=4 c=5", "h=m3.s2 w=s4 c=s5"),
    Row("middle of an axis", "b (h1 h h2) c -> b (h1 h0 h2) c", "h1 h h0", "h1 h0", "h1=2 h=3 h0=3 h2=2 c=5",
        "h=g2.m3.s2 c=s5 +b"),
    Row("channels within groups", "b t (g c) -> b t (g c0)", "g c c0", "g c0", "t=4 g=2 c=3 c0=3", "t=s4 c=g2.m3 +b"),
    Row("1D", "b c (t tI) -> b c (t tO)", "c tI tO", None, "t=4 tI=3 tO=3 c=2", "t=s4.m3 c=g2",
        "b (t tI) c -> b (t tO) c"),
    Row("3D", "b c (dI d) (hI h) (wI w) -> b c (dO d) (hO h) (wO w)", "c dI hI wI dO hO wO", None,
        "dI=2 d=2 dO=2 hI=2 h=1 hO=2 wI=2 w=2 wO=2 c=3", "d=m2.s2 h=m2 w=m2.s2 c=g3",
        "b (dI d) (hI h) (wI w) c -> b (dO d) (hO h) (wO w) c"),
    Row("4D", "b c t d h w -> b c t0 d h w", "c t t0", "t0 c", "t=3 t0=3 d=2 h=2 w=2 c=3",
        "t=m3 d=s2 h=s2 w=s2 c=g3 +b", "b t d h w c -> b t0 d h w c"),
    # the literature
    Row("MLP-Mixer tokens", "b t c -> b u c", "t u", "u", "t=8 u=16 c=4", "t=m8:16 c=s4 +b"),
    Row("MLP-Mixer per channel", "b t c -> b u c", "c t u", "u c", "t=8 u=8 c=4", "t=m8 c=g4 +b"),
    Row("MLP-Mixer grouped", "b t (g c) -> b u (g c)", "g t u", None, "t=8 u=8 g=2 c=4", "t=m8 c=g2.s4"),
    Row("MLP-Mixer group channels", "b t (k g) -> b u (k g0)", "t g u g0", None, "t=8 u=8 k=4 g=2 g0=2",
        "t=m8 c=s4.m2"),
    Row("gMLP gate", "b n c -> b n0 c", "n n0", "n0", "n=6 n0=6 c=4", "n=m6 c=s4 +b"),
    Row("ViP height, c first", "b (n c) h w -> b (n c0) h0 w", "h c h0 c0", "h0 c0", "h=4 h0=4 w=3 n=2 c=4 c0=4",
        "h=m4 w=s3 c=s2.m4 +b", "b h w (n c) -> b h0 w (n c0)"),
    Row("RaftMLP up", "b (h w) (r o) -> b o w hid", "h r hid", "hid", "h=8 w=8 r=4 o=16 hid=32",
        "h=m8:32 w=s8 c=m4:1.s16 +b", "b h w (r o) -> b hid w o"),
    Row("RaftMLP down", "b o w hid -> b (h w) (r o)", "hid h r", "h r", "h=8 w=8 r=4 o=16 hid=32",
        "h=m32:8 w=s8 c=m1:4.s16 +b", "b hid w o -> b h w (r o)"),
    Row("RaftMLP in one", "b (h w) (r o) -> b (h0 w) (r0 o)", "h r h0 r0", None, "h=8 h0=8 w=8 r=4 r0=4 o=16",
        "h=m8 w=s8 c=m4.s16", "b h w (r o) -> b h0 w (r0 o)"),
    Row("DynaMixer generator", "b l c -> b l g d", "c g d", None, "l=6 c=8 g=2 d=3", "d=m1:3 l=s6 c=m8:2",
        "b l c -> b d l g"),
    Row("DynaMixer operator", "b l g d -> b g i j", "l d i j", "i j", "l=6 g=2 d=3 i=6 j=6", "d=m3:6 l=m6 g=s2 +b",
        "b d l g -> b j i g"),
    Row("sMLPNet", "b c h w -> b c h w0", "w w0", None, "h=3 w=4 w0=4 c=5", "h=s3 w=m4 c=s5", "b h w c -> b h w0 c"),
    Row("Hire-MLP in", "b c (g p) w -> b hid g w", "c p hid", "hid", "c=8 g=4 p=2 w=8 hid=16",
        "w=s8 g=s4.m2:1 c=m8:16 +b", "b w (g p) c -> b w g hid"),
    Row("Hire-MLP out", "b hid g w -> b c (g p) w", "hid c p", "c p", "c=8 g=4 p=2 w=8 hid=16",
        "w=s8 g=s4.m1:2 c=m16:8 +b", "b w g hid -> b w (g p) c"),
    Row("MAXIM grid", "b (gh fh) (gw fw) c -> b (gh0 fh) (gw0 fw) c", "gh gw gh0 gw0", "gh0 gw0",
        "gh=4 gw=4 gh0=4 gw0=4 fh=2 fw=2 c=8", "h=m4.s2 w=m4.s2 c=s8 +b"),
    Row("MAXIM block", "b (gh fh) (gw fw) c -> b (gh fh0) (gw fw0) c", "fh fw fh0 fw0", None,
        "gh=4 gw=4 fh=2 fw=2 fh0=2 fw0=2 c=8", "h=s4.m2 w=s4.m2 c=s8"),
    Row("ConvMixer depthwise", "b (c k) l -> b c l", "c k", None, "c=4 k=9 l=6", "l=s6 c=g4.m9:1",
        "b l (c k) -> b l c"),
    Row("Monarch, first", "b (k p) -> b (k q)", "k q p", None, "k=4 p=3 q=5", "c=g4.m3:5"),
    Row("Monarch, second", "b (r l) -> b (s l)", "l s r", None, "r=4 l=3 s=6", "c=m4:6.g3"),
    Row("low rank, down", "b c l -> b r l", "c r", None, "c=16 r=4 l=6", "l=s6 c=m16:4", "b l c -> b l r"),
    Row("low rank, up", "b r l -> b c l", "r c", "c", "c=16 r=4 l=6", "l=s6 c=m4:16 +b", "b l r -> b l c"),
    Row("two factors, first", "n (g b a) -> n f d r g b", "f d r g a", None, "g=2 b=3 a=4 f=3 d=2 r=2",
        "d=m1:2 f=m1:3 r=m1:2 c=g2.s3.m4:1", "n (g b a) -> n d f r (g b)", batch="n"),
    Row("two factors, second", "n f d r g b -> n (f e d)", "f e r g b", None, "f=3 d=2 r=2 g=2 b=3 e=4",
        "d=g3.m1:4.s2 g=m2:1 bx=m3:1 c=m2:1", "n (f d) g b r -> n (f e d)", batch="n"),
    # crossings: what is kept moves from one axis to another
    Row("width into channels", "b (h w) c -> b h (w c)", "c", None, "h=3 w=4 c=5", "h=s3 c=s4.g5",
        "b h (w c) -> b h (w c)"),
    Row("group into channels", "b (h g) w -> b h (g w)", "g", "g", "h=3 g=2 w=4", "h=s3.g2.s4 +b",
        "b (h g w) -> b (h g w)"),
    Row("what is new goes outside", "b t (g c) -> b t (d g)", "g c d", "g d", "t=5 g=2 c=3 d=4",
        "t=s5 c=m1:4.g2.m3:1 +b", "b t (g c) -> b t (d g)"),
    Row("tokens by columns", "b (w h) c -> b (w h0) c", "h h0", None, "w=3 h=4 h0=4 c=5", "h=s3.m4 c=s5"),
    Row("all in one, c first", "b (c h w) -> b (c h w0)", "w w0", None, "c=2 h=3 w=4 w0=5", "c=s6.m4:5"),
    Row("channels in front of their columns", "b x z (y i) -> b z (x o y)", "i o", None, "x=2 z=3 y=2 i=3 o=4",
        "z=s3 c=s2.m1:4.s2.m3:1", "b z (x y i) -> b z (x o y)"),
    Row("a permuted axis of length 1", "b t (g k c) -> b t (k c g)", "k", None, "t=3 g=1 k=2 c=4", "t=s3 c=g2.s4",
        "b t (g k c) -> b t (g k c)"),
    Row("something new behind it", "b (u g c) -> b (g u o c)", "o", "o", "u=1 g=2 c=3 o=4", "c=s2.m1:4.s3 +b",
        "b (g u c) -> b (g u o c)"),
    Row("a group that the weight forgets is shared", "b t (g c) -> b u (g c)", "t u", None, "t=8 u=8 g=2 c=4",
        "t=m8 c=s8"),
    Row("a number", "b t c -> b t c", "", "", "t=4 c=3", "t=s4 c=s3 +b"),
    Row("units", "b t () c -> b c () t", "t", None, "t=4 c=3", "t=g4 c=s3", "b t c -> b t c"),
]
# fmt: on


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


def test_reads_as(row: Row) -> None:
    assert str(Mixer.from_einmix(**row.call)) == row.text


def test_comes_back_in_its_own_layout(row: Row) -> None:
    mixer = Mixer.from_einmix(**row.call)
    assert mixer.einmix() == row.call
    assert mixer.layout is not None and mixer.canonical().einmix()["pattern"].startswith("b ")


def test_costs_what_the_layer_costs(row: Row) -> None:
    mixer = Mixer.from_einmix(**row.call)
    assert mixer.params == sum(p.numel() for p in EinMix(**row.call).parameters())
    assert mixer.macs == prod(row.sizes.values())


def reversed_sides(row: Row) -> tuple[str, str]:
    """The reading's two sides; where none is given, the call is channels last already."""
    left, right = (row.reading or row.pattern).split("->")
    return left.strip(), right.strip()


def test_computes_the_same(row: Row) -> None:
    """The call, its own layout written back, and the channels-last layer: one function under the same weights.

    The reading tells how the call's input, output and weights are laid out in the channels-last one.
    """
    torch.manual_seed(0)
    layer = EinMix(**row.call).double()
    again = EinMix(**Mixer.from_einmix(**row.call).einmix()).double()
    again.load_state_dict(layer.state_dict())
    last = EinMix(**Mixer.from_einmix(**row.call).canonical().einmix()).double()
    written = [side.strip() for side in row.pattern.split("->")]
    left, right = reversed_sides(row)
    weight, bias = row.weight.split(), (row.bias or "").split()
    names = [re.findall(r"\w+", side) for side in (left, right)]
    kept = [name for name in names[0] if name in names[1] and name in weight]
    mixed = [[name for name in side if name in weight and name not in kept] for side in names]
    order = [*kept, *mixed[0], *mixed[1]]
    assert sorted(order) == sorted(weight)
    last.weight.data = rearrange(layer.weight.data, f"{row.weight} -> {' '.join(order)}").reshape(last.weight.shape)
    if row.bias is not None:
        own = [name for name in re.findall(r"\w+", written[1]) if name in bias]  # in the order of the output
        flat = layer.bias.data.reshape([row.sizes[name] for name in own])
        ordered = [name for name in names[1] if name in bias]
        last.bias.data = rearrange(flat, f"{' '.join(own)} -> {' '.join(ordered)}").reshape(last.bias.shape)
    sizes = {**row.sizes, row.batch: 2}
    shape = [prod(sizes[name] for name in group.split()) for group in groups(written[0])]
    x = torch.randn(shape, dtype=torch.float64)
    y = layer(x)
    assert torch.equal(again(x), y)
    used = [{name: n for name, n in sizes.items() if re.search(rf"\b{name}\b", side)} for side in (left, right)]
    flat = [f"{row.batch} " + " ".join(n for n in side if n != row.batch) for side in names]
    x_last = rearrange(x, f"{written[0]} -> {flat[0]}", **used[0]).reshape(
        2, *Mixer.from_einmix(**row.call).inputs.values()
    )
    y_last = last(x_last).reshape([sizes[name] for name in flat[1].split()])
    torch.testing.assert_close(rearrange(y_last, f"{flat[1]} -> {written[1]}", **used[1]), y)


def groups(side: str) -> list[str]:
    return [inner if whole.startswith("(") else whole for whole, inner in re.findall(r"(\(([\w\s]*)\)|\w+)", side)]


def test_raft_up_and_down_make_the_vertical_mixing() -> None:
    up, down = (Mixer.from_einmix(**row.call) for row in ROWS if row.name in ("RaftMLP up", "RaftMLP down"))
    one = Mixer.from_einmix(**next(row for row in ROWS if row.name == "RaftMLP in one").call)
    assert (up.reach().then(down.reach()).matrix() == one.reach().matrix()).all()


# ---------------------------------------------------------------------------------------------------- ...


DOTTED = [
    ("b ... c -> b ... d", "c d", "d", "h w", "c=4 d=3 h=2 w=5", "h=s2 w=s5 c=m4:3 +b"),
    ("... c -> ... d", "c d", "d", "b h w", "c=4 d=3 h=2 w=5", "h=s2 w=s5 c=m4:3 +b"),
    ("... -> ...", "", None, "b", "", None),
    ("b c ... -> b ... c", "c", "c", "t", "c=4 t=3", "t=s3 c=g4 +b"),
    ("b t ... -> b u ...", "t u", None, "g c", "t=3 u=4 g=5 c=2", "t=m3:4 g=s5 c=s2"),
    ("b ... (g c) -> b (...) (g d)", "g c d", "g d", "h w", "g=2 c=3 d=4 h=5 w=6", "h=s5 w=s6 c=g2.m3:4 +b"),
    ("b ... c -> b ... d", "c d", None, "", "c=4 d=3", "c=m4:3"),
    ("b ... c -> b ... d", "c d", "d", "(h w)", "c=4 d=3 h=2 w=5", "h=s2 w=s5 c=m4:3 +b"),
]


@pytest.mark.parametrize(("pattern", "weight", "bias", "ellipsis", "written_sizes", "text"), DOTTED)
def test_dots_stand_for_the_axes_that_are_named(
    pattern: str, weight: str, bias: str | None, ellipsis: str, written_sizes: str, text: str | None
) -> None:
    """As a mixer, and as the layer that einops makes of the dots."""
    sizes = {name: int(size) for name, size in re.findall(r"(\w+)=(\d+)", written_sizes)}
    if text is None:
        with pytest.raises(PatternError, match="no axis besides the batch"):
            Mixer.from_einmix(pattern, weight, bias, ellipsis=ellipsis, **sizes)
        return
    mixer = Mixer.from_einmix(pattern, weight, bias, ellipsis=ellipsis, **sizes)
    assert str(mixer) == text
    call = mixer.einmix()
    assert Mixer.from_einmix(**call) == mixer and Mixer.from_einmix(**call).layout == mixer.layout
    named = {name: size for name, size in sizes.items() if name not in re.findall(r"\w+", ellipsis)}
    theirs, ours = EinMix(pattern, weight, bias, **named), EinMix(**call)
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        b.data = a.data.reshape(b.shape)
    left = call["pattern"].partition("->")[0]
    x = torch.randn([prod((sizes | {"b": 2})[name] for name in group.split()) for group in groups(left)])
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("pattern", "weight", "bias", "ellipsis", "fact"),
    [
        ("b t c -> b t d", "c d", None, "t", "there is no '...' on both sides for ellipsis='t'"),
        ("b ... c -> b d", "c d", None, "t", "there is no '...' on both sides for ellipsis='t'"),
        ("b (... c) -> b ... d", "c d", None, "t", "'...' stands in parentheses on the left"),
        ("b c ... -> b d ...", "c d", "d", "t", "bias axis d stands before '...'"),
        ("b ... c -> b ... d", "t c d", None, "t", "axis t is one of '...' and in the weight or bias"),
        ("b t ... c -> b t ... d", "c d", None, "t", "axis t stands twice on one side"),
        ("b ... c -> b ... d", "c d", None, "t -> t", "a pattern has one '->'"),
        ("b ... c -> b ... d", "c d", None, r"t \1", "'\\\\1' is no axis name"),
        ("b ... c -> b ... d", "c d", None, "h w", "the size of axis h is missing"),
    ],
)
def test_dots_are_refused_as_einops_refuses_them(
    pattern: str, weight: str, bias: str | None, ellipsis: str, fact: str
) -> None:
    with pytest.raises(PatternError) as error:
        Mixer.from_einmix(pattern, weight, bias, ellipsis=ellipsis, c=4, d=3, t=2)
    assert str(error.value).startswith(f"{fact}: EinMix(")
    assert len(str(error.value).splitlines()) == 3


def test_dots_are_named_in_a_text() -> None:
    with pytest.raises(PatternError, match="ellipsis are texts, not 3"):
        Mixer.from_einmix("b ... c -> b ... d", "c d", ellipsis=3, c=4, d=3)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------- shuffled


SHUFFLED = [
    ("b (g c) t -> b t (c g)", "g", "g", {"t": 2, "g": 3, "c": 4}, ["mix t=s2 c=g3.s4 +b", "shuffle 3"]),
    ("b (c1 c2 ci) t -> b t (c2 co c1)", "c1 ci co", None, {"c1": 2, "c2": 3, "ci": 4, "co": 5, "t": 2},
     ["mix t=s2 c=g2.s3.m4:5", "shuffle 2"]),
    ("b (g1 g2 c) h w -> b (h w) (g2 d g1)", "c d", "d", {"g1": 2, "g2": 3, "c": 1, "d": 2, "h": 3, "w": 2},
     ["mix h=s3 w=s2 c=s6.m1:2 +b", "shuffle 2"]),
    ("b c t -> b t0 c", "t t0", None, {"t": 3, "t0": 4, "c": 2}, ["mix t=m3:4 c=s2"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "weight", "bias", "sizes", "texts"), SHUFFLED)
def test_shuffled_channels_are_a_mixer_and_a_shuffle(
    pattern: str, weight: str, bias: str | None, sizes: dict[str, int], texts: list[str]
) -> None:
    """A network of these nodes, which takes `b c ...` as the calls do, has every weight where the call has it."""
    nodes = read_nodes(pattern, weight, bias, **sizes)
    assert [node.text for node in nodes] == texts
    inputs = nodes[0].mixer.inputs
    body = build(Architecture(tuple(inputs.items()), (Stage(nodes, ()),), 1, head=()))[:-2].double()
    theirs = EinMix(pattern, weight, bias, **sizes).double()
    for layer in (theirs, body):
        for parameter in layer.parameters():
            parameter.data = torch.arange(1.0, parameter.numel() + 1).double().reshape(parameter.shape)
    *positions, channels = inputs.values()
    x = torch.randn(2, channels, *positions, dtype=torch.float64)
    y = theirs(x)
    torch.testing.assert_close(body(x).reshape(y.shape), y)


@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        ("b (h w) c -> b (w h) c", {"h": 2, "w": 3, "c": 4}),  # positions
        ("b (h c) w -> b h (w c)", {"h": 2, "w": 3, "c": 4}),  # from one axis into another
        ("b t (c1 c2 c3) -> b t (c3 c2 c1)", {"t": 2, "c1": 2, "c2": 3, "c3": 4}),  # no two parts changing places
    ],
)
def test_other_permutations_are_refused_as_nodes_too(pattern: str, sizes: dict[str, int]) -> None:
    with pytest.raises(PatternError, match="roles cannot say a permutation"):
        read_nodes(pattern, "", **sizes)


# ---------------------------------------------------------------------------------------------------- written


NAMES = [
    ("t", "c"),
    ("h", "w", "c"),
    ("d", "h", "w", "c"),
    ("t", "d", "h", "w", "c"),
    ("n", "c"),
    ("hw", "c"),
    ("tokens", "x", "c"),
]


@given(st.data())
def test_what_is_written_reads_back(data: st.DataObject) -> None:
    """And makes a layer without a warning."""
    mixer = data.draw(algebra.mixers(names=data.draw(st.sampled_from(NAMES))))
    back = Mixer.from_einmix(**mixer.einmix())
    assert back == mixer
    assert back.einmix() == mixer.einmix()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EinMix(**mixer.einmix())


@pytest.mark.parametrize("text", ["t=s4 c=s3", "h=s2 w=s1 c=s1 +b", "x=s1", "t=m1 one=s2", "one=s2 c=s3"])
def test_a_mixer_of_shared_factors_is_one_number(text: str) -> None:
    """Written with an axis of length 1 for it, at which einops does not warn."""
    mixer = Mixer.parse(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = EinMix(**mixer.einmix())
    assert Mixer.from_einmix(**mixer.einmix()) == mixer
    assert [p.numel() for p in layer.parameters()] == [1, 1][: 1 + mixer.bias]
    x = torch.randn(2, *mixer.inputs.values())
    torch.testing.assert_close(layer(x), layer.weight.item() * x + (layer.bias.item() if mixer.bias else 0))


@given(st.data())
def test_the_order_and_flattening_of_axes_change_nothing(data: st.DataObject) -> None:
    """One mixer, its axes permuted on either side, positions flattened into tokens or not."""
    mixer = data.draw(algebra.mixers(names=data.draw(st.sampled_from(NAMES[:4]))))
    call = mixer.einmix()
    sides = []
    for side in call["pattern"].split("->"):
        axes = re.findall(r"\([^)]*\)|\w+", side)[1:]
        parts = dict(zip([name for name, _ in mixer.axes][-len(axes) :], axes, strict=True)) if axes else {}
        order = data.draw(st.permutations(axes))
        spatial = [axis for name, axis in parts.items() if name in ("d", "h", "w")]
        if spatial and data.draw(st.booleans()) and len(axes) == len(mixer.axes):
            joined = "(" + " ".join(axis.strip("()") for axis in spatial) + ")"
            order = [joined] + [axis for axis in order if axis not in spatial]
            order = data.draw(st.permutations(order))
        sides.append(" ".join(["b", *order]))
    changed = {**call, "pattern": " -> ".join(sides)}
    EinMix(**changed)
    assert Mixer.from_einmix(**changed) == mixer


@given(algebra.mixers())
def test_channels_first_is_the_same_layer_on_a_transposed_input(mixer: Mixer) -> None:
    torch.manual_seed(0)
    last, first = (
        EinMix(**write_einmix(mixer.axes, mixer.bias, channels_first=flag)).double() for flag in (False, True)
    )
    first.load_state_dict(last.state_dict())
    x = torch.randn(2, *mixer.inputs.values(), dtype=torch.float64)
    torch.testing.assert_close(first(x.movedim(-1, 1)), last(x))


@given(algebra.mixers())
def test_sizes_that_einops_infers_can_be_left_out(mixer: Mixer) -> None:
    torch.manual_seed(0)
    whole, short = EinMix(**mixer.einmix()), EinMix(**write_einmix(mixer.axes, mixer.bias, all_sizes=False))
    short.load_state_dict(whole.state_dict())
    x = torch.randn(2, *mixer.inputs.values())
    assert torch.equal(whole(x), short(x))


def test_more_names_than_einops_knows() -> None:
    factors = tuple(Factor("sg"[i % 2], 2, 2) for i in range(13))
    fits, too_many = (Mixer((("x", factors[:12]), ("y", factors[: 12 + k]))) for k in range(2))
    fits_call = fits.einmix()
    assert len(fits_call) - 2 + 1 == MAX_NAMES - 1
    EinMix(**fits_call)
    one_more = Mixer((*too_many.axes, ("c", (Factor("s", 2, 2),))))
    with pytest.raises(PatternError) as error:
        one_more.einmix()
    fact, hint = str(error.value).splitlines()
    assert fact == f"einops' EinMix knows 26 axes, and {str(one_more)!r} needs 27"
    assert hint == "  permute its shared factors together first, as einmix.source does"


# ---------------------------------------------------------------------------------------------------- refused


def call(pattern: str, weight: str, bias: str | None = None, **sizes: Any) -> dict[str, Any]:
    return {"pattern": pattern, "weight_shape": weight, "bias_shape": bias} | sizes


T = {"t": 8, "t0": 8, "c": 4}
MANY = {f"a{i}": 1 for i in range(26)}
ALL = " ".join(MANY)

DOTS = "say which axes it stands for, as in ellipsis='h w', h=8, w=8"
PERMUTED = "roles cannot say a permutation, and {} stand together on the right only"
FIRST = "write '{}', then Rearrange('{}') or, for channels, a shuffle"
SIZES = f"pass an integer from 1 to {2**24}"
# fmt: off
REFUSED = [
    # what einops raises for, too
    ("parenthesis in the weight", call("b t c -> b t0 c", "(t t0)", **T), "no parentheses in the weight shape",
        "list its axes one by one", "weight_shape", ""),
    ("dots in the weight", call("b t c -> b t0 c", "t t0 ...", **T), "no '...' in the weight shape",
        "name all its axes", "weight_shape", "..."),
    ("dots on the left", call("b ... c -> b c0", "c c0", c=4, c0=4), "roles cannot say '...'",
        DOTS, "pattern", "..."),
    ("dots on both sides", call("... c -> ... c0", "c c0", c=4, c0=4), "roles cannot say '...'",
        DOTS, "pattern", "..."),
    ("a number", call("b 3 c -> b 3 c", "c", c=4), "3 has no name", "name the axis and pass its size, as in n=3",
        "pattern", "3"),
    ("a one", call("b 1 c -> b 1 c", "c", c=4), "roles cannot say an axis of length 1 without a name",
        "name it, give it size 1", "pattern", "1"),
    ("output from nowhere", call("b t c -> b t c u", "t", u=3, t=8, c=4), "output axis u comes from nowhere",
        "put u into the weight", "pattern", "u"),
    ("missing size of the weight", call("b t c -> b t0 c", "t t0", t=8, c=4), "the size of axis t0 is missing",
        "pass t0=...", "pattern", "t0"),
    ("missing size of a kept axis", call("b t c -> b t0 c", "t t0", t=8, t0=8, b=2), "the size of axis c is missing",
        "pass c=...", "pattern", "c"),
    ("unused size", call("b t c -> b t0 c", "t t0", **T, n=3), "size n=3 is given for an axis that is not used",
        "drop it, or name the axis so", "pattern", ""),
    ("the arrow as a size", call("b t c -> b t0 c", "t t0", **T, **{"->": 3}),
        "size ->=3 is given for an axis that is not used", "drop it, or name the axis so", "pattern", ""),
    ("the tutorial's token mixer", call("b hw c -> b hid c", "hw hid", "hid", hw=16, hidden=64),
        "the size of axis hid is missing", "pass hid=..., not hidden=...", "pattern", "hid"),
    ("… and its other half", call("b hid c -> b hw c", "hid hw", "hw", hw=16, hidden=64),
        "the size of axis hid is missing", "pass hid=..., not hidden=...", "pattern", "hid"),
    ("bias axis not in the output", call("b t c -> b t0 c", "t t0", "t", **T), "bias axis t is not in the output",
        "write bias_shape='t0'", "bias_shape", "t"),
    ("axis twice on the left", call("b t t -> b t0 t", "t t0", **T), "axis t stands twice on one side",
        "give each its own name", "pattern", "t"),
    ("axis twice on the right", call("b t c -> b t0 (c c)", "t t0", **T), "axis c stands twice on one side",
        "give each its own name", "right", "c"),
    ("axis twice in the weight", call("b t c -> b t0 c", "t t0 t", **T), "axis t stands twice in the weight shape",
        "write every axis once", "weight_shape", "t"),
    ("redundant weight axis", call("b t c -> b t0 c", "t t0 z", **T, z=3),
        "weight axis z is in neither input nor output", "drop it", "weight_shape", "z"),
    ("parenthesis not closed", call("b (t c -> b t0 c", "t t0", **T), "parentheses do not match",
        "close what was opened", "pattern", "("),
    ("parenthesis in another", call("b ((t) c) -> b t0 c", "t t0", **T), "parentheses do not match",
        "open and close each once, without nesting", "pattern", "("),
    ("parenthesis on the right", call("b t c -> b t0) c", "t t0", **T), "parentheses do not match",
        "open and close each once, without nesting", "pattern", ")"),
    ("no identifier", call("b t-1 c -> b t0 c", "t t0", **T), "'t-1' is no axis name",
        "letters, digits and inner underscores", "pattern", "t-1"),
    ("an underscore", call("b t c -> b t0 c_", "t t0", **T), "'c_' is no axis name",
        "letters, digits and inner underscores", "pattern", "c_"),
    ("a keyword", call("b in c -> b t0 c", "in t0", **T), "'in' is no axis name",
        "letters, digits and inner underscores", "pattern", "in"),
    # where einops raises something else
    ("a one in the weight", call("b t c -> b t0 c", "t t0 1", **T), "'1' in the weight shape is no axis",
        "leave it out or name it", "weight_shape", "1"),
    ("27 axes", call(f"b {ALL} -> b {ALL}", "a0", **MANY), "einops' EinMix knows 26 axes, and these are 27",
        "write neighbours with the same role as one axis", "pattern", ""),
    ("no arrow", call("b t c", "t", t=8, c=4), "a pattern has one '->'",
        "write INPUT -> OUTPUT, as in 'b t c -> b t0 c'", "pattern", ""),
    ("two arrows", call("b t -> b t0 -> b t", "t t0", t=8, t0=8), "a pattern has one '->'",
        "write INPUT -> OUTPUT, as in 'b t c -> b t0 c'", "pattern", "->"),
    ("nothing", call("", "t", t=8), "a pattern has one '->'", "write INPUT -> OUTPUT, as in 'b t c -> b t0 c'",
        "pattern", ""),
    ("size 0", call("b t c -> b t0 c", "t t0", t=0, t0=8, c=4), "axis t cannot have size 0", SIZES, "pattern", "t"),
    ("size -1", call("b t c -> b t0 c", "t t0", t=-1, t0=8, c=4), "axis t cannot have size -1", SIZES, "pattern",
        "t"),
    ("size 2.0", call("b t c -> b t0 c", "t t0", t=2.0, t0=8, c=4), "axis t cannot have size 2.0", SIZES, "pattern",
        "t"),
    ("size True", call("b t c -> b t0 c", "t t0", t=True, t0=8, c=4), "axis t cannot have size True", SIZES,
        "pattern", "t"),
    ("a huge size", call("b t c -> b t0 c", "t t0", t=2**60, t0=8, c=4), f"axis t cannot have size {2**60}", SIZES,
        "pattern", "t"),
    # where einops says nothing
    ("only on the left", call("b t c -> b c", "c", t=8, c=4), "axis t is only on the left",
        "it would be summed: put t into the weight to mix it, or into the output to keep it", "pattern", "t"),
    ("batch only on the left", call("b t c -> t c", "c", b=2, t=8, c=4), "axis b is only on the left",
        "it would be summed: put b into the weight to mix it, or into the output to keep it", "pattern", "b"),
    # where roles end
    ("no batch", call("t c -> t0 c", "t t0", **T), "a batch axis is missing",
        "put an axis without a size first on both sides, as in 'b t c -> b t0 c'", "pattern", "t"),
    ("nothing but the batch", call("b -> b", ""), "there is no axis besides the batch", "as in 'b t c -> b t0 c'",
        "pattern", ""),
    ("bias where no weight is", call("b t c -> b t0 c", "t t0", "t0 c", **T),
        "roles cannot say a bias along c, where no weight is", "write bias_shape='t0'", "bias_shape", "c"),
    ("bias less than the weights", call("b t c -> b t0 c", "c t t0", "t0", **T),
        "roles cannot say a bias that is the same all along c", "write bias_shape='t0 c'", "bias_shape", ""),
    ("bias with no axes", call("b t c -> b t0 c", "t t0", "", **T),
        "roles cannot say a bias that is the same all along t0", "write bias_shape='t0'", "bias_shape", ""),
    ("groups turned", call("b t (g c) -> b t (c g)", "g", t=2, g=3, c=4), PERMUTED.format("c g"),
        FIRST.format("b t (g c) -> b t c g", "b t c g -> b t (c g)"), "right", "g"),
    ("groups turned, and mixed", call("b (c1 c2 ci) -> b (c2 co c1)", "c1 ci co", c1=2, c2=3, ci=4, co=5),
        PERMUTED.format("c2 c1"), FIRST.format("b (c1 c2 ci) -> b c2 co c1", "b c2 co c1 -> b (c2 co c1)"), "right",
        "c1"),
    ("from one axis into another", call("b (h c) w -> b h (w c)", "c", h=2, c=3, w=4), PERMUTED.format("w c"),
        FIRST.format("b (h c) w -> b h w c", "b h w c -> b h (w c)"), "right", "c"),
    ("out of one axis", call("b (h c) w -> b (h w) c", "c", h=2, c=3, w=4), PERMUTED.format("h w"),
        FIRST.format("b (h c) w -> b h w c", "b h w c -> b (h w) c"), "right", "w"),
    ("tokens turned", call("b (h w) c -> b (w h) c", "c", h=2, w=3, c=4), PERMUTED.format("w h"),
        FIRST.format("b (h w) c -> b w h c", "b w h c -> b (w h) c"), "right", "h"),
    ("all crossed", call("b a y (x z i) -> b (a x) (y z o)", "i o", a=2, y=3, x=2, z=2, i=3, o=5),
        PERMUTED.format("y z"), FIRST.format("b a y (x z i) -> b a x y z o", "b a x y z o -> b (a x) (y z o)"), "right",
        "z"),
    ("between two others", call("b (h w c) -> b (h c) w", "c", h=2, w=3, c=4), PERMUTED.format("h c"),
        FIRST.format("b (h w c) -> b h c w", "b h c w -> b (h c) w"), "right", "c"),
    ("a huge axis", call("b (g h) -> b (g h0)", "h h0", g=2**13, h=2**13, h0=1), "axis h has an impossible length",
        f"an axis is at most {2**24} long", "pattern", ""),
    ("a one in the bias", call("b t c -> b t0 c", "t t0", "1", **T), "'1' in the bias shape is no axis",
        "leave it out or name it", "bias_shape", "1"),
]
# fmt: on


@pytest.mark.parametrize(
    ("arguments", "fact", "hint", "where", "token"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused(arguments: dict[str, Any], fact: str, hint: str, where: str, token: str) -> None:
    """The fact, the whole call, the text with the fault, a caret under the token (or all), and what to write."""
    with pytest.raises(PatternError) as error:
        Mixer.from_einmix(**arguments)
    first, text, caret = str(error.value).splitlines()
    shapes = f"{arguments['pattern']!r}, weight_shape={arguments['weight_shape']!r}"
    if arguments["bias_shape"] is not None:
        shapes += f", bias_shape={arguments['bias_shape']!r}"
    sizes = "".join(f", {name}={size}" for name, size in arguments.items() if not name.endswith(("shape", "pattern")))
    assert first == f"{fact}: EinMix({shapes}{sizes})"
    faulty = arguments["pattern" if where == "right" else where]
    assert text == f"  {faulty}"
    after = faulty.find("->") if where == "right" else 0
    alone = rf"\b{re.escape(token)}\b" if token.isidentifier() else re.escape(token)
    start = after + len(re.split(alone, faulty[after:])[0]) if token else 0
    assert caret == "  " + " " * start + "^" * len(token or faulty or " ") + f" {hint}"
    assert error.value.summary == f"{first} ({hint})"


@pytest.mark.parametrize("arguments", [(None, "t"), ("b t -> b t", 3), ("b t -> b t", ["t"]), ("b t -> b t", "t", 0)])
def test_what_is_no_text_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(PatternError, match="pattern, weight, bias and ellipsis are texts"):
        Mixer.from_einmix(*arguments, t=3)


def test_any_white_space_will_do() -> None:
    read = Mixer.from_einmix("b t\tc\n -> b t0  c", "t\nt0", "\tt0", **T)
    assert read == Mixer.parse("t=m8 c=s4 +b")
    assert EinMix(**read.einmix()).weight.shape == (8, 8)


def test_an_axis_may_have_any_name_that_einops_and_python_allow() -> None:
    read = Mixer.from_einmix("n cls self_ß -> n cls é1", "self_ß é1", cls=2, self_ß=3, é1=4)
    assert Mixer.parse(str(read)) == read
    assert sorted(zip(read.inputs.values(), read.outputs.values(), strict=True)) == [(2, 2), (3, 4)]


TOKENS = st.lists(
    st.sampled_from(
        [
            "b",
            "t",
            "h",
            "hI",
            "hO",
            "w",
            "w0",
            "c",
            "c0",
            "g",
            "n",
            "(",
            ")",
            "->",
            "...",
            "1",
            "4",
            "_x",
            "é",
            "a·b",
            "in",
        ]
    ),
    max_size=12,
).map(" ".join)


@given(
    st.tuples(TOKENS, TOKENS).map(" -> ".join) | TOKENS,
    TOKENS,
    st.none() | TOKENS,
    st.dictionaries(
        st.sampled_from(["t", "h", "hI", "hO", "w", "w0", "c", "c0", "g", "n", "é", "b", "cls"]), st.integers(-1, 4)
    ),
)
def test_whatever_is_written_is_refused_or_a_layer(
    pattern: str, weight: str, bias: str | None, sizes: dict[str, int]
) -> None:
    check_call(pattern, weight, bias, sizes)


Written = tuple[str, str, str | None, dict[str, int]]


@st.composite
def calls(draw: st.DrawFn, *, in_order: bool) -> Written:
    """Calls with a meaning, small, the batch first: axes in any order and grouping, whatever their roles.

    With `in_order` whole axes alone stand in any order: groups are runs of one order of what is kept.
    """
    sizes, roles = {}, {}
    for name in draw(st.permutations(["t", "h", "hI", "w", "wp", "c", "g", "n", "k", "hw", "o", "d"]))[:6]:
        size, role = draw(st.sampled_from([3, 2, 2, 1])), draw(st.sampled_from("sgioo"))
        if all(size * prod(sizes[n] for n, r in roles.items() if r not in off) <= 36 for off in ("i", "o")):
            sizes[name], roles[name] = size, role
    sides = []
    for dropped in "oi":
        names = [name for name, role in roles.items() if role != dropped]
        if in_order:
            for name in [name for name in names if roles[name] in "io"]:
                names.remove(name)
                names.insert(draw(st.integers(0, len(names))), name)
        else:
            names = draw(st.permutations(names))
        cuts = draw(st.lists(st.integers(0, len(names)), max_size=len(names)).map(lambda found: sorted({0, *found})))
        pieces = [names[a:b] for a, b in zip(cuts, [*cuts[1:], len(names)], strict=True) if a < b]
        pieces = draw(st.permutations(pieces))
        sides.append(" ".join(["b", *(p[0] if len(p) == 1 else f"({' '.join(p)})" for p in pieces)]))
    weight = draw(st.permutations([name for name, role in roles.items() if role != "s"]))
    bias = [name for name, role in roles.items() if role in "go"] if draw(st.booleans()) else None
    return " -> ".join(sides), " ".join(weight), None if bias is None else " ".join(bias), sizes


@given(calls(in_order=True))
def test_whole_axes_in_any_order_are_read_as_the_layer_that_they_are(written: Written) -> None:
    mixer = check_call(*written)
    assert mixer is not None
    assert same_layer(written, mixer)


@given(calls(in_order=False))
def test_axes_in_any_order_are_refused_or_read_as_the_layer_that_they_are(written: Written) -> None:
    mixer = check_call(*written)
    assert mixer is None or same_layer(written, mixer)


def same_layer(written: Written, mixer: Mixer) -> bool:
    """Whether einops' layer of the call and the one of the mixer are one, but for the order of whole axes.

    Their matrices hold one weight an entry at most: with weights that are all different, those of the one must stand
    where those of the other stand, with another number each.
    """
    pattern, weight, bias, sizes = written
    theirs, ours = EinMix(pattern, weight, bias, **sizes), EinMix(**mixer.canonical().einmix())
    lengths = [[prod(sizes[n] for n in group.split()) for group in groups(end)[1:]] for end in pattern.split("->")]
    (matrix, offsets), (wanted, wanted_offsets) = (
        numbered(layer, *shape) for layer, shape in ((theirs, lengths[0]), (ours, mixer.inputs.values()))
    )
    if wanted.shape != matrix.shape:
        return False
    rows = [orders.ravel() for orders in transposed(lengths[1])]
    columns = [orders.ravel() for orders in transposed(lengths[0])]
    return any(
        one_to_one(matrix[np.ix_(row, column)], wanted) and one_to_one(offsets[row], wanted_offsets)
        for row, column in product(rows, columns)
    )


def numbered(layer: EinMix, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """The layer's matrix and bias when its weights are 1, 2, 3… and its biases too."""
    for parameter in layer.double().parameters():
        parameter.data = torch.arange(1.0, parameter.numel() + 1, dtype=torch.float64).reshape(parameter.shape)
    return algebra.layer_map(layer, *shape)


def transposed(shape: list[int]) -> Iterator[np.ndarray]:
    """The indices of a tensor's elements, its axes in all orders."""
    return (np.arange(prod(shape)).reshape(shape).transpose(order) for order in permutations(range(len(shape))))


def one_to_one(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the numbers in `b` are those in `a` under other names, zero excepted."""
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return bool(((pairs[0] == 0) == (pairs[1] == 0)).all()) and all(len(np.unique(p)) == len(p) for p in pairs)


def check_call(pattern: str, weight: str, bias: str | None, sizes: dict[str, int]) -> Mixer | None:
    """Refused in three lines, or a mixer with just the factors of the call, which einops accepts and a text can say."""
    try:
        mixer = Mixer.from_einmix(pattern, weight, bias, **sizes)
    except PatternError as error:
        assert len(str(error).splitlines()) == 3
        return None
    try:
        layer = EinMix(**mixer.einmix())
    except EinopsError as error:
        pytest.fail(f"einops refuses what was read: {error}")
    assert Mixer.parse(str(mixer)) == mixer
    left, right = (set(re.findall(r"\w+", side)) for side in pattern.split("->"))
    parts = [factor for _, factors in mixer.axes for factor in factors]
    in_weight, batch = set(weight.split()), (left & right) - set(sizes) or {"b"}
    kept = (left & right) - batch
    for role, names in (("g", kept & in_weight), ("s", kept - in_weight)):
        assert prod(f.size for f in parts if f.role == role) == prod(sizes[name] for name in names)
    mixed = [f for f in parts if f.role == "m"]
    assert prod(f.size for f in mixed) == prod(sizes[name] for name in left - right)
    assert prod(f.out for f in mixed) == prod(sizes[name] for name in right - left)
    assert mixer.params == sum(p.numel() for p in layer.parameters())
    return mixer
