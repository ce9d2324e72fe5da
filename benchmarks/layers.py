"""FastMix against einops' EinMix: forward and backward of one residual mixer, CPU time, interleaved.

python benchmarks/layers.py
"""

from __future__ import annotations

import time
from statistics import median

import torch
from einops.layers.torch import EinMix
from torch import nn

from einmix import Mixer
from einmix.layers import FastMix

ROUNDS, STEPS, BATCH = 9, 20, 64

MIXERS = (
    "h=m8 w=m8 c=s32",
    "h=m8 w=m8 c=g4.s8",
    "h=m8 w=m8 c=g32",
    "h=s4.m2 w=s4.m2 c=s32",
    "h=s4.m2 w=s4.m2 c=g4.s8",
    "h=s4.m2 w=s4.m2 c=g32",
    "h=m4.s2 w=m4.s2 c=s32",
    "h=m4.s2 w=m4.s2 c=g32",
    "h=m2.s4 w=m8 c=g4.s8",
    "h=m8 w=s8 c=s8.m4",
    "h=s8 w=s8 c=g32",
    "h=m14 w=m14 c=s32",
    "h=m2.s7 w=m7.s2 c=g8.s8",
)


def seconds(layer: nn.Module, x: torch.Tensor, slope: torch.Tensor) -> float:
    """CPU seconds of one step of `x + layer(x)`."""
    start = time.process_time()
    for _ in range(STEPS):
        x.grad = None
        (x + layer(x)).backward(slope)
    return (time.process_time() - start) / STEPS


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'mixer':28} EinMix, ms  FastMix, ms  ratio: median (min to max), n={ROUNDS}")
    for text in MIXERS:
        call = Mixer.parse(f"{text} +b").einmix()
        layers = EinMix(**call), FastMix(**call)
        x = torch.randn(BATCH, *Mixer.parse(text).inputs.values(), requires_grad=True)
        slope = torch.randn_like(x)
        rounds = [[seconds(layer, x, slope) for layer in layers] for _ in range(ROUNDS + 1)][1:]
        ratios = sorted(slow / fast for slow, fast in rounds)
        slow, fast = (1e3 * median(times) for times in zip(*rounds, strict=True))
        print(f"{text:28} {slow:10.2f}  {fast:11.2f}  {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
