"""The small layers and functions that a written module brings along where it uses them."""

from __future__ import annotations

RESIDUAL = '''
class Residual(nn.Module):
    """x + f(x)"""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.f(x)
'''

SUM = '''
class Sum(nn.ModuleList):
    """f(x) + g(x) + ..."""

    def forward(self, x):
        return torch.stack([f(x) for f in self]).sum(0)
'''

REWEIGHT = '''
class Reweight(nn.Module):
    """The sum of branches, each weighted by channel: a softmax over the branches of an MLP of their pooled sum."""

    def __init__(self, c: int, hidden: int, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.weigh = nn.Sequential(nn.Linear(c, hidden), nn.GELU(), nn.Linear(hidden, c * len(branches)))

    def forward(self, x):
        ys = [f(x) for f in self.branches]
        pooled = torch.stack([y.flatten(1, -2).mean(1) for y in ys]).sum(0)
        weights = self.weigh(pooled).reshape([len(x)] + [1] * (x.ndim - 2) + [-1, len(ys)]).softmax(-1)
        return torch.stack([y * w for y, w in zip(ys, weights.unbind(-1))]).sum(0)
'''

CONCAT = '''
class Concat(nn.ModuleList):
    """The channels of f(x), g(x), ... one after the other."""

    def forward(self, x):
        return torch.cat([f(x) for f in self], -1)
'''

SPLIT = '''
class Split(nn.ModuleList):
    """The channels in equal parts, a branch for each."""

    def forward(self, x):
        return torch.cat([f(part) for f, part in zip(self, x.chunk(len(self), -1))], -1)
'''

GATE = '''
class Gate(nn.Module):
    """u * f(v), u and v the halves of the channels"""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        u, v = x.chunk(2, -1)
        return u * self.f(v)
'''

DYNAMIC = '''
class Dynamic(nn.Module):
    """Mixes the `n` positions on an axis of `b ... c` by a matrix that they generate, one for each segment of c."""

    def __init__(self, axis: int, n: int, c: int, segments: int, reduced: int):
        super().__init__()
        self.axis, self.segments = axis, segments
        self.matrix = nn.Sequential(
            nn.Linear(c, segments * reduced), Rearrange("... n (s r) -> ... s (n r)", s=segments),
            nn.Linear(n * reduced, n * n), Rearrange("... s (i o) -> ... s i o", i=n), nn.Softmax(-2),
        )

    def forward(self, x):
        x = x.movedim(self.axis, -2)
        y = torch.einsum("...isc,...sio->...osc", x.unflatten(-1, (self.segments, -1)), self.matrix(x))
        return y.flatten(-2).movedim(-2, self.axis)
'''

_SHIFT = '''
class {name}(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions; {edge}."""

    def __init__(self, *moves: tuple[int, int], turns: bool = False):
        super().__init__()
        self.moves, self.turns = moves, turns

    def forward(self, x):
        k, c = len(self.moves), torch.arange(x.shape[-1], device=x.device)
        group = c % k if self.turns else c // -(-len(c) // k)
        y = x
        for i, (axis, by) in enumerate(self.moves):
            moved = x.roll(by, axis)
            entering = axis, 0 if by > 0 else by, abs(by)
            moved.narrow(*entering).{fill}
            y = torch.where(group == i, moved, y)
        return y
'''
SHIFT = _SHIFT.format(name="Shift", edge="zeros come in", fill="zero_()")
SHIFT_INSIDE = _SHIFT.format(name="ShiftInside", edge="edges stay", fill="copy_(x.narrow(*entering))")
ROLL = '''
class Roll(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions, around its end."""

    def __init__(self, *moves: tuple[int, int]):
        super().__init__()
        self.moves = moves

    def forward(self, x):
        parts = x.chunk(len(self.moves), -1)
        return torch.cat([part.roll(by, axis) for part, (axis, by) in zip(parts, self.moves)], -1)
'''

UNFOLD = '''
class Unfold(nn.Module):
    """`b ... c` -> `b ... (c k)`: windows of positions put into the channels, with zeros around the edge."""

    def __init__(self, kernel: int, stride: int = 1, pad: int = 0):
        super().__init__()
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def forward(self, x):
        x = nn.functional.pad(x, [0, 0] + [self.pad, self.pad] * (x.ndim - 2))
        for axis in range(1, x.ndim - 1):
            x = x.unfold(axis, self.kernel, self.stride)
        return x.flatten(x.ndim // 2)
'''

WRAP = '''
class Wrap(nn.Module):
    """An axis of `b ... c` as a circle: moved by so many positions, then as long as `length`."""

    def __init__(self, axis: int, by: int, length: int):
        super().__init__()
        self.axis, self.by, self.length = axis, by, length

    def forward(self, x):
        index = torch.arange(self.length, device=x.device) - self.by
        return x.index_select(self.axis, index % min(x.shape[self.axis], self.length))
'''

