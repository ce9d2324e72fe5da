"""Options that several commands have."""

from pathlib import Path

from nas.options.option import Option

RUNS = Path("runs")

DATA = Option(
    "digits, fashion-mnist, cifar10, cifar100, mnist1d (1-D), volumes (3-D, synthetic), "
    "an image folder or an .npz file.",
    run="data",
)
DATA_DIR = Option("Where data sets are found, or downloaded to.", run="how")
DATA_OF_RUN = Option("Where the data is (default: as in the search).", run="how")
PATCHES = Option("One size, or several with commas: 1,2,4; with a side for each axis: 1x4x4.", run="space")
SIZES = Option("One size, or several with commas: 1,2,4.", run="space")
DEVICE = Option("auto, cpu, cuda or mps.", run="how")
WORKERS = Option("Worker processes.", least=0, most=2**12, run="how")
LOG = "Log to these as well, with commas: tensorboard,mlflow,wandb."
RUNS_DIR = Option("Where runs are kept.")
COMMAND = Option(run="how")
"""What was typed."""
