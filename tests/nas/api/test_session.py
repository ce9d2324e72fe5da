"""What is asked of a search reaches the part that it is meant for, and no other."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nas.api import defaults, resources
from nas.api import saved as runs
from nas.api import search as sessions
from nas.api.defaults import CPU_IMAGES, budget_band, default_seeds, load_data, starting
from nas.api.resources import find_device, worker_count
from nas.api.resuming import IDENTITY, options_of
from nas.api.saved import SavedRun
from nas.api.search import Session
from nas.errors import NasError
from nas.executors.packing import BUNDLE
from nas.options.option import declared
from nas.options.search import Search
from nas.ranking.run_ranking import sureness
from nas.ranking.standings import sizes_of
from nas.runs.folder import RunFolder
from nas.runs.settings import differing
from nas.runs.storage import Storage
from nas.training.recipe import LARGE, Recipe
from nas.training.worker import MakeTrainer
from search_spaces import BoundSpace, Budget, SpaceError, load
from search_spaces.zoo import Inputs, member

PLAIN = Search(space="mixed", strategy="random", device="cpu", width=(8, 16), depth=(1, 2), patch=(1, 2), seed=3)


@pytest.fixture(scope="module", autouse=True)
def one_load() -> Any:
    """Digits are read once for each seed and limit."""
    known: dict[str, Any] = {}
    original = defaults.load

    def remembered(name: str, **given: Any) -> Any:
        key = repr((name, given))
        if key not in known:
            known[key] = original(name, **given)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (defaults, runs):
            patch.setattr(module, "load", remembered)
        yield


def facts(session: Session) -> dict[str, Any]:
    """All that trainings and proposals of a search depend on, by name."""
    names = "trials", "rungs", "eta", "grace", "order", "minutes", "top", "seeds", "start"
    plan = {name: getattr(session.plan, name) for name in names}
    found = {f"recipe.{name}": value for name, value in session.recipe.to_json().items()}
    found |= {f"plan.{name}": value for name, value in plan.items()}
    found |= {f"budget.{name}": value for name, value in asdict(session.budget).items()}
    found |= {f"space.{name}": sizes for name, sizes in session.space.sizes.items()}
    found["objectives"] = [objective.name for objective in session.plan.objectives]
    found["images"], found["split"] = len(session.dataset.train), session.dataset.seed
    found["workers"], found["seed of the plan"] = session.workers, session.plan.seed
    return found


ASKED: list[tuple[str, Any, dict[str, Any]]] = [
    # an option, its value, and all that is another for it
    ("trials", 5, {"plan.trials": 5}),
    ("minutes", 2.5, {"plan.minutes": 2.5}),
    ("top", 2, {"plan.top": 2}),
    ("seeds", 4, {"plan.seeds": 4}),
    ("workers", 7, {"workers": 7}),
    ("prune", False, {"plan.rungs": ()}),
    ("objective", "loss", {"objectives": ["loss"]}),
    ("rungs", (2, 1), {"plan.rungs": (1, 2)}),
    ("eta", 4.0, {"plan.eta": 4.0}),
    ("grace", 2, {"plan.grace": 2}),
    ("order", "accuracy", {"plan.order": "accuracy"}),
    ("objective", "macs,accuracy", {"objectives": ["macs", "accuracy"]}),
    ("objective", "accuracy,latency", {"objectives": ["accuracy", "latency"], "plan.rungs": ()}),
    ("epochs", 7, {"recipe.epochs": 7, "plan.rungs": (3,)}),
    ("lr", 0.02, {"recipe.lr": 0.02}),
    ("batch", 32, {"recipe.batch": 32}),
    ("weight_decay", 0.2, {"recipe.weight_decay": 0.2}),
    ("label_smoothing", 0.3, {"recipe.label_smoothing": 0.3}),
    ("augment", "shift", {"recipe.augment": "shift"}),
    ("scaling", "fan-in", {"recipe.scaling": "fan-in"}),
    ("images", 900, {"images": 900}),
    ("seed", 4, {"split": 4, "seed of the plan": 4}),
    ("ratio", (3, 1), {"space.ratio": (3, 1)}),
    ("depth", (2, 1), {"space.depth": (2, 1)}),
    ("min_params", 1500, {"budget.min_params": 1500, "budget.max_params": None}),
    ("max_macs", 40_000, {"budget.max_macs": 40_000}),
    ("max_params", 2000, {"budget.max_params": 2000, "budget.min_params": 1000, "budget.max_macs": None}),
]


@pytest.mark.parametrize(("option", "value", "changed"), ASKED)
def test_an_option_changes_what_it_is_called_after_and_nothing_else(option, value, changed):
    before, after = facts(Session(PLAIN)), facts(Session(replace(PLAIN, **{option: value})))
    found = {name: after[name] for name in after if after[name] != before.get(name)}
    if option in ("ratio", "depth"):  # the default budget is that of the sizes
        found = {name: value for name, value in found.items() if not name.startswith("budget.")}
    assert found == changed


def test_the_plan_trains_as_the_recipe_says():
    session = Session(replace(PLAIN, epochs=9, lr=0.03))
    assert (session.plan.epochs, session.plan.lr) == (9, 0.03)


def test_proposals_are_within_the_budget_and_those_of_the_seed():
    def proposed(**changes: Any) -> list[str]:
        session = Session(replace(PLAIN, max_params=2000, **changes))
        found = [session.strategy.ask() for _ in range(6)]
        assert all(session.budget.admits(each.params, each.macs) and each in session.space for each in found)
        return [each.id for each in found]

    assert proposed() == proposed() != proposed(seed=4)


def space_on(name: str = "mixed", **sizes: tuple[int, ...]) -> BoundSpace:
    given = {"patch": (2,), "width": (8, 16, 32), "depth": (1, 2)} | sizes
    return load(name).on({"h": 8, "w": 4}, channels=1, classes=10, **given)


def test_the_band_is_half_to_all_of_full_token_mixing_in_the_middle():
    space = space_on()
    assert (space.middle.width, space.middle.depth) == (16, 1)
    full = space.references(space.middle)["full token mixing"]
    p, twice = full.params, 2 * full.macs
    cases: list[tuple[dict[str, int], Budget]] = [
        ({}, Budget(p // 2, p, twice)),
        ({"max_params": 1500}, Budget(750, 1500, None)),
        ({"min_params": 900}, Budget(900, None, twice)),
        ({"max_macs": 9000}, Budget(p // 2, p, 9000)),
        ({"min_params": 900, "max_macs": 9000}, Budget(900, None, 9000)),
        ({"min_params": 900, "max_params": 1100, "max_macs": 9000}, Budget(900, 1100, 9000)),
        ({"max_params": 10**9}, Budget(space.bounds()[1] // 2, 10**9, None)),
    ]
    for asked, expected in cases:
        assert budget_band(space, Search(**asked)) == expected


def test_a_band_that_would_be_empty_gives_way_below():
    space = space_on("grouped", width=(8,), depth=(1,))
    least = space.bounds()[0]
    assert budget_band(space, Search(max_params=least)).min_params == least // 2
    only = space_on("local", width=(8, 64), depth=(1,), patch=(4,))
    least, most, *_ = only.bounds()
    between = [arch.params for arch in only.enumerate() if most // 4 <= arch.params <= most // 2]
    assert not between and budget_band(only, Search(max_params=most // 2)) == Budget(0, most // 2, None)
    with pytest.raises(SpaceError, match="no architecture of space 'local' has"):
        budget_band(only, Search(max_params=least - 1))


@pytest.mark.parametrize(
    ("device", "images", "limit"),
    [("cpu", None, CPU_IMAGES), ("cuda", None, None), ("mps", None, None), ("cpu", 70_000, 70_000), ("cuda", 300, 300)],
)
def test_on_a_cpu_alone_large_data_is_cut_unless_a_number_is_asked_for(device, images, limit, monkeypatch):
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(defaults, "load", lambda name, **options: given.append({"name": name} | options))
    load_data("mnist", Path("there"), 5, images, device)
    assert given == [{"name": "mnist", "data_dir": Path("there"), "seed": 5, "limit": limit}]


def test_large_data_is_trained_on_with_fewer_seeds():
    sizes = {LARGE - 1: 5, LARGE: 3}
    assert {n: default_seeds(SimpleNamespace(train=range(n))) for n in sizes} == sizes  # type: ignore[arg-type]


def test_there_is_a_worker_a_gpu_or_a_core_unless_a_number_is_asked_for(monkeypatch):
    for module in (resources, sessions):
        monkeypatch.setattr(module, "cores", lambda: 6)
    assert [worker_count(None, "cpu", 1), worker_count(None, "cuda", 4), worker_count(None, "mps", 1)] == [6, 6, 1]
    assert [worker_count(None, "cuda", 8), worker_count(0, "cpu", 1), worker_count(3, "cuda", 4)] == [8, 0, 3]
    monkeypatch.setattr(resources, "cores", lambda: 96)
    assert [worker_count(None, "cuda", devices) for devices in (1, 2)] == [8, 16]  # as many as share a GPU at first


@pytest.mark.parametrize(
    ("device", "engine", "wanted", "expected"),
    [
        ("cuda", "auto", None, {"workers": 8, "settles": True, "bundle": BUNDLE}),
        ("cuda", "graph", None, {"workers": 8, "settles": True, "bundle": 1}),
        ("cuda", "auto", 5, {"workers": 5, "settles": False, "bundle": BUNDLE}),
        ("cpu", "auto", None, {"workers": 96}),  # where replicas are slower as one
    ],
)
def test_local_workers_are_a_number_that_is_asked_for_or_settle_at_one(device, engine, wanted, expected, monkeypatch):
    made: list[Any] = []
    monkeypatch.setattr(resources, "cores", lambda: 96)
    monkeypatch.setattr(
        resources, "LocalWorkers", lambda make, workers, **options: made.append({"workers": workers} | options)
    )
    resources.local_executor(MakeTrainer(None, Recipe(), device, engine=engine), wanted)  # type: ignore[arg-type]
    assert {name: made[0][name] for name in made[0] if name not in ("preload", "method", "devices")} == expected


def test_a_network_to_start_with_is_the_largest_of_the_space_within_the_budget():
    space = load("macro").on({"h": 8, "w": 4}, channels=1, classes=10, patch=(1, 2), width=(8, 16), depth=(2,))
    inputs = Inputs(space.shape, 1, 10)
    sizes = [{"patch": p, "width": w, "depth": 2} for p in (1, 2) for w in (8, 16)]
    built = [member("resmlp").at(inputs, **each) for each in sizes]
    for most in (3500, 5000, 10**6):
        inside = [each.params for each in built if each in space and each.params <= most]
        assert starting("resmlp", space, Budget(max_params=most)).params == max(inside) > min(inside)


def test_a_network_to_start_with_that_is_not_in_the_space_is_nearly_as_large_as_is_allowed():
    space = space_on("local")
    for budget, most in ((Budget(max_params=10_000), 10_000), (Budget(), None)):
        most = most or space.references(space.middle)["full token mixing"].params
        found = starting("mixer", space, budget)
        assert found not in space and 0.9 * most < found.params <= most


def test_networks_are_of_one_size_when_they_differ_in_their_mixing_alone():
    space = load("macro").on({"h": 8, "w": 4}, channels=1, classes=10, patch=(1, 2), width=(8,), depth=(2, 4))
    seen: dict[str, set[object]] = {}
    for skeleton in (each for each in space.skeletons if each.ratio in (2, 3)):
        references = list(space.references(skeleton).values())
        assert len({repr(sizes_of(each)) for each in references}) == 1
        key = skeleton.patch, skeleton.width, skeleton.depth, skeleton.ratio, skeleton.stages, skeleton.norm
        seen.setdefault(repr(sizes_of(references[0])), set()).add(key)
    assert all(len(keys) == 1 for keys in seen.values())
    assert len(seen) == 2 * 2 * 2 * 2 * 3  # LayerScale, which a norm's branch ends with, makes no other size


def test_a_worker_trains_what_it_is_given_on_its_own_gpu(monkeypatch):
    monkeypatch.setattr("nas.training.trainer.ArchitectureTrainer.start", lambda self: started.append(self))
    started: list[Any] = []
    dataset, recipe, storage = object(), Recipe(epochs=3, batch=7), Storage("/there", "x")
    make = MakeTrainer(dataset, recipe, "cuda", 3, threads=2, storage=storage, latency=True)  # type: ignore[arg-type]
    made: list[Any] = [make(worker) for worker in range(5)]
    assert [each.device for each in made] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]
    assert all(
        (each.dataset, each.recipe, each.threads, each.storage) == (dataset, recipe, 2, storage) for each in made
    )
    assert started == made
    assert replace(make, device="cpu")(1).device == "cpu"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wanted", "gpus", "mps", "expected"),
    [
        ("auto", 2, True, ("cuda", 2)),
        ("auto", 0, True, ("mps", 1)),
        ("auto", 0, False, ("cpu", 1)),
        ("cuda", 3, False, ("cuda", 3)),
        ("mps", 2, True, ("mps", 1)),
        ("cpu", 2, True, ("cpu", 1)),
        ("cuda", 0, True, None),
        ("mps", 2, False, None),
    ],
)
def test_devices_are_those_that_are_there(wanted, gpus, mps, expected, monkeypatch, tmp_path):
    monkeypatch.setattr("nas.api.resources.GPU_FILES", [tmp_path])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    if expected is None:
        with pytest.raises(NasError, match=f"device '{wanted}' is not available here: write --device auto"):
            find_device(wanted)
    else:
        assert find_device(wanted) == expected


def test_a_search_trains_on_its_data_by_its_recipe_where_it_keeps_what_is_under_way(monkeypatch, tmp_path):
    given: list[Any] = []
    monkeypatch.setattr(sessions, "local_executor", lambda make, workers: given.append((make, workers)))
    session = Session(replace(PLAIN, batch=48, workers=3))
    storage = Storage(str(tmp_path), "x")
    session.executor(None, storage, None)  # type: ignore[arg-type]
    Session(replace(PLAIN, objective="accuracy,latency")).executor(None, None, None)  # type: ignore[arg-type]
    (make, workers), (measuring, _) = given
    assert (make.latency, measuring.latency, measuring.storage) == (False, True, None)
    assert workers == 3 and make.recipe == session.recipe and make.recipe.batch == 48
    assert make.dataset is session.dataset and make.device == "cpu" and make.storage == storage


def test_without_workers_this_process_has_all_cores(monkeypatch):
    for module in (resources, sessions):
        monkeypatch.setattr(module, "cores", lambda: 6)
    made: list[Any] = []
    monkeypatch.setattr(resources, "Serial", lambda make, **_: made.append(make))
    resources.local_executor(MakeTrainer(None, Recipe(), "cpu"), 0)  # type: ignore[arg-type]
    assert made[0].threads == 6


def test_a_run_that_is_opened_has_the_data_of_its_search(tmp_path):
    """The same images, in the same parts, by its seed and its number of them."""
    session = Session(replace(PLAIN, seed=3, images=700, runs_dir=tmp_path, run="x"))
    session.open_run().close()
    _, found = SavedRun.open(tmp_path, "x").located()
    assert found.fingerprint == session.dataset.fingerprint
    assert (found.seed, len(found.train)) == (3, 700)
    assert found.fingerprint != Session(replace(PLAIN, seed=4, images=700)).dataset.fingerprint


# going on by name

OTHERS = {
    "space": "local",
    "strategy": "exhaustive",
    "start": ("gmlp",),
    "objective": "loss",
    "max_params": 4321,
    "min_params": 21,
    "max_macs": 99_999,
    "patch": (2,),
    "width": (16,),
    "depth": (2,),
    "ratio": (1, 2),
    "draw": "ideas",
    "epochs": 7,
    "lr": 0.125,
    "batch": 31,
    "weight_decay": 0.5,
    "label_smoothing": 0.25,
    "augment": "shift",
    "scaling": "fan-in",
    "prune": False,
    "rungs": (2,),
    "eta": 4.0,
    "grace": 2,
    "order": "accuracy",
    "seed": 4,
    "images": 100,
}
"""A value of every option that makes another run of one."""

AGAIN = {
    "trials": 99,
    "minutes": 2.5,
    "top": 7,
    "seeds": 9,
    "until_sure": 0.75,
    "within": 0.25,
    "device": "cpu",
    "workers": 5,
    "engine": "eager",
    "precision": "float32",
    "log": (),
    "storage": "/there",
    "data_dir": Path("there"),
    "retry_failed": True,
    "report": False,
}
"""Options that a run goes on with, whatever they were."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where there is a run "x" with settings of which many are not the default, and "plain"."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in (("x", PLAIN), ("plain", Search(device="cpu"))):
        Session(replace(options, run=name, runs_dir=folder)).open_run().close()
    return folder


