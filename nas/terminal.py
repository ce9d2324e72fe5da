"""What commands share: options that several of them have, the console, JSON lines."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.errors import NasError
from search_spaces.blocks.patch import Patch, Sides

if TYPE_CHECKING:
    from rich.console import Console

RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Where runs are kept.")]
DataDir = Annotated[Path, typer.Option("--data-dir", help="Where data sets are found, or downloaded to.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines in place of a table.")]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="digits, fashion-mnist, cifar10, cifar100, mnist1d (1-D), volumes (3-D, synthetic), "
        "an image folder or an .npz file.",
    ),
]


def shape_of(data: str, data_dir: Path) -> tuple[dict[str, int], int, int]:
    """Shape, channels and classes of the data; those of the well-known sets without loading them."""
    from nas.data.known import SHAPES, load

    if data in SHAPES:
        return SHAPES[data]
    dataset = load(data, data_dir=data_dir, seed=0)
    return dataset.shape, dataset.channels, dataset.classes


def patch_of_text(text: str) -> Patch:
    """A patch as it is typed: 4, or a side for each axis as in 1x4x4. Raises NasError."""
    pieces = text.strip().split("x")
    if not all(piece.isascii() and piece.isdigit() and len(piece) < 10 and int(piece) for piece in pieces):
        raise NasError(f"--patch takes a whole number, or one for each axis as in 1x4x4, not {text!r}")
    found = [int(piece) for piece in pieces]
    return found[0] if len(found) == 1 else Sides(found)


def typed() -> str:
    """The command line, as it can be typed again."""
    return shlex.join(["nas", *sys.argv[1:]])


def console_for(*, stderr: bool = False) -> Console:
    """Where tables and progress are printed."""
    from rich.console import Console

    # a pipe or a file has no width: tables are then as wide as they need to be read
    return Console(stderr=stderr, width=None if (sys.stderr if stderr else sys.stdout).isatty() else 140)


def print_words(console: Console, text: str, *, style: str = "") -> None:
    """A sentence: broken between words on a terminal, so that no figure is cut; one line in a file."""
    console.print(text, highlight=False, markup=False, style=style, soft_wrap=not console.is_terminal)


def print_json(value: dict[str, Any]) -> None:
    """One line, strict JSON."""
    print(json.dumps(value, allow_nan=False))
