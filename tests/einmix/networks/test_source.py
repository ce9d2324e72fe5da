"""The text of an architecture: it is the model, people can read it, and nothing in it was typed by anybody."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import permutations
from math import prod
from pathlib import Path
from random import Random
from types import FunctionType
from typing import Any

import algebra
import pytest
import torch
from einops.layers.torch import EinMix
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import code_lines, images, loaded
from torch import nn

from einmix import Architecture, Block, FactorSet, Mixer, Sequence, Stage, build, sample_mixer, source
from einmix.algebra.factors import Axes
from einmix.kinds import (
    KINDS,
    Activation,
    Concat,
    Conv,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Norm,
    Residual,
    Reweight,
    Shift,
    Split,
    Sum,
    Unfold,
)
from einmix.networks.emission import emit, from_channels_first, helpers
from einmix.networks.functions import merged
from einmix.networks.printing import text as written
from einmix.nodes.calls import Call, Size
from einmix.nodes.layout import layout
from search_spaces import load

HELPERS = helpers(KINDS)
EMBED = "h=s8.m4:1 w=s8.m4:1 c=m3:64 +b"


CHANNELS = algebra.nodes("norm", "128", "gelu", "64")


UNIFORM = algebra.network(EMBED, *[(algebra.nodes("norm", "h=m4.s2 w=m4.s2 c=g8.s8 +b"), CHANNELS)] * 8, classes=10)


MIXERS = [
    "h=m4.s2 w=m4.s2 c=g64 +b",
    "h=s2.m4 w=s2.m4 c=g64 +b",
    "h=m8 w=m8 c=s64 +b",
    "h=m8 w=s8 c=s16.m4 +b",
    "h=s8 w=m8 c=s16.m4 +b",
    "h=m2.s4 w=m2.s4 c=g8.s8 +b",
    "h=s4.m2 w=s4.m2 c=g8.s8 +b",
    "h=m8 w=m8 c=g2.s32 +b",
]


VARIED = algebra.network(EMBED, *[(algebra.nodes("norm", mixer), CHANNELS) for mixer in MIXERS], classes=10)


ALTERNATING = algebra.network(EMBED, *[(algebra.nodes("norm", MIXERS[i % 2]), CHANNELS) for i in range(8)], classes=10)


RESMLP = algebra.network(
    "t=s16.m4:1 c=m1:8 +b",
    *[
        (
            algebra.nodes("t=s16 c=g8 +b", "t=m16 c=s8 +b", "t=s16 c=g8"),
            algebra.nodes("t=s16 c=g8 +b", "32", "gelu", "8", "t=s16 c=g8"),
        )
    ]
    * 2,
)


LONG = algebra.network(
    "t=s1 c=m1:64",
    (algebra.nodes("t=s1 c=g2.m2.g2.m2.g2.m2 +b"),),
    (algebra.nodes("t=s1 c=g2.s2.g2.s2.g2.s2 +b", "gelu"),),
)


NETWORKS = {"uniform": UNIFORM, "varied": VARIED, "alternating": ALTERNATING, "ResMLP": RESMLP, "long": LONG}


NAMES = pytest.mark.parametrize("name", NETWORKS)


# ---------------------------------------------------------------------------------------------------- the model


@NAMES
def test_what_is_built_is_what_the_text_says(name: str, tmp_path: Path) -> None:
    arch = NETWORKS[name]
    torch.manual_seed(0)
    built = build(arch)
    torch.manual_seed(0)
    written = loaded(source(arch), tmp_path).model()
    assert str(built) == str(written)
    assert torch.equal(built(images(arch)), written(images(arch)))
    assert source(arch) == source(Architecture.from_json(arch.to_json()))


@pytest.mark.outside
def test_the_text_needs_torch_and_einops_alone(tmp_path: Path) -> None:
    """All networks in one clean process, in which the packages of this project cannot be imported."""
    expected = []
    for name, arch in NETWORKS.items():
        (tmp_path / f"{name}.py").write_text(source(arch, facts={"found": "here"}), encoding="utf-8")
        torch.manual_seed(0)
        expected.append(f"{name} {build(arch)(torch.ones_like(images(arch))).sum().item():.6f} {arch.params}")
    program = (
        "import runpy, sys, torch\n"
        "sys.modules.update(dict.fromkeys(['einmix', 'search_spaces', 'nas', 'optuna', 'ray', 'sklearn']))\n"
        "torch.set_num_threads(1)\n"
        "for path, *shape in map(str.split, sys.argv[1:]):\n"
        "    torch.manual_seed(0)\n"
        "    net = runpy.run_path(path + '.py')['model']()\n"
        "    total = net(torch.ones(*map(int, shape))).sum().item()\n"
        "    print(path, f'{total:.6f}', sum(p.numel() for p in net.parameters()))\n"
    )
    shapes = [" ".join([name, *map(str, images(arch).shape)]) for name, arch in NETWORKS.items()]
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", program, *shapes], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("name", ["uniform", "ResMLP", "long"])
def test_the_text_can_be_scripted(name: str, tmp_path: Path) -> None:
    """The tutorial times its blocks scripted: they must go on working so."""
    arch = NETWORKS[name]
    net = loaded(source(arch), tmp_path).model()
    assert torch.allclose(torch.jit.script(net)(images(arch)), net(images(arch)), atol=1e-5)


def test_a_network_is_made_without_a_warning(tmp_path: Path) -> None:
    """Also where all factors of a mixer are shared: one number, of which EinMix would warn without an axis for it."""
    arch = algebra.network("h=s2.m2:1 w=s3.m1 c=m1:8", (algebra.nodes("h=s2 w=s3 c=s8 +b", "h=s2 w=s3 c=s8"),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = loaded(source(arch), tmp_path).model()
    assert sum(p.numel() for p in net.parameters()) == arch.params


def test_run_as_a_script_it_prints_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = source(RESMLP)
    exec(compile(text, "exported.py", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.endswith(f"{RESMLP.params} parameters\n")


class Stub(nn.Module):
    """Takes EinMix's arguments, keeps them, and computes with EinMix."""

    def __init__(self, pattern: str, weight_shape: str, bias_shape: str | None = None, **sizes: int):
        super().__init__()
        self.inner = EinMix(pattern, weight_shape, bias_shape, **sizes)
        self.weight, self.bias = self.inner.weight, self.inner.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


