"""From a network to those one step away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from search_spaces.blocks.letters import Alphabet, Letter
from search_spaces.bound.networks import Networks, Skeleton


def places_moved(alphabets: Sequence[Alphabet], letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    """One place of a network moved to a neighbour of what it holds."""
    for place, (alphabet, letter) in enumerate(zip(alphabets, letters, strict=True)):
        for moved in alphabet.moves(letter):
            yield (*letters[:place], moved, *letters[place + 1 :])


def sizes_moved(
    ordered: Mapping[str, Sequence[Any]],
    networks: Mapping[Skeleton, Networks],
    skeleton: Skeleton,
    letters: Sequence[Letter],
) -> Iterator[tuple[Skeleton, Sequence[Letter]]]:
    """The next smaller or larger of one size, with what stands in the blocks carried over as far as it fits."""
    for name, sizes in ordered.items():
        at = sizes.index(getattr(skeleton, name))
        for size in (*sizes[max(at - 1, 0) : at], *sizes[at + 1 : at + 2]):
            moved = replace(skeleton, **{name: size})
            if moved not in networks:
                continue
            for chosen, order in product(_deeper(letters, size) if name == "depth" else [letters], (1, -1)):
                pairs = zip(networks[moved].alphabets, chosen, strict=True)
                found = [next(alphabet.refitted(letter, order), None) for alphabet, letter in pairs]
                if None not in found:
                    yield moved, found


def _deeper(letters: Sequence[Letter], depth: int) -> Iterator[Sequence[Letter]]:
    """A block repeated in its place, or a run of blocks left out."""
    more = depth - len(letters)
    for i in range(len(letters) if more > 0 else depth + 1):
        yield (*letters[:i], *[letters[i]] * more, *letters[i:]) if more > 0 else (*letters[:i], *letters[i - more :])
