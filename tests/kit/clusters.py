"""Ray clusters on this machine to test with: every node has a raylet of its own, and can be killed.

The nodes belong to a process that is run by this very file, so that Ray is neither imported nor configured in a test's.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from stubs import importing

from nas.executors.cluster.process import kill_session


@dataclass
class Nodes:
    """The nodes of a cluster, in the order in which they were added, the head first."""

    process: subprocess.Popen[str]
    address: str = ""
    raylets: list[int] = field(default_factory=list)

    def add(self, cpus: int) -> None:
        """Another node."""
        self._tell("add", cpus)

    def kill(self, node: int) -> None:
        """A node and all that runs on it, at once."""
        self._tell("kill", node)

    def _tell(self, *command: Any) -> None:
        assert self.process.stdin and self.process.stdout
        print(*command, file=self.process.stdin, flush=True)
        self.hear()

    def hear(self) -> None:
        """Waits until the last command has been carried out."""
        assert self.process.stdout
        while not (line := self.process.stdout.readline()).startswith("{"):
            assert line, "the cluster could not be started"
        heard = json.loads(line)
        self.address, self.raylets = heard["address"], heard["raylets"]


@contextlib.contextmanager
def cluster(*nodes: int | tuple[int, int]) -> Iterator[Nodes]:
    """A cluster with so many CPUs on each node, or CPUs and GPUs, which need not be there for Ray to hand them out."""
    sizes = [f"{node[0]}/{node[1]}" if isinstance(node, tuple) else f"{node}/0" for node in nodes]
    command, pipe = [sys.executable, __file__, *sizes], subprocess.PIPE
    with surroundings() as environment:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True, start_new_session=True)
        try:
            made = Nodes(process)
            made.hear()
            yield made
        finally:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                process.communicate(timeout=30)
            kill_session(process.pid)
            process.wait()


@contextlib.contextmanager
def node(address: str, cpus: int, grace: float) -> Iterator[subprocess.Popen[bytes]]:
    """Another node of a cluster, of a process that does at SIGTERM what that of `ray start --block` does.

    It is drained as one that is preempted, and `grace` seconds later it is no more.
    """
    environment = importing() | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(grace)}
    command = [sys.executable, __file__, address, str(cpus)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        kill_session(process.pid)
        process.wait()


@contextlib.contextmanager
def head(port: int, cpus: int, environment: dict[str, str]) -> Iterator[None]:
    """A cluster of one node as `ray start` makes it, which is killed at the end."""
    command = f"{sys.executable} -m ray.scripts.scripts start --head --port {port} --num-cpus {cpus} --block"
    options = "--include-dashboard=false --disable-usage-stats --node-ip-address 127.0.0.1"
    process = subprocess.Popen(
        [*command.split(), *options.split()], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        kill_session(process.pid)
        process.wait()


@contextlib.contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """The environment of a cluster that speaks on loopback alone, with a folder of its own for sockets and logs.

    Its token is in this process's environment meanwhile.
    """
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # the paths of sockets must be short
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    own = {"RAY_TMPDIR": folder, "TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
    with mock.patch.dict(os.environ, token | loopback):
        yield importing() | own
    shutil.rmtree(folder, ignore_errors=True)


def _host(sizes: list[str]) -> None:
    """Starts the nodes, then does what it is told until its input ends."""
    from ray.cluster_utils import Cluster

    def resources(size: str) -> dict[str, int]:
        cpus, gpus = map(int, size.split("/"))
        return {"num_cpus": cpus, "num_gpus": gpus}

    head = resources(sizes[0]) | {"include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.head_node, *(cluster.add_node(**resources(size)) for size in sizes[1:])]

    def say() -> None:
        started = [node.all_processes.get("raylet") for node in nodes]
        raylets = [processes[0].process.pid if processes else 0 for processes in started]
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)

    say()
    for line in sys.stdin:
        command, number = line.split()
        if command == "add":
            nodes.append(cluster.add_node(num_cpus=int(number)))
        else:
            cluster.remove_node(nodes[int(number)], allow_graceful=False)
        say()
    cluster.shutdown()


def _node(address: str, cpus: int) -> None:
    """Is a node until it is told to end."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    ports = {"min_worker_port": 0, "max_worker_port": 0, "node_manager_port": 0, "dashboard_agent_listen_port": None}
    memory = {"object_store_memory": 150 * 2**20}
    Node(RayParams(gcs_address=address, num_cpus=cpus, include_log_monitor=False, **memory, **ports), head=False)
    while True:
        signal.pause()


if __name__ == "__main__":
    if ":" in sys.argv[1]:
        _node(sys.argv[1], int(sys.argv[2]))
    _host(sys.argv[1:])
