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
class Sum(nn.Module):
    """f(x) + g(x) + ..."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.stack([f(x) for f in self.branches]).sum(0)
'''

REWEIGHT = '''
class Reweight(nn.Module):
    """The sum of branches, each weighted by channel: a softmax over the branches of an MLP of their pooled sum."""

    def __init__(self, width: int, hidden: int, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        k = len(branches)
        self.weigh = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width * k), Rearrange("b (c k) -> k b c", k=k)
        )

    def forward(self, x):
        y = torch.stack([f(x) for f in self.branches])
        weights = self.weigh(y.sum(0).flatten(1, -2).mean(1)).softmax(0)
        return torch.einsum("kb...c,kbc->b...c", y, weights)
'''

CONCAT = '''
class Concat(nn.Module):
    """The channels of f(x), g(x), ... one after the other."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([f(x) for f in self.branches], -1)
'''

SPLIT = '''
class Split(nn.Module):
    """The channels in equal parts, a branch for each."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        parts = x.chunk(len(self.branches), -1)
        return torch.cat([f(part) for f, part in zip(self.branches, parts)], -1)
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
    """Mixes `n` positions of `b n c` by a matrix that they generate, for each segment of the channels its own."""

    def __init__(self, n: int, c: int, segments: int, reduced: int):
        super().__init__()
        self.matrix = nn.Sequential(
            nn.Linear(c, segments * reduced),
            Rearrange("b n (s r) -> b s (n r)", s=segments),
            nn.Linear(n * reduced, n * n),
            Rearrange("b s (i o) -> b s i o", i=n),
            nn.Softmax(-2),
        )
        self.cut, self.join = Rearrange("b n (s c) -> b s n c", s=segments), Rearrange("b s n c -> b n (s c)")

    def forward(self, x):
        return self.join(torch.einsum("bsic,bsio->bsoc", self.cut(x), self.matrix(x)))
'''

SHIFT = '''
class Shift(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis of `b ... c` and a number of positions."""

    def __init__(self, *moves: tuple[int, int], edge: str = "zeros", turns: bool = False):
        super().__init__()
        self.moves, self.edge, self.turns = moves, edge, turns

    def forward(self, x):
        k, c = len(self.moves), x.shape[-1]
        groups = torch.arange(c, device=x.device) % k if self.turns else torch.arange(c, device=x.device) // -(-c // k)
        y = x
        for group, (axis, by) in enumerate(self.moves):
            moved = x.roll(by, axis)
            if by and self.edge != "wrap":
                entered = moved.narrow(axis, 0 if by > 0 else by, abs(by))
                old = x.narrow(axis, 0 if by > 0 else by, abs(by))
                entered.copy_(old) if self.edge == "keep" else entered.zero_()
            y = torch.where(groups == group, moved, y)
        return y
'''

UNFOLD = '''
class Unfold(nn.Module):
    """`b ... c` -> `b ... (c k)`: windows of positions put into the channels, with zeros around the edge."""

    def __init__(self, kernel: int, stride: int = 1, pad: int = 0):
        super().__init__()
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def forward(self, x):
        axes = range(1, x.ndim - 1)
        x = nn.functional.pad(x, [0, 0] + [self.pad, self.pad] * len(axes))
        for axis in axes:
            x = x.unfold(axis, self.kernel, self.stride)
        return x.flatten(len(axes) + 1)
'''

PAD = '''
class Pad(nn.Module):
    """Positions put on at the end of axes of `b ... c`, zeros or those of the beginning, or taken off."""

    def __init__(self, *by: tuple[int, int], wrap: bool = False):
        super().__init__()
        self.by, self.wrap = by, wrap

    def forward(self, x):
        for axis, by in self.by:
            if by < 0:
                x = x.narrow(axis, 0, x.shape[axis] + by)
            else:
                more = x.narrow(axis, 0, by)
                x = torch.cat([x, more if self.wrap else torch.zeros_like(more)], axis)
        return x
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

SCALE = '''
def scale(mix: nn.Module, value: float = 1.0) -> nn.Module:
    """All weights start as `value`, without bias: at 1, where nothing is mixed, as the identity."""
    nn.init.constant_(mix.weight, value)
    if mix.bias is not None:
        nn.init.zeros_(mix.bias)
    return mix
'''

NORMAL = '''
def normal(mix: nn.Module, std: float, bias: float = 0.0) -> nn.Module:
    """Weights start from a normal distribution, biases alike."""
    nn.init.normal_(mix.weight, std=std)
    if mix.bias is not None:
        nn.init.constant_(mix.bias, bias)
    return mix
'''

FROZEN = '''
def frozen(mix: nn.Module, weight: torch.Tensor | None = None) -> nn.Module:
    """Weights that are not trained: these, or those that it has."""
    value = mix.weight.detach() if weight is None else weight.reshape(mix.weight.shape)
    del mix.weight
    mix.register_buffer("weight", value)
    return mix
'''

FOURIER = '''
def fourier(mix: nn.Module, turn: float, *lengths: int) -> nn.Module:
    """The weights of an orthonormal Fourier transform, not trained: cos, or turned by a quarter -sin or sin."""
    angle = torch.zeros(1, 1)
    for n in lengths:
        own = torch.outer(torch.arange(n), torch.arange(n)) % n / n
        angle = (angle[:, None, :, None] + own[None, :, None, :]).flatten(2).flatten(0, 1)
    return frozen(mix, torch.cos(2 * torch.pi * (angle + turn)) / len(angle) ** 0.5)
'''

TIED = '''
class Tied(nn.Module):
    """Weights with one number for every offset from input to output, `around` the end of the axes or not."""

    def __init__(self, lengths: tuple[int, ...], around: bool):
        super().__init__()
        offset = torch.zeros(1, 1, dtype=torch.long)
        for n in lengths:
            own = torch.arange(n) - torch.arange(n)[:, None]
            own, m = (own % n, n) if around else (own + n - 1, 2 * n - 1)
            offset = (offset[:, None, :, None] * m + own[None, :, None, :]).flatten(2).flatten(0, 1)
        self.register_buffer("offset", offset.reshape(lengths * 2), persistent=False)

    def forward(self, values):
        return values[..., self.offset]

    def right_inverse(self, weight):
        flat = self.offset.flatten()
        place = torch.empty(int(flat.max()) + 1, dtype=torch.long).scatter_(0, flat, torch.arange(len(flat)))
        return weight.flatten(-self.offset.ndim)[..., place]


def tied(mix: nn.Module, *lengths: int, around: bool = True) -> nn.Module:
    """Ties a mixer's weights; `lengths` are those of its mixed axes."""
    nn.utils.parametrize.register_parametrization(mix, "weight", Tied(lengths, around))
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
    "Unfold": UNFOLD,
    "Pad": PAD,
    "DropPath": DROPPATH,
    "scale": SCALE,
    "normal": NORMAL,
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
