"""Pages of runs that are on disk: where they are written, what a comparison adds, what cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import EPOCHS, made_up

import nas
from nas.api.report import comparisons, gathered, runs_named, served, write_report, written_or_told
from nas.api.saved import SavedRun
from nas.claims.words import claim_lines
from nas.errors import NasError
from nas.options.report import Report
from nas.ranking.words import sizes
from nas.report.figures import series

KEPT = Path(__file__).parents[2] / "house" / "runs"


@pytest.fixture
def kept(tmp_path) -> SavedRun:
    """A copy of the run of before, with its comparison beside it."""
    shutil.copytree(KEPT, tmp_path / "runs")
    return SavedRun.open(tmp_path / "runs", "macro-digits-f65742")


def test_it_is_written_into_the_run_or_as_asked(tmp_path):
    run = made_up(tmp_path / "runs")
    assert write_report([run]) == tmp_path / "runs" / "made-up" / "report.html"
    to = tmp_path / "new" / "page.html"
    assert write_report([run], to) == to and to.read_text().startswith("<!doctype html>")
    assert nas.open_run("made-up", tmp_path / "runs").report(str(to)) == to


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(NasError, match=rf"^{tmp_path} is a folder: -o takes a file, as in -o {tmp_path}/report\.html$"):
        write_report([made_up(tmp_path)], tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    run = made_up(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NasError, match=r"^cannot write .*page\.html: "):
        write_report([run], tmp_path / "file" / "page.html")


def test_a_run_of_before_has_its_comparison(kept):
    (found,) = comparisons(kept)
    first, *others = found.networks
    assert first.is_found and [each.name for each in others] == ["mixer", "resmlp"]
    assert all(each.difference is not None and each.difference.low is None for each in others)
    assert first.ms is not None and found.examples == 359
    assert kept.facts.compared == {first.name}
    text = write_report([kept]).read_text()
    assert "Against networks of the literature" in text and "no interval: tested before it was kept" in text
    assert "1aa793a9a1, trained over 6 epochs: test accuracy " in text


def test_a_comparison_that_cannot_be_read_is_passed_over(kept):
    path = kept.folder.path.parent / "macro-digits-f65742-compare-5d18c4"
    content = json.loads((path / "run.json").read_text())
    content["settings"]["networks"] = 3
    (path / "run.json").write_text(json.dumps(content))
    assert comparisons(kept) == []


def test_what_goes_wrong_at_the_end_of_a_search_is_a_line(tmp_path, monkeypatch):
    run = made_up(tmp_path)
    said: list[str] = []
    assert written_or_told(run, said.append) == run.folder.path / "report.html"
    monkeypatch.setattr("nas.api.report.page", lambda *_, **__: 1 / 0)
    assert written_or_told(run, said.append) is None
    assert said == ["no report.html was written: ZeroDivisionError: division by zero: `nas report made-up` tries again"]


def test_a_run_named_twice_is_one_too_many(tmp_path):
    made_up(tmp_path)
    with pytest.raises(NasError, match=r"^run 'made-up' is named twice$"):
        runs_named(["made-up", str(tmp_path / "made-up")], tmp_path)
    with pytest.raises(NasError, match=r"^no run 'made-op' in .*did you mean 'made-up'"):
        runs_named(["made-op"], tmp_path)


def test_a_served_page_follows_the_results(tmp_path):
    run = made_up(tmp_path)
    with served(["made-up"], Report(runs_dir=tmp_path)) as server:
        before = server.page()
        assert b"connect-src &#39;self&#39;" in before and server.page() is before
        path = run.folder.path / "results.jsonl"
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
        assert server.page() != before


def test_a_rate_that_is_not_found_yet_is_no_error(tmp_path):
    run = made_up(
        tmp_path,
        candidates=0,
        finals=0,
        settings={"recipe": {**made_up(tmp_path, "x").setting("recipe", "an object"), "lr": None}},
    )
    assert gathered(run).lr is None
    assert "lr not found yet" in write_report([run]).read_text()


def rewritten(run: SavedRun, change: Callable[[dict[str, Any]], None]) -> SavedRun:
    """The run with another line in place of each."""
    path = run.folder.path / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run.again()


def test_references_of_several_sizes_are_told_apart_and_rank_1_is_held_against_its_own(tmp_path):
    def alike(line: dict[str, Any]) -> None:
        line["label"] = line["label"].rstrip(" 0123456789")

    run = rewritten(made_up(tmp_path, candidates=60, finals=12), alike)
    references = [each for each in run.standings if each.is_reference]
    assert len({each.label for each in references}) == 1 < len({each.title for each in references}) == len(references)
    assert all(each.title == f"{each.label} ({sizes(each.architecture)})" for each in references)
    first, better = run.finished[0], run.audit.better
    assert sizes(first.architecture) in " ".join(better)
    for each in references:
        assert (each.title in better) == (sizes(each.architecture) == sizes(first.architecture))
        if each.title in better:
            assert better[each.title].mean == pytest.approx((first.accuracy or 0) - (each.accuracy or 0))


def test_a_finalist_that_was_pruned_has_no_full_training_in_the_search(tmp_path):
    run = made_up(tmp_path, candidates=40)
    leader = run.finished[0].id
    told = "in the search rank 1 had"
    assert told in " ".join(claim_lines(run.audit.told)) and told in write_report([run]).read_text().lower()

    def pruned(line: dict[str, Any]) -> None:
        if line["id"] == leader and line["phase"] == "search":
            line |= {"state": "pruned", "scores": line["scores"][:1], "train_loss": line["train_loss"][:1], "extra": {}}

    run = rewritten(run, pruned)
    assert run.finished[0].id == leader
    assert told not in " ".join(claim_lines(run.audit.told)) and told not in write_report([run]).read_text().lower()
    facts = gathered(run)
    states = {each.id: each.standing.search.state for each in facts.networks if each.standing.search}
    for found in series.costs(facts):
        assert {states[point.id] for point in found.front} == {"complete"}
    (curve,) = [each for each in series.curves(facts) if each.id == leader]
    assert len(curve.losses) == EPOCHS and [epoch for epoch, _ in curve.scores] == [EPOCHS]
