"""From an EinMix call, as users have it in their code, to the axes of a mixer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from keyword import iskeyword
from math import prod
from typing import Any

from einmix.algebra.factors import MAX_SIZE, Axes, Factor, Factors
from einmix.algebra.names import Groups, NamedAxis, named_axes
from einmix.algebra.writing import MAX_NAMES
from einmix.errors import PatternError


@dataclass(frozen=True)
class Layout:
    """How a mixer was called in somebody's code: einops' pattern, weight and bias axes, and the sizes."""

    pattern: str
    weight_shape: str
    bias_shape: str | None
    sizes: tuple[tuple[str, int], ...]

    @property
    def call(self) -> dict[str, Any]:
        """EinMix's keyword arguments."""
        bias = {} if self.bias_shape is None else {"bias_shape": self.bias_shape}
        return {"pattern": self.pattern, "weight_shape": self.weight_shape} | bias | dict(self.sizes)

    def __str__(self) -> str:
        bias = "" if self.bias_shape is None else f", bias_shape={self.bias_shape!r}"
        sizes = "".join(f", {name}={size}" for name, size in self.sizes)
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


Reading = tuple[Axes, bool, Layout]
"""What a call says: the axes of its mixer, whether that has a bias, and how it was written."""


def read_einmix(call: Layout) -> Reading:
    """The reading of a call. Raises PatternError."""
    return _read(call)[0]


def read_turned(call: Layout) -> tuple[Reading, int]:
    """The reading, and a where the call puts its channels `(a b)` in the order `(b a)` as well, else 0.

    Raises PatternError.
    """
    try:
        return read_einmix(call), 0
    except PatternError as error:
        before, _, after = call.pattern.partition("->")
        for group in re.finditer(r"\(([^()]*)\)", after):  # as (a b), cut in all ways
            names = group[1].split()
            for a, b in ((names[cut:], names[:cut]) for cut in reversed(range(1, len(names)))):
                pattern = f"{before}->{after[: group.start()]}({' '.join(a + b)}){after[group.end() :]}"
                try:
                    reading, axes = _read(replace(call, pattern=pattern))
                except PatternError:
                    continue
                if any(axis.name == "c" and axis.target == a + b for axis in axes):
                    return reading, prod(dict(call.sizes)[name] for name in a)
        raise error


def layout_of(
    pattern: str, weight_shape: str, bias_shape: str | None, ellipsis: str | None, sizes: Mapping[str, int]
) -> Layout:
    """A call with plain spaces (einops knows no others), `...` written out. Raises PatternError."""
    texts = {"pattern": pattern, "weight": weight_shape, "bias": bias_shape, "ellipsis": ellipsis}
    for name, text in texts.items():
        if not isinstance(text, str | None) or (text is None and name in ("pattern", "weight")):
            hint = "as in 'b t c -> b t0 c', 't t0'"
            raise PatternError(f"pattern, weight, bias and ellipsis are texts, not {text!r}", hint=hint)
    pattern, weight_shape = re.sub(r"\s", " ", pattern), re.sub(r"\s", " ", weight_shape)
    bias_shape, ellipsis = (text if text is None else re.sub(r"\s", " ", text) for text in (bias_shape, ellipsis))
    return _written_out(Layout(pattern, weight_shape, bias_shape, tuple(sizes.items())), ellipsis)


def _written_out(call: Layout, ellipsis: str | None) -> Layout:
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


def _read(call: Layout) -> tuple[Reading, list[NamedAxis]]:
    """The reading, and its axes with the names of their parts."""
    sizes = dict(call.sizes)
    left, right = _sides(call)
    weight = _flat_names(call, call.weight_shape, "weight")
    roles = _roles(call, left, right, weight)
    bias = _bias(call, right, roles)
    batch = _batch(call, left, right, weight)
    _check_names(call, {*roles, batch})
    if set(roles) == {batch}:
        raise call.error("there is no axis besides the batch", "", "as in 'b t c -> b t0 c'")
    kept, wide = _kept_order(call, left, right), {name for name, size in sizes.items() if size > 1}
    left, right = ([rest for group in side if (rest := [n for n in group if n != batch])] for side in (left, right))
    axes = named_axes(left, right, kept, wide)
    for name, *ends in axes:
        if max(prod(sizes[part] for part in end) for end in ends) > MAX_SIZE:
            raise call.error(f"axis {name} has an impossible length", "", f"an axis is at most {MAX_SIZE} long")
    factors = tuple((axis.name, _factors(axis, roles, sizes)) for axis in axes)
    return (factors, bias, call), axes


def groups_of(pattern: str) -> tuple[Groups, Groups]:
    """The axes on both sides of a pattern, those in one pair of parentheses together.

    >>> groups_of("b (hi h) c -> b (ho h) c")
    ([['b'], ['hi', 'h'], ['c']], [['b'], ['ho', 'h'], ['c']])
    """
    return _sides(Layout(pattern, "", None, ()))


