"""Between mixers and EinMix calls: reads what users have in their code, and writes what einops accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from keyword import iskeyword
from math import prod
from typing import Any

from einmix.errors import PatternError
from einmix.factors import Factor
from einmix.mixer import MAX_SIZE, Layout, Mixer

MAX_NAMES = 26
"""einops' EinMix renames its axes to the letters a to z."""

_CHANNELS_LAST = {"t": 0, "d": 1, "h": 2, "w": 3, "c": 99}
_SPATIAL = ("h", "w", "d")


@dataclass(frozen=True)
class _Call:
    """An EinMix call while it is read: what was written, and where a token of it stands."""

    pattern: str
    weight_shape: str
    bias_shape: str | None
    sizes: dict[str, int]

    def __str__(self) -> str:
        bias = "" if self.bias_shape is None else f", bias_shape={self.bias_shape!r}"
        sizes = "".join(f", {name}={size}" for name, size in self.sizes.items())
        return f"EinMix({self.pattern!r}, weight_shape={self.weight_shape!r}{bias}{sizes})"

    def error(
        self, fact: str, token: str = "", hint: str = "", where: str = "pattern", right: bool = False
    ) -> PatternError:
        """The error with a caret under `token` in the pattern (its right side on request), weight or bias shape."""
        text = {"pattern": self.pattern, "weight": self.weight_shape, "bias": self.bias_shape or ""}[where]
        start = text.find("->") + 2 if right else 0
        found = re.search(rf"(?<!\w){re.escape(token)}(?!\w)", text[start:]) if token else None
        span = (start + found.start(), start + found.end()) if found else (0, len(text))
        return PatternError(f"{fact}: {self}", text=text, token=span, hint=hint)


def read_einmix(pattern: str, weight_shape: str, bias_shape: str | None, sizes: dict[str, int]) -> Mixer:
    """The mixer of an EinMix call; its layout keeps the call as it was written."""
    call = _Call(pattern, weight_shape, bias_shape, dict(sizes))
    left, right = _sides(call)
    weight = _flat_names(call, weight_shape, "weight")
    batch = _batch(call, left, right, weight)
    left, right = ([[name for name in group if name != batch] for group in side] for side in (left, right))
    _check_names(call, left, right, weight)
    roles = _roles(call, left, right, weight)
    if bias_shape is not None:
        _check_bias(call, right, roles)
    axes = _axes([group for group in left if group], [group for group in right if group], roles, sizes)
    layout = Layout(pattern, weight_shape, bias_shape, tuple(sizes.items()))
    return Mixer(axes, bias_shape is not None, layout)


def _sides(call: _Call) -> tuple[list[list[str]], list[list[str]]]:
    sides = call.pattern.split("->")
    if len(sides) != 2:
        raise call.error("a pattern has one '->'", "->", "write INPUT -> OUTPUT, as in 'b t c -> b t0 c'")
    return _groups(call, sides[0], right=False), _groups(call, sides[1], right=True)


def _groups(call: _Call, side: str, right: bool) -> list[list[str]]:
    """The axes of one side of the pattern, those in one pair of parentheses together."""
    groups: list[list[str]] = []
    inside = False
    for token in re.findall(r"[()]|[^\s()]+", side):
        if token in "()":
            if (token == "(") == inside:
                raise call.error(
                    "parentheses do not match", token, "open and close each once, without nesting", right=right
                )
            inside = token == "("
            if inside:
                groups.append([])
            continue
        if token == "...":
            raise call.error("roles cannot say '...'", token, "name the axes that it stands for", right=right)
        if token == "1":
            raise call.error(
                "roles cannot say an axis of length 1 without a name", token, "name it, give it size 1", right=right
            )
        if token.isdigit():
            raise call.error(
                f"{token} has no name", token, f"name the axis and pass its size, as in n={token}", right=right
            )
        if not token.isidentifier() or token.startswith("_") or token.endswith("_") or iskeyword(token):
            raise call.error(f"{token!r} is no axis name", token, "letters, digits and inner underscores", right=right)
        groups[-1].append(token) if inside else groups.append([token])
    if inside:
        raise call.error("parentheses do not match", "(", "close what was opened", right=right)
    names = [name for group in groups for name in group]
    for name in names:
        if names.count(name) > 1:
            raise call.error(f"axis {name} stands twice on one side", name, "give each its own name", right=right)
    return groups


