"""How networks of a space are put together from what their blocks hold, and taken apart again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from einmix import Architecture, Block, FactorSet, Mixer, Stage
from einmix.kinds import Mix, Norm, Residual
from search_spaces.blocks.filled import FilledForms
from search_spaces.blocks.fillings import Filled
from search_spaces.blocks.mixers import Mixers
from search_spaces.blocks.parts import Patch, patches, sides
from search_spaces.blocks.place import Place
from search_spaces.bound.networks import Alphabet, Letter, Networks, Skeleton
from search_spaces.space import Space


class Assembly:
    """A declared space on inputs of one shape.

    In most spaces the letter of a block is its one mixer, and the block is that and an MLP over channels, each with
    a norm and a residual. In a space of forms it is the whole block.
    """

    def __init__(self, space: Space, shape: Mapping[str, int], channels: int, classes: int):
        self.space, self.shape, self.channels, self.classes = space, dict(shape), channels, classes
        self._sets = {axis: FactorSet(*(f.pattern(axis) for f in space.families)) for axis in (*shape, "c")}
        self._known: dict[object, Alphabet] = {}

    def possible(self, skeleton: Skeleton) -> bool:
        """Whether patches, and the patches that later stages merge, divide the axes, and every stage has a block."""
        each, last = sides(self.shape, skeleton.patch), 2 ** (skeleton.stages - 1)
        return skeleton.depth >= skeleton.stages and all(n % (each[axis] * last) == 0 for axis, n in self.shape.items())

    def grid(self, skeleton: Skeleton, stage: int = 0) -> dict[str, int]:
        """Positions, then channels, in a stage: each has half as many positions an axis and twice the channels."""
        each = sides(self.shape, skeleton.patch)
        positions = {axis: n // (each[axis] * 2**stage) for axis, n in self.shape.items()}
        return positions | {"c": skeleton.width * 2**stage}

    def stages(self, skeleton: Skeleton) -> list[int]:
        """How many blocks each stage has: alike, the last ones more."""
        share, more = divmod(skeleton.depth, skeleton.stages)
        return [share + (stage >= skeleton.stages - more) for stage in range(skeleton.stages)]

    def networks(self, skeleton: Skeleton) -> Networks:
        """All networks of these sizes."""
        alphabets = [self._alphabet(skeleton, s) for s, depth in enumerate(self.stages(skeleton)) for _ in range(depth)]
        axes = frozenset(axis for axis, n in self.grid(skeleton).items() if axis != "c" and n > 1)
        if self.space.forms:
            without = self._network(skeleton, [()] * skeleton.depth)
            return Networks(skeleton, alphabets, axes, (without.params, without.macs))
        without = self.assemble(skeleton, [])
        base = without.params + 2 * skeleton.width * skeleton.depth, without.macs  # every mixer has a norm before it
        return Networks(skeleton, alphabets, axes, base)

    def _alphabet(self, skeleton: Skeleton, stage: int) -> Alphabet:
        place, grid = self.place(skeleton, stage), self.grid(skeleton, stage)
        key = place if self.space.forms else tuple(grid.values())
        if key not in self._known:
            names = [family.name for family in self.space.families]
            self._known[key] = (
                FilledForms(place, self.space.forms)
                if self.space.forms
                else Mixers(grid, self._sets, names, bias=self.space.bias)
            )
        return self._known[key]

    def place(self, skeleton: Skeleton, stage: int) -> Place:
        """Where a block of a stage stands."""
        *positions, (_, width) = self.grid(skeleton, stage).items()
        return Place(tuple(positions), width, skeleton.ratio, skeleton.norm, skeleton.scale)

    def assemble(self, skeleton: Skeleton, letters: Sequence[Letter]) -> Architecture:
        """The network of these letters; without any its blocks have their channel MLP alone."""
        places = [self.place(skeleton, s) for s, depth in enumerate(self.stages(skeleton)) for _ in range(depth)]
        if not letters:
            return self._network(skeleton, [(place.channels,) for place in places])
        if self.space.forms:
            return self._network(skeleton, [c.block(place) for c, place in zip(letters, places, strict=True)])
        return self._network(skeleton, [(Residual((Norm(), Mix(each))), places[0].channels) for each in letters])

    def _network(self, skeleton: Skeleton, blocks: Sequence[Block]) -> Architecture:
        stages, rest = [], list(blocks)
        shape, channels = self.shape, self.channels
        for stage in range(skeleton.stages):
            patch: Patch = 2 if stage else skeleton.patch
            depth = self.stages(skeleton)[stage] if skeleton.stages > 1 else len(rest)
            embed = patches(shape, patch, channels, skeleton.width * 2**stage)
            stages.append(Stage((embed,), tuple(rest[:depth])))
            *positions, (_, channels) = self.grid(skeleton, stage).items()
            shape, rest = dict(positions), rest[depth:]
        head = self.place(skeleton, skeleton.stages - 1).before
        return Architecture((*self.shape.items(), ("c", self.channels)), tuple(stages), self.classes, head)

    def uniform(self, skeleton: Skeleton, term: Callable[[int], str] | None) -> Architecture:
        """All blocks alike: one mixer, shared by the channels, of this factorisation of every axis; or none."""
        letters: list[Letter] = []
        for stage, depth in enumerate(self.stages(skeleton)):
            if term is None:
                break
            grid = self.grid(skeleton, stage)
            terms = [f"{axis}={term(n) if axis != 'c' else f's{n}'}" for axis, n in grid.items()]
            mixer = Mixer.parse(" ".join(terms) + " +b" * self.space.bias)
            letters += [Filled("linear", False, (mixer,)) if self.space.forms else mixer] * depth
        return self.assemble(skeleton, letters)

    def read(self, arch: Architecture, skeletons: Iterable[Skeleton]) -> tuple[Skeleton, Sequence[Letter]] | None:
        """The sizes and letters of an architecture that `assemble` made; None for any other."""
        if tuple(self.shape.items()) != arch.inputs[:-1]:
            return None
        sizes = arch.grids[0], sum(len(stage.blocks) for stage in arch.stages), len(arch.stages)
        for skeleton in skeletons:
            if (self.grid(skeleton), skeleton.depth, skeleton.stages) == sizes:
                letters = self._letters(arch, skeleton)
                if letters is not None and self.assemble(skeleton, letters) == arch:
                    return skeleton, letters
        return None

    def _letters(self, arch: Architecture, skeleton: Skeleton) -> Sequence[Letter] | None:
        if arch.head != self.place(skeleton, skeleton.stages - 1).before:
            return None
        if not self.space.forms:
            mixers = arch.mixers
            fits = all(mixer.inputs == mixer.outputs == self.grid(skeleton) for mixer in mixers)
            return mixers if fits and len(mixers) in (0, skeleton.depth) else None
        if [len(stage.blocks) for stage in arch.stages] != self.stages(skeleton):
            return None
        found = []
        for number, stage in enumerate(arch.stages):
            alphabet = self._alphabet(skeleton, number)
            assert isinstance(alphabet, FilledForms)
            found += [alphabet.read(block) for block in stage.blocks]
        channels = all(
            block == (self.place(skeleton, number).channels,)
            for number, stage in enumerate(arch.stages)
            for block in stage.blocks
        )
        return [] if channels else None if None in found else found
