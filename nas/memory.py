"""How much memory of a GPU the training of a candidate takes, predicted from its sizes alone.

A network is gone through as torch would, with sizes instead of values: a rule for every kind of node says what it makes
and what of it stays for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

from einmix import (
    Activation,
    Architecture,
    Concat,
    Conv,
    Drop,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Mixer,
    Norm,
    Residual,
    Reweight,
    Shift,
    Shuffle,
    Split,
    Sum,
    Unfold,
    Wrap,
)
from einmix.nodes import Step
from nas.errors import NasError

if TYPE_CHECKING:
    from nas.data import Dataset
    from search_spaces import Budget, SearchSpace

CONTEXT = 512 * 2**20
"""Bytes of the CUDA context and of its libraries' workspaces: an estimate that no GPU has confirmed."""

A_PARAMETER = 16
"""Bytes a parameter: itself, its gradient and AdamW's two moments, in float32."""

EVALUATED = 4
"""Batches that are evaluated at once on a GPU: `nas.training.EVALUATION`, without the import of torch."""

SAMPLES = 64
"""So many candidates stand for all of a search."""


def training_memory(architecture: Architecture, batch: int, *, examples_bytes: int = 0, bf16: bool = True) -> int:
    """Bytes that `nas.training` takes of a GPU at its peak, where a step trains on `batch` examples.

    That is the CUDA context, `examples_bytes` of data on the device, parameters with their gradients and moments, and
    the larger of two: what a training step keeps, with the gradients at its largest layer, or the widest place of an
    evaluation, its input included. With `bf16`, matrix products are bfloat16, as on every GPU that computes in it. What
    the allocator loses between its blocks is not in it, but in the margin of `gpu_fraction`.

    >>> digits = Architecture.from_json('{"inputs": {"h": 8, "w": 8, "c": 1}, "classes": 10, "stages": '
    ...     '[{"embed": "h=s4.m2:1 w=s4.m2:1 c=m1:32 +b", "blocks": [[["norm", "linear 32"]]]}]}')
    >>> training_memory(digits, 64) // 2**20, training_memory(digits, 8192) // 2**20
    (513, 680)

    Raises: NasError for a batch of less than one.
    """
    _at_least_one("the batch", batch)
    run = _Pass.over(architecture, bf16)
    # float32: as they are and augmented, or while they are normalised
    images = 2 * 4 * prod(size for _, size in architecture.inputs)
    loss = 3 * 4 * architecture.classes  # logits, their logarithmic softmax and its gradient
    training = run.once + batch * (images + run.kept_bytes + loss + run.layer)
    evaluation = run.once + EVALUATED * batch * max(run.live, images)
    return CONTEXT + examples_bytes + A_PARAMETER * architecture.params + run.fixed + max(training, evaluation)


def kept_memory(architecture: Architecture, batch: int, *, bf16: bool = True) -> int:
    """Bytes that autograd keeps of a forward pass over `batch` examples, parameters and fixed weights left out."""
    _at_least_one("the batch", batch)
    run = _Pass.over(architecture, bf16)
    return run.once + batch * run.kept_bytes


def largest(space: SearchSpace, budget: Budget | None, *, batch: int, seed: int = 0, bf16: bool = True) -> int:
    """Bytes for the hungriest candidate of a search, without its data: one kind of worker then suits them all.

    The most of SAMPLES networks drawn within the budget (by the space's weights and uniformly: a strategy gets to
    networks that either draw misses) and of the references at the middle sizes.

    Raises: NasError for a batch of less than one, SpaceError where next to nothing is within the budget.
    """
    rng = Random(seed)
    ways = (True, False) if space.space.weights else (False,)
    drawn = [space.sample(rng, budget, weighted=weighted) for weighted in ways for _ in range(SAMPLES)]
    networks = [*drawn, *space.references(space.middle).values()]
    return max(training_memory(network, batch, bf16=bf16) for network in networks)


def examples_memory(dataset: Dataset) -> int:
    """Bytes of a data set on a device: its three parts as they are stored, with their labels."""
    return sum(part.x.nbytes + part.y.nbytes for part in (dataset.train, dataset.validation, dataset.test))


