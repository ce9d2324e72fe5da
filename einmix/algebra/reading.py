"""Between mixers and EinMix calls: reads what users have in their code, and writes what einops accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from keyword import iskeyword
from math import prod

from einmix.algebra.factors import MAX_SIZE, Factor
from einmix.algebra.mixer import RESERVED, Layout, Mixer
from einmix.algebra.writing import MAX_NAMES, _fresh
from einmix.errors import PatternError

_CHANNELS_LAST = {"t": 0, "d": 1, "h": 2, "w": 3, "c": 99}


_SPATIAL = ("h", "w", "d")


_KNOWN = re.compile("[ct]|[dhw]+")


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
        whole = rf"(?<!\w){re.escape(token)}(?!\w)" if token.isidentifier() else re.escape(token)
        found = re.search(whole, text[start:]) if token else None
        span = (start + found.start(), start + found.end()) if found else (0, len(text))
        return PatternError(f"{fact}: {self}", text=text, token=span, hint=hint)


def read_einmix(
    pattern: str, weight_shape: str, bias_shape: str | None, ellipsis: str | None, sizes: dict[str, int]
) -> Mixer:
    """The mixer of an EinMix call; its layout keeps the call as it was written, with `...` written out."""
    return _read(_call(pattern, weight_shape, bias_shape, ellipsis, sizes))[0]


def read_turned(
    pattern: str, weight_shape: str, bias_shape: str | None, ellipsis: str | None, sizes: dict[str, int]
) -> tuple[Mixer, int]:
    """The mixer of an EinMix call, and a in whose `(a b)` its channels are put in the order `(b a)` after it, else 0.

    Raises PatternError for what is not exactly this pair.
    """
    call = _call(pattern, weight_shape, bias_shape, ellipsis, sizes)
    try:
        return _read(call)[0], 0
    except PatternError as error:
        for outer, inner, pattern in _turned(call):
            try:
                mixer, outputs = _read(replace(call, pattern=pattern))
            except PatternError:
                continue
            if outputs.get("c") == outer + inner:
                return mixer, prod(sizes[name] for name in outer)
        raise error


def _turned(call: _Call) -> Iterator[tuple[list[str], list[str], str]]:
    """What stands in b and in a, for all ways to see a group of the output as `(a b)`; the pattern with `(b a)`."""
    before, _, after = call.pattern.partition("->")
    for group in re.finditer(r"\(([^()]*)\)", after):
        names = group[1].split()
        for inner, outer in ((names[:cut], names[cut:]) for cut in reversed(range(1, len(names)))):
            turned = f"({' '.join(outer + inner)})"
            yield outer, inner, f"{before}->{after[: group.start()]}{turned}{after[group.end() :]}"


def _call(
    pattern: str, weight_shape: str, bias_shape: str | None, ellipsis: str | None, sizes: dict[str, int]
) -> _Call:
    """The call with plain spaces (einops knows no others), `...` written out."""
    texts = {"pattern": pattern, "weight": weight_shape, "bias": bias_shape, "ellipsis": ellipsis}
    for name, text in texts.items():
        if not isinstance(text, str | None) or (text is None and name in ("pattern", "weight")):
            hint = "as in 'b t c -> b t0 c', 't t0'"
            raise PatternError(f"pattern, weight, bias and ellipsis are texts, not {text!r}", hint=hint)
    pattern, weight_shape = re.sub(r"\s", " ", pattern), re.sub(r"\s", " ", weight_shape)
    bias_shape, ellipsis = (text if text is None else re.sub(r"\s", " ", text) for text in (bias_shape, ellipsis))
    return _written_out(_Call(pattern, weight_shape, bias_shape, dict(sizes)), ellipsis)


def _written_out(call: _Call, ellipsis: str | None) -> _Call:
    """The call with the axes that `...` stands for in its place; refused as einops refuses it."""
    if ellipsis is None:
        return call
    dots = r"(?<![^\s()])\.\.\.(?![^\s()])"
    before, _, after = call.pattern.partition("->")
    if len(re.findall(dots, before)) != 1 or len(re.findall(dots, after)) != 1:
        raise call.error(f"there is no '...' on both sides for ellipsis={ellipsis!r}", "...", "write it once on each")
    if re.search(rf"\([^()]*{dots}", before):
        raise call.error("'...' stands in parentheses on the left", "...", "einops takes it on the right only")
    biased = (call.bias_shape or "").split()
    for name in re.findall(r"[^\s()]+", re.split(dots, after)[0]):
        if name in biased:
            raise call.error(f"bias axis {name} stands before '...'", name, "einops takes it behind", right=True)
    for name in re.findall(r"[^\s()]+", ellipsis):
        if name in (*call.weight_shape.split(), *biased):
            raise call.error(f"axis {name} is one of '...' and in the weight or bias", "...", "write it out")
    return replace(call, pattern=re.sub(dots, lambda _: ellipsis, call.pattern))


def _read(call: _Call) -> tuple[Mixer, dict[str, list[str]]]:
    """The mixer, and the names that make up its output, by axis."""
    left, right = _sides(call)
    weight = _flat_names(call, call.weight_shape, "weight")
    roles = _roles(call, left, right, weight)
    bias = _bias(call, right, roles)
    batch = _batch(call, left, right, weight)
    _check_names(call, {*roles, batch})
    if set(roles) == {batch}:
        raise call.error("there is no axis besides the batch", "", "as in 'b t c -> b t0 c'")
    order = _kept_order(call, left, right)
    left, right = ([[name for name in group if name != batch] for group in side] for side in (left, right))
    axes = _axes([group for group in left if group], [group for group in right if group], order, call.sizes)
    for name, *ends in axes:
        if max(prod(call.sizes[part] for part in end) for end in ends) > MAX_SIZE:
            raise call.error(f"axis {name} has an impossible length", "", f"an axis is at most {MAX_SIZE} long")
    factors = ((name, _factors(source, target, roles, call.sizes)) for name, source, target in axes)
    layout = Layout(call.pattern, call.weight_shape, call.bias_shape, tuple(call.sizes.items()))
    return Mixer(tuple(factors), bias, layout), {name: target for name, _, target in axes}


def groups_of(pattern: str) -> tuple[list[list[str]], list[list[str]]]:
    """The axes on both sides of a pattern, those in one pair of parentheses together.

    >>> groups_of("b (hi h) c -> b (ho h) c")
    ([['b'], ['hi', 'h'], ['c']], [['b'], ['ho', 'h'], ['c']])
    """
    return _sides(_Call(pattern, "", None, {}))


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
            hint = "say which axes it stands for, as in ellipsis='h w', h=8, w=8"
            raise call.error("roles cannot say '...'", token, hint, right=right)
        if token == "1":
            raise call.error(
                "roles cannot say an axis of length 1 without a name", token, "name it, give it size 1", right=right
            )
        if token.isdigit():
            raise call.error(
                f"{token} has no name", token, f"name the axis and pass its size, as in n={token}", right=right
            )
        plain = token.isidentifier() and token.replace("_", "x").isalnum()
        if not plain or token.startswith("_") or token.endswith("_") or iskeyword(token):
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
    """The axis that is the batch: `b`, or else the only one without a size."""
    bare = [group[0] for group in left if len(group) == 1 and group in right and group[0] not in weight]
    names = dict.fromkeys(chain(*left, *right))
    missing = sorted((name for name in names if name not in call.sizes), key=lambda name: name in bare)
    batch = "b" if "b" in bare else missing[0] if len(missing) == 1 and missing[0] in bare else ""
    unused = [name for name in call.sizes if name not in names]
    for name in missing:
        if name != batch:
            hint = f"pass {name}=..." + (f", not {unused[0]}=..." if unused else "")
            raise call.error(f"the size of axis {name} is missing", name, hint)
    if not batch:
        hint = "put an axis without a size first on both sides, as in 'b t c -> b t0 c'"
        raise call.error("a batch axis is missing", call.pattern.split()[0], hint)
    return batch


def _check_names(call: _Call, known: set[str]) -> None:
    for name, size in call.sizes.items():
        if name not in known:
            hint = "drop it, or name the axis so"
            raise call.error(f"size {name}={size} is given for an axis that is not used", "", hint)
        if type(size) is not int or not 1 <= size <= MAX_SIZE:
            raise call.error(f"axis {name} cannot have size {size!r}", name, f"pass an integer from 1 to {MAX_SIZE}")
    if len(known) > MAX_NAMES:
        fact = f"einops' EinMix knows {MAX_NAMES} axes, and these are {len(known)}"
        raise call.error(fact, "", "write neighbours with the same role as one axis")


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
    for name in weight:
        if name not in roles:
            raise call.error(f"weight axis {name} is in neither input nor output", name, "drop it", "weight")
    return roles


def _bias(call: _Call, right: list[list[str]], roles: dict[str, str]) -> bool:
    """Whether there is a bias; it has one number for each index of the grouped and mixed axes of the output."""
    if call.bias_shape is None:
        return False
    bias = _flat_names(call, call.bias_shape, "bias")
    wanted = [name for name in chain(*right) if roles[name] != "s"]
    hint = f"write bias_shape={' '.join(wanted)!r}"
    for name in bias:
        if name not in chain(*right):
            raise call.error(f"bias axis {name} is not in the output", name, hint, "bias")
        if name not in wanted:
            raise call.error(f"roles cannot say a bias along {name}, where no weight is", name, hint, "bias")
    for name in wanted:
        if name not in bias:
            raise call.error(f"roles cannot say a bias that is the same all along {name}", "", hint, "bias")
    return True


def _stem(name: str) -> str:
    """The axis that a name speaks of: h for hI, h0, hp, h_out, gh and kh; a name of its own for hw, hid, tokens."""
    if re.fullmatch(r"[ct][a-z]|[dhw][a-ce-gi-vx-z]|[a-z][iog]|[a-z][A-Z0-9_]\w*", name):
        return name[0]
    if re.fullmatch(r"[a-z][dhw]\d*", name) and name[0] not in _SPATIAL:
        return name[1]
    return re.sub(r"\d*(_(in|out|new|i|o|g))?$", "", name) or name


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
    """A name for an axis made of these parts, where they tell one."""
    stems = list(dict.fromkeys(map(_stem, segment)))
    for known in ("c", "t", *_SPATIAL):
        if known in stems and len(stems) > 1:
            return known
    return re.sub("[^a-z0-9]", "", stems[0].lower()).lstrip("0123456789") if len(stems) == 1 else ""


def _titles(pairs: list[tuple[list[str], list[str]]]) -> list[str]:
    """A name for every axis: a usual one that its input or output tells, c for channels that are cut and not named."""
    choices = [(_title(source), _title(target)) for source, target in pairs]
    usual = [next(filter(_KNOWN.fullmatch, both), "") for both in choices]
    titles: list[str] = []
    for (source, target), title in zip(choices, usual, strict=True):
        cut = not (source and target) and "c" not in (*usual, *titles)
        titles.append(_fresh(title or ("c" if cut else source or target or "x"), {*titles, *RESERVED}))
    return titles


def _kept_order(call: _Call, left: list[list[str]], right: list[list[str]]) -> list[str]:
    """The axes kept on both sides, in an order in which the groups of both sides are runs.

    Whole axes of a tensor in another order are another layout; axes that change places within one are another map.
    """
    kept = {*chain(*left)} & {*chain(*right)}
    runs = {name: [name] for name in chain(*left) if name in kept and call.sizes.get(name) != 1}
    for group in left + right:
        for name, following in pairwise(name for name in group if name in runs):
            run, rest = runs[name], runs[following]
            if run is rest and following in run[run.index(name) + 1 :][:1]:
                continue
            if run is rest or run[-1] != name or rest[0] != following:
                before, after = (" ".join(text.split()) for text in call.pattern.split("->"))
                flat = " ".join(chain(*right))
                fact = f"roles cannot say a permutation, and {name} {following} stand together on the right only"
                hint = f"write '{before} -> {flat}', then Rearrange('{flat} -> {after}') or, for channels, a shuffle"
                raise call.error(fact, following, hint, right=True)
            run += rest
            runs |= dict.fromkeys(rest, run)
    return list(dict.fromkeys(chain(*runs.values())))


def _axes(
    left: list[list[str]], right: list[list[str]], order: list[str], sizes: dict[str, int]
) -> list[tuple[str, list[str], list[str]]]:
    """The named axes, channels last, each with its parts in the input and in the output from the outside in.

    Tokens are cut into positions where these then stand as they stood in the call; else they are one axis.
    """
    axes = _named(_pairs(_segments(left), _segments(right)), [*chain(*left, *right)], order)
    for end, groups in enumerate((left, right), start=1):
        wide = [name for axis in axes for name in axis[end] if sizes[name] > 1]
        for group in groups:
            names = [name for name in group if sizes[name] > 1]
            if names and names != wide[wide.index(names[0]) :][: len(names)]:
                return _named(_pairs(left, right), [*chain(*left, *right)], order)
    return axes


Pair = tuple[list[list[str]], list[list[str]]]
"""Pieces of the input and of the output that are one axis."""


def _pairs(sources: list[list[str]], targets: list[list[str]]) -> list[Pair]:
    """Every piece of one side with those of the other.

    A piece of the input meets the one of the output that keeps a part of it; else one of like name; else the next
    that is left over. What is then alone has length 1 on the other side.
    """
    sources, targets = list(sources), list(targets)
    pairs: list[Pair] = []
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
                pairs.append(([source], taken))
                targets = [target for target in targets if target not in taken]
    return _united(pairs + [([source], []) for source in sources] + [([], [target]) for target in targets])


def _united(pairs: list[Pair]) -> list[Pair]:
    """Pairs whose kept parts crossed over (a piece of the output drawing on two of the input) joined into one."""
    united: list[Pair] = []
    for source, target in pairs:
        for other in [pair for pair in united if {*chain(*pair[0], *pair[1])} & {*chain(*source, *target)}]:
            united.remove(other)
            source, target = other[0] + source, other[1] + target
        united.append((source, target))
    return united


def _named(pairs: list[Pair], names: list[str], order: list[str]) -> list[tuple[str, list[str], list[str]]]:
    """Pairs with a name each, channels last, and their pieces in the order of what they keep."""

    def place(piece: list[str]) -> int:
        return next((order.index(name) for name in piece if name in order), len(order))

    ends = [([*chain(*sorted(ins, key=place))], [*chain(*sorted(outs, key=place))]) for ins, outs in pairs]
    ends.sort(key=lambda end: names.index((end[0] or end[1])[0]))
    named = [(title, source, target) for title, (source, target) in zip(_titles(ends), ends, strict=True)]
    return sorted(named, key=lambda axis: _CHANNELS_LAST.get(axis[0], 50))


def _factors(source: list[str], target: list[str], roles: dict[str, str], sizes: dict[str, int]) -> tuple[Factor, ...]:
    """The factors of one axis: kept parts in the order of both sides, what is mixed after the part it follows."""
    kept = [name for name in source if roles[name] != "m" and sizes[name] > 1]
    runs_in, runs_out = _mixed_runs(source, kept, roles), _mixed_runs(target, kept, roles)
    factors: list[Factor] = []
    for anchor in [None, *kept]:
        if anchor is not None:
            factors.append(Factor(roles[anchor], sizes[anchor], sizes[anchor]))
        size, out = (prod(sizes[name] for name in runs.get(anchor, ())) for runs in (runs_in, runs_out))
        factors.append(Factor("m", size, out))
    return tuple(factors)


def _mixed_runs(names: list[str], kept: list[str], roles: dict[str, str]) -> dict[str | None, list[str]]:
    """The mixed names, by the kept name before them."""
    runs: dict[str | None, list[str]] = {}
    anchor: str | None = None
    for name in names:
        if roles[name] == "m":
            runs.setdefault(anchor, []).append(name)
        elif name in kept:
            anchor = name
    return runs
