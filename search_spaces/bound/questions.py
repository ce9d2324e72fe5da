"""A space as primitive choices, for samplers such as Optuna's: named questions, each with its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from einmix import Architecture
from search_spaces.bound.networks import Letter, Macro

if TYPE_CHECKING:
    from search_spaces.bound.space import SearchSpace


Chooser = Callable[[str, Sequence[str]], str]
"""Answers a named question with one of its options; a name always comes with the same options."""


def choose(space: SearchSpace, chooser: Chooser) -> Architecture:
    """The architecture that the answers make. A question with one option is not asked."""

    def ask(name: str, options: Sequence[str]) -> str:
        return options[0] if len(options) == 1 else chooser(name, options)

    macro = _choose_macro(space, ask)
    alphabets = space.networks(macro).alphabets
    return space.assemble(macro, [each.choose(f"block{place}", ask) for place, each in enumerate(alphabets)])


def _choose_macro(space: SearchSpace, ask: Chooser) -> Macro:
    """Size by size, among the sizes at which there are networks."""
    left = space.macros
    for name, sizes in space.sizes.items():
        options = list(dict.fromkeys(str(getattr(macro, name)) for macro in left))
        answer = ask(_macro_question(name, sizes, options), options)
        left = [macro for macro in left if str(getattr(macro, name)) == answer]
    return left[0]


def encode(space: SearchSpace, macro: Macro, letters: Sequence[Letter]) -> dict[str, str]:
    """The answers that make the network."""
    known: dict[str, str] = {}
    for place, (alphabet, letter) in enumerate(zip(space.networks(macro).alphabets, letters, strict=True)):
        known |= alphabet.encode(f"block{place}", letter)
    asked: dict[str, str] = {}

    def answer(name: str, options: Sequence[str]) -> str:
        size = name.partition("@")[0]
        asked[name] = str(getattr(macro, size)) if size in space.sizes else known[name]
        return asked[name]

    choose(space, answer)
    return asked


def _macro_question(name: str, sizes: Sequence[object], options: Sequence[str]) -> str:
    return name if len(options) == len(sizes) else f"{name}@{'/'.join(options)}"
