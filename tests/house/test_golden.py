"""What must not change while files move: as the code of commit f1a3960 made it, kept in `golden/`, a file a section.

`python tests/house/test_golden.py` says what differs; with `--write` it writes the files anew, which is for a change
that is meant, and is told in CHANGELOG.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from importlib.metadata import version
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
import torch

from einmix import Architecture, PatternError, build, source
from nas.cli.main import main
from nas.ranking.objectives import parse_objectives
from nas.runs.result import Result
from nas.strategies import make_strategy
from search_spaces import Budget, SpaceError, load
from search_spaces.zoo import ZOO, Inputs

FOLDER = Path(__file__).parent / "golden"

LIBRARIES = ("optuna", "typer", "rich")
"""What golden texts also depend on; with another version of one the sections that show it prove nothing."""

Lines = list[str]
Cases = dict[str, Callable[[], Iterable[str]]]


def brief(lines: Iterable[str], first: int = 6) -> Lines:
    """The first lines, and a hash of all: enough to see what differs, and that nothing else does."""
    every = list(lines)
    digest = hashlib.sha256("\n".join(every).encode()).hexdigest()[:16]
    return [*every[:first], f"{len(every)} in all, sha256 {digest}"]


# Sizes of networks and spaces

SHAPES = {
    "images": ({"h": 8, "w": 8}, 1, 10),
    "colour": ({"h": 32, "w": 32}, 3, 100),
    "oblong": ({"h": 12, "w": 28}, 3, 7),
    "series": ({"t": 40}, 1, 10),
    "volumes": ({"d": 8, "h": 8, "w": 8}, 2, 5),
}
SPACES = ("grouped", "local", "subgrid", "per_channel", "mixed", "roles", "macro")

DRAWN = {"oblong": SPACES, "series": SPACES[:-1], "volumes": ("local", "mixed")}  # the others take half a second each


def costs(architecture: Architecture) -> str:
    return f"{architecture.id} {architecture.params} {architecture.macs}"


def sized(name: str) -> Iterator[str]:
    """A member of the zoo at its published sizes, and on inputs of every shape."""
    found = ZOO[name]
    yield from (f"{variant}: {costs(found.published(variant))}" for variant in found.variants)
    for where, (shape, channels, classes) in SHAPES.items():
        for width, depth in ((16, 2), (24, 3)):
            try:
                made = costs(found.at(Inputs(shape, channels, classes), patch=2, width=width, depth=depth))
            except (SpaceError, PatternError) as error:
                made = str(error).splitlines()[0]
            yield f"{where} {width} {depth}: {made}"


@cache
def space_on(name: str, where: str):
    shape, channels, classes = SHAPES[where]
    return load(name).on(shape, channels=channels, classes=classes)


def counted(name: str) -> Iterator[str]:
    for where in SHAPES if name != "macro" else ("oblong", "series"):  # the others take seconds
        space = space_on(name, where)
        yield f"{where}: {space.count()} {' '.join(map(str, space.bounds()))}; {space.sizes}"
        yield from space.primes()


def halved(space) -> Budget:
    """A budget of about the lower half of a space's parameters."""
    least, most, _, largest = space.bounds()
    return Budget(least, (least + most) // 2, largest)


def drawn(name: str, where: str) -> Iterator[str]:
    """Fifty draws, as they come, and in a budget; the answers of the first; what is next to it; a list's beginning."""
    space = space_on(name, where)
    rng = Random(1)
    found = [space.sample(rng) for _ in range(50)]
    yield from brief(map(costs, found))
    rng = Random(2)
    yield from brief(costs(space.sample(rng, halved(space), weighted=False)) for _ in range(50))
    yield from (f"{question} {answer}" for question, answer in space.encode(found[0]).items())
    yield from brief(sorted(each.id for each in space.neighbours(found[0])))
    yield from brief(each.id for each, _ in zip(space.enumerate(), range(30), strict=False))


# Strategies

SEARCHED = {  # a strategy, a space with its sizes, objectives
    "random": ("random", "mixed", {}, "accuracy"),
    "random over forms": ("random", "macro", {"width": (8,), "depth": (2,)}, "accuracy"),
    "random to the last": ("random", "local", {"patch": (2,), "width": (8,), "depth": (1,)}, "accuracy"),
    "exhaustive": ("exhaustive", "grouped", {"width": (8,), "depth": (2,)}, "loss"),
    "tpe": ("tpe", "mixed", {}, "accuracy"),
    "tpe by loss": ("tpe", "subgrid", {"width": (16,)}, "loss"),
    "tpe along a front": ("tpe", "roles", {"width": (8,), "depth": (2,)}, "accuracy,macs"),
    "tpe over forms": ("tpe", "macro", {"width": (8,), "depth": (2,)}, "accuracy"),
    "fast-tpe": ("fast-tpe", "mixed", {}, "accuracy"),
    "fast-tpe by loss": ("fast-tpe", "subgrid", {"width": (16,)}, "loss"),
    "fast-tpe along a front": ("fast-tpe", "roles", {"width": (8,), "depth": (2,)}, "accuracy,params,macs"),
    "fast-tpe over forms": ("fast-tpe", "macro", {"width": (8,), "depth": (2,)}, "accuracy"),
}


def result_of(architecture: Architecture, number: int) -> Result:
    """A made-up result, the same for an architecture wherever it is asked for; some are failed or pruned."""
    state = "failed" if number % 11 == 7 else "pruned" if number % 5 == 3 else "complete"
    accuracy = int(architecture.id[:4], 16) / 0x10000
    score = {"epoch": 1 if state == "pruned" else 2, "loss": 3 - 2 * accuracy, "accuracy": accuracy}
    line = {"architecture": {}, "id": architecture.id, "lr": 0.01, "seed": 0, "epochs": 2, "phase": "search"}
    line |= {"label": "", "params": architecture.params, "macs": architecture.macs, "number": number, "state": state}
    line |= {"scores": [] if state == "failed" else [score], "train_loss": [], "seconds": 1.0, "test": None}
    return Result.from_line(line | {"reason": "", "traceback": "", "extra": {}})


@cache
def small(name: str, **sizes: tuple[int, ...]):
    return load(name).on({"h": 8, "w": 8}, channels=1, classes=10, **sizes)


def proposed(name: str) -> Iterator[str]:
    """Proposals, each told before the next; then those after a kill, and some that are asked for without a result."""
    strategy, space_name, sizes, objectives = SEARCHED[name]
    space = small(space_name, **sizes)

    def make():
        made = parse_objectives(objectives)
        return make_strategy(strategy, space, halved(space), seed=3, objectives=made)

    first, again = make(), make()
    told = []
    for number in range(24):
        if (architecture := first.ask()) is None:
            break
        first.tell(architecture, result_of(architecture, number))
        told.append(architecture)
    yield from brief((each.id for each in told), first=12)
    for number, architecture in enumerate(told[:20]):
        again.tell(architecture, result_of(architecture, number))
    for architecture in told[20:22]:
        again.expect(architecture)
    yield "gone on: " + " ".join(each.id if each else "none" for each in (again.ask() for _ in range(6)))


def proposed_after_many(name: str) -> Iterator[str]:
    """Proposals after as many results of an earlier session as make a strategy forget some."""
    space, rng = small("mixed", width=(8,), depth=(2,)), Random(6)
    made = make_strategy(name, space, Budget(), seed=4, objectives=parse_objectives("accuracy"))
    for number in range(220):
        architecture = space.sample(rng)
        made.tell(architecture, result_of(architecture, number))
    yield " ".join(each.id if each else "none" for each in (made.ask() for _ in range(6)))


# The command line


def nas(line: str) -> Iterator[str]:
    """What a command prints, run in this process in an empty folder; its status behind it, where it is not 0."""
    out, err = io.StringIO(), io.StringIO()
    terminal = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    status: object = 0
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(out), redirect_stderr(err):
        Path("space.py").write_text("print('hello')\nraise ValueError('not today')\n")
        Path("none.py").write_text("SPACE = 3\n")
        started = patch.object(sys.modules["__main__"], "__package__", None)  # else usage begins with python -m pytest
        with patch.dict(os.environ, terminal), patch.object(sys, "argv", ["nas", *shlex.split(line)]), started:
            try:
                main()
            except SystemExit as leave:
                status = leave.code or 0
    yield from out.getvalue().splitlines()
    yield from (f"stderr: {each}" for each in err.getvalue().splitlines())
    if status:
        yield f"status {status}"


COMMANDS = (
    "",
    "search",
    "spaces",
    "top",
    "show",
    "export",
    "train",
    "compare",
    "zoo",
    "zoo show",
    "zoo export",
    "draw",
)

ONE = "search --dry-run --device cpu --workers 1 --trials 2"
DRY = (
    "",
    "--space local --width 8 --depth 1",
    "--space macro --width 16 --depth 2 --images 200 --batch 32",
    "--space mixed --strategy fast-tpe --seed 7 --draw ideas",
    "--objective accuracy,macs --patch 1,2 --max-params 20000",
    "--start mixer,gmlp --no-prune --epochs 3",
    "--data mnist1d --space grouped --images 500 --strategy random --json",
    "--min-params 1000 --max-macs 200000 --lr 0.01 --weight-decay 0.1 --label-smoothing 0.1 --augment none",
    "--run mine --top 1 --seeds 2 --minutes 5 --ratio 1,2",
)
LISTS = (
    "spaces",
    "spaces --json",
    "spaces per_channel --data cifar10",
    "spaces mixed --data mnist1d",
    "zoo",
    "zoo --json",
)
LISTED = ("subgrid", "roles --data volumes --width 8", "mixed --data mnist1d --json --patch 2", "macro")

REFUSED = (
    *(f"search --dry-run --device cpu --{wrong}" for wrong in (
        "trials 0", "trials many", "top 0", "seeds 0", "seeds 1000", "seed -1", "seed 2147483648", "workers -1",
        "workers 5000", "max-params 0", "min-params -1", "max-macs 0", "images 0", "minutes 0", "gpus-per-trial 0.5",
        "gpus-per-trial 0", "ray ''", "ray local --workers 0", "min-params 9 --max-params 8", "epochs 0", "lr 0",
        "lr nan", "batch 0", "weight-decay -1", "label-smoothing 1", "augment flip", "width 0", "width 3,a", "patch 3",
        "patch 1x2x4", "patch x", "depth 300", "ratio 0", "draw forms", "objective macs", "objective accuracy,accuracy",
        "objective acuracy", "strategy tpee", "space subgird", "space none.py", "space space.py", "space gone.py",
        "data cifar11", "data gone.npz", "device gpu", "start mixr", "max-params 10", "log wand", "sped 3",
    )),
    "serach", "spaces --list", "spaces mixd", "spaces subgrid --patch 3", "spaces subgrid -n -1 --list", "top gone",
    "top", "show gone 1", "export gone --top 1", "train gone 1 --epochs 0", "train gone 1 --seeds 0", "compare gone",
    "compare gone --match size", "compare gone --seeds 0", "compare gone --lrs a", "compare gone --budget 0",
    "zoo mixr", "zoo mixer:s/17", "zoo mixer/s/16", "zoo fnet:x", "zoo mixer:s/16 --width 8", "zoo mixer --width 7",
    "zoo mixer --width 0", "zoo mixer --shape 8x8x8x8x8", "zoo mixer --shape 8xa",
    "zoo mixer --data digits --shape 8x8x1",
    "zoo mixer --patch 3", "zoo vip --depth 0", "zoo mixer --classes 0", "zoo mixer --patch a",
)  # fmt: skip

# Texts of modules

SHOWN = ("mixer", "vip --width 8", "hire --shape 8x12x3 --width 8", "gmlp --data mnist1d", "maxim --json", "hire:tiny")


def text_of(name: str) -> Iterator[str]:
    """The texts of four draws of a space, and of the networks that they are, built again."""
    space, rng = space_on(name, "oblong"), Random(4)
    for _ in range(4):
        architecture = space.sample(rng)
        text = source(architecture, {"title": "a draw", "what": "x\ny"})
        parameters = ", ".join(f"{name} {tuple(each.shape)}" for name, each in build(architecture).named_parameters())
        yield " ".join([architecture.id, *brief(text.splitlines(), 0), *brief(parameters.split(", "), 0)])


def zoo_text(name: str) -> Iterator[str]:
    for where, (shape, channels, classes) in SHAPES.items():
        try:
            architecture = ZOO[name].at(Inputs(shape, channels, classes), patch=2, width=16, depth=2)
        except (SpaceError, PatternError):
            continue
        lines = [*source(architecture).splitlines(), *architecture.redundancies(), *architecture.untouched()]
        yield " ".join([where, architecture.id, *brief([*lines, architecture.to_json()], 0)])


@cache
def networks() -> dict[str, dict]:
    """Networks as JSON, of every kind of node with every option, and of branches in any order within each other."""
    found: dict[str, dict] = json.loads((FOLDER / "networks.json").read_text())
    return found


def of_nodes(name: str) -> Iterator[str]:
    """What the networks are whose names begin so: costs, JSON, text, reach."""
    for title, value in networks().items():
        if title.startswith(name):
            architecture = Architecture.from_json(json.dumps(value))
            reach = str(architecture.reach().matrix().astype(int).tolist())
            notes = "\n".join([*architecture.redundancies(), *map(str, architecture.mixers)])
            texts = {"json": architecture.to_json(), "text": source(architecture), "reach": reach, "notes": notes}
            found = [f"{what} {hashlib.sha256(text.encode()).hexdigest()[:8]}" for what, text in texts.items()]
            yield f"{title}: {costs(architecture)} {' '.join(found)}"


def whole_text() -> Iterator[str]:
    yield from source(space_on("macro", "series").sample(Random(5))).splitlines()


# All of it


def through(function: Callable[..., Iterable[str]], *arguments: str) -> Callable[[], Iterable[str]]:
    return lambda: function(*arguments)


def commands(lines: Iterable[str], before: str = "", first: int | None = None) -> Cases:
    """What commands print: all of it, or its beginning and a hash."""
    every = {line: " ".join(filter(None, [before, line])) for line in lines}
    if first is None:
        return {name: through(nas, line) for name, line in every.items()}
    return {name: lambda line=line: brief(nas(line), first) for name, line in every.items()}


SECTIONS: dict[str, Cases] = {
    "zoo": {name: through(sized, name) for name in ZOO},
    "counts": {name: through(counted, name) for name in SPACES},
    "draws": {f"{name} {where}": through(drawn, name, where) for where, names in DRAWN.items() for name in names},
    "strategies": {name: through(proposed, name) for name in SEARCHED}
    | {f"{name} after many": through(proposed_after_many, name) for name in ("tpe", "fast-tpe")},
    "help": {command: through(nas, f"{command} --help".strip()) for command in COMMANDS},
    "runs": commands(DRY, ONE),
    "lists": commands(LISTS) | commands(f"spaces {each} --list -n 4" for each in LISTED),
    "refused": commands(REFUSED),
    "texts": {f"draws of {name}": through(text_of, name) for name in SPACES}
    | {f"{name} of the zoo": through(zoo_text, name) for name in ZOO}
    | commands(SHOWN[:3], "zoo show")
    | commands(SHOWN[3:], "zoo show", 12)
    | {"a draw of macro": whole_text},
    "nodes": {name: through(of_nodes, name) for name in ("line", "image", "volume", "branches")},
}
"""What is kept, by section and name; made when it is called."""

SHOWS = {"strategies": ("optuna",), "help": ("typer",), "refused": ("typer",), "lists": ("rich",), "runs": ("optuna",)}
"""The libraries that a section's lines depend on."""


def made(section: str, name: str) -> Lines:
    """The lines of a case, made by the code as it is."""
    return list(SECTIONS[section][name]())


@cache
def kept(section: str) -> dict[str, Lines]:
    """The lines of a section as they were; none before they are written."""
    path = FOLDER / f"{section}.json"
    found: dict[str, Lines] = json.loads(path.read_text()) if path.exists() else {}
    return found


def versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES} | {"instructions": torch.backends.cpu.get_cpu_capability()}


