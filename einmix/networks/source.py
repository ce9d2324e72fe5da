"""The text of an architecture: a standalone module that a person can read, and that `build` runs."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any

from einmix.algebra.mixer import Mixer
from einmix.errors import PatternError
from einmix.kinds import Residual
from einmix.networks.architecture import Architecture, Part, Slotted
from einmix.networks.emission import emit, from_channels_first, helpers, used
from einmix.networks.framework import TORCH, Framework
from einmix.networks.functions import NAMES, Template, merged, shape
from einmix.networks.printing import ROOM, WIDTH, lines, text
from einmix.networks.summary import describe, embedding_words, job, outputs, subject, title
from einmix.nodes.calls import Call
from einmix.nodes.layout import layout
from einmix.nodes.node import Step


def source(
    arch: Architecture, facts: Mapping[str, str] | None = None, also: str = "", *, framework: Framework = TORCH
) -> str:
    """A module with `model()`, which needs torch (or another framework) and einops alone.

    `facts` are lines for the header (where found, score, recipe…), each a short name and a text. Whatever stands in
    them stays inside the docstring. `also` is code that goes with it, as it is: nothing in it may be from a user.
    Raises PatternError where another framework has no word for what is in the network.
    """
    if isinstance(arch, Slotted):
        if framework is not TORCH:
            raise PatternError(f"network {arch.id} fills slots of a model in torch, not in {framework.name}")
        return _slots(arch, facts or {}, also)
    return _Writer(arch, framework).module(facts or {}, also)


def build(arch: Architecture, mix: type | None = None) -> Any:
    """Run the text of `source`: a fresh `nn.Module` from `b c h w` images (`b c t`, `b c d h w`) to `b k` logits.

    `mix` stands in for einops' EinMix under the name `Mix`: same arguments, same parameters, another way to compute.
    Raises PatternError for the mixers of somebody's own model, which `einmix.slots.fill` builds.
    """
    if isinstance(arch, Slotted):
        fact = f"network {arch.id} fills the slots of a model of one's own"
        raise PatternError(fact, hint="fill(make_model(), network), of einmix.slots")
    text = source(arch)
    # a fixed vocabulary and validated names and sizes: see docs/security.md for why this text is safe to run
    namespace: dict[str, Any] = {"__name__": f"einmix_{arch.id}"}
    exec(compile(text, f"<einmix.source {arch.id}>", "exec"), namespace)
    if mix is not None:
        namespace["Mix"] = mix
    return namespace["model"]()


def stage_ends(arch: Architecture) -> tuple[list[int], int]:
    """Where the stages end in the `nn.Sequential` of `model()`: the indices of their last layers, and of the mean."""
    counts = [len(_layers(part, part is arch.parts[0])) for part in arch.parts]
    layers = [sum(counts[: i + 1]) for i in range(len(counts))]
    ends = {part.stage: end - 1 for part, end in zip(arch.parts, layers, strict=True) if part.role != "head"}
    return list(ends.values()), layers[-1]


def _slots(arch: Slotted, facts: Mapping[str, str], also: str) -> str:
    """A module with `MIXERS` and `mixers()`: a line for each slot of somebody's own model."""
    rows = []
    for name, each in arch.slots:
        call = Mixer.parse(each.mixer).einmix(each.order)
        layer = Call("Mix", (call.pop("pattern"),), tuple(call.items()))
        rows.append(f'        "{name}": {text(layer)},' + f"  # in {each.times} places" * (each.times > 1))
    return (
        _header(f"the mixers in the slots of a model with {arch.params:,} parameters", arch, facts)
        + "\nimport torch" * ("torch." in also)
        + "\nfrom einops.layers.torch import EinMix as Mix\n\n"
        + "\n".join(["MIXERS = {", *(f'    "{name}": "{each.mixer}",' for name, each in arch.slots), "}", ""])
        + '"""By the names of the slots, as `einmix.slots.fill` takes them."""\n'
        + ("\n" + also) * bool(also)
        + "\n\ndef mixers():\n"
        + '    """New layers by the names of the slots; a slot in several places takes one of each call."""\n'
        + "\n".join(["    return {", *rows, "    }", ""])
    )


