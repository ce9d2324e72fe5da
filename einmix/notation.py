"""Nodes as JSON values, and back."""

from __future__ import annotations

from typing import Any

from einmix.algebra.mixer import Mixer
from einmix.errors import PatternError
from einmix.nodes import (
    Activation,
    Concat,
    Conv,
    Drop,
    Dynamic,
    Gate,
    Leaf,
    Linear,
    Mix,
    Node,
    Norm,
    Residual,
    Reweight,
    Sequence,
    Shift,
    Shuffle,
    Split,
    Sum,
    Tree,
    Unfold,
    Wrap,
    missing,
)


def to_value(node: Node) -> Any:
    """A node as a JSON value: a text, a list for a residual, else an object from its text to its branches."""
    if isinstance(node, Residual):
        return [to_value(inner) for inner in node.body]
    if isinstance(node, Tree):
        return {node.text: [[to_value(inner) for inner in branch] for branch in node.branches]}
    if not isinstance(node, Leaf):
        raise missing(node, "text")
    return node.text


def from_value(value: Any) -> Node:
    """The node that `to_value` wrote. Raises PatternError for everything else."""
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, list):
        return Residual(tuple(map(from_value, value)))
    if isinstance(value, dict) and len(value) == 1:
        ((text, branches),) = value.items()
        if isinstance(text, str) and isinstance(branches, list) and all(isinstance(each, list) for each in branches):
            return _read(text, tuple(tuple(map(from_value, branch)) for branch in branches))
    raise _no_node(value)


def _no_node(value: Any, hint: str = "") -> PatternError:
    return PatternError(f"{str(value)[:80]!r} is no node", hint=hint or _KNOWN)


_PARALLEL: dict[str, Any] = {kind.kind: kind for kind in (Sum, Concat, Split)}
_KNOWN = (
    "known: mix MIXER, linear OUT, norm, gelu, relu, silu, tanh, dropout P, droppath P, shift, shuffle, conv, unfold, "
    "wrap, dynamic; a list for a residual; objects with sum, concat, split, reweight, gate"
)


def _read(text: str, branches: tuple[Sequence, ...] | None = None) -> Node:
    """The node of this text, with these branches if it is one that has branches."""
    try:
        node = _leaf(text) if branches is None else _tree(text, branches)
    except PatternError:
        raise
    except (TypeError, ValueError):  # an option that the kind does not have, a word that is no number
        raise _no_node(text) from None
    if node.text != text:
        raise _no_node(text, hint=f"it is written {node.text!r}")
    return node


def _tree(text: str, branches: tuple[Sequence, ...]) -> Node:
    kind, options = _read_words(text)
    if kind == Gate.kind and len(branches) == 1 and not options:
        return Gate(*branches)
    if kind == Reweight.kind:
        return Reweight(branches, **{name: _whole(value) for name, value in options.items()})
    if kind in _PARALLEL:
        return _PARALLEL[kind](branches, **options)
    raise PatternError(f"{text[:80]!r} with {len(branches)} branches is no node", hint=_KNOWN)


def _leaf(text: str) -> Node:
    head, options = _read_words(text)
    kind, _, argument = head.partition(" ")
    bias: dict[str, Any] = {"bias": False} if options.get("bias") == "no" and options.pop("bias") else {}
    node: Node
    if kind == Mix.kind:
        node = Mix(Mixer.parse(argument), **options)
    elif kind == Linear.kind:
        node = Linear(_whole(argument), **bias | options)
    elif kind == Norm.kind:
        node = Norm(argument or "layer", **{name: float(value) for name, value in options.items()})
    elif kind in ("dropout", "droppath"):
        node = Drop(kind, float(argument), **options)
    elif kind == Shift.kind:
        node = Shift(_moves(argument), **options)
    elif kind == Wrap.kind:
        ((axis, by),) = _moves(argument)
        node = Wrap(axis, by, **{name: _whole(value) for name, value in options.items()})
    elif kind == Dynamic.kind:
        node = Dynamic(argument, **{name: _whole(value) for name, value in options.items()})
    elif kind in (Conv.kind, Unfold.kind, Shuffle.kind):
        numbers = {name: _whole(value) for name, value in options.items()}
        node = {"conv": Conv, "unfold": Unfold, "shuffle": Shuffle}[kind](_whole(argument), **bias, **numbers)
    elif text in Activation.FORMS:
        node = Activation(text)
    else:
        raise _no_node(text)
    return node


def _read_words(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first semicolon, and the options after it."""
    head, *options = text.split("; ")
    pairs = dict(option.partition(" ")[::2] for option in options)
    if len(pairs) != len(options):
        raise PatternError(f"{text[:80]!r} says something twice")
    return head, pairs


def _moves(text: str) -> tuple[tuple[str, int], ...]:
    """`h+1 w-2` as pairs."""
    moves = []
    for word in text.split():
        at = max(word.rfind("+"), word.rfind("-"))
        if at < 1 or not word[at + 1 :].isdigit() or len(word) > at + 9:
            raise PatternError(f"{word[:20]!r} is no axis with a distance", hint="as in h+1 w-2")
        moves.append((word[:at], int(word[at:])))
    return tuple(moves)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text[:20]!r} is no whole number")
    return int(text[:10])
