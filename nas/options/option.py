"""How an option is declared: a field of a frozen dataclass, with its help, its limits and what a run keeps of it."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from nas.errors import NasError, nearest, one_line

WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "True or False"}
"""What is expected of an option of such a type."""


@dataclass(frozen=True)
class Option:
    """What there is to an option beside its name, its type and its default.

    A number is of at least `least` and at most `most`, or of more than `above`; of a tuple every part is. What run.json
    keeps of it is said by `run`: its value, as a part of "what" a run is or of "how" it was made, which may change; or
    the name of the setting that it became a part of, such as "recipe"; None is for what belongs to no run. It is typed
    after `metavar`; without a help it can be asked for from Python only.
    """

    help: str = ""
    _: KW_ONLY
    least: float = -inf
    most: float = inf
    above: float = -inf
    run: str | None = None
    metavar: str | None = None

    @property
    def limits(self) -> str:
        """What is expected of a number, in words; nothing is of one without limits.

        >>> Option("Seeds.", least=1, most=999).limits, Option("Minutes.", above=0).limits
        ('1 to 999', 'more than 0')
        """
        if self.most < inf:
            return f"{self.least} to {self.most}"
        words = {"at least": self.least, "more than": self.above}
        return " ".join(f"{word} {limit}" for word, limit in words.items() if limit > -inf)

    def admits(self, value: float) -> bool:
        """Whether a value is within the limits; NaN is not."""
        return not self.limits or (self.least <= value <= self.most and value > self.above)


def option(default: Any, what: str | Option, **more: Any) -> Any:
    """A field of `Options`: its default, and its option or the help of it and what more `Option` takes."""
    return field(default=default, metadata={"option": what if isinstance(what, Option) else Option(what, **more)})


@dataclass(frozen=True)
class Options:
    """What can be asked of a command, or of the function of its name. None (or nothing) leaves it to others.

    Raises NasError for a value outside of its option's limits.
    """

    FACTS: ClassVar[tuple[str, ...]] = ()
    """What else run.json keeps of how a run was made."""

    def __new__(cls, *values: Any, **named: Any) -> Self:
        asked = super().__new__(cls)
        object.__setattr__(asked, "_named", {*named, *list(declared(cls))[: len(values)]})
        return asked

    def __post_init__(self) -> None:
        for name, (kind, option) in declared(type(self)).items():
            value = getattr(self, name)
            for each in value if isinstance(value, tuple) else [value]:
                if isinstance(each, int | float) and not option.admits(each):
                    shown = f"{each:g}" if isinstance(each, float) else each
                    raise NasError(f"{flag(name)} is {shown}; {option.limits} is expected")
            if get_origin(kind) is Literal and value not in get_args(kind):
                raise NasError(f"no {flag(name)} {value!r}: {nearest(str(value), get_args(kind))}")

    @classmethod
    def of(cls, named: Mapping[str, Any], asked: Self | None = None) -> Self:
        """Options as a call in Python names them: one value or a list where there may be several, paths as texts.

        None is as if it were not named; what is not is as it was `asked`. Raises NasError for an option or a type that
        is none.
        """
        if asked is not None and not isinstance(asked, cls):
            raise NasError(f"{asked!r} is no options.{cls.__name__}: write the name of each option, as in seeds=3")
        known = declared(cls)
        if unknown := sorted(named.keys() - known.keys()):
            raise NasError(f"no option {unknown[0]!r}: {nearest(unknown[0], known)}")
        values = (asked.given if asked else {}) | {name: value for name, value in named.items() if value is not None}
        return cls(**{name: _fitting(name, value, known[name][0]) for name, value in values.items()})

    @property
    def given(self) -> dict[str, Any]:
        """The options that were named, in their order; the others have their defaults. None names nothing."""
        values = {name: getattr(self, name) for name in declared(type(self)) if name in vars(self)["_named"]}
        return {name: value for name, value in values.items() if value is not None}

    def kept(self, run: str) -> dict[str, Any]:
        """The options that run.json keeps as they are, as JSON values: those of "what" a run is, or of "how"."""
        return {name: _plain(getattr(self, name)) for name in marked(type(self), run)}

    @classmethod
    def may_differ(cls) -> set[str]:
        """The settings in run.json with which a run can go on although they have changed."""
        return {*marked(cls, "how"), *cls.FACTS}


def declared(options: type[Options]) -> Mapping[str, tuple[Any, Option]]:
    """The options of a class by name, in their order, each with its type."""
    hints = get_type_hints(options)
    return {each.name: (hints[each.name], each.metadata["option"]) for each in fields(options)}


def marked(options: type[Options], run: str) -> list[str]:
    """The names of the options of which a run keeps this."""
    return [name for name, (_, option) in declared(options).items() if option.run == run]


def flag(name: str) -> str:
    """An option's name as it is typed.

    >>> flag("max_params")
    '--max-params'
    """
    return f"--{name.replace('_', '-')}"


def _fitting(name: str, value: Any, kind: Any) -> Any:
    """A value as an option of such a type has it."""
    if get_origin(kind) is tuple:
        return tuple(value) if isinstance(value, list | tuple) else (value,)
    kinds = get_args(kind) or (kind,)
    if Path in kinds and isinstance(value, str):
        return Path(value)
    if str in kinds and isinstance(value, Path):
        return str(value)
    if kinds[0] in WORDS and not isinstance(value, (*kinds, int) if float in kinds else kinds):
        raise NasError(f"{flag(name)} is {one_line(repr(value))[:60]}; {WORDS[kinds[0]]} is expected")
    return value


def _plain(value: Any) -> Any:
    return str(value.resolve()) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
