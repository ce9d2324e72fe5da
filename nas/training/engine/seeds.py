"""The step of several trainings of one architecture, which differ in seed or rate alone, as one model."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from nas.training.engine.eager import autocast, smoothed
from nas.training.engine.engine import Parts
from nas.training.engine.examples import augment
from nas.training.engine.optimizer import put


class Seeds:
    """An `Engine` of replicas: its index is `r b`, its losses are `r`, its rate is that of a scale of 1.

    The `parts` of a replica are its own, but for one optimiser, which has the parameters of all replicas, each at equal
    distances from one to the next (a GPU has less to do where they lie side by side). What a replica computes hangs on
    no other's figures: it is a training by itself, to rounding. Models that draw random numbers are refused
    (RuntimeError), for each would have to draw its own.
    """

    def __init__(self, parts: Sequence[Parts]) -> None:
        self.parts, self._model, self._optimizer = parts, parts[0].model, parts[0].optimizer
        self._trained, self._kept = {}, {}
        models = [dict(each.model.named_parameters()) for each in parts]
        for name, parameter in models[0].items():
            same = [model[name] for model in models]
            if parameter.requires_grad:
                self._trained[name] = _stacked(same).requires_grad_()
            else:
                self._kept[name] = torch.stack([each.detach() for each in same])
        for name, _ in self._model.named_buffers():
            self._kept[name] = torch.stack([each.model.get_buffer(name) for each in parts])
            for each, own in zip(parts, self._kept[name], strict=True):
                path, _, last = name.rpartition(".")
                setattr(each.model.get_submodule(path), last, own)  # in the memory of all
        names = {parameter: name for model in models for name, parameter in model.items()}
        self._names = [names[parameter] for parameter in self._optimizer.parameters]
        memory = dict(zip(self._optimizer.parameters, self._optimizer.gradients, strict=True))
        self._places = [_stacked([memory[model[name]] for model in models]) for name in self._trained]

    def step(self, index: Tensor, rate: float | Tensor) -> Tensor:
        x, y = self._batch(index)
        with autocast(self.parts[0].examples):
            losses = vmap(self._loss)(self._trained, self._kept, x, y)
        found = torch.autograd.grad(losses.sum(), list(self._trained.values()), allow_unused=True)
        put(self._places, found)
        used = {name: each is not None for name, each in zip(self._trained, found, strict=True)}
        self._optimizer.advance([used[name] for name in self._names], rate)
        return losses.detach()

    def _batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The examples of all replicas, `r b …`, each moved about as its own generator draws."""
        x, y = self.parts[0].examples.batch(index.flatten())
        x, how = x.unflatten(0, index.shape), self.parts[0].augment
        if how != "none":
            x = torch.stack([augment(own, how, each.generator) for own, each in zip(x, self.parts, strict=True)])
        return x, y.view(index.shape)

    def _loss(self, trained: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits = functional_call(self._model, trained | kept, x)
        return smoothed(logits, y, self.parts[0].label_smoothing)


def _stacked(same: Sequence[Tensor]) -> Tensor:
    """A parameter of all replicas, or its gradient, in the memory that they have, at equal distances."""
    first = same[0].detach()
    starts = [each.storage_offset() for each in same]
    stride = starts[1] - starts[0] if len(starts) > 1 else 0
    where = {each.untyped_storage().data_ptr() for each in same}
    if len(where) > 1 or starts != [starts[0] + at * stride for at in range(len(starts))]:
        raise ValueError("parameters of replicas lie in different memory, or at different distances")
    return first.as_strided((len(same), *first.shape), (stride, *first.stride()))
