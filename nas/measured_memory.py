"""How much memory trainings take as it is measured, to check what `nas.memory` predicts."""

from __future__ import annotations

import contextlib
import gc
import json
import weakref
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from einmix import Architecture
from nas.recipe import Recipe
from nas.training import EVALUATION, Part, build_architecture, evaluate, fit
from nas.trial import Job

STEPS = 4
"""So many steps are trained for a measurement."""


def kept_by_autograd(architecture: Architecture, batch: int, *, bf16: bool = True) -> int:
    """Bytes of all storages that one forward pass saves for the backward pass, parameters and fixed weights left out.

    In float32 it is computed on the CPU. With `bf16` it is what a GPU would keep under autocast, without a GPU:
    tensors are torch's fake ones, which have shapes, types and storages, and no values.
    """
    *axes, (_, channels) = architecture.inputs
    with _fake_gpu() if bf16 else contextlib.nullcontext():
        network = build_architecture(json.loads(architecture.to_json()))
        return _saved(network, torch.zeros(batch, channels, *(size for _, size in axes)))


def _saved(network: torch.nn.Module, x: Tensor) -> int:
    storages: dict[int, UntypedStorage] = {}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage  # held, so that no other storage gets its address
        return tensor

    with saved_tensors_hooks(save, lambda tensor: tensor):
        network(x)
    for own in chain(network.parameters(), network.buffers()):
        storages.pop(own.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in storages.values())


@contextlib.contextmanager
def _fake_gpu() -> Iterator[None]:
    """Everything is made of fake tensors on a GPU that need not be there, under autocast to bfloat16."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cuda", True)  # `torch.autocast` refuses where there is none
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        try:
            yield
        finally:
            torch.set_autocast_enabled("cuda", before[0])
            torch.set_autocast_dtype("cuda", before[1])
            torch.clear_autocast_cache()


def peak(architecture: Architecture, batch: int, device: str = "cuda") -> int:
    """Bytes at the peak of a few steps of `nas.training.fit` on noise and of an evaluation, without the data's own.

    On a CUDA device it is what torch's allocator gave beyond what it had given before, so that libraries' workspaces
    are left out once a first call has made them; `torch.cuda.max_memory_reserved` is of the same training. On the CPU,
    which computes in float32, it is the storages of all tensors that operations make, counted.
    """
    network = build_architecture(json.loads(architecture.to_json()))
    data = _noise(architecture, STEPS * batch, device)
    if device == "cpu":
        with _Counting(known=[data.x, data.y, data.mean]) as counting:
            counting.count([*network.parameters(), *network.buffers()])
            _train(network, batch, data)
        return counting.peak
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _train(network, batch, data)
    return torch.cuda.max_memory_allocated() - before


def _train(network: torch.nn.Module, batch: int, data: Part) -> None:
    job = Job({}, "", lr=1e-3, seed=0, epochs=1)
    fit(lambda: network, (data, data), Recipe(batch=batch), job=job, report=lambda _: True)
    evaluate(network, data, epoch=1, batch=EVALUATION * batch)  # as many as a GPU takes


def _noise(architecture: Architecture, count: int, device: str) -> Part:
    *axes, (_, channels) = architecture.inputs
    shape = count, channels, *(size for _, size in axes)
    x = torch.randint(256, shape, dtype=torch.uint8, device=device)
    y = torch.randint(architecture.classes, (count,), device=device)
    moments = torch.full((channels, *[1] * len(axes)), 127.0, device=device)
    return Part(x, y, moments, moments)


class _Counting(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, until they are gone, without those that are known."""

    def __init__(self, known: Iterable[Tensor]):
        super().__init__()
        self.now = self.peak = 0
        self._alive = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.count(each for each in tree_leaves(result) if isinstance(each, Tensor))
        return result

    def count(self, tensors: Iterable[Tensor]) -> None:
        """Adds the storages of these, each once."""
        for storage in (tensor.untyped_storage() for tensor in tensors):
            if storage._cdata not in self._alive:
                self._alive.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.now)

    def _gone(self, address: int, nbytes: int) -> None:
        self._alive.discard(address)
        self.now -= nbytes
