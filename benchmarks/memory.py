"""What `nas.memory` predicts against what is measured: on a GPU the peak of a training, elsewhere what autograd keeps.

python benchmarks/memory.py [--candidates K] [--batch B]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from statistics import median

import torch

from einmix import Architecture
from nas.measured_memory import kept_by_autograd, peak
from nas.memory import CONTEXT, kept_memory, training_memory
from search_spaces import SPACES
from search_spaces.zoo import ZOO, Inputs

SHAPES = ({"t": 40}, {"h": 16, "w": 16}, {"d": 8, "h": 8, "w": 8})
WIDTH = 32
MIB = 2**20


def networks(count: int) -> Iterator[tuple[str, Architecture]]:
    """So many candidates of every space on data of one, two and three axes with their references, and the zoo."""
    for shape in SHAPES:
        for name, declared in SPACES.items():
            space, rng = declared.on(shape, channels=3, classes=10), Random(0)
            drawn = [space.sample(rng) for _ in range(count)]
            for architecture in (*drawn, *space.references(space.middle).values()):
                yield name, architecture
        for member in ZOO.values():
            width = WIDTH // member.step * member.step or member.step
            yield "zoo", member.at(Inputs(shape, 3, 10), patch=2, width=width, depth=2)


def spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def on_a_gpu(count: int, batch: int) -> None:
    """Predicted peaks, without the context, against those of `torch.cuda`."""
    name = torch.cuda.get_device_name()
    print(f"MiB at the peak of a training on {name}, batch {batch}, the CUDA context left out")
    print(f"{'':12} {'id':10} {'params':>10} {'predicted':>10} {'allocated':>10} {'reserved':>10}  ratio")
    found: list[tuple[float, float]] = []
    peak(next(networks(1))[1], batch)  # loads what stays: libraries and their workspaces
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    for space, architecture in networks(count):
        predicted = training_memory(architecture, batch, bf16=bf16) - CONTEXT
        allocated = peak(architecture, batch)
        reserved = torch.cuda.max_memory_reserved()
        found.append((predicted / allocated, predicted / reserved))
        sizes = " ".join(f"{value / MIB:10.1f}" for value in (predicted, allocated, reserved))
        print(f"{space:12} {architecture.id} {architecture.params:10,} {sizes}  {found[-1][0]:.2f}")
    for what, ratios in zip(("allocated", "reserved"), zip(*found, strict=True), strict=True):
        print(f"predicted / {what}: median (least to most) {spread(ratios)}, n={len(ratios)}")
    free, total = torch.cuda.mem_get_info()
    beside = (total - free - torch.cuda.memory_reserved()) / MIB
    print(f"used beside the allocator: {beside:.0f} MiB, other programs included; predicted: {CONTEXT / MIB:.0f} MiB")


def on_a_cpu(count: int, batch: int) -> None:
    """What autograd keeps of a forward pass, and all that torch makes in a training on the CPU."""
    print(f"NOT A GPU: predicted / measured, batch {batch}, median (least to most)")
    heads = "kept, float32, CPU", "kept, bfloat16, fake GPU", "peak, float32, CPU"
    print(f"{'':12}    n  " + "  ".join(f"{head:24}" for head in heads))
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for space, architecture in networks(count):
        full, half = (kept_ratio(architecture, batch, bf16) for bf16 in (False, True))
        whole = training_memory(architecture, batch, bf16=False) - CONTEXT
        rows[space].append((full, half, whole / peak(architecture, batch, "cpu")))
    rows["all"] = [ratios for found in rows.values() for ratios in found]
    for space, found in rows.items():
        print(f"{space:12} {len(found):4}  " + "  ".join(f"{spread(each):24}" for each in zip(*found, strict=True)))


def kept_ratio(architecture: Architecture, batch: int, bf16: bool) -> float:
    return kept_memory(architecture, batch, bf16=bf16) / kept_by_autograd(architecture, batch, bf16=bf16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1, help="drawn from each space for each shape of data")
    parser.add_argument("--batch", type=int, help="examples a step; 512 on a GPU, 16 elsewhere")
    options = parser.parse_args()
    if torch.cuda.is_available():
        on_a_gpu(options.candidates, options.batch or 512)
    else:
        on_a_cpu(options.candidates, options.batch or 16)


if __name__ == "__main__":
    main()
