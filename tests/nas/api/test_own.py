"""A metric, a loss and a trainer of somebody's own: what a run keeps, how it ranks, what is said, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_code import quick

import nas
from nas.api.search import Session
from nas.cli.main import main
from nas.errors import NasError
from nas.loggers.logger import curve
from nas.options.search import Search
from nas.ranking.objectives import Objective
from nas.runs.job import Job, Outcome, Score, record
from nas.runs.own import ACCURACY, Metric, Own, metric_of
from nas.runs.result import Result
from nas.strategies.surrogate import _curve

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4, 4)).astype(np.float32)
Y = X.mean((1, 2)) * 4
SMALL: dict[str, Any] = {"space": "local", "trials": 3, "epochs": 2, "top": 1, "seeds": 2, "lr": 0.02, "width": 4}
SMALL |= {"depth": 1, "patch": 1, "workers": 0, "device": "cpu", "quiet": True, "prune": False}


def rmse(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return float(F.mse_loss(outputs, targets).sqrt())


RMSE = nas.Metric("rmse", better="lower", of=rmse)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(runs: Path) -> nas.Run:
    return nas.search(data=(X, Y), loss=F.mse_loss, metric=RMSE, run="own", runs_dir=runs, **SMALL)


def lines(run: nas.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "results.jsonl").read_text().splitlines()]


def test_less_is_better_where_it_is(run: nas.Run) -> None:
    found = {standing.id for standing in run}
    searched = {line["id"]: -line["scores"][-1]["accuracy"] for line in lines(run) if line["phase"] == "search"}
    searched = {id: error for id, error in searched.items() if id in found}
    assert all(error > 0 for error in searched.values())
    assert all(line["extra"]["metric"] == "rmse" and line["right"] == "" for line in lines(run))
    assert run.best.id == min(searched, key=searched.__getitem__)  # by the metric, not by the loss
    finals = [-line["judge"]["accuracy"] for line in lines(run) if line["phase"] == "final" and not line["label"]]
    assert run.best.figure == pytest.approx(sum(finals) / 2) and run.best.is_judged
    told = json.loads((run.path / "run.json").read_text())["settings"]["own"]
    assert told == {"loss": "torch.nn.functional.mse_loss", "metric": {"name": "rmse", "better": "lower"}}


def test_the_model_has_the_figure_of_its_training(run: nas.Run) -> None:
    data = nas.open_run(run.path, data=(X, Y)).saved.located()[1]
    assert data.judge is not None and data.classes == 1 and data.judge.y.shape[1:] == (1,)
    scaled = (torch.from_numpy(data.judge.x) - data.mean[0]) / data.std[0]
    with torch.no_grad():
        error = rmse(run.model(1)(scaled), torch.from_numpy(data.judge.y))
    judged = [result.judge for result in run.best.finals]
    assert min(abs(error + score.accuracy) for score in judged if score) < 1e-5


def test_tables_have_the_metric_and_claim_nothing(run: nas.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.best.gain is not None and (run.best.gain.low, run.best.gain.unit) == (None, "rmse")
    row = run.frame().iloc[0]
    assert row["rmse"] == run.best.figure and row["verdict"] == "no interval is known of a metric of one's own"
    assert "accuracy" not in run.frame() and "judge_rmse" in run.frame("trainings")
    assert f"best {run.best.id} {run.best.figure:.4g} (n=2)" in repr(run)
    out = command(capsys, f"top {run.path}")
    assert " rmse " in out and "lower is better" in out and "points" not in out and "accuracy" not in out
    assert f"gain: rmse over the best reference of the same sizes ({run.best.gain.against})" in out
    assert command(capsys, f"top {run.path} --json").count('"rmse": ') == len(run) + len(run.references)
    shown = command(capsys, f"show {run.path} 1")
    assert "rmse where it was judged" in shown and "accuracy" not in shown.partition('"""')[0]
    assert re.search(r"^score +rmse ", run.export(1, to=run.path / "out").file.read_text(), re.MULTILINE)


def command(capsys: pytest.CaptureFixture[str], line: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["nas", *line.split()])
        try:
            main()
        except SystemExit as leave:
            assert not leave.code, capsys.readouterr().err
    return capsys.readouterr().out


def test_it_goes_on_with_the_same_functions_only(run: nas.Run, runs: Path) -> None:
    own = {"loss": F.mse_loss, "metric": RMSE}
    before = lines(run)
    again = nas.search(data=(X, Y), run="own", runs_dir=runs, trials=4, workers=0, quiet=True, **own)
    assert lines(again)[: len(before)] == before
    assert [line["phase"] for line in lines(again)].count("search") == 4
    with pytest.raises(NasError, match=r"^y holds targets, not labels: give a loss= and a metric="):
        Session.of(Search(run="own", runs_dir=runs), source=again.saved.given)
    for other, words in (
        ({"metric": nas.Metric("mae", better="lower", of=rmse)}, r"own\.metric\.name='rmse', not 'mae'"),
        ({"loss": F.l1_loss}, r"own\.loss='torch\.nn\.functional\.mse_loss', not 'torch\.nn\.functional\.l1_loss'"),
    ):
        with pytest.raises(NasError, match=f"^run 'own' was made with {words}"):
            nas.search(data=(X, Y), run="own", runs_dir=runs, workers=0, quiet=True, **own | other)


@pytest.mark.parametrize("what", ["train", "compare", "audit"])
def test_what_knows_accuracy_alone_says_so(what: str, run: nas.Run) -> None:
    with pytest.raises(NasError, match=r"^run 'own' has a metric or a trainer of its own: "):
        getattr(run, what)(*([1] if what == "train" else []))


def test_a_trainer_in_worker_processes(tmp_path: Path) -> None:
    """It is found there by its module, is asked at rungs, and its figures are kept as those of the metric."""
    small = SMALL | {"workers": 1, "prune": True, "rungs": 1}
    metric = nas.Metric("points", better="lower")
    run = nas.search(data=(X, Y), trainer=quick, metric=metric, run="t", runs_dir=tmp_path, **small)
    assert {line["extra"]["by"] for line in lines(run)} == {"quick"}
    states = [line["state"] for line in lines(run) if line["phase"] == "search"]
    assert states[0] == "complete" and "pruned" in states
    best = min(line["params"] for line in lines(run) if line["state"] == "complete" and line["phase"] == "search")
    assert run.best.figure == best == run.best.architecture.params
    assert all(line["seconds"] > 0 for line in lines(run))


def nowhere(job: Job, report: object, data: object) -> Outcome:
    return Outcome("complete", (Score(2, 0.5, 0.5),))


def test_what_cannot_be(tmp_path: Path) -> None:
    metric, labels = nas.Metric("F1"), (X, np.arange(120) % 2)
    local = lambda job, report, data: nowhere(job, report, data)  # noqa: E731
    for wrong, words in (
        ({"data": (X, Y), "metric": RMSE}, "y holds targets, not labels: a metric takes a loss=, or a trainer=, too"),
        ({"data": labels, "loss": F.mse_loss}, "a loss or a trainer of your own takes a metric, too"),
        ({"data": labels, "metric": metric}, "metric 'F1' needs a function of outputs and targets, of=…, or a trainer"),
        ({"data": labels, "metric": "F1"}, r"metric is 'F1'; expected nas\.Metric\('f1', of=f1\)"),
        ({"data": labels, "metric": metric, "trainer": 3}, "trainer is 3; a function is expected"),
        ({"data": labels, "metric": metric, "trainer": nowhere, "loss": rmse}, "give loss= or trainer=, not both"),
        ({"data": labels, "metric": metric, "trainer": nowhere, "until_sure": 0.9}, "of a metric of your own no int"),
        ({"data": labels, "metric": metric, "trainer": nowhere, "objective": "accuracy,latency"}, "--objective laten"),
        (
            {"data": labels, "metric": metric, "trainer": local, "workers": 1},
            "worker processes import trainer= .*<lam",
        ),
    ):
        with pytest.raises(NasError, match=words):
            nas.search(runs_dir=tmp_path, **SMALL | wrong)  # type: ignore[operator]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["loss", "", "a\nb", "<b>", "1st", "x" * 33, None, "params"])
def test_names_of_metrics(name: Any) -> None:
    with pytest.raises(NasError, match=r"^[^\n]* cannot name a metric: a letter, then "):
        Metric(name)


