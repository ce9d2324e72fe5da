"""A space over given data: counted by arithmetic, listed lazily, sampled uniformly, walked step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import chain, combinations, product
from math import log, prod
from random import Random

from einmix import Activation, Architecture, Block, Factor, FactorSet, Linear, Mix, Mixer, Norm, Stage
from einmix.factors import Factors, divisors, pick
from search_spaces.errors import SpaceError
from search_spaces.moves import moves
from search_spaces.space import Space

Chooser = Callable[[str, Sequence[str]], str]
"""Answers a named question with one of its options; a name always comes with the same options."""

MAX_TRIES = 100_000


@dataclass(frozen=True)
class Macro:
    """The sizes of a network, without its mixers."""

    patch: int
    width: int
    depth: int
    ratio: int


@dataclass(frozen=True)
class Budget:
    """Limits on parameters and on multiply-accumulates an image, both ends included."""

    min_params: int = 0
    max_params: int | None = None
    max_macs: int | None = None

    def admits(self, params: int, macs: int) -> bool:
        return (
            params >= self.min_params
            and (self.max_params is None or params <= self.max_params)
            and (self.max_macs is None or macs <= self.max_macs)
        )

    def __str__(self) -> str:
        params = f"{self.min_params:,} to {self.max_params:,}" if self.max_params else f"at least {self.min_params:,}"
        return f"{params} parameters" + (f", at most {self.max_macs:,} MACs" if self.max_macs else "")


class _Mixers:
    """The mixers of all families on axes of given sizes, by which families accept them and which axes they mix."""

    def __init__(self, space: Space, sizes: tuple[tuple[str, int], ...]):
        self.sizes = dict(sizes)
        self.bias = space.bias
        self.sets = {axis: FactorSet(*(family.pattern(axis) for family in space.families)) for axis in self.sizes}
        profiles = {axis: self.sets[axis].profiles(n) for axis, n in self.sizes.items()}
        self.classes: Counter[tuple[frozenset[int], ...]] = Counter()
        accepting = [Counter[frozenset[int]]() for _ in self.sizes]
        for total, found in zip(accepting, profiles.values(), strict=True):
            for (accepted, _, _), n in found.items():
                total[accepted] += n
        for chosen in product(*(total.items() for total in accepting)):
            if frozenset.intersection(*(accepted for accepted, _ in chosen)):
                self.classes[tuple(accepted for accepted, _ in chosen)] = prod(n for _, n in chosen)
        self.coverage, self.extremes = self._summarise(profiles)

    def _summarise(
        self, profiles: Mapping[str, Counter[tuple[frozenset[int], int, int]]]
    ) -> tuple[Counter[frozenset[str]], dict[frozenset[str], tuple[int, int, int, int]]]:
        """By the set of spatial axes mixed: how many mixers; the least and most parameters and multiply-accumulates."""
        cells: list[list[tuple[frozenset[int], bool, int, list[tuple[int, int]]]]] = []
        for axis, found in profiles.items():
            groups: dict[tuple[frozenset[int], bool], list[tuple[int, int, int]]] = {}
            for (accepted, grouped, mixed), n in found.items():
                groups.setdefault((accepted, mixed > 1 and axis != "c"), []).append((grouped, mixed, n))
            cells.append([(*key, sum(n for _, _, n in members), _outer(members)) for key, members in groups.items()])
        coverage: Counter[frozenset[str]] = Counter()
        extremes: dict[frozenset[str], tuple[int, int, int, int]] = {}
        positions = prod(self.sizes.values())
        for chosen in product(*cells):
            if not frozenset.intersection(*(cell[0] for cell in chosen)):
                continue
            covered = frozenset(axis for axis, cell in zip(self.sizes, chosen, strict=True) if cell[1])
            coverage[covered] += prod(cell[2] for cell in chosen)
            for corner in product(*(cell[3] for cell in chosen)):
                grouped, mixed = prod(g for g, _ in corner), prod(m for _, m in corner)
                params, macs = grouped * mixed * (mixed + self.bias), positions * mixed
                low, high, less, more = extremes.get(covered, (params, params, macs, macs))
                extremes[covered] = min(low, params), max(high, params), min(less, macs), max(more, macs)
        return coverage, extremes

    def families(self, mixer: Mixer) -> frozenset[int]:
        """The indices of the families that the mixer belongs to."""
        if mixer.bias != self.bias or mixer.inputs != self.sizes or list(mixer.inputs) != list(self.sizes):
            return frozenset()
        return frozenset.intersection(*(self.sets[axis].accepting(factors) for axis, factors in mixer.axes))

    def sample(self, rng: Random) -> Mixer:
        accepted = pick(rng, self.classes)
        return Mixer(
            tuple(
                (axis, self.sets[axis].sample(n, rng, a))
                for (axis, n), a in zip(self.sizes.items(), accepted, strict=True)
            ),
            self.bias,
        )

    def enumerate(self) -> Iterator[Mixer]:
        def extend(axes: list[str], alive: frozenset[int] | None) -> Iterator[tuple[tuple[str, Factors], ...]]:
            if not axes:
                yield ()
                return
            for factors in self.sets[axes[0]].enumerate(self.sizes[axes[0]]):
                accepted = self.sets[axes[0]].accepting(factors)
                still = accepted if alive is None else alive & accepted
                if still:
                    for rest in extend(axes[1:], still):
                        yield ((axes[0], factors), *rest)

        for chosen in extend(list(self.sizes), None):
            yield Mixer(chosen, self.bias)


class SearchSpace:
    """A `Space` on inputs of one shape: what every strategy works with.

    Architectures are distinct; those in which no block mixes along one of the spatial axes are left out.
    """

    def __init__(
        self, space: Space, shape: dict[str, int], *, channels: int, classes: int, sizes: dict[str, tuple[int, ...]]
    ):
        self.space, self.shape, self.channels, self.classes, self.sizes = space, shape, channels, classes, sizes
        self.macros = [Macro(*chosen) for chosen in product(*(sizes[n] for n in ("patch", "width", "depth", "ratio")))]
        self._mixers_at = lru_cache(maxsize=None)(lambda sizes: _Mixers(space, sizes))

    def grid(self, macro: Macro) -> dict[str, int]:
        """The sizes of the axes in the blocks: positions, then channels."""
        return {axis: n // macro.patch for axis, n in self.shape.items()} | {"c": macro.width}

    def _mixers(self, macro: Macro) -> _Mixers:
        return self._mixers_at(tuple(self.grid(macro).items()))  # type: ignore[no-any-return]

    def _to_cover(self, macro: Macro) -> frozenset[str]:
        return frozenset(axis for axis, n in self.grid(macro).items() if axis != "c" and n > 1)

    def count(self) -> int:
        """The exact number of architectures, by arithmetic."""
        return sum(self._counts.values())

    @cached_property
    def _counts(self) -> dict[Macro, int]:
        return {macro: self._count(macro) for macro in self.macros}

    def _count(self, macro: Macro) -> int:
        """By inclusion and exclusion over the sets of axes that no block mixes."""
        coverage, axes = self._mixers(macro).coverage, sorted(self._to_cover(macro))
        return sum(
            (-1) ** len(missed) * sum(n for covered, n in coverage.items() if covered.isdisjoint(missed)) ** macro.depth
            for missed in chain.from_iterable(combinations(axes, k) for k in range(len(axes) + 1))
        )

    def bounds(self) -> tuple[int, int, int, int]:
        """The least and most parameters, and the least and most multiply-accumulates, exact.

        Raises SpaceError where the space is empty.
        """
        found = [bounds for macro in self.macros if (bounds := self._bounds(macro))]
        if not found:
            raise SpaceError(
                f"space {self.space.name!r} holds no network that mixes along all of {' '.join(self.shape)}"
            )
        return min(b[0] for b in found), max(b[1] for b in found), min(b[2] for b in found), max(b[3] for b in found)

    @cache  # noqa: B019  # a space lives as long as its search
    def _bounds(self, macro: Macro) -> tuple[int, int, int, int] | None:
        """Block by block over the sets of axes mixed so far."""
        extremes = self._mixers(macro).extremes
        params, macs = self._base_cost(macro)
        best: dict[frozenset[str], tuple[int, int, int, int]] = {frozenset(): (params, params, macs, macs)}
        for _ in range(macro.depth):
            after: dict[frozenset[str], tuple[int, int, int, int]] = {}
            for (covered, sums), (more, ends) in product(best.items(), extremes.items()):
                a, b, c, d = (x + y for x, y in zip(sums, ends, strict=True))
                e, f, g, h = after.get(covered | more, (a, b, c, d))
                after[covered | more] = min(a, e), max(b, f), min(c, g), max(d, h)
            best = after
        return best.get(self._to_cover(macro))

    def sample(self, rng: Random, budget: Budget | None = None) -> Architecture:
        """One architecture, uniformly among all (among those within the budget, by rejection).

        Raises SpaceError where nothing, or next to nothing, is within the budget.
        """
        possible = self.check(budget)
        for _ in range(MAX_TRIES):
            macro = pick(rng, possible)
            mixers = self._mixers(macro)
            chosen = [mixers.sample(rng) for _ in range(macro.depth)]
            if self._covers(macro, chosen) and (budget is None or budget.admits(*self._cost(macro, chosen))):
                return self._assemble(macro, chosen)
        raise SpaceError(
            f"fewer than one in {MAX_TRIES:,} architectures of {self.space.name!r} have {budget}: widen it"
        )

    def check(self, budget: Budget | None) -> dict[Macro, int]:
        """The macro sizes that can meet the budget, with their counts. Raises SpaceError where none can."""
        least, most, less, more = self.bounds()
        if budget is None:
            return self._counts
        possible = {
            macro: count
            for macro, count in self._counts.items()
            if (b := self._bounds(macro))
            and budget.min_params <= b[1]
            and (budget.max_params is None or b[0] <= budget.max_params)
            and (budget.max_macs is None or b[2] <= budget.max_macs)
        }
        if not possible:
            raise SpaceError(
                f"no architecture of space {self.space.name!r} has {budget}: "
                f"they have {least:,} to {most:,} parameters and {less:,} to {more:,} MACs"
            )
        return possible

    def share(self, budget: Budget, rng: Random, tries: int = 2000) -> float:
        """The estimated share of all architectures that are within the budget."""
        hits = 0
        for _ in range(tries):
            arch = self.sample(rng)
            hits += budget.admits(arch.params, arch.macs)
        return hits / tries

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, lazily."""
        for macro in self.macros:
            for chosen in self._sequences(macro, macro.depth):
                if self._covers(macro, chosen):
                    yield self._assemble(macro, chosen)

    def _sequences(self, macro: Macro, depth: int) -> Iterator[tuple[Mixer, ...]]:
        if depth == 0:
            yield ()
            return
        for first in self._mixers(macro).enumerate():
            for rest in self._sequences(macro, depth - 1):
                yield (first, *rest)

    def mixers(self, macro: Macro) -> Iterator[Mixer]:
        """Every mixer that a block of these sizes may have, lazily."""
        return self._mixers(macro).enumerate()

    def __contains__(self, arch: Architecture) -> bool:
        macro = self.macro(arch)
        if macro is None:
            return False
        mixers = arch.mixers
        return (
            all(self._mixers(macro).families(mixer) for mixer in mixers)
            and self._covers(macro, mixers)
            and self._assemble(macro, mixers) == arch
        )

    def macro(self, arch: Architecture) -> Macro | None:
        """The sizes of an architecture made of this space's blocks, None for any other."""
        first = arch.stages[0]
        widths = first.embed.outputs
        hidden = next((n.out for block in first.blocks for branch in block for n in branch if isinstance(n, Linear)), 0)
        axis = next(iter(self.shape))
        if len(arch.stages) > 1 or axis not in widths or dict(arch.inputs) != self.shape | {"c": self.channels}:
            return None
        macro = Macro(self.shape[axis] // widths[axis], widths["c"], len(first.blocks), hidden // widths["c"])
        return macro if macro in self.macros else None

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """The architectures of the space one step away, each once.

        A step changes one factor's role, splits or merges factors, moves a size between two, or takes the next
        larger or smaller patch, width, depth or ratio (mixers are carried over as far as they fit).
        """
        macro = self.macro(arch)
        if macro is None:
            return []
        found: dict[str, Architecture] = {}
        for candidate in chain(self._mixer_moves(macro, arch.mixers), self._macro_moves(macro, arch.mixers)):
            if candidate != arch and candidate in self:
                found[candidate.id] = candidate
        return list(found.values())

    def _mixer_moves(self, macro: Macro, mixers: tuple[Mixer, ...]) -> Iterator[Architecture]:
        for position, mixer in enumerate(mixers):
            for index, (axis, factors) in enumerate(mixer.axes):
                for moved in moves(factors):
                    axes = (*mixer.axes[:index], (axis, moved), *mixer.axes[index + 1 :])
                    changed = Mixer(axes, mixer.bias)
                    yield self._assemble(macro, (*mixers[:position], changed, *mixers[position + 1 :]))

    def _macro_moves(self, macro: Macro, mixers: tuple[Mixer, ...]) -> Iterator[Architecture]:
        for name in ("patch", "width", "depth", "ratio"):
            sizes = sorted(self.sizes[name])
            at = sizes.index(getattr(macro, name))
            for size in sizes[max(at - 1, 0) : at] + sizes[at + 1 : at + 2]:
                moved = Macro(**{**vars(macro), name: size})
                if name == "depth":
                    longer = [(*mixers, *[mixer] * (size - macro.depth)) for mixer in dict.fromkeys(mixers)]
                    for chosen in longer if size > macro.depth else combinations(mixers, size):
                        yield self._assemble(moved, chosen)
                else:
                    fitted = [self._refit(mixer, self.grid(moved)) for mixer in mixers]
                    for chosen in zip(*fitted, strict=False):
                        yield self._assemble(moved, chosen)

    def _refit(self, mixer: Mixer, sizes: Mapping[str, int]) -> list[Mixer]:
        """The mixer on axes of other lengths: an axis scaled in one of its factors, or all in its largest role."""
        options: list[list[tuple[str, Factors]]] = []
        for axis, factors in mixer.axes:
            old, new = prod(f.size for f in factors), sizes[axis]
            scaled = [] if new != old else [factors]
            for i, factor in enumerate(factors) if new != old else ():
                size = factor.size * new
                if size % old == 0:
                    scaled.append((*factors[:i], Factor(factor.role, size // old, size // old), *factors[i + 1 :]))
            if not scaled:
                role = max(factors, key=lambda f: f.size).role if factors else "s"
                scaled = [(Factor(role, new, new),)]
            options.append([(axis, each) for each in scaled])
        return [Mixer(tuple(axes), mixer.bias) for axes in product(*options)]

    def choose(self, choose: Chooser) -> Architecture:
        """An architecture from the answers to named questions, each with its options: how samplers see the space.

        A question with one option is not asked. The answers can make a network that the space leaves out because it
        never mixes along an axis: ask `in`.
        """

        def ask(name: str, options: Sequence[str]) -> str:
            return options[0] if len(options) == 1 else choose(name, options)

        macro = Macro(**{name: int(ask(name, [str(n) for n in sizes])) for name, sizes in self.sizes.items()})
        mixers = self._mixers(macro)
        grid = self.grid(macro)
        chosen = []
        for block in range(macro.depth):
            names = [f.name for f in self.space.families]
            possible = [name for i, name in enumerate(names) if any(all(i in a for a in key) for key in mixers.classes)]
            family = ask(f"block{block}.family@{_key(grid)}", possible)
            axes = []
            for axis, n in grid.items():
                factors: Factors = ()
                while prod(f.size for f in factors) < n:
                    options = mixers.sets[axis].options(n, factors, names.index(family))
                    before = ".".join(map(str, factors)) or "first"
                    answer = ask(f"block{block}.{family}.{axis}{n}.{before}", [str(factor) for factor in options])
                    factors = (*factors, next(factor for factor in options if str(factor) == answer))
                axes.append((axis, factors))
            chosen.append(Mixer(tuple(axes), self.space.bias))
        return self._assemble(macro, chosen)

    def encode(self, arch: Architecture) -> dict[str, str]:
        """The answers that make an architecture; `decode` takes them back. Raises SpaceError outside the space."""
        macro = self.macro(arch)
        if macro is None or arch not in self:
            raise SpaceError(f"architecture {arch.id} is not in space {self.space.name!r}")
        answers: dict[str, str] = {}

        def answer(name: str, options: Sequence[str]) -> str:
            if name in self.sizes:
                answers[name] = str(getattr(macro, name))
            else:
                block, kind, *rest = name.removeprefix("block").split(".")
                mixer = arch.mixers[int(block)]
                if kind.startswith("family@"):
                    index = min(self._mixers(macro).families(mixer))
                    answers[name] = self.space.families[index].name
                else:
                    factors = dict(mixer.axes)[rest[0].rstrip("0123456789")]
                    answers[name] = str(factors[0 if rest[1] == "first" else len(rest) - 1])
            return answers[name]

        self.choose(answer)
        return answers

    def decode(self, answers: Mapping[str, str]) -> Architecture:
        """The architecture that `encode` was given. Raises SpaceError where an answer is missing or is no option."""

        def answer(name: str, options: Sequence[str]) -> str:
            if answers.get(name) not in options:
                raise SpaceError(f"{name} is one of {', '.join(options)}, not {answers.get(name)!r}")
            return answers[name]

        return self.choose(answer)

    @property
    def middle(self) -> Macro:
        """The sizes that references and default budgets are taken at: nearest to 64 positions, then the middle ones."""
        patch = min(self.sizes["patch"], key=lambda p: abs(log(prod(n // p for n in self.shape.values()) / 64)))
        middles = {name: sorted(sizes)[(len(sizes) - 1) // 2] for name, sizes in self.sizes.items()}
        return Macro(**middles | {"patch": patch})

    def references(self, macro: Macro) -> dict[str, Architecture]:
        """What a found network has to beat at its own sizes: everything mixed, only channels mixed, small patches.

        The last is missing where no axis has a factor (a prime number of positions).
        """
        grid = self.grid(macro)
        full = {axis: f"m{n}" for axis, n in grid.items() if axis != "c"}
        small = {axis: _nearest_root(n) for axis, n in grid.items() if axis != "c"}
        local = {axis: f"s{n // small[axis]}.m{small[axis]}" for axis, n in grid.items() if axis != "c"}

        def same(terms: Mapping[str, str]) -> Architecture:
            text = " ".join(f"{axis}={term}" for axis, term in terms.items())
            return self._assemble(macro, [Mixer.parse(f"{text} c=s{macro.width} +b")] * macro.depth)

        references = {"full token mixing": same(full), "channels only": self._assemble(macro, [])}
        return references | ({"shared local": same(local)} if any(k > 1 for k in small.values()) else {})

    def _covers(self, macro: Macro, mixers: Sequence[Mixer]) -> bool:
        return self._to_cover(macro) <= frozenset[str]().union(*(mixer.mixed for mixer in mixers))

    def _cost(self, macro: Macro, mixers: Sequence[Mixer]) -> tuple[int, int]:
        params, macs = self._base_cost(macro)
        return params + sum(m.params for m in mixers), macs + sum(m.macs for m in mixers)

    @cache  # noqa: B019
    def _base_cost(self, macro: Macro) -> tuple[int, int]:
        """Parameters and multiply-accumulates of everything but the mixers."""
        without = self._assemble(macro, [])
        return without.params + 2 * macro.width * macro.depth, without.macs

    def _assemble(self, macro: Macro, mixers: Sequence[Mixer]) -> Architecture:
        """The network of these mixers; without any, its blocks have their channel MLP alone."""
        mlp = (Norm(), Linear(macro.width * macro.ratio), Activation(), Linear(macro.width))
        blocks: list[Block] = [((Norm(), Mix(mixer)), mlp) for mixer in mixers] or [(mlp,)] * macro.depth
        embed = " ".join(
            [f"{axis}=s{n // macro.patch}.m{macro.patch}:1" for axis, n in self.shape.items()]
            + [f"c=m{self.channels}:{macro.width}", "+b"]
        )
        inputs = (*self.shape.items(), ("c", self.channels))
        return Architecture(inputs, (Stage(Mixer.parse(embed), tuple(blocks)),), self.classes)


def _outer(members: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Of (grouped, mixed) products those at which parameters or multiply-accumulates can be least or most."""
    points = {(g, m) for g, m, _ in members}

    def beats(a: tuple[int, int], b: tuple[int, int], sign: int) -> bool:
        x, y = (a[0] * a[1] ** 2, a[0] * a[1], a[1]), (b[0] * b[1] ** 2, b[0] * b[1], b[1])
        return x != y and all(sign * i <= sign * j for i, j in zip(x, y, strict=True))

    return [p for p in points if any(not any(beats(q, p, sign) for q in points) for sign in (1, -1))]


def _nearest_root(n: int) -> int:
    """The divisor between 1 and n nearest to the root of n, or 1 for a prime."""
    inner = divisors(n)[1:-1]
    return min(inner, key=lambda d: abs(log(d * d / n))) if inner else 1


def _key(grid: Mapping[str, int]) -> str:
    return "x".join(map(str, grid.values()))