def shown_by(section: str, name: str) -> tuple[str, ...]:
    """What a case's lines depend on: where Optuna's TPE has several best candidates, the last bit chooses."""
    by_rounding = section == "strategies" and name.startswith("tpe")
    return SHOWS.get(section, ()) + (("instructions",) if by_rounding else ())


def known(section: str) -> Lines:
    """The cases that are kept; what was added since, such as a member of the zoo, is kept once it is written."""
    return [name for name in SECTIONS[section] if name in kept(section)]


EVERY = [(section, name) for section in SECTIONS for name in known(section)]


def differences() -> Lines:
    """The cases that are not what they were."""
    return [f"{section}: {name}" for section, name in EVERY if made(section, name) != kept(section)[name]]


def write() -> None:
    """Makes the files anew."""
    FOLDER.mkdir(exist_ok=True)
    for section, cases in SECTIONS.items():
        lines = {name: made(section, name) for name in cases}
        (FOLDER / f"{section}.json").write_text(json.dumps(lines, indent=0, ensure_ascii=False) + "\n")
    (FOLDER / "versions.json").write_text(json.dumps(versions()) + "\n")


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_nothing_else_changes(section, name):
    then, now = json.loads((FOLDER / "versions.json").read_text()), versions()
    for each in shown_by(section, name):
        if then[each] != now[each]:
            pytest.skip(f"made with {each} {then[each]}, not {now[each]}")
    assert made(section, name) == kept(section)[name]


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_that_is_kept_is_passed_over(section):
    assert list(kept(section)) == known(section) != []


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        print("\n".join(found := differences()) or "nothing differs")
        sys.exit(bool(found))