def _flat_names(call: _Call, shape: str, where: str) -> list[str]:
    names = shape.split()
    for name in re.findall(r"[()]|[^\s()]+", shape):
        if name in "()":
            raise call.error(f"no parentheses in the {where} shape", "", "list its axes one by one", where)
        if name == "...":
            raise call.error(f"no '...' in the {where} shape", "...", "name all its axes", where)
        if not name.isidentifier():
            raise call.error(f"{name!r} in the {where} shape is no axis", name, "leave it out or name it", where)
        if names.count(name) > 1:
            raise call.error(f"axis {name} stands twice in the {where} shape", name, "write every axis once", where)
    return names


def _batch(call: _Call, left: list[list[str]], right: list[list[str]], weight: list[str]) -> str:
    """The axis that is the batch: the one without a size, or `b`."""
    bare = [group[0] for group in left if len(group) == 1 and group in right and group[0] not in weight]
    missing = [name for name in dict.fromkeys(chain(*left, *right, weight)) if name not in call.sizes]
    if len(missing) == 1 and missing[0] in bare:
        batch = missing[0]
    elif "b" in bare:
        batch = "b"
    else:
        batch = ""
    for name in missing:
        if name != batch:
            where = "pattern" if name in chain(*left, *right) else "weight"
            raise call.error(f"the size of axis {name} is missing", name, f"pass {name}=...", where)
    if not batch:
        hint = "put an axis without a size first on both sides, as in 'b t c -> b t0 c'"
        raise call.error("a batch axis is missing", call.pattern.split()[0] if call.pattern.split() else "", hint)
    return batch


def _check_names(call: _Call, left: list[list[str]], right: list[list[str]], weight: list[str]) -> None:
    known = {*chain(*left), *chain(*right), *weight}
    for name, size in call.sizes.items():
        if name not in known and name not in call.pattern.split():
            raise call.error(
                f"size {name}={size} is given for an axis that is not used", "", "drop it, or name the axis so"
            )
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIZE:
            raise call.error(f"axis {name} cannot have size {size!r}", name, f"pass an integer from 1 to {MAX_SIZE}")
    for name in weight:
        if name not in {*chain(*left), *chain(*right)}:
            raise call.error(f"weight axis {name} is in neither input nor output", name, "drop it", "weight")
    if len(known) + 1 > MAX_NAMES:
        raise call.error(
            f"einops' EinMix knows {MAX_NAMES} axes, and these are {len(known) + 1}", "", "merge neighbours"
        )


def _roles(call: _Call, left: list[list[str]], right: list[list[str]], weight: list[str]) -> dict[str, str]:
    """Shared, grouped, or mixed: from where an axis stands."""
    sources, targets = set(chain(*left)), set(chain(*right))
    roles: dict[str, str] = {}
    for name in chain(*left, *right):
        if name in sources and name in targets:
            roles[name] = "g" if name in weight else "s"
        elif name in weight:
            roles[name] = "m"
        elif name in sources:
            hint = f"it would be summed: put {name} into the weight to mix it, or into the output to keep it"
            raise call.error(f"axis {name} is only on the left", name, hint)
        else:
            raise call.error(f"output axis {name} comes from nowhere", name, f"put {name} into the weight", right=True)
    return roles


def _check_bias(call: _Call, right: list[list[str]], roles: dict[str, str]) -> None:
    bias = _flat_names(call, call.bias_shape or "", "bias")
    wanted = [name for name in chain(*right) if roles[name] != "s"]
    for name in bias:
        if name not in wanted:
            hint = f"write bias_shape={' '.join(wanted)!r}"
            raise call.error(f"roles cannot say a bias along {name}, where no weight is", name, hint, "bias")
    for name in wanted:
        if name not in bias:
            hint = f"write bias_shape={' '.join(wanted)!r}"
            raise call.error(f"roles cannot say a bias that is the same all along {name}", "", hint, "bias")


