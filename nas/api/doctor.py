"""What a search would use of this machine, what is amiss, and what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from nas.api.resources import GPU_FILES, cores, find_device, worker_count
from nas.data.known import whereabouts
from nas.errors import NasError, counted
from nas.options.doctor import Doctor
from nas.options.search import Search
from nas.runs.settings import PACKAGE, versions

if TYPE_CHECKING:
    from packaging.requirements import Requirement

State = Literal["good", "note", "bad"]

FOR_AUTHORS = "test", "dev"
"""Extras that nobody needs who uses the program."""

LEAST_DISK, LEAST_MEMORY = 2.0, 1.0
"""Gigabytes: of disk for runs and data, of memory a worker."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do about it where it is not `good`; `bad` stops a search."""

    about: str
    state: State
    found: str
    advice: str = ""


def examine(asked: Doctor) -> Iterator[Finding]:
    """One finding after the other, each as soon as it is known; what cannot be looked at is one as well."""
    looks: list[tuple[str, Callable[[Doctor], Iterator[Finding]]]] = [
        ("versions", _versions),
        ("device", _device),
        ("workers", _workers),
        ("data", _data),
        ("folders", _folders),
        ("extras", _extras),
    ]
    if asked.self_test:
        looks.append(("self-test", _self_test))
    for about, look in looks:
        try:
            yield from look(asked)
        except Exception as error:  # whatever it is, it is what was found
            told = str(error) if isinstance(error, NasError) else f"{type(error).__name__}: {error}"
            yield Finding(about, "bad", told, "without this a search will fail as well")


def _versions(asked: Doctor) -> Iterator[Finding]:
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("versions", "good", f"{found}, Python {python}")


def _device(asked: Doctor) -> Iterator[Finding]:
    import torch

    device, devices = find_device(asked.device)
    if device == "cuda":
        for number in range(devices):
            about = torch.cuda.get_device_properties(number)
            free, total = (size / 1e9 for size in torch.cuda.mem_get_info(number))
            used = f"{about.name}, {total:.0f} GB of memory"
            if free < total / 2:
                yield Finding(
                    "device", "note", f"{used}, {free:.0f} of them free", "others use it: --workers says less"
                )
            else:
                yield Finding("device", "good", used)
    elif asked.device == "auto" and any(path.exists() for path in GPU_FILES):
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs alone"
        advice = "nvidia-smi says whether the driver works and which CUDA it has; pytorch.org has the build for that"
        yield Finding("device", "bad", f"there is a GPU, but torch, built {built}, cannot use it", advice)
    else:
        heavy = device == "cpu" and torch.version.cuda is not None
        advice = "a build of torch for CPUs alone is smaller by gigabytes and trains as fast here" if heavy else ""
        yield Finding("device", "good", "no GPU: trained on the CPU" if device == "cpu" else device, advice)


def _workers(asked: Doctor) -> Iterator[Finding]:
    device, devices = find_device(asked.device)
    workers, memory = worker_count(None, device, devices), _memory()
    found = f"{counted(workers, 'worker')}, {counted(cores(), 'core')} of {os.cpu_count()}"
    if memory is None:
        yield Finding("workers", "good", found)
        return
    found += f", {memory:.0f} GB of memory"
    if memory < LEAST_MEMORY * workers:
        fewer = max(1, int(memory / LEAST_MEMORY))
        yield Finding("workers", "note", found, f"a worker takes up to a gigabyte: write --workers {fewer}")
    else:
        yield Finding("workers", "good", found)


def _memory() -> float | None:
    """Gigabytes that are free, where the system tells."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):
        return None


def _data(asked: Doctor) -> Iterator[Finding]:
    found = whereabouts(asked.data_dir)
    here = [f"{name} in {place}" for name, place in found.items() if place]
    yield Finding("data", "good", ", ".join(["digits, mnist1d and volumes come with this program", *here]))
    if missing := [name for name, place in found.items() if place is None]:
        advice = f"each is downloaded when it is asked for, or put into {asked.data_dir}/ by hand"
        yield Finding("data", "note", f"not here: {', '.join(missing)}", advice)


def _folders(asked: Doctor) -> Iterator[Finding]:
    for option, folder in (("--runs-dir", asked.runs_dir), ("--data-dir", asked.data_dir)):
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield Finding("folders", "bad", f"{folder} cannot be written to", f"write {option} FOLDER")
            continue
        free = shutil.disk_usage(there).free / 1e9
        found = f"{folder} can be written to, {free:.0f} GB are free"
        if free < LEAST_DISK:
            yield Finding("folders", "note", found, f"make room, or write {option} FOLDER")
        else:
            yield Finding("folders", "good", found)


def _extras(asked: Doctor) -> Iterator[Finding]:
    """Which optional packages are there, by extra."""
    from packaging.requirements import Requirement

    try:
        every = [Requirement(text) for text in requires(PACKAGE) or ()]
    except PackageNotFoundError:
        yield Finding("extras", "note", f"{PACKAGE} is run without being installed", "pip install . in its sources")
        return
    for extra in distribution(PACKAGE).metadata.get_all("Provides-Extra") or ():
        others = [each for each in every if each.name != PACKAGE and _is_of(each, extra) and not _is_of(each, "")]
        if extra in FOR_AUTHORS or not others:
            continue
        if missing := [each.name for each in others if not _is_there(each)]:
            advice = f"pip install '{PACKAGE}[{extra}]', if you want it"
            yield Finding("extras", "note", f"{extra}: {', '.join(missing)} not installed, or too old", advice)
        else:
            yield Finding("extras", "good", f"{extra}: {', '.join(each.name for each in others)}")


def _is_of(wanted: Requirement, extra: str) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": extra})


def _is_there(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _self_test(asked: Doctor) -> Iterator[Finding]:
    """A search as users start it: worker processes, data, trainings, finals, an exported module in a clean process."""
    from nas.api.search import search

    begun = time.monotonic()
    tiny = Search(trials=2, epochs=1, top=1, seeds=1, lr=0.015, images=300, width=(16,), depth=(2,))
    with TemporaryDirectory() as folder:
        run = search(replace(tiny, device=asked.device, runs_dir=Path(folder)), quiet=True)
        results = run.saved.results
        if failed := [result for result in results if result.state == "failed"]:
            raise NasError(f"{len(failed)} of {counted(len(results), 'training')} failed: {failed[0].reason}")
        run.export(run.best, to=Path(folder) / "exported")
    found = f"{counted(len(results), 'training')}, one exported and checked, in {time.monotonic() - begun:.0f} s"
    yield Finding("self-test", "good", found)
