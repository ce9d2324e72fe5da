"""Trainings under way are kept and go on bit by bit; what does not fit is passed over; nothing is left at the end."""

from __future__ import annotations

import json
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
import torch
from fsspec.registry import known_implementations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load as tensors_of
from safetensors.torch import save as safetensors
from searches import Noting, plan, search_in, tiny
from torch import nn

from nas.api.search import Session
from nas.data.dataset import Dataset
from nas.data.known import load
from nas.errors import NasError
from nas.executors.executor import Done, run_job
from nas.executors.processes import LocalWorkers
from nas.executors.serial import Serial
from nas.loop.past import make_job
from nas.loop.status import Quiet
from nas.loop.trainings import keep
from nas.options.search import Search
from nas.runs.folder import RunFolder
from nas.runs.job import GoOn, Job, Outcome, Score, Trainer
from nas.runs.storage import EVERY, Storage, place_of
from nas.training.recipe import Recipe
from nas.training.trainer import ArchitectureTrainer
from nas.training.worker import PRELOAD

EPOCHS = 6
JOB = Job({}, "a1", 1e-2, 0, EPOCHS, rungs=(1, 3), weights=True)
RECIPE = Recipe(augment="shift+flip", warmup=0.4)


def build(architecture: dict[str, Any]) -> nn.Module:
    """Draws numbers as it trains, and holds more than parameters."""
    width = architecture.get("width", 16)
    head = nn.Linear(width, 10)
    head.bias.requires_grad_(False)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3), head)
    net[1].weight.data = net[1].weight.data.T.contiguous().T  # not contiguous
    return net


def go_on(score: Score) -> bool:
    return True


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", data_dir=Path(), seed=0, limit=200)


@pytest.fixture(scope="module")
def whole(digits: Dataset) -> Outcome:
    """The training that nothing disturbs."""
    return train(digits, None)


@pytest.fixture(params=["folder", "memory"])
def storage(request, tmp_path) -> Iterator[Storage]:
    yield Storage(str(tmp_path / "kept" / "x") if request.param == "folder" else "memory://kept/x", "x", every=0)
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def folder(tmp_path) -> Storage:
    return Storage(str(tmp_path / "kept"), "x", every=0)


def train(dataset: Dataset, storage: Storage | None, report: GoOn = go_on, **changes: Any) -> Outcome:
    return ArchitectureTrainer(dataset, RECIPE, build=build, storage=storage)(replace(JOB, **changes), report)


def same(outcome: Outcome, whole: Outcome) -> bool:
    """Whether two trainings came to the same, bit by bit."""
    return replace(outcome, seconds=0, extra={}) == replace(whole, seconds=0, extra={})


def going_on(outcome: Outcome) -> dict[str, Any]:
    """What the outcome tells of its tries, without where it was trained."""
    told = dict(outcome.extra)
    origin = [told.pop(fact) for fact in ("device", "precision", "versions")]
    assert all(origin) and (origin[0] == "cpu" or told.pop("gpu"))
    return told


@dataclass(frozen=True)
class Cut(Storage):
    """Is interrupted after the save of an epoch."""

    epoch: int = 1

    def save(self, key, data):
        super().save(key, data)
        if len(facts_of(data)["losses"]) == self.epoch:
            raise KeyboardInterrupt


def cut(dataset: Dataset, storage: Storage, epoch: int, **changes: Any) -> None:
    """Trains until an epoch has been kept."""
    with pytest.raises(KeyboardInterrupt):
        train(dataset, Cut(storage.url, storage.run, every=0, epoch=epoch), **changes)


def facts_of(data: bytes) -> dict[str, Any]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    facts: dict[str, Any] = json.loads(header["__metadata__"]["progress"])
    return facts


# going on


@pytest.mark.parametrize("epoch", range(1, EPOCHS))
def test_a_training_goes_on_bit_by_bit_after_any_epoch(epoch, digits, whole, storage):
    cut(digits, storage, epoch)
    torch.rand(epoch)  # another process has other numbers ahead
    outcome = train(digits, storage)
    assert same(outcome, whole)
    assert going_on(outcome) == {"resumed": epoch}
    assert len(outcome.weights) > 5000


def test_a_training_cut_off_after_every_epoch_ends_as_one_that_was_not(digits, whole, folder):
    for epoch in range(1, EPOCHS):
        cut(digits, folder, epoch)
    assert same(train(digits, folder), whole)