def test_every_option_is_read_back_or_belongs_to_a_session(root):
    options = options_of(SavedRun(RunFolder.open(root, "x"), []))
    own = {"run", "runs_dir", "command", "retry_failed", "report", "data"}
    assert options.keys() == declared(Search).keys() - own
    assert set(IDENTITY) | {"images"} == OTHERS.keys()
    assert OTHERS.keys() | AGAIN.keys() | own | {"ray", "gpus_per_trial"} == declared(Search).keys()


def test_what_an_earlier_version_did_not_keep_has_its_default(root):
    folder = RunFolder.open(root, "x")
    folder.settings = {name: value for name, value in folder.settings.items() if name not in ("minutes", "log")}
    found = options_of(SavedRun(folder, []))
    assert (found["minutes"], found["log"]) == (Search.minutes, ())


@pytest.mark.parametrize(("objective", "order"), [("accuracy", "accuracy"), ("loss", "loss"), ("macs,loss", "loss")])
def test_how_earlier_versions_stopped_candidates_goes_on(objective, order, tmp_path):
    """Their runs say no more of it than at which epochs."""
    before = replace(PLAIN, objective=objective, order=order, eta=2.0, grace=4, rungs=(3,), run="x", runs_dir=tmp_path)
    made = Session(before)
    assert made.settings["rungs"] == [3] and not made.settings.keys() & {"eta", "grace", "order"}
    made.open_run().close()
    again = Session.of(Search(run="x", runs_dir=tmp_path))
    assert (again.plan.eta, again.plan.grace, again.plan.order, again.plan.rungs) == (2.0, 4, order, (3,))
    again.open_run().close()
    with pytest.raises(NasError, match="--eta is 4, run 'x' was made with 2"):
        Session.of(Search(run="x", runs_dir=tmp_path, eta=4.0))