def _header(what: str, arch: Architecture, facts: Mapping[str, str]) -> str:
    heading = f"{facts.get('title', arch.id)}: {what}."
    scale, unit = (1e9, " billion") if arch.macs >= 1e9 else (1e6, " million") if arch.macs >= 1e6 else (1, "")
    macs = f"{arch.macs / scale:.2f}{unit}" if unit else f"{arch.macs:,}"
    size = f"{arch.params:,} parameters, {macs} multiply-accumulates an example"
    size += ", these of the slots alone" * isinstance(arch, Slotted)
    plain = {_plain(name)[:24]: _plain(value) for name, value in {**facts, "size": size}.items() if name != "title"}
    pad = max(map(len, plain)) + 4
    lines = [_wrapped(f"{name:{pad}}", value) for name, value in plain.items() if value.strip()]
    return "\n".join([f'"""{_wrapped("", _plain(heading))}', "", *lines, '"""', ""])


class _Writer:
    """One architecture as it becomes text: calls for its nodes, and functions for what stands in several places."""

    def __init__(self, arch: Architecture, framework: Framework):
        self.arch, self.framework = arch, framework
        self.runs = [([(part, self._layers(part)) for part in parts], times) for parts, times in _runs(arch.parts)]
        """Parts, each with its layers, that stand so many times one after the other."""
        steps = (step for parts, _ in self.runs for part, _ in parts for step in part.steps)
        self.helpers = framework.helpers or helpers(inner.node for step in steps for inner in step.walk())
        self.functions: dict[Call, Call] = {}
        """How the function is called that makes a residual branch of a block."""
        self.mixers: dict[Call, str] = {}

    def module(self, facts: Mapping[str, str], also: str = "") -> str:
        functions = self._functions()
        named = [_mixer_function(call, name, self.framework.layer) for call, name in self.mixers.items()]
        body = self._model()
        helping = used(self.helpers, "".join([body, *functions, *named]))
        parts = [*helping, *functions, *named, body, *filter(None, [also])]
        code = "".join(parts)
        main = f'\nif __name__ == "__main__":\n{self.framework.main.format(shape=(1, *self._shape))}'
        what = f"an EinMix network for {subject(self.arch)}, {outputs(self.arch)}"
        head = _header(what, self.arch, facts) + "\n" + "\n".join(self._imports(code + main)) + "\n"
        return head + "".join("\n" + part for part in [*parts, main])

    @property
    def _shape(self) -> tuple[int, ...]:
        """That of an input, channels first."""
        *axes, channels = (size for _, size in self.arch.inputs)
        return channels, *axes

    def _layers(self, part: Part) -> list[Call]:
        """The layers of a part of the network; the first part takes `b c ...`."""
        calls = _layers(part, part is self.arch.parts[0], channels_last=self.framework is not TORCH)
        return [self.framework.call(call) for call in calls]

    def _imports(self, code: str) -> Iterator[str]:
        framework = self.framework
        plain = code.replace(framework.einops, "") if framework.einops else code
        early, late = (
            [line for line, word in framework.imports if line.startswith(begin) and re.search(rf"\b{word}", plain)]
            for begin in ("import", "from")
        )
        yield from early
        if framework.einops:
            yield f"from {framework.einops} import EinMix as Mix"
            others = ", ".join(name for name in ("Rearrange", "Reduce") if f"{name}(" in code)
            yield from [f"from {framework.einops} import {others}"] * bool(others)
        yield from late

    def _functions(self) -> list[str]:
        """A function for all branches of one form."""
        groups: dict[Any, dict[Call, Step]] = {}
        for part, calls in chain.from_iterable(parts for parts, _ in self.runs):
            branches = (step for step in part.steps if isinstance(step.node, Residual) and part.role == "block")
            for call, step in zip((call for call in calls if call.name == "Residual"), branches, strict=False):
                groups.setdefault((shape(call, mixers=False), tuple(step.before), job(step)), {}).setdefault(call, step)
        texts = []
        found = list(chain.from_iterable(map(_alike, groups.values())))
        names = _names([list(group.values()) for group in found])
        for name, group in zip(names, found, strict=True):
            template = merged(list(group))
            for index, call in enumerate(group):
                self.functions[call] = template.call(name, index)
            texts.append(_function(name, template, list(group.values()), self.framework.layer))
        self._name_mixers({"model", *self.helpers, *names})
        return texts

    def _name_mixers(self, taken: set[str]) -> None:
        """Mixers that stand in several places of the model get a function of their own."""
        every = [call for parts, _ in self.runs for _, calls in parts for call in calls if call in self.functions]
        passed = [layer for call in every for layer in self.functions[call].args]
        for call in (call for call, times in Counter(passed).items() if times > 1):
            assert call.mixer
            names = (title(call.mixer) + (f"_{k}" if k > 1 else "") for k in count(1))
            self.mixers[call] = next(name for name in names if name not in taken)
            taken.add(self.mixers[call])

    def _call(self, call: Call) -> Call:
        """How a layer stands in the model: as the call of a function where it has one."""
        if call not in self.functions:
            return call
        short = self.functions[call]
        args = tuple(Call(self.mixers[arg]) if arg in self.mixers else arg for arg in short.args)
        return Call(short.name, args, short.named)

    def _model(self) -> str:
        arch = self.arch
        rows = []
        for parts, times in self.runs:
            part, _ = parts[0]
            layers = [[row for call in calls for row in self._rows(self._call(call))] for _, calls in parts]
            alone = sum(len(calls) for _, calls in parts) == 1
            inside = [row for each in layers for row in (_side_by_side(each) if part.role != "head" else each)]
            if part.role == "embed":
                rows += [f"# {embedding_words(part)}", *inside]
            elif times == 1 or part.role == "head" or not inside:
                rows += inside
            elif alone and len(inside) == 1:
                rows.append(f"*({inside[0][:-1]} for _ in range({times})),")
            else:
                loop = f"*(layer for _ in range({times}) for layer in ("
                short = f"{loop}{' '.join(inside)[: None if alone else -1]})),"  # one alone is a tuple by its comma
                plain = len(short) <= WIDTH - 8 and not any(row.startswith("#") for row in inside)
                rows += [short] if plain else [loop, *("    " + row for row in inside), ")),"]
        after = arch.parts[-1].after
        head = Call("Reduce", (f"{layout(after)} -> b c", "mean")), Call("nn.Linear", (after["c"], arch.classes))
        rows += [f"{text(self.framework.call(call))}," for call in head]
        shape = " x ".join(map(str, self._shape))
        inputs = layout(dict(arch.inputs), first=True)
        start, end = (each.format(shape=self._shape) for each in self.framework.sequence)
        return (
            f"\ndef model() -> {self.framework.layer}:\n"
            f'    """`{inputs}` inputs ({shape}) -> `b k`: {outputs(arch)}."""\n'
            f"    return {start}\n" + textwrap.indent("\n".join(rows), " " * 8) + f"\n    {end}\n"
        )

    def _rows(self, call: Call) -> list[str]:
        """The lines of a layer, ended by a comma, after a comment that says what its mixers do."""
        only = call.args[0] if len(call.args) == 1 else None
        mixer = only.mixer if isinstance(only, Call) else None
        comments = textwrap.wrap(f"# {describe(mixer)}", ROOM, subsequent_indent="# ") if mixer else []
        found = lines(call, WIDTH - 13)
        if comments and any(row.strip() == comments[0] for row in found):
            comments = []  # it stands among the arguments
        return [*comments, *found[:-1], found[-1] + ","]


