"""AdamW on flat memory: all that is trained in one buffer, gradients and moments in others like it."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What is kept of every parameter that has had a gradient, beside the number of its steps."""

ALIGNED = 16  # numbers: every parameter begins where a cache line does, as in memory of its own


def put(places: Sequence[Tensor], values: Sequence[Tensor | None]) -> None:
    """Copies values, where there are any, to their places: a GPU all of those that lie alike in memory at once."""
    alike: tuple[list[Tensor], list[Tensor]] = [], []
    for place, value in zip(places, values, strict=True):
        if value is None:
            continue
        if place.stride() == value.stride() and place.is_contiguous():
            alike[0].append(place)
            alike[1].append(value)
        else:  # one of these among the others, and each would be copied by itself
            place.copy_(value)
    if alike[0]:
        torch._foreach_copy_(*alike)


class AdamW:
    """`torch.optim.AdamW(groups, fused=True)`, but one kernel a group in place of one a parameter.

    It takes the memory of the parameters over, which have to be on their device by then. What is not to be trained
    (`requires_grad`) is left alone; a parameter without a gradient is not stepped. `gradients` is the memory of theirs,
    where a step looks for them. Torch's own class is not used, since to make an object of it imports torch's compiler,
    which takes a second and a half of every worker's start.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        """Groups of `params` with one `weight_decay` and one `scale`, their share of the learning rate."""
        found = [(each, group) for group in groups for each in group["params"] if each.requires_grad]
        self.parameters: list[nn.Parameter] = [each for each, _ in found]
        self._groups = [group for _, group in found]
        if len({(each.dtype, each.device) for each in self.parameters}) > 1:
            raise ValueError("parameters of several types or on several devices")
        rooms = [-(-each.numel() // ALIGNED) * ALIGNED for each in self.parameters]
        self._starts = [0, *accumulate(rooms)]
        like = self.parameters[0].detach() if found else torch.zeros(())
        self._buffers = [like.new_zeros(self._starts[-1]) for _ in range(4)]  # values, gradients, both moments
        values, self.gradients, *self._moments = map(self._parts, self._buffers)
        for each, part in zip(self.parameters, values, strict=True):
            each.data = part.copy_(each.detach())
        self._steps = like.new_zeros(len(found), dtype=torch.float32)
        self._arrange([True] * len(found))

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], rate: float | Tensor) -> None:
        """One step of the `parameters` that have a gradient, at their groups' shares of a learning rate.

        A rate that is a tensor is not read back.
        """
        put(self.gradients, gradients)
        self.advance([gradient is not None for gradient in gradients], rate)

    @torch.no_grad()
    def advance(self, used: list[bool], rate: float | Tensor) -> None:
        """One step of those parameters that are `used`, by what lies in `gradients`."""
        if used != self._used:
            self._arrange(used)
        torch._foreach_add_(self._counts, 1)
        for weight_decay, scale, lists in self._calls:
            torch._fused_adamw_(
                *lists,
                lr=rate * scale,
                beta1=0.9,
                beta2=0.999,
                weight_decay=weight_decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )

    @property
    def state(self) -> dict[nn.Parameter, dict[str, Tensor]]:
        """Of every parameter that has been stepped: the number of its steps and both moments, which go on changing."""
        kept = zip(self.parameters, self._steps, *self._moments, self._steps.tolist(), strict=True)
        return {each: {"step": n, MOMENTS[0]: one, MOMENTS[1]: two} for each, n, one, two, stepped in kept if stepped}

    @torch.no_grad()
    def restore(self, state: Mapping[nn.Parameter, Mapping[str, Tensor]]) -> None:
        """Goes on from a state of before; parameters that are not in it have not been stepped."""
        for each, *places in zip(self.parameters, self._steps, *self._moments, strict=True):
            for what, place in zip(("step", *MOMENTS), places, strict=True):
                place.copy_(state[each][what]) if each in state else place.zero_()
        self._arrange([True] * len(self.parameters))

    def _parts(self, buffer: Tensor) -> list[Tensor]:
        """What of a buffer is which parameter's."""
        places = zip(self._starts[:-1], self.parameters, strict=True)
        return [buffer[start:][: each.numel()].view(each.shape) for start, each in places]

    def _arrange(self, used: list[bool]) -> None:
        """Prepares steps of those that are used: neighbours that were used alike so far are one run of memory."""
        self._used = used
        steps = self._steps.tolist()
        kinds = [(group["weight_decay"], group["scale"]) for group in self._groups]
        alike = list(zip(kinds, steps, used, strict=True))
        cuts = [i for i, (one, next) in enumerate(pairwise(alike), start=1) if one != next]
        runs = [run for run in pairwise([0, *cuts, len(used)]) if used and used[run[0]]]
        self._counts = [self._steps[start:stop] for start, stop in runs]
        self._calls: list[tuple[float, float, list[list[Tensor]]]] = []
        for kind in dict.fromkeys(kinds):
            each = [run for run in runs if kinds[run[0]] == kind]
            lists = [[buffer[self._starts[a] : self._starts[b]] for a, b in each] for buffer in self._buffers]
            if each:
                self._calls.append((*kind, [*lists, [], [self._steps[a] for a, _ in each]]))
