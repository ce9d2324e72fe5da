"""A space as primitive choices, for samplers such as Optuna's: named questions, each with its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from einmix import Architecture, Mixer
from einmix.factors import Factors
from search_spaces.networks import Macro, Networks

if TYPE_CHECKING:
    from search_spaces.search_space import SearchSpace

Chooser = Callable[[str, Sequence[str]], str]
"""Answers a named question with one of its options; a name always comes with the same options."""


def choose(space: SearchSpace, chooser: Chooser) -> Architecture:
    """The architecture that the answers make. A question with one option is not asked."""

    def ask(name: str, options: Sequence[str]) -> str:
        return options[0] if len(options) == 1 else chooser(name, options)

    macro = _choose_macro(space, ask)
    networks = space.networks(macro)
    return space.assemble(macro, [_choose_mixer(space, networks, block, ask) for block in range(macro.depth)])


def _choose_macro(space: SearchSpace, ask: Chooser) -> Macro:
    """Size by size, among the sizes at which there are networks."""
    left = space.macros
    for name, sizes in space.sizes.items():
        options = list(dict.fromkeys(str(getattr(macro, name)) for macro in left))
        answer = ask(_macro_question(name, sizes, options), options)
        left = [macro for macro in left if str(getattr(macro, name)) == answer]
    return left[0]


def _choose_mixer(space: SearchSpace, networks: Networks, block: int, ask: Chooser) -> Mixer:
    """A family, then every axis factor by factor, outer to inner."""
    mixers = networks.mixers
    names = [family.name for family in space.space.families]
    possible = frozenset[int]().union(*(families for families, _, _, _ in mixers.kinds))
    family = ask(_family_question(block, mixers.sizes), [names[i] for i in sorted(possible)])
    axes = []
    for axis, n in mixers.sizes.items():
        factors: Factors = ()
        while prod(factor.size for factor in factors) < n:
            options = {str(f): f for f in mixers.sets[axis].options(n, factors, names.index(family))}
            factors = (*factors, options[ask(_factor_question(block, family, f"{axis}={n}", factors), list(options))])
        axes.append((axis, factors))
    return Mixer(tuple(axes), mixers.bias)


def encode(space: SearchSpace, macro: Macro, mixers: Sequence[Mixer]) -> dict[str, str]:
    """The answers that make the network; a mixer of several families is said as one of the first."""
    known: dict[str, str] = {}
    grid = space.grid(macro)
    for block, mixer in enumerate(mixers):
        family = space.space.families[min(space.networks(macro).mixers.families(mixer))].name
        known[_family_question(block, grid)] = family
        for axis, factors in mixer.axes:
            for i, factor in enumerate(factors):
                known[_factor_question(block, family, f"{axis}={grid[axis]}", factors[:i])] = str(factor)
    asked: dict[str, str] = {}

    def answer(name: str, options: Sequence[str]) -> str:
        size = name.partition("@")[0]
        asked[name] = str(getattr(macro, size)) if size in space.sizes else known[name]
        return asked[name]

    choose(space, answer)
    return asked


def _macro_question(name: str, sizes: Sequence[int], options: Sequence[str]) -> str:
    return name if len(options) == len(sizes) else f"{name}@{'/'.join(options)}"


def _family_question(block: int, grid: Mapping[str, int]) -> str:
    return f"block{block}.family@{'x'.join(map(str, grid.values()))}"


def _factor_question(block: int, family: str, axis: str, before: Factors) -> str:
    return f"block{block}.{family}.{axis}.{'.'.join(map(str, before)) or 'first'}"
