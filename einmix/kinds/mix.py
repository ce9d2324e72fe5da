"""Mix: a mixer, as one EinMix layer."""

from collections.abc import Container
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from math import prod
from typing import Annotated, Any

from einmix.algebra.factors import Factor
from einmix.algebra.mixer import Mixer
from einmix.algebra.reach import Reach
from einmix.algebra.writing import MAX_NAMES, named_factors, side, sizes_of, write_einmix
from einmix.errors import PatternError, shown
from einmix.nodes.calls import Call, Size
from einmix.nodes.fields import Form, one_of
from einmix.nodes.node import Cost, Leaf, Sizes, Step
from einmix.nodes.starts import STARTS, Start, started

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

FROZEN = '''
def frozen(mix: nn.Module) -> nn.Module:
    """Weights that stay as they start."""
    value = mix.weight.detach()
    del mix.weight
    mix.register_buffer("weight", value)
    return mix
'''


def _canonical(value: Any, name: str) -> Mixer:
    """Without the layout of code that it was read from: of two equal nodes texts, sums and pictures are the same."""
    if not isinstance(value, Mixer):
        raise PatternError(f"{name} cannot be {shown(value)}", hint="as in Mixer.parse('h=m8.s4 w=s32 c=g64 +b')")
    return value.canonical() if value.layout else value


@dataclass(frozen=True)
class Mix(Leaf):
    """A mixer, as one EinMix layer.

    `start` says how its weights begin: "" (EinMix's own rule, or the identity where nothing is mixed), a number (all
    of them, as LayerScale), "normal STD", "zero", or "gate" (near zero, with a bias of one: gMLP, arXiv:2105.08050).
    `weights` ties or freezes them: "circulant", "toeplitz" (one number for an offset from input to output, around the
    end or not), "frozen" (as they start), "cos", "sin", "-sin" (those parts of an orthonormal Fourier transform).
    """

    kind = "mix"
    usage = "mix MIXER"
    helpers = (*STARTS, TIED, FOURIER, FROZEN)
    mixer: Annotated[Mixer, Form(_canonical, read=Mixer.parse)]
    _: KW_ONLY
    start: Start = ""
    weights: Annotated[str, one_of("weights", ("", "frozen", "circulant", "toeplitz", "cos", "sin", "-sin"))] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start == "1" and not self.mixer.mixed:
            object.__setattr__(self, "start", "")  # as it starts anyway
        if self.start == "gate" and not self.mixer.bias:
            raise PatternError("a mixer that starts as a gate has a bias of one", hint="write +b")
        if self.weights not in ("", "frozen"):
            if not self.lengths or any(f.size != f.out for f in self._having("m")):
                fact = f"{self.weights} weights are for mixed factors that keep their size"
                raise PatternError(f"{fact}, not for {self.mixer}")
            if self.start and self.weights in ("cos", "sin", "-sin"):
                raise PatternError(f"{self.weights} weights start as they are, not as {self.start!r}")

    def _having(self, role: str) -> list[Factor]:
        return [f for _, factors in self.mixer.axes for f in factors if f.role == role]

    @property
    def lengths(self) -> tuple[int, ...]:
        """The sizes of the mixed factors, in their order."""
        return tuple(factor.size for factor in self._having("m"))

    def through(self, sizes: Sizes) -> Sizes:
        return self.mixer.fit(sizes).outputs

    def touched(self, before: Sizes) -> frozenset[str]:
        return self.mixer.mixed

    def cost(self, sizes: Sizes) -> Cost:
        groups = prod(f.size for f in self._having("g"))
        free = prod(f.size * f.out for f in self._having("m"))
        tied = {"": free, "circulant": prod(self.lengths), "toeplitz": prod(2 * n - 1 for n in self.lengths)}
        return self.mixer.params - groups * (free - tied.get(self.weights, 0)), self.mixer.macs

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        weight, bias = (prod(self.lengths),), (1,) * self.mixer.bias
        if self.weights in ("circulant", "toeplitz"):
            return bias + weight  # tied by another layer, whose weight comes last
        return (() if self.weights else weight) + bias

    def as_mixer(self, before: Sizes) -> Mixer | None:
        return None if self.weights else self.mixer

    def reach(self, step: Step) -> Reach:
        return self.mixer.reach()

    def emit(self, step: Step) -> list[Call]:
        return [mixer_call(self)]


