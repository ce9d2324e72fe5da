"""Slots: places in somebody's own model for mixers that a search finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from einmix.algebra.mixer import Mixer
from einmix.errors import PatternError
from einmix.layers import FastMix
from einmix.networks.architecture import Architecture, Filled, Slotted


class Slot(nn.Module):
    """A place for a mixer on tensors of these axes, in this order; until it is filled it gives what it gets.

    Slots of one name get one mixer, with weights of its own in each of them. `family` is what the mixer is chosen from
    (`search_spaces.suggest_mixer`); None leaves it to the search.

    >>> model = nn.Sequential(nn.Conv2d(3, 32, 4, stride=4), Slot("tokens", "b c h w", h=8, w=8, c=32), nn.GELU())
    >>> filled = fill(model, {"tokens": Mixer.parse("h=m4.s2 w=m4.s2 c=g32 +b")})
    >>> filled[1].weight.shape
    torch.Size([32, 4, 4, 4, 4])
    """

    def __init__(self, name: str, order: str | None = None, *, family: str | None = None, **sizes: int):
        super().__init__()
        self.name, self.family = name, family
        if "c" in (order or "").split() and "c" not in sizes:
            raise PatternError(f"slot {name} has {order!r}, and no size of c", hint="c=384, say")
        self.sizes = {**{axis: n for axis, n in sizes.items() if axis != "c"}, "c": sizes.get("c", 1)}
        self.order = order or " ".join(["b", *self.sizes])
        self.stands_in = False  # for a module that was there
        Slotted.of({name: self.fits(self.unmixed)}, 0)  # all is checked there

    @property
    def unmixed(self) -> Mixer:
        """The mixer that mixes nothing."""
        return Mixer.parse(" ".join(f"{axis}=s{n}" for axis, n in self.sizes.items()))

    def fits(self, mixer: Mixer, times: int = 1) -> Filled:
        """A mixer of these sizes, as it fills the slot. Raises PatternError for another one."""
        if mixer.inputs != self.sizes or mixer.outputs != self.sizes:
            sizes = " ".join(f"{axis}={n}" for axis, n in self.sizes.items())
            raise PatternError(f"slot {self.name} has {sizes}, which {str(mixer)!r} does not fit")
        return Filled(str(mixer), self.order, times)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def extra_repr(self) -> str:
        return f"{self.name!r}, {self.order!r}, {', '.join(f'{axis}={n}' for axis, n in self.sizes.items())}"


def slots(model: nn.Module) -> dict[str, list[Slot]]:
    """The slots of a model by name, in the order of its modules. Raises PatternError for none, or unlike ones."""
    found: dict[str, list[Slot]] = {}
    for module in model.modules():
        if isinstance(module, Slot):
            found.setdefault(module.name, []).append(module)
    for name, (first, *others) in found.items():
        if any((slot.sizes, slot.order, slot.family) != (first.sizes, first.order, first.family) for slot in others):
            raise PatternError(f"slots of the name {name!r} differ in sizes, order or family: give them two names")
    if not found:
        raise PatternError("the model has no slots", hint="einmix.slots.Slot('tokens', h=14, w=14, c=384)")
    return found


def mark(model: nn.Module, places: Mapping[str, Slot]) -> nn.Module:
    """The same model, with slots in place of modules by their names in it, such as `blocks.0.mixing`."""
    for place, slot in places.items():
        try:
            model.get_submodule(place)
            model.set_submodule(place, slot)
            slot.stands_in = True
            slot.register_forward_pre_hook(_first_alone, with_kwargs=True)
        except (AttributeError, ValueError) as error:
            raise PatternError(f"the model has no module {place!r}: {error}") from None
    return model


def slotted(model: nn.Module, mixers: Mapping[str, Mixer]) -> Slotted:
    """The architecture of a model whose slots are filled so: its id, its exact number of parameters, its text."""
    found = slots(model)
    if found.keys() != mixers.keys():
        raise PatternError(f"the model has the slots {', '.join(found)}, not {', '.join(mixers)}")
    filled = {name: each[0].fits(mixers[name], len(each)) for name, each in found.items()}
    return Slotted.of(filled, sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad))


def fill(
    model: nn.Module,
    found: Architecture | Mapping[str, Any],
    layer: Callable[..., nn.Module] = FastMix,
) -> nn.Module:
    """The same model with layers in its slots: mixers (or their texts) by name, or an architecture or its JSON value.

    Raises PatternError for slots that there are not, and for mixers that do not fit.
    """
    if isinstance(found, Architecture) or "slots" in found:
        architecture = found if isinstance(found, Architecture) else Architecture.from_json(dict(found))
        if not isinstance(architecture, Slotted):
            raise PatternError(f"network {architecture.id} is no model with slots")
        found = {name: each.mixer for name, each in architecture.slots}
    found = {name: Mixer.parse(each) if isinstance(each, str) else each for name, each in found.items()}
    if wrong := next((name for name, each in found.items() if not isinstance(each, Mixer)), ""):
        raise PatternError(f"slot {wrong} is filled with a mixer or its text, not {type(found[wrong]).__name__}")
    slotted(model, found)
    for name, places in slots(model).items():
        mixer: Mixer = found[name]
        for slot in places:
            made = layer(**mixer.einmix(slot.order))
            if slot.stands_in:
                made.register_forward_pre_hook(_first_alone, with_kwargs=True)
            _put(model, slot, made)
    return model


def _first_alone(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What stands in for another module is called as that was: arguments that are None or False are left out."""
    if told := [each for each in (*args[1:], *kwargs.values()) if each is not None and each is not False]:
        raise TypeError(f"a slot takes one tensor, and is called with {type(told[0]).__name__} besides")
    return args[:1], {}


def _put(model: nn.Module, slot: Slot, layer: nn.Module) -> None:
    """A layer in every place where a slot stands: a module that stands twice shares its weights."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is slot:
                setattr(parent, name, layer)
