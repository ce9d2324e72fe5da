"""Settings for all tests."""

import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of torch and BLAS, also in what a test starts; the other cores have other tests

import pytest
import torch
import typer.main
from hypothesis import settings

# Workers import what a test gives them, by the name that pytest has for its module; what is installed comes first.
sys.path.append(str(Path(__file__).parents[1]))
# A shell's background jobs ignore Ctrl-C, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("no deadline", deadline=None)  # times are measured in benchmarks/, not here
settings.load_profile("no deadline")
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """Trainings in the process of the tests take one thread, too: several wait for one another more than they compute.

    Not for all of this file's lifetime: `-n auto` counts cores before there are fixtures.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_command_line() -> Iterator[None]:
    """A process makes the parser of its command line once; here hundreds of command lines are run in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield
