"""Settings for all tests."""

import torch
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # times are measured in benchmarks/, not here
settings.load_profile("shared machine")
torch.set_num_threads(1)
