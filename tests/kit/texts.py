"""Texts of networks, loaded and counted."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import torch

from einmix import (
    Architecture,
)


def images(arch: Architecture, count: int = 2) -> torch.Tensor:
    *axes, channels = [size for _, size in arch.inputs]
    return torch.randn(count, channels, *axes, generator=torch.Generator().manual_seed(1))


def loaded(text: str, folder: Path) -> ModuleType:
    """The text as a module that was imported from a file."""
    path = folder / "exported.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------------- reading it


def code_lines(text: str) -> list[str]:
    """Without the header, blank lines and comments."""
    end = text.index('"""', 3) + 3
    return [line for line in text[end:].splitlines() if line.strip() and not line.strip().startswith("#")]
