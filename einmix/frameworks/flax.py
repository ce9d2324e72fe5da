"""Flax: networks as modules of flax.linen, with einops' own EinMix for it."""

from einmix.frameworks.words import (
    Word,
    as_it_is,
    branches_listed,
    called,
    dense,
    frozen,
    inner,
    listed,
    norm,
    renamed,
    tied,
)
from einmix.networks.framework import Framework
from einmix.nodes.calls import Call

ACTIVATION = '''
class {name}(nn.Module):
    """{words}"""

    def __call__(self, x):
        return {code}
'''
SEQUENCE = '''
class {name}(nn.Module):
    """{words}"""

    f: list

    def __call__(self, x):
        {start}
        for layer in self.f:
            {name_of} = layer({name_of})
        return {end}
'''
BRANCHES = '''
class {name}(nn.Module):
    """{words}"""

    layers: list

    def __call__(self, x):
        return {code}
'''
SHIFT = '''
class {name}(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions; {edge}."""

    moves: tuple
    turns: bool = False

    def __call__(self, x):
        k, c = len(self.moves), jnp.arange(x.shape[-1])
        group = c % k if self.turns else c // -(-len(c) // k)
        y = x
        for i, (axis, by) in enumerate(self.moves):
            start = jnp.arange(x.shape[axis]) - by
            inside = ((start >= 0) & (start < len(start))).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
            y = jnp.where(group == i, jnp.where(inside, jnp.roll(x, by, axis), {fill}), y)
        return y
'''
HELPERS = {
    "Frozen": '''
class Frozen(Mix):
    """A mixer whose weights stay."""

    def setup(self):
        super().setup()
        self.weight = jax.lax.stop_gradient(self.weight)
''',
    "Tied": '''
class Tied(Mix):
    """A mixer with one weight for every offset from input to output, `around` the end of the mixed axes or not."""

    lengths: tuple = ()
    around: bool = True

    def _create_parameters(self, weight_shape, weight_bound, bias_shape, bias_bound):
        offset = np.zeros((1, 1), int)
        for n in self.lengths:
            own = np.arange(n) - np.arange(n)[:, None]
            own, m = (own % n, n) if self.around else (own + n - 1, 2 * n - 1)
            offset = offset[:, None, :, None] * m + own[None, :, None, :]
            offset = offset.reshape(offset.shape[0] * n, -1)
        kept = int(np.prod(weight_shape)) // offset.size, int(offset.max()) + 1
        super()._create_parameters(kept, weight_bound, bias_shape, bias_bound)
        self.weight = self.weight[:, offset.ravel()].reshape(weight_shape)
''',
    "GELU": ACTIVATION.format(name="GELU", words="The exact one, as torch's.", code="nn.gelu(x, approximate=False)"),
    "ReLU": ACTIVATION.format(name="ReLU", words="max(x, 0)", code="nn.relu(x)"),
    "SiLU": ACTIVATION.format(name="SiLU", words="x * sigmoid(x)", code="nn.silu(x)"),
    "Tanh": ACTIVATION.format(name="Tanh", words="tanh(x)", code="nn.tanh(x)"),
    "Identity": ACTIVATION.format(name="Identity", words="x", code="x"),
    "BatchNorm": '''
class BatchNorm(nn.BatchNorm):
    """Trained where `batch_stats` is mutable, by the means that it keeps elsewhere."""

    def __call__(self, x):
        kept = self.is_initializing() or not self.is_mutable_collection("batch_stats")
        return super().__call__(x, use_running_average=kept)
''',
    "Dropout": '''
class Dropout(nn.Module):
    """Zeros in training, which is where there is a generator: `rngs={"dropout": key}`."""

    share: float

    def __call__(self, x):
        if not self.has_rng("dropout"):
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.share, x.shape)
        return x * kept / (1 - self.share)
''',
    "DropPath": '''
class DropPath(nn.Module):
    """Stochastic depth: in training, where there is `rngs={"dropout": key}`, some examples skip this branch."""

    share: float

    def __call__(self, x):
        if not self.has_rng("dropout"):
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.share, [len(x)] + [1] * (x.ndim - 1))
        return x * kept / (1 - self.share)
''',
    "Residual": SEQUENCE.format(name="Residual", words="x + f(x)", start="y = x", name_of="y", end="x + y"),
    "Gate": SEQUENCE.format(
        name="Gate",
        words="u * f(v), u and v the halves of the channels",
        start="u, v = jnp.split(x, 2, -1)",
        name_of="v",
        end="u * v",
    ),
    "Sum": BRANCHES.format(name="Sum", words="f(x) + g(x) + ...", code="sum(f(x) for f in self.layers)"),
    "Concat": BRANCHES.format(
        name="Concat",
        words="The channels of f(x), g(x), ... one after the other.",
        code="jnp.concatenate([f(x) for f in self.layers], -1)",
    ),
    "Split": BRANCHES.format(
        name="Split",
        words="The channels in equal parts, a branch for each.",
        code="jnp.concatenate([f(p) for f, p in zip(self.layers, jnp.split(x, len(self.layers), -1))], -1)",
    ),
    "Reweight": '''
class Reweight(nn.Module):
    """The sum of branches, each weighted by channel: a softmax over the branches of an MLP of their pooled sum."""

    c: int
    hidden: int
    branches: list

    def setup(self):
        self.weigh = [nn.Dense(self.hidden), GELU(), nn.Dense(self.c * len(self.branches))]

    def __call__(self, x):
        ys = [f(x) for f in self.branches]
        w = sum(y.reshape(len(x), -1, self.c).mean(1) for y in ys)
        for layer in self.weigh:
            w = layer(w)
        w = nn.softmax(w.reshape([len(x)] + [1] * (x.ndim - 2) + [self.c, -1]))
        return sum(y * w[..., i] for i, y in enumerate(ys))
''',
    "Dynamic": '''
class Dynamic(nn.Module):
    """Mixes the `n` positions on an axis of `b ... c` by a matrix that they generate, one for each segment of c."""

    axis: int
    n: int
    c: int
    segments: int
    reduced: int

    def setup(self):
        read = Rearrange("... n (s r) -> ... s (n r)", sizes=dict(s=self.segments))
        square = Rearrange("... s (i o) -> ... s i o", sizes=dict(i=self.n))
        self.matrix = [nn.Dense(self.segments * self.reduced), read, nn.Dense(self.n * self.n), square]

    def __call__(self, x):
        x = w = jnp.moveaxis(x, self.axis, -2)
        for layer in self.matrix:
            w = layer(w)
        y = x.reshape(*x.shape[:-1], self.segments, -1)
        y = jnp.einsum("...isc,...sio->...osc", y, nn.softmax(w, -2))
        return jnp.moveaxis(y.reshape(x.shape), -2, self.axis)
''',
    "Shift": SHIFT.format(name="Shift", edge="zeros come in", fill="0"),
    "ShiftInside": SHIFT.format(name="ShiftInside", edge="edges stay", fill="x"),
    "Roll": '''
class Roll(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions, around its end."""

    moves: tuple

    def __call__(self, x):
        step = -(-x.shape[-1] // len(self.moves))
        parts = [x[..., i * step :][..., :step] for i in range(len(self.moves))]
        return jnp.concatenate([jnp.roll(part, by, axis) for part, (axis, by) in zip(parts, self.moves)], -1)
''',
    "Unfold": '''
class Unfold(nn.Module):
    """`b ... c` -> `b ... (c k)`: windows of positions put into the channels, with zeros around the edge."""

    kernel: int
    stride: int = 1
    pad: int = 0

    def __call__(self, x):
        x = jnp.pad(x, [(0, 0)] + [(self.pad, self.pad)] * (x.ndim - 2) + [(0, 0)])
        for axis in range(1, x.ndim - 1):
            starts = jnp.arange(0, x.shape[axis] - self.kernel + 1, self.stride)
            x = jnp.moveaxis(jnp.take(x, starts[:, None] + jnp.arange(self.kernel), axis), axis + 1, -1)
        return x.reshape(*x.shape[: x.ndim // 2], -1)
''',
    "Wrap": '''
class Wrap(nn.Module):
    """An axis of `b ... c` as a circle: moved by so many positions, then as long as `length`."""

    axis: int
    by: int
    length: int

    def __call__(self, x):
        index = jnp.arange(self.length) - self.by
        return jnp.take(x, index % min(x.shape[self.axis], self.length), self.axis)
''',
}
"""The small layers: `f` or `layers` are what stands in one, in the order of torch's."""


