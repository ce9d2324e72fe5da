"""Jobs whose architecture says what the stub trainer does with them: learn, raise, give NaN, die."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.runs.job import GoOn, Job, Outcome, Score, Trainer


def stub_job(id: str, do: str = "learn", *, ms: float = 0.0, **facts: Any) -> Job:
    """A job of three epochs with a rung after the first; `facts` go to the job where it has such a field."""
    of_job = {name: facts.pop(name) for name in list(facts) if name in Job.__dataclass_fields__}
    defaults: dict[str, Any] = {"lr": 0.01, "seed": 0, "epochs": 3, "rungs": (1,)}
    return Job({"do": do, "ms": ms} | facts, id, **defaults | of_job)


def drawn(*facts: object) -> float:
    """A fixed number in [0, 1) for these facts."""
    return int(hashlib.sha256(" ".join(map(str, facts)).encode()).hexdigest()[:8], 16) / 2**32


def accuracy(id: str, seed: int) -> float:
    """What the stub trainer reaches."""
    return drawn(id, seed)


def make_stub(worker: int) -> Trainer:
    """The stub trainer."""
    return train


@dataclass(frozen=True)
class Holding:
    """Makes a trainer that says what it finds in an array, and in what the array lies; then writes into it."""

    array: Any

    def __call__(self, worker: int) -> Trainer:
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        extra = {"first": int(self.array[0]), "sum": int(self.array[1:].sum()), "pid": os.getpid()}
        extra["lies in"] = mapped_at(self.array.ctypes.data)
        self.array[0] = os.getpid()
        return Outcome("complete", extra=extra)


class Bundling:
    """The stub trainer, which can also train several jobs as one, of which each says how many they were."""

    def __call__(self, job: Job, report: GoOn) -> Outcome:
        if job.seed == job.architecture.get("bad seed"):
            raise FloatingPointError("training loss in epoch 2 is nan")
        return train(job, report)

    @property
    def origin(self) -> dict[str, Any]:
        return {"device": "stub"}

    def together(self, bundle: Sequence[Job]) -> list[Outcome | Exception]:
        if bundle[0].architecture["do"] == "refuse":
            raise RuntimeError("vmap has no rule\nfor this")
        ended: list[Outcome | Exception] = []
        for job in bundle:
            try:
                outcome = self(job, lambda score: True)
                ended.append(replace(outcome, extra=outcome.extra | {"together": len(bundle)}))
            except FloatingPointError as error:
                ended.append(error)
        return ended


def make_bundling(worker: int) -> Trainer:
    """The stub trainer that can also train as one."""
    return Bundling()


@dataclass(frozen=True)
class Packed:
    """Makes the stub trainer on a device of 24 GiB that holds few of them: it raises from some worker on."""

    peak: int
    room: int = 8

    def __call__(self, worker: int) -> Trainer:
        if worker >= self.room:
            raise RuntimeError("CUDA out of memory")
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        outcome = train(job, report)
        return replace(outcome, extra=outcome.extra | {"gpu_bytes": self.peak, "gpu_memory": 24 * 2**30})


def mapped_at(address: int) -> str:
    """What is mapped at an address of this process: the name of a file, or nothing where the memory is its own."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, _, *name = line.split(maxsplit=5)
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= address < last:
            return "".join(name)
    raise LookupError(f"{address:#x} is not mapped")


def make_hungry(worker: int) -> Trainer:
    """A trainer that says how often memory was faulted in while it allocated and freed what it had before."""

    def train(job: Job, report: GoOn) -> Outcome:
        for rounds in (3, 5):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(rounds):
                _ = [bytearray(3 * 2**20) for _ in range(8)]
        return Outcome("complete", extra={"faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before})

    return train


def make_broken(worker: int) -> Trainer:
    """No trainer: it raises."""
    raise RuntimeError("no such\ndevice")


def make_dying(flag: Path, times: int, worker: int) -> Trainer:
    """The stub trainer, but the process kills itself at the first `times` starts, counted in files beside `flag`."""
    _die_at_first(flag, times)
    return train


def train(job: Job, report: GoOn) -> Outcome:
    """Does what the architecture says, sleeps `ms` an epoch, and learns the same curve whenever it is asked."""
    begun, todo = time.perf_counter(), job.architecture
    if todo["do"] == "raise":
        raise ValueError("the sizes\ndo not divide")
    if todo["do"] == "out of memory":
        raise MemoryError
    if todo["do"] == "want a device" and not job.alone:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if todo["do"] == "worthless":
        return Outcome("complete", extra={"weights": object()})
    if todo["do"] == "die":
        _die_at_first(Path(todo["flag"]), todo["times"])
    if todo["do"] == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    if todo["do"] == "note pids":
        Path(todo["folder"], f"{os.getpid()}-{os.getppid()}").touch()
    scores, losses = [], []
    for epoch in range(1, job.epochs + 1):
        time.sleep(todo["ms"] / 1000)
        reached = accuracy(job.id, job.seed) * epoch / job.epochs
        losses.append(float("nan") if todo["do"] == "nan" and epoch == 2 else 1 - reached)
        if epoch in (*job.rungs, job.epochs):
            scores.append(Score(epoch, float("nan") if todo["do"] == "nan score" else 1 - reached, reached))
        if todo["do"] == "die late" and epoch == 2:
            _die_at_first(Path(todo["flag"]), todo["times"])
        if epoch in job.rungs and not report(scores[-1]):
            return Outcome("pruned", tuple(scores), tuple(losses), time.perf_counter() - begun)
    seconds = time.perf_counter() - begun
    extra = {"pid": os.getpid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    return Outcome("complete", tuple(scores), tuple(losses), seconds, extra=extra)


def importing() -> dict[str, str]:
    """The environment in which another Python finds these stubs, and `nas` where it isn't installed."""
    here = Path(__file__).parent
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # gone since, or a system without /proc
        return not Path("/proc").exists()


def gone(pid: int, seconds: float = 300.0) -> bool:
    """Whether a process ends; the time is for one that never does, not for a busy machine."""
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def _die_at_first(flag: Path, times: int) -> None:
    for time_ in range(times):
        mark = flag.with_name(f"{flag.name}.{time_}")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
