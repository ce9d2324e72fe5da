"""The page of a run, or of several side by side: gathered from what is on disk, written beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from einmix import Architecture, PatternError
from nas.api.saved import SavedRun
from nas.errors import NasError
from nas.loop.past import check_result
from nas.options.report import Report
from nas.ranking.gains import Compared, against
from nas.report.drawn import Drawn
from nas.report.figures.facts import Comparison, RunFacts
from nas.report.page import page
from nas.report.served import Served
from nas.runs.files import telling, write_whole
from nas.runs.folder import RunFolder
from nas.runs.result import Result, latest, take
from nas.training.latency import FILE

NAME, SEVERAL = "report.html", "reports.html"
"""What the page of a run is called in its folder, and that of several in the folder of the first."""


def report(saved: Sequence[SavedRun], *, live: str = "", where: str = "") -> str:
    """The page's HTML; `live` is the state that a served one is of. Raises NasError for a run that is damaged."""
    return page([gathered(each, where) for each in saved], live=live)


def write_report(saved: Sequence[SavedRun], to: Path | None = None, *, where: str = "") -> Path:
    """Writes the page, by itself into the folder of the (first) run; raises NasError where that cannot be."""
    path = to or saved[0].folder.path / (NAME if len(saved) == 1 else SEVERAL)
    with telling(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise NasError(f"{path} is a folder: -o takes a file, as in -o {path / NAME}")
        write_whole(path, report(saved, where=where).encode())
    return path


def write_plots(saved: SavedRun, folder: Path) -> list[Path]:
    """The plots of the page as SVG files, each of which stands alone. Raises NasError where that cannot be."""
    with telling(f"write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, text in Drawn.of(gathered(saved)).files().items():
            paths.append(folder / f"{name}.svg")
            write_whole(paths[-1], text.encode())
    return paths


def written_or_told(saved: SavedRun, say: Callable[[str], object], *, where: str = "") -> Path | None:
    """The page at the end of a search: nothing that goes wrong with it may cost the search, so it is said instead."""
    try:
        return write_report([saved], where=where)
    except Exception as error:  # whatever it is, the results are on disk
        say(f"no {NAME} was written: {type(error).__name__}: {error}: `nas report {saved.name}` tries again")
        return None


def served(names: Sequence[str], asked: Report) -> Served:
    """The page of runs of these names, to be served; it follows what is added to their results. Raises NasError."""
    saved = runs_named(names, asked.runs_dir)
    files = [each.folder.path / "results.jsonl" for each in saved]

    def state() -> str:
        return "-".join(str(file.stat().st_size if file.exists() else 0) for file in files)

    def render(now: str) -> str:
        return report([each.again() for each in saved], live=now)

    return Served(render, state, asked.port)


def gathered(saved: SavedRun, where: str = "") -> RunFacts:
    """What a page knows of a run. Raises NasError for one that has a metric, a trainer or a model of its own."""
    saved.takes_accuracy("a page")
    lr = None
    with suppress(NasError):
        lr = saved.lr
    return RunFacts(
        saved.name,
        saved.folder.created,
        saved.folder.settings,
        saved.audit,
        saved.objectives,
        lr,
        tuple(comparisons(saved)),
        where,
    )


def comparisons(saved: SavedRun) -> list[Comparison]:
    """The comparisons beside a run that have tested something; what of them cannot be read is passed over."""
    found = []
    for folder, held in saved.comparisons():
        with suppress(NasError, ValueError, OSError, PatternError):
            if told := _comparison(folder, held):
                found.append(told)
    return found


def _comparison(folder: RunFolder, held: dict[str, object]) -> Comparison | None:
    """What `nas compare` has found, from its lines alone; the found network comes first. ValueError, NasError."""
    networks, data = take(folder.settings, "networks", "an object"), take(folder.settings, "data", "an object")
    seeds, examples = take(folder.settings, "seeds", "a count"), take(data, "test", "a count")
    by_id: dict[str, list[Result]] = {}
    for result in latest(folder.results(validate=check_result)):
        by_id.setdefault(result.id, []).append(result)
    kept = folder.kept(FILE) or {}
    ms = kept.get("ms") if isinstance(kept.get("ms"), dict) else {}
    compared = [
        _compared(name, by_id[id], name == held.get("found"), ms.get(id) if ms else None)
        for name, id in networks.items()
        if id in by_id
    ]
    found, others = ([each for each in compared if each.is_found == is_found] for is_found in (True, False))
    if len(found) != 1 or not any(each.tested for each in compared):
        return None
    seeds = max(seeds, *(len(each.tested) for each in compared))
    told = against(found[0], others, seeds=seeds, examples=examples)
    return Comparison(folder.name, take(data, "name", "a text"), (found[0], *told), examples)


def _compared(name: str, results: Sequence[Result], is_found: bool, ms: object) -> Compared:
    tested = tuple(result for result in results if result.phase == "compare")
    return Compared(
        name,
        Architecture.from_json(results[0].architecture),
        is_found,
        tuple(result for result in results if result.phase == "tune"),
        tested,
        tested[0].lr if tested else None,
        float(ms) if isinstance(ms, int | float) else None,
    )


def runs_named(names: Sequence[str], runs_dir: Path) -> list[SavedRun]:
    """The runs of these names or paths. Raises NasError for one that is none, or is named twice."""
    found = [SavedRun.open(runs_dir, name) for name in names]
    paths = [each.folder.path.resolve() for each in found]
    for each, path in zip(found, paths, strict=True):
        if paths.count(path) > 1:
            raise NasError(f"run {each.name!r} is named twice")
    return found
