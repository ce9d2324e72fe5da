"""The plain step recorded: what its operators do, without what torch and Python do around them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nas.training.engine.eager import batch, passes
from nas.training.engine.engine import Parts
from nas.training.engine.recording import record


class Recorded:
    """An `Engine` for models made of a text, on a CPU: the very numbers of `Eager`, in less time.

    The first step is recorded. The second one is done both ways, from the same state; where a single bit differs, or
    the model cannot be recorded, all steps are plain ones.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.again: Callable[..., Any] | None = None
        self._state = "new"  # then "recorded", "checked" or "plain": a method of its own would keep the model alive

    def step(self, index: Tensor, rate: float | Tensor) -> Tensor:
        do = {"new": self._first, "recorded": self._second, "checked": self._recorded, "plain": self._plain}
        loss, gradients = do[self._state](*batch(self.parts, index))
        self.parts.optimizer.step(gradients, rate)
        return loss

    def _first(self, x: Tensor, y: Tensor) -> Any:
        found, self.again = record(partial(passes, self.parts), x, y)
        self._state = "recorded" if self.again else "plain"
        return found

    def _second(self, x: Tensor, y: Tensor) -> Any:
        model, before = self.parts.model, _state(self.parts.model)
        plain = passes(self.parts, x, y)
        after = _state(model)
        _rewind(model, before)
        found = self._recorded(x, y)
        if _same([found, _state(model)], [plain, after]):
            self._state = "checked"
        else:
            _rewind(model, after)
            self._state, self.again = "plain", None
        return plain

    def _plain(self, x: Tensor, y: Tensor) -> Any:
        return passes(self.parts, x, y)

    def _recorded(self, x: Tensor, y: Tensor) -> Any:
        assert self.again
        with torch.inference_mode():
            return self.again(x, y)


def _state(model: nn.Module) -> list[Tensor]:
    """What a pass changes beside what it gives: the generator that dropout draws from, and buffers."""
    return [torch.get_rng_state(), *(each.clone() for each in model.buffers())]


def _rewind(model: nn.Module, state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    for each, value in zip(model.buffers(), state[1:], strict=True):
        each.copy_(value)


def _same(one: Any, other: Any) -> bool:
    """Whether tensors in lists are the same to the last bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return one is other or (len(one) == len(other) and all(map(_same, one, other)))
