"""Activation: a function at every element."""

from dataclasses import dataclass
from typing import Annotated

from einmix.nodes.calls import Call
from einmix.nodes.fields import one_of
from einmix.nodes.node import Leaf, Step

FORMS = {"gelu": "GELU", "relu": "ReLU", "silu": "SiLU", "tanh": "Tanh"}
"""What torch calls them."""


@dataclass(frozen=True)
class Activation(Leaf):
    """A function at every element."""

    kind = "activation"
    words = tuple(FORMS)
    usage = ", ".join(FORMS)
    plain = True
    activates = True
    form: Annotated[str, one_of("activation", tuple(FORMS))] = "gelu"

    def emit(self, step: Step) -> list[Call]:
        return [Call(f"nn.{FORMS[self.form]}", elementwise=True)]
