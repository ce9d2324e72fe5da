"""Settings for all tests."""

import signal
import sys
from pathlib import Path

import torch
from hypothesis import settings

# Workers import what a test gives them, by the name that pytest has for its module; what is installed comes first.
sys.path.append(str(Path(__file__).parents[1]))
# A shell's background jobs ignore Ctrl-C, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("no deadline", deadline=None)  # times are measured in benchmarks/, not here
settings.load_profile("no deadline")
torch.set_num_threads(1)
