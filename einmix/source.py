"""The text of an architecture: a standalone module that a person can read, and that `build` runs."""

from __future__ import annotations

import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, groupby
from typing import Any

from einmix.architecture import Activation, Architecture, Block, Branch, Linear, Mix, Norm, Stage
from einmix.mixer import Mixer
from einmix.pattern import MAX_NAMES, named_parts, side, sizes_of, write_einmix
from einmix.words import describe, title

WIDTH = 120
ROOM = WIDTH - 24
"""What the deepest nesting leaves of a line."""

RESIDUAL = '''
class Residual(nn.Module):
    """x + f(x)"""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.f(x)
'''

SCALE = '''
def scale(mix: Mix) -> nn.Module:
    """A mixer that mixes nothing only scales: it starts as the identity."""
    nn.init.ones_(mix.weight)
    if mix.bias is not None:
        nn.init.zeros_(mix.bias)
    return mix
'''


def source(arch: Architecture, facts: Mapping[str, str] | None = None) -> str:
    """A module with `model()`, which needs torch and einops alone.

    `facts` are lines for the header (where found, score, recipe…), each a short name and a text. Whatever stands in
    them stays inside the docstring.
    """
    return _Writer(arch).module(facts or {})


def build(arch: Architecture, mix: type | None = None) -> Any:
    """Run the text of `source`: a fresh `nn.Module` from `b c h w` images (`b c t`, `b c d h w`) to `b k` logits.

    `mix` stands in for einops' EinMix under the name `Mix`: same arguments, same parameters, another way to compute.
    """
    text = source(arch)
    # a fixed vocabulary and validated names and sizes: see docs/security.md for why this text is safe to run
    namespace: dict[str, Any] = {"__name__": f"einmix_{arch.id}"}
    exec(compile(text, f"<einmix.source {arch.id}>", "exec"), namespace)
    if mix is not None:
        namespace["Mix"] = mix
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="EinMix: weight has no dimensions")  # a mixer of shared factors only
        return namespace["model"]()


