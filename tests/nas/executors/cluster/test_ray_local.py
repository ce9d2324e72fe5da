"""A cluster of this machine alone: the search is the one without it, on loopback, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killing import needs_proc, until
from searches import notes
from stubs import importing

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = needs_proc

LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1 as /proc/net/tcp and tcp6 write them."""


class Traces:
    """What is left of processes started in this environment: they inherit a mark, and a folder for their files."""

    def __init__(self) -> None:
        self.mark = f"NAS_TEST={uuid.uuid4()}"
        self.folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))  # the paths of sockets must be short
        self.home = self.folder / "home"
        self.home.mkdir()
        name, value = self.mark.split("=")
        self.environment = importing() | {name: value, "TMPDIR": str(self.folder), "HOME": str(self.home)}

    def processes(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                state = (path / "stat").read_text().rsplit(")", 1)[1].split()[0]
                if state not in "ZX" and self.mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def listening(self) -> set[str]:
        """The addresses on which they wait for connections, in hexadecimal."""
        inodes = set()
        for pid in self.processes():
            for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    inodes.add(str(descriptor.readlink()))
                except OSError:
                    continue
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    found.add(fields[1].split(":")[0])
        return found

    def files(self) -> list[Path]:
        """All but torch's own cache, which every process that has imported its compiler leaves."""
        return [p for p in self.folder.rglob("*") if p != self.home and not p.name.startswith("torchinductor_")]


@pytest.fixture
def traces() -> Iterator[Traces]:
    found = Traces()
    yield found
    for pid in found.processes():
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(found.folder, ignore_errors=True)


def nothing_left(traces: Traces) -> None:
    until(lambda: not traces.processes())
    assert traces.files() == []
    assert not [path for path in Path("/dev/shm").glob("*") if "plasma" in path.name or "ray" in path.name]


SEARCH = (
    "search --space subgrid --strategy random --seed 7 --no-prune --trials 4 --epochs 1 --top 1 --seeds 1 --device cpu"
)


@pytest.mark.slow
def test_it_is_the_search_of_local_workers(traces, tmp_path):
    """The same networks, seeds and figures; weights and all; and nothing is left."""
    lines = []
    for where in (["--workers", "1"], ["--workers", "1", "--ray", "local"]):
        name = f"run{len(where)}"
        command = [sys.executable, "-m", "nas", *SEARCH.split(), *where, "--run", name, "--runs-dir", str(tmp_path)]
        done = subprocess.run(command, env=traces.environment, capture_output=True, text=True, timeout=240)
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
        rows = map(json.loads, (tmp_path / name / "results.jsonl").read_text().splitlines())
        facts = ("id", "seed", "lr", "epochs", "phase", "label", "state", "scores", "train_loss", "architecture")
        lines.append(sorted(json.dumps([row[fact] for fact in facts]) for row in rows))
    assert lines[0] == lines[1]
    assert len(lines[0]) > 4
    weights = [sorted(path.name for path in (tmp_path / name / "checkpoints").iterdir()) for name in ("run2", "run4")]
    assert weights[0] == weights[1] != []
    nothing_left(traces)


DRIVER = """
import sys
from pathlib import Path

from nas.executors.cluster.messages import Settings
from nas.executors.cluster.workers import RayWorkers
from searches import Noting
from stubs import make_broken, stub_job

if __name__ == "__main__":
    log = Path(sys.argv[1])
    make = make_broken if sys.argv[2] == "broken" else Noting(log, ms=60_000)
    with RayWorkers(make, Settings("local", workers=1, cpus=1), log=log.with_name("ray.log")) as executor:
        executor.submit(0, stub_job("a"))
        while True:
            executor.wait(lambda number, score: True)
"""


@pytest.fixture
def start(traces, tmp_path) -> Callable[[str], subprocess.Popen[str]]:
    """Starts that driver."""

    def start(kind: str) -> subprocess.Popen[str]:
        script = tmp_path / "driver.py"
        script.write_text(DRIVER)
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "log"), kind],
            env=traces.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.mark.slow
def test_after_a_failure_nothing_is_left(start, traces):
    error = start("broken").communicate(timeout=120)[1]
    assert "NasError: worker 1 could not start: RuntimeError: no such device" in error
    nothing_left(traces)


SLOW = [pytest.param(how, marks=pytest.mark.slow) for how in ("kill the driver", "kill both")]


@pytest.mark.outside
@pytest.mark.parametrize("how", ["ctrl-c", *SLOW])
def test_broken_off_in_the_midst_of_training_nothing_is_left(how, start, traces, tmp_path):
    driver = start("long")
    until(lambda: notes(tmp_path / "log") or driver.poll() is not None)
    assert len(traces.processes()) > 5
    assert traces.listening() <= LOOPBACK
    if how == "ctrl-c":  # as a terminal does: to the driver and all of its group
        os.killpg(driver.pid, signal.SIGINT)
    elif how == "kill the driver":
        driver.kill()
    else:
        conductor = next(pid for pid in traces.processes() if os.getsid(pid) == pid != driver.pid)
        os.kill(conductor, signal.SIGKILL)
        driver.kill()
    driver.communicate(timeout=60)
    if how == "kill both":  # the next one sweeps up
        time.sleep(1)
        assert traces.files()
        assert start("broken").wait(120)
    nothing_left(traces)
