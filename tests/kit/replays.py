"""A stand-in for CUDA graphs on a CPU: operators are recorded with their tensors, and done again on the same memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKS = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
}
"""Operators that wait for the device, which no graph can hold."""


class Recording(TorchDispatchMode):
    """Keeps the operators that are called, and what the tensors held that were there before."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.made: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in ASKS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        for tensor in tensors((args, kwargs)):
            at = tensor.untyped_storage().data_ptr()
            if at not in self.made and at not in self.before:
                whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
                self.before[at] = whole, whole.clone()
        out = func(*args, **kwargs)
        self.made |= {each.untyped_storage().data_ptr(): each for each in tensors(out)}
        self.calls.append((func, args, kwargs, out))
        return out


class Replays:
    """A `Recorder`; with `fails` recording ends in that error, in the midst of the work."""

    def __init__(self, device: torch.device | None = None, fails: str = "") -> None:
        self.fails, self.asides, self.recorded, self.played = fails, 0, 0, 0

    def aside(self) -> contextlib.AbstractContextManager[None]:
        self.asides += 1
        return contextlib.nullcontext()

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        states = [(each, each.get_state()) for each in (*generators, torch.default_generator)]
        mode = Recording()
        try:
            with mode:
                work()
                if self.fails:
                    raise RuntimeError(self.fails)
        finally:  # nothing of it was done
            for whole, held in mode.before.values():
                whole.copy_(held)
            for generator, state in states:
                generator.set_state(state)
        self.recorded += 1
        drawn = {each.initial_seed() for _, _, kwargs, _ in mode.calls if (each := kwargs.get("generator")) is not None}
        assert drawn <= {each.initial_seed() for each in generators}, "a generator that the graph does not know"

        def play() -> None:
            self.played += 1
            for func, args, kwargs, out in mode.calls:
                for held, found in zip(tensors(out), tensors(func(*args, **kwargs)), strict=True):
                    if held.data_ptr() != found.data_ptr():
                        held.copy_(found)

        return torch.no_grad()(play)


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