def test_keeping_changes_nothing(digits, whole, storage):
    outcome = train(digits, storage)
    assert same(outcome, whole) and going_on(outcome) == {}
    assert len(facts_of(storage.load(JOB.key))["losses"]) == EPOCHS - 1  # the end is not kept: it has a line


def test_rungs_that_were_passed_are_reported_again(digits, whole, folder):
    cut(digits, folder, 4)
    seen: list[Score] = []
    assert same(train(digits, folder, lambda score: not seen.append(score)), whole)
    assert tuple(seen) == whole.scores[:2]
    for last in (1, 3):
        folder.drop(JOB.key)
        cut(digits, folder, 5)
        pruned = train(digits, folder, lambda score, last=last: score.epoch < last)
        undisturbed = train(digits, None, lambda score, last=last: score.epoch < last)
        assert pruned.state == "pruned" and same(pruned, undisturbed)


def test_seconds_are_those_of_all_tries(digits, folder):
    cut(digits, folder, 3)
    data = folder.load(JOB.key)
    folder.save(JOB.key, changed(data, seconds=1000.5))
    assert 1000.5 < train(digits, folder).seconds < 1100


def test_a_training_is_kept_every_so_many_seconds_with_all_that_it_took(digits, folder, monkeypatch):
    """By a clock on which an epoch takes 20 s and nothing else any: after 40, 80, 120... and not in between."""
    now, kept = [0.0], []

    class Ticking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build({})

        def forward(self, x):
            now[0] += 20 / (len(digits.train) // RECIPE.batch) if self.training else 0
            return self.net(x)

    @dataclass(frozen=True)
    class Keeping(Storage):
        def save(self, key, data):
            kept.append((len(facts_of(data)["losses"]), round(facts_of(data)["seconds"])))
            super().save(key, data)
            if kept == [(2, 40), (4, 80)]:
                raise KeyboardInterrupt

    def trained() -> Outcome:
        trainer = ArchitectureTrainer(
            digits, RECIPE, build=lambda _: Ticking(), storage=Keeping(folder.url, folder.run, every=30)
        )
        return trainer(replace(JOB, epochs=10, rungs=()), go_on)

    monkeypatch.setattr("nas.training.checkpoints.time", SimpleNamespace(monotonic=lambda: now[0]))
    with pytest.raises(KeyboardInterrupt):
        trained()
    now[0] = 1000.0  # of another process
    assert trained().extra["resumed"] == 4
    assert kept == [(2, 40), (4, 80), (6, 120), (8, 160)]


def test_a_short_training_is_not_kept(digits, tmp_path):
    assert Storage("x", "x").every == EVERY == 30
    train(digits, Storage(str(tmp_path / "kept"), "x"))
    assert not (tmp_path / "kept").exists()


# what is read


def changed(data: bytes, *, tensors: Callable[[dict], object] = lambda _: None, **facts: Any) -> bytes:
    """The same with other facts or tensors."""
    found = tensors_of(data)
    tensors(found)
    return safetensors(found, {"progress": json.dumps(facts_of(data) | facts)})


def put(name: str, value: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[bytes], bytes]:
    return lambda data: changed(data, tensors=lambda found: found.update({name: value(found[name])}))


STRANGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda data: data[:-1],
    "torn early": lambda data: data[:100],
    "longer": lambda data: data + b"0",
    "garbage": lambda data: b"\xff" * len(data),
    "a pickle": lambda data: pickle.dumps({"progress": data}),
    "weights alone": lambda data: safetensors({"1.weight": torch.zeros(16, 64)}),
    "no JSON": lambda data: safetensors(tensors_of(data), {"progress": "{"}),
    "another version": lambda data: changed(data, version=2),
    "another run": lambda data: changed(data, run="y"),
    "another key": lambda data: changed(data, key=["a1", 1e-2, 1, EPOCHS]),
    "all epochs": lambda data: changed(data, losses=[1.0] * EPOCHS),
    "no epoch": lambda data: changed(data, losses=[], scores=[]),
    "a loss that is no number": lambda data: changed(data, losses=[1.0, None, 1.0, 1.0]),
    "a loss that is not finite": lambda data: changed(data, losses=[1.0, float("nan"), 1.0, 1.0]),
    "a rung that is missing": lambda data: changed(data, scores=facts_of(data)["scores"][:1]),
    "no seconds": lambda data: changed(data, seconds=-1),
    "a tensor more": lambda data: changed(data, tensors=lambda found: found.update(more=torch.zeros(1))),
    "a tensor less": lambda data: changed(data, tensors=lambda found: found.pop("model 2.running_mean")),
    "half of the moments": lambda data: changed(data, tensors=lambda found: found.pop("exp_avg 1.weight")),
    "another shape": put("model 1.weight", lambda value: value[:, :-1].contiguous()),
    "another type": put("model 1.weight", lambda value: value.double()),
    "not a number": put("exp_avg_sq 1.weight", lambda value: value * float("nan")),
    "no state of a generator": put("random order", torch.zeros_like),
    "no state of torch's generator": put("random cpu", lambda value: torch.full_like(value, 255)),
    "a state of another size": put("random cpu", lambda value: value[:16].clone()),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=list(STRANGE))
