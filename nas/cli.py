"""The command line: parses what was typed, calls one function, prints what it gave."""

from __future__ import annotations

import json
import os
import shlex
import sys
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from einmix import PatternError
from nas.errors import NasError
from search_spaces import SPACES, SearchSpace, SpaceError
from search_spaces import load as load_space

if TYPE_CHECKING:
    from rich.console import Console

    from nas.session import Session

app = typer.Typer(
    name="nas",
    help="Search for mixing patterns: which positions and channels are connected, and which weights are shared.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Where runs are kept.")]
DataDir = Annotated[Path, typer.Option("--data-dir", help="Where data sets are found, or downloaded to.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines in place of a table.")]
Data = Annotated[
    str, typer.Option("--data", help="digits, fashion-mnist, cifar10, cifar100, an image folder or an .npz file.")
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, or the path of its directory.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="An architecture's id, or the beginning of it.")]
Sizes = Annotated[str | None, typer.Option(help="One size, or several with commas: 1,2,4.")]


def main() -> None:
    """Runs a command; what the user can mend is one line on stderr and exit status 2."""
    try:
        app(standalone_mode=False)
    except (NasError, SpaceError) as error:
        _fail(str(error))
    except PatternError as error:
        _fail(error.summary)
    except KeyboardInterrupt:
        print("stopped: all finished trainings are on disk; the same command goes on", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except Exception as error:
        if hasattr(error, "format_message"):  # click's own usage errors
            _fail(error.format_message())
        raise


def _fail(message: str) -> NoReturn:
    print("nas: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


@app.command()
def search(
    space: Annotated[str, typer.Option(help="A space by name, or a Python file that declares SPACE.")] = "subgrid",
    data: Data = "digits",
    trials: Annotated[int, typer.Option(help="Architectures to try.")] = 32,
    minutes: Annotated[float | None, typer.Option(help="Ask for no new ones after so many minutes.")] = None,
    strategy: Annotated[str, typer.Option(help="tpe, random or exhaustive.")] = "tpe",
    objective: Annotated[str, typer.Option(help="accuracy, loss, params, macs, seconds; several give a front.")] = (
        "accuracy"
    ),
    max_params: Annotated[int | None, typer.Option(help="Most parameters (default: full token mixing's).")] = None,
    min_params: Annotated[int | None, typer.Option(help="Least parameters (default: half of the most).")] = None,
    max_macs: Annotated[int | None, typer.Option(help="Most multiply-accumulates an image.")] = None,
    patch: Sizes = None,
    width: Sizes = None,
    depth: Sizes = None,
    ratio: Sizes = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a full training.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a batch.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Label smoothing.")] = None,
    augment: Annotated[str | None, typer.Option(help="none, shift or shift+flip.")] = None,
    images: Annotated[int | None, typer.Option(help="Training images to use (default on a CPU: 10,000).")] = None,
    prune: Annotated[bool, typer.Option(help="Stop weak candidates at early rungs.")] = True,
    top: Annotated[int, typer.Option(help="Finalists to train again over several seeds.")] = 3,
    seeds: Annotated[int, typer.Option(help="Seeds of the finals.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of split, proposals and trainings.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Worker processes (default: one a GPU, or one a core).")] = None,
    run: Annotated[str | None, typer.Option(help="The run's name; an existing run goes on where it stopped.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be tried, train nothing.")] = False,
    as_json: AsJson = False,
    runs_dir: RunsDir = Path("runs"),
    data_dir: DataDir = Path("data"),
) -> None:
    """Search a space, then compare the best ones with reference points over several seeds.

    Example: nas search --space subgrid --data digits --trials 32
    """
    from nas.session import Options, Session

    options = Options(
        space=space,
        data=data,
        trials=trials,
        minutes=minutes,
        strategy=strategy,
        objective=objective,
        max_params=max_params,
        min_params=min_params,
        max_macs=max_macs,
        patch=_sizes(patch, "patch"),
        width=_sizes(width, "width"),
        depth=_sizes(depth, "depth"),
        ratio=_sizes(ratio, "ratio"),
        epochs=epochs,
        lr=lr,
        batch=batch,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        augment=augment,
        images=images,
        prune=prune,
        top=top,
        seeds=seeds,
        seed=seed,
        device=device,
        workers=workers,
        run=run,
        runs_dir=runs_dir,
        data_dir=data_dir,
        command=_typed(),
    )
    session = Session(options)
    out = _console()
    # the heading goes where it does not mix with JSON lines
    _introduce(session, _console(stderr=as_json))
    if dry_run:
        _propose(session, as_json)
        return
    _search(session, out, as_json)


def _search(session: Session, out: Console, as_json: bool) -> None:
    from nas.progress import watcher

    with session.open_run() as opened, watcher(_console(stderr=True)) as watching:
        for warning in opened.warnings:
            watching.say(f"warning: {warning}")
        standings = session.search(watching, opened)
    if as_json:
        _print_ranking_json(standings)
        return
    _print_ranking(out, standings, opened.name, most=10)
    if any(standing.finals and not standing.is_reference for standing in standings):
        out.print(
            f"Next: nas export {opened.name} --top 1    the winner as a module, with its weights", highlight=False
        )
        best = next(standing for standing in standings if not standing.is_reference)
        out.print(f"      nas train {opened.name} {best.id}    longer, with test accuracy at the end", highlight=False)
        out.print(f"      nas top {opened.name} -n 100    all candidates", highlight=False)


def _introduce(session: Session, console: Console) -> None:
    from nas.tables import count

    dataset, plan = session.dataset, session.plan
    least, most, _, _ = session.space.bounds()
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    say(
        f"space {session.space.space.name}: {count(session.space.count())} architectures of {least:,} to {most:,} "
        f"parameters; about {session.share():.0%} of them have {session.budget}"
    )
    say(
        f"data {dataset.name}: {len(dataset.train):,} training and {len(dataset.validation):,} validation images; "
        f"{plan.trials} candidates of up to {plan.epochs} epochs"
        + (f" (rungs at {', '.join(map(str, plan.rungs))})" if plan.rungs else "")
        + f", then {plan.top} and their references over {plan.seeds} seeds"
    )
    say(f"run {session.options.runs_dir / session.name}: {session.workers} workers on {session.device}")


def _propose(session: Session, as_json: bool) -> None:
    from nas.tables import einmix_line

    for number in range(1, session.plan.trials + 1):
        architecture = session.strategy.ask()
        if architecture is None:
            break
        if as_json:
            _print_json(_architecture_json(architecture))
            continue
        print(f"{number:3} {architecture.id}  {architecture.params:,} parameters  {architecture.macs:,} MACs")
        for mixer in architecture.mixers:
            print(f"      {einmix_line(mixer)}")


@app.command()
def spaces(
    name: Annotated[str | None, typer.Argument(help="A space by name, or a Python file that declares SPACE.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Its mixers, then its architectures, with EinMix lines.")] = (
        False
    ),
    n: Annotated[int, typer.Option("-n", help="How many of each to list; 0 for all.")] = 20,
    data: Data = "digits",
    patch: Sizes = None,
    width: Sizes = None,
    depth: Sizes = None,
    ratio: Sizes = None,
    as_json: AsJson = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """The spaces with their exact counts, or what is in one of them.

    Example: nas spaces subgrid --list -n 5
    """
    shape, channels, classes = _shape(data, data_dir)

    def bound(which: str) -> SearchSpace:
        sizes = {
            "patch": _sizes(patch, "patch"),
            "width": _sizes(width, "width"),
            "depth": _sizes(depth, "depth"),
            "ratio": _sizes(ratio, "ratio"),
        }
        return load_space(which).on(shape, channels=channels, classes=classes, **sizes)

    if name and listing:
        _list(bound(name), n or None, as_json)
        return
    _print_spaces([bound(which) for which in ([name] if name else SPACES)], as_json, detailed=name is not None)


def _list(space: SearchSpace, n: int | None, as_json: bool) -> None:
    """Lazily: the first lines of the largest space come at once."""
    from nas.tables import count, einmix_line

    if not as_json:
        grid = " ".join(f"{axis}={size}" for axis, size in space.grid(space.middle).items())
        print(f"mixers on {grid}: text, parameters, MACs, EinMix")
    for mixer in islice(space.mixers(space.middle), n):
        if as_json:
            costs = {"params": mixer.params, "macs": mixer.macs}
            _print_json({"kind": "mixer", "text": str(mixer), **costs, "einmix": einmix_line(mixer)})
        else:
            print(f"  {mixer!s:36} {mixer.params:9,} {mixer.macs:11,}  {einmix_line(mixer)}")
    if not as_json:
        print(f"architectures ({count(space.count())} in all): id, parameters, MACs; mixers")
    for architecture in islice(space.enumerate(), n):
        if as_json:
            _print_json({"kind": "architecture"} | _architecture_json(architecture))
        else:
            print(f"  {architecture.id} {architecture.params:9,} {architecture.macs:11,}")
            for mixer in architecture.mixers:
                print(f"      {einmix_line(mixer)}")


def _print_spaces(found: list[SearchSpace], as_json: bool, *, detailed: bool) -> None:
    from rich import box
    from rich.table import Table

    from nas.tables import count, short

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("space", "architectures", "params", "MACs"):
        table.add_column(column, justify="left" if column == "space" else "right", no_wrap=True)
    table.add_column("what a block may do", overflow="fold")
    for space in found:
        least, most, fewest, largest = space.bounds()
        if as_json:
            _print_json(
                {
                    "name": space.space.name,
                    "summary": space.space.summary,
                    "architectures": space.count(),
                    "params": [least, most],
                    "macs": [fewest, largest],
                    "families": {f.name: {a: f.pattern(a) for a in (*space.shape, "c")} for f in space.space.families},
                    "sizes": {name: list(sizes) for name, sizes in space.sizes.items()},
                }
            )
        table.add_row(
            space.space.name,
            count(space.count()),
            f"{short(least)} – {short(most)}",
            f"{short(fewest)} – {short(largest)}",
            space.space.summary,
        )
    if as_json:
        return
    console = _console()
    console.print(table)
    if detailed:
        (space,) = found
        for family in space.space.families:
            patterns = " ".join(f"{axis}={family.pattern(axis)}" for axis in (*space.shape, "c"))
            print(f"family {family.name}: {patterns}")
        for size, choices in space.sizes.items():
            print(f"{size}: {', '.join(map(str, choices))}")


@app.command()
def top(
    run: RunName,
    n: Annotated[int, typer.Option("-n", help="How many candidates to show.")] = 10,
    as_json: AsJson = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """The ranking of a run.

    Example: nas top subgrid-digits-1a2b3c -n 20
    """
    from nas.session import OpenRun

    opened = OpenRun.open(runs_dir, run)
    _warn(opened.run.warnings)
    if as_json:
        _print_ranking_json(opened.standings, n)
    else:
        _print_ranking(_console(), opened.standings, opened.run.name, most=n)


@app.command()
def show(run: RunName, id: Id, as_json: AsJson = False, runs_dir: RunsDir = Path("runs")) -> None:
    """One architecture: its mixers in words and as EinMix, its trainings, its text.

    Example: nas show subgrid-digits-1a2b3c 9c41
    """
    from einmix import describe, source
    from nas.session import OpenRun
    from nas.tables import accuracy, einmix_line, gain
    from nas.tables import as_json as standing_json

    opened = OpenRun.open(runs_dir, run)
    standing = opened.find(id)
    architecture = standing.architecture
    trainings = [result for result in opened.run.results() if result.id == standing.id]
    if as_json:
        place = None if standing.is_reference else _places(opened.standings)[standing.id]
        runs = [result.to_line() | {"architecture": None} for result in trainings]
        _print_json(
            standing_json(standing, place)
            | {
                "einmix": [einmix_line(mixer) for mixer in architecture.mixers],
                "architecture": json.loads(architecture.to_json()),
                "trainings": [{k: v for k, v in line.items() if k != "architecture"} for line in runs],
                "redundancies": list(architecture.redundancies()),
                "untouched": list(architecture.untouched()),
            }
        )
        return
    print(f"{standing.label or standing.id}: {architecture.params:,} parameters, {architecture.macs:,} MACs an image")
    print(f"validation accuracy {accuracy(standing)} (n={standing.n})", end="")
    print(f", {gain(standing)} points over {standing.gain.against}" if standing.gain else "")
    for number, mixer in enumerate(architecture.mixers, start=1):
        print(f"block {number}  {mixer}\n         {describe(mixer)}\n         {einmix_line(mixer)}")
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
            f"  {result.phase:6} seed {result.seed}  {result.epochs} epochs  {result.state:8}  "
            f"{end or result.reason}{test}  {result.seconds:.1f} s  training loss {losses}"
        )
    print("\n" + source(architecture, {"title": standing.id}), end="")


@app.command()
def export(
    run: RunName,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="An architecture's id.")] = None,
    top: Annotated[int | None, typer.Option(help="Export the best so many (default: 1).")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")] = Path("exported"),
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Write architectures as modules that need torch and einops alone, with their trained weights beside them.

    Example: nas export subgrid-digits-1a2b3c --top 3
    """
    from nas.export import export as export_one
    from nas.session import OpenRun

    if id is not None and top is not None:
        raise NasError("export takes an ID or --top, not both")
    if top is not None and top < 1:
        raise NasError(f"--top is {top}; at least 1 is expected")
    opened = OpenRun.open(runs_dir, run)
    if id is not None:
        chosen = [opened.find(id)]
    else:
        chosen = [s for s in opened.standings if not s.is_reference and s.state in ("final", "complete")][: top or 1]
    if not chosen:
        raise NasError(f"run {opened.run.name!r} has no finished training yet: go on with its search")
    for standing in chosen:
        written = export_one(opened, standing, out, _typed())
        weights = f" and {written.weights.name}" if written.weights else " (no weights: `nas train` makes them)"
        print(
            f"{written.module}{weights}: checked in a clean process with torch and einops alone, "
            f"outputs equal to {written.difference:.0e}"
        )


@app.command()
def train(
    run: RunName,
    id: Id,
    epochs: Annotated[int | None, typer.Option(help="Epochs (default: three times those of the search).")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 1,
    lr: Annotated[float | None, typer.Option(help="Learning rate (default: that of the run).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = Path("runs"),
    data_dir: Annotated[Path | None, typer.Option(help="Where the data is (default: as in the search).")] = None,
) -> None:
    """Train one architecture for longer, and measure its test accuracy at the end.

    Example: nas train subgrid-digits-1a2b3c 9c41 --epochs 100 --seeds 3
    """
    from nas.training_runs import train_standing

    results = train_standing(
        runs_dir,
        run,
        id,
        epochs=epochs,
        seeds=seeds,
        lr=lr,
        device=device,
        workers=workers,
        data_dir=data_dir,
        console=_console(stderr=True),
    )
    for result in results:
        if as_json:
            _print_json({k: v for k, v in result.to_line().items() if k != "architecture"})
        elif result.state == "failed":
            print(f"seed {result.seed}: failed: {result.reason}")
        elif result.score and result.test:
            print(
                f"seed {result.seed}: {result.epochs} epochs, validation {result.score.accuracy:.1%}, "
                f"test {result.test.accuracy:.1%} (loss {result.test.loss:.3f}), {result.seconds:.1f} s"
            )
    tested = [result.test.accuracy for result in results if result.test]
    if len(tested) > 1 and not as_json:
        from statistics import fmean, stdev

        print(f"test accuracy {fmean(tested):.1%} ± {100 * stdev(tested):.1f}% (mean ± std, n={len(tested)})")


def _print_ranking(console: Console, standings: list[Any], name: str, *, most: int) -> None:
    from nas.tables import footnotes, ranking

    tried = [standing for standing in standings if standing.search]
    failed = [standing for standing in tried if standing.state == "failed"]
    console.print(ranking(standings, title=f"{name}: {len(tried)} candidates", most=most))
    for note in footnotes(standings, len(tried)):
        console.print(f"  {note}", highlight=False, style="dim", soft_wrap=True)
    for standing in failed[:3]:
        assert standing.search
        console.print(
            f"  {standing.id} failed: {standing.search.reason}", highlight=False, markup=False, soft_wrap=True
        )
    if len(failed) > 3:
        console.print(f"  and {len(failed) - 3} more failed: nas top {name} --json tells why", highlight=False)


def _print_ranking_json(standings: list[Any], n: int | None = None) -> None:
    from nas.tables import ranked_json

    for row in ranked_json(standings):
        if n is None or row["rank"] is None or row["rank"] <= n:
            _print_json(row)


def _places(standings: list[Any]) -> dict[str, int]:
    from nas.tables import ranked_json

    return {row["id"]: row["rank"] for row in ranked_json(standings)}


def _architecture_json(architecture: Any) -> dict[str, Any]:
    from nas.tables import einmix_line

    return {
        "id": architecture.id,
        "params": architecture.params,
        "macs": architecture.macs,
        "mixers": [str(mixer) for mixer in architecture.mixers],
        "einmix": [einmix_line(mixer) for mixer in architecture.mixers],
    }


def _shape(data: str, data_dir: Path) -> tuple[dict[str, int], int, int]:
    """Shape, channels and classes of the data; those of the well-known sets without loading them."""
    from nas.data import SHAPES, load

    if data in SHAPES:
        return SHAPES[data]
    dataset = load(data, data_dir=data_dir, seed=0)
    return dataset.shape, dataset.channels, dataset.classes


def _sizes(text: str | None, name: str) -> tuple[int, ...]:
    if text is None:
        return ()
    pieces = text.split(",")
    if not all(piece.strip().isascii() and piece.strip().isdigit() and int(piece) > 0 for piece in pieces):
        raise NasError(f"--{name} takes whole numbers with commas between, as in 1,2,4, not {text!r}")
    return tuple(dict.fromkeys(int(piece) for piece in pieces))


def _typed() -> str:
    return shlex.join(["nas", *sys.argv[1:]])


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    # a pipe or a file has no width: tables are then as wide as they need to be read
    return Console(stderr=stderr, width=None if (sys.stderr if stderr else sys.stdout).isatty() else 140)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, allow_nan=False))


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    main()
