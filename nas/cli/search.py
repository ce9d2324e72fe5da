"""`nas search`: a space searched, or what is left of it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.terminal import UNFINISHED, AsJson, print_json, warn, where
from nas.cli.typed import takes
from nas.errors import counted, one_line
from nas.options.search import Search

if TYPE_CHECKING:
    from nas.api.search import Session
    from nas.loop.plan import Plan
    from nas.ranking.standings import Standing
    from nas.runs.folder import RunFolder


@takes(Search, dry_run="log")
def search(
    asked: Search,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be tried, train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search a space, then compare the best ones with reference points over several seeds.

    With the --run of a search that exists, options that are left out are what they were in it.

    Example: nas search --space subgrid --data digits --trials 32
    """
    if asked.ray is None and not dry_run:
        from nas.api.resources import warm_up

        warm_up(asked.device, asked.workers)
    from nas.api.search import Session

    session = Session.of(asked)
    if dry_run:
        _introduce(session, as_json)
        _propose(session, as_json)
    else:
        _search(session, as_json)


def _search(session: Session, as_json: bool) -> None:
    from nas.cli.tables import print_ranking
    from nas.loop.progress import watcher
    from nas.ranking.run_ranking import sureness

    with session.open_run() as run:
        _introduce(session, as_json)
        warn(run)
        with watcher() as watching:
            standings = session.run(watching, run)
    if standings:  # there are none before there is a learning rate
        print_ranking(
            standings,
            run.name,
            len(standings) if as_json else 10,
            as_json,
            objectives=session.objectives,
            noun=session.dataset.noun,
            until_sure=sureness(run),
            order=session.plan.order,
        )
        _tell(run, session, as_json, audited=any(standing.finals for standing in standings))
    if not as_json:
        print_next(run.name, standings, session.options.runs_dir)
    if session.complaint:
        raise typer.Exit(UNFINISHED)


def _tell(run: RunFolder, session: Session, as_json: bool, *, audited: bool) -> None:
    """How much of the order is signal, in short, and the page of the run; neither is said among JSON lines."""
    from nas.api.report import written_or_told
    from nas.api.saved import SavedRun
    from nas.audit.words import short_lines
    from nas.cli.terminal import console_for, print_words, say

    saved = SavedRun(run, run.results())
    if audited and not as_json:
        for line in short_lines(saved.audit):
            print_words(console_for(), f"  {line}", style="dim")
    if session.options.report:
        path = written_or_told(saved, say, where=where(session.options.runs_dir))
        if path and not as_json:
            print(f"report: {path}")


def print_next(name: str, standings: list[Standing], runs_dir: Path) -> None:
    """What can be done with the leader, which is called a winner only where it is ahead of its reference."""
    from nas.ranking.words import leader

    if (best := leader(standings)) is None:
        return
    is_ahead = best.gain is not None and best.gain.verdict == "ahead" and not best.is_fragile
    first = "the winner" if is_ahead else "rank 1, not shown to be better than its reference,"
    there = where(runs_dir)
    print(f"Next: nas export {name} --top 1{there}    {first} as a module, with its weights")
    print(f"      nas train {name} {best.id}{there}    longer, with test accuracy at the end")
    print(f"      nas top {name} -n 100{there}    all candidates")
    print(f"      nas audit {name}{there}    how much of the order is signal")
    if not is_ahead:
        sure = ", or --until-sure 0.9" if best.judged and best.on_front is None else ""  # it takes bits, one objective
        print(f"      the same search with more --trials{sure}    goes on from here")


def _introduce(session: Session, as_json: bool) -> None:
    """Says what is about to be done, where it does not mix with JSON lines."""
    from nas.cli.tables import count
    from nas.loop.rates import FIRST, swept_networks
    from nas.ranking.words import parts_in_words

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
    judge = 0 if dataset.judge is None else len(dataset.judge)
    say(
        f"data {dataset.name}: {parts_in_words(len(dataset.train), len(dataset.validation), judge)} {dataset.noun}; "
        f"{counted(plan.trials, 'candidate')} of up to {counted(plan.epochs, 'epoch')}"
        + (f" (rung{'s' * (len(plan.rungs) > 1)} at {', '.join(map(str, plan.rungs))})" if plan.rungs else "")
        + f", then {up_to}{plan.top} and their references over {_seeds(plan)}"
    )
    if plan.lr is None:
        on, rates = " and ".join(swept_networks(session.space)), " and ".join(f"{lr:g}" for lr in FIRST)
        say(f"learning rate: found before the search on {on}, from {rates} on (--lr fixes it)")
    for note in dataset.notes:
        say(one_line(note))
    workers = f"the Ray cluster {session.options.ray!r}" if session.options.ray else counted(session.workers, "worker")
    say(f"run {session.options.runs_dir / session.name}: {workers} on {session.device}", flush=True)


def _seeds(plan: Plan) -> str:
    """How many there are of the finals."""
    if plan.until_sure is None:
        return counted(plan.seeds, "seed")
    looks = " or ".join(map(str, plan.looks))
    return f"{looks} seeds, until it is {100 * plan.until_sure:.3g}% sure"


def _propose(session: Session, as_json: bool) -> None:
    from nas.cli.tables import architecture_json, print_blocks

    for number in range(1, session.plan.trials + 1):
        architecture = session.strategy.ask()
        if architecture is None:
            break
        if as_json:
            print_json(architecture_json(architecture))
            continue
        print(f"{number:3} {architecture.id}  {architecture.params:,} parameters  {architecture.macs:,} MACs")
        print_blocks(architecture)
