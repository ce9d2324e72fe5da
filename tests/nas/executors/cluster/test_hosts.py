"""Searches over several hosts, one of which is cut off and comes back; hosts are network namespaces of this machine.

It needs Linux, root and iproute2, says so where it is skipped, and leaves no namespace, process or folder behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from killing import SETTINGS, facts, needs_proc, processes, results, search, until
from searches import Note, Noting, notes
from stubs import gone, importing

from nas.executors.cluster.process import kill_session
from nas.executors.serial import Serial
from nas.runs.folder import RunFolder

pytest.importorskip("ray", reason="Ray is not installed")

HEAD, STAYS, CUT = "10.77.0.1", "10.77.0.2", "10.77.0.3"
PORT = 6379

TRIALS = 60

SCRIPT = Path(__file__).parents[4] / "docs" / "cluster" / "slurm.sh"

_MISLEADING = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_ADDRESS"}
"""What an environment may hold that makes Ray's processes listen on loopback alone, or look for another cluster."""

_HIDING = 'for folder in $HIDDEN; do mount -t tmpfs none "$folder" || exit; done; exec "$@"'
"""Runs a command where some folders are empty; `ip netns exec` has made it a mount namespace of its own."""

DRIVER = """
import sys
from pathlib import Path

from nas.executors.cluster.messages import Settings
from nas.executors.cluster.workers import RayWorkers
from nas.runs.folder import RunFolder
from killing import SETTINGS, Holding, search

if __name__ == "__main__":
    root = Path(sys.argv[1])
    make = Holding(root / "log", ms=200)
    executor = RayWorkers(make, Settings(sys.argv[2]), say=lambda text: print(text, flush=True), log=root / "ray.log")
    with executor, RunFolder.create_or_open(root, "x", SETTINGS) as run:
        search(run, executor, int(sys.argv[3]))
"""


@dataclass
class Host:
    """A network namespace with an address, on one bridge with the others, and what was started in it."""

    name: str
    address: str
    token: str
    folder: Path
    others: tuple[Path, ...]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, output: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Runs a command on this host, in a session of its own, which does not see the folders of other hosts."""
        # how long a silent host is waited for: 5 checks 3 s apart, each of up to 10 s, are too long for a test
        checks = {"initial_delay_ms": "1000", "period_ms": "1000", "timeout_ms": "2000", "failure_threshold": "3"}
        own = {f"RAY_health_check_{name}": value for name, value in checks.items()}
        own |= {"RAY_TMPDIR": str(self.folder), "TMPDIR": str(self.folder), "RAY_USAGE_STATS_ENABLED": "0"}
        own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "HIDDEN": " ".join(map(str, self.others))}
        inherited = {name: value for name, value in importing().items() if name not in _MISLEADING}
        with output.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "sh", "-c", _HIDING, "sh", *command],
                env=inherited | own | environment,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def ray_start(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """A node of a cluster, as a service manager would run it."""
        common = [f"--node-ip-address={self.address}", f"--temp-dir={self.folder}"]
        common += ["--object-store-memory=100000000", "--block"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *common, *options]
        return self.start(*command, output=self.folder.with_suffix(".txt"), **environment)

    def join(self, **environment: str) -> subprocess.Popen[bytes]:
        """A worker with one CPU."""
        return self.ray_start(f"--address={HEAD}:{PORT}", "--num-cpus=1", **environment)

    def said(self) -> str:
        """What `ray start` has printed here so far."""
        output = self.folder.with_suffix(".txt")
        return output.read_text() if output.exists() else ""

    @property
    def network(self) -> int:
        """What tells this host's processes from those of others."""
        return Path("/run/netns", self.name).stat().st_ino

    def link(self, state: str) -> None:
        """Pulls the plug (down), or puts it in again (up)."""
        ip("link", "set", f"{self.name}-v", state)

    def pids(self) -> list[int]:
        """What runs on this host."""
        return [int(pid) for pid in ip("netns", "pids", self.name).split()]

    def stop(self) -> None:
        """Ends whatever was started here."""
        for process in self.started:
            process.terminate()
        for process in self.started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            kill_session(process.pid)
            process.wait()
        for pid in self.pids():  # in sessions of their own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            assert gone(pid)


def _network(process: str) -> int:
    return Path("/proc", process, "ns", "net").stat().st_ino


