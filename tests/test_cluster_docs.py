"""docs/cluster.md is true as far as one machine can tell: its files are valid, its commands and their options exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from nas.cli import app

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "cluster.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
SLURM = (DOCS / "cluster" / "slurm.sh").read_text(encoding="utf-8")
RAY_UP = DOCS / "cluster" / "ray-up.yaml"
MANIFESTS = DOCS / "cluster" / "kuberay.yaml"


def read_yaml(path: Path) -> list[Any]:
    yaml = pytest.importorskip("yaml", reason="Ray, which brings PyYAML, is not installed")
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def commands(text: str, *names: str) -> list[list[str]]:
    """The calls of these programs in a shell script, as words, also those in quotes and behind other programs."""
    text = "\n".join(line.partition(" #")[0] for line in text.replace("\\\n", " ").splitlines())
    found = []
    for line in re.split(r"\n|&&|;|(?<!\d)>|\bsrun\b|--(?= nas )", text):
        match = re.search(rf"(?:^|[\s'\"/])({'|'.join(names)}) [^'\"`]+", line)
        if match and not line.lstrip().startswith(("#", "pip", "echo")):
            quoted = line[match.start(1) - 1 : match.start(1)] in ("'", '"')
            found.append(shlex.split(match[0].lstrip("'\"/ ") if quoted else line[match.start(1) :].rstrip("& ")))
    return found
