"""run.json: what a run was made with, written, read and compared."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.runs.files import read_plain, telling, write_whole
from nas.runs.result import read_object, take

_FORMAT = 1


def read_run(path: Path) -> dict[str, Any]:
    """What run.json says, checked."""
    with telling(f"read {path}"):
        data = read_plain(path)
    try:
        content = read_object(data)
        if take(content, "format", "an integer") != _FORMAT:
            raise ValueError(f"of format {content['format']}, this version of nas reads {_FORMAT}")
        take(content, "settings", "an object")
        datetime.fromisoformat(take(content, "created", "a text"))
    except ValueError as error:
        raise NasError(f"{path} is damaged or from another version: {error}") from error
    return content


def create_run(path: Path, settings: dict[str, Any]) -> None:
    """Writes run.json of a run that is made now."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_object(path, {"format": _FORMAT, "created": created, "settings": settings})


def write_object(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON object, whole or not at all."""
    write_whole(path, json.dumps(value, indent=2).encode() + b"\n")


def differing(made: dict[str, Any], asked: dict[str, Any], may_differ: Collection[str]) -> list[str]:
    """What of the settings asked for is different from those that a run was made with, in words."""
    mine, others = (
        _flat({name: value for name, value in all.items() if name not in may_differ}) for all in (made, asked)
    )
    unset = "(unset)"
    return [
        f"{name}={mine.get(name, unset)}, not {others.get(name, unset)}"
        for name in others | mine
        if mine.get(name, unset) != others.get(name, unset) and name not in may_differ
    ]


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and short texts: {"recipe": {"epochs": 4}} is {"recipe.epochs": "4"}."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: repr(value)}
    return flat


PACKAGE = "einmix-nas"
"""This program's own name among packages."""


def versions() -> dict[str, str]:
    """Of the packages that decide what a training gives; "unknown" for one that is run without being installed."""
    return {name: _version(name) for name in (PACKAGE, "torch", "einops", "optuna")}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
