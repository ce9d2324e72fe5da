"""What tests share that kill searches and look at what is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from searches import Noting, plan, search_in, tiny

from nas.executors.executor import Executor
from nas.loop.past import check_result
from nas.runs.folder import RunFolder
from nas.runs.result import Result

SETTINGS = {"objective": "accuracy"}


def search(run: RunFolder, executor: Executor, trials: int = 150) -> None:
    """So many candidates and their finals; without rungs, at which a result depends on those that came before it."""
    search_in(run, executor, plan(trials=trials), space=tiny("mixed", depth=(1, 2)))


class Holding(Noting):
    """Notes every start and end; while there is a file `hold` beside the log, what has started goes no further."""

    def _note(self, what: str, job) -> None:
        super()._note(what, job)
        while what == "start" and self.log.with_name("hold").exists():
            time.sleep(0.05)


def results(root: Path, name: str = "x") -> list[Result]:
    """What is on disk of the run, every line checked; no line is torn."""
    if not (root / name / "run.json").exists():
        return []
    run = RunFolder.open(root, name)
    found = run.results(validate=check_result)
    assert run.warnings == []
    return found


def facts(found: list[Result]) -> set[tuple]:
    return {(result.key, result.phase, result.label, result.state, result.scores) for result in found}


def processes(group: int) -> dict[int, int]:
    """The processes of a group that still run, each with its parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, its_group, *_ = path.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state not in "ZX":
            found[int(path.parent.name)] = int(parent)
    return found


def until(condition: Callable[[], object]) -> None:
    """Waits for a condition; fails when it does not come, be the machine ever so busy."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.001)


needs_proc = pytest.mark.skipif(not Path("/proc").exists(), reason="looks for workers and orphans in /proc")