def _side_by_side(rows: list[str]) -> list[str]:
    """The layers of a block on one line, where each needs only one and they fit."""
    line = " ".join(rows)
    one = all(row.endswith("),") and not row.startswith(("#", " ")) and "(" in row for row in rows)
    return [line] if rows and one and len(line) <= WIDTH - 12 else rows


def _alike(group: dict[Call, Step]) -> list[dict[Call, Step]]:
    """A group, cut by the patterns of its mixers where a function for all of it would take several layers."""
    if len(merged(list(group)).mixers) < 2:
        return [group]
    cut: dict[Any, dict[Call, Step]] = {}
    for call, step in group.items():
        cut.setdefault(shape(call), {})[call] = step
    return list(cut.values())


PERIOD = 4
"""So many blocks are looked at together for a pattern that repeats."""


def _runs(parts: Sequence[Part]) -> Iterator[tuple[Sequence[Part], int]]:
    """Parts in groups of as few as repeat themselves most, with the number of times that they do."""
    while parts:
        times = {period: _times(parts, period) for period in range(1, PERIOD + 1)}
        period = max(times, key=lambda period: period * times[period] * (times[period] > 1) - period)
        yield parts[:period], times[period]
        parts = parts[period * times[period] :]


def _times(parts: Sequence[Part], period: int) -> int:
    """How often the first parts, so many of them, stand one after the other."""
    starts = range(0, len(parts), period)
    return next((k for k, at in enumerate(starts) if parts[at : at + period] != parts[:period]), len(starts))