CHANNELS_FIRST = '''
class ChannelsFirst(nn.Sequential):
    """Layers for `b c ...`, used on `b ... c`."""

    def forward(self, x):
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)
'''

DROPPATH = '''
class DropPath(nn.Module):
    """Stochastic depth: in training some examples skip the branch that this ends."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand([len(x)] + [1] * (x.ndim - 1), device=x.device) >= self.share
        return x * kept / (1 - self.share)
'''

START_AT = '''
def start_at(mix: nn.Module, value: float = 1.0) -> nn.Module:
    """A layer whose weights all start as `value`, biases as 0: at 1, where nothing is mixed, as the identity."""
    nn.init.constant_(mix.weight, value)
    if mix.bias is not None:
        nn.init.zeros_(mix.bias)
    return mix
'''

START_NORMAL = '''
def start_normal(mix: nn.Module, std: float, bias: float = 0.0) -> nn.Module:
    """A layer whose weights start from a normal distribution, biases all as `bias`."""
    nn.init.normal_(mix.weight, std=std)
    if mix.bias is not None:
        nn.init.constant_(mix.bias, bias)
    return mix
'''

FROZEN = '''
def frozen(mix: nn.Module) -> nn.Module:
    """Weights that stay as they start."""
    value = mix.weight.detach()
    del mix.weight
    mix.register_buffer("weight", value)
    return mix
'''

FOURIER = '''
def fourier(mix: nn.Module, *lengths: int, part: str) -> nn.Module:
    """Weights that stay: cos, sin or -sin of an orthonormal Fourier transform over mixed axes of these lengths."""
    turns = torch.full((1, 1), {"cos": 0.0, "sin": -0.25, "-sin": 0.25}[part])
    for n in lengths:
        own = torch.outer(torch.arange(n), torch.arange(n)) % n / n
        turns = (turns[:, None, :, None] + own[None, :, None, :]).flatten(2).flatten(0, 1)
    value = (2 * torch.pi * turns).cos() / len(turns) ** 0.5
    value = value.repeat(mix.weight.numel() // value.numel(), 1).reshape(mix.weight.shape)
    del mix.weight
    mix.register_buffer("weight", value)
    return mix
'''

TIED = '''
class Tied(nn.Module):
    """Weights with one number for every offset from input to output, `around` the end of the axes or not."""

    def __init__(self, shape: tuple[int, ...], lengths: tuple[int, ...], around: bool):
        super().__init__()
        self.shape = shape
        offset = torch.zeros(1, 1, dtype=torch.long)
        for n in lengths:
            own = torch.arange(n) - torch.arange(n)[:, None]
            own, m = (own % n, n) if around else (own + n - 1, 2 * n - 1)
            offset = (offset[:, None, :, None] * m + own[None, :, None, :]).flatten(2).flatten(0, 1)
        self.register_buffer("offset", offset.flatten(), persistent=False)

    def forward(self, values):
        return values[:, self.offset].reshape(self.shape)

    def right_inverse(self, weight):
        place = torch.empty(int(self.offset.max()) + 1, dtype=torch.long)
        place.scatter_(0, self.offset, torch.arange(len(self.offset)))
        return weight.reshape(-1, len(self.offset))[:, place]


def tied(mix: nn.Module, *lengths: int, around: bool = True) -> nn.Module:
    """Ties a mixer's weights; `lengths` are those of its mixed axes."""
    nn.utils.parametrize.register_parametrization(mix, "weight", Tied(mix.weight.shape, lengths, around))
    return mix
'''

HELPERS = {
    "Residual": RESIDUAL,
    "Sum": SUM,
    "Reweight": REWEIGHT,
    "Concat": CONCAT,
    "Split": SPLIT,
    "Gate": GATE,
    "Dynamic": DYNAMIC,
    "Shift": SHIFT,
    "ShiftInside": SHIFT_INSIDE,
    "Roll": ROLL,
    "Unfold": UNFOLD,
    "Wrap": WRAP,
    "ChannelsFirst": CHANNELS_FIRST,
    "DropPath": DROPPATH,
    "start_at": START_AT,
    "start_normal": START_NORMAL,
    "tied": TIED,
    "fourier": FOURIER,
    "frozen": FROZEN,
}
"""By the name that is called; what calls another stands before it."""


def used(text: str) -> list[str]:
    """The helpers that a text calls, and those that these call."""
    found: list[str] = []
    for name, helper in HELPERS.items():
        if any(f"{name}(" in calling for calling in (text, *found)):
            found.append(helper)
    return found
