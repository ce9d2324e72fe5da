"""The tables of the repository are whole, and are those that docs/tables.md and their metadata say."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from nas.tabular.datasheet import croissant
from nas.tabular.declared import declared
from nas.tabular.table import Table

ROOT = Path(__file__).parents[3]
TABLES = sorted((ROOT / "runs" / "tables").glob("*.parquet"))
PAGE = (ROOT / "docs" / "tables.md").read_text()
MEGABYTES = 10


@pytest.fixture(scope="module", params=TABLES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_are_some():
    assert [path.stem for path in TABLES] == ["digits", "mnist1d"]


def test_nothing_is_missing_or_twice_or_another_networks(path: Path):
    """Ids, parameters and multiply-accumulates are worked out anew from what the table is declared to be."""
    table = Table.read(path)
    assert table.faults() == []
    assert table.declared == declared(path.stem)
    assert table.rows.num_rows == len(table.networks) * len(table.declared.rates) * len(table.declared.seeds)


def test_metadata_are_what_is_made_of_it_today(path: Path):
    assert json.loads(path.with_suffix(".json").read_text()) == croissant(Table.read(path), path)


def test_sizes_are_those_that_are_told(path: Path):
    sizes = Table.read(path).sizes
    told = " | ".join(f"{sizes[part]:,}" for part in ("train", "validation", "judge", "test"))
    assert f"\n| `{path.stem}` | {told} |" in PAGE


def test_digests_are_those_that_are_told(path: Path):
    digest = sha256(path.read_bytes()).hexdigest()
    (file,) = json.loads(path.with_suffix(".json").read_text())["distribution"]
    assert digest == file["sha256"] and f"{path.stat().st_size} B" == file["contentSize"]
    assert re.search(rf"^\| `{path.stem}` .*`{digest}`", PAGE, re.M) and path.stat().st_size < MEGABYTES * 1e6


@pytest.mark.parametrize("name", ["table", "bits"])
def test_what_the_page_computes(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    (code,) = re.findall(rf"```python\n# {name}.py\n(.*?)```", PAGE, re.S)
    monkeypatch.chdir(ROOT)
    exec(compile(code, f"{name}.py", "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
