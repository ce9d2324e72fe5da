"""From the axes of a mixer to an EinMix call."""

from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

from einmix.algebra.factors import Axes, Factor, text_of
from einmix.algebra.names import fresh
from einmix.errors import PatternError

MAX_NAMES = 26
"""einops' EinMix renames its axes to the letters a to z."""


class NamedFactor(NamedTuple):
    """A factor with its names in the pattern; an empty name where the factor has length 1 and need not be written."""

    factor: Factor
    input: str
    output: str

    @property
    def names(self) -> set[str]:
        return {self.input, self.output} - {""}


def write_einmix(axes: Axes, bias: bool, *, channels_first: bool = False, all_sizes: bool = True) -> dict[str, Any]:
    """EinMix's keyword arguments; with `channels_first` the input (not the output) has its channels before positions.

    Without `all_sizes` those that einops infers from the input are left out.
    """
    parts = named_factors(axes)
    flat = list(chain(*parts))
    if (count := len({"b", *(name for part in flat for name in part.names)})) > MAX_NAMES:
        hint = "permute its shared factors together first, as einmix.source does"
        raise PatternError(
            f"einops' EinMix knows {MAX_NAMES} axes, and {text_of(axes, bias)!r} needs {count}", hint=hint
        )
    grouped = [part.input for part in flat if part.factor.role == "g"]
    mixed = [part for part in flat if part.factor.role == "m"]
    weight = grouped + [p.input for p in mixed if p.input] + [p.output for p in mixed if p.output]
    if not weight:  # EinMix warns of a weight without axes
        last = axes[-1][0]
        one = "one" if last == "c" else f"{last}{'_' if len(last) > 1 else ''}g"
        one = fresh(one, {name for name, _ in axes})
        parts[-1].append(NamedFactor(Factor("g", 1, 1), one, one))
        flat, weight = list(chain(*parts)), [one]
    left = parts[-1:] + parts[:-1] if channels_first else parts
    call: dict[str, Any] = {
        "pattern": f"b {side([p.input for p in axis] for axis in left)} -> "
        f"b {side([p.output for p in axis] for axis in parts)}",
        "weight_shape": " ".join(weight),
    }
    if bias:
        call["bias_shape"] = " ".join(part.output for part in flat if part.factor.role != "s" and part.output)
    return call | sizes_of(parts, all_sizes=all_sizes)


def sizes_of(parts: list[list[NamedFactor]], *, all_sizes: bool = True) -> dict[str, int]:
    """The sizes of the named parts; without `all_sizes` but for the one of an axis that einops can infer."""
    sizes: dict[str, int] = {}
    for axis in parts:
        inferred = not all_sizes and sum(part.factor.role == "s" for part in axis) == 1
        for part in axis:
            if not (inferred and part.factor.role == "s"):
                sizes |= {part.input: part.factor.size, part.output: part.factor.out}
    sizes.pop("", None)
    return sizes


def named_factors(axes: Axes) -> list[list[NamedFactor]]:
    """Every factor of every axis with the names that it has in the pattern, all of them different."""
    used = {"b"}
    whole = {name for name, _ in axes}
    result = []
    for axis, found in axes:
        factors = found or (Factor("s", 1, 1),)
        several = {role: sum(f.role == role for f in factors) > 1 for role in "sgm"}
        parts = []
        for position, factor in enumerate(factors, start=1):
            number = str(position) if several[factor.role] else ""
            stem = axis + number + ("_" if len(axis) > 1 else "")
            if factor.role == "m":
                alone = len(factors) == 1
                source = fresh(f"{stem}i", used | whole) if factor.size > 1 or alone else ""
                target = fresh(f"{stem}o", used | whole) if factor.out > 1 or alone else ""
            elif factor.role == "g" and len(factors) > 1:
                source = target = fresh(f"g{number}" if axis == "c" else f"{stem}g", used | whole)
            else:
                source = target = f"{axis}{number}" if not number else fresh(f"{axis}{number}", used | whole)
            used |= {source, target}
            parts.append(NamedFactor(factor, source, target))
        result.append(parts)
    return result


def side(axes: Iterable[list[str]]) -> str:
    """One side of a pattern, after the batch."""
    groups = ([name for name in axis if name] for axis in axes)
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in groups if group)
