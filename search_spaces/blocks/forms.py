"""The forms that a block may have: what stands in it, and where in it mixers are free to choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from einmix import Block, Factor, Mixer, Sequence
from einmix.algebra.factors import divisors
from einmix.kinds import Activation, Concat, Conv, Dynamic, Gate, Linear, Mix, Norm, Reweight, Shift, Sum
from search_spaces.blocks.parts import fitting, mixer, multi_axis
from search_spaces.blocks.place import MOST_AXES, Place


class Slot(NamedTuple):
    """What a mixer of a block may be: its channels, and for every axis a pattern of factors (`einmix.FactorSet`)."""

    width: int
    patterns: Mapping[str, str]


Slots = Callable[[Place], list[Slot] | None]

Branches = Callable[[Place, tuple[Mixer, ...]], Block]

Spread = Callable[[int, Mixer], tuple[Mixer, ...]]

Pattern = Callable[[int], str]
"""The pattern of factors for an axis of this length."""


def grids(n: int) -> str:
    """All of an axis mixed, or a subgrid of it; never nothing.

    >>> grids(8), grids(1)
    ('m2.s*|m4.s*|m8.s*', 's*')
    """
    return "|".join(f"m{d}.s*" for d in divisors(n)[1:]) or "s*"


def local(n: int) -> str:
    """All of an axis mixed, or patches of it; never nothing."""
    return "|".join(f"s*.m{d}" for d in divisors(n)[1:]) or "s*"


def mixing(n: int) -> str:
    """All of an axis mixed, a subgrid of it, or patches of it."""
    return f"{grids(n)}|{local(n)}"


def anything(n: int) -> str:
    """The same, or nothing."""
    return f"s*|{mixing(n)}"


@dataclass(frozen=True)
class Form:
    """A kind of block: the patterns of its mixers, their channels, and what it makes of them.

    `slots` gives none where the form cannot stand at a place. `channels` says whether an MLP over channels belongs to
    it, after the branches that it makes or before them.
    """

    name: str
    slots: Slots
    branches: Branches
    spread: Spread = lambda width, mixer: (mixer,)
    """What a block of this width has in place of the mixer of a slot."""
    channels: bool = True
    covers: bool = False
    """Whether it moves something along every axis, whatever its mixers do."""

    @property
    def orders(self) -> tuple[bool, ...]:
        """Whether the MLP over channels comes first: where there is one it may, or may not."""
        return (False, True) if self.channels else (False,)

    def block(self, place: Place, mixers: tuple[Mixer, ...], *, first: bool) -> Block:
        """The whole block; `first` puts the MLP over channels before the rest."""
        tokens = self.branches(place, mixers)
        if not self.channels:
            return tokens
        return (place.channels, *tokens) if first else (*tokens, place.channels)


def _whole(width: Callable[[Place], int], positions: Pattern, channels: str) -> Slots:
    """One mixer over the whole grid, on so many channels."""
    return lambda place: [Slot(width(place), {axis: positions(n) for axis, n in place.grid} | {"c": channels})]


def _axis_by_axis(channels: Pattern) -> Slots:
    """A mixer for every axis, which mixes that one alone, and some channels with it or not."""

    def slots(place: Place) -> list[Slot]:
        others = {axis: "s*" for axis, _ in place.grid} | {"c": f"s*|{channels(place.width)}"}
        return [Slot(place.width, others | {axis: mixing(n)}) for axis, n in place.grid if n > 1]

    return slots


def _in_turn(channels: Pattern) -> Slots:
    """The same; of a single axis always some channels with it: without them these are `linear` and `mlp`."""

    def slots(place: Place) -> list[Slot] | None:
        found = _axis_by_axis(channels)(place) or []
        if len(found) == 1:
            found = [Slot(width, {**patterns, "c": channels(width)}) for width, patterns in found if width > 1]
        return found or None

    return slots


def _grid_and_block(place: Place) -> list[Slot]:
    return [Slot(place.width, {axis: within(n) for axis, n in place.grid} | {"c": "s*"}) for within in (grids, local)]


def _hidden(place: Place) -> int:
    return place.ratio * place.width // 2


def expanded(square: Mixer, hidden: int) -> tuple[Mixer, Mixer]:
    """A mixer to `hidden` positions in place of those that it mixes, and the one back.

    >>> [str(mixer) for mixer in expanded(Mixer.parse("h=m4.s2 w=m8 c=s16 +b"), 12)]
    ['h=m4:12.s2 w=m8:1 c=s16 +b', 'h=m12:4.s2 w=m1:8 c=s16 +b']
    """
    there, back, sizes = [], [], iter([hidden])
    for axis, factors in square.axes:
        outs = [next(sizes, 1) if f.role == "m" else f.size for f in factors]
        there.append((axis, tuple(Factor(f.role, f.size, out) for f, out in zip(factors, outs, strict=True))))
        back.append((axis, tuple(Factor(f.role, out, f.size) for f, out in zip(factors, outs, strict=True))))
    return Mixer(tuple(there), square.bias), Mixer(tuple(back), square.bias)


def _linear(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    return tuple(place.branch(Mix(each)) for each in mixers)


def _mlp(width: int, mixer: Mixer) -> tuple[Mixer, ...]:
    """As many hidden positions as MLP-Mixer has: half the channels."""
    return expanded(mixer, max(1, width // 2))


def _raft(width: int, mixer: Mixer) -> tuple[Mixer, ...]:
    """Twice as many hidden positions as the axis has, or its part that is mixed, and as many channels: RaftMLP."""
    *positions, channels = mixer.axes
    mixed = prod(f.size for _, factors in positions for f in factors if f.role == "m")
    pair = expanded(Mixer(tuple(positions), mixer.bias), 2 * mixed)
    return tuple(Mixer((*each.axes, channels), each.bias) for each in pair)


def _free(width: int, mixer: Mixer) -> tuple[Mixer, ...]:
    """Without a bias: what follows has one."""
    return (Mixer(mixer.axes),)


def _spread_out(spread: Spread) -> Branches:
    """Every mixer as an MLP in a branch of its own."""

    def branches(place: Place, mixers: tuple[Mixer, ...]) -> Block:
        pairs = (spread(place.width, each) for each in mixers)
        return tuple(place.branch(Mix(there), Activation(), Mix(back)) for there, back in pairs)

    return branches


def _parallel(kind: Callable[[tuple[Sequence, ...]], Sum | Reweight]) -> Branches:
    def branches(place: Place, mixers: tuple[Mixer, ...]) -> Block:
        channels = Mix(mixer(place.positions, f"m{place.width}", bias=False))
        together = kind((*((Mix(Mixer(each.axes)),) for each in mixers), (channels,)))
        return (place.branch(together, Linear(place.width)),)

    return branches


def _fused(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    return (place.branch(Concat(((), *((Mix(each),) for each in mixers))), Linear(place.width)),)


def _dynamic(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    width = place.width
    along = ((Dynamic(axis, segments=fitting(width, 8)), Linear(width)) for axis, _ in place.grid)
    channels = Mix(mixer(place.positions, f"m{width}", bias=False))
    return (place.branch(Reweight((*along, (channels,))), Linear(width)),)


def _gated(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    gate = Gate((Norm(), Mix(mixers[0], start="gate")))
    return (place.branch(Linear(place.ratio * place.width), Activation(), gate, Linear(place.width)),)


def _multi_axis(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    return (place.branch(*multi_axis(place.width, mixers)),)


def _shift(place: Place) -> Shift:
    return Shift(tuple((axis, by) for axis in reversed(place.long) for by in (1, -1)), edge="keep")


def _shifted(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    return (place.branch(Linear(place.width), Activation(), _shift(place), Linear(place.width)),)


def _convolved(place: Place, mixers: tuple[Mixer, ...]) -> Block:
    return (place.branch(Conv(3, pad=1)),)


def _if_any(slots: Slots) -> Slots:
    """Only where there is an axis to mix."""
    return lambda place: slots(place) if place.long else None


def _if_conv(place: Place) -> list[Slot] | None:
    """Only on as many axes as torch has convolutions for."""
    return [] if place.long and len(place.grid) <= MOST_AXES else None


def _if_all_shifted(place: Place) -> list[Slot] | None:
    """Only where there are channels enough for every axis."""
    moved = _shift(place).touched({"c": place.width}) if place.long else None
    return [] if moved == frozenset(place.long) else None


def _if_halved(slots: Slots) -> Slots:
    """Only where the hidden channels have two halves."""
    return lambda place: None if place.ratio * place.width % 2 else slots(place)


def _if_wide(slots: Slots) -> Slots:
    """Only where there are channels enough for the hidden layer that weighs branches, too."""
    return lambda place: slots(place) if place.long and place.width >= 4 else None


FORMS = {
    form.name: form
    for form in (
        Form("linear", _whole(lambda place: place.width, anything, "g*.s*"), _linear),
        Form("mlp", _if_any(_whole(lambda place: place.width, mixing, "g*.s*")), _spread_out(_mlp), _mlp),
        Form("rafts", _in_turn(grids), _spread_out(_raft), _raft),
        Form("serial", _in_turn(local), _linear),
        Form("sum", _if_any(_axis_by_axis(local)), _parallel(Sum), _free),
        Form("reweight", _if_wide(_axis_by_axis(local)), _parallel(Reweight), _free),
        Form("concat", _if_any(_axis_by_axis(local)), _fused),
        Form("gate", _if_halved(_whole(_hidden, anything, "g*.s*")), _gated, channels=False),
        Form("multi_axis", _grid_and_block, _multi_axis),
        Form("dynamic", _if_wide(lambda place: []), _dynamic, covers=True),
        Form("shift", _if_all_shifted, _shifted, covers=True),
        Form("conv", _if_conv, _convolved, covers=True),
    )
}
"""By name. Sources: `nas zoo`, whose members are points of this grammar where the docs do not say otherwise."""
