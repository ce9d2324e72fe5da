"""How long networks take for a batch, measured side by side in one process."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from einmix import Architecture, build
from nas.runs.folder import RunFolder
from nas.runs.result import take

FILE = "latency"


@dataclass(frozen=True)
class Conditions:
    """How latencies were measured: `repeats` passes over `batch` examples on a device, with so many CPU threads."""

    device: str
    batch: int = 64
    repeats: int = 15
    threads: int = 1


def latencies(run: RunFolder, architectures: Sequence[Architecture], conditions: Conditions) -> dict[str, float]:
    """Milliseconds a batch by id: those that the run keeps, or all measured side by side and kept."""
    ids = {architecture.id for architecture in architectures}
    known = _kept(run, conditions)
    if not ids <= known.keys():
        known = measure(architectures, conditions)
        run.keep(FILE, {"conditions": asdict(conditions), "ms": known})
    return {id: known[id] for id in ids}


def measure(architectures: Sequence[Architecture], conditions: Conditions) -> dict[str, float]:
    """The median milliseconds of forward passes of the networks' plain text over random examples (float32), by id.

    The networks take turns, so that what else the machine does meets all of them.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before, tf32 = torch.get_num_threads(), (matmul.allow_tf32, cudnn.allow_tf32)
    torch.set_num_threads(conditions.threads)
    matmul.allow_tf32 = cudnn.allow_tf32 = False  # whatever the trainings of this process compute in
    try:
        steps = {each.id: _step(each, conditions) for each in architectures}
        for step in steps.values():
            step()
            step()
        times: dict[str, list[float]] = {id: [] for id in steps}
        for _ in range(conditions.repeats):
            for id, step in steps.items():
                start = time.perf_counter()
                step()
                times[id].append(1000 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(before)
        matmul.allow_tf32, cudnn.allow_tf32 = tf32
    return {id: statistics.median(found) for id, found in times.items()}


def _step(architecture: Architecture, conditions: Conditions) -> Callable[[], object]:
    """One forward pass, waited for."""
    import torch

    net = build(architecture).eval().to(conditions.device)
    *axes, channels = (size for _, size in architecture.inputs)
    x = torch.rand(conditions.batch, channels, *axes, device=conditions.device)

    def step() -> object:
        with torch.inference_mode():
            return net(x)[0, 0].item()  # reading a number waits for the device

    return step


def _kept(run: RunFolder, conditions: Conditions) -> dict[str, float]:
    """What the run keeps of these conditions; nothing where that cannot be read."""
    value: dict[str, Any] = run.kept(FILE) or {}
    try:
        if take(value, "conditions", "an object") != asdict(conditions):
            return {}
        ms = take(value, "ms", "an object")
        found = {id: float(take(ms, id, "a finite number")) for id in ms}
    except ValueError:
        return {}
    return found if all(each > 0 for each in found.values()) else {}
