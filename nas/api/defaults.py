"""What is taken where nothing is asked."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from statistics import quantiles

from einmix import Architecture, PatternError
from nas.data.dataset import Dataset, ranges
from nas.data.known import load, place_of
from nas.data.sources import Source
from nas.errors import NasError
from nas.exports.preprocessing import Preprocessing
from nas.options.search import Search
from nas.training.recipe import LARGE
from search_spaces import BoundSpace, Budget, Space, SpaceError
from search_spaces.sizing.scaling import NEAR, Target, nearest_member
from search_spaces.zoo import Inputs, member

BAND = 2
"""Candidates have from 1 / BAND of the largest parameter count to all of it: patterns are compared, not sizes."""

RUNGS = (50,)
"""Rungs, in percent of all epochs: earlier ones stop what is best on some data (docs/log.md)."""

CPU_IMAGES = 10_000
"""Training images that a search on the CPU takes of a larger data set."""

SEEDS, FEW_SEEDS = 5, 3
"""Seeds of the finals, and those where a training takes long."""

LITTLE, ENOUGH = 0.001, 0.1
"""A share of the space that a default budget should not fall below, and one at which it is wide enough."""

WIDER = (
    ("max_params",),
    ("max_macs",),
    ("min_params",),
    ("max_params", "min_params"),
    ("max_params", "max_macs"),
    ("max_params", "min_params", "max_macs"),
)
"""Options that widen a budget together, in the order in which they are tried."""


def starting(name: str, space: BoundSpace, budget: Budget) -> Architecture:
    """A network to start with, by its JSON text or by its name in the zoo.

    Of the zoo it is the largest that is in the space and the budget, or one of about its size. Raises SpaceError for an
    unknown name, and where it cannot be built on the data.
    """
    inputs = Inputs(space.shape, space.channels, space.classes)
    if name.startswith("{"):
        architecture = Architecture.from_json(name)
        if (dict(architecture.inputs), architecture.classes) != (space.shape | {"c": space.channels}, space.classes):
            raise NasError(
                f"network {architecture.id} cannot start a search on other data: its inputs or classes differ"
            )
        return architecture
    found = member(name)
    inside = []
    for patch, width, depth in product(*(space.sizes[size] for size in ("patch", "width", "depth"))):
        with suppress(SpaceError, PatternError):
            architecture = found.at(inputs, patch=patch, width=width, depth=depth)
            if budget.admits(architecture.params, architecture.macs) and architecture in space:
                inside.append(architecture)
    if inside:
        return max(inside, key=lambda architecture: architecture.params)
    middle = space.middle
    most = budget.max_params or space.references(middle)["full token mixing"].params
    target = Target("params", round((1 - NEAR) * most))
    return nearest_member(found, inputs, target, patch=middle.patch, depth=middle.depth)


def preprocessing(dataset: Dataset) -> Preprocessing:
    """How raw inputs become those that a network was trained on."""
    takes = ranges(dataset.train.x, dataset.white)
    return Preprocessing(takes, dataset.names, dataset.mean, dataset.std, dataset.noun)


def default_seeds(dataset: Dataset) -> int:
    """How many seeds there are where nobody says it."""
    return FEW_SEEDS if len(dataset.train) >= LARGE else SEEDS


def load_data(name: str | Source, data_dir: Path, seed: int, images: int | None, device: str) -> Dataset:
    """The data; of a large set on the CPU as many training images as a search needs."""
    return load(name, data_dir=data_dir, seed=seed, limit=images or (CPU_IMAGES if device == "cpu" else None))


def path_text(data: str | Source) -> str | None:
    """The absolute path of data that is named by its path, as a setting."""
    place = place_of(data)
    return None if place is None else str(place)


def bind(declared: Space, options: Search, dataset: Dataset) -> BoundSpace:
    """The space on the shape of the data, with the sizes that were asked for."""
    if options.draw is not None:
        declared = declared.drawn(options.draw)
    sizes = {name: getattr(options, name) for name in ("patch", "width", "depth", "ratio")}
    return declared.on(dataset.shape, channels=dataset.channels, classes=dataset.classes, **sizes)


def budget_band(space: BoundSpace, options: Search) -> Budget:
    """One band of sizes: from half the largest parameter count to all of it.

    The largest is as asked, else that of full token mixing at the space's middle sizes, which then also bounds the
    multiply-accumulates (to twice its own). A band that would be empty gives way below. Raises SpaceError.
    """
    budget = asked_band(space, options)
    if options.min_params is None:
        try:
            space.sample(Random(0), budget)
        except SpaceError:
            budget = replace(budget, min_params=0)
    space.check(budget)
    return budget


def asked_band(space: BoundSpace, options: Search) -> Budget:
    """The band that is asked for, be it empty or not."""
    reference = space.references(space.middle)["full token mixing"]
    least, most, fewest, _ = space.bounds()
    max_params, max_macs = options.max_params, options.max_macs
    if max_params is None:
        max_params = max(reference.params, least) if options.min_params is None else None
        max_macs = max_macs or max(BAND * reference.macs, fewest)
    min_params = options.min_params
    if min_params is None:
        assert max_params is not None
        min_params = min(max_params, most) // BAND
    return Budget(min_params, max_params, max_macs)


def rungs(epochs: int, percent: Sequence[int] = RUNGS) -> tuple[int, ...]:
    """The epochs at which candidates are compared: shares of all, rounded down to at least one."""
    return tuple(sorted({max(1, epochs * share // 100) for share in percent} - {epochs}))


def widening(space: BoundSpace, options: Search, share: float) -> str:
    """The options that would widen a default budget that leaves next to nothing, this share, of a space; else empty.

    Of the options that were not given the first that leave a tenth, else those that leave most.
    """
    if share >= LITTLE:
        return ""
    drawn = space.costs(Random(options.seed), 200)
    params, macs = zip(*drawn, strict=True)
    most = {"max_params": params, "max_macs": macs}
    limits = {name: quantiles(costs, n=4, method="inclusive")[-1] for name, costs in most.items()}
    limits["min_params"] = quantiles(params, n=4, method="inclusive")[0]
    best = ""
    for names in WIDER:
        wider = {name: round(limits[name]) for name in names}
        if all(getattr(options, name) is None for name in names) and share < ENOUGH:
            with suppress(SpaceError, NasError):
                budget = asked_band(space, replace(options, **wider))
                found = sum(budget.admits(*costs) for costs in drawn) / len(drawn)
                if found > max(2 * share, LITTLE):
                    share = found
                    best = " ".join(f"--{name.replace('_', '-')} {limit}" for name, limit in wider.items())
                    best += f" leaves about {100 * share:.2g}%"
    return best
