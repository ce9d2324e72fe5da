"""FastMix against einops' EinMix: forward and backward of one residual mixer, CPU time, interleaved, one thread.

python benchmarks/layers.py [--quick]

A layer that changes its input's shape, such as a patch embedding, stands without the residual. Inputs lie in
memory as `b h w c` says, and each is used once a round, so that they come from no cache.
"""

from __future__ import annotations

import argparse
import time
from math import exp, log
from statistics import median

import torch
from einops.layers.torch import EinMix
from torch import nn

from einmix import Mixer
from einmix.layers import FastMix

BATCH, INPUTS = 64, 6

MIXERS = {
    "grouped": ("h=m8 w=m8 c=s32", "h=m8 w=m8 c=g4.s8", "h=m8 w=m8 c=g16.s2", "h=m14 w=m14 c=s32"),
    "local": ("h=s4.m2 w=s4.m2 c=s32", "h=s4.m2 w=s4.m2 c=g4.s8", "h=s4.m2 w=s4.m2 c=g32", "h=s2.m4 w=s8 c=g8.s4"),
    "subgrid": ("h=m4.s2 w=m4.s2 c=s32", "h=m2.s4 w=m8 c=g4.s8", "h=m2.s7 w=m7.s2 c=g8.s8", "h=s8 w=m2.s4 c=g2.s16"),
    "per channel": ("h=m8 w=m8 c=g32", "h=m4.s2 w=m4.s2 c=g32", "h=m2.s4 w=s8 c=g32", "h=s8 w=s8 c=g32"),
    "roles": ("h=s8 w=s8 c=g4.m8", "h=s8 w=s8 c=g16.m2", "h=g8 w=m8 c=s32"),
    "sequences": ("t=m40 c=s64", "t=m8.s5 c=g8.s8", "t=s20.m2 c=g64"),
    "volumes": ("d=m4 h=m4 w=m4 c=s32", "d=s2.m2 h=s2.m2 w=s2.m2 c=g32"),
    "lengths": ("h=s4.m2:1 w=s4.m2:1 c=m8:32", "h=m8:16 w=s8 c=s32", "h=m8:4 w=m8:4 c=g32"),
    "zoo": ("h=m8 w=s8 c=s8.m4", "h=s8 w=m8 c=s32", "h=m8 w=s8 c=s32", "h=s8 w=s8 c=m32:64"),
}
"""By family; those of the zoo are of Vision Permutator, RaftMLP, sMLPNet and any MLP."""


def seconds(layer: nn.Module, inputs: list[torch.Tensor], slope: torch.Tensor) -> float:
    """CPU seconds of a step, the mean over the inputs."""
    weights = list(layer.parameters())
    start = time.process_time()
    for x in inputs:
        y = layer(x)
        torch.autograd.grad(x + y if y.shape == x.shape else y, [x, *weights], slope)
    return (time.process_time() - start) / len(inputs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a third of the rounds")
    rounds = 5 if parser.parse_args().quick else 15
    torch.set_num_threads(1)
    print(f"{'mixer':32} EinMix, ms  FastMix, ms  ratio: median (min to max), n={rounds}")
    found = {}
    for text in (text for family in MIXERS.values() for text in family):
        call = Mixer.parse(f"{text} +b").einmix()
        layers = EinMix(**call), FastMix(**call)
        shape = BATCH, *Mixer.parse(text).inputs.values()
        inputs = [torch.randn(shape, requires_grad=True) for _ in range(INPUTS)]
        slope = torch.randn_like(layers[0](inputs[0]))
        turns = [[seconds(layer, inputs, slope) for layer in layers] for _ in range(rounds + 1)][1:]
        ratios = sorted(slow / fast for slow, fast in turns)
        slow, fast = (1e3 * median(times) for times in zip(*turns, strict=True))
        found[text] = median(ratios)
        print(
            f"{text:32} {slow:10.2f}  {fast:11.2f}  {found[text]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True
        )
    mean = exp(sum(map(log, found.values())) / len(found))
    worst = min(found, key=lambda text: found[text])
    print(f"{len(found)} layers: geometric mean {mean:.2f}, worst {found[worst]:.2f} ({worst})")


if __name__ == "__main__":
    main()