class _Writer:
    """The one place where an architecture becomes text; each kind of node has its emit rule in `_branch_function`."""

    def __init__(self, arch: Architecture):
        self.arch = arch
        self.runs = [[(block, len(list(same))) for block, same in groupby(stage.blocks)] for stage in arch.stages]
        self.branches: dict[tuple[Any, ...], tuple[str, str]] = {}
        self.mixers: dict[Mixer, str] = {}

    def module(self, facts: Mapping[str, str]) -> str:
        self._name_mixers()
        body = self._model()
        functions = [text for _, text in self.branches.values()]
        named = [self._mixer_function(mixer, name) for mixer, name in self.mixers.items()]
        used = "".join([body, *functions, *named])
        imports = ["from einops.layers.torch import EinMix as Mix"]
        imports += [f"from einops.layers.torch import {name}" for name in ("Rearrange", "Reduce") if f"{name}(" in used]
        helpers = [RESIDUAL] * ("Residual(" in used) + [SCALE] * ("scale(" in used)
        main = (
            '\nif __name__ == "__main__":\n    net = model()\n'
            '    print(net, sum(p.numel() for p in net.parameters()), "parameters")\n'
        )
        parts = [*helpers, *functions, *named, body, main]
        head = self._header(facts) + "\n" + "\n".join([*imports, "from torch import nn"]) + "\n"
        return head + "".join("\n" + part for part in parts)

    def _header(self, facts: Mapping[str, str]) -> str:
        arch = self.arch
        title = facts.get("title", arch.id)
        heading = f"{title}: an EinMix network for {_subject(arch)}, {arch.classes} classes."
        size = f"{arch.params:,} parameters, {arch.macs / 1e6:.2f} million multiply-accumulates an image"
        plain = {_plain(name)[:24]: _plain(text) for name, text in {**facts, "size": size}.items() if name != "title"}
        pad = max(map(len, plain)) + 4
        lines = [_wrapped(f"{name:{pad}}", text) for name, text in plain.items() if text.strip()]
        return "\n".join([f'"""{_wrapped("", _plain(heading))}', "", *lines, '"""', ""])

    def _name_mixers(self) -> None:
        """Mixers that stand in several places get a function of their own."""
        count = Counter(mixer for stage in self.runs for block, _ in stage for mixer in _mixers(block))
        taken = {"tokens", "channels", "model", "scale"}
        for mixer in (mixer for mixer, times in count.items() if times > 1):
            name = title(mixer)
            while name in taken:
                stem, _, number = name.rpartition("_")
                name = f"{stem}_{int(number) + 1}" if number.isdigit() else f"{name}_2"
            taken.add(name)
            self.mixers[mixer] = name

    def _model(self) -> str:
        arch = self.arch
        lines = []
        for number, (stage, runs) in enumerate(zip(arch.stages, self.runs, strict=True)):
            lines += [f"# {_embedding_words(stage.embed)}", *self._mixer(stage.embed, channels_first=number == 0)]
            for block, times in runs:
                lines += self._block(stage, block, times)
        width = arch.stages[-1].embed.outputs["c"]
        axes = " ".join(name for name, _ in arch.inputs)
        lines += [
            f"nn.LayerNorm({width}),",
            f'Reduce("b {axes} -> b c", "mean"),',
            f"nn.Linear({width}, {arch.classes}),",
        ]
        shape = " x ".join(str(size) for _, size in (*arch.inputs[-1:], *arch.inputs[:-1]))
        layout = f"b c {' '.join(name for name, _ in arch.inputs[:-1])}"
        return (
            "\ndef model() -> nn.Module:\n"
            f'    """`{layout}` inputs ({shape}) -> `b k` logits ({arch.classes} classes)."""\n'
            "    return nn.Sequential(\n" + textwrap.indent("\n".join(lines), " " * 8) + "\n    )\n"
        )

    def _block(self, stage: Stage, block: Block, times: int) -> list[str]:
        lines = list(chain.from_iterable(self._branch(stage, branch) for branch in block))
        if times == 1:
            return lines
        return [f"*(layer for _ in range({times}) for layer in (", *("    " + line for line in lines), ")),"]

    def _branch(self, stage: Stage, branch: Branch) -> list[str]:
        """A call of the function that makes this kind of branch, with the mixers of this one as its arguments."""
        sizes = stage.embed.outputs
        skeleton = (tuple(sizes.items()), *(type(node) if isinstance(node, Mix) else node for node in branch))
        if skeleton not in self.branches:
            self.branches[skeleton] = self._branch_function(branch, sizes)
        name, _ = self.branches[skeleton]
        mixers = list(_mixers((branch,)))
        if not mixers:
            return [f"{name}(),"]
        if all(mixer in self.mixers for mixer in mixers):
            return [f"{name}({', '.join(f'{self.mixers[mixer]}()' for mixer in mixers)}),"]
        words = dict.fromkeys(describe(mixer) for mixer in mixers if mixer not in self.mixers)
        comments = [line for text in words for line in textwrap.wrap(f"# {text}", ROOM, subsequent_indent="# ")]
        calls = [[f"{self.mixers[m]}(),"] if m in self.mixers else self._mixer(m) for m in mixers]
        (first, *more), *others = calls
        if not others and not more and len(name) + len(first) < WIDTH - 16:
            return [*comments, f"{name}({first[:-1]}),"]
        if not others and more:
            return [*comments, f"{name}({first}", *more[:-1], more[-1][:-1] + "),"]
        return [*comments, f"{name}(", *("    " + line for line in chain(*calls)), "),"]

    def _branch_function(self, branch: Branch, sizes: dict[str, int]) -> tuple[str, str]:
        mixing = any(isinstance(node, Mix) for node in branch)
        stem = "tokens" if mixing else "channels"
        number = sum(name.startswith(stem) for name, _ in self.branches.values()) + 1
        name = stem if number == 1 else f"{stem}_{number}"
        count = sum(isinstance(node, Mix) for node in branch)
        arguments = ["mix"] if count == 1 else [f"mix{i}" for i in range(1, count + 1)]
        free = iter(arguments)
        width, layers = sizes["c"], []
        for node in branch:
            if isinstance(node, Mix):
                layers.append(next(free))
            elif isinstance(node, Norm):
                layers.append(f"nn.LayerNorm({width})")
            elif isinstance(node, Activation):
                layers.append("nn.GELU()")
            elif isinstance(node, Linear):
                layers.append(f"nn.Linear({width}, {node.out})")
                width = node.out
        shape = " ".join(["b", *(axis for axis in sizes if axis != "c"), str(sizes["c"])])
        job = "Mix positions" if mixing else "Mix channels at every position"
        return name, (
            f"\ndef {name}({', '.join(f'{argument}: nn.Module' for argument in arguments)}) -> nn.Module:\n"
            f'    """{job}: `{shape} -> {shape}`."""\n'
            f"    return Residual({', '.join(layers)})\n"
        )

    def _mixer_function(self, mixer: Mixer, name: str) -> str:
        call = "\n".join(self._mixer(mixer))[:-1]
        words = describe(mixer)
        docstring = textwrap.fill(f'"""{words[0].upper() + words[1:]}."""', ROOM)
        body = textwrap.indent(f"{docstring}\nreturn {call}", "    ")
        return f"\ndef {name}() -> nn.Module:\n{body}\n"

    def _mixer(self, mixer: Mixer, *, channels_first: bool = False) -> list[str]:
        """The lines of a mixer, ended by a comma."""
        names = {"b", *(name for axis in named_parts(mixer) for part in axis for name in part.names)}
        if len(names) > MAX_NAMES:
            return _rearranged(mixer, channels_first)
        call = write_einmix(mixer.canonical(), channels_first=channels_first, all_sizes=False)
        return _started(_layer(call), mixer)


def _started(lines: list[str], mixer: Mixer) -> list[str]:
    """The lines of a layer, as the identity at the start if it only scales."""
    if mixer.mixed:
        return lines
    lines = [f"scale({lines[0]}", *lines[1:]]
    return [*lines[:-1], lines[-1].removesuffix(",") + "),"]


