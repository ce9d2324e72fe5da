"""`nas spaces`: what there is to search, counted and listed."""

from itertools import islice
from typing import Annotated, Any

import typer

from einmix import Mixer
from nas.cli.terminal import AsJson, console_for, print_json
from nas.cli.typed import takes
from nas.errors import NasError, one_line
from nas.options.spaces import Spaces
from search_spaces import SPACES, BoundSpace
from search_spaces import load as load_space


@takes(Spaces, listing="data", n="data")
def spaces(
    asked: Spaces,
    name: Annotated[str | None, typer.Argument(help="A space by name, or a Python file that declares SPACE.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Its mixers, then its architectures, with EinMix lines.")] = (
        False
    ),
    n: Annotated[int, typer.Option("-n", min=0, help="How many of each to list; 0 for all.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The spaces with their exact counts, or what is in one of them.

    Example: nas spaces subgrid --list -n 5
    """
    from nas.data.known import shape_of

    if listing and name is None:
        raise NasError(f"--list needs the name of a space: {', '.join(SPACES)}, or the path of a .py file")
    shape, channels, classes = shape_of(asked.data, asked.data_dir)
    sizes: dict[str, Any] = {size: getattr(asked, size) for size in ("patch", "width", "depth", "ratio")}
    names = SPACES if name is None else [name]
    found = [load_space(each).on(shape, channels=channels, classes=classes, **sizes) for each in names]
    if listing:
        _list(found[0], n or None, as_json)
    elif as_json:
        for space in found:
            print_json(_space_json(space))
    else:
        _print_spaces(found, detailed=name is not None)


def _list(space: BoundSpace, n: int | None, as_json: bool) -> None:
    """Lazily: the first lines of the largest space come at once."""
    from einmix.networks.summary import einmix_line
    from nas.cli.tables import architecture_json, count, print_blocks

    if as_json:
        for letter in islice(space.letters(space.middle), n):
            if isinstance(letter, Mixer):
                costs = {"params": letter.params, "macs": letter.macs}
                print_json({"kind": "mixer", "text": str(letter), **costs, "einmix": einmix_line(letter)})
            else:
                print_json({"kind": "block", "text": str(letter)})
        for architecture in islice(space.enumerate(), n):
            print_json({"kind": "architecture"} | architecture_json(architecture))
        return
    grid = " ".join(f"{axis}={size}" for axis, size in space.grid(space.middle).items())
    print(f"blocks on {grid}: form, mixers" if space.facts()["forms"] else f"mixers on {grid}: text, costs, EinMix")
    for letter in islice(space.letters(space.middle), n):
        if isinstance(letter, Mixer):
            print(f"  {letter!s:36} {letter.params:9,} {letter.macs:11,}  {einmix_line(letter)}")
        else:
            print(f"  {letter}")
    print(f"architectures ({count(space.count())} in all): id, parameters, MACs; mixers")
    for architecture in islice(space.enumerate(), n):
        print(f"  {architecture.id} {architecture.params:9,} {architecture.macs:11,}")
        print_blocks(architecture)


def _space_json(space: BoundSpace) -> dict[str, Any]:
    least, most, fewest, largest = space.bounds()
    costs = {"architectures": space.count(), "params": [least, most], "macs": [fewest, largest]}
    facts, first, last = space.facts(), ("name", "summary"), ("families", "forms", "weights", "sizes")
    return {name: facts[name] for name in first} | costs | {name: facts[name] for name in last}


def _print_spaces(found: list[BoundSpace], *, detailed: bool) -> None:
    from nas.cli.grid import Column, Grid
    from nas.cli.tables import count
    from nas.ranking.words import short

    bounds = [space.bounds() for space in found]
    columns = [
        Column("space", [space.name for space in found], left=True),
        Column("architectures", [count(space.count()) for space in found]),
        Column("params", [f"{short(least)} – {short(most)}" for least, most, _, _ in bounds], goes=2),
        Column("MACs", [f"{short(fewest)} – {short(largest)}" for _, _, fewest, largest in bounds], goes=1),
        Column("what a block may do", [one_line(space.facts()["summary"]) for space in found], words=True),
    ]
    console_for().print(Grid(columns))
    for space in found if detailed else ():
        facts = space.facts()
        for family, patterns in facts["families"].items():
            print(f"family {family}: {' '.join(f'{axis}={pattern}' for axis, pattern in patterns.items())}")
        if facts["forms"]:
            print(f"forms: {', '.join(facts['forms'])}")
        if weights := facts["weights"]:
            ideas = facts["forms"] or facts["families"]
            print(f"weights: {', '.join(f'{name} {weights.get(name, 1)}' for name in ideas)}")
        for size, choices in space.sizes.items():
            print(f"{size}: {', '.join(map(str, choices))}")
        for note in space.primes():
            print(note)
