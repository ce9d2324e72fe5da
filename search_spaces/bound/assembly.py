"""How networks of a space are put together from what their blocks hold, and taken apart again."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import islice
from typing import Any

from einmix import Architecture, Block, Stage
from search_spaces.blocks.letters import Alphabet, Letter
from search_spaces.blocks.parts import Inputs, mixer, patches
from search_spaces.blocks.patch import Patch
from search_spaces.blocks.place import Place
from search_spaces.bound.networks import Networks, Skeleton


class Assembly:
    """The networks on some inputs whose blocks are made of the letters that there are at a place.

    In most spaces a block's letter is its one mixer, in a space of forms all that is in it: the
    alphabets know. `bias` is that of blocks that are all alike; with `mixes_all` some block has to mix along each axis.
    """

    def __init__(self, inputs: Inputs, alphabet: Callable[[Place], Alphabet], *, bias: bool, mixes_all: bool = True):
        self.inputs, self._alphabet, self._bias, self._mixes_all = inputs, cache(alphabet), bias, mixes_all
        self._places = cache(lambda skeleton: skeleton.places(inputs.shape))
        self._embeds = cache(self._embed)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what is kept; processes pass spaces to one another."""
        how = partial(Assembly, bias=self._bias, mixes_all=self._mixes_all)
        return how, (self.inputs, self._alphabet.__wrapped__)

    def networks(self, skeleton: Skeleton) -> Networks:
        """All networks of these sizes."""
        places = self._places(skeleton)
        alphabets = [self._alphabet(place) for place in places]
        rests = [alphabet.rest(place) for alphabet, place in zip(alphabets, places, strict=True)]
        without = self._network(skeleton, rests)
        axes = frozenset(places[0].long if self._mixes_all else ())
        return Networks(skeleton, alphabets, axes, (without.params, without.macs))

    def assemble(self, skeleton: Skeleton, letters: Sequence[Letter]) -> Architecture:
        """The network of these letters; without any its blocks have their channel MLP alone."""
        places = self._places(skeleton)
        if not letters:
            return self._network(skeleton, [(place.channels,) for place in places])
        pairs = zip(letters, places, strict=True)
        return self._network(skeleton, [self._alphabet(place).block(letter, place) for letter, place in pairs])

    def _network(self, skeleton: Skeleton, blocks: Sequence[Block]) -> Architecture:
        inputs, rest = self.inputs, iter(blocks)
        pairs = zip(self._embeds(skeleton), skeleton.depths, strict=True)
        stages = tuple(Stage(embed, tuple(islice(rest, depth))) for embed, depth in pairs)
        sizes = *inputs.shape.items(), ("c", inputs.channels)
        return Architecture(sizes, stages, inputs.classes, self._places(skeleton)[-1].before)

    def _embed(self, skeleton: Skeleton) -> list[Block]:
        """What embeds the input of each stage."""
        shape, channels = dict(self.inputs.shape), self.inputs.channels
        found: list[Block] = []
        for stage in range(skeleton.stages):
            patch: Patch = 2 if stage else skeleton.patch
            place = skeleton.stage(self.inputs.shape, stage)
            found.append((patches(shape, patch, channels, place.width),))
            shape, channels = place.positions, place.width
        return found

    def uniform(self, skeleton: Skeleton, term: Callable[[int], str]) -> Architecture:
        """All blocks alike: one mixer, shared by the channels, of this factorisation of every axis."""
        letters: list[Letter] = []
        for place in self._places(skeleton):
            axes = {axis: term(n) for axis, n in place.grid}
            alike = mixer(place.positions, f"s{place.width}", axes, bias=self._bias)
            letters.append(self._alphabet(place).uniform(alike))
        return self.assemble(skeleton, letters)

    def read(self, arch: Architecture, skeletons: Iterable[Skeleton]) -> tuple[Skeleton, Sequence[Letter]] | None:
        """The sizes and letters of an architecture that `assemble` made; None for any other."""
        if tuple(self.inputs.shape.items()) != arch.inputs[:-1]:
            return None
        depths, first = [len(stage.blocks) for stage in arch.stages], arch.grids[0]
        for skeleton in skeletons:
            if skeleton.depths == depths and skeleton.stage(self.inputs.shape, 0).sizes == first:
                letters = self._letters(arch, skeleton)
                if letters is not None and self.assemble(skeleton, letters) == arch:
                    return skeleton, letters
        return None

    def _letters(self, arch: Architecture, skeleton: Skeleton) -> list[Letter] | None:
        places = self._places(skeleton)
        if arch.head != places[-1].before:
            return None
        blocks = [block for stage in arch.stages for block in stage.blocks]
        pairs = list(zip(blocks, places, strict=True))
        if all(block == (place.channels,) for block, place in pairs):
            return []
        found = [self._alphabet(place).read(block, place) for block, place in pairs]
        return None if None in found else found