def test_what_does_not_fit_is_passed_over(strange, digits, whole, folder):
    cut(digits, folder, 4)
    folder.save(JOB.key, strange(folder.load(JOB.key)))
    outcome = train(digits, folder)
    assert same(outcome, whole) and going_on(outcome) == {}


def test_another_networks_training_is_passed_over(digits, folder):
    cut(digits, folder, 4)
    other = train(digits, folder, architecture={"width": 8})
    assert going_on(other) == {} and same(other, train(digits, None, architecture={"width": 8}))


def test_the_trainings_of_another_run_of_that_name_are_passed_over(digits, whole, folder):
    cut(digits, folder, 4)
    outcome = train(digits, replace(folder, run="x of another day"))
    assert same(outcome, whole) and going_on(outcome) == {}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_no_error(data, digits, folder):
    if folder.load(JOB.key) is None:
        cut(digits, folder, 5)
        folder.save(("kept", 0.1, 0, 0), folder.load(JOB.key))
    original = folder.load(("kept", 0.1, 0, 0))
    start = data.draw(st.integers(0, 3000) | st.integers(0, len(original)))
    piece = data.draw(st.binary(max_size=20))
    folder.save(JOB.key, original[:start] + piece + original[start + len(piece) :])
    trainer = ArchitectureTrainer(digits, RECIPE, build=build, storage=folder)
    outcome = run_job(trainer, JOB, go_on)
    assert outcome.state == "complete" or "FloatingPointError" in outcome.reason  # of weights that nobody trained


@pytest.mark.parametrize("kind", ["a link", "a pipe", "a folder"])
def test_only_plain_files_are_read(kind, digits, whole, folder):
    cut(digits, folder, 4)
    (path,) = Path(folder.url).iterdir()
    if kind == "a link":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    else:
        path.unlink()
        os.mkfifo(path) if kind == "a pipe" else path.mkdir()
    assert same(train(digits, folder), whole)


# what fails


@dataclass(frozen=True)
class Failing(Storage):
    def save(self, key, data):
        raise OSError(28, "No space left on device")


def test_a_save_that_fails_harms_nothing(digits, whole):
    outcome = train(digits, Failing("/nowhere", "x", every=0))
    assert same(outcome, whole)
    assert going_on(outcome) == {"not_kept": "OSError: [Errno 28] No space left on device"}


def test_a_place_that_cannot_be_read_is_an_empty_one(digits, whole, tmp_path):
    (tmp_path / "file").touch()
    assert same(train(digits, Storage(str(tmp_path / "file"), "x")), whole)
    assert same(train(digits, Storage("nowhere://x", "x")), whole)


# the place


def test_what_is_saved_is_loaded_until_it_is_dropped(storage):
    key, other = ("a1", 3e-4, 7, 20), ("a1", 3e-4, 8, 20)
    storage.check()
    assert storage.load(key) is None
    storage.save(key, b"half")
    storage.save(key, b"more")
    storage.save(other, b"other")
    assert (storage.load(key), storage.load(other)) == (b"more", b"other")
    assert pickle.loads(pickle.dumps(storage)) == storage
    storage.drop(key)
    storage.drop(key)
    assert (storage.load(key), storage.load(other)) == (None, b"other")
    files, path = fsspec.core.url_to_fs(storage.url)
    assert [Path(each).name for each in files.ls(path, detail=False)] == ["a1-lr0.0003-s8-e20.safetensors"]


