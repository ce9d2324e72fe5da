"""A run as Python users hold it: what it found, and what can be done with that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from einmix import Architecture
from einmix.networks.architecture import Slotted
from nas.api.compare import Comparison
from nas.api.export import best_trained, export
from nas.api.rows import html, rows, training_rows
from nas.api.saved import SavedRun
from nas.api.study import study
from nas.api.train import train_longer
from nas.audit.audit import Audit
from nas.audit.correlations import FEWEST_FINISHED
from nas.data.objects import given
from nas.errors import NasError, counted
from nas.exports.check import Exported, loaded
from nas.loop.progress import shown
from nas.loop.status import Watcher
from nas.options.compare import Compare
from nas.options.train import Train
from nas.ranking.gains import Compared
from nas.ranking.standings import Standing
from nas.ranking.words import accuracy
from nas.runs.result import Result

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from pandas import DataFrame
    from torch import nn


PROXY_BATCH = 32
"""Examples on which zero-cost proxies are worked out."""

MOST_PROXIES = 500
"""Candidates of which they are."""


class Run:
    """A run, finished or not: what it found, and what can be done with it.

    A network is named by its rank, its id or the beginning of that, or by its standing. What is done with one shows its
    progress on stderr, or to a `watcher`; `quiet` asks for nothing of it. All that cannot be raises NasError.

    >>> run = open_run("subgrid-digits-c52e77")  # doctest: +SKIP
    >>> run.best.accuracy, run["2c1b"].gain, run.model(1)  # doctest: +SKIP
    """

    def __init__(self, saved: SavedRun):
        self.saved = saved

    def __repr__(self) -> str:
        found = self.top()
        best = next((f", best {s.title} {accuracy(s)} (n={s.n})" for s in found if s.accuracy is not None), "")
        tried = sum(standing.search is not None for standing in self.saved.standings)
        return f"<Run {self.saved.name}: {counted(tried, 'candidate')}{best}>"

    @property
    def name(self) -> str:
        return self.saved.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.saved.folder.path

    @property
    def lr(self) -> float:
        """The learning rate of its search, as given or as found."""
        return self.saved.lr

    def top(self, n: int | None = None) -> list[Standing]:
        """What was found, the best first: the first `n`, or all. The `references` stand apart."""
        if n is not None and (not isinstance(n, int) or n < 0):
            raise NasError(f"the top {n!r} of a run: a number from 0 on is expected")
        return [standing for standing in self.saved.standings if not standing.is_reference][:n]

    @property
    def references(self) -> list[Standing]:
        """The reference points, the best first."""
        return [standing for standing in self.saved.standings if standing.is_reference]

    @property
    def best(self) -> Standing:
        """The best of what was found and has come to its end."""
        return self.saved.finished[0]

    def __getitem__(self, which: str | int | Standing) -> Standing:
        return self.saved.find(which.id if isinstance(which, Standing) else str(which))

    def __iter__(self) -> Iterator[Standing]:
        return iter(self.top())

    def __len__(self) -> int:
        return len(self.top())

    def frame(self, of: Literal["networks", "trainings"] = "networks") -> DataFrame:
        """A flat row a network, as `rows` has them: its figure, its gain with its interval, its sizes, its mixers.

        Of `trainings` it is a row a training: what was trained, how it ended, and on what.
        """
        if of not in ("networks", "trainings"):
            raise NasError(f"a frame of {of!r}: networks or trainings are expected")
        try:
            from pandas import DataFrame
        except ImportError:
            raise NasError("a frame takes pandas, which is not installed: pip install 'einmix-nas[frame]'") from None
        saved = self.saved
        return DataFrame(rows(saved.standings) if of == "networks" else training_rows(saved.results, saved.metric))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html(self.name, self.saved.standings, self.saved.metric)

    def model(self, which: str | int | Standing) -> nn.Module:
        """The network with its trained weights, to evaluate: `b c *axes` -> `b k` logits.

        Of several trainings it is the longest, then the best one.
        """
        standing = self[which]
        trained = best_trained(self.saved, standing)
        kept = self.saved.folder.kept_weights(trained) if trained else None
        if kept is None:
            only = "only finalists do, and what `train` has trained"
            raise NasError(f"{standing.id} has no weights in run {self.name!r}: {only}")
        if isinstance(standing.architecture, Slotted):
            how = "fill(make_model(), run.best.architecture), of einmix.slots, has them loaded by load_state_dict"
            raise NasError(f"{standing.id} fills the slots of a model of your own: {how}, from {kept}")
        return loaded(standing.architecture, kept)

    def export(self, which: str | int | Standing, to: Path | str = "exported", *, format: str = "module") -> Exported:
        """The network written for elsewhere to the folder `to`, with its trained weights, and checked."""
        standing = self[which]
        command = f"nas.open_run({self.name!r}).export({standing.id!r})"
        return export(self.saved, [standing], Path(to), command, format=format)[0]

    def study(self, storage: str | BaseStorage) -> Study:
        """The run as an Optuna study of its name, in a storage such as `sqlite:///x.db`; one of before is replaced."""
        return study(self.saved, storage)

    def train(
        self,
        which: str | int | Standing,
        asked: Train | None = None,
        *,
        watcher: Watcher | None = None,
        quiet: bool = False,
        **options: Any,
    ) -> list[Result]:
        """The network trained for longer, a result a seed, with test accuracy; options are those of `options.Train`."""
        wanted, standing = Train.of(options, asked), self[which]
        with shown(watcher, quiet) as watching:
            results = train_longer(self.saved, standing, wanted, watching)
        self.saved = self.saved.again()
        return results

    def audit(self, *, proxies: bool = True, data_dir: Path | str | None = None) -> Audit:
        """How much of the order is signal, and how the run was made; it trains nothing.

        Zero-cost `proxies` of the candidates are worked out on a batch of the training data, which has to be there.
        """
        found = self.saved.audit
        return replace(found, proxies=self._proxies(found, data_dir)) if proxies else found

    def _proxies(self, found: Audit, data_dir: Path | str | None) -> dict[str, dict[str, float]]:
        """By name and id, of the first so many candidates; none where too few came to the end to hold them against."""
        from nas.training.engine.examples import Examples
        from nas.training.proxies import PROXIES, measure

        if found.finished < FEWEST_FINISHED or self.saved.fills_slots:
            return {}
        dataset = self.saved.located(None if data_dir is None else Path(data_dir))[1]
        x, y = Examples.of(dataset.train, dataset, "cpu", "float32").batch(slice(0, PROXY_BATCH))
        seed = self.saved.setting("seed", "a count")
        rows = {
            result.id: measure(Architecture.from_json(result.architecture), x, y, seed)
            for result in found.searched[:MOST_PROXIES]
        }
        return {name: {id: row[name] for id, row in rows.items() if name in row} for name in PROXIES}

    def report(self, to: Path | str | None = None, *, plots: Path | str | None = None) -> Path:
        """Its page, written as one HTML file: by itself as report.html in its directory.

        With a folder for `plots` these are written as SVG files, too.
        """
        from nas.api.report import write_plots, write_report

        if plots is not None:
            write_plots(self.saved, Path(plots))
        return write_report([self.saved], None if to is None else Path(to))

    def compare(
        self, asked: Compare | None = None, *, watcher: Watcher | None = None, quiet: bool = False, **options: Any
    ) -> list[Compared]:
        """The best network, or that of `id`, then networks of the literature at its size, all trained and tested alike.

        Options are those of `options.Compare`.
        """
        if "id" in options:
            options["id"] = self[options["id"]].id
        comparison = Comparison(self.saved, Compare.of(options, asked))
        with comparison.open_run() as run, shown(watcher, quiet) as watching:
            return comparison.compare(watching, run)


def open_run(name: str | Path, runs_dir: Path | str = "runs", *, data: Any = None) -> Run:
    """A run by its name, or by the path of its directory, finished or not.

    `data` is what it was searched with, where that was no name: they are no part of it.
    """
    return Run(SavedRun.open(Path(runs_dir), str(name), None if data is None else given(data, targets=True)))
