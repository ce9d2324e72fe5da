"""What earlier sessions of a run have left."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from einmix import Architecture, PatternError
from nas.errors import counted, one_line
from nas.loop.status import Status, Watcher
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Key, Kind, Phase
from nas.runs.result import Result, latest
from nas.runs.settings import versions

TRIES = 2
"""So many times what fails is trained, once in each session."""

DIVERGED = "FloatingPointError"
"""So begins the reason of a training whose loss is no number: for a learning rate that is tried, an answer."""


def make_job(architecture: Architecture, lr: float, seed: int, epochs: int, phase: Phase) -> Job:
    """The job of training an architecture."""
    return Job(json.loads(architecture.to_json()), architecture.id, lr, seed, epochs, phase)


def none_succeeded(results: Sequence[Result]) -> str:
    """What is to be said where no training came to a score, and some failed; else nothing."""
    failed = [result for result in results if result.state == "failed"]
    if not failed or any(result.scores for result in results):
        return ""
    why = one_line(failed[0].reason)
    return f"all of {counted(len(failed), 'training')} failed, the first of {why}: tracebacks are in results.jsonl"


def settled(past: Sequence[Result], tries: float) -> list[Result]:
    """The results without the failures that are tried again: of trainings that failed fewer than so many times.

    A learning rate that was tried at which a training diverged has its answer.
    """
    failed = Counter((result.phase, result.key) for result in past if result.state == "failed")
    again = {
        (each.phase, each.key)
        for each in latest(past)
        if each.state == "failed" and failed[each.phase, each.key] < tries
        if not (each.phase == "tune" and each.reason.startswith(DIVERGED))
    }
    return [result for result in past if result.state != "failed" or (result.phase, result.key) not in again]


def of_a_kind(
    wanted: Collection[Key], past: Sequence[Result], run: RunFolder, status: Status, watcher: Watcher
) -> dict[Key, Result]:
    """Of a run's results those wanted in a phase that can stand in one mean: of one kind.

    Where one device and precision has them all it is that, else what is trained on now; the watcher is told of others.
    One that failed and does not say on what counts for any kind.
    """
    by_kind: dict[Kind, dict[Key, Result]] = defaultdict(dict, {status.kind: {}})
    anywhere: dict[Key, Result] = {}
    for result in past:
        if result.phase == status.phase and result.key in wanted:
            (anywhere if _is_untold(result) else by_kind[run.kind_of(result)])[result.key] = result
    mine, *others = by_kind
    whole = [kind for kind in by_kind if len(anywhere | by_kind[kind]) == len(set(wanted))]
    if others and not whole:
        was = " and ".join(f"{len(by_kind[kind])} on {' in '.join(kind)}" for kind in others)
        watcher.say(
            f"{status.phase}: {was} stand apart: a mean is of one device and precision, now {' in '.join(mine)} "
            "(--device says which)"
        )
    return anywhere | by_kind[(whole or [mine])[0]]


def _is_untold(result: Result) -> bool:
    """Whether a training failed whose line does not say on what."""
    return result.state == "failed" and "device" not in result.extra


def say_changes(run: RunFolder, kind: Kind, watcher: Watcher) -> None:
    """Tells the watcher what is not as it was when the run was last trained in: packages, device, precision."""
    past, now = run.results(), versions()
    was = next((result.versions for result in reversed(past) if result.versions), run.settings.get("versions"))
    known = {name: one_line(str(version)) for name, version in was.items()} if isinstance(was, dict) else {}
    changed = [f"{name} {known[name]} (now {now[name]})" for name in now if known.get(name, now[name]) != now[name]]
    if past and changed:
        watcher.say(
            f"trained so far with {', '.join(changed)}: what follows may differ a little; every line has its own"
        )
    others = Counter(run.kind_of(result) for result in past if result.phase == "search" and not _is_untold(result))
    others.pop(kind, None)
    for other, times in others.items():
        which = "1 candidate was" if times == 1 else f"{times} candidates were"
        watcher.say(f"{which} trained on {' in '.join(other)}, others are on {' in '.join(kind)}: not quite comparable")


def check_result(result: Result) -> None:
    """Raises ValueError unless a result's architecture is one, with the id and the costs that the line says."""
    try:
        architecture = Architecture.from_json(result.architecture)
    except PatternError as error:
        raise ValueError(error.summary) from None
    for name in ("id", "params", "macs"):
        told, true = getattr(result, name), getattr(architecture, name)
        if told != true:
            raise ValueError(f"{name!r} is {told}, its architecture's is {true}")
