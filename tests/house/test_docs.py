"""The documents name files that exist. docs/log.md and CHANGELOG.md tell of what was, and are left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "runs/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "log.md")
)


def missing(text: str) -> list[str]:
    """The files and folders of this repository that a text names, that are not there and that it does not write."""
    named = set(re.findall(r"(?<![\w./-])(?:einmix|search_spaces|nas|tests|benchmarks|docs)/[\w./-]*\w", text))
    written = set(re.findall(r"the\s+whole\s+of\s+`([^`]+)`", text))
    return sorted(path for path in named - written if not (ROOT / path).exists() and "NAME" not in path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_a_document_names_exist(name: str) -> None:
    assert missing((ROOT / name).read_text(encoding="utf-8")) == []


def test_a_file_that_is_gone_is_found() -> None:
    text = "see `nas/no_such.py`, nas/cli/NAME.py, tests/house/test_docs.py. This is the whole of `nas/new.py`: …"
    assert missing(text) == ["nas/no_such.py"]
