"""Architectures as data: frozen values with a JSON form, whose hash is their name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from einmix.errors import PatternError
from einmix.mixer import MAX_SIZE, Mixer, check_axis, written
from einmix.order import redundant

if TYPE_CHECKING:
    from einmix.reach import Reach

Sizes = dict[str, int]
MAX_BLOCKS = 1024


@dataclass(frozen=True)
class Mix:
    """A mixer, as one EinMix layer."""

    mixer: Mixer
    kind: ClassVar[str] = "mix"

    def through(self, sizes: Sizes) -> Sizes:
        return self.mixer.fit(sizes).outputs

    def cost(self, sizes: Sizes) -> tuple[int, int]:
        return self.mixer.params, self.mixer.macs


@dataclass(frozen=True)
class Linear:
    """All channels to `out` channels, alike at every position: `nn.Linear`, with its initialisation."""

    out: int
    kind: ClassVar[str] = "linear"

    def through(self, sizes: Sizes) -> Sizes:
        return sizes | {"c": _whole(self.out, "out", MAX_SIZE)}

    def cost(self, sizes: Sizes) -> tuple[int, int]:
        return (sizes["c"] + 1) * self.out, prod(sizes.values()) * self.out

    def as_mixer(self, sizes: Sizes) -> Mixer:
        """The mixer that it is, for the algebra."""
        terms = [f"{name}=" + (f"m{size}:{self.out}" if name == "c" else f"s{size}") for name, size in sizes.items()]
        return Mixer.parse(" ".join(terms) + " +b")


@dataclass(frozen=True)
class Norm:
    """LayerNorm over the channels."""

    kind: ClassVar[str] = "norm"

    def through(self, sizes: Sizes) -> Sizes:
        return sizes

    def cost(self, sizes: Sizes) -> tuple[int, int]:
        return 2 * sizes["c"], 0


@dataclass(frozen=True)
class Activation:
    """GELU at every element."""

    kind: ClassVar[str] = "gelu"

    def through(self, sizes: Sizes) -> Sizes:
        return sizes

    def cost(self, sizes: Sizes) -> tuple[int, int]:
        return 0, 0


Node = Mix | Linear | Norm | Activation
Branch = tuple[Node, ...]
"""What stands in one residual: `x + branch(x)`."""
Block = tuple[Branch, ...]


@dataclass(frozen=True)
class Stage:
    """A mixer that cuts its input into patches and embeds them, then residual blocks at those sizes."""

    embed: Mixer
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Architecture:
    """A network from named axes (channels last, as `c`) to class scores: stages, then norm, mean and a linear head.

    Raises PatternError where sizes do not meet.
    """

    inputs: tuple[tuple[str, int], ...]
    stages: tuple[Stage, ...]
    classes: int

    def __post_init__(self) -> None:
        names = [name for name, _ in self.inputs]
        if len(set(names)) != len(names) or names[-1:] != ["c"] or not 2 <= len(names) <= 5:
            raise PatternError(f"inputs are 1 to 4 axes and c, each once, not {' '.join(names)!r}")
        for name, size in self.inputs:
            check_axis(name, name, (0, len(name)))
            _whole(size, name, MAX_SIZE)
        _whole(self.classes, "classes", MAX_SIZE)
        if not self.stages or sum(len(stage.blocks) for stage in self.stages) > MAX_BLOCKS:
            raise PatternError(f"an architecture has at least one stage, and at most {MAX_BLOCKS} blocks")
        for node, before, after in self._walk():
            if node is None and before != after:
                ends = f"starts with {written(before)} and ends with {written(after)}"
                raise PatternError(f"a residual branch {ends}: they must be equal")

    @classmethod
    def from_json(cls, data: str | dict[str, Any]) -> Architecture:
        """Read what `to_json` wrote (or the value in it). Raises PatternError for everything else."""
        try:
            value = json.loads(data) if isinstance(data, str) else data
            return cls(
                inputs=tuple((str(name), size) for name, size in value["inputs"].items()),
                stages=tuple(
                    Stage(
                        Mixer.parse(stage["embed"]),
                        tuple(tuple(tuple(map(_read_node, branch)) for branch in block) for block in stage["blocks"]),
                    )
                    for stage in value["stages"]
                ),
                classes=value["classes"],
            )
        except PatternError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise PatternError(f"this is no architecture: {type(error).__name__}: {str(error)[:200]}") from None

    def to_json(self) -> str:
        """The canonical JSON text; `from_json` reads it back."""
        return json.dumps(
            {
                "inputs": dict(self.inputs),
                "stages": [
                    {
                        "embed": str(stage.embed),
                        "blocks": [[[_write_node(node) for node in branch] for branch in b] for b in stage.blocks],
                    }
                    for stage in self.stages
                ],
                "classes": self.classes,
            },
            separators=(",", ":"),
        )

    @cached_property
    def id(self) -> str:
        """Ten hexadecimal digits of the SHA-256 of the JSON text: one network has one id in every space."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:10]

    @cached_property
    def params(self) -> int:
        """Trainable numbers, head included."""
        return self._cost[0]

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of all linear layers for one image; norms and activations are not counted."""
        return self._cost[1]

    @cached_property
    def _cost(self) -> tuple[int, int]:
        width = self.stages[-1].embed.outputs["c"]
        params, macs = 2 * width + (width + 1) * self.classes, width * self.classes
        for node, sizes, _ in self._walk():
            if node is not None:
                more = node.cost(sizes)
                params, macs = params + more[0], macs + more[1]
        return params, macs

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """The mixers of the blocks, in order; embeddings and channel MLPs are not among them."""
        return tuple(node.mixer for node, _, _ in self._walk(embeddings=False) if isinstance(node, Mix))

    def untouched(self) -> tuple[str, ...]:
        """The spatial axes along which no mixer of a block mixes anything."""
        touched = frozenset[str]().union(*(mixer.mixed for mixer in self.mixers))
        sizes = self.stages[-1].embed.outputs
        return tuple(name for name, _ in self.inputs[:-1] if name not in touched and sizes[name] > 1)

    def redundancies(self) -> tuple[str, ...]:
        """Linear layers that add no map to a linear neighbour, in words; the same maps are not the same training."""
        found = []
        steps = list(self._walk(embeddings=False))  # an embedding feeds the first branch and the sum beside it
        for (first, at_first, _), (second, at_second, _) in pairwise(steps):
            a, b = _linear(first, at_first), _linear(second, at_second)
            if a and b:
                if redundant(a, b, a_first=True):
                    found.append(f"{a} is redundant before {b}")
                elif redundant(b, a, a_first=False):
                    found.append(f"{b} is redundant after {a}")
        return tuple(found)

    def reach(self) -> Reach:
        """Which inputs reach which positions and channels before the final pooling."""
        from einmix.reach import Reach

        def of_node(node: Node, sizes: Sizes) -> Reach:
            linear = _linear(node, sizes)
            return linear.reach() if linear else Reach.full(sizes, *(["c"] if isinstance(node, Norm) else []))

        total: Reach | None = None
        for stage, start in self._stages():
            after = stage.embed.outputs
            reaches = [of_node(Mix(stage.embed), start)]
            for block in stage.blocks:
                for branch in block:
                    steps, sizes = [Reach.full(after)], after
                    for node in branch:
                        steps.append(of_node(node, sizes))
                        sizes = node.through(sizes)
                    reaches.append(Reach.full(after) | reduce(Reach.then, steps))
            part = reduce(Reach.then, reaches)
            total = part if total is None else total.then(part)
        assert total is not None
        return total

    def _stages(self) -> Iterator[tuple[Stage, Sizes]]:
        sizes = dict(self.inputs)
        for stage in self.stages:
            yield stage, sizes
            sizes = stage.embed.fit(sizes).outputs

    def _walk(self, *, embeddings: bool = True) -> Iterator[tuple[Node | None, Sizes, Sizes]]:
        """Every node with the sizes before and after it; None stands for the sum that ends a residual branch."""
        for stage, start in self._stages():
            after = stage.embed.fit(start).outputs
            if embeddings:
                yield Mix(stage.embed), start, after
            for block in stage.blocks:
                for branch in block:
                    sizes = after
                    for node in branch:
                        before, sizes = sizes, node.through(sizes)
                        yield node, before, sizes
                    yield None, after, sizes


def _linear(node: Node | None, sizes: Sizes) -> Mixer | None:
    if isinstance(node, Linear):
        return node.as_mixer(sizes)
    return node.mixer if isinstance(node, Mix) else None


def _write_node(node: Node) -> str:
    """A node in one word, or two: its kind and its argument."""
    if isinstance(node, Mix):
        return f"mix {node.mixer}"
    return f"linear {node.out}" if isinstance(node, Linear) else node.kind


def _read_node(text: str) -> Node:
    kind, _, argument = text.partition(" ")
    if kind == Mix.kind:
        return Mix(Mixer.parse(argument))
    if kind == Linear.kind and argument.isascii() and argument.isdigit():
        return Linear(int(argument[:10]))
    if text in (Norm.kind, Activation.kind):
        return Norm() if text == Norm.kind else Activation()
    raise PatternError(f"{text[:80]!r} is no node", hint="known: mix MIXER, linear OUT, norm, gelu")


def _whole(value: Any, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise PatternError(f"{name} cannot be {value!r}", hint=f"an integer from 1 to {most}")
    return value