def test_a_place_is_tidied_of_trainings_of_so_many_epochs(storage):
    short, long = ("a1", 0.1, 0, 20), ("a1", 0.1, 0, 120)
    for key in (short, long):
        storage.save(key, b"half")
    storage.tidy()
    storage.tidy(epochs=20)
    assert (storage.load(short), storage.load(long)) == (None, b"half")
    storage.tidy(epochs=120)
    assert storage.load(long) is None
    assert not Path(storage.url).exists()
    storage.tidy(epochs=120)


def test_a_file_is_whole_or_as_it_was(folder, monkeypatch):
    folder.save(JOB.key, b"before")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        folder.save(JOB.key, b"after")
    assert folder.load(JOB.key) == b"before"
    assert len(list(Path(folder.url).iterdir())) == 1


def test_what_a_kill_left_half_written_is_removed(folder):
    for epochs in (EPOCHS, 7):
        folder.save(replace(JOB, epochs=epochs).key, b"half")
    for path in list(Path(folder.url).iterdir()):
        path.with_suffix(".host-1.tmp").touch()
    folder.drop(JOB.key)
    assert len(list(Path(folder.url).iterdir())) == 2
    folder.tidy(7)
    assert not Path(folder.url).exists()


def test_a_place_as_it_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert place_of("kept/here") == str(tmp_path / "kept" / "here")
    assert place_of("~/kept/") == "/home/me/kept"
    assert place_of("file:///srv/kept") == "/srv/kept"
    assert place_of("memory://kept/here/") == "memory://kept/here"


def test_a_place_that_cannot_be_is_told_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(NasError) as error:
        place_of("s4://bucket/x")
    assert (
        str(error.value) == "no protocol 's4' in 's4://bucket/x': write a folder, or a URL such as s3://bucket/folder"
    )
    missing = {"class": "no_such_package.Files", "err": "Install no_such_package to access Nowhere"}
    monkeypatch.setitem(known_implementations, "nowhere", missing)
    message = "'nowhere://x' needs a package that is not here: Install no_such_package to access Nowhere"
    for attempt in (lambda: place_of("nowhere://x"), Storage("nowhere://x", "x").check):
        with pytest.raises(NasError) as error:
            attempt()
        assert str(error.value) == message
    (tmp_path / "file").touch()
    with pytest.raises(NasError, match=r"^cannot write .*/file/x: \[Errno 20\] Not a directory") as error:
        Storage(str(tmp_path / "file" / "x"), "x").check()
    assert "\n" not in str(error.value)


def test_a_run_has_a_place_of_its_own(tmp_path):
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        assert run.storage() == Storage(str(tmp_path / "x" / "unfinished"), f"x of {run.created}")
        assert run.storage("s3://bucket/mine") == Storage("s3://bucket/mine/x", f"x of {run.created}")
        (tmp_path / "x" / "unfinished").symlink_to(tmp_path)
        with pytest.raises(NasError, match="unfinished is a symbolic link"):
            run.storage()


# the driver


@dataclass(frozen=True)
class DyingOnce:
    """Makes a trainer whose process kills itself, once, as it reports the rung of an epoch."""

    dataset: Dataset
    storage: Storage
    flag: Path
    epoch: int

    def __call__(self, worker: int) -> Trainer:
        torch.set_num_threads(1)
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        def or_die(score: Score) -> bool:
            if score.epoch == self.epoch and not self.flag.exists():
                self.flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return report(score)

        return ArchitectureTrainer(self.dataset, RECIPE, build=build, storage=self.storage)(job, or_die)


def test_the_training_of_a_killed_worker_goes_on(digits, whole, folder, tmp_path):
    asked: list[int] = []
    with LocalWorkers(DyingOnce(digits, folder, tmp_path / "flag", 3), 1, preload=PRELOAD) as executor:
        executor.submit(0, JOB)
        events: list[Any] = []
        while not any(isinstance(event, Done) for event in events):
            events += executor.wait(lambda number, score: not asked.append(score.epoch))
    outcome = events[-1].outcome
    assert same(outcome, whole)
    assert going_on(outcome) == {"resumed": 2} and set(asked) == {1, 3}  # whether it is asked again is not its matter


