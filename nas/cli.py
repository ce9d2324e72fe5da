"""The command line: parses what was typed, calls one function, prints what it gave."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from einmix import Architecture, Mixer, PatternError
from nas.__main__ import INTERRUPTED, STOPPED
from nas.errors import NasError, counted, one_line
from nas.options import Options
from nas.terminal import (
    AsJson,
    Data,
    DataDir,
    RunsDir,
    console_for,
    patch_of_text,
    print_json,
    print_words,
    shape_of,
    typed,
)
from nas.zoo_commands import app as zoo
from search_spaces import SPACES, BoundSpace, SpaceError
from search_spaces import load as load_space
from search_spaces.blocks.patch import Patch

if TYPE_CHECKING:
    from nas.api.compare import Compared, Comparison
    from nas.api.run import Run
    from nas.api.search import Session
    from nas.ranking.objectives import Objective
    from nas.ranking.standings import Standing
    from nas.runs.folder import RunFolder
    from nas.runs.result import Result

app = typer.Typer(name="nas", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(zoo, name="zoo")

UNFINISHED = 1
"""The exit status of a search that could not bring some trainings to an end, and says so."""

RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, or the path of its directory.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="An architecture's rank, as in 1, or its id, or four letters of that.")
]
Log = Annotated[str, typer.Option(help="Log to these as well, with commas: tensorboard,mlflow,wandb.")]
Patches = Annotated[
    str | None, typer.Option(help="One size, or several with commas: 1,2,4; with a side for each axis: 1x4x4.")
]
Sizes = Annotated[str | None, typer.Option(help="One size, or several with commas: 1,2,4.")]


def main() -> None:
    """Runs a command; what the user can mend is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show ± gets a question mark
    try:
        status = app(standalone_mode=False)
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
        if status == UNFINISHED:
            sys.exit(status)
    except (NasError, SpaceError) as error:
        _fail(str(error))
    except PatternError as error:
        _fail(error.summary)
    except (KeyboardInterrupt, typer.Abort):  # typer makes of the first an exit status, or in older versions the second
        _say(STOPPED)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(": ".join(filter(None, (error.filename and str(error.filename), error.strerror or str(error)))))
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error
            _fail(error.format_message())
        raise


def _fail(message: str) -> NoReturn:
    _say(message)
    sys.exit(2)


