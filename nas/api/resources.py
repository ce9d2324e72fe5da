"""Devices, workers, and which executor they make."""

import os
import platform
import sys
from dataclasses import replace
from pathlib import Path

from nas.errors import NasError
from nas.executors.cluster.messages import LOCAL
from nas.executors.executor import Executor
from nas.executors.packing import BUNDLE, MOST
from nas.executors.processes import DEFAULT_METHOD, LocalWorkers, start_server
from nas.executors.serial import Serial
from nas.options.search import Search
from nas.training.worker import PRELOAD, MakeOwnTrainer, MakeTrainer

GPU_FILES = [Path(path) for path in ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")]
"""One of these is there where Linux has a GPU that torch can use: NVIDIA's driver, AMD's, that of WSL."""


def find_device(wanted: str) -> tuple[str, int]:
    """The device and how many of it there are; `auto` takes GPUs before Apple's mps before the CPU.

    torch (seconds to import) is only asked where a GPU can be. Raises NasError for a device that is not there.
    """
    if wanted not in ("auto", "cpu", "cuda", "mps"):
        raise NasError(f"no device {wanted!r}: known: auto, cpu, cuda, mps")
    if wanted == "cpu" or (wanted == "auto" and sys.platform == "linux" and not any(map(Path.exists, GPU_FILES))):
        return "cpu", 1
    import torch

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return "cuda", torch.cuda.device_count()
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps", 1
    if wanted == "auto":
        return "cpu", 1
    raise NasError(f"device {wanted!r} is not available here: write --device auto")


def warm_up(device: str, workers: int | None) -> None:
    """Has what local workers need imported, where there will be such, while this process reads data and proposes."""
    if workers != 0 and DEFAULT_METHOD == "forkserver" and find_device(device)[0] == "cpu":
        start_server(PRELOAD)


def worker_count(wanted: int | None, device: str, devices: int) -> int:
    """As many worker processes as wanted, else one a core, on GPUs no more than share them at first."""
    if wanted is not None:
        return wanted
    if device == "cuda":
        return max(devices, min(MOST * devices, cores()))
    return cores() if device == "cpu" else devices


def ray_device(options: Search) -> tuple[str, int]:
    """The kind of device that all of a search's trainings on a cluster have: a GPU, where there is one.

    Raises NasError where Ray is not installed, or the cluster that has to be asked cannot be joined.
    """
    from nas.executors.cluster.workers import cluster_resources, require_ray

    require_ray()
    if options.ray == LOCAL:
        return find_device(options.device)
    if options.device == "auto":
        assert options.ray is not None
        return ("cuda" if cluster_resources(options.ray).get("GPU") else "cpu"), 1
    if options.device not in ("cpu", "cuda"):
        raise NasError(f"device {options.device!r} is not one of a cluster: known: auto, cpu, cuda")
    return options.device, 1


def local_executor(make: MakeTrainer | MakeOwnTrainer, wanted: int | None) -> Executor:
    """Worker processes with one thread each, or with 0 workers this process with all its threads.

    Where nobody wants a number of them there are fewer on a GPU as soon as its memory is seen to hold no more.
    """
    workers = worker_count(wanted, make.device, make.devices)
    if workers == 0:
        return Serial(replace(make, threads=cores()), bundle=bundle_of(make))
    if make.device == "cpu":
        return LocalWorkers(make, workers, preload=PRELOAD)
    settles, bundle = wanted is None, bundle_of(make)
    return LocalWorkers(make, workers, method="spawn", devices=make.devices, settles=settles, bundle=bundle)


def bundle_of(make: MakeTrainer | MakeOwnTrainer) -> int:
    """How many trainings may be one model: on CPUs that takes longer than one after the other (docs/log.md)."""
    return BUNDLE if make.bundles else 1


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def made_on() -> dict[str, str]:
    """What decides the last bits of a training on a CPU: its class, its instructions, torch."""
    import torch

    names = (line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return {"cpu": name, "instructions": torch.backends.cpu.get_cpu_capability(), "torch": torch.__version__}


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []
