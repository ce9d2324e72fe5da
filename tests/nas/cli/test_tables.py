"""Tables and JSON rows of rankings: everything that can stand in one, and nothing that a terminal would act on."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import re

import numpy as np
import pytest
from rich.console import Console
from searches import result_of, tiny

from einmix.networks.summary import einmix_line, mixers
from nas.claims.claims import UNJUDGED, Claim
from nas.cli.comparisons import comparison_json, comparison_table
from nas.cli.tables import (
    COLUMNS,
    count,
    footnotes,
    ranking,
    short,
)
from nas.ranking.gains import Compared
from nas.ranking.objectives import parse_objectives
from nas.ranking.run_ranking import along_front
from nas.ranking.standings import rank, ranked, sizes_of
from nas.ranking.words import accuracy, gain, gain_verdict, leader
from nas.runs.bits import packed
from nas.runs.job import Score

SPACE = tiny("local", depth=(2,))
REFERENCES = SPACE.references(SPACE.middle)
FULL, LOCAL = REFERENCES["full token mixing"], REFERENCES["shared local"]
FINAL, OTHER, DONE, PRUNED, FAILED, *MORE = [
    arch for arch in SPACE.enumerate() if arch.id not in {reference.id for reference in REFERENCES.values()}
][:12]


JUDGE = 100


def final(architecture, seed, value, state="complete", label=""):
    """One that was right on the first so many of the examples that judge, and on as many of those that chose."""
    made = result_of(architecture, value, state, phase="final", seed=seed, label=label)
    if state == "failed":
        return made
    return dataclasses.replace(made, judge=made.score, right=packed(np.arange(JUDGE) < JUDGE * value - 0.5))


STANDINGS = rank(
    [
        result_of(FINAL, 0.95),
        *(final(FINAL, seed, 0.9 + seed / 50) for seed in (1, 2, 3)),
        *(final(OTHER, seed, 0.8) for seed in (1, 2)),
        *(final(FULL, seed, 0.85 + seed / 100, label="full token mixing") for seed in (1, 2, 3)),
        final(LOCAL, 1, None, "failed", label="shared local"),
        result_of(DONE, 0.85),
        result_of(PRUNED, 0.75, "pruned"),
        result_of(FAILED, None, "failed"),
    ],
    sizes_of,
    judge=JUDGE,
)


def text_of(standings=STANDINGS, *, title="x", most=10, width=160, terminal=False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system="truecolor" if terminal else None)
    console.print(ranking(standings, title=title, most=most))
    for note in footnotes(standings):
        console.print(note, markup=False)
    return out.getvalue()


def rows(text: str) -> dict[str, list[str]]:
    """The cells of every row by its architecture."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {row[1]: row for row in cells if len(row) > 6}


def test_a_ranking_shows_every_kind_of_row():
    found = rows(text_of())
    assert list(found) == [
        "architecture",
        FINAL.id,
        OTHER.id,
        "full token mixing",
        "shared local",
        DONE.id,
        PRUNED.id,
        FAILED.id,
    ]
    assert found[FINAL.id][:6] == ["1", FINAL.id, "94.0%", "+7.0 (+1.1 to +12.9)", "3", "ahead"]
    assert found["full token mixing"][:4] == ["–", "full token mixing", "87.0%", "3"]
    assert found[OTHER.id][:6] == ["2", OTHER.id, "80.0%", "-7.0 (-13.0 to -1.0)", "2", "behind"]
    assert found[DONE.id][:4] == ["3", DONE.id, "85.0%", "1"]
    assert found[PRUNED.id][:4] == ["4", PRUNED.id, "75.0% @ 1", "1"]
    assert found[FAILED.id][:4] == ["5", FAILED.id, "failed", "0"]
    assert found["shared local"][:4] == ["–", "shared local", "failed", "0"]
    assert found[FINAL.id][-1] == mixers(FINAL)


