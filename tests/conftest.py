"""Settings for all tests."""

import torch
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # times are measured in benchmarks/, not here
settings.load_profile("no deadline")
torch.set_num_threads(1)
