"""A run as it is on disk, read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from nas.api.defaults import preprocessing
from nas.audit.audit import Audit
from nas.audit.checklist import Facts
from nas.data.dataset import NOUNS, Dataset, Range
from nas.data.known import load, place_of
from nas.data.npz import GIVEN
from nas.data.sources import Source
from nas.errors import NasError, nearest
from nas.exports.preprocessing import Preprocessing
from nas.loop.past import check_result
from nas.loop.rates import rate_of
from nas.ranking.objectives import Objective, Quality, parse_objectives
from nas.ranking.run_ranking import order_of, standings_of, sureness
from nas.ranking.standings import Standing, ranked
from nas.runs.folder import LAST, RunFolder
from nas.runs.job import Kind
from nas.runs.own import Metric, metric_of
from nas.runs.result import Result, take
from nas.strategies import STRATEGIES
from nas.strategies.random_search import RandomSearch
from nas.training.recipe import Recipe, kind_on
from nas.training.worker import HOW
from search_spaces import BoundSpace, Family, Space, SpaceError
from search_spaces.space import SIZES, WORDS

SHORTEST = 4
"""Letters of an id that name an architecture: what is shorter is a rank."""


@dataclass(frozen=True)
class SavedRun:
    """A run that exists, with what its settings say, for commands that read it or train in it.

    `given` is its data where that was not named, but given as arrays.
    """

    folder: RunFolder
    results: list[Result]
    given: Source | None = None

    @classmethod
    def open(cls, runs_dir: Path, name: str, given: Source | None = None) -> SavedRun:
        """Raises NasError for an unknown or damaged run, or one that is a comparison."""
        run = RunFolder.open(runs_dir, name)
        if "comparison" in run.settings:
            raise NasError(f"{name!r} holds a comparison, not a search: `nas compare` of its search shows it")
        return cls(run, run.results(validate=check_result), given)

    def again(self) -> SavedRun:
        """The same, read once more: trainings may have ended since."""
        return replace(self, results=self.folder.results(validate=check_result))

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def standings(self) -> list[Standing]:
        """The ranking of the run."""
        started = self.setting("started", "an object") if "started" in self.folder.settings else {}
        names = {id: name for id, name in started.items() if isinstance(name, str)}
        return standings_of(self.results, self.folder, self.objectives, names)

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """What the run optimises."""
        return parse_objectives(self.setting("objective", "a text"), self.metric)

    @cached_property
    def metric(self) -> Metric:
        """What its networks are judged by."""
        return metric_of(self.folder.settings)

    def takes_accuracy(self, what: str) -> None:
        """Raises NasError where a run has a metric, a loss or a trainer of its own, for what knows accuracy alone."""
        if any(self.own(what) for what in ("metric", "loss", "trainer")):
            raise NasError(f"run {self.name!r} has a metric or a trainer of its own: {what} is about accuracy alone")

    def takes_networks(self, what: str) -> None:
        """Raises NasError also where a run fills the slots of a model, for what builds whole networks."""
        self.takes_accuracy(what)
        if self.fills_slots:
            raise NasError(f"run {self.name!r} fills the slots of a model of yours: {what} is of whole networks alone")

    @property
    def fills_slots(self) -> bool:
        return bool(self.own("model"))

    def own(self, what: str) -> str:
        """What its user gave it, by its name: "loss", "trainer", "model" or "metric"; empty where that is ours."""
        given = (self.optional("own", "an object") or {}).get(what, "")
        return str(given.get("name", "") if isinstance(given, dict) else given)

    @property
    def finished(self) -> list[Standing]:
        """What was found and has come to its end, the best first. Raises NasError where nothing has."""
        finished = [s for s in self.standings if not s.is_reference and s.state in ("final", "complete")]
        if not finished:
            raise NasError(f"run {self.name!r} has no finished training yet: go on with its search")
        return finished

    def find(self, id: str) -> Standing:
        """An architecture by its rank, or by its id or the beginning of it. Raises NasError."""
        if len(id) < SHORTEST:
            places = {str(place): standing for place, standing in ranked(self.standings) if place is not None}
            if id not in places:
                ranks = f"run {self.name!r} has ranks 1 to {len(places)}, and "
                raise NasError(f"no architecture {id!r}: {ranks}an id takes at least {SHORTEST} letters")
            return places[id]
        found = [standing for standing in self.standings if standing.id.startswith(id)]
        if len(found) != 1:
            several = f"{len(found)} architectures of run {self.name!r} begin with {id!r}: write more of the id"
            ids = [standing.id for standing in self.standings]
            raise NasError(several if found else f"no architecture {id!r} in run {self.name!r}: {nearest(id, ids)}")
        return found[0]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return Recipe.from_json(self.setting("recipe", "an object"))

    @cached_property
    def lr(self) -> float:
        """The learning rate of its search: as given, or as found. Raises NasError before that."""
        lr = self.recipe.lr or rate_of(self.results)
        if lr is None:
            raise NasError(f"run {self.name!r} has not found its learning rate yet: go on with its search")
        return lr

    @cached_property
    def space(self) -> BoundSpace:
        """The space that was searched, as its settings declare it. Raises NasError for a damaged one."""
        declared, shape = self.setting("space", "an object"), self.setting("data.shape", "an object")
        try:
            families = declared["families"].items()
            sizes: dict[str, Any] = {name: _sizes(declared[name]) for name in (*SIZES, *WORDS) if name in declared}
            space = Space(
                declared["name"],
                "",
                tuple(Family(name, "*", axes["c"], axes={a: axes[a] for a in shape}) for name, axes in families),
                bias=declared["bias"],
                forms=tuple(declared.get("forms", ())),
                mixes_all=False,  # whether it is so is not kept
                **sizes,
            )
            return space.on(shape, channels=self.setting("data.channels", "a count"), classes=self.classes)
        except (KeyError, TypeError, AttributeError, SpaceError) as error:
            raise NasError(f"{self.folder.path / 'run.json'}: its space cannot be read: {error}") from None

    @property
    def classes(self) -> int:
        """How many numbers its networks give."""
        count: int = self.setting("data.classes", "a count")
        return count

    @property
    def space_name(self) -> str:
        """The name of the space that was searched, fit for the name of a module."""
        name: str = self.setting("space.name", "a text")
        return name if name.isidentifier() and name.isascii() else "network"

    @property
    def noun(self) -> str:
        """What an example of its data is, in the plural."""
        return NOUNS.get(len(self.setting("data.shape", "an object")), "examples")

    @property
    def is_judged(self) -> bool:
        """Whether its finals are judged on examples that chose nothing; older runs have none."""
        return self.optional("data.judge", "a count") is not None

    def located(self, data_dir: Path | None = None, data: str | None = None) -> tuple[str | Source, Dataset]:
        """How to load the data of the run, and the data: from where it is said to be or where it was, or near that.

        Raises NasError when it is not there, or has changed.
        """
        name, fingerprint = self.setting("data.name", "a text"), self.setting("data.fingerprint", "a text")
        seed, limit = self.setting("data.seed", "a count"), self.setting("data.train", "a count")
        changed = f"is not what run {self.name!r} was made with: its fingerprint differs"
        errors = []
        places: Sequence[str | Source] = (
            [data] if data is not None else [self.given] if self.given else self._places(data_dir)
        )
        for place in places:
            try:
                dataset = load(place, data_dir=self.data_dir(data_dir), seed=seed, limit=limit, judged=self.is_judged)
            except NasError as error:
                errors.append(error)
                continue
            if dataset.fingerprint == fingerprint:
                return place, replace(dataset, name=name)
            told = place if isinstance(place, str) else name
            errors.append(NasError(f"data {told!r} {changed}: --data says where that is, another --run what is new"))
        if errors:
            raise errors[0]
        if (was := self.optional("data_path", "a text") or name) == GIVEN:
            raise NasError(f"run {self.name!r} was made with arrays: give them again, as in data=(x, y)")
        raise NasError(
            f"data {name!r} of run {self.name!r} is not where it was, {was}: write --data PATH, where it is now"
        )

    def _places(self, data_dir: Path | None) -> list[str]:
        """Where the run's data can be: a known name; or its path of then, and what is called so nearby."""
        name, path = self.setting("data.name", "a text"), self.optional("data_path", "a text")
        if path is None and place_of(name) is None:
            return [name]
        was, latest = Path(path or name), (self.folder.kept(LAST) or {}).get("data_path")
        near = [self._home / name, self.data_dir(data_dir) / was.name, Path(was.name)]
        places = [was, *([Path(latest)] if isinstance(latest, str) else []), *near]
        return [str(each) for each in dict.fromkeys(place.resolve() for place in places if place.exists())]

    def data_dir(self, given: Path | None = None) -> Path:
        """Where known data sets are: as said, else as in the search."""
        was = Path(self.setting("data_dir", "a text"))
        return given or (was if was.exists() or not (self._home / was).exists() else self._home / was)

    @property
    def _home(self) -> Path:
        """The folder from which runs of the first version, which kept relative paths, were most likely searched."""
        return self.folder.path.resolve().parent.parent

    @property
    def audit(self) -> Audit:
        """How much of its order is signal, and how it was made, as its folder and those beside it say now."""
        self.takes_accuracy("an audit")
        return Audit(self.results, self.standings, self.facts, self.order)

    @property
    def facts(self) -> Facts:
        """What its settings, and comparisons beside it, say of how it was made, for an audit."""
        latest = self.folder.settings | (self.folder.kept(LAST) or {})
        started = frozenset(self.optional("started", "an object") or {})
        made = STRATEGIES.get(self.setting("strategy", "a text"))
        drawn = inf if made is RandomSearch else max(0, getattr(made, "startup", 0) - len(started))
        return Facts(
            validation=self.setting("data.validation", "a count"),
            judge=self.optional("data.judge", "a count") or 0,
            rungs=tuple(self.setting("rungs", "a list of counts")),
            trials=_count(latest.get("trials"), 1),
            random=drawn,
            workers=_count(latest.get("workers"), _count(self.folder.settings.get("workers"), 1)),
            lr=self.recipe.lr,
            asked=(self.setting("seeds", "a count"), _count(latest.get("seeds"), 0)),
            until_sure=sureness(self.folder),
            started=started,
            compared=self._compared(),
            noun=self.noun,
        )

    @property
    def order(self) -> Quality:
        """The validation figure by which its search compared candidates."""
        return order_of(self.folder, self.objectives)

    def comparisons(self) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
        """The runs of `nas compare` beside it that are about it, and what they were asked; those that can be read."""
        for path in sorted(self.folder.path.resolve().parent.glob("*/run.json")):
            with suppress(NasError, OSError):
                folder = RunFolder(path.parent)
                held = folder.settings.get("comparison")
                if isinstance(held, dict) and held.get("run") == self.name:
                    yield folder, held

    def _compared(self) -> frozenset[str]:
        """The ids of its networks that `nas compare` has tested on the test data of this run."""
        found = set()
        for folder, held in self.comparisons():
            data = folder.settings.get("data")
            if isinstance(data, dict) and data.get("name") == self.setting("data.name", "a text"):
                with suppress(NasError):
                    if any(result.test and result.id == held.get("id") for result in folder.results()):
                        found.add(str(held.get("found")))
        return frozenset(found)

    def optional(self, name: str, kind: str) -> Any:
        """A setting as `setting` gives it, or None where there is none."""
        value: Any = self.folder.settings
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return None if value is None else self.setting(name, kind)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How raw inputs become those of the networks; of an earlier version's run, by its data. Raises NasError."""
        if "inputs" not in self.folder.settings:
            return preprocessing(self.located()[1])
        mean, std = (self.setting(f"data.{moment}", "a list of finite numbers") for moment in ("mean", "std"))
        try:
            takes, classes = _inputs(self.setting("inputs", "an object"))
        except ValueError as error:
            raise NasError(f"{self.folder.path / 'run.json'}: among its inputs {error}") from None
        return Preprocessing(takes, classes, tuple(mean), tuple(std), self.noun)

    def how(self, device: str) -> dict[str, Any]:
        """How its latest session computed on a device; that is the GPUs' own, "auto" where a version did not say."""
        kept = self.folder.settings | (self.folder.kept(LAST) or {}) if device == "cuda" else {}
        return {name: str(kept.get(name, "auto")) for name in HOW}

    def kind(self, device: str) -> Kind:
        """What its trainings are trained on, on a device."""
        return kind_on(device, self.how(device)["precision"])

    def setting(self, name: str, kind: str) -> Any:
        """A setting by its dotted name, checked to be of a kind that `nas.runs.result.take` knows. Raises NasError."""
        *outer, last = name.split(".")
        values = self.folder.settings
        try:
            for part in outer:
                values = take(values, part, "an object")
            return take(values, last, kind)
        except ValueError as error:
            raise NasError(f"{self.folder.path / 'run.json'}: among its settings {error}") from None


def _count(value: object, otherwise: int) -> int:
    return value if type(value) is int and value > 0 else otherwise


def _sizes(values: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(each) if isinstance(each, list) else each for each in values)


def _inputs(value: dict[str, Any]) -> tuple[dict[str, Range], tuple[str, ...]]:
    """The ranges and the class names that `Preprocessing.to_json` gave, from a file that is not trusted: ValueError."""
    takes = take(value, "takes", "an object")
    bounds = {kind: take(takes, kind, "a list of finite numbers") for kind in takes}
    if not bounds or not bounds.keys() <= {"uint8", "float"} or any(len(each) != 3 for each in bounds.values()):
        raise ValueError(f"'takes' is {takes!r:.100}, not ranges of uint8 or float")
    ranges = {kind: (each[0], each[1], each[2]) for kind, each in bounds.items()}
    return ranges, tuple(take(value, "classes", "a list of texts"))