def test_weights_are_on_disk_before_the_line_and_the_checkpoint_after_it(tmp_path):
    architecture = next(iter(tiny().enumerate()))
    job = replace(make_job(architecture, 0.01, 0, 3, "final"), weights=True)
    outcome = Outcome("complete", (Score(3, 0.5, 0.9),), weights=b"the weights")
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        seen: list[tuple[str, bool, bool, bool]] = []

        def note(what: str) -> None:
            weights = run.weights_path(job)
            kept = storage.load(job.key) is not None
            seen.append((what, weights.exists(), bool(RunFolder.open(tmp_path, "x").results()), kept))

        storage, append = run.storage(), run.append
        storage.save(job.key, b"half")
        run.append = lambda line: (note("before the line"), append(line), note("after it"))[1]  # type: ignore[method-assign]
        keep(run, job, architecture, Done(0, outcome, 0), storage)
        note("at the end")
        assert seen == [
            ("before the line", True, False, True),
            ("after it", True, True, True),
            ("at the end", True, True, False),
        ]
        assert run.weights_path(job).read_bytes() == b"the weights"
        assert b"the weights" not in (tmp_path / "x" / "results.jsonl").read_bytes()


def test_weights_that_were_not_asked_for_are_not_written(tmp_path):
    architecture = next(iter(tiny().enumerate()))
    job = make_job(architecture, 0.01, 0, 3, "search")
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        keep(run, job, architecture, Done(0, Outcome("complete", (Score(3, 0.5, 0.9),), weights=b"some"), 0))
        assert not run.weights_path(job).exists()


@dataclass(frozen=True)
class Keeping(Noting):
    """The stub trainer, which keeps something of every training."""

    storage: Storage | None = None

    def train(self, job: Job, report: GoOn) -> Outcome:
        assert self.storage is not None
        self.storage.save(job.key, b"half")
        return super().train(job, report)


def test_a_search_drops_what_its_trainings_kept(tmp_path):
    with RunFolder.create_or_open(tmp_path, "x", {"objective": "accuracy"}) as run:
        storage = run.storage()
        storage.save(("another", 0.01, 0, 3), b"half")
        with Serial(Keeping(tmp_path / "log", storage=storage)) as executor:
            search_in(run, executor, plan(), storage=storage)
        assert {result.phase for result in run.results()} == {"search", "final"}
        assert [path.name for path in Path(storage.url).iterdir()] == ["another-lr0.01-s0-e3.safetensors"]


@pytest.fixture
def kept_at_once(monkeypatch) -> list[tuple]:
    """Makes trainings of this process be kept after every epoch; notes the keys."""
    saves: list[tuple] = []
    save, storage = Storage.save, RunFolder.storage

    def noting(self: Storage, key: Any, data: bytes) -> None:
        saves.append(key)
        save(self, key, data)

    monkeypatch.setattr(Storage, "save", noting)
    monkeypatch.setattr(RunFolder, "storage", lambda *given: replace(storage(*given), every=0))
    return saves


@pytest.mark.parametrize("place", [None, "elsewhere"])
def test_nothing_is_left_after_a_search(place, kept_at_once, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes: dict[str, Any] = {"patch": (2,), "width": (8,), "depth": (1,), "ratio": (1,)}
    session = Session(
        Search("local", trials=2, epochs=2, top=1, seeds=1, images=100, workers=0, device="cpu", run="x", **sizes)
    )
    if place is not None:
        session = Session(replace(session.options, storage=place))
    with session.open_run() as run:
        orphan = run.storage(session.place)
        orphan.save(("abandoned", 0.01, 0, 2), b"half")
        assert Path(orphan.url) == (tmp_path / "elsewhere" / "x" if place else tmp_path / "runs" / "x" / "unfinished")
        session.run(Quiet(), run)
        assert {result.key for result in run.results()} < set(kept_at_once)
        assert not Path(orphan.url).exists()
        assert run.settings["storage"] == (str(tmp_path / "elsewhere") if place else None)
    with Session(replace(session.options, storage="another")).open_run():
        pass


@pytest.mark.gpu
def test_a_training_goes_on_on_a_gpu(digits, folder):
    def train_there(storage: Storage | None) -> Outcome:
        return ArchitectureTrainer(digits, RECIPE, device="cuda", build=build, storage=storage)(JOB, go_on)

    whole = train_there(None)
    with pytest.raises(KeyboardInterrupt):
        train_there(Cut(folder.url, folder.run, every=0, epoch=4))
    torch.rand(3, device="cuda")
    outcome = train_there(folder)
    assert (
        same(outcome, whole)
        and going_on(outcome).keys() == {"resumed", "gpu_bytes", "gpu_memory"}
        and outcome.extra["resumed"] == 4
    )