def mixer_call(node: Mix, *, channels_first: bool = False) -> Call:
    """The layer of a mixer, with the functions around it that say how its weights start or what ties them."""
    mixer = node.mixer
    names = {"b", *(name for axis in named_factors(mixer.axes) for part in axis for name in part.names)}
    if len(names) > MAX_NAMES:
        return Call("nn.Sequential", _rearranged(node, channels_first), mixer=mixer)
    call = write_einmix(mixer.axes, mixer.bias, channels_first=channels_first, all_sizes=False)
    return _finished(_mix(call, _meanings(mixer)), node)


def _meanings(mixer: Mixer) -> dict[str, str]:
    """What the sizes in a mixer's pattern are: of which axis, or groups of channels."""
    found: dict[str, str] = {}
    for (axis, factors), parts in zip(mixer.axes, named_factors(mixer.axes), strict=True):
        for part in parts:
            grouped = axis == "c" and part.factor.role == "g" and len(factors) > 1
            found |= dict.fromkeys((part.input, part.output), "groups" if grouped else axis)
    return found


def _mix(call: dict[str, Any], meanings: dict[str, str]) -> Call:
    given = [(name, value) for name, value in call.items() if name != "pattern"]
    named = ((name, Size(n, meanings.get(name, "n")) if isinstance(n, int) else n) for name, n in given)
    return Call("Mix", (call["pattern"],), tuple(named))


def _finished(call: Call, node: Mix) -> Call:
    """A layer of EinMix with its weights started, tied or frozen."""
    mixed = ((axis, f) for axis, factors in node.mixer.axes for f in factors if f.role == "m")
    lengths = tuple(Size(factor.size, axis) for axis, factor in mixed)
    if node.start or not node.mixer.mixed:
        call = started(call, node.start)
    if node.weights == "frozen":
        call = Call("frozen", (call,))
    elif node.weights in ("circulant", "toeplitz"):
        around = (("around", False),) if node.weights == "toeplitz" else ()
        call = Call("tied", (call, *lengths), around)
    elif node.weights:
        call = Call("fourier", (call, *lengths), (("part", node.weights),))
    return Call(call.name, call.args, call.named, mixer=node.mixer)


def _rearranged(node: Mix, channels_first: bool) -> tuple[Call, Call, Call]:
    """A mixer with more names than EinMix knows: its factors brought together by role, mixed, and put back."""
    mixer = node.mixer
    parts, meanings = named_factors(mixer.axes), _meanings(mixer)
    left = parts[-1:] + parts[:-1] if channels_first else parts
    by_role = {role: [part for part in chain(*parts) if part.factor.role == role] for role in "sgm"}

    def together(end: str) -> str:
        names = ([getattr(part, end) for part in found] for found in by_role.values())
        return " ".join(f"({' '.join(filter(None, each))})" for each in names)

    def rearrange(pattern: str, names: Container[str]) -> Call:
        named = [(name, Size(n, meanings[name])) for name, n in sizes_of(parts).items() if name in names]
        return Call("Rearrange", (pattern,), tuple(named))

    inputs, outputs = ([getattr(part, end) for part in chain(*parts)] for end in ("input", "output"))
    before, after = side([p.input for p in axis] for axis in left), side([p.output for p in axis] for axis in parts)
    mixed = [part.factor for part in by_role["m"]]
    groups = prod(part.factor.size for part in by_role["g"])
    sizes = {"g": groups, "i": prod(f.size for f in mixed), "o": prod(f.out for f in mixed)}
    bias = {"bias_shape": "g o"} if mixer.bias else {}
    call = {"pattern": "b s g i -> b s g o", "weight_shape": "g i o"} | bias | sizes
    return (
        rearrange(f"b {before} -> b {together('input')}", inputs),
        _finished(_mix(call, {"g": "groups"}), node),
        rearrange(f"b {together('output')} -> b {after}", outputs),
    )