def gpu_fraction(bytes_needed: int, gpu_bytes: int, *, margin: float = 1.25, most: int = 8) -> float:
    """The share of a GPU that one training asks for: 1/k, where k trainings fit and k is at most `most`.

    One that is predicted not to fit asks for the whole GPU: the prediction may be wrong, and training it says so.

    >>> gib = 2**30
    >>> gpu_fraction(2 * gib, 24 * gib), gpu_fraction(7 * gib, 24 * gib), gpu_fraction(30 * gib, 24 * gib)
    (0.125, 0.5, 1.0)

    Raises: NasError where bytes or `most` are less than one, or the margin is.
    """
    _at_least_one("the memory needed", bytes_needed)
    _at_least_one("the memory of a GPU", gpu_bytes)
    _at_least_one("the margin", margin)
    _at_least_one("the most trainings on a GPU", most)
    return 1 / min(most, max(1, int(gpu_bytes / (margin * bytes_needed))))


def _at_least_one(name: str, value: float) -> None:
    if not value >= 1:
        raise NasError(f"{name} is {value}; expected at least 1")


@dataclass(frozen=True, eq=False)
class _Tensor:
    """Memory for so many values an example, of `width` bytes each; views of one tensor are that tensor."""

    values: int
    width: int

    @property
    def bytes(self) -> int:
        return self.values * self.width


class _Pass:
    """One forward pass; matrix products are in values of `low` bytes.

    Bytes an example: what is kept for the backward pass, `live` at the widest place where nothing is kept, `layer` in
    and around the largest layer. Bytes whatever the batch: `once` for what every pass makes of the weights, `fixed` for
    what lies beside the parameters.
    """

    def __init__(self, low: int):
        self.low = low
        self.live = self.layer = self.once = self.fixed = 0
        self._kept: set[_Tensor] = set()
        self._held: tuple[_Tensor, ...] = ()

    @classmethod
    def over(cls, architecture: Architecture, bf16: bool) -> _Pass:
        """The pass over a whole network, whose input is float32."""
        run = cls(2 if bf16 else 4)
        x = image = _Tensor(prod(size for _, size in architecture.inputs), 4)
        for part in architecture.parts:
            x = run.through(part.steps, x, image)
        run.keep(_Tensor(architecture.parts[-1].after["c"], run.low))  # the mean, which the classifier takes
        return run

    @property
    def kept_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self._kept)

    def keep(self, *tensors: _Tensor) -> None:
        """These stay for the backward pass."""
        self._kept.update(tensors)

    def use(self, *tensors: _Tensor) -> None:
        """These are alive at once, beside what is held for later."""
        self.live = max(self.live, sum(tensor.bytes for tensor in {*self._held, *tensors}))
        self.layer = max(self.layer, sum(tensor.bytes for tensor in tensors))

    def through(self, steps: Iterable[Step], x: _Tensor, *held: _Tensor) -> _Tensor:
        """What a sequence makes of `x`, while some tensors are held."""
        before, self._held = self._held, (*self._held, *held)
        for step in steps:
            y = RULES[type(step.node)](self, step, x)
            self.use(x, y)
            x = y
        self._held = before
        return x

    def operand(self, step: Step, x: _Tensor, *, copied: bool = False) -> _Tensor:
        """What a matrix product takes: `x`, or another tensor where that is cast or copied."""
        return _before(step, self.low) if copied or x.width != self.low else x

    def cast(self, weights: int) -> None:
        """So many weights enter a matrix product, and their casts are kept."""
        self.once += 0 if self.low == 4 else self.low * weights


def _before(step: Step, width: int) -> _Tensor:
    return _Tensor(prod(step.before.values()), width)


def _after(step: Step, width: int) -> _Tensor:
    return _Tensor(prod(step.after.values()), width)


