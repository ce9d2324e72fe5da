"""A space as primitive choices, for samplers such as Optuna's: named questions, each with its options."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.blocks.letters import Ask, Letter
from search_spaces.bound.networks import Networks, Skeleton

Sizes = Mapping[str, Sequence[Any]]
"""What networks of a space may differ in beside what their blocks hold, each with its options."""


def choose(sizes: Sizes, networks: Mapping[Skeleton, Networks], asked: Ask) -> tuple[Skeleton, list[Letter]]:
    """The sizes and letters that the answers make. A question with one option is not asked."""

    def ask(name: str, options: Sequence[str]) -> str:
        return options[0] if len(options) == 1 else asked(name, options)

    left = list(networks)
    for name, known in sizes.items():
        options = list(dict.fromkeys(str(getattr(skeleton, name)) for skeleton in left))
        answer = ask(name if len(options) == len(known) else f"{name}@{'/'.join(options)}", options)
        left = [skeleton for skeleton in left if str(getattr(skeleton, name)) == answer]
    alphabets = networks[left[0]].alphabets
    return left[0], [alphabet.choose(f"block{place}", ask) for place, alphabet in enumerate(alphabets)]


def encode(
    sizes: Sizes, networks: Mapping[Skeleton, Networks], skeleton: Skeleton, letters: Sequence[Letter]
) -> dict[str, str]:
    """The answers that make the network."""
    known: dict[str, str] = {}
    for place, (alphabet, letter) in enumerate(zip(networks[skeleton].alphabets, letters, strict=True)):
        known |= alphabet.encode(f"block{place}", letter)
    asked: dict[str, str] = {}

    def answer(name: str, options: Sequence[str]) -> str:
        size = name.partition("@")[0]
        asked[name] = str(getattr(skeleton, size)) if size in sizes else known[name]
        return asked[name]

    choose(sizes, networks, answer)
    return asked