def _layer(call: dict[str, Any]) -> list[str]:
    shapes = {name: call[name] for name in ("weight_shape", "bias_shape") if name in call}
    sizes = [f"{name}={n}" for name, n in call.items() if name != "pattern" and name not in shapes]
    short = ", ".join([f'"{call["pattern"]}"', *(f'{name}="{axes}"' for name, axes in shapes.items()), *sizes])
    if len(short) + len("Mix(),") <= ROOM:
        return [f"Mix({short}),"]
    rows = [line for name, axes in shapes.items() for line in _quoted(axes, f"{name}=")]
    rows += textwrap.wrap(", ".join(sizes) + ",", ROOM)
    if len(" ".join(rows)) <= ROOM:
        rows = [" ".join(rows)]
    elif len(" ".join(rows[: len(shapes)])) <= ROOM:
        rows = [" ".join(rows[: len(shapes)]), *rows[len(shapes) :]]
    return ["Mix(", *("    " + row for row in [*_quoted(call["pattern"]), *rows]), "),"]


def _rearranged(mixer: Mixer, channels_first: bool) -> list[str]:
    """A mixer with more names than EinMix knows: its factors brought together by role, mixed, and put back."""
    parts = named_parts(mixer)
    left = parts[-1:] + parts[:-1] if channels_first else parts
    flat = list(chain(*parts))

    def names(role: str, end: str) -> str:
        found = [getattr(part, end) for part in flat if part.factor.role == role and getattr(part, end)]
        return f"({' '.join(found)})" if found else "()"

    kept = [f"{names('s', 'input')} {names('g', 'input')}", f"{names('s', 'output')} {names('g', 'output')}"]
    size = dict.fromkeys("sg", 1) | {"i": 1, "o": 1}
    for part in flat:
        if part.factor.role == "m":
            size["i"], size["o"] = size["i"] * part.factor.size, size["o"] * part.factor.out
        else:
            size[part.factor.role] *= part.factor.size
    every = ", ".join(f"{name}={n}" for name, n in sizes_of(parts).items())

    def rearrange(pattern: str, used: str) -> list[str]:
        known = [
            item for item in every.split(", ") if item.split("=")[0] in used.replace("(", " ").replace(")", " ").split()
        ]
        rows = textwrap.wrap(", ".join(known) + ",", ROOM - 4)
        return ["    Rearrange(", *("        " + row for row in [*_quoted(pattern), *rows]), "    ),"]

    before, after = side([p.input for p in axis] for axis in left), side([p.output for p in axis] for axis in parts)
    bias = 'bias_shape="g o", ' if mixer.bias else ""
    middle = f'Mix("b s g i -> b s g o", weight_shape="g i o", {bias}g={size["g"]}, i={size["i"]}, o={size["o"]}),'
    return [
        "nn.Sequential(",
        *rearrange(f"b {before} -> b {kept[0]} {names('m', 'input')}", before),
        *("    " + line for line in _started([middle], mixer)),
        *rearrange(f"b {kept[1]} {names('m', 'output')} -> b {after}", after),
        "),",
    ]


def _mixers(branches: tuple[Branch, ...]) -> Iterator[Mixer]:
    return (node.mixer for branch in branches for node in branch if isinstance(node, Mix))


def _subject(arch: Architecture) -> str:
    *axes, (_, channels) = arch.inputs
    shape = " x ".join(str(size) for _, size in axes)
    noun = {1: "sequences of", 2: "images of", 3: "volumes of"}.get(len(axes), "arrays of")
    if len(axes) == 2 and channels in (1, 3):
        return f"{shape} {'grey' if channels == 1 else 'colour'} images"
    return f"{noun} {shape} with {channels} channel{'s' * (channels > 1)}"


def _embedding_words(embed: Mixer) -> str:
    patch = [dict(embed.inputs)[name] // dict(embed.outputs)[name] for name in embed.inputs if name != "c"]
    width = embed.outputs["c"]
    if all(size == 1 for size in patch):
        return f"every position to {width} channels"
    return f"patches of {' x '.join(map(str, patch))} to {width} channels"


def _quoted(text: str, name: str = "") -> list[str]:
    """A string among the arguments of a call, in several pieces where it is long."""
    halves = [text] if len(text) <= ROOM - 22 else text.replace(" -> ", "\n-> ").splitlines()
    *pieces, last = chain.from_iterable(
        textwrap.wrap(half, ROOM - 22, break_on_hyphens=False) or [""] for half in halves
    )
    first, *rest = [*(f'"{piece} "' for piece in pieces), f'"{last}",']
    return [name + first, *rest]


def _wrapped(name: str, text: str) -> str:
    return textwrap.fill(
        text, WIDTH - 3, initial_indent=name, subsequent_indent=" " * len(name), break_on_hyphens=False
    )


def _plain(text: str) -> str:
    """Text that cannot end or escape the docstring that it stands in."""
    return "".join(c if c.isprintable() else " " for c in text).replace("\\", "/").replace('"""', "'''").rstrip('"')
