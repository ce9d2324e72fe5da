"""How the weights of a layer start."""

from typing import Annotated, Any

from einmix.errors import PatternError, shown
from einmix.nodes.calls import Call
from einmix.nodes.fields import Form, number, real


def _check(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise PatternError(f"a start is written as a text, not {shown(value)}", hint="as in '0.1' or 'normal 0.02'")
    text = value.removeprefix("normal ")
    if value in ("", "zero", "gate"):
        return value
    try:
        size = float(text)
    except ValueError:
        hint = "zero, gate, a number, or normal and a number"
        raise PatternError(f"no start {value[:40]!r}", hint=hint) from None
    real(size, "a start", 1e-12, 1e3)
    if text != number(size):
        raise PatternError(f"no start {value[:40]!r}", hint=f"the number is written {number(size)}")
    return value


Start = Annotated[str, Form(_check)]
"""A field: "" (by the layer's own rule), a number (all of them), "normal STD", "zero", or "gate" (see `Mix`)."""


def started(call: Call, start: str) -> Call:
    """A layer with its weights as `start` says; without a word from it as the identity, of what mixes nothing."""
    first, _, size = start.partition(" ")
    if start == "gate":
        return Call("start_normal", (call, 1e-6), (("bias", 1.0),))
    if first == "normal":
        return Call("start_normal", (call, float(size)))
    if start in ("", "1"):
        return Call("start_at", (call,))
    return Call("start_at", (call, 0.0 if start == "zero" else float(start)))


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

STARTS = START_AT, START_NORMAL
"""The helpers of what `started` makes."""