def _sized(call: Call) -> Call:
    """einops' layers take sizes as a dict."""
    shapes = ("weight_shape", "bias_shape")
    sizes = tuple((name, value) for name, value in call.named if name not in shapes)
    named = tuple((name, value) for name, value in call.named if name in shapes)
    return Call(call.name, call.args, named + ((("sizes", Call("dict", (), sizes)),) if sizes else ()))


def _moved(call: Call) -> Call:
    """Moves as one tuple."""
    return Call(call.name, (call.args,), call.named)


def _conv(axes: int) -> Word:
    names = {"stride": "strides", "padding": "padding", "groups": "feature_group_count", "bias": "use_bias"}

    def word(call: Call) -> Call:
        _, out, kernel = call.args
        return Call("nn.Conv", (out, (kernel,) * axes), renamed(call, names, padding=0))

    return word


FLAX = Framework(
    name="flax",
    layer="nn.Module",
    imports=(
        ("import jax", r"jax\."),
        ("import jax.numpy as jnp", r"jnp\."),
        ("import numpy as np", r"np\."),
        ("from flax import linen as nn", ""),
    ),
    einops="einops.layers.flax",
    sequence=("nn.Sequential([", "])"),
    main="    print(model().tabulate(jax.random.key(0), jnp.zeros({shape})))\n",
    words={
        **dict.fromkeys(("Mix", "Rearrange"), _sized),
        **dict.fromkeys(("start_at", "start_normal"), inner),
        **dict.fromkeys(("frozen", "fourier"), frozen),
        "tied": tied,
        "nn.Identity": called("Identity"),
        **dict.fromkeys(("nn.Sequential", "ChannelsFirst"), listed("nn.Sequential")),  # here channels come last
        "nn.Linear": dense("nn.Dense"),
        # torch, too, takes the variance of the differences from the mean
        **{f"nn.{name}": norm(f"nn.{name}", use_fast_variance=False) for name in ("LayerNorm", "GroupNorm")},
        **{f"nn.BatchNorm{n}d": norm("BatchNorm", momentum=0.9, use_fast_variance=False) for n in (1, 2, 3)},
        **{f"nn.Conv{n}d": _conv(n) for n in (1, 2, 3)},
        **{f"nn.{name}": called(name) for name in ("GELU", "ReLU", "SiLU", "Tanh", "Dropout")},
        **{name: listed(name) for name in ("Residual", "Gate", "Sum", "Concat", "Split")},
        "Reweight": branches_listed,
        **dict.fromkeys(("Reduce", "DropPath", "Dynamic", "Unfold", "Wrap"), as_it_is),
        **dict.fromkeys(("Shift", "ShiftInside", "Roll"), _moved),
    },
    helpers=HELPERS,
)