def ip(*arguments: str) -> str:
    """Runs iproute2's `ip`."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def hosts(*addresses: str) -> Iterator[list[Host]]:
    """Hosts on one network, for as long as they are needed; the test is skipped where they cannot be."""
    name, token = f"nas{os.getpid()}", secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))  # the paths of sockets must be short
    folders = [folder / str(number) for number in range(len(addresses))]
    for own in folders:
        own.mkdir()
    found: list[Host] = []
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            ip("link", "add", name, "type", "bridge")
            undo.callback(ip, "link", "del", name)
            ip("link", "set", name, "up")
            for number, address in enumerate(addresses):
                own, *others = folders[number:] + folders[:number]
                host = Host(f"{name}-{number}", address, token, own, tuple(others))
                ip("netns", "add", host.name)
                undo.callback(ip, "netns", "del", host.name)
                ip("link", "add", f"{host.name}-v", "type", "veth", "peer", "name", "eth0", "netns", host.name)
                undo.callback(ip, "link", "del", f"{host.name}-v")
                undo.callback(host.stop)
                ip("link", "set", f"{host.name}-v", "master", name, "up")
                ip("-n", host.name, "addr", "add", f"{address}/24", "dev", "eth0")
                ip("-n", host.name, "link", "set", "eth0", "up")
                ip("-n", host.name, "link", "set", "lo", "up")
                ip("netns", "exec", host.name, "true")
                found.append(host)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            pytest.skip(f"no network namespaces here, which take Linux, root and iproute2: {reason}")
        yield found


@dataclass
class Trace:
    """Which host started and ended which training, by the processes that noted it, as long as they run."""

    log: Path
    hosts: list[Host]
    known: dict[int, str] = field(default_factory=dict)

    def of(self, host: Host, what: str = "start") -> list[Note]:
        """A host's notes; to be called often enough to see every process alive."""
        found = notes(self.log)
        for pid in {note.pid for note in found} - set(self.known):
            with contextlib.suppress(OSError):
                self.known[pid] = next(host.name for host in self.hosts if _network(str(pid)) == host.network)
        return [note for note in found if note.what == what and self.known.get(note.pid) == host.name]


@needs_proc
@pytest.mark.slow
def test_a_host_is_cut_off_and_comes_back_and_every_training_is_done_once(tmp_path):
    script, said, log, hold = (tmp_path / name for name in ("driver.py", "said", "log", "hold"))
    script.write_text(DRIVER)
    with hosts(HEAD, STAYS, CUT) as all_hosts:
        head, stays, cut = all_hosts
        head.ray_start("--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
        until(lambda: "Ray runtime started" in head.said())

        stranger = cut.join(RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN="")
        stays.join()
        assert stranger.wait(120) != 0
        assert "Authentication token is missing or incorrect" in cut.said()
        assert "Ray runtime started" not in cut.said()

        service = cut.join()
        driver = head.start(sys.executable, str(script), str(tmp_path), f"{HEAD}:{PORT}", str(TRIALS), output=said)
        trace = Trace(log, all_hosts)
        until(lambda: min(len(trace.of(stays)), len(trace.of(cut))) > 2)
        begun = len(trace.of(cut))
        until(lambda: len(trace.of(cut)) > begun)
        cut.link("down")
        lost, before = trace.of(cut)[-1], {note.pid for note in trace.of(cut)}

        until(lambda: lost.key in {note.key for note in trace.of(stays, "end")})
        hold.touch()  # so that there is something left to do
        cut.link("up")
        service.wait(120)  # it hears that it was given up
        cut.join()
        until(lambda: {note.pid for note in trace.of(cut)} - before)
        hold.unlink()
        assert driver.wait(300) == 0, said.read_text()

        assert "Traceback" not in said.read_text()
        assert processes(driver.pid) == {}
        assert [note.pid for note in notes(log) if not gone(note.pid)] == []
        assert list(head.folder.glob("nas-ray-*")) == []
    assert not any(host.name in ip("netns", "list") or host.folder.exists() for host in all_hosts)

    with Serial(Noting(tmp_path / "other log")) as executor, RunFolder.create_or_open(tmp_path, "y", SETTINGS) as run:
        search(run, executor, TRIALS)
    ended = results(tmp_path)
    assert facts(ended) == facts(results(tmp_path, "y"))
    assert len(ended) == len({result.key for result in ended})
    assert trace.of(head) == []


STAND_INS = {
    "nas": f'exec {sys.executable} -m nas "$@"',
    "ray": f'exec {sys.executable} -m ray.scripts.scripts "$@"',
    "hostname": f"[ $# = 0 ] && echo head || echo {HEAD} fe80::1",
    "srun": 'while [ "${1#-}" != "$1" ]; do shift; done; exec ip netns exec "$OTHER" "$@"',
}
"""What the SLURM script calls: the programs of this checkout, and SLURM as far as the script needs it."""


@needs_proc
@pytest.mark.slow
def test_the_slurm_script_searches_on_two_hosts_and_leaves_nothing(tmp_path):
    said, home, programs = (tmp_path / name for name in ("said", "home", "programs"))
    home.mkdir()
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    options = "--trials 8 --epochs 1 --top 1 --seeds 1 --patch 2 --width 32 --depth 2 --device cpu --run x"
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "1"}
    with hosts(HEAD, STAYS) as (head, other):
        slurm |= {"OTHER": other.name, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
        command = ["bash", str(SCRIPT), "--runs-dir", str(tmp_path), *options.split()]
        job = head.start(*command, output=said, RAY_AUTH_TOKEN="", **slurm)
        until(lambda: list(home.glob(".nas-ray-*/token")) or job.poll() is not None)
        assert [path.stat().st_mode & 0o777 for path in home.glob(".nas-ray-*/token")] == [0o600]
        until(lambda: any(_is_lane(pid) for pid in other.pids()) or job.poll() is not None)
        assert job.wait(300) == 0, said.read_text()
        assert "8 candidates" in said.read_text()
        assert list(home.glob(".nas-ray-*")) == []
        assert not Path(f"/tmp/nas-{os.getpid()}").exists()
        assert processes(job.pid) == {}
    assert len(results(tmp_path)) > 8


def _is_lane(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes().startswith(b"ray::ResourceTrainable")
    return False
