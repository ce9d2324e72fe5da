"""Keras 3 on any of its backends, with an EinMix of its own text: einops' layers for keras take tensorflow."""

from einmix.frameworks.words import (
    Word,
    as_it_is,
    branches_listed,
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

SEQUENCE = '''
class {name}(layers.Layer):
    """{words}"""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def call(self, x):
        {start}
        for layer in self.f:
            {name_of} = layer({name_of})
        return {end}
'''
BRANCHES = '''
class {name}(layers.Layer):
    """{words}"""

    def __init__(self, branches):
        super().__init__()
        self.branches = branches

    def call(self, x):
        return {code}
'''
SHIFT = '''
class {name}(layers.Layer):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions; {edge}."""

    def __init__(self, *moves, turns=False):
        super().__init__()
        self.moves, self.turns = moves, turns

    def call(self, x):
        k, c = len(self.moves), x.shape[-1]
        channels = ops.arange(c)
        group = channels % k if self.turns else channels // -(-c // k)
        y = x
        for i, (axis, by) in enumerate(self.moves):
            n = x.shape[axis]
            start = ops.reshape(ops.arange(n) - by, [n if a == axis else 1 for a in range(len(x.shape))])
            inside = ops.logical_and(start >= 0, start < n)
            y = ops.where(group == i, ops.where(inside, ops.roll(x, by, axis), {fill}), y)
        return y
'''
HELPERS = {
    "Rearrange": '''
class Rearrange(layers.Layer):
    """einops' rearrange as a layer."""

    def __init__(self, pattern, **sizes):
        super().__init__()
        self.pattern, self.sizes = pattern, sizes

    def call(self, x):
        return einops.rearrange(x, self.pattern, **self.sizes)
''',
    "Reduce": '''
class Reduce(layers.Layer):
    """einops' reduce as a layer."""

    def __init__(self, pattern, reduction):
        super().__init__()
        self.pattern, self.reduction = pattern, reduction

    def call(self, x):
        return einops.reduce(x, self.pattern, self.reduction)
''',
    "Mix": '''
class Mix(_EinmixMixin, layers.Layer):
    """einops' EinMix on any backend of keras; einops' own layer for it takes tensorflow."""

    def __init__(self, pattern, weight_shape, bias_shape=None, **sizes):
        layers.Layer.__init__(self)
        self.initialize_einmix(pattern, weight_shape, bias_shape, sizes)

    def _create_rearrange_layers(self, before, before_sizes, after, after_sizes):
        self.before = Rearrange(before, **before_sizes) if before else None
        self.after = Rearrange(after, **after_sizes) if after else None

    def _create_parameters(self, weight_shape, weight_bound, bias_shape, bias_bound):
        uniform = keras.initializers.RandomUniform
        self.weight = self.add_weight(weight_shape, uniform(-weight_bound, weight_bound), name="weight")
        self.bias = bias_shape and self.add_weight(bias_shape, uniform(-bias_bound, bias_bound), name="bias")

    def used(self):
        """The weights as they are multiplied with."""
        return self.weight

    def call(self, x):
        x = self.before(x) if self.before else x
        x = ops.einsum(self.einsum_pattern, x, self.used())
        x = x if self.bias is None else x + self.bias
        return self.after(x) if self.after else x
''',
    "Frozen": '''
class Frozen(Mix):
    """A mixer whose weights stay."""

    def used(self):
        return ops.stop_gradient(self.weight)
''',
    "Tied": '''
class Tied(Mix):
    """A mixer with one weight for every offset from input to output, `around` the end of the mixed axes or not."""

    def __init__(self, *args, lengths, around=True, **sizes):
        self.lengths, self.around = lengths, around
        super().__init__(*args, **sizes)

    def _create_parameters(self, weight_shape, weight_bound, bias_shape, bias_bound):
        offset = np.zeros((1, 1), int)
        for n in self.lengths:
            own = np.arange(n) - np.arange(n)[:, None]
            own, m = (own % n, n) if self.around else (own + n - 1, 2 * n - 1)
            offset = offset[:, None, :, None] * m + own[None, :, None, :]
            offset = offset.reshape(offset.shape[0] * n, -1)
        self.offset, self.shape = offset.ravel(), weight_shape
        kept = int(np.prod(weight_shape)) // offset.size, int(offset.max()) + 1
        super()._create_parameters(kept, weight_bound, bias_shape, bias_bound)

    def used(self):
        return ops.reshape(ops.take(self.weight, self.offset, 1), self.shape)
''',
    "DropPath": '''
class DropPath(layers.Layer):
    """Stochastic depth: in training some examples skip the branch that this ends."""

    def __init__(self, share):
        super().__init__()
        self.share, self.seed = share, keras.random.SeedGenerator()

    def call(self, x, training=False):
        if not training:
            return x
        kept = keras.random.uniform([ops.shape(x)[0]] + [1] * (len(x.shape) - 1), seed=self.seed) >= self.share
        return x * ops.cast(kept, x.dtype) / (1 - self.share)
''',
    "Residual": SEQUENCE.format(name="Residual", words="x + f(x)", start="y = x", name_of="y", end="x + y"),
    "Gate": SEQUENCE.format(
        name="Gate",
        words="u * f(v), u and v the halves of the channels",
        start="u, v = ops.split(x, 2, -1)",
        name_of="v",
        end="u * v",
    ),
    "Sum": BRANCHES.format(name="Sum", words="f(x) + g(x) + ...", code="sum(f(x) for f in self.branches)"),
    "Concat": BRANCHES.format(
        name="Concat",
        words="The channels of f(x), g(x), ... one after the other.",
        code="ops.concatenate([f(x) for f in self.branches], -1)",
    ),
    "Split": BRANCHES.format(
        name="Split",
        words="The channels in equal parts, a branch for each.",
        code="ops.concatenate([f(p) for f, p in zip(self.branches, ops.split(x, len(self.branches), -1))], -1)",
    ),
    "Reweight": '''
class Reweight(layers.Layer):
    """The sum of branches, each weighted by channel: a softmax over the branches of an MLP of their pooled sum."""

    def __init__(self, c, hidden, branches):
        super().__init__()
        self.c, self.branches = c, branches
        self.weigh = [layers.Dense(hidden, activation="gelu"), layers.Dense(c * len(branches))]

    def call(self, x):
        ys = [f(x) for f in self.branches]
        w = sum(ops.mean(y, list(range(1, len(y.shape) - 1))) for y in ys)
        for layer in self.weigh:
            w = layer(w)
        w = ops.softmax(ops.reshape(w, [-1] + [1] * (len(x.shape) - 2) + [self.c, len(ys)]))
        return sum(y * w[..., i] for i, y in enumerate(ys))
''',
    "Dynamic": '''
class Dynamic(layers.Layer):
    """Mixes the `n` positions on an axis of `b ... c` by a matrix that they generate, one for each segment of c."""

    def __init__(self, axis, n, c, segments, reduced):
        super().__init__()
        self.axis, self.sizes = axis, (segments, c // segments)
        self.matrix = [
            layers.Dense(segments * reduced), Rearrange("... n (s r) -> ... s (n r)", s=segments),
            layers.Dense(n * n), Rearrange("... s (i o) -> ... s i o", i=n), layers.Softmax(-2),
        ]

    def call(self, x):
        x = w = ops.moveaxis(x, self.axis, -2)
        for layer in self.matrix:
            w = layer(w)
        segments, each = self.sizes
        y = einops.rearrange(x, "... n (s c) -> ... n s c", s=segments, c=each)
        y = ops.sum(y[..., :, None, :, :] * einops.rearrange(w, "... s i o -> ... i o s 1"), -4)
        return ops.moveaxis(einops.rearrange(y, "... n s c -> ... n (s c)"), -2, self.axis)
''',
    "Shift": SHIFT.format(name="Shift", edge="zeros come in", fill="0.0"),
    "ShiftInside": SHIFT.format(name="ShiftInside", edge="edges stay", fill="x"),
    "Roll": '''
class Roll(layers.Layer):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions, around its end."""

    def __init__(self, *moves):
        super().__init__()
        self.moves = moves

    def call(self, x):
        step = -(-x.shape[-1] // len(self.moves))
        parts = [x[..., i * step : (i + 1) * step] for i in range(len(self.moves))]
        return ops.concatenate([ops.roll(part, by, axis) for part, (axis, by) in zip(parts, self.moves)], -1)
''',
    "Unfold": '''
class Unfold(layers.Layer):
    """`b ... c` -> `b ... (c k)`: windows of positions put into the channels, with zeros around the edge."""

    def __init__(self, kernel, stride=1, pad=0):
        super().__init__()
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def call(self, x):
        axes = len(x.shape) - 2
        x = ops.pad(x, [(0, 0)] + [(self.pad, self.pad)] * axes + [(0, 0)])
        for axis in range(1, axes + 1):
            starts = np.arange(0, x.shape[axis] - self.kernel + 1, self.stride)
            x = ops.moveaxis(ops.take(x, starts[:, None] + np.arange(self.kernel), axis), axis + 1, -1)
        return ops.reshape(x, [-1, *x.shape[1 : axes + 1], x.shape[axes + 1] * self.kernel**axes])
''',
    "Wrap": '''
class Wrap(layers.Layer):
    """An axis of `b ... c` as a circle: moved by so many positions, then as long as `length`."""

    def __init__(self, axis, by, length):
        super().__init__()
        self.axis, self.by, self.length = axis, by, length

    def call(self, x):
        index = np.arange(self.length) - self.by
        return ops.take(x, index % min(x.shape[self.axis], self.length), self.axis)
''',
}
"""The small layers; what has weights stands in them in the order of torch's."""


def _activation(name: str) -> Word:
    return lambda call: Call("layers.Activation", (name,))


def _conv(axes: int) -> Word:
    """Zeros around are a layer of their own."""
    names = {"stride": "strides", "groups": "groups", "bias": "use_bias"}

    def word(call: Call) -> Call:
        conv = Call(f"layers.Conv{axes}D", call.args[1:], renamed(call, names))
        around = tuple(number for _, number in renamed(call, {"padding": "padding"}))
        zeros = Call(f"layers.ZeroPadding{axes}D", around)
        return Call("keras.Sequential", (zeros, conv), listed=True) if around else conv

    return word


KERAS = Framework(
    name="keras",
    layer="layers.Layer",
    imports=(
        ("import einops", r"einops\."),
        ("import keras", ""),
        ("import numpy as np", r"np\."),
        ("from einops.layers._einmix import _EinmixMixin", "_EinmixMixin"),
        ("from keras import layers, ops", ""),
    ),
    einops="",
    sequence=("keras.Sequential([\n        keras.Input({shape}),", "])"),
    main="    model().summary()\n",
    words={
        **dict.fromkeys(("Mix", "Rearrange", "Reduce"), as_it_is),
        **dict.fromkeys(("start_at", "start_normal"), inner),
        **dict.fromkeys(("frozen", "fourier"), frozen),
        "tied": tied,
        "nn.Identity": lambda call: Call("layers.Identity"),
        **dict.fromkeys(("nn.Sequential", "ChannelsFirst"), listed("keras.Sequential")),  # here channels come last
        "nn.Linear": dense("layers.Dense"),
        "nn.LayerNorm": norm("layers.LayerNormalization"),
        "nn.GroupNorm": norm("layers.GroupNormalization"),
        **{f"nn.BatchNorm{n}d": norm("layers.BatchNormalization", momentum=0.9) for n in (1, 2, 3)},
        **{f"nn.Conv{n}d": _conv(n) for n in (1, 2, 3)},
        **{f"nn.{name}": _activation(name.lower()) for name in ("GELU", "ReLU", "SiLU", "Tanh")},
        "nn.Dropout": lambda call: Call("layers.Dropout", call.args),
        **{name: listed(name) for name in ("Residual", "Gate", "Sum", "Concat", "Split")},
        "Reweight": branches_listed,
        **dict.fromkeys(("DropPath", "Dynamic", "Unfold", "Wrap", "Shift", "ShiftInside", "Roll"), as_it_is),
    },
    helpers=HELPERS,
)
