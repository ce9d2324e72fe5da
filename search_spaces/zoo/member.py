"""What a network of the literature is here: a function from inputs and sizes to an architecture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from einmix import Architecture, Node, Stage
from einmix.networks.architecture import HEAD
from search_spaces.blocks.parts import Inputs, patches
from search_spaces.blocks.patch import Patch

PerStage = int | tuple[int, ...]
"""One number, or one for each stage of a pyramid."""

IMAGENET = Inputs({"h": 224, "w": 224}, 3, 1000)


@dataclass(frozen=True)
class Names:
    """What timm calls the layers of a network, by our names of them: those of one stage of `depth` blocks.

    Our names begin with the place of a layer: in the stem, in a block of so many `layers`, and after the blocks. Theirs
    begin, in a block, with `blocks.` and its number. Single tensors of a layer can have names of their own.
    """

    stem: Mapping[str, str]
    block: Mapping[str, str]
    head: Mapping[str, str]
    layers: int

    def table(self, depth: int) -> dict[str, str]:
        """Of a network with so many blocks, all names of theirs by all of ours.

        >>> Names({"0": "stem"}, {"0.f.1": "fc1"}, {"1": "head"}, layers=2).table(depth=2)
        {'0': 'stem', '1.f.1': 'blocks.0.fc1', '3.f.1': 'blocks.1.fc1', '6': 'head'}
        """
        start = 1 + max(int(ours.partition(".")[0]) for ours in self.stem)
        blocks = {
            _placed(ours, start + self.layers * k): f"blocks.{k}.{theirs}"
            for k in range(depth)
            for ours, theirs in self.block.items()
        }
        head = {_placed(ours, start + self.layers * depth): theirs for ours, theirs in self.head.items()}
        return {**self.stem, **blocks, **head}


def _placed(name: str, start: int) -> str:
    first, *rest = name.split(".")
    return ".".join([str(start + int(first)), *rest])


@dataclass(frozen=True)
class Member:
    """A family of networks of the literature.

    `make(inputs, patch=…, width=…, depth=…)` gives one at any size (width and depth: a number, or one for each stage);
    `variants` are the arguments of the published sizes, at 224 x 224. Widths are multiples of `step`. `timm` says what
    timm calls its layers, where it has this network.

    >>> from search_spaces.zoo import ZOO
    >>> ZOO["mixer"].published("s/16").params
    18528264
    """

    name: str
    summary: str
    source: str
    make: Callable[..., Architecture]
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    step: int = 2
    timm: Names | None = None

    def at(self, inputs: Inputs, *, patch: int | Sequence[int], width: int, depth: int) -> Architecture:
        """One stage of this size, its patch a number or one for each axis.

        Raises SpaceError or PatternError where the inputs or sizes do not fit.
        """
        return self.make(inputs, patch=patch, width=width, depth=depth)

    def published(self, variant: str) -> Architecture:
        """One of the published sizes."""
        return self.make(IMAGENET, **self.variants[variant])


def stem(inputs: Inputs, patch: Patch, width: int, *after: Node) -> tuple[Node, ...]:
    """What embeds the inputs of a network: patches, then what else there is."""
    return (patches(inputs.shape, patch, inputs.channels, width), *after)


def network(inputs: Inputs, *found: Stage, head: tuple[Node, ...] = HEAD) -> Architecture:
    """A network of these stages."""
    return Architecture((*inputs.shape.items(), ("c", inputs.channels)), found, inputs.classes, head)