def test_notes_say_how_to_read_it():
    assert footnotes(STANDINGS) == [
        "accuracy: of finals and references where they were judged, of others validation, best of 4 candidates",
        "gain: points over the best reference of the same sizes (full token mixing), 95% intervals for all of them "
        "together",
        "the 2 finalists together: 0.0 points over full token mixing (95%: -3.8 to +3.8): not told apart",
        "judged on 100 images that chose nothing; the intervals cover seeds, images and 2 finalists, not other "
        "training data",
        "with any number of seeds rank 1's gain would be known to ± 4.8 points; beyond that it takes more images",
        "in the search rank 1 had 95.0%, on the images that chose it",
        "@ e: pruned after e epochs",
        f"{OTHER.id} has 2 of 3 seeds: it ranks below those that have them all",
        "shared local has 0 of 3 seeds, 1 failed (ValueError: no luck): it ranks below those that have them all",
        f"{FAILED.id} failed: ValueError: no luck",
    ]
    assert footnotes(rank([result_of(DONE, 0.5)], sizes_of)) == [
        "accuracy: validation, best of 1 candidate, so that of the leaders is optimistic"
    ]


def test_who_was_trained_with_half_the_batch_is_said():
    results = [result_of(arch, 0.5) for arch in MORE[:6]]
    halved = [dataclasses.replace(result, extra={"halved_batch": 32}) for result in results[:5]]
    names = ", ".join(arch.id for arch in MORE[:3])
    standings = rank([*halved, results[5]], sizes_of)
    assert f"{names} and 2 more: trained with half the batch, memory was short for all of it" in footnotes(standings)
    assert [standing.row(1)["halved_batch"] for standing in standings] == [True] * 5 + [False]
    assert not any("batch" in note for note in footnotes(STANDINGS))


def test_of_many_failures_the_first_are_told():
    notes = footnotes(rank([result_of(arch, None, "failed") for arch in MORE[:5]], sizes_of))
    assert [note.split()[0] for note in notes[1:4]] == [arch.id for arch in MORE[:3]]
    assert notes[4] == "and 2 more failed: --json tells why"


def test_so_many_candidates_are_shown_beside_the_finals():
    shown = rows(text_of(most=3))
    assert list(shown)[1:] == [FINAL.id, OTHER.id, "full token mixing", "shared local", DONE.id]
    assert list(rows(text_of(most=0)))[1:] == [FINAL.id, OTHER.id, "full token mixing", "shared local"]


def test_a_ranking_of_nothing_is_a_table():
    assert "architecture" in text_of([])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_gets_all_ranks(width):
    text = text_of(width=width)
    assert max(map(len, text.splitlines())) <= width
    assert all(re.search(rf"^\s*{place}\s", text, re.M) for place in range(1, 6))


def figures(text: str) -> set[str]:
    """All that has a digit, between blanks."""
    return {word for word in text.split() if any(c.isdigit() for c in word)}


@pytest.mark.parametrize("objectives", [("accuracy",), ("loss", "params"), ("accuracy", "seconds", "macs")])
def test_no_figure_is_cut_at_any_width(objectives):
    chance = random.Random(str(objectives))
    spaces = [tiny("roles", {"h": 16, "w": 16}, width=(256,), depth=(1,)), tiny("mixed", {"t": 40}, patch=(1,))]
    for _ in range(2):
        found = [chance.choice(spaces).sample(chance) for _ in range(6)]
        results = [result_of(each, chance.random(), loss=chance.random() * 10 ** chance.randrange(6)) for each in found]
        results += [final(each, seed, chance.random()) for each in found[:2] for seed in (1, 2)]
        results += [final(found[5], seed, chance.random(), label="full token mixing") for seed in (1, 2)]
        standings = rank(results, lambda _: "alike")

        def shown(width: int, standings=standings) -> str:
            out = io.StringIO()
            table = ranking(standings, title="x: 6 candidates", most=9, objectives=objectives)
            Console(file=out, width=width).print(table)
            return out.getvalue()

        whole = figures(shown(1000))
        for width in (40, 60, 80, *chance.sample(range(41, 201), 16)):
            text = shown(width)
            assert figures(text) - {str(width)} <= whole, width
            assert max(map(len, text.splitlines())) <= width
            for name in ("rank", "architecture", "accuracy", *(COLUMNS[name] for name in objectives)):
                assert re.search(rf"\b{name}\b", text.partition("left out")[0]), (width, name)
            table, _, note = text.partition("left out in")
            gone = {name for name in ("gain", "n", "params", "MACs", "seconds") if not re.search(rf"\b{name}\b", table)}
            assert gone <= set(note.replace(",", " ").split()), width


