"""What a function did with tensors, as a function that does it again: without autograd, modules or repeated views."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nas.training.engine.copies import copier

aten = torch.ops.aten
BOUND: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: torch.add,
    aten.addmm.default: torch.addmm,
    aten.baddbmm.default: torch.baddbmm,
    aten.bmm.default: torch.bmm,
    aten.clone.default: torch.clone,
    aten.gelu.default: torch._C._nn.gelu,
    aten.mm.default: torch.mm,
    aten.mul.Tensor: torch.mul,
    aten.native_layer_norm.default: torch.native_layer_norm,
    aten.sum.dim_IntList: torch.sum,
}
"""What torch calls in Python in half the time, a microsecond or two: the operators of which a step has many."""


def _gelu_backward(slope: Tensor, x: Tensor) -> Tensor:
    found: Tensor = aten.gelu_backward.grad_input(slope, x, grad_input=slope)
    return found


def _product_then_bias(bias: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`torch.addmm` with the bias added once: torch writes it into the result before, and reads it in the product."""
    return torch.mm(x, y).add_(bias)


IN_PLACE: dict[Any, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    aten.add.Tensor: (Tensor.add_, 2),
    aten.mul.Tensor: (Tensor.mul_, 2),
    aten.gelu_backward.default: (_gelu_backward, 1),
}
"""What writes the result over an operand that nobody needs any more, and over how many of both it can."""

Call = tuple[Any, tuple[Any, ...], dict[str, Any], Any]
"""An operator, what it was given, and what it gave."""


def record(function: Callable[..., Any], *inputs: Tensor) -> tuple[Any, Callable[..., Any] | None]:
    """Calls a function of tensors: what it returns, and what does the same with inputs that are laid out as those.

    The function has to do the same operators whatever the numbers are, as forward and backward passes of a network
    do, and to keep nothing in Python. What it took from elsewhere, such as weights, is taken from the same memory
    again; random numbers are drawn anew. Views are made once where they are of such memory, and each at most once a
    call; what is not needed any more is freed or written over. Nothing comes in the second place where the function
    read a number, or a shape that hangs on numbers, or one memory as two types, or where inputs are parts of memory.
    """
    with _Watch() as watch:
        result = function(*inputs)
    own = all(each.untyped_storage().nbytes() == each.nbytes for each in inputs)
    return result, _Writer(watch.calls, inputs).function(result) if watch.is_alike and own else None


