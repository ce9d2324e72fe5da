"""Windows that go over positions, as convolutions and unfolding have them."""

from einmix.algebra.factors import written
from einmix.algebra.reach import Inputs
from einmix.errors import PatternError
from einmix.nodes.node import Leaf, Sizes, Step


class Windowed(Leaf):
    """A layer of cubes of `kernel` positions, `stride` apart, over a grid with `pad` zeros around."""

    kernel: int
    stride: int
    pad: int

    def through(self, sizes: Sizes) -> Sizes:
        kernel, around = self.kernel, 2 * self.pad
        after = {axis: n if axis == "c" else (n + around - kernel) // self.stride + 1 for axis, n in sizes.items()}
        if any(n < 1 or sizes[axis] + around < kernel for axis, n in after.items() if axis != "c"):
            raise PatternError(f"windows of {kernel} do not fit {written(sizes)} with {self.pad} around")
        return after

    def touched(self, before: Sizes) -> frozenset[str]:
        """The axes along which a window sees more than one position."""
        return frozenset(axis for axis, n in before.items() if axis != "c" and n > 1 and self.kernel > 1)

    def seen(self, step: Step) -> dict[str, Inputs]:
        """The positions that every window sees, by axis."""
        grid = {axis: n for axis, n in step.before.items() if axis != "c"}
        return {axis: [self._seen(k, n) for k in range(step.after[axis])] for axis, n in grid.items()}

    def _seen(self, number: int, n: int) -> range:
        start = number * self.stride - self.pad
        return range(max(start, 0), max(min(start + self.kernel, n), 0))
