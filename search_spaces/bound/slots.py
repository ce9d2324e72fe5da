"""A space of the slots of somebody's own model: a mixer for each, counted, drawn and walked as blocks are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from einmix import Architecture, Mixer
from einmix.networks.architecture import Filled, Slotted
from search_spaces.blocks.letters import Letter
from search_spaces.blocks.mixers import Mixers
from search_spaces.blocks.parts import Inputs
from search_spaces.bound.assembly import Assembly
from search_spaces.bound.networks import Networks, Skeleton
from search_spaces.bound.space import BoundSpace


@dataclass(frozen=True, eq=False)
class Hole:
    """A slot of a space: what may fill it, in how many places, and the order of its axes."""

    mixers: Mixers
    order: str

    def filled(self, mixer: Mixer) -> Filled:
        return Filled(str(mixer), self.order, self.mixers.times)

    def alike(self, roles: Mapping[str, str]) -> Mixer:
        """The mixer of these terms, an axis each, on the slot's axes."""
        return Mixer.parse(" ".join(f"{axis}={roles[axis]}" for axis in self.mixers.sizes))


class SlotAssembly(Assembly):
    """Architectures of slots, and what fills them; `rest` is how many parameters the model has beside them.

    All have one skeleton, that of the first slot, with a block a slot.
    """

    def __init__(self, holes: Mapping[str, Hole], rest: int):
        self.holes, self.rest = dict(holes), rest
        first = next(iter(self.holes.values())).mixers.sizes
        shape = {axis: n for axis, n in first.items() if axis != "c"}
        self.inputs = Inputs(shape, first["c"], 1)

    def __reduce__(self) -> tuple[type, tuple[Mapping[str, Hole], int]]:
        return SlotAssembly, (self.holes, self.rest)

    def networks(self, skeleton: Skeleton) -> Networks:
        alphabets = [hole.mixers for hole in self.holes.values()]
        long = (axis for hole in self.holes.values() for axis, n in hole.mixers.sizes.items() if n > 1 and axis != "c")
        return Networks(skeleton, alphabets, frozenset(long), (self.rest, 0))

    def assemble(self, skeleton: Skeleton, letters: Sequence[Letter]) -> Architecture:
        """The mixers of these letters; without any every slot has one that mixes nothing."""
        if not letters:
            return self.uniform(skeleton, lambda n: f"s{n}")
        pairs = zip(self.holes.items(), letters, strict=True)
        return Slotted.of({name: hole.filled(mixer) for (name, hole), mixer in pairs}, self.rest)

    def uniform(self, skeleton: Skeleton, term: Callable[[int], str]) -> Architecture:
        found = {}
        for name, hole in self.holes.items():
            sizes = hole.mixers.sizes
            roles = {axis: f"s{n}" if axis == "c" else term(n) for axis, n in sizes.items()}
            found[name] = hole.filled(hole.alike(roles))
        return Slotted.of(found, self.rest)

    def read(self, arch: Architecture, skeletons: Iterable[Skeleton]) -> tuple[Skeleton, Sequence[Letter]] | None:
        if not isinstance(arch, Slotted) or arch.rest != self.rest or list(arch.filled) != list(self.holes):
            return None
        letters = [Mixer.parse(each.mixer) for each in arch.filled.values()]
        for (name, hole), letter in zip(self.holes.items(), letters, strict=True):
            if arch.filled[name] != hole.filled(letter) or letter.inputs != hole.mixers.sizes:
                return None
        return next(iter(skeletons)), letters


def slot_space(name: str, holes: Mapping[str, Hole], rest: int) -> BoundSpace:
    """The space of what may fill these slots, by their names, in a model with so many other parameters.

    Its name is that of the space which slots without a family of their own are filled from.
    """
    families = {
        slot: {axis: "|".join(hole.mixers.sets[axis].patterns) for axis in hole.mixers.sizes}
        for slot, hole in holes.items()
    }
    first = next(iter(holes.values())).mixers.sizes
    sizes = {"patch": (1,), "width": (first["c"],), "depth": (len(holes),), "ratio": (1,)}
    facts = {"name": name, "summary": "the slots of a model", "bias": True, "families": families}
    return BoundSpace(facts | {"forms": [], "weights": {}, "sizes": sizes}, SlotAssembly(holes, rest))