def _say(message: str) -> None:
    print(f"nas: {one_line(message)}", file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        from nas.runs.versions import versions

        own, *others = versions().items()
        print(f"nas {own[1]} ({', '.join(f'{name} {version}' for name, version in others)})")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Search for mixing patterns: which positions and channels are connected, and which weights are shared.

    Example: nas search --space subgrid --data digits
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def search(
    context: typer.Context,
    space: Annotated[str, typer.Option(help="A space by name, or a Python file that declares SPACE.")] = Options.space,
    data: Data = Options.data,
    trials: Annotated[int, typer.Option(help="Architectures to try.")] = Options.trials,
    minutes: Annotated[float | None, typer.Option(help="Ask for no new ones after so many minutes.")] = None,
    strategy: Annotated[str, typer.Option(help="tpe, fast-tpe, random or exhaustive.")] = Options.strategy,
    start: Annotated[
        str, typer.Option(help="Networks of the zoo to try first: mixer,gmlp,vip (`nas zoo` lists them).")
    ] = "",
    objective: Annotated[
        str, typer.Option(help="accuracy, loss, params, macs, latency, seconds; several give a front.")
    ] = Options.objective,
    max_params: Annotated[int | None, typer.Option(help="Most parameters (default: full token mixing's).")] = None,
    min_params: Annotated[int | None, typer.Option(help="Least parameters (default: half of the most).")] = None,
    max_macs: Annotated[int | None, typer.Option(help="Most multiply-accumulates an image.")] = None,
    patch: Patches = None,
    width: Sizes = None,
    depth: Sizes = None,
    ratio: Sizes = None,
    draw: Annotated[
        str | None,
        typer.Option(help="Random draws: of networks alike, or ideas (forms, families) first (default: the space's)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a full training.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a batch.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Label smoothing.")] = None,
    augment: Annotated[str | None, typer.Option(help="none, shift or shift+flip.")] = None,
    images: Annotated[int | None, typer.Option(help="Training images to use (default on a CPU: 10,000).")] = None,
    prune: Annotated[bool, typer.Option(help="Stop weak candidates at early rungs.")] = Options.prune,
    top: Annotated[int, typer.Option(help="Finalists to train again over several seeds.")] = Options.top,
    seeds: Annotated[int | None, typer.Option(help="Seeds of the finals (default: 5, for large data 3).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of split, proposals and trainings.")] = Options.seed,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = Options.device,
    workers: Annotated[int | None, typer.Option(help="Worker processes (default: one a GPU, or one a core).")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Train on a Ray cluster: its HOST:PORT, auto, or local.")
    ] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(help="GPUs of a training on a cluster (default: by its measured memory).")
    ] = None,
    run: Annotated[str | None, typer.Option(help="The run's name; an existing run goes on where it stopped.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where trainings under way are kept for a restart: a folder or a URL such as s3://bucket/folder "
            "(default: in the run)."
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again even what has failed twice; once it is tried anyhow.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be tried, train nothing.")] = False,
    log: Log = "",
    as_json: AsJson = False,
    runs_dir: RunsDir = Options.runs_dir,
    data_dir: DataDir = Options.data_dir,
) -> None:
    """Search a space, then compare the best ones with reference points over several seeds.

    With the --run of a search that exists, options that are left out are what they were in it.

    Example: nas search --space subgrid --data digits --trials 32
    """
    if ray is None and not dry_run:
        from nas.api.resources import warm_up

        warm_up(device, workers)
    from nas.resuming import ready

    options = {
        "space": space,
        "data": data,
        "trials": trials,
        "minutes": minutes,
        "strategy": strategy,
        "start": _names(start),
        "objective": objective,
        "max_params": max_params,
        "min_params": min_params,
        "max_macs": max_macs,
        "patch": _patches(patch),
        "width": _sizes(width, "width"),
        "depth": _sizes(depth, "depth"),
        "ratio": _sizes(ratio, "ratio"),
        "draw": draw,
        "epochs": epochs,
        "lr": lr,
        "batch": batch,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "augment": augment,
        "images": images,
        "prune": prune,
        "top": top,
        "seeds": seeds,
        "seed": seed,
        "device": device,
        "workers": workers,
        "ray": ray,
        "gpus_per_trial": gpus_per_trial,
        "run": run,
        "retry_failed": retry_failed,
        "log": _names(log),
        "runs_dir": runs_dir,
        "data_dir": data_dir,
        "storage": storage,
        "command": typed(),
    }
    sources = {name: context.get_parameter_source(name) for name in options}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    session = ready({name: options[name] for name in options if name in given | {"runs_dir", "command"}})
    if dry_run:
        _introduce(session, as_json)
        _propose(session, as_json)
    else:
        _search(session, as_json)


def _search(session: Session, as_json: bool) -> None:
    from nas.progress import watcher

    with session.open_run() as run:
        _introduce(session, as_json)
        _warn(run)
        with watcher(console_for(stderr=True)) as watching:
            standings = session.run(watching, run)
    _print_ranking(standings, run.name, len(standings) if as_json else 10, as_json, session.objectives)
    if not as_json:
        _print_next(run.name, standings, session.options.runs_dir)
    if session.complaint:
        raise typer.Exit(UNFINISHED)


def _print_next(name: str, standings: list[Standing], runs_dir: Path) -> None:
    """What can be done with the leader, which is called a winner only where it is ahead of its reference."""
    from nas.tables import leader

    if (best := leader(standings)) is None:
        return
    is_ahead = best.gain is not None and best.gain.verdict == "ahead"
    first = "the winner" if is_ahead else "rank 1, not shown to be better than its reference,"
    where = _where(runs_dir)
    print(f"Next: nas export {name} --top 1{where}    {first} as a module, with its weights")
    print(f"      nas train {name} {best.id}{where}    longer, with test accuracy at the end")
    print(f"      nas top {name} -n 100{where}    all candidates")
    if not is_ahead:
        print("      the same search with more --trials or --seeds    goes on from here")


def _where(runs_dir: Path) -> str:
    """The option by which another command finds the runs of this one."""
    return "" if runs_dir == Options.runs_dir else f" --runs-dir {shlex.quote(str(runs_dir))}"


def _introduce(session: Session, as_json: bool) -> None:
    """Says what is about to be done, where it does not mix with JSON lines."""
    from nas.tables import count

    dataset, plan = session.dataset, session.plan
    up_to = "of their front at most " if len(plan.objectives) > 1 else ""
    least, most, _, _ = session.space.bounds()
    say = partial(print, file=sys.stderr if as_json else sys.stdout)
    say(
        f"space {session.space.name}: {count(session.space.count())} architectures of {least:,} to {most:,} "
        f"parameters; about {100 * session.share():.3g}% of them have {session.budget}"
    )
    if wider := session.widening:
        say(f"that default budget is a tiny part of the space: {wider}")
    for note in session.space.primes():
        say(note)
    say(
        f"data {dataset.name}: {len(dataset.train):,} training and {len(dataset.validation):,} validation "
        f"{dataset.noun}; {counted(plan.trials, 'candidate')} of up to {counted(plan.epochs, 'epoch')}"
        + (f" (rungs at {', '.join(map(str, plan.rungs))})" if plan.rungs else "")
        + f", then {up_to}{plan.top} and their references over {counted(plan.seeds, 'seed')}"
    )
    for note in dataset.notes:
        say(one_line(note))
    workers = f"the Ray cluster {session.options.ray!r}" if session.options.ray else counted(session.workers, "worker")
    say(f"run {session.options.runs_dir / session.name}: {workers} on {session.device}", flush=True)


def _propose(session: Session, as_json: bool) -> None:
    from nas.tables import architecture_json

    for number in range(1, session.plan.trials + 1):
        architecture = session.strategy.ask()
        if architecture is None:
            break
        if as_json:
            print_json(architecture_json(architecture))
            continue
        print(f"{number:3} {architecture.id}  {architecture.params:,} parameters  {architecture.macs:,} MACs")
        _print_blocks(architecture)


@app.command()
def spaces(
    name: Annotated[str | None, typer.Argument(help="A space by name, or a Python file that declares SPACE.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Its mixers, then its architectures, with EinMix lines.")] = (
        False
    ),
    n: Annotated[int, typer.Option("-n", min=0, help="How many of each to list; 0 for all.")] = 20,
    data: Data = Options.data,
    patch: Patches = None,
    width: Sizes = None,
    depth: Sizes = None,
    ratio: Sizes = None,
    as_json: AsJson = False,
    data_dir: DataDir = Options.data_dir,
) -> None:
    """The spaces with their exact counts, or what is in one of them.

    Example: nas spaces subgrid --list -n 5
    """
    if listing and name is None:
        raise NasError(f"--list needs the name of a space: {', '.join(SPACES)}, or the path of a .py file")
    shape, channels, classes = shape_of(data, data_dir)
    sizes: dict[str, Any] = {
        "patch": _patches(patch),
        "width": _sizes(width, "width"),
        "depth": _sizes(depth, "depth"),
        "ratio": _sizes(ratio, "ratio"),
    }
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
    from nas.tables import architecture_json, count, einmix_line

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
        _print_blocks(architecture)


def _print_blocks(architecture: Architecture) -> None:
    """A line a mixer, below a line a block where there is more to a block than its mixer."""
    from einmix.networks.summary import block_mixers, block_words, blocks
    from nas.tables import einmix_line

    for block in blocks(architecture):
        mixers, words = block_mixers(block), block_words(block)
        alone = [str(mixer).removesuffix(" +b") for mixer in mixers] == [words]
        for line in [*([] if alone else [words]), *map(einmix_line, mixers)]:
            print(f"      {line}")


def _space_json(space: BoundSpace) -> dict[str, Any]:
    least, most, fewest, largest = space.bounds()
    costs = {"architectures": space.count(), "params": [least, most], "macs": [fewest, largest]}
    facts = space.facts()
    return (
        {name: facts[name] for name in ("name", "summary")}
        | costs
        | {name: facts[name] for name in ("families", "forms", "weights", "sizes")}
    )


def _print_spaces(found: list[BoundSpace], *, detailed: bool) -> None:
    from nas.grid import Column, Grid
    from nas.tables import count, short

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


@app.command()
def top(
    run: RunName,
    n: Annotated[int, typer.Option("-n", min=0, help="How many candidates to show, beside all finalists.")] = 10,
    as_json: AsJson = False,
    runs_dir: RunsDir = Options.runs_dir,
) -> None:
    """The ranking of a run.

    Example: nas top subgrid-digits-1a2b3c -n 20
    """
    opened = _open(runs_dir, run)
    _print_ranking(opened.standings, opened.run.name, n, as_json, opened.objectives)


@app.command()
def show(run: RunName, id: Id, as_json: AsJson = False, runs_dir: RunsDir = Options.runs_dir) -> None:
    """One architecture: its mixers in words and as EinMix, its trainings, its text.

    Example: nas show subgrid-digits-1a2b3c 9c41
    """
    opened = _open(runs_dir, run)
    standing = opened.find(id)
    trainings = [result for result in opened.results if result.id == standing.id]
    if as_json:
        print_json(_standing_json(opened, standing, trainings))
    else:
        _print_standing(standing, trainings)


def _standing_json(opened: Run, standing: Standing, trainings: list[Result]) -> dict[str, Any]:
    from nas.ranking.standings import ranked
    from nas.tables import architecture_json, as_json

    place = next(place for place, other in ranked(opened.standings) if other.id == standing.id)
    architecture = standing.architecture
    return (
        as_json(place, standing)
        | architecture_json(architecture)
        | {
            "architecture": json.loads(architecture.to_json()),
            "trainings": [_training_json(result) for result in trainings],
            "redundancies": list(architecture.redundancies()),
            "untouched": list(architecture.untouched()),
        }
    )


def _training_json(result: Result) -> dict[str, Any]:
    return {name: value for name, value in result.to_line().items() if name != "architecture"}


def _print_standing(standing: Standing, trainings: list[Result]) -> None:
    from einmix import describe, source
    from einmix.networks.summary import block_mixers, block_words, blocks
    from nas.tables import accuracy, einmix_line, gain

    architecture = standing.architecture
    name = one_line(standing.title)
    print(f"{name}: {architecture.params:,} parameters, {architecture.macs:,} MACs an image")
    gained = f", {gain(standing)} points over {one_line(standing.gain.against)}" if standing.gain else ""
    print(f"validation accuracy {accuracy(standing)} (n={standing.n}){gained}")
    number = 0
    for block, same in groupby(blocks(architecture)):
        first, number = number + 1, number + len(list(same))
        print(f"block {first}" + f" to {number}" * (number > first) + f"  {block_words(block, bias=True)}")
        for mixer in dict.fromkeys(block_mixers(block)):
            print(f"         {describe(mixer)}\n         {einmix_line(mixer)}")
    for note in architecture.redundancies():
        print(f"redundant: {note}")
    for axis in architecture.untouched():
        print(f"untouched: no mixer mixes anything along {axis}")
    print("trainings")
    for result in trainings:
        end = result.score and f"loss {result.score.loss:.3f}  accuracy {result.score.accuracy:.1%}"
        test = f"  test {result.test.accuracy:.1%}" if result.test else ""
        losses = " ".join(f"{loss:.2f}" for loss in result.train_loss[:: max(1, len(result.train_loss) // 5)])
        print(
            f"  {result.phase:6} seed {result.seed}  {counted(result.epochs, 'epoch')}  {result.state:8}  "
            f"{end or one_line(result.reason)}{test}  {result.seconds:.1f} s  training loss {losses}"
        )
    print("\n" + source(architecture, {"title": standing.id}), end="")


@app.command()
def export(
    run: RunName,
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="An architecture's rank or id.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Export the best so many (default: 1).")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")] = Path("exported"),
    runs_dir: RunsDir = Options.runs_dir,
) -> None:
    """Write architectures as modules that need torch and einops alone, with their trained weights beside them.

    Example: nas export subgrid-digits-1a2b3c --top 3
    """
    from nas.api.export import best_trained
    from nas.api.export import export as export_all

    if id is not None and top is not None:
        raise NasError("export takes an ID or --top, not both")
    opened = _open(runs_dir, run)
    if id is not None:
        chosen = [opened.find(id)]
    else:
        chosen = [s for s in opened.standings if not s.is_reference and s.state in ("final", "complete")][: top or 1]
    if not chosen:
        raise NasError(f"run {opened.run.name!r} has no finished training yet: go on with its search")
    for standing in chosen:
        if best_trained(opened, standing) is None:
            _say(
                f"{standing.id} has no weights, only finalists do: its module is written without; "
                f"`nas train {opened.run.name} {standing.id}{_where(runs_dir)}` trains it, then export it again"
            )
    for exported in export_all(opened, chosen, out, typed()):
        weights = f" and {exported.weights.name}" if exported.weights else " (no weights)"
        print(
            f"{exported.file}{weights}: checked in a clean process with torch and einops alone, "
            f"outputs equal to {exported.difference:.0e}"
        )


@app.command()
def train(
    run: RunName,
    id: Id,
    epochs: Annotated[int | None, typer.Option(help="Epochs (default: three times those of the search).")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 1,
    lr: Annotated[float | None, typer.Option(help="Learning rate (default: that of the run).")] = None,
    data: Annotated[str | None, typer.Option(help="The run's data, where it is no longer where it was.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = Options.device,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    log: Log = "",
    as_json: AsJson = False,
    runs_dir: RunsDir = Options.runs_dir,
    data_dir: Annotated[Path | None, typer.Option(help="Where the data is (default: as in the search).")] = None,
) -> None:
    """Train one architecture for longer, and measure its test accuracy at the end.

    Example: nas train subgrid-digits-1a2b3c 9c41 --epochs 100 --seeds 3
    """
    from nas.api.train import Longer, train_longer
    from nas.progress import watcher

    longer = Longer(
        epochs=epochs,
        seeds=seeds,
        lr=lr,
        device=device,
        workers=workers,
        data=data,
        data_dir=data_dir,
        log=_names(log),
    )
    opened = _open(runs_dir, run)
    standing = opened.find(id)
    with watcher(console_for(stderr=True)) as watching:
        results = train_longer(opened, standing, longer, watching)
    if as_json:
        for result in results:
            print_json(_training_json(result))
    else:
        _print_trainings(results)


@app.command()
def compare(
    run: RunName,
    against: Annotated[str, typer.Option(help="Networks of the zoo, with commas; `nas zoo` lists them.")] = (
        "mixer,resmlp,gmlp,vip,raft,dynamixer"
    ),
    id: Annotated[str | None, typer.Option(help="The network to compare: by rank or id (default: the best).")] = None,
    data: Annotated[str | None, typer.Option(help="Other data than the run's: the network is carried to it.")] = None,
    match: Annotated[str, typer.Option(help="What is equal within 5%: params or macs.")] = "params",
    budget: Annotated[int | None, typer.Option(help="Scale all to so many (default: what the network has).")] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds that are tested (default: 5, for large data 3).")] = None,
    lrs: Annotated[
        str | None,
        typer.Option(help="Learning rates to choose from, with commas (default: the run's, by threes)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs (default: those of the run).")] = None,
    images: Annotated[int | None, typer.Option(help="Training images to use (default: those of the run).")] = None,
    patch: Annotated[str | None, typer.Option(help="Patch of the others (default: the network's own).")] = None,
    depth: Annotated[int | None, typer.Option(help="Least blocks of the others (default: the network's own).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = Options.device,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    log: Log = "",
    as_json: AsJson = False,
    runs_dir: RunsDir = Options.runs_dir,
    data_dir: Annotated[Path | None, typer.Option(help="Where the data is (default: as in the search).")] = None,
) -> None:
    """Compare the best network of a run with networks of the literature of its size, on test data.

    Each is trained at the best of a few learning rates, which validation data chooses, then over seeds, and tested
    once each. The same command goes on where it was stopped; with more --seeds or --against it trains what is missing.

    Example: nas compare subgrid-digits-1a2b3c --against mixer,resmlp,vip
    """
    from nas.api.compare import Comparing, Comparison
    from nas.progress import watcher

    comparing = Comparing(
        against=_names(against),
        id=id,
        data=data,
        images=images,
        match=match,
        budget=budget,
        patch=None if patch is None else patch_of_text(patch),
        depth=depth,
        epochs=epochs,
        lrs=_rates(lrs),
        seeds=seeds,
        device=device,
        workers=workers,
        data_dir=data_dir,
        log=_names(log),
        command=typed(),
    )
    comparison = Comparison(_open(runs_dir, run), comparing)
    with comparison.open_run() as into:
        _introduce_comparison(comparison, as_json)
        _warn(into)
        with watcher(console_for(stderr=True)) as watching:
            compared = comparison.compare(watching, into)
    _print_comparison(comparison, compared, as_json)


def _introduce_comparison(comparison: Comparison, as_json: bool) -> None:
    dataset, networks = comparison.dataset, comparison.networks
    params = [each.params for each in networks.values()]
    say = partial(print, file=sys.stderr if as_json else sys.stdout)
    say(
        f"network {one_line(comparison.standing.title)} of {comparison.opened.run.name} and {len(networks) - 1} "
        f"of the zoo: {min(params):,} to {max(params):,} parameters"
    )
    say(
        f"data {dataset.name}: {len(dataset.train):,} training, {len(dataset.validation):,} validation and "
        f"{len(dataset.test):,} test images; learning rates over {counted(comparison.tuning_epochs, 'epoch')}, then "
        f"{counted(len(comparison.seeds), 'seed')} over {counted(comparison.recipe.epochs, 'epoch')}"
    )
    say(f"run {comparison.name}: {counted(comparison.workers, 'worker')} on {comparison.device}", flush=True)


def _print_comparison(comparison: Comparison, compared: list[Compared], as_json: bool) -> None:
    from nas import tables

    found, *others = compared
    if as_json:
        for each in compared:
            print_json(tables.comparison_json(each, found))
        return
    console = console_for()
    console.print(tables.comparison(compared, title=f"{comparison.name}: test accuracy", match=comparison.match))
    for note in tables.comparison_notes(comparison, compared):
        print_words(console, f"  {note}", style="dim")
    for each in others:
        print_words(console, tables.verdict(found.title, each))


def _rates(text: str | None) -> tuple[float, ...]:
    """The learning rates in a list such as 0.002,0.005; which of them are possible is for the recipe to say."""
    try:
        return () if text is None else tuple(float(piece) for piece in text.split(","))
    except ValueError:
        raise NasError(f"--lrs takes numbers with commas between, as in 0.002,0.005, not {text!r}") from None


def _print_trainings(results: list[Result]) -> None:
    from statistics import fmean, stdev

    for result in results:
        if result.score and result.test:
            print(
                f"seed {result.seed}: {counted(result.epochs, 'epoch')}, validation {result.score.accuracy:.1%}, "
                f"test {result.test.accuracy:.1%} (loss {result.test.loss:.3f}), {result.seconds:.1f} s"
            )
        else:
            print(f"seed {result.seed}: {result.state}: {one_line(result.reason)}")
    tested = [result.test.accuracy for result in results if result.test]
    if len(tested) > 1:
        print(f"test accuracy {fmean(tested):.1%} ± {100 * stdev(tested):.1f}% (mean ± std, n={len(tested)})")


def _open(runs_dir: Path, name: str) -> Run:
    """A run to read; what is amiss with it and can be passed over is told."""
    from nas.api.run import Run

    opened = Run.open(runs_dir, name)
    _warn(opened.run)
    return opened


def _warn(run: RunFolder) -> None:
    for warning in run.warnings:
        _say(f"warning: {warning}")


def _print_ranking(
    standings: list[Standing], name: str, most: int, as_json: bool, objectives: Sequence[Objective] = ()
) -> None:
    from nas import tables
    from nas.ranking.standings import ranked

    if as_json:
        for place, standing in ranked(standings):
            if place is None or place <= most or standing.finals:
                print_json(tables.as_json(place, standing))
        return
    console = console_for()
    tried = sum(standing.search is not None for standing in standings)
    names, title = [objective.name for objective in objectives], f"{name}: {counted(tried, 'candidate')}"
    console.print(tables.ranking(standings, title=title, most=most, objectives=names))
    for note in tables.footnotes(standings):
        print_words(console, f"  {note}", style="dim")
    if best := tables.leader(standings):
        print_words(console, tables.gain_verdict(best))


def _names(text: str) -> tuple[str, ...]:
    """The names in a list such as mixer,gmlp."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def _patches(text: str | None) -> tuple[Patch, ...]:
    """The patches in a list such as 1,2 or 1x4x4,1x8x8; which of them are possible is for the space to say."""
    return () if text is None else tuple(dict.fromkeys(map(patch_of_text, text.split(","))))


def _sizes(text: str | None, name: str) -> tuple[int, ...]:
    """The sizes in a list such as 1,2,4; which of them are possible is for the space to say."""
    pieces = [] if text is None else [piece.strip() for piece in text.split(",")]
    if not all(piece.isascii() and piece.isdigit() and len(piece) < 10 and int(piece) for piece in pieces):
        raise NasError(f"--{name} takes whole numbers with commas between, as in 1,2,4, not {text!r}")
    return tuple(dict.fromkeys(map(int, pieces)))


if __name__ == "__main__":
    main()