@NAMES
def test_another_layer_stands_in_for_mix(name: str) -> None:
    arch = NETWORKS[name]
    net = build(arch, mix=Stub)
    stubs = [layer for layer in net.modules() if isinstance(layer, Stub)]
    assert len(stubs) == 1 + len(arch.mixers) == sum(isinstance(layer, EinMix) for layer in net.modules())
    assert net(images(arch)).shape == (2, arch.classes)
    assert not any(isinstance(layer, Stub) for layer in build(arch).modules())


def test_scales_start_as_the_identity_and_mixers_do_not() -> None:
    net = build(RESMLP)
    for layer in (layer for layer in net.modules() if isinstance(layer, EinMix)):
        if layer.weight_shape == "c":
            assert (layer.weight == 1).all() and (layer.bias is None or not layer.bias.any())
        else:
            assert not (layer.weight == 1).any()


# ---------------------------------------------------------------------------------------------------- many names


def by_einsum(mixer: Mixer, weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    """The mixer with weights `g i o` (all its factors of a role, in order), factor by factor, channels last."""
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    parts = [(f, next(letters), next(letters)) for _, factors in mixer.axes for f in factors]
    left = [a for _, a, _ in parts]
    right = [z if f.role == "m" else a for f, a, z in parts]
    grouped = [(f, a) for f, a, _ in parts if f.role == "g"]
    mixed = [(f, a, z) for f, a, z in parts if f.role == "m"]
    letters_of_weight = [a for _, a in grouped] + [a for _, a, _ in mixed] + [z for _, _, z in mixed]
    shape = [f.size for f, _ in grouped] + [f.size for f, _, _ in mixed] + [f.out for f, _, _ in mixed]
    equation = f"{''.join(left)},{''.join(letters_of_weight)}->{''.join(right)}"
    y = torch.einsum(equation, x.reshape([f.size for f, _, _ in parts]), weight.reshape(shape))
    if bias is not None:
        flat = bias.reshape([f.size for f, _ in grouped] + [f.out for f, _, _ in mixed])
        y = y + torch.einsum(
            f"{''.join([a for _, a in grouped] + [z for _, _, z in mixed])},{''.join(right)}->{''.join(right)}",
            flat,
            torch.ones_like(y),
        )
    return y.reshape(list(mixer.outputs.values()))


MANY = [
    "h=m2.s2.m2.g2.m2.s2 w=m2.s2.m2.g2.m2.s2 c=m2.s2.m2.g2.m2.s2 +b",
    "h=s2.m2:1.s2.m2 w=m2.s2.m2.g2.m1:2.s2 c=m2.s2.m2.g2.m2.s2.m2.s2.m2 +b",
    "t=s2.m2.s2.m2.s2.m2.s2.m2.s2 c=m2.s2.m2.s2.m2.s2.m2.s2.m2 +b",
]


@pytest.mark.parametrize("text", MANY)
def test_more_names_than_einops_knows(text: str) -> None:
    """Such a mixer is written with its factors brought together first; it computes the same, in either layout."""
    mixer = Mixer.parse(text)
    net = algebra.randomised(build(algebra.network(text, classes=2)))
    assert "Rearrange(" in source(algebra.network(text))
    x = torch.randn(1, *mixer.inputs.values(), dtype=torch.float64)
    (mix,) = [layer for layer in net.modules() if isinstance(layer, EinMix)]
    expected = by_einsum(mixer, mix.weight, mix.bias, x[0])
    torch.testing.assert_close(net[0](x.movedim(-1, 1))[0], expected)
    if mixer.inputs == mixer.outputs:
        sizes = " ".join(f"{name}=" + (f"s{n}" if name != "c" else f"m1:{n}") for name, n in mixer.inputs.items())
        inner = algebra.randomised(build(algebra.network(sizes, (algebra.nodes(text),))))
        mix = next(layer for layer in inner[1].modules() if isinstance(layer, EinMix))
        torch.testing.assert_close(inner[1].f(x)[0], by_einsum(mixer, mix.weight, mix.bias, x[0]))


@given(st.sampled_from([("t", "c"), ("h", "w", "c")]).flatmap(lambda names: algebra.mixers(names=names)))
def test_bringing_factors_together_changes_nothing(mixer: Mixer) -> None:
    """The same for small mixers, as if einops knew no more than two names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["einmix.kinds.mix"], "MAX_NAMES", 2)
        assert "Rearrange(" in source(algebra.network(str(mixer)))
        net = algebra.randomised(build(algebra.network(str(mixer))))
    x = torch.randn(1, *mixer.inputs.values(), dtype=torch.float64)
    mix = next(layer for layer in net.modules() if isinstance(layer, EinMix))
    torch.testing.assert_close(net[0](x.movedim(-1, 1))[0], by_einsum(mixer, mix.weight, mix.bias, x[0]))


@NAMES
def test_the_text_is_short_and_narrow(name: str) -> None:
    text = source(NETWORKS[name], facts={"found": "a search of 100 candidates, " * 10})
    assert len(code_lines(text)) <= 80
    assert max(map(len, text.splitlines())) <= 120
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_what_repeats_is_a_loop_or_a_function() -> None:
    assert source(UNIFORM).count("Mix(") == 2 and "for _ in range(8)" in source(UNIFORM)
    text = source(ALTERNATING)
    assert text.count("Mix(") == 3 and "for _ in range(4)" in text
    blocks = [(algebra.nodes("norm", MIXERS[i]), CHANNELS) for i in (0, 1, 1, 0, 2, 0)]
    text = source(algebra.network(EMBED, *blocks, classes=10))
    assert text.count("Mix(") == 4 and text.count("tokens(subgrid())") == 3 and "for _ in range(2)" in text


GOLDEN = '''\
"""rows: an EinMix network for 8 x 8 grey images, 3 outputs.

found    nas search --space subgrid
size     219 parameters, 1,048 multiply-accumulates an example
"""

from einops.layers.torch import EinMix as Mix
from einops.layers.torch import Reduce
from torch import nn


class Residual(nn.Module):
    """x + f(x)"""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.f(x)


def tokens() -> nn.Module:
    """Mix positions: `b h w 8 -> b h w 8`."""
    return Residual(
        nn.LayerNorm(8),
        # h apart, w mixed, weights per channel
        Mix("b h wi c -> b h wo c", weight_shape="c wi wo", wi=4, wo=4, c=8),
    )


def model() -> nn.Module:
    """`b c h w` inputs (1 x 8 x 8) -> `b k`: 3 outputs."""
    return nn.Sequential(
        # patches of 2 x 2 to 8 channels
        Mix("b ci (h hi) (w wi) -> b h w co", weight_shape="hi wi ci co", hi=2, wi=2, ci=1, co=8),
        tokens(),
        nn.LayerNorm(8),
        Reduce("b h w c -> b c", "mean"),
        nn.Linear(8, 3),
    )


if __name__ == "__main__":
    net = model()
    print(net, sum(p.numel() for p in net.parameters()), "parameters")
'''


def test_a_text_in_full() -> None:
    arch = algebra.network("h=s4.m2:1 w=s4.m2:1 c=m1:8", (algebra.nodes("norm", "h=s4 w=m4 c=g8"),))
    text = source(arch, facts={"title": "rows", "found": "nas search --space subgrid"})
    assert text == GOLDEN


# ---------------------------------------------------------------------------------------------------- what stands in it


# fmt: off
HOSTILE = [
    '"""', '"', "'''", "\\", '\\"""', '""""""', "\n", "\r", "\u2028", "\u2029", "\x85", "\x00", "\x1b[2J", "\ud800",
    "{x}", "%s", "é", "x" * 300, '"""\nimport os\n"""', "\\N{DASH}", "\\u0022" * 3,
]


# fmt: on


def harmless(text: str, reference: str) -> None:
    """A module whose docstring alone differs from the reference's."""
    text.encode("utf-8")
    mine, other = ast.parse(text), ast.parse(reference)
    assert ast.get_docstring(mine)
    assert [ast.dump(node) for node in mine.body[1:]] == [ast.dump(node) for node in other.body[1:]]
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.filterwarnings("error")
@given(
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from([*HOSTILE, "title", "size"]),
        st.lists(st.sampled_from(HOSTILE) | st.text(max_size=8), max_size=5).map("".join),
        max_size=4,
    )
)
def test_facts_stay_inside_the_docstring(facts: dict[str, str]) -> None:
    harmless(source(RESMLP, facts=facts), source(RESMLP))


@pytest.mark.parametrize("place", ["title", "score", "name"])
@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_hostile_facts(hostile: str, place: str) -> None:
    facts = {hostile: "text"} if place == "name" else {place: f"before {hostile}"}
    harmless(source(RESMLP, facts=facts), source(RESMLP))
    harmless(source(RESMLP, facts={place: hostile}), source(RESMLP))


def test_facts_can_be_read() -> None:
    command = (
        "nas search --space subgrid --max-params 100000 --strategy exhaustive --objective accuracy,macs --run first-run"
    )
    text = source(RESMLP, facts={"score": "0.93 ± 0.01 (n = 5)", "recipe": "", "repeat": command})
    lines = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert lines[2] == "score     0.93 ± 0.01 (n = 5)"
    assert lines[3].startswith("repeat    nas search --space") and "recipe" not in text.split('"""')[1]
    assert all(word in text.split() for word in command.split()), "a word of the command is cut"


NAMES_OF_PYTHON = {"super", "self", "range", "print", "sum", "int", "float", "_", "__name__"}


NAMES_OF_THE_TEXT = {
    "Mix",
    "Reduce",
    "Rearrange",
    "Residual",
    "nn",
    "x",
    "layers",
    "layer",
    "model",
    "net",
    "p",
    "start_at",
    "value",
}


@given(st.integers(0, 2**32))
def test_names_in_the_text_come_from_a_fixed_vocabulary(seed: int) -> None:
    """Axes stand in strings and as keywords of Mix and Rearrange; no other text of the architecture becomes code."""
    rng = Random(seed)
    sizes: dict[str, int] = rng.choice(
        [{"t": 64, "c": 96}, {"h": 16, "w": 12, "c": 48}, {"d": 4, "h": 8, "w": 8, "zeta9": 4, "c": 32}]
    )
    embed = " ".join(f"{name}=" + (f"s{n}" if name != "c" else f"m3:{n}") for name, n in sizes.items())
    mixers = [str(sample_mixer(rng, bias=rng.random() < 0.5, **sizes)) for _ in range(3)]
    blocks = [
        tuple(algebra.nodes(*rng.choice([["norm"], []]), *rng.choices(mixers, k=rng.randint(1, 3))) for _ in range(2))
        for _ in range(4)
    ]
    text = source(algebra.network(embed, *blocks))
    tree = ast.parse(text)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert len(functions) == sum(isinstance(node, ast.FunctionDef) for node in tree.body), "two functions of one name"
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    arguments = {arg.arg for node in tree.body if isinstance(node, ast.FunctionDef) for arg in node.args.args}
    assert used <= NAMES_OF_PYTHON | NAMES_OF_THE_TEXT | functions | arguments
    assert all(
        re.fullmatch(r"(mix|value|std|bias|hidden|groups|segments|roll|move|length|region|[tdhwcn])[0-9]*", argument)
        for argument in arguments
    )
    assert all(name.replace("_", "").isalnum() and name.isascii() for name in functions)
    assert max(map(len, text.splitlines())) <= 120


def test_long_mixers_stay_narrow() -> None:
    rng, every = Random(0), FactorSet("*")
    for _ in range(300):
        axes: Axes = tuple((name, every.sample(n, rng)) for name, n in (("h", 64), ("w", 64), ("c", 384)))
        arch = algebra.network("h=s64 w=s64 c=m3:384", (algebra.nodes("norm", str(Mixer(axes, True))),))
        assert max(map(len, source(arch).splitlines())) <= 120
        assert (
            arch.params == prod((1,)) * sum(p.numel() for p in build(arch).parameters())
            if arch.params < 10**6
            else True
        )


def test_two_stages_and_their_names() -> None:
    first = algebra.network(
        "h=s4.m2:1 w=s4.m2:1 c=m1:4", (algebra.nodes("norm", "h=m4 w=s4 c=s4"), algebra.nodes("8", "gelu", "4"))
    )
    second = algebra.network(
        "h=s2.m2:1 w=s2.m2:1 c=m4:6", (algebra.nodes("norm", "h=m2 w=s2 c=s6"), algebra.nodes("12", "gelu", "6"))
    )
    arch = Architecture(first.inputs, (*first.stages, *second.stages), 3)
    text = source(arch)
    assert "def tokens(c: int, h: int)" in text and "tokens(c=6, h=2)" in text
    assert "def channels(c: int)" in text and "nn.Linear(c, 2 * c), nn.GELU(), nn.Linear(2 * c, c)" in text
    assert build(arch)(images(arch)).shape == (2, 3)


SIZES: list[tuple[list[tuple[int, ...]], str, str]] = [
    ([(4, 16), (6, 24)], "c: int", "f(c, 4 * c)"),
    ([(16, 4), (24, 6)], "c: int", "f(c, c // 4)"),
    ([(4, 16), (6, 25)], "c: int, c2: int", "f(c, c2)"),
    ([(4, 16), (6, 24), (8, 30)], "c: int, c2: int", "f(c, c2)"),
    ([(4, -4), (6, -6)], "c: int", "f(c, -c)"),
    ([(1, 17), (2, 34)], "c: int, c2: int", "f(c, c2)"),
    ([(8, 12, 24), (16, 24, 48)], "c: int, c2: int", "f(c, c2, 3 * c)"),
    ([(0, 0), (4, 16)], "c: int", "f(c, 4 * c)"),
]


@pytest.mark.parametrize(("calls", "parameters", "body"), SIZES)
def test_sizes_that_are_multiples_in_every_call_are_no_parameters(
    calls: list[tuple[int, ...]], parameters: str, body: str
) -> None:
    template = merged([Call("f", tuple(Size(n, "c") for n in sizes)) for sizes in calls])
    assert ", ".join(f"{name}: int" for name in template.parameters) == parameters
    assert written(template.body) == body
    for index, sizes in enumerate(calls):
        passed = {name: values[index].value for name, values in template.parameters.items()}
        assert eval(body, {"f": lambda *found: found}, passed) == sizes


def test_what_has_the_same_numbers_is_not_the_same_thing() -> None:
    """Channels are no multiple of positions, nor one axis of another; a size of two axes says that it is a region."""
    both = [Call("f", (Size(c, "c"), Size(h, "h"), Size(w, "w"))) for c, h, w in ((64, 8, 4), (32, 4, 2))]
    assert list(merged(both).parameters) == ["c", "h", "w"]
    alike = [Call("f", (Size(n, "c"), Size(n, "h"), Size(n, "w"), Size(2 * n, "h"))) for n in (4, 8)]
    assert list(merged(alike).parameters) == ["c", "region", "h"]
    assert written(merged(alike).body) == "f(c, region, region, h)"
    along = [Call("f", (Size(n, "h"), Size(2 * n, "h"))) for n in (4, 8)]
    assert written(merged(along).body) == "f(h, 2 * h)"


# ---------------------------------------------------------------------------------------------------- against calls


def plainly(arch: Architecture) -> nn.Module:
    """Every layer written and made by itself: without functions, loops and side-by-side lines."""
    space: dict[str, Any] = {}
    exec("import torch\nfrom torch import nn\nfrom einops.layers.torch import EinMix as Mix, Rearrange, Reduce", space)
    for helper in HELPERS.values():
        exec(helper, space)
    calls = [
        call
        for part in arch.parts
        for call in (emit(part.steps) if part is not arch.parts[0] else from_channels_first(part.steps, part.before))
    ]
    texts = [written(call) for call in calls]
    texts += [f'Reduce("{layout(arch.parts[-1].after)} -> b c", "mean")']
    texts += [f"nn.Linear({arch.parts[-1].after['c']}, {arch.classes})"]
    return nn.Sequential(*(eval(text, space) for text in texts))


def blocks(width: int) -> list[Block]:
    """Blocks of which the lists of layers have every length, and layers with layers of their own."""
    mix, linear = Mix(Mixer.parse(f"h=m2 w=s4 c=g{width}")), Linear(width)
    return [
        (),
        (Sum(((mix,), ())),),
        (Norm("group"),),
        (Residual((Norm(), mix)),),
        (Residual(()),),
        (Norm(), Activation()),
        (Residual((Norm(), Linear(2 * width), Activation(), linear)),),
        (Residual((Norm(), Mix(Mixer.parse(f"h=m2 w=m4 c=s{width} +b")))), Residual((linear,))),
        (Concat(((mix,), ())), linear),
        *((Residual((there, Activation(), there)),) for there in (mix, Mix(Mixer.parse(f"h=s2 w=m4 c=g{width}")))),
    ]


@settings(max_examples=12)
@given(st.integers(0, 2**32))
def test_the_text_makes_the_layers_of_the_nodes_one_by_one(seed: int) -> None:
    rng, stages, before = Random(seed), [], "h=s2.m2:1 w=s4.m2:1 c=m3:4"
    for width in rng.sample([4, 6, 8], rng.randint(1, 2)):
        found: list[Block] = []
        for _ in range(rng.randint(1, 3)):
            found += rng.choices(blocks(width), k=rng.randint(1, 4)) * rng.randint(1, 4)
        stages.append(Stage((Mix(Mixer.parse(before)) if not stages else Linear(width), Linear(width)), tuple(found)))
    arch = Architecture((("h", 4), ("w", 8), ("c", 3)), tuple(stages), 3)
    net, plain = build(arch).eval(), plainly(arch).eval()
    assert str(net) == str(plain) and sum(p.numel() for p in net.parameters()) == arch.params
    plain.load_state_dict(net.state_dict())  # a layer that is passed to a function is made before those in it
    assert torch.equal(net(images(arch)), plain(images(arch)))


def test_a_branch_that_holds_one_mixer_twice_has_two() -> None:
    """Not one that is passed to its function and used in two places, with its weights."""
    alike = [algebra.nodes(*[f"h={h} w={w} c=g4", "gelu"] * 2) for h, w in (("m2", "s4"), ("s2", "m4"))]
    arch = algebra.network("h=s2 w=s4 c=m1:4", *[(branch,) for branch in alike])
    assert sum(p.numel() for p in build(arch).parameters()) == arch.params
    assert str(build(arch)) == str(plainly(arch))


EMBEDDINGS: list[tuple[Sequence, str]] = [
    (algebra.nodes("h=s4.m2:1 w=s2.m4:1 c=m3:8"), "patches of 2 x 4 to 8 channels"),
    (algebra.nodes("h=m8:1 w=s8 c=m3:8"), "patches of 8 x 1 to 8 channels"),
    (algebra.nodes("h=s8 w=s8 c=m3:8"), "every position to 8 channels"),
    ((), "every position to 3 channels"),
    (algebra.nodes("h=m2:1.s4 w=s4.m2:1 c=m3:8"), "h from 8 to 4, w from 8 to 4, c from 3 to 8"),
    (algebra.nodes("h=m8:3 w=m8:16 c=m3:8"), "h from 8 to 3, w from 8 to 16, c from 3 to 8"),
    (algebra.nodes("h=m8 w=m8 c=m3:8"), "h from 8 to 8, w from 8 to 8, c from 3 to 8"),
    ((Conv(3, out=8, pad=1),), "windows in steps of 1 x 1 to 8 channels"),
    ((Conv(4, out=8, stride=3, pad=0),), "windows in steps of 3 x 3 to 8 channels"),
    (
        (Concat(((Unfold(2, stride=2),), (Unfold(4, stride=2, pad=1),))), Linear(8)),
        "windows in steps of 2 x 2 to 8 channels",
    ),
    ((Conv(2, out=8, stride=2), Conv(4, out=8, stride=4)), "h from 8 to 1, w from 8 to 1, c from 3 to 8"),
]


@pytest.mark.parametrize(("embed", "words"), EMBEDDINGS)
def test_an_embedding_is_called_what_it_does(embed: Sequence, words: str) -> None:
    arch = Architecture((("h", 8), ("w", 8), ("c", 3)), (Stage(embed, ()),), 3)
    assert [row.strip() for row in source(arch).splitlines() if f"# {words}" in row] == [f"# {words}"]


LOOPS: dict[str, Block] = {
    "a sum": (Sum(((Linear(4),), ())),),
    "channels first": (Norm("group"),),
    "a residual": (Residual((Norm(),)),),
    "an empty residual": (Residual(()),),
    "two layers": (Norm(), Activation()),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_layer_that_repeats_beside_an_empty_block_stays_a_layer(name: str) -> None:
    for pair in permutations(((), LOOPS[name])):
        stages = Stage((Linear(4),), pair * 3), Stage((Linear(4),), ((),) * 3)
        arch = Architecture((("h", 2), ("w", 4), ("c", 4)), stages, 3)
        assert str(build(arch)) == str(plainly(arch)) and source(arch).count("for _ in range(3)") == 1


# ---------------------------------------------------------------------------------------------------- names


def made(arch: Architecture) -> list[tuple[str, str, nn.Module, torch.Size]]:
    """The name and docstring of every function of the text that the model calls, what it made and what that takes."""
    space: dict[str, Any] = {"__name__": "exported"}
    exec(source(arch), space)
    found: list[tuple[str, str, nn.Module]] = []

    def recorded(name: str, function: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        def call(*args: Any, **sizes: Any) -> nn.Module:
            layer = function(*args, **sizes)
            if type(layer).__name__ == "Residual":
                found.append((name, function.__doc__ or "", layer))
            return layer

        return call

    for name, value in list(space.items()):
        if isinstance(value, FunctionType) and name not in ("model", *HELPERS):
            space[name] = recorded(name, value)
    net, shapes = space["model"]().eval(), {}
    for _, _, layer in found:
        layer.register_forward_hook(lambda layer, inputs, output: shapes.update({layer: inputs[0].shape[1:]}))
    net(images(arch))
    return [(name, words, layer, shapes[layer]) for name, words, layer in found]


def mixes_positions(layer: nn.Module, shape: torch.Size) -> bool:
    """Whether a change of all channels at one position gets to others."""
    *grid, c = shape
    x = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for place in ([0] * len(grid), [n // 2 for n in grid]):
        other = x.clone()
        other[(0, *place)] += torch.linspace(1, 2, c, dtype=torch.float64)
        with torch.no_grad():
            difference = (algebra.randomised(layer).eval()(other) - layer(x)).abs().amax(-1)[0]
        difference[tuple(place)] = 0
        if (difference > 1e-9).any():
            return True
    return False


@pytest.mark.parametrize("name", ["subgrid", "roles", "macro"])
def test_functions_are_called_what_they_do(name: str) -> None:
    """In every call of a function, not in its first alone."""
    space, rng = load(name).on({"h": 4, "w": 4}, channels=1, classes=3, width=(8,), depth=(4,)), Random(0)
    names = set()
    for arch in (space.sample(rng) for _ in range(10)):
        for function, words, layer, shape in made(arch):
            mixes = mixes_positions(layer, shape)
            kind = next((word for word in ("channels", "unmixed") if word in function), "tokens")
            assert mixes == (kind == "tokens") == words.startswith("Mix positions"), (arch.id, function)
            assert words.startswith("Mix channels at every position") == (kind == "channels")
            names.add(function)
    assert {"tokens", "channels", "unmixed"} <= names or name == "macro"
    if name == "macro":
        assert not {name for name in names if re.fullmatch(r"(tokens|channels)_\d", name)}
        assert len(names & {"summed", "reweighted", "concatenated", "gated", "split_gated", "convolved"}) > 3


def test_one_function_is_one_idea() -> None:
    ideas: dict[str, Sequence] = {
        "tokens": algebra.nodes("norm", "h=m4 w=m4 c=s8"),
        "token_mlp": algebra.nodes("h=m4:8 w=s4 c=s8", "gelu", "h=m8:4 w=s4 c=s8"),
        "channels": algebra.nodes("16", "gelu", "8"),
        "unmixed": algebra.nodes("norm", "h=s4 w=s4 c=g8"),
        "gated": (Linear(16), Gate(algebra.nodes("h=m4 w=m4 c=s8"))),
        "gated_channels": (Linear(16), Gate(algebra.nodes("h=s4 w=s4 c=g8"))),
        "summed": (Sum((algebra.nodes("h=m4 w=s4 c=s8"), algebra.nodes("h=s4 w=m4 c=s8"))),),
        "summed_channels": (Sum((algebra.nodes("8"), ())),),
        "reweighted_dynamic": (
            Reweight(((Dynamic("h", segments=2, reduced=2),), (Dynamic("w", segments=2, reduced=2),))),
        ),
        "concatenated": (Concat((algebra.nodes("h=m4 w=s4 c=s8"), ())), Linear(8)),
        "split_shifted": (Split(((Shift((("h", 1),)),), ())),),
        "convolved": (Conv(3, pad=1),),
        "convolved_unmixed": (Conv(1),),
        "unfolded": (Unfold(3, pad=1), Linear(8)),
    }
    arch = Architecture(
        (("h", 4), ("w", 4), ("c", 8)), (Stage((), tuple((Residual(idea),) for idea in ideas.values())),), 3
    )
    assert [name for name, *_ in made(arch)] == list(ideas)
    rows, columns = (
        algebra.nodes(f"h={h} w={w} c=s8", "gelu", f"h={h} w={w} c=s8") for h, w in (("m4", "s4"), ("s4", "m4"))
    )
    both = Architecture((("h", 4), ("w", 4), ("c", 8)), (Stage((), ((Residual(rows),), (Residual(columns),))),), 3)
    assert [name for name, *_ in made(both)] == ["token_mlp_h", "token_mlp_w"]


def test_a_comment_stands_once() -> None:
    found = []
    for c, other in (("s2.m4", "m2.s4"), ("m4.s2", "m4.s2")):
        several = (algebra.nodes(f"h=m4 w=s4 c={c} +b"), algebra.nodes(f"h=s4 w=m4 c={other} +b"))
        found.append((Residual((Concat(((), *several)), Linear(8))),))
    text = source(Architecture((("h", 4), ("w", 4), ("c", 8)), (Stage((), tuple(found)),), 3))
    rows = [row.strip() for row in text.splitlines()]
    comments = [row for row in rows if row.startswith("# h mixed")]
    assert len(comments) == len(set(comments)) == 2, "what is passed to a function is said where it is passed"
    square = source(algebra.network("h=s4 w=s4 c=m1:8", (algebra.nodes("h=m4 w=s4 c=s8", "gelu", "h=m4 w=s4 c=s8"),)))
    assert square.count("# h mixed, w apart") == 1


def test_what_goes_with_a_text_has_what_it_names() -> None:
    assert "import torch\n" not in source(UNIFORM)
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(source(UNIFORM, also="\ndef three():\n    return Rearrange('a b -> b a')(torch.ones(3, 1))\n"), namespace)
    assert namespace["three"]().shape == (1, 3)
