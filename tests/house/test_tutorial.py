"""docs/tutorial.ipynb runs from its first cell to its last, and has pictures where its words say so."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.ipynb"


def outputs(notebook: nbformat.NotebookNode) -> list[set[str]]:
    """The kinds of outputs of every cell with code: those of its data, or `stream`."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [
        {kind for each in cell["outputs"] for kind in each.get("data", {"stream": ""}) if kind != "text/plain"}
        for cell in cells
    ]


@pytest.mark.outside
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(PAGE, as_version=4)
    kept = outputs(notebook)
    kernel = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources=kernel).execute()
    assert outputs(notebook) == kept


def test_its_outputs_are_kept() -> None:
    kept = outputs(nbformat.read(PAGE, as_version=4))
    assert len(kept) > 10 and all(kept)
    assert sum("image/svg+xml" in kinds for kinds in kept) >= 2 and sum("text/html" in kinds for kinds in kept) >= 3
