"""The space of the slots of somebody's own model."""

from collections.abc import Callable
from typing import Any

from einmix import PatternError
from nas.errors import NasError
from search_spaces import BoundSpace, Space, load
from search_spaces.bound.slots import Hole, slot_space


def space_of(model: Callable[[], Any], default: Space) -> BoundSpace:
    """What may fill the slots of a model that a function makes: of each slot's family, else of the default one.

    Raises NasError for a model without slots, and SpaceError for a space that is no families of mixers.
    """
    from einmix.slots import slots, slotted

    made = model()
    try:
        found = slots(made)
        unmixed = {name: each[0].unmixed for name, each in found.items()}
        rest = slotted(made, unmixed).rest
    except (PatternError, AttributeError) as error:
        told = error.summary if isinstance(error, PatternError) else f"it gives {type(made).__name__}, no nn.Module"
        raise NasError(f"model: {told}") from None
    holes = {}
    for name, (slot, *others) in found.items():
        space = default if slot.family is None else load(slot.family)
        if space.forms:
            raise NasError(f"slot {name}: space {space.name!r} is one of whole blocks; a slot takes families of mixers")
        holes[name] = Hole(space.mixers(slot.sizes, times=1 + len(others)), slot.order)
    return slot_space(default.name, holes, rest)