def _sides(call: Layout) -> tuple[Groups, Groups]:
    sides = call.pattern.split("->")
    if len(sides) != 2:
        raise call.error("a pattern has one '->'", "->", "write INPUT -> OUTPUT, as in 'b t c -> b t0 c'")
    return _groups(call, sides[0], right=False), _groups(call, sides[1], right=True)


def _groups(call: Layout, side: str, right: bool) -> Groups:
    """The axes of one side of the pattern, those in one pair of parentheses together."""
    groups: Groups = []
    inside = False

    def refused(fact: str, hint: str) -> PatternError:
        return call.error(fact, token, hint, right=right)

    for token in re.findall(r"[()]|[^\s()]+", side):
        if token in "()":
            if (token == "(") == inside:
                raise refused("parentheses do not match", "open and close each once, without nesting")
            inside = token == "("
            groups += [[]] * inside
            continue
        if token == "...":
            raise refused("roles cannot say '...'", "say which axes it stands for, as in ellipsis='h w', h=8, w=8")
        if token == "1":
            raise refused("roles cannot say an axis of length 1 without a name", "name it, give it size 1")
        if token.isdigit():
            raise refused(f"{token} has no name", f"name the axis and pass its size, as in n={token}")
        plain = token.isidentifier() and token.replace("_", "x").isalnum()
        if not plain or token.startswith("_") or token.endswith("_") or iskeyword(token):
            raise refused(f"{token!r} is no axis name", "letters, digits and inner underscores")
        groups[-1].append(token) if inside else groups.append([token])
    if inside:
        raise call.error("parentheses do not match", "(", "close what was opened", right=right)
    names = [*chain(*groups)]
    for token in names:
        if names.count(token) > 1:
            raise refused(f"axis {token} stands twice on one side", "give each its own name")
    return groups


def _flat_names(call: Layout, shape: str, where: str) -> list[str]:
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


def _batch(call: Layout, left: Groups, right: Groups, weight: list[str]) -> str:
    """The axis that is the batch: `b`, or else the only one without a size."""
    bare = [group[0] for group in left if len(group) == 1 and group in right and group[0] not in weight]
    names, sizes = dict.fromkeys(chain(*left, *right)), dict(call.sizes)
    missing = sorted((name for name in names if name not in sizes), key=lambda name: name in bare)
    batch = "b" if "b" in bare else missing[0] if len(missing) == 1 and missing[0] in bare else ""
    unused = [name for name in sizes if name not in names]
    for name in missing:
        if name != batch:
            hint = f"pass {name}=..." + (f", not {unused[0]}=..." if unused else "")
            raise call.error(f"the size of axis {name} is missing", name, hint)
    if not batch:
        hint = "put an axis without a size first on both sides, as in 'b t c -> b t0 c'"
        raise call.error("a batch axis is missing", call.pattern.split()[0], hint)
    return batch


def _check_names(call: Layout, known: set[str]) -> None:
    for name, size in call.sizes:
        if name not in known:
            hint = "drop it, or name the axis so"
            raise call.error(f"size {name}={size} is given for an axis that is not used", "", hint)
        if type(size) is not int or not 1 <= size <= MAX_SIZE:
            raise call.error(f"axis {name} cannot have size {size!r}", name, f"pass an integer from 1 to {MAX_SIZE}")
    if len(known) > MAX_NAMES:
        fact = f"einops' EinMix knows {MAX_NAMES} axes, and these are {len(known)}"
        raise call.error(fact, "", "write neighbours with the same role as one axis")


def _roles(call: Layout, left: Groups, right: Groups, weight: list[str]) -> dict[str, str]:
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


def _bias(call: Layout, right: Groups, roles: dict[str, str]) -> bool:
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


def _kept_order(call: Layout, left: Groups, right: Groups) -> list[str]:
    """The axes kept on both sides, in an order in which the groups of both sides are runs.

    Whole axes of a tensor in another order are another layout; axes that change places within one are another map.
    """
    kept = {*chain(*left)} & {*chain(*right)}
    runs = {name: [name] for name in chain(*left) if name in kept and (name, 1) not in call.sizes}
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


def _factors(axis: NamedAxis, roles: dict[str, str], sizes: dict[str, int]) -> Factors:
    """The factors of an axis: kept parts in the order of both sides, what is mixed after the part it follows."""
    kept = [name for name in axis.source if roles[name] != "m" and sizes[name] > 1]

    def mixed(names: list[str]) -> dict[str, int]:
        """The sizes that are mixed after each of the kept parts, and before the first."""
        found, after = dict.fromkeys(["", *kept], 1), ""
        for name in names:
            if roles[name] == "m":
                found[after] *= sizes[name]
            elif name in kept:
                after = name
        return found

    before, after = mixed(axis.source), mixed(axis.target)
    factors = [Factor("m", before[""], after[""])]
    for name in kept:
        factors += [Factor(roles[name], sizes[name], sizes[name]), Factor("m", before[name], after[name])]
    return tuple(factors)
