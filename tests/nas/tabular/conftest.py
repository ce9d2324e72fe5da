"""A small table of record, made once a session, whatever number of processes tests run in."""

import fcntl
import os
from pathlib import Path

import pytest
from small_table import NETWORKS, SMALL

from nas.api import bench
from nas.options.bench import Bench
from nas.runs.folder import RunFolder
from nas.tabular import declared as tables


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run of the small table, made in two parts."""
    base = tmp_path_factory.getbasetemp()
    root, first = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "table", list[int]()
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (root / "made").exists():
            return RunFolder.open(root, "table-small")
        patch.setitem(tables.TABLES, "small", SMALL)
        for part in (1, 2):
            asked = Bench(table="small", part=part, parts=2, device="cpu", workers=0, runs_dir=root)
            first.append(len(bench.make(asked, quiet=True).results()))
        assert first == [NETWORKS, 2 * NETWORKS]
        (root / "made").touch()
    return RunFolder.open(root, "table-small")


@pytest.fixture(scope="session")
def path(made: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("table") / "small.parquet"
    bench.pack(made, to)
    return to
