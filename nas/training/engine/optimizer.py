"""AdamW, without what a search has no use for."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What is kept of every parameter that has had a gradient, beside the number of its steps."""


class AdamW:
    """`torch.optim.AdamW(groups, fused=True)`, bit by bit: its function without its class.

    To make an object of that class imports torch's compiler, which takes a second and a half of every worker's start.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        """Groups of `params` with one `weight_decay` and one `scale`, their share of the learning rate."""
        self.param_groups = groups
        self.state: dict[nn.Parameter, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of every parameter that has a gradient, at its group's share of a learning rate."""
        for group in self.param_groups:
            used = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self._state(parameter) for parameter in used]
            gradients = [parameter.grad for parameter in used if parameter.grad is not None]
            first, second = ([state[what] for state in states] for what in MOMENTS)
            adamw(
                used,
                gradients,
                first,
                second,
                max_exp_avg_sqs=[],
                state_steps=[state["step"] for state in states],
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate * group["scale"],
                weight_decay=group["weight_decay"],
                eps=1e-8,
                maximize=False,
            )

    def _state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        if parameter not in self.state:
            first = {"step": torch.zeros((), device=parameter.device)}
            self.state[parameter] = first | {what: torch.zeros_like(parameter) for what in MOMENTS}
        return self.state[parameter]
