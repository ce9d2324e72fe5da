"""What is asked of a search whose run exists: what was given, and else what the run was."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from nas.api.defaults import rungs
from nas.api.saved import SavedRun
from nas.data.dataset import Dataset
from nas.data.known import load
from nas.data.npz import GIVEN
from nas.data.sources import Source
from nas.errors import NasError
from nas.options.option import declared, flag, marked
from nas.options.search import Search
from nas.ranking.objectives import Objective, parse_objectives, quality
from nas.runs.folder import LAST, RunFolder
from nas.training.worker import HOW
from search_spaces.blocks.patch import patch_on

SIZES = ("patch", "width", "depth", "ratio")
KINDS = {int: "a count", float: "a finite number", bool: "true or false", tuple: "a list of texts"}
"""What run.json has for an option of such a type; for others a text."""

NEEDED = ("strategy", "objective", "seed", "trials", "top", "seeds", "device")
"""Options without which run.json is damaged: every run has them."""

IDENTITY = [name for name, (_, option) in declared(Search).items() if option.run not in (None, "how", "data")]
"""Options that make a run another one where they change; so do data and images, which their fingerprint tells."""


def resumed(asked: Search, source: Source | None = None) -> tuple[Search, Dataset | None]:
    """The options with which a search goes on: those not given are what its run was; with the data, where it exists.

    `source` is data that is given in place of named one.

    Raises NasError where the run is another one with those that were given; it names them.
    """
    name, given = asked.run, asked.given
    if name is None or not RunFolder.exists(asked.runs_dir, name):
        return asked, None
    run = RunFolder.open(asked.runs_dir, name)
    if "comparison" in run.settings:
        raise NasError(f"run {name!r} holds a comparison, not a search: choose another --run")
    run.settings |= {key: value for key, value in (run.kept(LAST) or {}).items() if key in Search.may_differ()}
    saved = SavedRun(run, [], source)
    made = options_of(saved)
    if "patch" in given:  # 2x2 is 2 on two axes
        axes = saved.setting("data.shape", "an object")
        given["patch"] = tuple(dict.fromkeys(patch_on(each, axes) for each in asked.patch))
    if changed := {
        each: given[each] for each in IDENTITY if each in given and not _same(each, given[each], made[each])
    }:
        raise _changed(name, changed, made)
    place, dataset = saved.located(given.get("data_dir"), given.get("data"))
    images = given.get("images", made["images"])
    if images != made["images"]:  # more than there are is as many as there are
        where, judged = given.get("data_dir", made["data_dir"]), saved.is_judged
        limited = load(place, data_dir=where, seed=made["seed"], limit=images, judged=judged)
        if limited.fingerprint != dataset.fingerprint:
            raise _changed(name, {"images": images}, made)
    kept = {option: made[option] for option in made if option in IDENTITY or option not in given}
    if any(given.get(each, made[each]) != made[each] for each in ("ray", "device")):  # others than those that were busy
        kept |= {each: given.get(each, getattr(Search, each)) for each in ("workers", "gpus_per_trial", *HOW)}
    if "until_sure" in given and "seeds" not in given:  # as many as it takes, not those of before
        kept["seeds"] = None
    if str(given.get("space", "")).endswith(".py"):
        kept["space"] = given["space"]
    return Search(**given | kept | {"data": place if isinstance(place, str) else GIVEN}), dataset


def options_of(saved: SavedRun) -> dict[str, Any]:
    """The options of a search that would make this run, as far as it goes on. Raises NasError for a damaged run."""
    has, may, recipe = saved.setting, saved.optional, saved.recipe
    before = halving_before(parse_objectives(has("objective", "a text")))
    listed = {name: has(f"space.{name}", "a list of sizes") for name in SIZES}
    kept = {name: _kept(saved, name) for mark in ("what", "how") for name in marked(Search, mark) if name != "command"}
    return kept | {
        "space": may("space_file", "a text") or has("space.name", "a text"),
        "start": tuple(may("start", "a list of texts") or ()),
        "draw": "ideas" if may("space.weights", "an object") else "networks",
        "images": has("data.train", "a count"),
        "data_dir": saved.data_dir(),
        "prune": bool(has("rungs", "a list of counts")) or not rungs(recipe.epochs),
        "rungs": tuple(has("rungs", "a list of counts")),
        "eta": may("eta", "a finite number") or before["eta"],
        "grace": before["grace"] if (grace := may("grace", "a count")) is None else grace,
        "order": may("order", "a text") or before["order"],
        "workers": kept["workers"] if kept["ray"] is None else kept["workers"] or None,
        **{name: tuple(tuple(n) if isinstance(n, list) else n for n in sizes) for name, sizes in listed.items()},
        **{name: may(f"budget.{name}", "a count") for name in marked(Search, "budget")},
        **{name: getattr(recipe, name) for name in marked(Search, "recipe")},
    }


def halving_before(objectives: Sequence[Objective]) -> dict[str, Any]:
    """How weak candidates were stopped by versions whose runs do not say it."""
    return {"eta": 2.0, "grace": 4, "order": quality(objectives)}


def _kept(saved: SavedRun, name: str) -> Any:
    """An option that run.json keeps as it is; what an earlier version did not keep has its default."""
    kind = declared(Search)[name][0]
    kind = get_origin(kind) if get_origin(kind) is tuple else (*get_args(kind), kind)[0]  # without `| None`
    value = (saved.setting if name in NEEDED else saved.optional)(name, KINDS.get(kind, "a text"))
    return getattr(Search, name) if value is None else tuple(value) if kind is tuple else value


def _same(option: str, value: Any, made: Any) -> bool:
    if option == "objective":
        return parse_objectives(value) == parse_objectives(made)
    if option == "space" and value.endswith(".py"):  # what it declares is compared, wherever it stands
        return bool(made.endswith(".py"))
    return bool(value == made)


def _changed(name: str, changed: Mapping[str, Any], made: Mapping[str, Any]) -> NasError:
    first, *more = changed
    told = f"{_words(first, changed[first])}, run {name!r} was made with {_value(first, made[first])}"
    told += "".join(f"; {_words(each, changed[each])}, not {_value(each, made[each])}" for each in more)
    return NasError(f"{told}: choose another --run")


def _words(option: str, value: Any) -> str:
    return _value(option, value) if option == "prune" else f"{flag(option)} is {_value(option, value)}"


def _value(option: str, value: Any) -> str:
    if option == "prune":
        return "--prune" if value else "--no-prune"
    if isinstance(value, tuple):
        return ",".join("x".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