@pytest.mark.parametrize("order", ["loss", "accuracy"])
def test_the_strategy_learns_by_the_order(order):
    session = Session(replace(PLAIN, objective="accuracy,macs", order=order, strategy="surrogate"))
    surrogate = session.strategy.strategy
    assert ([each.name for each in surrogate.learned], surrogate.costs) == ([order], ["macs"])


@pytest.mark.parametrize("rungs", [(0, 2), (2, 99)])
def test_rungs_are_epochs_before_the_end(rungs):
    with pytest.raises(NasError, match=r"--rungs is .*; epochs from 1 to \d+ are expected"):
        Session(replace(PLAIN, rungs=rungs))


@pytest.mark.parametrize("name", ["x", "plain"])
def test_a_run_goes_on_as_the_session_that_it_was(name, root):
    made, again = Session(PLAIN if name == "x" else Search(device="cpu")), Session.of(Search(run=name, runs_dir=root))
    assert facts(again) == facts(made)
    assert {**again.settings, "command": ""} == {**made.settings, "command": ""}
    assert again.dataset.fingerprint == made.dataset.fingerprint
    again.open_run().close()


@pytest.mark.parametrize("option", OTHERS)
def test_a_changed_option_is_called_as_it_was_given(option, root):
    with pytest.raises(NasError) as raised:
        Session.of(Search(run="x", runs_dir=root, **{option: OTHERS[option]}))
    flag = "--no-prune" if option == "prune" else f"--{option.replace('_', '-')} is "
    assert str(raised.value).startswith(flag)
    assert re.fullmatch(r"[^;]*, run 'x' was made with [^;]*: choose another --run", str(raised.value))


