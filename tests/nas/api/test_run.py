"""The front door: `nas.search` and what can be done with its run, in this process and with real trainings."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from stubs import importing

import nas
import nas.api.run
from nas.api.rows import COLUMNS, csv_text, html, rows
from nas.errors import NasError
from nas.loop.rates import around, found_rate, losses_of
from nas.options.search import Search
from nas.runs.job import RANKED
from search_spaces import load

SMALL: dict[str, Any] = {
    "space": "local",
    "images": 200,
    "trials": 3,
    "epochs": 2,
    "top": 1,
    "seeds": 2,
    "lr": 0.02,
    "width": 8,
    "depth": [1],
    "workers": 0,
    "device": "cpu",
    "quiet": True,
}
RNG = np.random.default_rng(0)
Y = np.arange(120) % 2
X = RNG.normal(size=(120, 8, 8)) + Y[:, None, None]
ARRAYS = {name: value for name, value in SMALL.items() if name != "images"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nas.Run:
    return nas.search(**SMALL, runs_dir=str(tmp_path_factory.mktemp("runs")), run="first")


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory: pytest.TempPathFactory) -> nas.Run:
    return nas.search(data=(X, Y), run="arrays", runs_dir=tmp_path_factory.mktemp("runs"), **ARRAYS)


def test_the_door_is_open_and_light() -> None:
    program = (
        "import sys, nas; print(nas.__all__, [m for m in ('typing', 'numpy', 'torch', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-Sc", program], capture_output=True, text=True, env=importing(), check=True)
    assert done.stdout == f"{nas.__all__} []\n"
    assert {*nas.__all__, "options"} <= set(dir(nas))
    assert nas.options.Search is Search
    with pytest.raises(AttributeError, match="module 'nas' has no attribute 'serach'"):
        nas.serach  # noqa: B018


def test_a_run_is_what_was_found_the_best_first(run: nas.Run) -> None:
    assert (len(run), run.name, run.path.name) == (3, "first", "first")
    assert run.best == run.top(1)[0] == next(iter(run))
    assert run.top() == list(run)
    assert run.top(2) == list(run)[:2] and run.top(0) == []
    assert repr(run.best) == f"<Standing {run.best.title}: {run.best.accuracy:.1%} (n={run.best.n}), {run.best.state}>"
    with pytest.raises(NasError, match=r"^the top -1 of a run: a number from 0 on is expected$"):
        run.top(-1)
    assert {reference.label for reference in run.references} == {"full token mixing", "channels only", "shared local"}
    assert repr(run) == f"<Run first: 3 candidates, best {run.best.id} {run.best.accuracy:.1%} (n=2)>"


@pytest.mark.parametrize("named", [1, "1", lambda best: best.id, lambda best: best.id[:4], lambda best: best])
def test_a_network_has_a_rank_an_id_or_is_a_standing(named: Any, run: nas.Run) -> None:
    assert run[named(run.best) if callable(named) else named] == run.best


@pytest.mark.parametrize("named", [0, 4, -1, "zz", "zzzz", ""])
def test_what_is_no_network_of_the_run_is_said(named: Any, run: nas.Run) -> None:
    with pytest.raises(NasError, match=f"no architecture '{named}'"):
        run[named]


def test_a_model_gives_the_accuracy_of_its_training(run: nas.Run) -> None:
    net, data = run.model(run.best), run.saved.located()[1]
    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (data.mean, data.std))
    with torch.no_grad():
        classes = net((torch.from_numpy(data.validation.x).float() - mean) / std).argmax(1).numpy()
    assert not net.training
    found = float((classes == data.validation.y).mean())
    assert min(abs(found - result.score.accuracy) for result in run.best.finals if result.score) < 1.5 / len(classes)


def test_who_has_no_weights_says_so(run: nas.Run) -> None:
    last = run.top()[-1]
    with pytest.raises(NasError, match=f"{last.id} has no weights in run 'first': only finalists do"):
        run.model(last)


def test_a_frame_has_a_flat_row_a_network(run: nas.Run) -> None:
    frame = run.frame()
    assert [*frame["rank"].dropna()] == [1, 2, 3] and len(frame) == len(run) + len(run.references)
    best, reference = frame.iloc[0], frame[frame["label"] == "full token mixing"].iloc[0]
    held = run.best.gain
    assert held is not None
    assert (best["id"], best["accuracy"], best["std"], best["n"]) == (run.best.id, run.best.accuracy, run.best.std, 2)
    assert (best["gain"], best["gain_low"], best["gain_high"]) == (held.mean, held.low, held.high)
    assert (best["verdict"], best["against"]) == (held.verdict, held.against)
    assert (best["patch"], best["width"], best["depth"]) == ("2", 8, 1)
    assert best["mixers"] == str(run.best.architecture.mixers[0]).removesuffix(" +b") in run.best.architecture.to_json()
    assert (reference["rank"] != reference["rank"]) and reference["gain"] != reference["gain"]  # NaN


def test_with_one_worker_a_search_repeats_bit_for_bit(tmp_path: Path) -> None:
    """Beyond the first eight, which are drawn, what is proposed depends on results."""
    asked = SMALL | {"trials": 10, "epochs": 3, "images": 100}
    lines = []
    for folder in ("a", "b"):
        again = nas.search(**asked, runs_dir=tmp_path / folder)
        kept = map(json.loads, (Path(again.path) / "results.jsonl").read_text().splitlines())
        lines.append([{key: each for key, each in line.items() if key not in ("seconds", "extra")} for line in kept])
    assert lines[0] == lines[1] and len(lines[0]) > 10


def test_the_same_rows_as_csv(run: nas.Run) -> None:
    found = [*csv.DictReader(StringIO(csv_text(rows(run.saved.standings))))]
    assert [row["id"] for row in found] == [*run.frame()["id"]]
    assert float(found[0]["accuracy"]) == run.best.accuracy and found[-1]["gain"] == ""
    assert csv_text([]) == ""


def test_a_notebook_shows_a_table_what_is_known_and_the_leader(run: nas.Run) -> None:
    shown = run._repr_html_()
    table = ElementTree.fromstring(f"<div>{shown}</div>")
    cells = [[cell.text for cell in line] for line in table.iter("tr")]
    assert cells[0] == ["rank", "id", "name", "state", "accuracy", *COLUMNS[4:]]
    assert cells[1][:5] == ["1", run.best.id, None, "final", f"{run.best.accuracy:.1%}"] and len(cells) == 7
    words = table.find("p")
    assert words is not None and words.text is not None and words.text.startswith(run.best.id)
    picture = table.find("{http://www.w3.org/2000/svg}svg")
    assert picture is not None and run.best.id in "".join(picture.itertext())
    hurt = replace(run.best, name="<script>", architecture=run.best.architecture)
    assert "<script>" not in html("<b>", [hurt], run.saved.metric)


def test_a_frame_has_a_row_a_training(run: nas.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = nas.open_run(run.path).frame("trainings")
    assert [*frame["id"]] == [result.id for result in run.saved.folder.results()]
    finals = frame[(frame["phase"] == "final") & (frame["id"] == run.best.id)]
    assert finals["judge_accuracy"].mean() == pytest.approx(run.best.accuracy) != finals["accuracy"].mean()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(NasError, match=r"^a frame takes pandas, .*'einmix-nas\[frame\]'$"):
        run.frame("trainings")
    with pytest.raises(NasError, match="a frame of 'epochs': networks or trainings are expected"):
        run.frame("epochs")  # type: ignore[arg-type]


def test_an_export_is_checked_and_says_how_it_was_made(run: nas.Run, tmp_path: Path) -> None:
    exported = run.export("1", to=str(tmp_path / "out"))
    assert exported.file == tmp_path / "out" / f"local_{run.best.id}.py"
    assert exported.weights and exported.weights.exists() and exported.difference < 1e-5
    assert f"nas.open_run('first').export('{run.best.id}')" in exported.file.read_text(encoding="utf-8")


def test_longer_trainings_are_tested_and_not_repeated(run: nas.Run) -> None:
    before = len(run.saved.results)
    first = run.train(1, epochs=3, workers=0, device="cpu", quiet=True)
    both = run.train(1, epochs=3, seeds=2, workers=0, device="cpu", quiet=True)
    assert [result.epochs for result in both] == [3, 3] and all(result.test for result in both)
    assert both[0] == first[0]
    assert len(run.saved.results) == before + 2
    assert run.top() == nas.open_run(run.path).top()


def test_without_a_rate_a_search_and_a_longer_training_find_their_own(tmp_path: Path) -> None:
    options = SMALL | {"lr": None, "epochs": 1}
    run = nas.search(**options, runs_dir=tmp_path, run="found")
    assert run.lr != 0.02 and {result.lr for result in run.saved.results if result.phase in RANKED} == {run.lr}
    assert json.loads((run.path / "run.json").read_text())["settings"]["recipe"]["lr"] is None
    before = len(run.saved.results)
    first = run.train(1, epochs=2, workers=0, device="cpu", quiet=True)
    sweep = [result for result in run.saved.results[before:] if result.phase == "tune"]
    assert {run.lr, *around(run.lr)} <= {result.lr for result in sweep}
    assert {(result.id, result.epochs, result.seed) for result in sweep} == {(run.best.id, 2, 1000)}
    assert [result.lr for result in first] == [found_rate(losses_of(sweep))]
    both = run.train(1, epochs=2, seeds=2, workers=0, device="cpu", quiet=True)
    assert both[0] == first[0] and len(run.saved.results) == before + len(sweep) + 2
    (fixed,) = run.train(1, epochs=2, lr=0.5, workers=0, device="cpu", quiet=True)
    assert fixed.lr == 0.5 and len(run.saved.results) == before + len(sweep) + 3
    text = run.export(1, to=tmp_path / "out").file.read_text(encoding="utf-8")
    assert f"learning rate {run.lr:g} (warm-up" in " ".join(text.split())
    with pytest.raises(NasError, match=r"--lr is 0\.5, run 'found' was made with none: choose another"):
        nas.search(run="found", lr=0.5, runs_dir=tmp_path)
    found = len(run.saved.results)
    assert len(nas.search(run="found", runs_dir=tmp_path, quiet=True).saved.results) == found


def test_a_comparison_is_of_the_best_and_those_named(run: nas.Run) -> None:
    options = {"lrs": 0.01, "epochs": 1, "seeds": 1, "workers": 0, "device": "cpu", "quiet": True}
    found, other = run.compare(against="mixer", **options)
    assert found.name == run.compare(against=["mixer"], id=run.best, **options)[0].name  # nothing is trained again
    assert (found.name, other.name, found.is_found) == (run.best.id, "mixer", True)
    assert len(found.accuracies) == len(other.accuracies) == 1


def test_a_search_goes_on_by_its_name_alone(run: nas.Run) -> None:
    lines = len(run.saved.results)
    more = nas.search(Search(run="first", runs_dir=run.path.parent), trials=4, workers=0, quiet=True)
    assert (len(more), more.name) == (4, "first")
    assert len(more.saved.results) > lines


def test_arrays_are_known_by_their_content(of_arrays: nas.Run) -> None:
    where = {"run": "arrays", "runs_dir": of_arrays.path.parent, "quiet": True}
    lines = len(of_arrays.saved.results)
    again = nas.search(data={"x": torch.tensor(X), "y": torch.tensor(Y)}, **where)
    assert len(again.saved.results) == lines  # as float32 they are the same
    assert json.loads((of_arrays.path / "run.json").read_text())["settings"]["data_path"] is None
    with pytest.raises(NasError, match="data 'arrays' is not what run 'arrays' was made with"):
        nas.search(data=(X + 1, Y), **where)
    asked = {"epochs": 1, "workers": 0, "quiet": True}
    with pytest.raises(NasError, match=r"run 'arrays' was made with arrays: give them again, as in data=\(x, y\)"):
        nas.open_run(of_arrays.path).train(1, **asked)
    assert of_arrays.train(1, **asked) == nas.open_run(of_arrays.path, data=(X, Y)).train(1, **asked)


def test_a_space_is_the_one_of_its_name(of_arrays: nas.Run) -> None:
    where = {"run": "arrays", "runs_dir": of_arrays.path.parent, "data": (X, Y)}
    lines = len(of_arrays.saved.results)
    again = nas.search(**ARRAYS | {"space": load("local")}, **where)
    assert len(again.saved.results) <= lines + 1  # the longer training may be there by now
    with pytest.raises(NasError, match=r"run 'arrays' was made with .*space.*choose another --run"):
        nas.search(**ARRAYS | {"space": load("subgrid")}, **where)


def test_a_search_begins_with_a_network_that_it_is_given(of_arrays: nas.Run, tmp_path: Path) -> None:
    best = of_arrays.best
    begun = nas.search(data=(X, Y), start=best.architecture, run="begun", runs_dir=tmp_path, **ARRAYS)
    assert begun.saved.results[0].id == best.id
    assert begun[best].title == f"{best.id} (given)"
    lines = len(begun.saved.results)
    assert len(nas.search(data=(X, Y), run="begun", runs_dir=tmp_path, quiet=True).saved.results) == lines
    with pytest.raises(NasError, match=f"network {best.id} .* inputs or classes"):
        nas.search(start=[best.architecture], runs_dir=tmp_path, **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trails": 3}, "no option 'trails': did you mean 'trials'?"),
        ({"trials": "3"}, "--trials is '3'; a whole number is expected"),
        ({"trials": 0}, "--trials is 0; at least 1 is expected"),
        ({"lr": "fast"}, "--lr is 'fast'; a number is expected"),
        ({"space": 3}, "--space is 3; a text is expected"),
        ({"epochs": np.eye(9)}, "--epochs is array([[1., 0., 0., 0., 0., 0., 0., 0., 0.],"),
        ({"data": 3}, "data is of type int; expected a name, a path or two arrays (x, y)"),
        ({"start": "mixre"}, "no network 'mixre'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(Exception) as raised:
        nas.search(**SMALL | options, runs_dir=tmp_path)
    assert type(raised.value).__name__ in ("NasError", "SpaceError")
    assert message in str(raised.value) and "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_options_are_named() -> None:
    with pytest.raises(
        NasError, match=r"^'local' is no options\.Search: write the name of each option, as in seeds=3$"
    ):
        nas.search("local")  # type: ignore[arg-type]


def test_what_is_named_goes_over_what_was_asked() -> None:
    asked = Search.of({"trials": 3, "seed": None}, Search(trials=8, seed=2, width=(16,)))
    assert asked.given == {"trials": 3, "width": (16,), "seed": 2}


def test_an_audit_has_proxies_of_all_that_came_to_a_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = nas.search(
        space="local",
        patch=2,
        width=8,
        depth=(1, 2, 3),
        min_params=0,
        trials=24,
        images=300,
        strategy="random",
        epochs=2,
        lr=0.02,
        prune=False,
        top=1,
        seeds=2,
        device="cpu",
        workers=0,
        runs_dir=tmp_path,
        run="x",
        quiet=True,
    )
    found = run.audit()
    assert found.proxies.keys() == {"synflow", "naswot", "jacob_cov", "grad_norm"} <= found.cheap.keys()
    assert all(len(rows) == 24 for rows in found.proxies.values())
    assert run.audit(proxies=False).cheap.keys() == {"training losses to epoch 1", "parameters", "MACs"}
    monkeypatch.setattr(nas.api.run, "MOST_PROXIES", 20)
    assert all(len(rows) == 20 for rows in run.audit().proxies.values())


def test_an_audit_knows_which_networks_met_test_data_in_comparisons(run: nas.Run) -> None:
    run.audit()  # what it saw must not stay
    run.compare(against="mixer", lrs=0.01, epochs=2, seeds=1, quiet=True)
    (check,) = [check for check in run.audit().checks if check.name == "test data"]
    assert "its networks" in check.told and "none" not in check.told
