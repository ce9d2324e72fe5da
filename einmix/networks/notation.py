"""How nodes are written: as JSON values and back, and as EinMix calls."""

from functools import cache, lru_cache
from typing import Any

from einmix import kinds
from einmix.algebra.mixer import Mixer
from einmix.algebra.reading import layout_of, read_turned
from einmix.errors import PatternError
from einmix.kinds import Mix, Residual, Shuffle
from einmix.nodes.fields import values_of
from einmix.nodes.node import Body, Leaf, Node, Sequence, Tree


def to_value(node: Node) -> Any:
    """A node as a JSON value: a text, a list for a residual, else an object from its text to its branches."""
    if isinstance(node, Residual):
        return list(map(to_value, node.body))
    if isinstance(node, Tree):
        return {node.text: [list(map(to_value, branch)) for branch in node.branches]}
    return node.text


def from_value(value: Any) -> Node:
    """The node that `to_value` wrote. Raises PatternError for everything else."""
    if isinstance(value, str):
        return _leaf(value, kinds.KINDS)
    if isinstance(value, list):
        return Residual(tuple(map(from_value, value)))
    if isinstance(value, dict) and len(value) == 1:
        ((text, branches),) = value.items()
        if isinstance(text, str) and isinstance(branches, list) and all(isinstance(each, list) for each in branches):
            return _tree(text, tuple(tuple(map(from_value, branch)) for branch in branches))
    raise _no_node(value)


def read_nodes(
    pattern: str, weight_shape: str, bias_shape: str | None = None, *, ellipsis: str | None = None, **sizes: int
) -> Sequence:
    """The nodes of an EinMix call: its mixer, and a shuffle behind it where the call turns its channels as well.

    >>> [node.text for node in read_nodes("b t (g c) -> b t (c g)", "g", t=5, g=2, c=3)]
    ['mix t=s5 c=g2.s3', 'shuffle 2']

    Raises PatternError for what is not exactly this pair.
    """
    reading, groups = read_turned(layout_of(pattern, weight_shape, bias_shape, ellipsis, sizes))
    return (Mix(Mixer(*reading)), *(Shuffle(groups) for _ in range(groups > 0)))


def _no_node(value: Any, hint: str = "") -> PatternError:
    return PatternError(f"{str(value)[:80]!r} is no node", hint=hint or _known())


def _known() -> str:
    """What nodes are written like, for messages."""
    written = {kind: kind.usage or kind.kind for kind in kinds.KINDS if kind is not Residual}
    leaves = ", ".join(usage for kind, usage in written.items() if issubclass(kind, Leaf))
    trees = ", ".join(usage for kind, usage in written.items() if issubclass(kind, Tree))
    return f"known: {leaves}; a list for a residual; objects with {trees}"


@cache
def _by_word(known: tuple[type[Node], ...]) -> dict[str, type[Node]]:
    return {word: kind for kind in known if kind is not Residual for word in kind.words or (kind.kind,)}


@lru_cache(maxsize=4096)
def _leaf(text: str, known: tuple[type[Node], ...]) -> Node:
    """The layer of this text; networks have the same few many times."""
    head, options = _words(text)
    kind = _by_word(known).get(head.partition(" ")[0])
    if kind is None or not issubclass(kind, Leaf):
        raise _no_node(text)
    return _as_written(text, kind, head, options)


def _tree(text: str, branches: tuple[Sequence, ...]) -> Node:
    head, options = _words(text)
    kind = _by_word(kinds.KINDS).get(head.partition(" ")[0])
    if kind is None or not issubclass(kind, Tree) or (issubclass(kind, Body) and (len(branches) != 1 or options)):
        raise PatternError(f"{text[:80]!r} with {len(branches)} branches is no node", hint=_known())
    return _as_written(text, kind, head, options, branches[0] if issubclass(kind, Body) else branches)


def _words(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first semicolon, and the options after it."""
    head, *rest = text.split("; ")
    options = dict(option.partition(" ")[::2] for option in rest)
    if len(options) != len(rest):
        raise PatternError(f"{text[:80]!r} says something twice")
    return head, options


def _as_written(text: str, kind: Any, head: str, options: dict[str, str], *inside: Any) -> Node:
    """The node that is read, if it has this text and no other; `inside` is what stands in it."""
    try:
        node: Node = kind(*inside, **values_of(kind, head, options))
    except PatternError:
        raise
    except (TypeError, ValueError):  # an option that the kind does not have, a word that is no number
        raise _no_node(text) from None
    if node.text != text:
        raise _no_node(text, hint=f"it is written {node.text!r}")
    return node
