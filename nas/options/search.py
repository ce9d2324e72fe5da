"""What can be asked of a search."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from nas.errors import NasError
from nas.options.common import COMMAND, DATA, DATA_DIR, DEVICE, LOG, PATCHES, RUNS, RUNS_DIR, SIZES
from nas.options.option import Option, Options, option
from search_spaces.blocks.patch import Patch


@dataclass(frozen=True)
class Search(Options):
    """What can be asked of a search; None (or nothing) leaves it to the data, the space or the machine.

    With the name of a run that exists, what is not given is as it was there: `nas.api.resuming` puts them together.

    >>> Search(space="local").trials
    64
    """

    FACTS: ClassVar = ("space_file", "data.name", "data_path", "versions", "inputs", "started")

    space: str = option("subgrid", "A space by name, or a Python file that declares SPACE.", run="space")
    data: str = option("digits", DATA)
    trials: int = option(64, "Architectures to try.", least=1, run="how")
    minutes: float | None = option(None, "Ask for no new ones after so many minutes.", above=0, run="how")
    strategy: str = option("surrogate", "surrogate, tpe, fast-tpe, evolution, random or exhaustive.", run="what")
    start: tuple[str, ...] = option(
        (), "Networks of the zoo to try first: mixer,gmlp,vip (`nas zoo` lists them).", run="start"
    )
    objective: str = option(
        "accuracy", "accuracy, loss, params, macs, latency, seconds; several give a front.", run="what"
    )
    max_params: int | None = option(None, "Most parameters (default: full token mixing's).", least=1, run="budget")
    min_params: int | None = option(None, "Least parameters (default: half of the most).", least=0, run="budget")
    max_macs: int | None = option(None, "Most multiply-accumulates an image.", least=1, run="budget")
    patch: tuple[Patch, ...] = option((), PATCHES)
    width: tuple[int, ...] = option((), SIZES)
    depth: tuple[int, ...] = option((), SIZES)
    ratio: tuple[int, ...] = option((), SIZES)
    draw: str | None = option(
        None, "Random draws: of networks alike, or ideas (forms, families) first (default: the space's).", run="space"
    )
    epochs: int | None = option(None, "Epochs of a full training.", run="recipe")
    lr: float | None = option(None, "Learning rate (default: it is found).", run="recipe")
    batch: int | None = option(None, "Images a batch.", run="recipe")
    weight_decay: float | None = option(None, "Weight decay.", run="recipe")
    label_smoothing: float | None = option(None, "Label smoothing.", run="recipe")
    augment: str | None = option(None, "none, shift or shift+flip.", run="recipe")
    scaling: str | None = option(None, "Learning rates by layer: fan-in, or none.", run="recipe")
    images: int | None = option(None, "Training images to use (default on a CPU: 10,000).", least=1, run="data")
    prune: bool = option(True, "Stop weak candidates at rungs.", run="rungs")
    rungs: tuple[int, ...] = option(
        (), "Epochs after which the best third goes on (default: half of all).", run="rungs"
    )
    eta: float = option(3.0, Option(above=1, run="rungs"))
    grace: int = option(1, Option(least=0, run="rungs"))
    order: Literal["loss", "accuracy"] = option(
        "loss", "Validation figure by which candidates are compared, until the finals.", run="rungs"
    )
    top: int = option(3, "Finalists to train again over several seeds.", least=1, run="how")
    seeds: int | None = option(
        None, "Seeds of the finals (default: 5, for large data 3).", least=1, most=999, run="how"
    )
    until_sure: float | None = option(
        None,
        "Go on with up to 20 seeds until it is so sure (0.9) whether rank 1 is ahead, and what taking it may cost.",
        least=0.5,
        most=0.999,
        run="how",
    )
    within: float = option(0.5, "Points of accuracy that taking rank 1 may cost, for --until-sure.", above=0, run="how")
    seed: int = option(0, "Seed of split, proposals and trainings.", least=0, most=2**31 - 1, run="what")
    device: str = option("auto", DEVICE)
    workers: int | None = option(
        None,
        "Worker processes (default: one a core; on a GPU up to eight, as memory allows).",
        least=0,
        most=2**12,
        run="how",
    )
    engine: Literal["auto", "graph", "eager"] = option(
        "auto",
        "eager: step by step; graph: each as one, on a GPU; auto: and trainings that differ in seed or rate as one.",
        run="how",
    )
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = option(
        "auto", "On a GPU: float32, tf32, bfloat16 or auto: tf32, where it has that.", run="how"
    )
    ray: str | None = option(
        None, "Train on a Ray cluster: its HOST:PORT, auto, or local.", metavar="ADDRESS", run="how"
    )
    gpus_per_trial: float | None = option(
        None, "GPUs of a training on a cluster (default: by its measured memory).", above=0, run="how"
    )
    run: str | None = option(None, "The run's name; an existing run goes on where it stopped.")
    storage: str | None = option(
        None,
        "Where trainings under way are kept for a restart: a folder or a URL such as s3://bucket/folder "
        "(default: in the run).",
        run="how",
    )
    retry_failed: bool = option(False, "Try again even what has failed twice; once it is tried anyhow.")
    log: tuple[str, ...] = option((), LOG, run="how")
    report: bool = option(True, "Write report.html into the run's folder at the end.")
    runs_dir: Path = option(RUNS, RUNS_DIR)
    data_dir: Path = option(Path("data"), DATA_DIR)
    command: str = option("", COMMAND)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.run is None:
            self.check()

    def check(self) -> None:
        """Raises NasError for options that do not go together; with a run's name this waits for those of the run."""
        if self.gpus_per_trial is not None and self.ray is None:
            raise NasError("--gpus-per-trial is for --ray; without it, --workers says how many train at once")
        if self.ray == "":
            raise NasError("--ray is empty; HOST:PORT, auto or local is expected")
        if self.ray is not None and self.workers == 0:
            raise NasError("--workers is 0, at least 1 is expected with --ray")
        if self.until_sure is not None and "," in self.objective:
            raise NasError("--until-sure is about one objective: of several it is a front that is confirmed")
        if self.min_params and self.max_params and self.min_params > self.max_params:
            raise NasError(f"--min-params {self.min_params} is more than --max-params {self.max_params}")
