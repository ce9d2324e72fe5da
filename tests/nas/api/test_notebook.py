"""A notebook, run by a real kernel: worker processes need no guard in it, and a run shows itself as a table."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

CELLS = (
    "import nas",
    """small = {"images": 100, "trials": 2, "epochs": 1, "top": 1, "seeds": 2, "lr": 0.02, "width": 4, "depth": 1}
run = nas.search(space="local", data="digits", run="first", workers=1, device="cpu", quiet=True, **small)
run""",
    """def trainer(job, report, data):
    return nas.Outcome("complete", (nas.Score(job.epochs, 0.5, 0.5),))
nas.search(data="digits", trainer=trainer, metric=nas.Metric("F1"), run="own", workers=1)""",
)


@pytest.mark.outside
def test_cells_need_no_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    kernel = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True, resources=kernel)
    client.execute()
    _, shown, refused = (cell["outputs"] for cell in notebook["cells"])
    (result,) = [output for output in shown if output["output_type"] == "execute_result"]
    assert "<table><caption>first</caption>" in result["data"]["text/html"]
    assert result["data"]["text/plain"].startswith("<Run first: 2 candidates, best ")
    (error,) = [output for output in refused if output["output_type"] == "error"]
    assert error["evalue"].startswith("worker processes import trainer= __main__.trainer, which is in no module")
