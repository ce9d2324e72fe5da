"""How networks of a space are put together from what their blocks hold, and taken apart again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from einmix import Architecture, Block, FactorSet, Mix, Mixer, Norm, Residual, Stage
from search_spaces.blocks.filled import Blocks
from search_spaces.blocks.fillings import Choice
from search_spaces.blocks.mixers import Mixers
from search_spaces.blocks.parts import Patch, patches, sides
from search_spaces.blocks.place import Place
from search_spaces.bound.networks import Alphabet, Letter, Macro, Networks
from search_spaces.space import Space


class Grammar:
    """A declared space on inputs of one shape.

    In most spaces the letter of a block is its one mixer, and the block is that and an MLP over channels, each with
    a norm and a residual. In a space of forms it is the whole block.
    """

    def __init__(self, space: Space, shape: Mapping[str, int], channels: int, classes: int):
        self.space, self.shape, self.channels, self.classes = space, dict(shape), channels, classes
        self._sets = {axis: FactorSet(*(f.pattern(axis) for f in space.families)) for axis in (*shape, "c")}
        self._known: dict[object, Alphabet] = {}

    def possible(self, macro: Macro) -> bool:
        """Whether patches, and the patches that later stages merge, divide the axes, and every stage has a block."""
        each, last = sides(self.shape, macro.patch), 2 ** (macro.stages - 1)
        return macro.depth >= macro.stages and all(n % (each[axis] * last) == 0 for axis, n in self.shape.items())

    def grid(self, macro: Macro, stage: int = 0) -> dict[str, int]:
        """Positions, then channels, in a stage: each has half as many positions an axis and twice the channels."""
        each = sides(self.shape, macro.patch)
        positions = {axis: n // (each[axis] * 2**stage) for axis, n in self.shape.items()}
        return positions | {"c": macro.width * 2**stage}

    def stages(self, macro: Macro) -> list[int]:
        """How many blocks each stage has: alike, the last ones more."""
        share, more = divmod(macro.depth, macro.stages)
        return [share + (stage >= macro.stages - more) for stage in range(macro.stages)]

    def networks(self, macro: Macro) -> Networks:
        """All networks of these sizes."""
        alphabets = [self._alphabet(macro, s) for s, depth in enumerate(self.stages(macro)) for _ in range(depth)]
        axes = frozenset(axis for axis, n in self.grid(macro).items() if axis != "c" and n > 1)
        if self.space.forms:
            without = self._network(macro, [()] * macro.depth)
            return Networks(macro, alphabets, axes, (without.params, without.macs))
        without = self.assemble(macro, [])
        base = without.params + 2 * macro.width * macro.depth, without.macs  # every mixer has a norm before it
        return Networks(macro, alphabets, axes, base)

    def _alphabet(self, macro: Macro, stage: int) -> Alphabet:
        place, grid = self.place(macro, stage), self.grid(macro, stage)
        key = place if self.space.forms else tuple(grid.values())
        if key not in self._known:
            names = [family.name for family in self.space.families]
            self._known[key] = (
                Blocks(place, self.space.forms)
                if self.space.forms
                else Mixers(grid, self._sets, names, bias=self.space.bias)
            )
        return self._known[key]

    def place(self, macro: Macro, stage: int) -> Place:
        """Where a block of a stage stands."""
        *positions, (_, width) = self.grid(macro, stage).items()
        return Place(tuple(positions), width, macro.ratio, macro.norm, macro.scale)

    def assemble(self, macro: Macro, letters: Sequence[Letter]) -> Architecture:
        """The network of these letters; without any its blocks have their channel MLP alone."""
        places = [self.place(macro, s) for s, depth in enumerate(self.stages(macro)) for _ in range(depth)]
        if not letters:
            return self._network(macro, [(place.channels,) for place in places])
        if self.space.forms:
            return self._network(macro, [c.block(place) for c, place in zip(letters, places, strict=True)])
        return self._network(macro, [(Residual((Norm(), Mix(each))), places[0].channels) for each in letters])

    def _network(self, macro: Macro, blocks: Sequence[Block]) -> Architecture:
        stages, rest = [], list(blocks)
        shape, channels = self.shape, self.channels
        for stage in range(macro.stages):
            patch: Patch = 2 if stage else macro.patch
            depth = self.stages(macro)[stage] if macro.stages > 1 else len(rest)
            embed = patches(shape, patch, channels, macro.width * 2**stage)
            stages.append(Stage((embed,), tuple(rest[:depth])))
            *positions, (_, channels) = self.grid(macro, stage).items()
            shape, rest = dict(positions), rest[depth:]
        head = self.place(macro, macro.stages - 1).before
        return Architecture((*self.shape.items(), ("c", self.channels)), tuple(stages), self.classes, head)

    def uniform(self, macro: Macro, term: Callable[[int], str] | None) -> Architecture:
        """All blocks alike: one mixer, shared by the channels, of this factorisation of every axis; or none."""
        letters: list[Letter] = []
        for stage, depth in enumerate(self.stages(macro)):
            if term is None:
                break
            grid = self.grid(macro, stage)
            terms = [f"{axis}={term(n) if axis != 'c' else f's{n}'}" for axis, n in grid.items()]
            mixer = Mixer.parse(" ".join(terms) + " +b" * self.space.bias)
            letters += [Choice("linear", False, (mixer,)) if self.space.forms else mixer] * depth
        return self.assemble(macro, letters)

    def read(self, arch: Architecture, macros: Iterable[Macro]) -> tuple[Macro, Sequence[Letter]] | None:
        """The sizes and letters of an architecture that `assemble` made; None for any other."""
        if tuple(self.shape.items()) != arch.inputs[:-1]:
            return None
        sizes = arch.grids[0], sum(len(stage.blocks) for stage in arch.stages), len(arch.stages)
        for macro in macros:
            if (self.grid(macro), macro.depth, macro.stages) == sizes:
                letters = self._letters(arch, macro)
                if letters is not None and self.assemble(macro, letters) == arch:
                    return macro, letters
        return None

    def _letters(self, arch: Architecture, macro: Macro) -> Sequence[Letter] | None:
        if arch.head != self.place(macro, macro.stages - 1).before:
            return None
        if not self.space.forms:
            mixers = arch.mixers
            fits = all(mixer.inputs == mixer.outputs == self.grid(macro) for mixer in mixers)
            return mixers if fits and len(mixers) in (0, macro.depth) else None
        if [len(stage.blocks) for stage in arch.stages] != self.stages(macro):
            return None
        found = []
        for number, stage in enumerate(arch.stages):
            alphabet = self._alphabet(macro, number)
            assert isinstance(alphabet, Blocks)
            found += [alphabet.read(block) for block in stage.blocks]
        channels = all(
            block == (self.place(macro, number).channels,)
            for number, stage in enumerate(arch.stages)
            for block in stage.blocks
        )
        return [] if channels else None if None in found else found