def _layers(part: Part, first: bool, *, channels_last: bool = False) -> list[Call]:
    """The layers of a part of the network; the first part takes `b c ...`."""
    return from_channels_first(part.steps, part.before, channels_last=channels_last) if first else emit(part.steps)


def _names(groups: list[list[Step]]) -> list[str]:
    """A name for the function of each group of branches: by what they do, then by their axes, then numbered."""
    plain = [job(steps[0]).name for steps in groups]
    stems = [_along(stem, steps) if plain.count(stem) > 1 else stem for stem, steps in zip(plain, groups, strict=True)]
    numbers = [stems[: i + 1].count(stem) for i, stem in enumerate(stems)]
    return [stem if number == 1 else f"{stem}_{number}" for stem, number in zip(stems, numbers, strict=True)]


def _along(stem: str, steps: list[Step]) -> str:
    """The name with the axes that all these branches move something along, where these are some of several."""
    (positions, *others) = ([axis for axis in step.before if axis in step.touched - {"c"}] for step in steps)
    some = 0 < len(positions) < len(steps[0].before) - 1 and all(other == positions for other in others)
    return "_".join([stem, *positions]) if some and set(positions) <= set(NAMES) else stem


def _function(name: str, template: Template, steps: list[Step], layer: str) -> str:
    """A function that makes a branch; `steps` are all those that it makes, `layer` is what a layer is called."""
    arguments = [f"{p}: {layer if p in template.mixers else 'int'}" for p in template.parameters]
    axes = {axis: str(n) if axis == "c" else axis for axis, n in steps[0].before.items()}
    if any(step.before["c"] != steps[0].before["c"] for step in steps):
        axes["c"] = "c"
    shape = " ".join(["b", *axes.values()])
    body = lines(template.body, WIDTH - 4, lead=len("return "))
    return (
        f"\ndef {name}({', '.join(arguments)}) -> {layer}:\n"
        f'    """{job(steps[0]).words}: `{shape} -> {shape}`."""\n'
        + textwrap.indent("\n".join([f"return {body[0]}", *body[1:]]), "    ")
        + "\n"
    )


def _mixer_function(call: Call, name: str, layer: str) -> str:
    assert call.mixer
    words = describe(call.mixer)
    if words.partition(" ")[0] not in call.mixer.inputs:  # the name of an axis stays as it is
        words = words[0].upper() + words[1:]
    docstring = textwrap.fill(f'"""{words}."""', ROOM)
    body = "\n".join(lines(call, WIDTH - 4, lead=len("return ")))
    return f"\ndef {name}() -> {layer}:\n" + textwrap.indent(f"{docstring}\nreturn {body}", "    ") + "\n"


def _wrapped(name: str, text: str) -> str:
    return textwrap.fill(
        text, WIDTH - 3, initial_indent=name, subsequent_indent=" " * len(name), break_on_hyphens=False
    )


def _plain(text: str) -> str:
    """Text that cannot end or escape the docstring that it stands in."""
    return "".join(c if c.isprintable() else " " for c in text).replace("\\", "/").replace('"""', "'''").rstrip('"')
