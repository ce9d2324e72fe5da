"""Architectures as data: frozen values with a JSON form, whose hash is their name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from einmix.algebra.factors import check_axis
from einmix.algebra.mixer import Mixer, redundant
from einmix.algebra.reach import Reach
from einmix.errors import PatternError, shown
from einmix.kinds import Mix, Norm
from einmix.networks.notation import from_value, to_value
from einmix.nodes.fields import whole
from einmix.nodes.node import Sequence, Sizes, Step, reach_of, steps

Block = Sequence
"""What repeats in a stage: residual branches (`x + branch(x)`) mostly, and nodes that stand alone."""

MAX_BLOCKS = 1024

SLOT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""What a slot may be called: its name stands in module texts."""

HEAD: Sequence = (Norm(),)


@dataclass(frozen=True)
class Stage:
    """What embeds its input (a mixer that cuts it into patches, mostly), then blocks at the sizes that this gives."""

    embed: Sequence
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Architecture:
    """A network from named axes (channels last, as `c`) to class scores: stages, head, mean and a linear classifier.

    Raises PatternError where sizes do not meet.
    """

    inputs: tuple[tuple[str, int], ...]
    stages: tuple[Stage, ...]
    classes: int
    head: Sequence = HEAD

    def __post_init__(self) -> None:
        names = [name for name, _ in self.inputs]
        if len(set(names)) != len(names) or names[-1:] != ["c"] or not 2 <= len(names) <= 5:
            raise PatternError(f"inputs are 1 to 4 axes and c, each once, not {' '.join(names)!r}")
        for name, size in self.inputs:
            check_axis(name, name, (0, len(name)))
            whole(size, name)
        whole(self.classes, "classes")
        if not self.stages or sum(len(stage.blocks) for stage in self.stages) > MAX_BLOCKS:
            raise PatternError(f"an architecture has at least one stage, and at most {MAX_BLOCKS} blocks")
        self.parts  # noqa: B018 - sizes are checked on the way

    @classmethod
    def from_json(cls, data: str | dict[str, Any]) -> Architecture:
        """Read what `to_json` wrote (or the value in it). Raises PatternError for everything else."""
        try:
            value = json.loads(data) if isinstance(data, str) else data
            if "slots" in value:
                return Slotted.of({name: Filled(**slot) for name, slot in value["slots"].items()}, value["rest"])
            return cls(
                inputs=tuple((str(name), size) for name, size in value["inputs"].items()),
                stages=tuple(
                    Stage(_embedding(stage["embed"]), tuple(tuple(map(from_value, b)) for b in stage["blocks"]))
                    for stage in value["stages"]
                ),
                classes=value["classes"],
                head=tuple(map(from_value, value["head"])) if "head" in value else HEAD,
            )
        except PatternError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise PatternError(f"this is no architecture: {type(error).__name__}: {str(error)[:200]}") from None

    def to_json(self) -> str:
        """The canonical JSON text; `from_json` reads it back. A plain mixer that embeds is its text, without `mix`."""
        value = {
            "inputs": dict(self.inputs),
            "stages": [
                {
                    "embed": _embedding_value(stage.embed),
                    "blocks": [list(map(to_value, block)) for block in stage.blocks],
                }
                for stage in self.stages
            ],
            "classes": self.classes,
        }
        return json.dumps(
            value | ({} if self.head == HEAD else {"head": list(map(to_value, self.head))}), separators=(",", ":")
        )

    @cached_property
    def id(self) -> str:
        """Ten hexadecimal digits of the SHA-256 of the JSON text: one network has one id in every space."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:10]

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Embeddings, blocks and head in their order, with the sizes that their nodes meet."""
        sizes, found = dict(self.inputs), []

        def part(role: str, stage: int, sequence: Sequence) -> Sizes:
            found.append(Part(role, stage, sizes, _steps(tuple(sequence), tuple(sizes.items()))))
            return found[-1].after

        for number, stage in enumerate(self.stages):
            sizes = part("embed", number, stage.embed)
            known: dict[Block, Part] = {}
            for block in stage.blocks:
                if block in known:
                    found.append(known[block])
                    continue
                after = part("block", number, block)
                if after != sizes:
                    words = f"takes {sizes} and gives {after}"
                    raise PatternError(f"a block {words}: what changes sizes stands in the embedding of a stage")
                known[block] = found[-1]
        part("head", len(self.stages) - 1, self.head)
        return tuple(found)

    @property
    def params(self) -> int:
        """Trainable numbers, classifier included."""
        return self._cost[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all linear layers for one image; norms and activations are not counted."""
        return self._cost[1]

    @cached_property
    def _cost(self) -> tuple[int, int]:
        width = self.parts[-1].after["c"]
        costs = [step.cost for part in self.parts for step in part.steps]
        return sum(p for p, _ in costs) + (width + 1) * self.classes, sum(m for _, m in costs) + width * self.classes

    @property
    def fan_ins(self) -> tuple[int, ...]:
        """Of each trainable tensor of the built module how many inputs a sum with it has: 1 of biases and scales."""
        inner = [fan_in for part in self.parts for step in part.steps for fan_in in step.fan_ins]
        return (*inner, self.parts[-1].after["c"], 1)

    @property
    def grids(self) -> tuple[Sizes, ...]:
        """The sizes at which each stage's blocks stand."""
        return tuple(part.after for part in self.parts if part.role == "embed")

    @property
    def blocks(self) -> tuple[tuple[Step, ...], ...]:
        """The nodes of its blocks where they stand, in order."""
        return tuple(part.steps for part in self.parts if part.role == "block")

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """The mixers of the blocks, in order; embeddings and channel MLPs are not among them."""
        leaves = (leaf.node for block in self.blocks for step in block for leaf in step.leaves())
        return tuple(node.mixer for node in leaves if isinstance(node, Mix))

    def untouched(self) -> tuple[str, ...]:
        """The spatial axes along which nothing in a block moves anything."""
        touched = frozenset[str]().union(*(step.touched for block in self.blocks for step in block))
        sizes = self.grids[-1]
        return tuple(name for name, _ in self.inputs[:-1] if name not in touched and sizes[name] > 1)

    def redundancies(self) -> tuple[str, ...]:
        """Linear layers that add no map to a linear neighbour, in words; the same maps are not the same training.

        Neighbours stand one after the other in one branch, so that nobody else consumes what is between them.
        """
        found = []
        for first, second in (pair for part in self.parts if part.role != "embed" for pair in _neighbours(part.steps)):
            a, b = (step.node.as_mixer(step.before) for step in (first, second))
            if a and b:
                if redundant(a, b, a_first=True):
                    found.append(f"{a} is redundant before {b}")
                elif redundant(b, a, a_first=False):
                    found.append(f"{b} is redundant after {a}")
        return tuple(found)

    def reach(self) -> Reach:
        """Which inputs reach which positions and channels before the final pooling."""
        inner = (step for part in self.parts if part.role != "head" for step in part.steps)
        return reach_of(inner, dict(self.inputs))


@dataclass(frozen=True)
class Filled:
    """What fills a slot of somebody's own model: a mixer by its text, in which order it takes its axes, how often.

    A slot that stands in several places has weights of its own in each of these `times`.
    """

    mixer: str
    order: str
    times: int = 1


@dataclass(frozen=True)
class Slotted(Architecture):
    """The mixers in the slots of somebody's own model (`einmix.slots`), by name: all of it that a search looks for.

    To what counts blocks, a slot is one, at sizes of its own. `rest` is how many parameters the model has beside them;
    multiply-accumulates are those of the slots alone, as nothing else of the model is known.
    """

    slots: tuple[tuple[str, Filled], ...] = ()
    rest: int = 0

    @classmethod
    def of(cls, slots: Mapping[str, Filled], rest: int) -> Slotted:
        """Raises PatternError for no slots, and for what is no mixer or no order of its axes."""
        if not slots or type(rest) is not int or rest < 0:
            raise PatternError(f"a model has slots and a number of other parameters, not {len(slots)} and {rest!r}")
        mixers = {name: Mixer.parse(each.mixer) for name, each in slots.items()}
        for name, each in slots.items():
            if not isinstance(name, str) or not SLOT.fullmatch(name):
                raise PatternError(f"{shown(name)} cannot name a slot", hint="up to 64 letters, digits and underscores")
            whole(each.times, "times")
            mixers[name].einmix(each.order)
            if mixers[name].inputs != mixers[name].outputs:
                raise PatternError(f"slot {name} keeps its sizes, {each.mixer!r} does not")
        first = next(iter(mixers.values()))
        stages = tuple(Stage((), ((Mix(mixer),),)) for mixer in mixers.values())
        return cls(tuple(first.inputs.items()), stages, 1, slots=tuple(slots.items()), rest=rest)

    @property
    def filled(self) -> dict[str, Filled]:
        """What fills each slot, by its name."""
        return dict(self.slots)

    @property
    def params_in(self) -> dict[str, int]:
        """The parameters of each slot in all of its places, by its name."""
        return {name: each.times * Mixer.parse(each.mixer).params for name, each in self.slots}

    def to_json(self) -> str:
        slots = {name: asdict(each) for name, each in self.slots}
        return json.dumps({"slots": slots, "rest": self.rest}, separators=(",", ":"))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        found, sizes = [], dict(self.inputs)
        for number, (_, each) in enumerate(self.slots):
            mixer = Mixer.parse(each.mixer)
            sizes = mixer.inputs
            found += [Part("embed", number, sizes, ()), Part("block", number, sizes, steps((Mix(mixer),), sizes))]
        return (*found, Part("head", len(self.slots) - 1, sizes, ()))

    @cached_property
    def _cost(self) -> tuple[int, int]:
        macs = sum(each.times * Mixer.parse(each.mixer).macs for _, each in self.slots)
        return self.rest + sum(self.params_in.values()), macs


@dataclass(frozen=True)
class Part:
    """An embedding, a block or the head where it stands."""

    role: str
    stage: int
    before: Sizes
    steps: tuple[Step, ...]

    @property
    def after(self) -> Sizes:
        return self.steps[-1].after if self.steps else self.before


@lru_cache(maxsize=4096)  # networks are made by the million, of few blocks
def _steps(sequence: Sequence, sizes: tuple[tuple[str, int], ...]) -> tuple[Step, ...]:
    return steps(sequence, dict(sizes))


def _embedding_value(embed: Sequence) -> Any:
    value = list(map(to_value, embed))
    first = embed[0] if len(embed) == 1 else None
    return str(first.mixer) if isinstance(first, Mix) and value == [f"mix {first.mixer}"] else value


def _embedding(value: Any) -> Sequence:
    return tuple(map(from_value, value)) if isinstance(value, list) else (Mix(Mixer.parse(value)),)


def _neighbours(found: tuple[Step, ...]) -> Iterator[tuple[Step, Step]]:
    """Every pair of steps of which the second alone consumes the first."""
    yield from pairwise(found)
    for step in found:
        for branch in step.branches:
            yield from _neighbours(branch)
