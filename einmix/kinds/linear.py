"""Linear: all channels to others, at every position alike."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from math import prod
from typing import Self

from einmix.algebra.mixer import Mixer
from einmix.algebra.reach import Reach
from einmix.errors import PatternError
from einmix.nodes.calls import Call
from einmix.nodes.node import Cost, Leaf, Sizes, Step
from einmix.nodes.starts import STARTS, Start, started


@dataclass(frozen=True)
class Linear(Leaf):
    """All channels to `out` channels, alike at every position: `nn.Linear`, with its initialisation or from `start`."""

    kind = "linear"
    usage = "linear OUT"
    helpers = STARTS
    plain = True
    out: int
    _: KW_ONLY
    bias: bool = True
    start: Start = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start == "gate":
            raise PatternError("a linear layer does not start as a gate", hint="a mixer over positions does")

    def touched(self, before: Sizes) -> frozenset[str]:
        return frozenset("c")

    def through(self, sizes: Sizes) -> Sizes:
        return sizes | {"c": self.out}

    def cost(self, sizes: Sizes) -> Cost:
        return (sizes["c"] + self.bias) * self.out, prod(sizes.values()) * self.out

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        return sizes["c"], *(1,) * self.bias

    def as_mixer(self, before: Sizes) -> Mixer:
        terms = [f"{name}=" + (f"m{size}:{self.out}" if name == "c" else f"s{size}") for name, size in before.items()]
        return Mixer.parse(" ".join(terms) + " +b" * self.bias)

    def reach(self, step: Step) -> Reach:
        return self.as_mixer(step.before).reach()

    def emit(self, step: Step) -> list[Call]:
        call = Call("nn.Linear", (step.size("c"), step.given(self.out)), (("bias", False),) if not self.bias else ())
        return [started(call, self.start) if self.start else call]

    def resized(self, channels: Callable[[int], int]) -> Self:
        return replace(self, out=channels(self.out))

    @property
    def width(self) -> int:
        return self.out
