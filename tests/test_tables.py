"""Tables and JSON rows of rankings: everything that can stand in one, and nothing that a terminal would act on."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from searches import result_of, tiny

from nas.ranking import rank, ranked
from nas.session import sizes_of
from nas.tables import accuracy, as_json, count, einmix_line, footnotes, gain, mixers, ranking, short

SPACE = tiny("local", depth=(2,))
REFERENCES = SPACE.references(SPACE.middle)
FULL, LOCAL = REFERENCES["full token mixing"], REFERENCES["shared local"]
FINAL, OTHER, DONE, PRUNED, FAILED, *MORE = [
    arch for arch in SPACE.enumerate() if arch.id not in {reference.id for reference in REFERENCES.values()}
][:12]


def final(architecture, seed, value, state="complete", label=""):
    return result_of(architecture, value, state, phase="final", seed=seed, label=label)


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
    assert found[FINAL.id][:5] == ["1", FINAL.id, "94.0 ± 2.0%", "+7.0 ± 2.5", "3"]
    assert found["full token mixing"][:4] == ["–", "full token mixing", "87.0 ± 1.0%", "3"]
    assert found[OTHER.id][:5] == ["2", OTHER.id, "80.0 ± 0.0%", "-6.5 ± 6.4", "2"]
    assert found[DONE.id][:4] == ["3", DONE.id, "85.0%", "1"]
    assert found[PRUNED.id][:4] == ["4", PRUNED.id, "75.0% @ 1", "1"]
    assert found[FAILED.id][:4] == ["5", FAILED.id, "failed", "0"]
    assert found["shared local"][:4] == ["–", "shared local", "failed", "0"]
    assert found[FINAL.id][-1] == mixers(FINAL)


def test_notes_say_how_to_read_it():
    assert footnotes(STANDINGS) == [
        "accuracy: validation, best of 4 candidates, so that of the leaders is optimistic",
        "gain: points over the best reference of the same sizes (full token mixing), mean of the differences over "
        "2 or 3 seeds, 95% interval (t)",
        "@ e: pruned after e epochs",
        "shared local failed: ValueError: no luck",
        f"{FAILED.id} failed: ValueError: no luck",
    ]
    assert footnotes(rank([result_of(DONE, 0.5)], sizes_of)) == [
        "accuracy: validation, best of 1 candidate, so that of the leaders is optimistic"
    ]


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
    lines = [json.dumps(as_json(place, standing), allow_nan=False) for place, standing in ranked(STANDINGS)]
    found = {row["id"]: row for row in map(json.loads, lines)}
    assert [row["rank"] for row in found.values()] == [1, 2, None, None, 3, 4, 5]
    assert found[FINAL.id]["gain"] == {
        "mean": pytest.approx(0.07),
        "half_width": pytest.approx(0.02484, abs=1e-5),
        "n": 3,
        "against": "full token mixing",
    }
    assert found[FINAL.id]["accuracy"] == pytest.approx(0.94)
    failed = found[FAILED.id]
    assert (failed["accuracy"], failed["std"], failed["loss"], failed["n"]) == (None, None, None, 0)
    assert (failed["state"], failed["reason"], failed["gain"]) == ("failed", "ValueError: no luck", None)
    assert found[PRUNED.id]["mixers"] == [str(mixer) for mixer in PRUNED.mixers]


def test_figures_as_texts():
    by_id = {standing.id: standing for standing in STANDINGS}
    assert accuracy(by_id[FINAL.id]) == "94.0 ± 2.0%"
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