def test_a_damaged_metric_is_told() -> None:
    assert metric_of({}) is ACCURACY and metric_of({"own": {"metric": RMSE.to_json()}}) == RMSE
    for damaged in ("F1", {"name": 3}, {"name": "F1", "better": "larger"}):
        with pytest.raises(NasError):
            metric_of({"own": {"metric": damaged}})
    with pytest.raises(NasError, match="better is 'more'; higher or lower is expected"):
        Metric("F1", better="more")  # type: ignore[arg-type]
    assert Own(RMSE, F.mse_loss).to_json()["loss"] == "torch.nn.functional.mse_loss"


def result(figure: float, **extra: Any) -> Result:
    outcome = Outcome("complete", (Score(1, 0.5, figure), Score(2, 0.4, figure)), extra=extra)
    return Result.from_line(record(Job({}, "a", 0.1, 0, 2), outcome, params=1, macs=1, number=0))


def test_only_a_line_with_a_metric_of_its_own_may_have_more_than_shares() -> None:
    assert result(-3.5, metric="rmse").score == Score(2, 0.4, -3.5)
    for figure in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"^'accuracy' is {figure}, not a share from 0 to 1$"):
            result(figure)


def test_loggers_and_the_surrogate_have_the_figure() -> None:
    of_own = result(-2.0, metric="rmse")
    assert curve(of_own, RMSE)[-1]["validation_rmse"] == 2.0
    lower, higher = Objective("accuracy", RMSE), Objective("accuracy", Metric("psnr"))
    assert _curve(lower, of_own) == dict.fromkeys((1, 2), pytest.approx(np.arcsinh(2_000)))
    psnr = [_curve(higher, result(figure, metric="psnr"))[2] for figure in (-5, 0.2, 0.9, 1.0, 1.5, 30)]
    assert psnr == sorted(psnr, reverse=True) and len(set(psnr)) == len(psnr)


def test_the_direction_of_an_error_has_to_be_said() -> None:
    for name in ("rmse", "MAE", "val_loss", "perplexity", "error rate"):
        with pytest.raises(NasError, match=rf"^metric '{name}': say better='lower', or better='higher'"):
            nas.Metric(name)
        assert nas.Metric(name, better="higher").better == "higher"
    assert nas.Metric("F1").better == nas.Metric("top-5 accuracy").better == "higher"


@pytest.mark.outside
def test_an_export_says_what_trained_it(run: nas.Run, tmp_path: Path) -> None:
    """Of a trainer nothing is told that it did not do, and what it makes of inputs is its own."""
    text = run.export(1, to=tmp_path / "loss").file.read_text()
    told = " ".join(text.split('"""')[1].split())
    assert "loss torch.nn.functional.mse_loss" in told and "label smoothing" not in told and "1 output." in told
    metric = nas.Metric("points", better="lower")
    other = nas.search(data=(X, Y), trainer=quick, metric=metric, run="t", runs_dir=tmp_path / "runs", **SMALL)
    text = other.export(1, to=tmp_path / "trainer").file.read_text()
    told = " ".join(text.split('"""')[1].split())
    assert "by the trainer own_code.quick" in told and "AdamW" not in told and "as the trainer prepares them" in told
    assert "preprocess" not in text


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (None, "TypeError: the trainer gave NoneType, not nas.Outcome"),
        (Outcome("done", (Score(2, 0.5, 0.5),)), "ValueError: the trainer gave state 'done'"),  # type: ignore[arg-type]
        (Outcome("complete"), "ValueError: the trainer gave a complete outcome without a score"),
    ],
)
def test_where_all_trainings_fail_there_is_no_run_to_give(outcome: Any, why: str, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"metric": nas.Metric("F1"), "run": "x", "runs_dir": tmp_path} | SMALL
    with pytest.raises(NasError, match=rf"^run 'x': all of \d+ trainings failed, the first of {why}.*results\.jsonl$"):
        nas.search(data=(X, np.arange(120) % 2), trainer=lambda job, report, data: outcome, **asked)
    assert len(nas.open_run("x", tmp_path)) == 3  # what failed is kept, with its reason