@pytest.mark.parametrize("option", AGAIN)
def test_what_may_change_is_what_is_given(option, root):
    session = Session.of(Search(run="x", runs_dir=root, **{option: AGAIN[option]}))
    assert getattr(session.options, option) == AGAIN[option]
    made, asked = RunFolder.open(root, "x").settings, json.loads(json.dumps(session.settings))
    assert not differing(made, asked, Search.may_differ())


def test_the_workers_of_one_device_are_not_those_of_another(root, monkeypatch):
    monkeypatch.setattr(sessions, "find_device", lambda wanted: (wanted, 1))
    monkeypatch.setattr(sessions, "kind_on", lambda device, _: (device, "float32"))
    assert Session.of(Search(run="x", runs_dir=root)).options.workers == PLAIN.workers
    Session(replace(PLAIN, run="w", runs_dir=root, workers=3)).open_run().close()
    assert Session.of(Search(run="w", runs_dir=root)).options.workers == 3
    assert Session.of(Search(run="w", runs_dir=root, device="mps")).options.workers is None
    assert Session.of(Search(run="w", runs_dir=root, device="mps", workers=2)).options.workers == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, ("bfloat16", "eager", 3)),
        ({"device": "cuda"}, ("bfloat16", "eager", 3)),
        ({"device": "cpu"}, ("auto", "auto", None)),
        ({"device": "cpu", "precision": "float32", "workers": 2}, ("float32", "auto", 2)),
    ],
)
def test_what_a_gpu_was_told_is_not_told_to_another_device(given, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "find_device", lambda wanted: (wanted, 1))
    how = {"precision": "bfloat16", "engine": "eager", "workers": 3}
    Session(replace(PLAIN, run="g", runs_dir=tmp_path, device="cuda", **how)).open_run().close()
    options = Session.of(Search(run="g", runs_dir=tmp_path, **given)).options
    assert (options.precision, options.engine, options.workers) == kept


