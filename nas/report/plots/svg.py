"""SVG as text that is escaped by construction, and the scales of axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape


def tag(name: str, *inside: object, **attributes: object) -> Markup:
    """An element; texts and attributes are escaped, what is None is left out, `class_` is class and `_` a hyphen.

    >>> tag("text", "<b>", x=1.50, text_anchor="end")
    Markup('<text x="1.5" text-anchor="end">&lt;b&gt;</text>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not inside:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>") + joined(inside) + Markup(f"</{name}>")


def joined(parts: Sequence[object]) -> Markup:
    """Elements one after the other; what is none is escaped."""
    return Markup("").join(escape(part) for part in parts)


def number(value: object) -> str:
    """A value as an attribute has it: numbers with two decimals at most.

    >>> number(3.0), number(2 / 3), number("a")
    ('3', '0.67', 'a')
    """
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.005 else "0"
    return str(value)


def path(points: Sequence[tuple[float, float]]) -> str:
    """A line through points, in units of a tenth.

    >>> path([(0, 1), (2.04, 3)])
    'M0 1L2 3'
    """
    return "".join(f"{'L' if at else 'M'}{tenth(x)} {tenth(y)}" for at, (x, y) in enumerate(points))


def dots(points: Sequence[tuple[float, float]]) -> str:
    """Points as lines of no length, which round ends make visible: many of them are one element."""
    return "".join(f"M{tenth(x)} {tenth(y)}h0" for x, y in points)


def tenth(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Tick:
    """A place on an axis, with its label."""

    value: float
    label: str


@dataclass(frozen=True)
class Scale:
    """From values between `low` and `high` to places between `start` and `end`, evenly in what `bent` makes of them."""

    low: float
    high: float
    start: float
    end: float
    bent: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        low, high = self.bent(self.low), self.bent(self.high)
        share = (self.bent(min(max(value, self.low), self.high)) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def apart(self, ticks: Sequence[Tick], least: float) -> list[Tick]:
        """The ticks that are on the axis, without those nearer than that to one before."""
        kept: list[Tick] = []
        for tick in ticks:
            if self.low <= tick.value <= self.high and (
                not kept or abs(self(tick.value) - self(kept[-1].value)) >= least
            ):
                kept.append(tick)
        return kept


SHARES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)


def by_error(values: Sequence[float], start: float, end: float, examples: int) -> Scale:
    """Of accuracies (shares), spaced by the error: from 90 to 95% is as far as from 98 to 99.

    The nearest to 1 that there is, is half an example.
    """
    least = 0.5 / max(examples, 1)
    low, high = bounds([min(max(value, 0.0), 1 - least) for value in values], margin=0.0)
    below = max(0.0, 1 - (1 - low) * 1.06)
    return Scale(below, max(high, below + least), start, end, lambda value: -log10(max(1 - value, least)))


def share_ticks(scale: Scale, least: float) -> list[Tick]:
    """Percents on such an axis."""
    ticks = scale.apart([Tick(share, f"{100 * share:.3g}") for share in SHARES], least)
    if len(ticks) >= 2:
        return ticks
    return linear_ticks(Scale(scale.low, scale.high, scale.start, scale.end), least, percent=True)


def linear(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = bounds(values)
    return Scale(low, high, start, end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """Of positive values."""
    kept = [value for value in values if value > 0] or [1.0]
    low, high = min(kept), max(kept)
    around = (high / low) ** 0.06 if high > low else 1.5
    return Scale(low / around, high * around, start, end, log10)


def bounds(values: Sequence[float], margin: float = 0.05) -> tuple[float, float]:
    """The least and the largest, with something around them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    around = margin * (high - low) or (0.1 * abs(high) or 1.0) * bool(margin)
    return low - around, high + around


def linear_ticks(scale: Scale, least: float, *, percent: bool = False) -> list[Tick]:
    """Round numbers, about as far apart as that."""
    factor = 100 if percent else 1
    low, high = factor * scale.low, factor * scale.high
    length = abs(scale.end - scale.start)
    if not high > low or not length:
        return [Tick(scale.low, short(low))]
    rough = (high - low) * least / length
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough)
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [Tick(at * step / factor, short(at * step)) for at in range(first, last + 1)]


def log_ticks(scale: Scale, least: float) -> list[Tick]:
    """Powers of ten, with 2 and 5 times of these where there is room, and whatever is round where these are few."""
    powers = range(floor(log10(scale.low)), ceil(log10(scale.high)) + 1)
    tens, more = ([Tick(times * 10.0**power, "") for power in powers for times in set_] for set_ in ((1,), (1, 2, 5)))
    found = scale.apart(tens, least)
    if len(found) < 3:
        found = scale.apart(more, least)
    if len(found) < 3:
        found = scale.apart(linear_ticks(Scale(scale.low, scale.high, scale.start, scale.end), least / 2), least)
    return [Tick(tick.value, short(tick.value)) for tick in found]


def short(value: float) -> str:
    """A number in a few characters.

    >>> short(12_000.0), short(1_500_000), short(0.25), short(-3.0), short(0)
    ('12k', '1.5M', '0.25', '-3', '0')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"
