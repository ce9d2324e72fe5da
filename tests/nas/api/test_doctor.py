"""`nas doctor` finds what is amiss, says what to do, and goes on after what it cannot look at."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from nas.api import doctor
from nas.api.doctor import Finding, examine
from nas.cli.main import app
from nas.errors import NasError
from nas.options.doctor import Doctor


def looked(about: str, **asked: object) -> list[Finding]:
    found = examine(Doctor(**{"self_test": False, **asked}))  # type: ignore[arg-type]
    return [finding for finding in found if finding.about == about]


@pytest.mark.outside
def test_the_self_test_is_a_search_with_an_export():
    *_, last = examine(Doctor(device="cpu"))
    assert (last.about, last.state) == ("self-test", "good")
    assert last.found.startswith("10 trainings, one exported and checked, in ")


def test_a_self_test_that_fails_says_why(monkeypatch):
    def search(*_: object, **__: object) -> None:
        raise NasError("no workers today")

    monkeypatch.setattr("nas.api.search.search", search)
    *_, last = examine(Doctor())
    assert last == Finding("self-test", "bad", "no workers today", "without this a search will fail as well")


def test_a_look_that_breaks_is_a_finding_and_the_others_follow(monkeypatch):
    monkeypatch.setattr(doctor, "cores", lambda: 1 / 0)
    every = list(examine(Doctor(self_test=False)))
    (broken,) = [finding for finding in every if finding.state == "bad"]
    assert (broken.about, broken.found) == ("workers", "ZeroDivisionError: division by zero")
    assert every[-1].about == "extras"


def test_a_gpu_that_torch_cannot_use(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "GPU_FILES", [tmp_path])
    monkeypatch.setattr(doctor, "find_device", lambda device: ("cpu", 1))
    monkeypatch.setattr(torch.version, "cuda", None)
    (found,) = looked("device")
    assert found.state == "bad" and found.found == "there is a GPU, but torch, built for CPUs alone, cannot use it"
    (asked,) = looked("device", device="cpu")
    assert asked == Finding("device", "good", "no GPU: trained on the CPU")


@pytest.mark.parametrize(("free", "state"), [(70e9, "good"), (10e9, "note")])
def test_gpus_with_their_memory(monkeypatch, free, state):
    monkeypatch.setattr(doctor, "find_device", lambda device: ("cuda", 2))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(name=f"GPU {number}"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free, 80e9))
    found = looked("device")
    assert [each.state for each in found] == [state] * 2
    assert found[1].found.startswith("GPU 1, 80 GB of memory") and bool(found[1].advice) == (state == "note")


@pytest.mark.parametrize(("memory", "state"), [(None, "good"), (64.0, "good"), (2.5, "note")])
def test_workers_and_their_memory(monkeypatch, memory, state):
    monkeypatch.setattr(doctor, "cores", lambda: 8)
    monkeypatch.setattr(doctor, "worker_count", lambda wanted, device, devices: 8)
    monkeypatch.setattr(doctor, "_memory", lambda: memory)
    (found,) = looked("workers")
    assert found.state == state and found.found.startswith("8 workers, 8 cores of ")
    assert found.advice == ("a worker takes up to a gigabyte: write --workers 2" if state == "note" else "")


def test_data_that_is_here_and_that_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.data.known.DEBIAN_FASHION", tmp_path / "debian")
    here, missing = looked("data", data_dir=tmp_path)
    assert here.found == "digits, mnist1d and volumes come with this program"
    assert (missing.state, missing.found) == ("note", "not here: fashion-mnist, cifar10, cifar100")
    (tmp_path / "fashion-mnist").mkdir()
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / "fashion-mnist" / f"{part}-{kind}-ubyte").touch()
    (tmp_path / "cifar-100-python").mkdir()
    for part in ("train", "test"):
        (tmp_path / "cifar-100-python" / part).touch()
    here, missing = looked("data", data_dir=tmp_path)
    assert here.found.endswith(
        f", fashion-mnist in {tmp_path / 'fashion-mnist'}, cifar100 in {tmp_path / 'cifar-100-python'}"
    )
    assert missing.found == "not here: cifar10"


def test_folders_that_cannot_be_written_to_or_are_nearly_full(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    runs, data = looked("folders", runs_dir=tmp_path / "file" / "runs", data_dir=tmp_path / "data" / "deep")
    assert runs == Finding("folders", "bad", f"{tmp_path}/file/runs cannot be written to", "write --runs-dir FOLDER")
    assert data.state == "good"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e8))
    assert {each.state for each in looked("folders", runs_dir=tmp_path, data_dir=tmp_path)} == {"note"}


REQUIRES = ["torch>=2.6", 'pyarrow>=16; extra == "bench"', 'ray[tune]>=2.60; extra == "ray"', 'ruff; extra == "dev"']


@pytest.fixture
def installed(monkeypatch) -> dict[str, str]:
    """Versions of what is installed, by name."""
    found = {"ray": "2.60.1"}

    def version(name: str) -> str:
        if name not in found:
            raise doctor.PackageNotFoundError(name)
        return found[name]

    extras = SimpleNamespace(metadata=SimpleNamespace(get_all=lambda key: ["bench", "ray", "dev"]))
    monkeypatch.setattr(doctor, "requires", lambda package: REQUIRES)
    monkeypatch.setattr(doctor, "distribution", lambda package: extras)
    monkeypatch.setattr(doctor, "version", version)
    return found


def test_extras_that_are_there_missing_or_too_old(installed):
    bench, ray = looked("extras")
    assert ray == Finding("extras", "good", "ray: ray")
    assert bench.found == "bench: pyarrow not installed, or too old"
    assert bench.advice == "pip install 'einmix-nas[bench]', if you want it"
    installed |= {"pyarrow": "17.0", "ray": "2.9"}
    assert [each.state for each in looked("extras")] == ["good", "note"]


def test_without_being_installed_there_are_no_extras(monkeypatch):
    def requires(package: str) -> list[str]:
        raise doctor.PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "requires", requires)
    (found,) = looked("extras")
    assert (found.state, found.found) == ("note", "einmix-nas is run without being installed")


def test_the_command_prints_advice_below_and_leaves_with_1_where_something_is_bad(tmp_path: Path):
    (tmp_path / "file").touch()
    broken = ["doctor", "--no-self-test", "--runs-dir", str(tmp_path / "file" / "runs")]
    done = CliRunner().invoke(app, broken)
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("BAD"))
    assert done.exit_code == 1 and lines[at + 1].strip() == "-> write --runs-dir FOLDER"
    done = CliRunner().invoke(app, [*broken, "--json"])
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["about"] for each in found if each["state"] == "bad"] == ["folders"]
    assert CliRunner().invoke(app, ["doctor", "--no-self-test", "--runs-dir", str(tmp_path)]).exit_code == 0
