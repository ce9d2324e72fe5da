"""Zero-cost proxies: what a network's first weights, and one batch, say of how well it will learn."""

import json
import math
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from einmix import Architecture
from einmix.kinds.activation import FORMS
from nas.training.trainer import build_architecture

PROXIES = ("synflow", "naswot", "jacob_cov", "grad_norm")

ACTIVATIONS = tuple(getattr(nn, name) for name in FORMS.values())
BATCH_NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
NORMS = *BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm


def measure(architecture: Architecture, x: Tensor, y: Tensor, seed: int = 0) -> dict[str, float]:
    """The proxies of the network that a training with this seed begins with, on a batch (`b c *axes`, `b`)."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # all that weights are drawn from, wherever they go then
        model = build_architecture(json.loads(architecture.to_json()))
    return proxies(model.to(x.device), x, y)


def proxies(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """The figures of a model as it starts, the larger supposedly the better: those of PROXIES that are finite.

    The batch is `x` (`b c *axes`) with labels `y` (`b`). Nothing is dropped, and batch norms go by the batch, but in
    synflow. The model stays as it is.

    - synflow: the logarithm of the sum of θ·∂R/∂θ over parameters, R the sum of outputs for one input of ones, where
      all weights are their absolute values; none where the sum is not positive. Tanaka et al., 2020
      (arXiv:2006.05467). Norms are left out: after a layer norm the sum has either sign, by the draw of weights.
    - naswot: log |det K|, where K counts, for every two examples, the units of all activations whose inputs are
      positive for both or for neither; none without activations. Mellor et al., 2021 (arXiv:2006.04647v3).
    - jacob_cov: -Σ (log(v + k) + 1/(v + k)), k = 1e-5, v the eigenvalues of the correlations (`b b`) between the
      gradients of the sum of outputs by single examples. Mellor et al., 2020 (arXiv:2006.04647v1).
    - grad_norm: the Euclidean norm of the gradient of the mean cross-entropy (nats) by all parameters.
      Abdelfattah et al., 2021 (arXiv:2101.08134).

    >>> sorted(proxies(nn.Linear(3, 2), torch.rand(4, 3), torch.tensor([0, 1, 0, 1])))
    ['grad_norm', 'jacob_cov', 'synflow']
    """
    copy, inputs = _by_the_batch(deepcopy(model)), x.detach().requires_grad_()
    weights = [parameter for parameter in copy.parameters() if parameter.requires_grad]
    counts = _counted(copy)
    with torch.enable_grad():
        logits = copy(inputs)
        (slopes,) = torch.autograd.grad(logits.sum(), inputs, retain_graph=True)
        loss = F.cross_entropy(logits, y)
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    figures = {
        "synflow": _synflow(deepcopy(model), x),
        "naswot": _naswot(counts),
        "jacob_cov": _jacob_cov(slopes),
        "grad_norm": torch.stack([each.norm() for each in gradients]).norm().item(),
    }
    return {name: figures[name] for name in PROXIES if math.isfinite(figures[name])}


def _by_the_batch(model: nn.Module) -> nn.Module:
    """Nothing is dropped at random, while a batch norm takes the batch's mean and variance, as in training."""
    model.eval()
    for module in model.modules():
        if isinstance(module, BATCH_NORMS):
            module.train()
    return model


def _counted(model: nn.Module) -> list[Tensor]:
    """Where every use of an activation puts its pairwise counts (`b b`): of units whose inputs have the same sign."""
    counts: list[Tensor] = []

    def count(module: nn.Module, given: tuple[Tensor]) -> None:
        signs = torch.where(given[0].detach().flatten(1) > 0, 1.0, -1.0)
        counts.append((signs @ signs.T + signs.shape[1]) / 2)

    for each in model.modules():
        if isinstance(each, ACTIVATIONS):
            each.register_forward_pre_hook(count)
    return counts


def _naswot(counts: list[Tensor]) -> float:
    if not counts:
        return math.nan
    kernel = torch.stack(counts).cpu().double().sum(0)
    return torch.linalg.slogdet(kernel).logabsdet.item()


def _jacob_cov(slopes: Tensor) -> float:
    """Of the gradients by single examples (`b ...`)."""
    size = len(slopes)
    correlations = torch.corrcoef(slopes.flatten(1).cpu().double()).reshape(size, size)
    if not correlations.isfinite().all():
        return math.nan
    shifted = torch.linalg.eigvalsh(correlations) + 1e-5
    return -(shifted.log() + 1 / shifted).sum().item()


def _synflow(model: nn.Module, x: Tensor) -> float:
    """Of a model that is changed, in double precision on the CPU, for an input of the shape of one of `x`."""
    model.to("cpu", torch.float64).eval()
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NORMS):
                setattr(module, name, nn.Identity())
    for value in model.state_dict().values():  # frozen weights are buffers
        value.abs_()
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        out = model(torch.ones(1, *x.shape[1:], dtype=torch.float64)).sum()
        gradients = torch.autograd.grad(out, weights, materialize_grads=True)
    flow = sum((weight.detach() * each).sum().item() for weight, each in zip(weights, gradients, strict=True))
    return math.log(flow) if flow > 0 else math.nan