def test_a_comparison_keeps_its_intervals_and_what_it_matches():
    seeds = {1: 0.9, 2: 0.8, 3: 0.85}

    def row(name: str, found: bool) -> Compared:
        tested = tuple(
            dataclasses.replace(result_of(FULL, value, phase="compare", seed=seed), test=Score(3, 0.5, value))
            for seed, value in seeds.items()
        )
        difference = None if found else Claim(-0.02, name, FULL.id, "not told apart", -0.814, 0.774)
        return Compared(name, FULL, found, (), tested, 0.01, 12.5, difference)

    compared = [row("9c41ab12cd", True), row("dynamixer", False)]
    for match, cost in (("params", f"{FULL.params:,}"), ("macs", short(FULL.macs))):
        for width in (*range(40, 140, 9), 140):
            out = io.StringIO()
            Console(file=out, width=width).print(comparison_table(compared, title="x", match=match))
            text = out.getvalue()
            for figure in ("85.0%", "-2.0 (-81.4 to +77.4)", cost):
                assert figure in text, (width, figure)
            assert max(map(len, text.splitlines())) <= width
            assert width < 110 or "left out" not in text


def test_a_front_is_marked_and_a_network_keeps_the_name_it_came_with():
    named = [dataclasses.replace(s, name="mixer" if s.id == FINAL.id else "") for s in STANDINGS]
    standings = along_front(named, parse_objectives("accuracy,params"))
    text = text_of(standings)
    marked = {row[2].split()[0] for row in rows(text).values() if row[0] == "*"}
    assert marked == {(s.label or s.id).split()[0] for s in standings if s.on_front}
    assert re.search(rf"{FINAL.id} \(mixer\)  ", text)
    assert [note for note in footnotes(standings) if note.startswith("front: *")]
    assert " front " not in text_of() and not [note for note in footnotes(STANDINGS) if note.startswith("front")]
    row = next(s.row(1) for s in standings if s.id == FINAL.id)
    assert (row["name"], row["front"]) == ("mixer", True)
    assert STANDINGS[0].row(1)["front"] is None
    assert gain_verdict(next(s for s in standings if s.id == FINAL.id)).startswith(f"{FINAL.id} (mixer) is ahead of ")


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (Claim(0.07, "b", "r", "ahead", 0.05, 0.09), "a is ahead of b: +7.0 points (+5.0 to +9.0)"),
        (Claim(0.021, "b", "r", "not told apart", -0.7, 0.8), "a cannot be told from b: +2.1 points (-70.0 to +80.0)"),
        (Claim(-0.05, "b", "r", "behind", -0.06, -0.04), "a is behind b: -5.0 points (-6.0 to -4.0)"),
        (Claim(0.3, "b", "r"), "a and b: +30.0 points, too few seeds to tell (--seeds)"),
        (Claim(0.3, "b", "r", UNJUDGED), "a and b: +30.0 points, judged on the images that chose it"),
    ],
)
def test_one_rule_says_who_is_ahead(claim, words):
    (standing,) = rank([final(FINAL, 1, 0.6)], sizes_of)
    assert gain_verdict(dataclasses.replace(standing, gain=claim)).replace(FINAL.id, "a") == words


def test_the_leader_is_found_and_may_have_no_reference():
    assert leader(STANDINGS).id == FINAL.id
    assert leader(rank([result_of(DONE, 0.9), *[final(FULL, 1, 0.5, label="x")]], sizes_of)) is None
    (alone,) = rank([final(FINAL, 1, 0.6)], sizes_of)
    assert "is held against no reference: none of its sizes" in gain_verdict(alone)
    survivor, _ = rank(
        [final(FINAL, 1, 0.6), final(FINAL, 2, None, "failed"), final(FULL, 2, 0.5, label="x")], sizes_of
    )
    why = "it has 1 of 2 seeds, 1 failed (ValueError: no luck)"
    assert gain_verdict(survivor) == f"{FINAL.id} is held against nothing: {why}"