NUMBERS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class _Watch(TorchDispatchMode):
    """Notes all operators below autograd, of forward and backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.is_alike = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else this class imports torch's compiler, which takes a second and a half

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        masks = any(each.dtype in (torch.bool, torch.uint8) for each in _tensors(args[1:]))
        by_numbers = masks if func is aten.index.Tensor else bool(NUMBERS & {*func.tags})
        self.is_alike &= not by_numbers and func is not aten.view.dtype
        return result


@dataclass
class _Line:
    """`made = text`, of which `used` are names; `places` are other texts of it, by the name that they write over."""

    made: list[str]
    text: str
    used: list[str]
    places: dict[str, str] = field(default_factory=dict)


class _Writer:
    """Writes what operators did as the lines of a function; all that they gave is alive until then."""

    def __init__(
        self, calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]], inputs: tuple[Tensor, ...]
    ) -> None:
        self._outside: dict[str, Any] = {}  # what a call takes from elsewhere, by name
        self._kept: dict[int, str] = {}
        self._memory: dict[int, tuple[str, Tensor]] = {}  # what is made in a call: its name there
        self._views: dict[Any, str] = {}
        self._owners: dict[str, int] = {}  # the memory behind a name
        self._lines: list[_Line] = []
        self._inputs = [self._make(each) for each in inputs]
        for call in calls:
            self._add(*call)

    def function(self, result: Any) -> Callable[..., Any]:
        """The function, which returns what stands now in a result."""
        used: list[str] = []
        returned = self._text(result, used)
        body = "\n    ".join([*self._written(used), f"return {returned}"])
        exec(f"def again({', '.join(self._inputs)}):\n    {body}", self._outside)
        again: Callable[..., Any] = self._outside.pop("again")  # its globals, which would keep it alive
        return again

    def _add(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A line for an operator, unless all that it gave are views: those are made where they are used."""
        before = {_place(each) for each in _tensors([args, kwargs])}
        results = result if isinstance(result, (tuple, list)) else [result]
        if not func._schema.is_mutable and all(_place(each) in before for each in _tensors(results)):
            return
        used: list[str] = []
        texts = [self._text(each, used) for each in args]
        if func is aten.addmm.default and not kwargs and torch.equal(_product_then_bias(*args), result):
            func = _product_then_bias  # the same bits, unless the product sums too many numbers for one pass
        named = [f"{name}={self._text(each, used)}" for name, each in kwargs.items()]
        text = f"{self._keep(BOUND.get(func, func))}({', '.join([*texts, *named])})"
        if func is aten.clone.default and kwargs.get("memory_format") is torch.contiguous_format:
            (x,) = args
            memory = x.untyped_storage().nbytes() // x.itemsize
            if copy := copier(_layout(x), x.dtype, memory):
                text = f"{self._keep(copy)}({texts[0]})"
        line = _Line([], text, used)
        if func in IN_PLACE and not named and len({self._owners.get(name) for name in used}) == 2:
            write, most = IN_PLACE[func]
            for one, other in ((0, 1), (1, 0))[:most]:
                if self._is_free(args[one], result):
                    line.places[texts[one]] = f"{self._keep(write)}({texts[one]}, {texts[other]})"
        is_new = [isinstance(each, Tensor) and _place(each) not in before for each in results]
        line.made = [self._make(each) if new else "_" for each, new in zip(results, is_new, strict=True)]
        if results is result and len(results) == 1:
            line.made.append("*_")
        self._lines.append(line)

    def _is_free(self, operand: Tensor, result: Tensor) -> bool:
        """Whether an operand is all of some memory that the call makes, and the result could lie there as it does."""
        laid_out = [(each.shape, each.stride(), each.dtype) for each in (operand, result)]
        name, _ = self._memory.get(_place(operand), (self._inputs[0], None))
        return (
            name not in self._inputs
            and laid_out[0] == laid_out[1]
            and operand.untyped_storage().nbytes() == operand.nbytes
        )

    def _make(self, tensor: Tensor) -> str:
        """A name for what is made in a call."""
        name = f"m{len(self._memory)}"
        self._memory[_place(tensor)] = name, tensor
        self._owners[name] = _place(tensor)
        return name

    def _keep(self, value: Any) -> str:
        """The name of a function, or of what is no number."""
        if id(value) not in self._kept:
            self._kept[id(value)] = name = f"k{len(self._kept)}"
            self._outside[name] = value
        return self._kept[id(value)]

    def _text(self, value: Any, used: list[str]) -> str:
        """How an argument is written; names that it takes from the call are added to `used`."""
        if isinstance(value, Tensor):
            found = self._tensor(value)
            used.extend([found] if found in self._owners else [])
            return found
        if isinstance(value, (tuple, list)):
            return f"[{', '.join(self._text(each, used) for each in value)}]"
        plain = (
            value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))
        )
        return repr(value) if plain else self._keep(value)

    def _tensor(self, tensor: Tensor) -> str:
        """The name of a tensor: of memory of before, of what a call makes, or of a view of that."""
        place = _place(tensor)
        if place not in self._memory:
            key = place, tensor.dtype, _layout(tensor)
            if key not in self._views:
                self._views[key] = self._keep(tensor.detach())
            return self._views[key]
        name, whole = self._memory[place]
        if _layout(tensor) == _layout(whole):
            return name
        key = place, tensor.dtype, _layout(tensor)
        if key not in self._views:
            self._views[key] = view = f"v{len(self._views)}"
            self._owners[view] = place
            self._lines.append(_Line([view], f"{name}.as_strided{_layout(tensor)}", [name]))
        return self._views[key]

    def _written(self, returned: list[str]) -> Iterator[str]:
        """The lines, with what is needed no more freed after each."""
        last: dict[str, int] = {}
        for i, line in enumerate(self._lines):
            last |= dict.fromkeys([*line.made, *line.used], i)
        last |= dict.fromkeys(returned, len(self._lines))
        needed: dict[int, int] = {}
        for name, owner in self._owners.items():
            needed[owner] = max(needed.get(owner, -1), last.get(name, -1))
        for i, line in enumerate(self._lines):
            free = [text for name, text in line.places.items() if needed[self._owners[name]] == i]
            ended = [
                name for name in dict.fromkeys([*line.used, *line.made]) if last[name] == i and name in self._owners
            ]
            yield f"{', '.join(line.made)} = {(free or [line.text])[0]}" + (
                f"; del {', '.join(ended)}" if ended else ""
            )


def _place(tensor: Tensor) -> int:
    """What tensors share that lie in the same memory."""
    return tensor.untyped_storage()._cdata


def _layout(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    return tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of an operator's arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors([*value.values()])
