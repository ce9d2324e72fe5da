"""Words that frameworks share: how calls of torch become theirs."""

from collections.abc import Callable, Mapping
from typing import Any

from einmix.nodes.calls import Call

Word = Callable[[Call], Call]


def as_it_is(call: Call) -> Call:
    """The same."""
    return call


def called(name: str) -> Word:
    """The same by another name."""
    return lambda call: Call(name, call.args, call.named)


def listed(name: str) -> Word:
    """What stands in it as a list."""
    return lambda call: Call(name, call.args, listed=True)


def branches_listed(call: Call) -> Call:
    """Two sizes as they are, then branches as a list."""
    return Call(call.name, (*call.args[:2], Call("", call.args[2:], listed=True)))


def inner(call: Call) -> Call:
    """The layer without how its weights start: they are read from a file, or start by the framework's own rules."""
    layer = call.args[0]
    assert isinstance(layer, Call)
    return layer


def frozen(call: Call) -> Call:
    """A mixer whose weights stay."""
    layer = inner(call)
    return Call("Frozen", layer.args, layer.named)


def tied(call: Call) -> Call:
    """A mixer whose weights are tied over mixed axes of these lengths."""
    layer = inner(call)
    return Call("Tied", layer.args, (*layer.named, ("lengths", call.args[1:]), *call.named))


def dense(name: str) -> Word:
    """A linear layer, which learns its inputs from what it is given."""
    return lambda call: Call(name, call.args[1:], renamed(call, {"bias": "use_bias"}))


def norm(name: str, **more: Any) -> Word:
    """A norm, which learns its channels from what it is given."""
    return lambda call: Call(name, call.args[:-1], (("epsilon", dict(call.named).get("eps", 1e-5)), *more.items()))


def renamed(call: Call, names: Mapping[str, str], **defaults: Any) -> tuple[tuple[str, Any], ...]:
    """The options of a call that are in a table, by the names there and in its order."""
    options = defaults | dict(call.named)
    return tuple((name, options[theirs]) for theirs, name in names.items() if theirs in options)
