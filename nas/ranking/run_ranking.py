"""The ranking of a run: of results of one kind; with several objectives those on the front before the others."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from nas.claims.claims import UNKNOWN, Claim
from nas.errors import NasError
from nas.ranking.objectives import Objective, Quality, figures, quality, undominated
from nas.ranking.standings import Standing, rank, sizes_of
from nas.ranking.words import sizes
from nas.runs.folder import LAST, RunFolder
from nas.runs.job import Kind
from nas.runs.own import Metric, metric_of
from nas.runs.result import Result, is_finite


def standings_of(
    results: Sequence[Result], run: RunFolder, objectives: Sequence[Objective], started: Mapping[str, str]
) -> list[Standing]:
    """The ranking of a run's results; `started` are the names of the networks it began with, by id.

    References that share a label are told apart by their sizes.
    """
    data = run.settings.get("data")
    judge = data.get("judge") if isinstance(data, dict) else None
    try:
        standings = rank(
            of_one_kind(results, run.kind_of),
            sizes_of,
            quality(objectives),
            judge if type(judge) is int else 0,
            sureness(run),
            order_of(run, objectives),
        )
    except ValueError as error:
        raise NasError(f"{run.path / 'results.jsonl'}: {error}") from None
    metric = metric_of(run.settings)
    labels = Counter(each.label for each in standings if each.is_reference)
    told = {each.id: sizes(each.architecture) for each in standings if labels[each.label] > 1} | dict(started)
    named = [replace(each, name=told.get(each.id, ""), metric=metric, gain=_gain(each, metric)) for each in standings]
    return along_front(named, objectives)


def _gain(standing: Standing, metric: Metric) -> Claim | None:
    """A gain as a metric has it: of one's own no more is known than how large it was."""
    if standing.gain is None or metric.is_accuracy:
        return standing.gain
    return Claim(standing.gain.mean, standing.gain.against, standing.gain.rival, UNKNOWN, unit=metric.name)


def order_of(run: RunFolder, objectives: Sequence[Objective]) -> Quality:
    """The validation figure by which its search compared candidates."""
    kept = run.settings.get("order")
    return kept if kept == "loss" or kept == "accuracy" else quality(objectives)


def sureness(run: RunFolder) -> float | None:
    """How sure its finals were to be, by its latest session that asked; None where all are over a number of seeds."""
    sure = (run.settings | (run.kept(LAST) or {})).get("until_sure")
    return float(sure) if sure is not None and is_finite(sure) and 0 < sure < 1 else None


def of_one_kind(results: Sequence[Result], kind_of: Callable[[Result], Kind]) -> list[Result]:
    """The results without those finals that cannot stand in one mean with the others: of another device or precision.

    Those stay of which there are more; of as many, those that came last, with what was trained on the same at other
    rates. One that failed may not say what it was on.
    """
    ended = [kind_of(result) for result in results if result.phase == "final" and result.state == "complete"]
    counts = Counter(reversed(ended))
    kept = max(counts, key=counts.__getitem__, default=None)
    return [
        result
        for result in results
        if result.phase not in ("final", "tune")
        or kept is None
        or kind_of(result) == kept
        or (result.state == "failed" and "device" not in result.extra)
    ]


def along_front(standings: Sequence[Standing], objectives: Sequence[Objective]) -> list[Standing]:
    """The same, with several objectives those on the front marked, and before the others of their kind.

    Finalists and references are compared by their means over seeds, if they have them all, the others by the search.
    """
    if len(objectives) < 2:
        return list(standings)
    finals = {s.id: _means(s.finals, objectives) for s in standings if s.finals and not s.lacking}
    complete = [s.search for s in standings if s.search and s.search.state == "complete"]
    front = _on_front(finals), _on_front({result.id: _means([result], objectives) for result in complete})
    marked = [replace(s, on_front=s.id in front[0 if s.finals else 1]) for s in standings]
    return sorted(marked, key=lambda s: (not s.finals, len(s.lacking) if s.finals else 0, not s.on_front))


def _means(results: Sequence[Result], objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """Means of results in every objective, the larger the better; None where a figure is not known."""
    if not all(result.counts and objective.known(result) for result in results for objective in objectives):
        return None
    points = [figures(result, result.counts, objectives) for result in results if result.counts]
    return tuple(map(fmean, zip(*points, strict=True)))


def _on_front(points: Mapping[str, tuple[float, ...] | None]) -> set[str]:
    front = undominated([point for point in points.values() if point is not None])
    return {id for id, mine in points.items() if mine in front}