def _stem(name: str) -> str:
    """The axis that a name speaks of: h for hI, h0, hp and h_out; a name of its own for hw, hid, tokens."""
    short = re.match(r"([a-z])(?:[A-Z0-9_]\w*|[a-z]?)$", name)
    if short and not (len(name) == 2 and name[0] in _SPATIAL and name[1] in _SPATIAL):
        return short[1]
    return re.sub(r"(_(in|out|new)|\d+)$", "", name) or name


def _segments(groups: list[list[str]]) -> list[list[str]]:
    """Groups cut where one spatial axis ends and another begins: (h w) are two axes, (hI h) and (g c) one."""
    segments = []
    for group in groups:
        segment = group[:1]
        for before, name in pairwise(group):
            stems = _stem(before), _stem(name)
            if stems[0] != stems[1] and stems[1] in _SPATIAL and stems[0] in _SPATIAL:
                segments.append(segment)
                segment = []
            segment.append(name)
        segments.append(segment)
    return segments


def _title(segment: list[str]) -> str:
    """A name for an axis made of these parts."""
    stems = [_stem(name) for name in segment]
    if len(set(stems)) == 1:
        return re.sub("[^a-z0-9]", "", stems[0].lower()) or "x"
    for known in ("c", "t", *_SPATIAL):
        if known in stems:
            return known
    last = {name[-1] for name in segment}
    return last.pop() if len(last) == 1 and last <= {*_SPATIAL} else "c"


def _axes(
    left: list[list[str]], right: list[list[str]], roles: dict[str, str], sizes: dict[str, int]
) -> tuple[tuple[str, tuple[Factor, ...]], ...]:
    """The named axes, channels last, with their factors from the outside in.

    An axis of the input meets the one of the output that keeps a part of it; else one of like name; else the next
    that is left over. What is then alone has length 1 on the other side.
    """
    sources, targets = _segments(left), _segments(right)
    pairs: list[tuple[list[str], list[str]]] = []
    tests = (
        lambda source, target: set(source) & set(target),
        lambda source, target: _title(source) == _title(target),
        lambda source, target: True,
    )
    for test in tests:
        for source in list(sources):
            meeting = [target for target in targets if test(source, target)]
            if meeting:
                sources.remove(source)
                taken = meeting if test is tests[0] else meeting[:1]
                pairs.append((source, [name for target in taken for name in target]))
                targets = [target for target in targets if target not in taken]
    pairs += [(source, []) for source in sources] + [([], target) for target in targets]
    pairs = _united(pairs)
    order = {name: position for position, name in enumerate(chain(*left, *right))}
    pairs.sort(key=lambda pair: order[(pair[0] or pair[1])[0]])
    named: dict[str, tuple[Factor, ...]] = {}
    for source, target in pairs:
        title = _fresh(_title(source or target), named)
        named[title] = _factors(source, target, roles, sizes)
    return tuple(sorted(named.items(), key=lambda axis: _CHANNELS_LAST.get(axis[0], 50)))


def _united(pairs: list[tuple[list[str], list[str]]]) -> list[tuple[list[str], list[str]]]:
    """Pairs whose kept parts crossed over (an axis of the output drawing on two of the input) joined into one."""
    united: list[tuple[list[str], list[str]]] = []
    for source, target in pairs:
        for index, (other, kept) in enumerate(united):
            if set(source) & set(kept) or set(other) & set(target):
                united[index] = other + source, kept + target
                break
        else:
            united.append((source, target))
    return united


def _factors(source: list[str], target: list[str], roles: dict[str, str], sizes: dict[str, int]) -> tuple[Factor, ...]:
    """The factors of one axis: kept parts in the order of the input, what is mixed after the part it follows."""
    runs_in, runs_out = _mixed_runs(source, roles), _mixed_runs(target, roles)
    factors: list[Factor] = []
    for anchor in [None, *(name for name in source if roles[name] != "m")]:
        if anchor is not None:
            factors.append(Factor(roles[anchor], sizes[anchor], sizes[anchor]))
        size, out = (prod(sizes[name] for name in runs.get(anchor, ())) for runs in (runs_in, runs_out))
        factors.append(Factor("m", size, out))
    return tuple(factors)


