"""What a network's text is written in: torch, or another framework that has its own words for the same calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from einmix.errors import PatternError
from einmix.nodes.calls import Call


@dataclass(frozen=True)
class Framework:
    """How a framework says what nodes become, which is told in calls of torch.

    `words` make its call of one of torch's, by the name of that; what stands in a call is already its own. `helpers`
    are the sources of small layers by their names. `imports` are lines, each with an expression for what calls for it,
    and `einops` is the module of einops' layers, if it has them. A layer is called `layer` in annotations; a model
    stands between the two texts of `sequence`; `main` is what a file that is run does, `{shape}` that of an input.
    """

    name: str
    layer: str
    imports: tuple[tuple[str, str], ...]
    einops: str
    sequence: tuple[str, str]
    main: str
    words: Mapping[str, Callable[[Call], Call]] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)

    def call(self, call: Call) -> Call:
        """A call of torch's in the words of this framework. Raises PatternError where it has none."""
        if self is TORCH:
            return call
        if call.name not in self.words:
            hint = f"its words are those of einmix/frameworks/{self.name}.py"
            raise PatternError(f"{self.name} has no {call.name}: this network cannot be written for it", hint=hint)
        inner = tuple(self.call(each) if isinstance(each, Call) else each for each in call.args)
        return replace(self.words[call.name](replace(call, args=inner)), mixer=call.mixer)


TORCH = Framework(
    name="torch",
    layer="nn.Module",
    imports=(("import torch", r"torch\."), ("from torch import nn", "")),
    einops="einops.layers.torch",
    sequence=("nn.Sequential(", ")"),
    main="""\
    net = model()
    print(net, sum(p.numel() for p in net.parameters()), "parameters")
""",
)
