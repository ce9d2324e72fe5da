"""The fields of nodes: what each may be, and how it stands in a text."""

from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, NamedTuple, get_origin, get_type_hints

from einmix.algebra.factors import MAX_SIZE
from einmix.errors import PatternError, shown


@dataclass(frozen=True)
class Form:
    """What a field may be, and how it stands in a text; where nothing is said, it is a text, as it is."""

    check: Callable[[Any, str], Any] = lambda value, name: value
    """A value as it is kept. Raises PatternError where a field of this name cannot have it."""
    write: Callable[[Any], str] = str
    read: Callable[[str], Any] = str
    """The value that a text stands for, unchecked. Raises ValueError or PatternError where it stands for none."""
    always: bool = False
    """Whether it stands in the text of a node even where it is the default."""


def integer(least: int = 1, most: int = MAX_SIZE, *, always: bool = False) -> Form:
    """An integer from `least` to `most`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{text[:20]!r} is no whole number")
        return int(text[:10])

    return Form(lambda value, name: whole(value, name, most, least), read=read, always=always)


def decimal(least: float, most: float, called: str = "") -> Form:
    """A number from `least` to `most`; `called` is what messages call it, where that is not the field's name."""
    return Form(lambda value, name: real(value, called or name, least, most), number, float)


def one_of(what: str, known: Collection[str]) -> Form:
    """One of these words; `what` is what messages call it."""

    def check(value: Any, name: str) -> str:
        if value not in known:
            raise PatternError(f"no {what} {value!r}", hint=f"known: {', '.join(filter(None, known))}")
        return str(value)

    return Form(check)


def _bool(value: Any, name: str) -> bool:
    """Of two equal nodes that are written differently, sums would have an order each."""
    if type(value) is not bool:
        raise PatternError(f"{name} cannot be {shown(value)}", hint=f"True or False: in a text nothing, or {name} no")
    return value


def _moves(value: Any, name: str) -> Any:
    for _, by in value:
        whole(by, "a move", MAX_SIZE, -MAX_SIZE)
    return value


def _write_moves(value: Any) -> str:
    return " ".join(f"{axis}{by:+d}" for axis, by in value)


def _read_moves(text: str) -> Any:
    moves = []
    for word in text.split():
        at = max(word.rfind("+"), word.rfind("-"))
        if at < 1 or not word[at + 1 :].isdigit() or len(word) > at + 9:
            raise PatternError(f"{word[:20]!r} is no axis with a distance", hint="as in h+1 w-2")
        moves.append((word[:at], int(word[at:])))
    return tuple(moves)


def _read_move(text: str) -> Any:
    (move,) = _read_moves(text)
    return move


Move = Annotated[
    tuple[str, int],
    Form(lambda move, name: _moves((move,), name)[0], lambda move: _write_moves((move,)), _read_move),
]
"""A field: an axis and by how many positions something moves along it, `h+1`."""

Moves = Annotated[tuple[tuple[str, int], ...], Form(_moves, _write_moves, _read_moves)]
"""A field: several of these, `h+1 w-2`."""

_FORMS: dict[Any, Form] = {
    str: Form(),
    int: integer(),
    bool: Form(_bool, lambda value: "" if value else "no", lambda text: False if text == "no" else text),
}
"""What fields are that have a plain type."""


class Field(NamedTuple):
    name: str
    form: Form
    default: Any

    def said(self, node: Any) -> bool:
        """Whether it stands in the text of a node."""
        return self.form.always or getattr(node, self.name) != self.default

    def text(self, node: Any) -> str:
        return self.form.write(getattr(node, self.name))


@cache
def grammar(kind: Any) -> tuple[tuple[Field, ...], dict[str, Field]]:
    """The fields of a kind whose text is `head; option value; ...`: those of the head, and the keyword-only options.

    The head is the word and what one field says behind it. Raises TypeError where a kind cannot be written.
    """
    hints = get_type_hints(kind, include_extras=True)
    head, options = list[Field](), {}
    for each in fields(kind):
        if each.name in ("body", "branches"):  # what stands in a node stands beside its text
            continue
        hint = hints[each.name]
        form = hint.__metadata__[0] if get_origin(hint) is Annotated else _FORMS.get(hint)
        if form is None:
            raise TypeError(f"nothing says how {kind.__name__}.{each.name} is written: annotate it with a form")
        if each.kw_only:
            options[each.name] = Field(each.name, form, each.default)
        else:  # a word is said always
            head.append(Field(each.name, form, MISSING if kind.words and not head else each.default))
    if len(head) > 1 + bool(kind.words):
        raise TypeError(f"one field of {kind.__name__} may stand behind its word: make the others keyword-only")
    return tuple(head), options


def check(node: Any) -> None:
    """Every field as it is kept. Raises PatternError where one cannot be what it is."""
    head, options = grammar(node.__class__)
    for field in (*head, *options.values()):
        value = getattr(node, field.name)
        kept = field.form.check(value, field.name)
        if kept is not value:
            object.__setattr__(node, field.name, kept)


def text_of(node: Any) -> str:
    """A node as a text, without what stands in it."""
    head, options = grammar(node.__class__)
    words = [node.kind] * (not node.words) + [field.text(node) for field in head if field.said(node)]
    said = [f"{field.name} {field.text(node)}" for field in options.values() if field.said(node)]
    return "; ".join([" ".join(words), *said])


def values_of(kind: Any, text: str, options: dict[str, str]) -> dict[str, Any]:
    """The fields that make a node with this head and these options. Raises ValueError where the kind has none such."""
    head, known = grammar(kind)
    word, _, argument = text.partition(" ")
    if len(head) == bool(kind.words) and text != word:
        raise ValueError(f"nothing stands behind {word!r}")
    said = zip(head, [word, argument] if kind.words else [argument], strict=False)
    values = {field.name: field.form.read(each) for field, each in said if each or field.default is MISSING}
    if not options.keys() <= known.keys():
        raise ValueError(f"{kind.kind} has no such option")
    return values | {name: known[name].form.read(each) for name, each in options.items()}


def number(value: float) -> str:
    """A number as it stands in texts: in six digits where these read back as the same number, else in all it needs.

    >>> number(0.1), number(1e-5), number(0.1 / 7)
    ('0.1', '1e-05', '0.014285714285714287')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def real(value: Any, name: str, least: float, most: float) -> float:
    """The value as a float (of the two zeros the usual one), if it is from `least` to `most`; else PatternError."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        raise PatternError(f"{name} cannot be {shown(value)}", hint=f"a number from {least:g} to {most:g}")
    return float(value) + 0.0


def whole(value: Any, name: str, most: int = MAX_SIZE, least: int = 1) -> int:
    """The value, if it is an integer from `least` to `most`; else PatternError."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise PatternError(f"{name} cannot be {shown(value)}", hint=f"an integer from {least} to {most}")
    return value