def test_how_a_run_is_computed_is_how_its_latest_session_was(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "find_device", lambda wanted: (wanted, 1))
    for precision in ("bfloat16", "float32"):
        Session(replace(PLAIN, run="g", runs_dir=tmp_path, device="cuda", precision=precision)).open_run().close()
    saved = SavedRun.open(tmp_path, "g")
    assert saved.how("cuda") == {"engine": "auto", "precision": "float32"}
    assert saved.kind("cuda") == ("cuda", "float32") and saved.how("cpu")["precision"] == "auto"


def test_finals_that_were_looked_at_stay_so(tmp_path):
    """A later session without looks leaves theirs: some finalists were left behind, and each look has its error."""
    for sure in (None, 0.9, None):
        session = Session(replace(PLAIN, run="g", runs_dir=tmp_path, until_sure=sure))
        assert session.plan.until_sure == sure
        session.open_run().close()
    assert sureness(RunFolder.open(tmp_path, "g")) == SavedRun.open(tmp_path, "g").facts.until_sure == 0.9


def test_an_audit_counts_the_workers_that_there_were_where_no_number_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "worker_count", lambda wanted, device, devices: wanted or 6)
    for asked, expected in ((None, 6), (3, 3)):
        Session(replace(PLAIN, run="g", runs_dir=tmp_path, workers=asked)).open_run().close()
        assert SavedRun.open(tmp_path, "g").facts.workers == expected


