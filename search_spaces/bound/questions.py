"""A space as primitive choices, for samplers such as Optuna's: named questions, each with its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from einmix import Architecture
from search_spaces.bound.networks import Letter, Skeleton

if TYPE_CHECKING:
    from search_spaces.bound.space import BoundSpace


Ask = Callable[[str, Sequence[str]], str]
"""Answers a named question with one of its options; a name always comes with the same options."""


def choose(space: BoundSpace, chooser: Ask) -> Architecture:
    """The architecture that the answers make. A question with one option is not asked."""

    def ask(name: str, options: Sequence[str]) -> str:
        return options[0] if len(options) == 1 else chooser(name, options)

    skeleton = _choose_skeleton(space, ask)
    alphabets = space.networks(skeleton).alphabets
    return space.assemble(skeleton, [each.choose(f"block{place}", ask) for place, each in enumerate(alphabets)])


def _choose_skeleton(space: BoundSpace, ask: Ask) -> Skeleton:
    """Size by size, among the sizes at which there are networks."""
    left = space.skeletons
    for name, sizes in space.sizes.items():
        options = list(dict.fromkeys(str(getattr(skeleton, name)) for skeleton in left))
        answer = ask(_size_question(name, sizes, options), options)
        left = [skeleton for skeleton in left if str(getattr(skeleton, name)) == answer]
    return left[0]


def encode(space: BoundSpace, skeleton: Skeleton, letters: Sequence[Letter]) -> dict[str, str]:
    """The answers that make the network."""
    known: dict[str, str] = {}
    for place, (alphabet, letter) in enumerate(zip(space.networks(skeleton).alphabets, letters, strict=True)):
        known |= alphabet.encode(f"block{place}", letter)
    asked: dict[str, str] = {}

    def answer(name: str, options: Sequence[str]) -> str:
        size = name.partition("@")[0]
        asked[name] = str(getattr(skeleton, size)) if size in space.sizes else known[name]
        return asked[name]

    choose(space, answer)
    return asked


def _size_question(name: str, sizes: Sequence[object], options: Sequence[str]) -> str:
    return name if len(options) == len(sizes) else f"{name}@{'/'.join(options)}"
