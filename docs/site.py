"""Beside mkdocs.yml: the README is the front page, pages that are named are links, examples in docstrings are code."""

import re
from pathlib import Path
from typing import Any

from griffe import Docstring, Extension, Object
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=text.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown: str, files: Files, **_: Any) -> str:
    """Pages that are named as `docs/NAME.md` become links to them."""
    return re.sub(
        r"`docs/(\w+\.md)`(?!\])",
        lambda named: f"[{named[0]}]({named[1]})" if files.get_file_from_path(named[1]) else named[0],
        markdown,
    )


class Doctests(Extension):
    """Examples in docstrings, from `>>>` to the next empty line, are code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            text = re.sub(r"(?ms)^( *)(>>> .*?)(?=^ *$|\Z)", r"\1```python\n\1\2\n\1```\n", obj.docstring.value)
            obj.docstring = Docstring(text, parent=obj)
