"""The space of the slots of somebody's own model."""

from collections.abc import Callable
from typing import Any

from einmix import PatternError
from nas.data.dataset import Dataset
from nas.errors import NasError, one_line
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


def check_pass(model: Callable[[], Any], dataset: Dataset, outputs: int | None) -> None:
    """Raises NasError where a model does not take examples, leaves a slot out, or has a slot of other sizes.

    `outputs` are how many numbers it is to give for an example, None for any.
    """
    import torch

    from einmix.slots import fill, slots
    from nas.training.engine.examples import Examples

    x, _ = Examples.of(dataset.train, dataset, "cpu", "float32").batch(slice(0, 2))
    made, used = model(), set[str]()
    found = slots(made)
    for name, places in found.items():
        for slot in places:
            slot.register_forward_hook(lambda *_, name=name: used.add(name))
    try:
        with torch.no_grad():
            made.eval()(x)
            given = fill(model(), {name: each[0].unmixed for name, each in found.items()}).eval()(x)
    except Exception as error:
        told = f"{type(error).__name__}: {one_line(str(error))[:200]}"
        raise NasError(f"model: a forward pass of examples of shape {tuple(x.shape[1:])} fails: {told}") from error
    if unused := [name for name in found if name not in used]:
        raise NasError(f"model: its forward pass does not use slot {', '.join(unused)}")
    if outputs is not None and tuple(getattr(given, "shape", ())) != (len(x), outputs):
        shape = tuple(getattr(given, "shape", ())) or type(given).__name__
        raise NasError(f"model: of {len(x)} examples it gives {shape}; expected {(len(x), outputs)}: a logit a class")