def _mix(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    node: Any = step.node
    weights = _weights(node.mixer)
    run.cast(weights)
    if node.weights in ("circulant", "toeplitz"):  # a matrix of the few numbers, by an index (int64)
        run.once += 4 * weights
        run.fixed += 8 * prod(n * n for n in node.lengths)
    elif node.weights:
        run.fixed += 4 * weights
    operand = run.operand(step, x, copied=bool(node.mixer.mixed) and _is_copied(node.mixer))
    if node.weights in ("", "circulant", "toeplitz"):  # weights that are not trained need no input
        run.keep(operand)
    product = _after(step, run.low)
    y = _after(step, run.low if node.mixer.mixed or not node.mixer.bias else 4)  # einops adds a bias in float32
    run.use(x, operand, product, y)
    return y


def _weights(mixer: Mixer) -> int:
    """The entries of the weight, tied or not."""
    factors = [factor for _, axis in mixer.axes for factor in axis]
    return prod(f.size * (f.out if f.role == "m" else 1) for f in factors if f.role != "s")


def _is_copied(mixer: Mixer) -> bool:
    """Whether FastMix copies its input: factors of one role (the batch is shared) do not stand side by side."""
    roles = "s" + "".join(factor.role for _, axis in mixer.axes for factor in axis if factor.size > 1)
    return len(list(groupby(roles))) > len(set(roles))


def _linear(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    operand = run.operand(step, x)
    run.keep(operand)
    run.cast(step.cost[0])
    y = _after(step, run.low)
    run.use(x, operand, y)
    return y


def _norm(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    node: Any = step.node
    if node.form == "batch":
        run.keep(x)
        return _after(step, x.width)
    operand = _before(step, 4) if x.width < 4 or node.form == "group" else x  # the second wants its channels first
    moments = 2 * (operand.values // step.before["c"] if node.form == "layer" else 1)
    run.keep(operand, _Tensor(moments, 4))
    y = _after(step, 4)
    run.use(x, operand, y)
    return y


def _activation(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    node: Any = step.node
    y = _after(step, x.width)
    run.keep(y if node.form in ("relu", "tanh") else x)
    return y


def _drop(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    node: Any = step.node
    if node.form == "dropout":
        run.keep(_before(step, 1))
    return _after(step, x.width)


def _moved(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    y = _after(step, x.width)
    run.use(x, y, _after(step, x.width))
    return y


def _dynamic(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    node: Any = step.node
    run.cast(step.cost[0])
    n, c = step.before[node.axis], step.before["c"]
    matrices = prod(step.before.values()) // (n * c) * node.segments
    read, softmax = _Tensor(matrices * n * node.reduced, run.low), _Tensor(matrices * n * n, 4)
    matrix = softmax if run.low == 4 else _Tensor(softmax.values, run.low)
    innermost = list(step.before)[-2] == node.axis
    operands = run.operand(step, x, copied=not innermost), _before(step, run.low), read, softmax, matrix
    run.keep(*operands)
    y = _after(step, run.low)
    run.use(x, *operands, y)
    return y


def _residual(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    y = run.through(step.branches[0], x, x)
    total = _after(step, max(x.width, y.width))
    run.use(x, y, total)
    return total


def _gate(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    y = run.through(step.branches[0], x, x)
    run.keep(x, y)
    product = _after(step, max(x.width, y.width))
    run.use(x, y, product)
    return product


def _branches(run: _Pass, step: Step, x: _Tensor) -> _Tensor:
    ys: list[_Tensor] = []
    for branch in step.branches:
        ys.append(run.through(branch, x, x, *ys))
    width = max(y.width for y in ys)
    made = list(ys)
    if isinstance(step.node, Reweight):
        run.keep(*ys, _Tensor(len(ys) * step.after["c"], 4))
        run.cast(step.node.cost(step.after)[0])
        width = 4  # the weights are those of a softmax, in float32
        made += [_after(step, width) for _ in ys]
    if isinstance(step.node, (Sum, Reweight)):
        made += [_after(step, width) for _ in ys]  # stacked
        width = 4  # a sum is float32
    joined = _after(step, width)
    run.use(x, *made, joined)
    return joined


RULES: dict[type, Callable[[_Pass, Step, _Tensor], _Tensor]] = {
    Mix: _mix,
    Linear: _linear,
    Conv: _linear,
    Norm: _norm,
    Activation: _activation,
    Drop: _drop,
    Dynamic: _dynamic,
    **dict.fromkeys((Shift, Shuffle, Unfold, Wrap), _moved),
    Residual: _residual,
    Gate: _gate,
    **dict.fromkeys((Sum, Reweight, Concat, Split), _branches),
}
"""What every kind of node makes and keeps, from its input."""
