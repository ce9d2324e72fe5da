"""Texts of a page: results packed, values as JSON, Python with its keywords marked."""

from __future__ import annotations

import base64
import gzip
import io
import json
import keyword
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from nas.runs.result import Result

LARGEST = 900_000
"""Bytes of packed results; of more what takes most and tells least is left out, so that a page stays below 2 MB."""


def packed_results(results: Sequence[Result]) -> tuple[str, str]:
    """The results as JSON lines, packed, and in words what is left out of them so that the page stays small."""
    lines: list[dict[str, Any]] = [result.to_line() for result in results]
    told = []
    for without, words in (
        ((), ""),
        (("right", "traceback"), "which examples were right, tracebacks"),
        (("train_loss",), "training losses"),
        (("extra",), "versions and devices"),
    ):
        lines = [{name: value for name, value in line.items() if name not in without} for line in lines]
        told += [words] * bool(words)
        found = packed("".join(json.dumps(line) + "\n" for line in lines))
        if len(found) <= LARGEST * 4 / 3:
            break
    return found, ", ".join(told)


def packed(text: str) -> str:
    """A text as base64 of its gzip, which browsers can read; the same text is always packed alike."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def data(value: Any) -> Markup:
    """JSON as it may stand in a script element: nothing in it can end that."""
    return Markup(json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"))


def highlighted(text: str) -> Markup:
    """Python as HTML: keywords, texts and comments are marked."""
    lines, at, found = text.splitlines(keepends=True), (1, 0), []
    for (first, last), name in marked(text):
        found += [Markup.escape(between(lines, at, first)), Markup(f'<span class="{name}">')]
        found += [Markup.escape(between(lines, first, last)), Markup("</span>")]
        at = last
    return Markup("").join([*found, Markup.escape(between(lines, at, (len(lines) + 1, 0)))])


Place = tuple[int, int]


def marked(text: str) -> Iterator[tuple[tuple[Place, Place], str]]:
    """The places of a text that are marked, each with its class."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield (token.start, token.end), "co"
        elif token.type == tokenize.STRING:
            yield (token.start, token.end), "co" if token.string.startswith('"""') else "st"
        elif token.type == tokenize.NAME and keyword.iskeyword(token.string):
            yield (token.start, token.end), "kw"


def between(lines: Sequence[str], start: Place, end: Place) -> str:
    """What stands between two places (line from 1, column from 0)."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]] if start[0] <= len(lines) else ""
    first = lines[start[0] - 1][start[1] :] if start[0] <= len(lines) else ""
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return first + "".join(lines[start[0] : end[0] - 1]) + last