HOSTILE = "[red]\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\nfull[/red]"


@pytest.mark.parametrize("terminal", [False, True])
def test_texts_of_a_foreign_run_do_nothing_to_a_terminal(terminal):
    failed = result_of(FAILED, None, "failed")
    failed = type(failed)(**vars(failed) | {"reason": HOSTILE})
    standings = rank(
        [failed, *(final(FULL, seed, 0.5, label=HOSTILE) for seed in (1, 2)), final(FINAL, 1, 0.6)], sizes_of
    )
    text = text_of(standings, title=HOSTILE, terminal=terminal)
    styled = re.compile(r"\x1b\[[\d;]*m")  # rich's own colours
    plain = styled.sub("", text) if terminal else text
    assert not [c for c in plain if not c.isprintable() and c != "\n"]
    assert plain.count("[red] [2J ]0;owned 31m full[/red]") == 4  # title, row, gain's note, failure's note
    assert "\x1b[2J" not in text
    assert "\x1b[31m" not in text


def test_json_rows_are_valid_and_hold_no_nan():
    lines = [json.dumps(standing.row(place), allow_nan=False) for place, standing in ranked(STANDINGS)]
    found = {row["id"]: row for row in map(json.loads, lines)}
    assert [row["rank"] for row in found.values()] == [1, 2, None, None, 3, 4, 5]
    gained = found[FINAL.id]["gain"]
    assert [*gained] == ["mean", "low", "high", "against", "df", "se", "se_all_seeds", "verdict", "p_better"]
    assert (gained["mean"], gained["against"], gained["verdict"]) == (pytest.approx(0.07), "full token mixing", "ahead")
    assert found[FINAL.id]["accuracy"] == pytest.approx(0.94)
    failed = found[FAILED.id]
    assert (failed["accuracy"], failed["std"], failed["loss"], failed["n"]) == (None, None, None, 0)
    assert (failed["state"], failed["reason"], failed["gain"]) == ("failed", "ValueError: no luck", None)
    assert found[PRUNED.id]["mixers"] == [str(mixer) for mixer in PRUNED.mixers]


def test_figures_as_texts():
    by_id = {standing.id: standing for standing in STANDINGS}
    assert accuracy(by_id[FINAL.id]) == "94.0%"
    assert gain(by_id[DONE.id]) == ""
    one_seed = rank([final(FINAL, 1, 0.6), final(FULL, 1, 0.5, label="full token mixing")], sizes_of)
    assert gain(one_seed[0]) == "+10.0"
    assert mixers(REFERENCES["channels only"]) == "none"
    assert mixers(FULL) == "2 x h=m4 w=m4 c=s8"


def test_einmix_lines_are_code():
    from einops.layers.torch import EinMix

    for arch in (FINAL, FULL, *MORE):
        for mixer in arch.mixers:
            if not mixer.mixed:
                continue  # einops warns of a weight without axes
            layer = eval(einmix_line(mixer), {"Mix": EinMix})
            assert sum(weight.numel() for weight in layer.parameters()) == mixer.params


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0"), (999, "999"), (1000, "1.0k"), (1_888_576, "1.9M"), (10**9, "1.0G"), (10**13, "1e+13")]
)
def test_short_numbers(n, text):
    assert short(n) == text


@pytest.mark.parametrize(
    ("n", "text"), [(999_999_999_999, "999,999,999,999"), (10**12, "1.00e+12"), (10**4000, "1.00e+4000")]
)
def test_counts_of_any_size(n, text):
    assert count(n) == text