def _mixed_runs(names: Sequence[str], roles: dict[str, str]) -> dict[str | None, list[str]]:
    """The mixed names, by the kept name before them."""
    runs: dict[str | None, list[str]] = {}
    anchor = None
    for name in names:
        if roles[name] == "m":
            runs.setdefault(anchor, []).append(name)
        else:
            anchor = name
    return runs


def write_einmix(mixer: Mixer, *, channels_first: bool = False, all_sizes: bool = True) -> dict[str, Any]:
    """EinMix's keyword arguments; with `channels_first` the input (not the output) has its channels before positions.

    Without `all_sizes` those that einops infers from the input are left out.
    """
    if mixer.layout:
        layout = mixer.layout
        bias = {} if layout.bias_shape is None else {"bias_shape": layout.bias_shape}
        return {"pattern": layout.pattern, "weight_shape": layout.weight_shape} | bias | dict(layout.sizes)
    parts = named_parts(mixer)
    flat = list(chain(*parts))
    if (count := len({"b", *(name for part in flat for name in part.names)})) > MAX_NAMES:
        hint = "permute its shared factors together first, as einmix.source does"
        raise PatternError(f"einops' EinMix knows {MAX_NAMES} axes, and {str(mixer)!r} needs {count}", hint=hint)
    grouped = [part.input for part in flat if part.factor.role == "g"]
    mixed = [part for part in flat if part.factor.role == "m"]
    weight = grouped + [p.input for p in mixed if p.input] + [p.output for p in mixed if p.output]
    left = parts[-1:] + parts[:-1] if channels_first else parts
    call: dict[str, Any] = {
        "pattern": f"b {side([p.input for p in axis] for axis in left)} -> "
        f"b {side([p.output for p in axis] for axis in parts)}",
        "weight_shape": " ".join(weight),
    }
    if mixer.bias:
        call["bias_shape"] = " ".join(part.output for part in flat if part.factor.role != "s" and part.output)
    return call | sizes_of(parts, all_sizes=all_sizes)


def sizes_of(parts: list[list[Part]], *, all_sizes: bool = True) -> dict[str, int]:
    """The sizes of the named parts; without `all_sizes` but for the one of an axis that einops can infer."""
    sizes: dict[str, int] = {}
    for axis in parts:
        inferred = not all_sizes and sum(part.factor.role == "s" for part in axis) == 1
        for part in axis:
            if not (inferred and part.factor.role == "s"):
                sizes |= {part.input: part.factor.size, part.output: part.factor.out}
    sizes.pop("", None)
    return sizes


@dataclass(frozen=True)
class Part:
    """A factor with its names in the pattern; an empty name where the factor has length 1 and need not be written."""

    factor: Factor
    input: str
    output: str

    @property
    def names(self) -> set[str]:
        return {self.input, self.output} - {""}


def named_parts(mixer: Mixer) -> list[list[Part]]:
    """Every factor of every axis with the names that it has in the pattern, all of them different."""
    used = {"b"}
    whole = {name for name, _ in mixer.axes}
    result = []
    for axis, found in mixer.axes:
        factors = found or (Factor("s", 1, 1),)
        several = {role: sum(f.role == role for f in factors) > 1 for role in "sgm"}
        parts = []
        for position, factor in enumerate(factors, start=1):
            number = str(position) if several[factor.role] else ""
            if factor.role == "m":
                alone = len(factors) == 1
                source = _fresh(f"{axis}{number}i", used | whole) if factor.size > 1 or alone else ""
                target = _fresh(f"{axis}{number}o", used | whole) if factor.out > 1 or alone else ""
            elif factor.role == "g" and len(factors) > 1:
                source = target = _fresh(("g" if axis == "c" else f"g{axis}") + number, used | whole)
            else:
                source = target = f"{axis}{number}" if not number else _fresh(f"{axis}{number}", used | whole)
            used |= {source, target}
            parts.append(Part(factor, source, target))
        result.append(parts)
    return result


def side(axes: Iterable[list[str]]) -> str:
    """One side of a pattern, after the batch."""
    groups = ([name for name in axis if name] for axis in axes)
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in groups if group)


def _fresh(name: str, used: Iterable[str]) -> str:
    """The name, or with the first letter that makes it new."""
    taken = set(used)
    while name in taken or iskeyword(name):
        name += "x"
    return name
