"""Calls that are alike, as calls of one function: docs/design.md shows how on an example."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from einmix.nodes.calls import Call, Hole, Size

NAMES = ("t", "d", "h", "w", "c")
WORDS = ("hidden", "groups", "segments", "roll", "move", "length")
"""What parameters may be called, or after which axis; others are `n`, so that no axis' name becomes code."""

OF_CHANNELS = {"c", "hidden", "groups", "segments"}
"""What counts channels: positions that happen to be as many are another size."""

MOST = 16
"""Up to so many times another size one is written as its multiple, and as its part alike."""


@dataclass
class Template:
    """The body of a function for calls of one form, and what each of them passes for each parameter."""

    body: Call
    parameters: dict[str, Sequence[Any]]

    @property
    def mixers(self) -> list[str]:
        """The parameters that are layers."""
        return [name for name, values in self.parameters.items() if isinstance(values[0], Call)]

    def call(self, name: str, index: int) -> Call:
        """How the function is called for the call of this index."""
        passed = {parameter: values[index] for parameter, values in self.parameters.items()}
        layers = tuple(value for value in passed.values() if isinstance(value, Call))
        return Call(name, layers, tuple(item for item in passed.items() if not isinstance(item[1], Call)))


Values = tuple[Any, ...]
"""What calls have in one place: each a size, or each a layer."""


class Place(NamedTuple):
    """A place of a body in which the calls differ: what each of them has there, and a word for that."""

    values: Values
    word: str

    @property
    def is_layer(self) -> bool:
        return isinstance(self.values[0], Call)

    @property
    def same(self) -> tuple[Values, bool]:
        """Equal for places that are one parameter: a number of channels is none of positions, though it be as large."""
        return self.values, self.word in OF_CHANNELS


def merged(calls: Sequence[Call]) -> Template:
    """One body for calls of one form: what differs among them becomes parameters, what differs alike becomes one."""
    places: list[Place] = []
    common(calls, places.append)
    layer = "mix" if sum(place.is_layer for place in places) == 1 else "mix1"
    parameters: dict[str, Values] = {}
    written: dict[tuple[Values, bool], str] = {}
    holes: list[Hole] = []
    for place in places:
        if place.is_layer or place.same not in written:  # each layer is one of its own, though it be made alike
            name = layer if place.is_layer else _size_name([p.word for p in places if p.same == place.same])
            written[place.same] = _by_others(place.values, name, parameters)
            if not written[place.same]:
                written[place.same] = _new(name, set(parameters))
                parameters[written[place.same]] = place.values
        holes.append(Hole(written[place.same]))
    rest = iter(holes)
    body = common(calls, lambda place: next(rest))
    return Template(body, dict(sorted(parameters.items(), key=lambda item: not isinstance(item[1][0], Call))))


def _by_others(values: Values, word: str, parameters: dict[str, Values]) -> str:
    """Sizes as the opposite, a multiple or a part of those of a parameter, if they are that in every call."""
    for name, others in parameters.items():
        other = name.rstrip("0123456789")
        sizes = all(isinstance(value, Size) for value in (*values, *others))
        if not sizes or (other in OF_CHANNELS) != (word in OF_CHANNELS):
            continue
        pairs = [(value.value, of.value) for value, of in zip(values, others, strict=True)]
        if all(n == -m for n, m in pairs):
            return f"-{name}"
        if word not in OF_CHANNELS and other != word:
            continue  # the axes of a grid and distances along them only happen to have a ratio
        for times in range(2, MOST + 1):
            if all(n == times * m for n, m in pairs):
                return f"{times} * {name}"
            if all(n * times == m for n, m in pairs):
                return f"{name} // {times}"
    return ""


def common(values: Sequence[Any], differ: Callable[[Place], Any]) -> Any:
    """What values have in common; in each place where they do not there is what `differ` makes of it."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if isinstance(first, Size):
        if all(value.value == first.value for value in values):
            return first  # it may be another thing in another call, but not another number
        return differ(Place(tuple(Size(value.value, "") for value in values), first.name))
    if isinstance(first, Call):
        if first.mixer and len({shape(value) for value in values}) > 1:
            return differ(Place(tuple(values), "mix"))
        args = tuple(common(each, differ) for each in zip(*(value.args for value in values), strict=True))
        named = zip(*(value.named for value in values), strict=True)
        pairs = tuple((each[0][0], common([value for _, value in each], differ)) for each in named)
        return Call(first.name, args, pairs, listed=first.listed)
    return tuple(common(each, differ) for each in zip(*values, strict=True))


def shape(value: Any, *, mixers: bool = True) -> Any:
    """A call without its sizes, or without what its mixers are, too."""
    if isinstance(value, Call):
        if value.mixer and not mixers:
            return "mixer"
        named = ((name, shape(v, mixers=mixers)) for name, v in value.named)
        return value.name, tuple(shape(v, mixers=mixers) for v in value.args), tuple(named)
    if isinstance(value, tuple):
        return tuple(shape(v, mixers=mixers) for v in value)
    return "size" if isinstance(value, Size) else value


def _size_name(wanted: Sequence[str]) -> str:
    """What a parameter for sizes is called: after their axis, if that is one and a usual one."""
    known = list(dict.fromkeys(name for name in wanted if name in (*NAMES, *WORDS)))
    if len(set(known) - {"c", *WORDS}) > 1:
        return "region"  # alike along several axes
    return known[0] if known else "n"


def _new(name: str, taken: set[str]) -> str:
    """The name, or the next free number after it."""
    stem = name.rstrip("1")
    return next(each for k in range(1, 1000) if (each := name if k == 1 else f"{stem}{k}") not in taken)