def test_a_latency_stands_in_the_table_where_it_was_measured_and_never_goes_as_an_objective():
    lines = [
        dataclasses.replace(result_of(FINAL, 0.9, phase="final", seed=1), extra={"latency_ms": 1.25}),
        dataclasses.replace(result_of(FINAL, 0.8, phase="final", seed=2), extra={"latency_ms": 1.75}),
        result_of(DONE, 0.5),
    ]
    standings = rank(lines, sizes_of)
    assert [standing.latency for standing in standings] == [1.5, None]
    assert [standing.row(1).get("latency_ms") for standing in standings] == [1.5, None]
    grid = ranking(standings, title="x", most=9, objectives=("accuracy", "latency"))
    (ms,) = (column for column in grid.columns if column.name == "ms")
    assert (ms.cells, ms.goes) == (["1.50", ""], 0)
    assert any(note.startswith("ms: a forward pass of 64 examples") for note in footnotes(standings))
    without = rank(lines[2:], sizes_of)
    assert "ms" not in {column.name for column in ranking(without, title="x", most=9).columns}
    assert not any(note.startswith("ms:") for note in footnotes(without))


def test_a_json_row_holds_every_figure_under_its_name():
    """Of trainings in which no two figures are alike."""
    lines = [
        dataclasses.replace(result_of(arch, value, loss=loss, phase="final", seed=seed, label=label), seconds=seconds)
        for arch, label, seed, value, loss, seconds in (
            (FINAL, "", 1, 0.9, 0.3, 4.0),
            (FINAL, "", 2, 0.8, 0.7, 7.0),
            (FULL, "full token mixing", 1, 0.7, 0.9, 1.0),
            (FULL, "full token mixing", 2, 0.5, 0.8, 1.0),
        )
    ]
    row = rank(lines, sizes_of)[0].row(1)
    gained = row.pop("gain")
    assert (gained["mean"], gained["against"], gained["low"]) == (pytest.approx(0.25), "full token mixing", None)
    expected = {
        "rank": 1,
        "id": FINAL.id,
        "label": "",
        "state": "final",
        "accuracy": pytest.approx(0.85),
        "std": pytest.approx(0.1 / 2**0.5),
        "n": 2,
        "loss": pytest.approx(0.5),
        "params": FINAL.params,
        "macs": FINAL.macs,
        "seconds": 5.5,
        "reason": "",
        "mixers": [str(mixer) for mixer in FINAL.mixers],
    }
    assert {name: row[name] for name in expected} == expected


def test_a_json_row_of_a_comparison_holds_every_figure_under_its_name():
    tuned = tuple(
        dataclasses.replace(result_of(OTHER, value, lr=lr, phase="tune"), seconds=2.0)
        for lr, value in ((0.01, 0.6), (0.03, 0.4))
    )
    tested = tuple(
        dataclasses.replace(result_of(OTHER, 0.9, phase="compare", seed=seed), test=Score(3, 0.2, value), seconds=8.0)
        for seed, value in ((7, 0.5), (8, 0.7))
    )
    gained = Claim(0.25, "mixer", OTHER.id, "ahead", 0.125, 0.375, 8.0, 0.06, 0.05, 0.1, 0.99)
    found = Compared("found", FINAL, True, (), (), 0.01, ms=3.0)
    row = comparison_json(Compared("mixer", OTHER, False, tuned, tested, 0.03, ms=12.0, difference=gained), found)
    expected = {
        "name": "mixer",
        "found": False,
        "id": OTHER.id,
        "params": OTHER.params,
        "macs": OTHER.macs,
        "lr": 0.03,
        "validation": {"0.01": 0.6, "0.03": 0.4},
        "seeds": {"7": 0.5, "8": 0.7},
        "ms": 12.0,
        "ratio": 4.0,
        "difference": {
            "mean": 0.25,
            "low": 0.125,
            "high": 0.375,
            "against": "mixer",
            "df": 8.0,
            "se": 0.06,
            "se_all_seeds": 0.05,
            "verdict": "ahead",
            "p_better": 0.99,
        },
        "verdict": "found is ahead of mixer: +25.0 points (+12.5 to +37.5)",
        "seconds": 5.0,
        "reason": "",
    }
    assert {name: row[name] for name in expected} == expected
    assert row["test"] == {"mean": pytest.approx(0.6), "std": pytest.approx(0.2 / 2**0.5), "n": 2}