def test_a_cluster_is_told_what_a_training_gets(monkeypatch, tmp_path):
    """One of this machine alone has as many on each GPU as are asked for; one device a worker, whatever is here."""
    given: list[Any] = []
    monkeypatch.setattr(
        "nas.executors.cluster.workers.RayWorkers", lambda make, settings, **rest: given.append((make, settings))
    )
    monkeypatch.setattr(sessions, "ray_device", lambda options: ("cuda", 4))
    for module in (resources, sessions):
        monkeypatch.setattr(module, "cores", lambda: 6)
    asked = replace(PLAIN, ray="10.0.0.1:6379", workers=9, batch=48)
    for options in (asked, replace(asked, gpus_per_trial=0.25), replace(asked, ray="local")):
        session = Session(options)
        session.executor(SimpleNamespace(path=tmp_path), None, SimpleNamespace(say=None))  # type: ignore[arg-type]
    (make, settings), (_, shared), (_, local) = given
    assert (make.device, make.devices, make.recipe.batch) == ("cuda", 1, 48)
    assert (settings.address, settings.workers, settings.device) == ("10.0.0.1:6379", 9, "cuda")
    assert (settings.sharing, settings.gpus_per_trial) == (8, None)
    assert (shared.gpus_per_trial, local.sharing) == (0.25, 3)


def test_more_seeds_than_it_looks_at_are_refused():
    with pytest.raises(NasError, match="--seeds is 21, at most 20 is expected with --until-sure"):
        Session(Search(until_sure=0.9, seeds=21, device="cpu"))
    assert Session(Search(until_sure=0.9, seeds=20, device="cpu")).plan.looks == [5, 10, 20]
