"""The command line: what it prints, and that what the user can mend is one line on stderr and exit status 2."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from rich.console import Console
from searches import Noting, notes, result_of, tiny
from stubs import importing

from einmix import Mixer
from nas.__main__ import main
from nas.api.search import search
from nas.cli import COMMANDS, spaces
from nas.cli import search as searching
from nas.cli.tables import print_ranking
from nas.errors import NasError
from nas.executors.executor import Event, Unfinished
from nas.executors.serial import Serial
from nas.options import Compare, Search, Train
from nas.options.option import declared
from nas.ranking.standings import rank, sizes_of
from nas.runs.bits import packed
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS

SMALL = "--patch 2 --width 8 --depth 1 --ratio 1 --epochs 3 --device cpu"
SEARCH = f"search --space local --strategy random {SMALL} --lr 0.005 --trials 5 --top 2 --seeds 2 --run x"


@dataclass
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def nas(tmp_path, monkeypatch, capsys) -> Callable[[str], Done]:
    """Runs a command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["nas", *shlex.split(line)])
        status = 0
        try:
            main()
        except SystemExit as leave:
            status = int(leave.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def stubbed(monkeypatch, tmp_path) -> Path:
    """Makes searches train with the stub, which learns at once and notes it in the file returned."""
    log = tmp_path / "log"
    modules = [importlib.import_module(f"nas.{name}") for name in ("api.search", "api.compare", "api.train")]
    for module in modules:  # all are imported before the first one is changed, from which others have what it has
        monkeypatch.setattr(module, "local_executor", lambda *_: Serial(Noting(log)))
    monkeypatch.setattr("nas.api.resources.start_server", lambda preload: None)
    return log


def one_line(done: Done, pattern: str, *, out: str = "") -> None:
    """The command was refused by one line that matches, and had printed no more than what begins like this."""
    assert done.status == 2
    assert done.out.startswith(out) if out else not done.out
    assert re.fullmatch(r"nas: .*\n", done.err), done.err
    assert re.search(pattern, done.err), done.err


def test_help_lists_the_commands(nas):
    done = nas("--help")
    assert done.status == 0
    assert re.findall(r"^  ([a-z]\S*)  +[A-Z]", done.out, re.M) == list(COMMANDS)
    assert nas("").out == done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, nas):
    done = nas(f"{command} --help")
    assert (done.status, done.err) == (0, "")
    assert re.search(rf"Example: nas {command} \S+", done.out)
    assert re.search(rf"^  {command}  ", nas("--help").out, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_an_unknown_option_in_a_line(command, nas):
    one_line(nas(f"{command} --frobnicate"), "No such option: --frobnicate")


def test_the_version_is_that_of_the_package_and_of_what_results_depend_on(nas):
    done = nas("--version")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"nas \d+\.\d+\.\d+ \(torch \d\S*, einops \d\S*, optuna \d\S*\)\n", done.out)


REFUSED = [
    # what cannot be parsed
    ("serch", r"No such command 'serch'. Did you mean 'search', 'bench'\?"),
    ("search --nope", "No such option: --nope"),
    ("search --trials many", "Invalid value for '--trials'"),
    ("search --width 8,x", r"--width takes whole numbers with commas between, as in 1,2,4, not '8,x'"),
    ("search --width ''", "--width takes whole numbers"),
    (f"search --width {'9' * 5000}", "--width takes whole numbers"),
    ("show x", "Missing argument 'ID'"),
    ("top", "Missing argument 'RUN'"),
    # unknown names, with the nearest ones
    ("search --space subgird", r"no space 'subgird': did you mean 'subgrid'\? known: grouped, "),
    ("search --space nowhere.py", "cannot read space 'nowhere.py'"),
    ("search --data digit", r"unknown data 'digit'; did you mean 'digits'\?"),
    ("search --data no/such/folder", "data 'no/such/folder': no such file or folder"),
    ("search --strategy tpee", r"no strategy 'tpee': did you mean 'tpe'\?"),
    ("search --objective acuracy", "no objective 'acuracy': did you mean 'accuracy'"),
    ("search --objective macs", "objective 'macs' needs no training"),
    ("search --device gpu", "no device 'gpu': known: auto, cpu, cuda, mps"),
    ("search --storage s4://bucket", "no protocol 's4' in 's4://bucket': write a folder, or a URL such as s3://bucket"),
    ("search --log tensorbord", r"no logger 'tensorbord': did you mean 'tensorboard'\? known: mlflow, "),
    ("search --augment flip", r"unknown augment 'flip'; .*known: none, shift, shift\+flip"),
    ("top nothing", r"no run 'nothing' in runs: known: \(none\)"),
    ("show nothing 12", "no run 'nothing' in runs"),
    ("export nothing", "no run 'nothing' in runs"),
    ("train nothing 12", "no run 'nothing' in runs"),
    ("compare nothing", "no run 'nothing' in runs"),
    ("compare nothing --patch 1x", "--patch takes a whole number, or one for each axis as in 1x4x4, not '1x'"),
    ("compare nothing --lrs fast", "--lrs takes numbers with commas between, as in 0.002,0.005, not 'fast'"),
    ("compare nothing --match size", "no --match 'size': known: macs, params"),
    ("compare nothing --against ,", "--against names nobody"),
    ("spaces nowhere", "no space 'nowhere': known: grouped, "),
    ("spaces --list", "--list needs the name of a space: grouped, "),
    ("search --start mixer,gmpl", "no network 'gmpl' in the zoo: did you mean 'gmlp'"),
    # sizes and numbers
    ("search --patch 3", "a patch of 3 does not divide axis h=8; sizes that divide: 1, 2, 4, 8"),
    ("spaces --patch 16", "a patch of 16 does not divide axis h=8; sizes that divide: 1, 2, 4, 8"),
    (
        "spaces --data cifar10 --patch 5",
        "a patch of 5 does not divide axis h=32; sizes that divide: 1, 2, 4, 8, 16, 32",
    ),
    ("search --patch 1x3", "a patch of 1x3 does not divide axis w=8; sizes that divide: 1, 2, 4, 8"),
    ("spaces local --patch 2,1x2x2", "a patch of 1x2x2 has 3 sides, the data have axes h w"),
    ("search --patch 2,,1", "--patch takes a whole number, or one for each axis as in 1x4x4, not ''"),
    ("search --width 100000000", "width is a tuple of different whole numbers from 1 to"),
    ("search --depth 100000", "depth is a tuple of different whole numbers from 1 to"),
    ("search --trials 0", "--trials is 0; at least 1 is expected"),
    ("search --top -1", "--top is -1; at least 1 is expected"),
    ("search --seeds 0", "--seeds is 0; 1 to 999 is expected"),
    ("search --seed 99999999999999999999", "--seed is 99999999999999999999; 0 to 2147483647 is expected"),
    ("search --minutes nan", "--minutes is nan; more than 0 is expected"),
    ("search --minutes 0", "--minutes is 0; more than 0 is expected"),
    ("search --workers -1", "--workers is -1; 0 to 4096 is expected"),
    ("search --lr nan", "recipe: lr is nan; expected a number of at least 1e-08"),
    ("search --lr 0", "recipe: lr is 0.0; expected"),
    ("search --epochs 0", "recipe: epochs is 0; expected an integer of at least 1"),
    ("search --batch 0", "recipe: batch is 0; expected an integer of at least 1"),
    ("search --label-smoothing 1", "recipe: label_smoothing is 1.0; expected a number of at least 0 and below 1"),
    ("search --images 5", "a limit of 5 leaves no training image of label"),
    ("search --run ../x", r"'\.\./x' cannot name a run"),
    ("spaces local -n -1", "Invalid value for '-n'"),
    ("top x -n -1", "Invalid value for '-n'"),
    ("export x --top 0", "Invalid value for '--top'"),
    ("export x 12 --top 2", "export takes an ID or --top, not both"),
    ("train x 12 --seeds 0", "--seeds is 0; 1 to 65536 is expected"),
    ("train x 12 --epochs 0", "--epochs is 0; at least 1 is expected"),
    # budgets that nothing meets
    ("search --max-params 5", "no architecture of space 'subgrid' has 0 to 5 parameters: they have [0-9,]+ to [0-9,]+"),
    ("search --max-macs 5", "no architecture of space 'subgrid' has .* at most 5 MACs: they have"),
    ("search --min-params 10 --max-params 5", "--min-params 10 is more than --max-params 5"),
    ("search --min-params 99999999", "no architecture of space 'subgrid' has at least 99,999,999 parameters"),
]


@pytest.mark.parametrize(("line", "pattern"), REFUSED, ids=[line[:40] for line, _ in REFUSED])
def test_what_is_wrong_is_told_in_one_line_before_anything_is_written(line, pattern, nas, tmp_path):
    one_line(nas(line), pattern)
    assert list(tmp_path.iterdir()) == []


def save(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    np.savez(path, x=x, y=y)


IMAGES, LABELS = np.random.default_rng(0).random((40, 8, 8), np.float32), np.arange(40) % 2

DATA = {
    "an empty folder": (lambda path: path.mkdir(), "no images; expected one folder for each class"),
    "a folder with a broken image": (
        lambda path: [(path / name).mkdir(parents=True) or (path / name / "1.png").write_bytes(b"x") for name in "ab"],
        r"1\.png: not a readable image",
    ),
    "no archive.npz": (lambda path: path.write_bytes(b"PK no"), r"not a readable \.npz file"),
    "other arrays.npz": (lambda path: np.savez(path, a=IMAGES), "holds a; expected arrays x and y"),
    "wrong shapes.npz": (lambda path: save(path, IMAGES[0], LABELS), r"x has shape \(8, 8\)"),
    "wrong number.npz": (lambda path: save(path, IMAGES, LABELS[:-1]), "40 examples with 39 labels"),
    "NaN.npz": (lambda path: save(path, IMAGES * np.nan, LABELS), "x holds NaN or infinity"),
    "one class.npz": (lambda path: save(path, IMAGES, LABELS * 0), r"one class only \(label 0\)"),
    "a text.txt": (lambda path: path.write_text("x"), "neither an .npz file nor an image folder"),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("command", ["search --dry-run", "spaces"])
def test_data_that_cannot_be_trained_on_is_told(command, name, nas, tmp_path):
    make, pattern = DATA[name]
    make(tmp_path / name)
    one_line(nas(f"{command} --data '{tmp_path / name}'"), pattern)


SPACE_FILES = [
    ("SPACE = (\n", "space 'mine.py' failed.*SyntaxError"),
    ("1 / 0\n", "space 'mine.py' failed, line 1: ZeroDivisionError: division by zero"),
    ("raise SystemExit(3)\n", "space 'mine.py' failed, line 1: SystemExit: 3"),
    ("x = 3\n", r"'mine\.py' declares no space: write SPACE = Space\(\.\.\.\), not None"),
    (
        "from search_spaces import Family, Space\nSPACE = Space('mine', '', (Family('a', 'q*', 's*'),))\n",
        "space 'mine.py' failed, line 2: SpaceError: family 'a'",
    ),
]


@pytest.mark.parametrize(("text", "pattern"), SPACE_FILES)
@pytest.mark.parametrize("command", ["search --space mine.py", "spaces mine.py"])
def test_a_space_file_that_fails_is_told(command, text, pattern, nas, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    one_line(nas(command), pattern)


MINE = """
from search_spaces import Family, Space

SPACE = Space("mine", "local mixing, weights for every channel", (Family("patches", positions="s*.m*", channels="g*"),))
"""


def test_a_space_of_the_users_own(nas, stubbed, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (row,) = nas("spaces mine.py --json").rows
    assert row["families"] == {"patches": {"h": "s*.m*", "w": "s*.m*", "c": "g*"}}
    search = SEARCH.replace("--space local", "--space mine.py").replace("--run x", "")
    assert nas(search).status == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"mine-digits-[0-9a-f]{6}", run.name)
    assert nas(search).status == 0  # the same command is the same run, moved or commented as the file may be
    (tmp_path / "mine.py").write_text("# better\n" + MINE)
    assert nas(search).status == 0
    assert list((tmp_path / "runs").iterdir()) == [run]
    (tmp_path / "mine.py").write_text(MINE.replace('"g*"', '"s*"'))
    one_line(nas(f"{search} --run {run.name}"), r"was made with space\.families\.patches\.c='g\*', not 's\*'")


WIDE = """
from search_spaces import Family, Space
print("a word of the space's own")
SPACE = Space("wide", "", (Family("any", "*", "s*|g*"),), width=(64, 512), depth=(2, 6), patch=(1,))
"""


def test_what_a_space_file_prints_is_no_answer(nas, tmp_path):
    (tmp_path / "wide.py").write_text(WIDE)
    for line in ("spaces wide.py", "search --space wide.py --dry-run --trials 2 --strategy random"):
        done = nas(f"{line} --json")
        assert done.status == 0 and len(done.rows) in (1, 2) and "a word of the space's own\n" in done.err
        assert "a word" not in nas(line).out


def share(text: str) -> float:
    return float(re.search(r"about ([0-9.e-]+)% of them have", text)[1])


@pytest.mark.parametrize(("limits", "flags"), [("", "max_params"), ("--max-params 200000000", "min_params")])
def test_a_default_budget_that_leaves_little_names_what_widens_it(limits, flags, nas, tmp_path):
    """And typed as it says, it does."""
    (tmp_path / "wide.py").write_text(WIDE)
    line = f"search --space wide.py --dry-run --trials 1 --strategy random {limits}"
    before = nas(line).out
    found = re.search(r"\nthat default budget is a tiny part of the space: (--.*) leaves about ([0-9.]+)%\n", before)
    assert share(before) < 0.1 and found, before
    assert flags.replace("_", "-") in found[1]
    after = nas(f"{line} {found[1]}").out
    assert share(after) > 10 and abs(share(after) - float(found[2])) < 15 and "tiny part" not in after
    assert "tiny part" in nas(f"{line} --json").err


def test_a_budget_that_leaves_enough_or_was_asked_for_says_nothing(nas, tmp_path):
    assert "tiny part" not in nas("search --space local --dry-run --trials 1").out
    (tmp_path / "wide.py").write_text(WIDE)
    asked = "--max-params 60000 --min-params 1000 --max-macs 100000000"
    text = nas(f"search --space wide.py --dry-run --trials 1 --strategy random {asked}").out
    assert share(text) < 0.1 and "tiny part" not in text


def test_sizes_that_are_primes_say_what_would_help(nas, tmp_path):
    save(tmp_path / "odd.npz", np.random.default_rng(0).random((40, 31, 58), np.float32), LABELS)
    prime = "has no divisors but 1 and itself, so all of it is"
    lines = [
        f"axis h=31 {prime} mixed or nothing: resized to 28 or 32 it has parts",
        f"width 13 {prime} grouped or nothing: --width 12 or 16 has groups",
    ]
    for command in ("spaces local", "search --space local --dry-run --trials 1"):
        text = nas(f"{command} --data odd.npz --width 13,16").out
        assert all(f"\n{line}\n" in text for line in lines) and "width 16" not in text and "axis w" not in text
    text = nas("spaces local --data odd.npz --patch 1x2").out
    assert f"axis w=58 in patches of 2 {prime} mixed or nothing: resized to 56 or 64 it has parts" in text
    assert "no divisors" not in nas("spaces local").out


def test_a_search_prints_its_ranking_and_what_to_do_next(nas, stubbed, tmp_path):
    done = nas(SEARCH)
    assert done.status == 0
    assert re.search(r"^space local: \d+ architectures of .* parameters; about [0-9.]+% of them have", done.out)
    data = "data digits: 920 training, 230 validation and 288 judge images; 5 candidates of up to 3 epochs (rung at 1)"
    assert data in done.out
    assert re.search(r"^ +1  +[0-9a-f]{10} +[0-9.]+% ", done.out, re.M)
    assert re.search(r"Next: nas export x --top 1 .*\n +nas train x [0-9a-f]{10} .*\n +nas top x -n 100", done.out)
    lines = done.err.splitlines()
    assert len(lines) == 6 + len([line for line in lines if line.startswith(("finals ", "other rates "))])
    assert sum("will mostly not be told from none" in line for line in lines) == 1
    assert re.match(r"searching 1/5  [0-9a-f]{10}  complete  [0-9.]+%  [0-9,]+ parameters  0.0 s$", lines[0])
    settings = json.loads((tmp_path / "runs" / "x" / "run.json").read_text())["settings"]
    assert settings["command"] == f"nas {SEARCH}"
    assert (settings["trials"], settings["recipe"]["epochs"], settings["data"]["name"]) == (5, 3, "digits")


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((0.80, 0.84, 0.82), "is ahead of full token mixing: +22.0 points ("),
        ((0.80, 0.50, 0.62), "cannot be told from full token mixing: +4.0 points ("),
        ((0.20, 0.22, 0.21), "is behind full token mixing: -39.0 points ("),
        ((0.80, 0.84), "and full token mixing: +22.0 points, too few seeds to tell (--seeds)"),
    ],
)
def test_the_leader_is_called_a_winner_only_where_it_is_ahead(accuracies, verdict, capsys):
    space = tiny()
    full = space.references(space.middle)["full token mixing"]
    found = next(each for each in space.enumerate() if each not in space.references(space.middle).values())
    finals = [result_of(found, value, phase="final", seed=seed) for seed, value in enumerate(accuracies)]
    for seed, value in enumerate((0.59, 0.61, 0.60)[: len(accuracies)]):
        finals.append(result_of(full, value, phase="final", seed=seed, label="full token mixing"))
    right = [packed(np.arange(100) < 100 * each.score.accuracy - 0.5) for each in finals]
    judged = [replace(e, judge=e.score, right=bits) for e, bits in zip(finals, right, strict=True)]
    standings = rank([result_of(found, 0.99), *judged], sizes_of, judge=100)
    print_ranking(standings, "x", 10, False)
    searching.print_next("x", standings, Path("my runs"))
    out = capsys.readouterr().out
    assert f"\n{found.id} {verdict}" in out
    assert "nas top x -n 100 --runs-dir 'my runs'  " in out
    assert ("winner" in out) == ("is ahead" in verdict)
    assert ("more --trials, or --until-sure" in out) == ("is ahead" not in verdict)
    for without in (rank([result_of(found, 0.99), *finals], sizes_of), [replace(e, on_front=True) for e in standings]):
        searching.print_next("x", without, Path("my runs"))
        assert "--until-sure" not in capsys.readouterr().out  # it takes what judged, and one objective


def test_a_repeated_search_trains_nothing_and_prints_the_same(nas, stubbed):
    first, second = nas(SEARCH), nas(SEARCH)
    assert (second.status, second.out, second.err) == (0, first.out, "")
    assert len(notes(stubbed, "start")) == len({note.key for note in notes(stubbed, "start")})


def test_searches_and_longer_trainings_are_logged(nas, stubbed, tmp_path):
    for package in ("ray", "tensorboardX"):
        pytest.importorskip(package, reason="--log needs it: pip install '.[log]'")
    done = nas(f"{SEARCH} --log tensorboard --json")
    assert nas(f"train x {done.rows[0]['id']} --epochs 2 --log tensorboard").status == 0
    logged = {path.parent.relative_to(tmp_path / "runs" / "x" / "logs") for path in tmp_path.rglob("events*")}
    phases = Counter(path.parts[1] for path in logged)
    assert phases == Counter(result.phase for result in RunFolder.open(tmp_path / "runs", "x").results())
    assert phases.keys() == {"search", "final", "tune", "train"}


def test_longer_trainings_have_their_own_seeds_and_leave_the_finals_weights(nas, stubbed, tmp_path):
    found = nas(f"{SEARCH} --seed 3 --json").rows
    best = next(row["id"] for row in found if row["rank"] == 1)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    trained = nas(f"train x {best} --epochs 3 --seeds 4 --json").rows
    assert nas("compare x --against mixer,resmlp --lrs 0.01,0.02 --budget 20000").status == 0
    runs = RunFolder.names(tmp_path / "runs")
    seeds: dict[str, set[int]] = {}
    for result in (result for name in runs for result in RunFolder.open(tmp_path / "runs", name).results()):
        if (result.phase, result.seed) != ("tune", 4):  # beside a final, at another rate
            seeds.setdefault(result.phase, set()).add(result.seed)
    assert [row["seed"] for row in trained] == sorted(seeds["train"]) and len(trained) == 4
    assert seeds.keys() == {"search", "final", "train", "tune", "compare"}
    assert len(set().union(*seeds.values())) == sum(map(len, seeds.values()))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert kept.items() < files.items()
    assert Counter(path.name.split("-")[0] for path in files.keys() - kept.keys()) == {"train": 4}


@pytest.mark.parametrize("phase", ["final", "tune", "compare", "train"])
def test_the_seeds_of_phases_never_meet(phase):
    """With as many of each as can be asked for."""
    commands = {"final": Search, "compare": Compare, "train": Train}
    most = {"search": 1, "tune": 1} | {each: declared(asked)["seeds"][1].most for each, asked in commands.items()}
    spans = {each: range(first, first + most[each]) for each, first in FIRST_SEEDS.items()}
    mine = spans.pop(phase)
    assert not any(mine.start < other.stop and other.start < mine.stop for other in spans.values())


def test_a_search_without_a_name_finds_its_run_again(nas, stubbed, tmp_path):
    for line in (SEARCH, SEARCH.replace("--trials 5", "--trials 7 --workers 1 --minutes 9")):
        assert nas(line.replace("--run x", "")).status == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1
    nas(SEARCH.replace("--run x", "--seed 1"))
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ("--space subgrid", r"--space is subgrid, run 'x' was made with local: choose another --run"),
        ("--lr 0.1", r"--lr is 0.1, run 'x' was made with 0.005: choose another --run"),
        ("--seed 3", r"--seed is 3, run 'x' was made with 0: choose another --run"),
        ("--max-params 600", r"--max-params is 600, run 'x' was made with \d+: choose another --run"),
        ("--images 500", r"--images is 500, run 'x' was made with 920: choose another --run"),
        ("--no-prune", r"nas: --no-prune, run 'x' was made with --prune: choose another --run"),
        (
            "--epochs 8 --width 8,16 --start mixer --objective accuracy,macs",
            "--start is mixer, run 'x' was made with none; --objective is accuracy,macs, not accuracy; "
            "--width is 8,16, not 8; --epochs is 8, not 3: choose another --run",
        ),
    ],
)
def test_a_run_of_other_settings_is_refused_and_kept(changes, pattern, nas, stubbed, tmp_path):
    nas(SEARCH)
    files = {path: path.read_bytes() for path in (tmp_path / "runs" / "x").iterdir() if path.is_file()}
    one_line(nas(f"{SEARCH} {changes}"), pattern)
    assert files == {path: path.read_bytes() for path in (tmp_path / "runs" / "x").iterdir() if path.is_file()}


def test_a_second_search_in_one_run_is_refused(nas, stubbed, tmp_path):
    nas(SEARCH)
    settings = RunFolder.open(tmp_path / "runs", "x").settings
    with RunFolder.create_or_open(tmp_path / "runs", "x", settings):
        one_line(nas(SEARCH), r"run 'x' is being written by another search \(process \d+\)")
        assert nas("top x").status == 0


def test_a_garbage_line_is_refused_with_its_number_and_a_torn_one_is_passed_over(nas, stubbed, tmp_path):
    nas(SEARCH)
    path = tmp_path / "runs" / "x" / "results.jsonl"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"\n", b"\n{garbage\n", 1))
    for line in ("top x", "show x aaaa", "export x", "train x aaaa"):
        one_line(nas(line), r"results\.jsonl, line 2: not JSON .*; mend or delete this line")
    one_line(nas(SEARCH), r"results\.jsonl, line 2: not JSON", out="space local")
    path.write_bytes(good + b'{"architecture": {')
    done = nas("top x --json")
    assert done.err.startswith("nas: warning: ") and done.err.count("\n") == 1
    assert len(done.rows) > 5
    again = nas(SEARCH)
    assert (again.status, again.err.count("\n")) == (0, 1)
    assert "the last line was torn" in again.err
    assert path.read_bytes() == good


def test_the_ranking_as_csv(nas, stubbed):
    nas(SEARCH)
    done = nas("top x --csv")
    header, *lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "") and header.startswith("rank,id,label,name,front,state,accuracy,std,n,")
    assert [line.split(",")[1] for line in lines] == [row["id"] for row in nas("top x --json -n 99").rows]
    one_line(nas("top x --csv --json"), "top takes --csv or --json, not both")


def test_a_run_as_a_study(nas, stubbed):
    nas(SEARCH)
    assert nas("export x --optuna sqlite:///x.db").out == "study 'x' in sqlite:///x.db: 5 trials\n"
    one_line(nas("export x 1 --optuna sqlite:///x.db"), "export takes --optuna, which is all of a run, or networks")
    one_line(nas("export x --optuna x.db"), "cannot write a study to x.db: Could not parse SQLAlchemy URL")


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "settings": {}, "created": "2026-01-01"}', "[" * 5000])
def test_a_damaged_run_json_is_told(text, nas, stubbed, tmp_path):
    nas(SEARCH)
    (tmp_path / "runs" / "x" / "run.json").write_text(text)
    for line in ("top x", "show x a", "export x", "train x a"):
        one_line(nas(line), r"run\.json")
    one_line(nas(SEARCH), r"run\.json|run 'x' was made with")


def test_a_run_does_not_go_on_with_a_default_where_run_json_lacks_what_every_run_has(nas, stubbed, tmp_path):
    nas(SEARCH)
    path = tmp_path / "runs" / "x" / "run.json"
    content = json.loads(path.read_text())
    for name in ("strategy", "objective", "seed", "trials", "top", "seeds", "device"):
        path.write_text(json.dumps(content | {"settings": content["settings"] | {name: None}}))
        (tmp_path / "runs" / "x" / "last.json").unlink(missing_ok=True)
        one_line(nas("search --run x --dry-run"), rf"run\.json: among its settings '{name}' is None, not a ")


def test_a_failing_candidate_is_told_with_its_reason(nas, monkeypatch, tmp_path):
    rows = nas(f"{SEARCH} --no-prune --dry-run --json").rows
    does = {rows[1]["id"]: "raise", rows[2]["id"]: "nan", rows[3]["id"]: "out of memory"}
    monkeypatch.setattr("nas.api.search.local_executor", lambda *_: Serial(Noting(tmp_path / "log", does)))
    done = nas(f"{SEARCH} --no-prune")
    assert done.status == 0
    for reason in ("ValueError: the sizes do not divide", "FloatingPointError: training loss is nan", "out of memory"):
        assert re.search(rf" failed(: | \(){reason}", done.out)  # a reference is told with the seeds that it lacks
        assert f"  failed  {reason}" in done.err
    by_id = {row["id"]: row for row in nas("top x --json -n 99").rows}
    assert [by_id[id]["state"] for id in does] == ["failed"] * 3
    assert all(by_id[id]["accuracy"] is None for id in does)


def test_a_full_disk_and_a_folder_that_cannot_be_written_are_told(nas, stubbed, monkeypatch, tmp_path):
    (tmp_path / "runs").touch()
    one_line(nas(SEARCH), "cannot write runs/x: ")
    (tmp_path / "runs").unlink()
    write = os.write

    def full(file: int, data: bytes) -> int:
        if data.startswith(b'{"architecture"'):
            raise OSError(28, "No space left on device")
        return write(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        one_line(nas(SEARCH), r"cannot write runs/x/results\.jsonl: No space left on device", out="space local")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        one_line(nas(SEARCH), r"cannot (write runs/x|read runs/x/run\.json): Permission denied")
    (tmp_path / "file").touch()
    one_line(nas(f"{SEARCH} --storage file/kept"), "cannot write .*/file/kept/x: .*Not a directory", out="space local")
    assert nas(f"{SEARCH} --storage kept").status == 0
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_dry_run_shows_what_would_be_tried_and_writes_nothing(nas, stubbed, tmp_path):
    done = nas(f"{SEARCH} --dry-run")
    assert done.status == 0
    assert len(re.findall(r"^  [1-5] [0-9a-f]{10}  [0-9,]+ parameters  [0-9,]+ MACs$", done.out, re.M)) == 5
    assert done.out.count("      Mix('b ") == 5
    rows = nas(f"{SEARCH} --dry-run --json").rows
    assert all(row["id"] in done.out and row["einmix"][0] in done.out for row in rows)
    assert list(tmp_path.iterdir()) == []
    nas(SEARCH)
    assert {row["id"] for row in rows} <= {row["id"] for row in nas("top x --json -n 99").rows}
    assert nas(SEARCH.replace("--trials 5", "--trials 999 --dry-run --json")).rows[5:]


def test_an_exhausted_space_says_so(nas, stubbed):
    done = nas(SEARCH.replace("--trials 5", "--trials 999"))
    assert done.status == 0
    assert "every architecture of space 'local' within the budget has been tried" in done.err


def test_a_network_to_start_with_keeps_its_name_everywhere(nas, stubbed):
    line = SEARCH.replace("--top 2", "--top 9")
    done = nas(f"{line} --start mixer")
    (row,) = [row for row in nas("top x --json -n 99").rows if row["name"]]
    title = f"{row['id']} (mixer)"
    assert row["name"] == "mixer" and row["label"] == ""
    assert f"searching 1/5  {title}  " in done.err and re.search(rf"finals \d+/\d+  {re.escape(title)}  ", done.err)
    for out in (done.out, nas("top x").out):
        assert re.search(rf"^ +\d+  +{re.escape(title)}  ", out, re.M)
    assert nas(f"show x {row['rank']}").out.startswith(f"{title}: ")
    compared = nas(f"compare x --id {row['rank']} --against convmixer --lrs 0.005 --seeds 2 --epochs 1")
    assert f"network {title} of x and 1 of the zoo" in compared.out
    assert re.search(rf"^ {re.escape(title)} \(found\)  ", compared.out, re.M)


def test_the_finals_of_a_front_are_said(nas, stubbed):
    line = (
        f"{SEARCH.replace('--trials 5', '--trials 20').replace('--patch 2', '--patch 1')} --objective accuracy,params"
    )
    done = nas(line.replace("--top 2", "--top 5"))
    assert "then of their front at most 5 and their references over 2 seeds" in done.out
    (said,) = re.findall(r"^finals: (\d) networks?, not 5: the front has no more", done.err, re.M)
    found = {row["id"] for row in nas("top x --json").rows if row["rank"] and row["state"] == "final"}
    assert len(found) == int(said) > 1
    assert "finals:" not in nas(line.replace("--top 2 ", "--top 1 ").replace("--run x", "--run y")).err
    fronts = [row["front"] for row in nas("top x --json").rows if row["rank"] and row["state"] == "final"]
    assert fronts == sorted(fronts, reverse=True)
    assert re.search(r"^ front +rank +", nas("top x").out, re.M)


def test_several_objectives(nas, stubbed):
    assert nas(f"{SEARCH} --objective accuracy,macs").status == 0
    assert "(rung at" in nas(f"{SEARCH} --objective accuracy,macs").out
    assert "(rung" not in nas(f"{SEARCH} --objective accuracy,latency --dry-run").out


@pytest.mark.parametrize(("rungs", "told"), [("1", "(rung at 1)"), ("2,1", "(rungs at 1, 2)")])
def test_rungs_are_told(nas, rungs, told):
    assert told in nas(f"{SEARCH} --rungs {rungs} --dry-run").out


@pytest.fixture
def training_on(monkeypatch, tmp_path) -> Callable[..., None]:
    """Makes searches train with the stub on a device, as their lines then say, with a version of torch."""
    session = importlib.import_module("nas.api.search")

    def choose(device: str, torch: str = "2.9.0") -> None:
        precision = "bfloat16" if device == "cuda" else "float32"
        found = {"torch": torch, "einops": "0.8.1"}
        extra = {"device": device, "precision": precision, "versions": found, "latency_ms": 1.0}
        log = tmp_path / "log"
        monkeypatch.setattr(session, "find_device", lambda _: (device, 1))
        monkeypatch.setattr(session, "kind_on", lambda *_: (device, precision), raising=False)
        monkeypatch.setattr("nas.loop.past.versions", lambda: found)
        monkeypatch.setattr(session, "versions", lambda: found)
        monkeypatch.setattr(session, "local_executor", lambda *_: Serial(Noting(log, extra=extra)))

    return choose


def npz(path: Path, seed: int = 0, **more: np.ndarray) -> Path:
    """Grey images of 8 x 8 in two classes."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=rng.integers(0, 255, (120, 8, 8), np.uint8), y=np.arange(120) % 2, **more)
    return path


OWN = SEARCH.replace("search ", "search --data w.npz ")


def test_data_is_known_by_what_it_is_not_by_how_its_path_is_typed(nas, stubbed, tmp_path, monkeypatch):
    npz(tmp_path / "w.npz")
    unnamed = OWN.removesuffix("--run x")
    first = nas(f"{unnamed} --json")
    (tmp_path / "sub").mkdir()
    for data in ("./w.npz", "sub/../w.npz", str(tmp_path / "w.npz")):
        assert nas(f"{unnamed} --json".replace("w.npz", data)).rows == first.rows
    (tmp_path / "w.npz").rename(tmp_path / "sub" / "renamed.npz")
    assert nas(f"{unnamed} --json".replace("w.npz", "sub/renamed.npz")).rows == first.rows
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch("local-w-[0-9a-f]{6}", run.name)
    npz(tmp_path / "w.npz", seed=1)  # other data of the same name
    assert nas(unnamed).status == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize("command", ["train x {} --epochs 1", "compare x --id {} --against mixer --budget 20000"])
def test_the_data_of_a_run_is_found_from_anywhere_and_said_where_it_was_moved(
    command, nas, stubbed, tmp_path, monkeypatch
):
    npz(tmp_path / "w.npz")
    best = next(row["id"] for row in nas(f"{OWN} --json").rows if row["rank"] == 1)
    line = f"{command.format(best)} --device cpu --runs-dir {tmp_path / 'runs'} --json"
    monkeypatch.chdir(tmp_path.joinpath("elsewhere").mkdir() or tmp_path / "elsewhere")
    found = nas(line)
    assert found.status == 0
    moved = tmp_path / "data" / "sub" / "moved.npz"
    moved.parent.mkdir(parents=True)
    (tmp_path / "w.npz").rename(moved)
    one_line(
        nas(line), f"data 'w.npz' of run 'x' is not where it was, {tmp_path}/w.npz: write --data PATH, where it is now"
    )
    assert nas(f"{line} --data {moved}").rows == found.rows
    moved.rename(tmp_path / "elsewhere" / "w.npz")
    assert nas(line).rows == found.rows
    npz(tmp_path / "elsewhere" / "w.npz", seed=1)
    one_line(nas(line), "data '.*w.npz' is not what run 'x' was made with: its fingerprint differs: --data says where")
    compared = {path for path in (tmp_path / "runs").iterdir() if path.name != "x"}
    assert len(compared) == command.startswith("compare")


def as_of_the_first_version(run: Path) -> None:
    """Rewrites a run as the first version wrote it: paths as they were typed, no word of devices and versions."""
    content = json.loads((run / "run.json").read_text())
    for name in ("data_path", "log", "gpus_per_trial"):
        del content["settings"][name]
    content["settings"] |= {"data_dir": "data"}
    content["settings"]["data"]["name"] = "w.npz"
    (run / "run.json").write_text(json.dumps(content))
    (run / "last.json").unlink()
    run.rename(run.with_name("local-w-0a1b2c"))


def test_runs_of_the_first_version_go_on(nas, stubbed, tmp_path, monkeypatch):
    npz(tmp_path / "w.npz")
    unnamed = OWN.removesuffix("--run x")
    first = nas(f"{unnamed} --json")
    (run,) = (tmp_path / "runs").iterdir()
    as_of_the_first_version(run)
    again = nas(f"{unnamed} --trials 6 --json")
    assert {"searching 6/6"} == {line[:13] for line in again.err.splitlines() if line.startswith("searching")}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["local-w-0a1b2c"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    best = next(row["id"] for row in first.rows if row["rank"] == 1)
    for line in ("search --run local-w-0a1b2c", f"train local-w-0a1b2c {best} --epochs 1 --device cpu"):
        assert nas(f"{line} --runs-dir ../runs").status == 0


def test_a_run_goes_on_by_its_name_alone(nas, stubbed, tmp_path, monkeypatch):
    """With the settings that it was made with, none of them the default, from another folder, until all is done."""
    npz(tmp_path / "w.npz")
    (tmp_path / "mine.py").write_text(MINE)
    options = (
        "--space mine.py --data ./w.npz --strategy exhaustive --objective loss --patch 2,4 --width 8 --depth 1,2 "
        "--ratio 1 --epochs 4 --lr 0.003 --batch 32 --weight-decay 0.1 --label-smoothing 0.2 --augment shift "
        "--images 60 --no-prune --top 1 --seeds 2 --seed 3 --device cpu --min-params 10 --max-params 5000 "
        "--trials 4 --run x"
    )
    done = nas(f"search {options} --json")
    assert done.status == 0
    settings = (tmp_path / "runs" / "x" / "run.json").read_bytes()
    trained = len(notes(stubbed, "start"))
    monkeypatch.chdir(tmp_path / "runs")
    assert nas("search --run x --runs-dir . --json").rows == done.rows
    assert len(notes(stubbed, "start")) == trained
    more = nas("search --run x --runs-dir . --trials 6 --objective loss --lr 3e-3 --json")
    assert sum(row["rank"] is not None for row in more.rows) > sum(row["rank"] is not None for row in done.rows)
    results = tmp_path / "runs" / "x" / "results.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    searched = [line for line in lines if json.loads(line)["phase"] == "search"]
    results.write_bytes(b"".join(searched[:5]))  # as a kill leaves it
    assert nas("search --run x --runs-dir .").status == 0
    assert (
        sum(result.phase == "search" for result in RunFolder.open(tmp_path / "runs", "x").results())
        == len(searched)
        == 6
    )
    assert (tmp_path / "runs" / "x" / "run.json").read_bytes() == settings


def test_a_comparison_is_no_search_to_go_on_with(nas, stubbed, tmp_path):
    nas(SEARCH)
    nas("compare x --against mixer --budget 20000 --lrs 0.01")
    (name,) = {path.name for path in (tmp_path / "runs").iterdir()} - {"x"}
    one_line(nas(f"search --run {name}"), f"run '{name}' holds a comparison, not a search: choose another --run")


def test_a_mean_of_finals_is_of_one_device_and_precision(nas, training_on, tmp_path):
    search = SEARCH.removesuffix("--run x").replace("--device cpu", "") + "--images 600 --run x"
    training_on("cpu")
    before = nas(f"{search} --json")
    n = sum(row["state"] == "final" for row in before.rows)
    assert before.err.count("finals ") == 2 * n
    training_on("cuda")
    nas(f"{search} --json")  # nothing is missing
    lines = RunFolder.open(tmp_path / "runs", "x").results()
    assert {line.extra["device"] for line in lines} == {"cpu"}

    done = nas(f"{search} --seeds 3 --json")
    told = f"final: {2 * n} on cpu in float32 stand apart: a mean is of one device and precision, now cuda in bfloat16"
    assert told in done.err and "5 candidates were trained on cpu in float32, others are on cuda" in done.err
    finals = [line for line in RunFolder.open(tmp_path / "runs", "x").results() if line.phase == "final"]
    assert Counter(line.extra["device"] for line in finals) == {"cpu": 2 * n, "cuda": 3 * n}
    assert {row["n"] for row in done.rows if row["state"] == "final"} == {3}
    assert nas("top x --json -n 99").rows == done.rows
    assert nas(f"{search} --seeds 3 --json").rows == done.rows


def test_longer_trainings_on_another_device_are_others(nas, training_on, tmp_path, monkeypatch):
    runs = importlib.import_module("nas.api.train")
    training_on("cpu")
    nas(SEARCH)

    def train(device: str, seeds: int) -> list[str]:
        extra = {"device": device, "precision": "float32"}
        monkeypatch.setattr(runs, "find_device", lambda _: (device, 1))
        monkeypatch.setattr("nas.api.saved.kind_on", lambda *_: (device, "float32"))
        monkeypatch.setattr(runs, "local_executor", lambda *_: Serial(Noting(tmp_path / "log", extra=extra)))
        return [row["extra"]["device"] for row in nas(f"train x 1 --epochs 2 --seeds {seeds} --json").rows]

    assert train("cpu", 2) == train("mps", 2) == ["cpu"] * 2
    assert train("mps", 3) == train("cpu", 3) == ["mps"] * 3


def test_a_change_of_versions_is_said_once_and_stands_in_every_line(nas, training_on, tmp_path):
    training_on("cpu", torch="2.9.0")
    nas(SEARCH)
    training_on("cpu", torch="2.10.0")
    more = SEARCH.replace("--trials 5", "--trials 7")
    done = nas(more)
    assert done.err.count("trained so far with torch 2.9.0 (now 2.10.0): what follows may differ a little") == 1
    lines = RunFolder.open(tmp_path / "runs", "x").results()
    assert [line.versions["torch"] for line in lines if line.phase == "search"] == ["2.9.0"] * 5 + ["2.10.0"] * 2
    assert "trained so far" not in nas(more).err


def test_latency_is_an_objective_that_belongs_to_its_device(nas, training_on, tmp_path):
    search = SEARCH.replace("--device cpu", "--images 600 --objective accuracy,latency")
    training_on("cpu")
    assert nas(search).status == 0
    training_on("cuda")
    done = nas(f"{search} --trials 9")
    assert done.status == 2
    told = "run 'x' measured latencies on cpu, this would be on cuda: go on with --device cpu, or choose another --run"
    assert done.err == f"nas: {told}\n"


def test_json_output_is_all_there_is_on_stdout(nas, stubbed):
    rows = nas(f"{SEARCH} --json").rows
    assert rows == nas("top x --json -n 99").rows
    places = [row["rank"] for row in rows if row["rank"]]
    assert places == list(range(1, len(places) + 1))
    assert len(places) >= 4
    best = next(row for row in rows if row["rank"] == 1)
    assert (best["state"], best["n"], len(best["mixers"])) == ("final", 2, 1)
    assert best["gain"]["verdict"] == "judged on the images that chose it"  # a stub is right on nothing in particular
    (shown,) = nas(f"show x {best['id'][:6]} --json").rows
    assert {name: shown[name] for name in best} == best
    assert [each["phase"] for each in shown["trainings"]] == ["search", "final", "final", "tune", "tune"]
    assert len(nas("top x --json -n 1").rows) == len([row for row in rows if row["state"] == "final"])


def test_an_architecture_is_shown_in_words_as_einmix_and_as_text(nas, stubbed):
    rows = nas(f"{SEARCH} --json").rows
    for row in rows:
        done = nas(f"show x {row['id']}")
        assert done.status == 0
        assert f"{row['params']:,} parameters" in done.out
        assert all(mixer in done.out for mixer in row["mixers"])
        assert "def model() -> nn.Module:" in done.out
    one_line(nas("show x zzzz"), r"no architecture 'zzzz' in run 'x': known: [0-9a-f]{10}, ")
    one_line(nas("show x ''"), r"no architecture '': run 'x' has ranks 1 to \d+, and an id takes at least 4 letters")


def test_what_is_shorter_than_four_letters_of_an_id_is_a_rank(nas, stubbed):
    rows = {row["rank"]: row["id"] for row in nas(f"{SEARCH} --json").rows if row["rank"]}
    for place, id in rows.items():
        assert nas(f"show x {place} --json").rows[0]["id"] == nas(f"show x {id[:4]} --json").rows[0]["id"] == id
    for text in (str(len(rows) + 1), "0", "01", rows[1][:3] if not rows[1][:3].isdigit() else "abc"):
        for command in ("show x", "export x", "train x", "compare x --id"):
            one_line(nas(f"{command} {text}"), rf"no architecture '{text}': run 'x' has ranks 1 to {len(rows)}, and")


def test_a_block_of_a_network_names_its_mixer_once(nas, stubbed):
    best = nas(f"{SEARCH.replace('--depth 1', '--depth 3')} --json").rows[0]
    blocks = nas(f"show x {best['id']}").out.partition("trainings\n")[0]
    mixers = dict.fromkeys(mixer.removesuffix(" +b") for mixer in best["mixers"])
    runs = [mixer for mixer, _ in itertools.groupby(mixer.removesuffix(" +b") for mixer in best["mixers"])]
    assert sum(blocks.count(mixer) for mixer in mixers) == len(runs)
    assert blocks.count("Mix('b ") == len(runs)


def test_one_of_a_thing_is_not_called_many(nas, stubbed):
    line = (
        SEARCH.replace("--trials 5", "--trials 1").replace("--seeds 2", "--seeds 1").replace("--epochs 3", "--epochs 1")
    )
    outs = [nas(f"{line} --workers 1").out, nas("top x").out, nas("show x 1").out]
    assert "1 candidate of up to 1 epoch, then" in outs[0] and "over 1 seed" in outs[0]
    for out in outs:
        assert not re.search(r"(?<![\d.,])1 (seeds|epochs|candidates|workers|trainings|images)", out)


def test_texts_of_a_foreign_run_do_nothing_to_a_terminal(nas, stubbed, tmp_path):
    nas(SEARCH)
    path = tmp_path / "runs" / "x" / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        hostile = "[red]\x1b[2J\x9b31m\u202e\r\n"
        line["label"] = line["label"] and line["label"] + hostile
        line |= {"reason": hostile, "state": "failed" if line["number"] in (0, 7) else line["state"]}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    outputs = [nas("top x"), *(nas(f"show x {line['id']}") for line in lines), nas(SEARCH)]
    for done in outputs:
        assert done.status == 0
        assert [c for c in done.out + done.err if not c.isprintable() and c != "\n"] == []
    assert "[red] [2J 31m" in outputs[0].out


def test_spaces_are_listed_with_exact_counts(nas):
    rows = nas("spaces --json").rows
    assert [row["name"] for row in rows] == ["grouped", "local", "subgrid", "per_channel", "mixed", "roles", "macro"]
    text = nas("spaces").out
    assert all(re.search(rf"^ {row['name']} ", text, re.M) for row in rows)
    detailed = nas(f"spaces local {SMALL.split(' --epochs')[0]}").out
    assert "family local: h=s*.m* w=s*.m* c=g*.s*" in detailed
    assert "patch: 2\nwidth: 8\ndepth: 1\nratio: 1\n" in detailed


@pytest.mark.parametrize("command", ["spaces", "zoo"])
def test_tables_of_spaces_and_of_the_zoo_cut_no_figure(command, nas, monkeypatch):
    def figures(width: int) -> set[str]:
        for module in ("spaces", "zoo"):
            monkeypatch.setattr(f"nas.cli.{module}.console_for", lambda: Console(width=width))
        lines = nas(command).out.splitlines()
        assert max(len(line) for line in lines if not line.startswith("Published")) <= width
        return {word for line in lines for word in line.split() if any(c.isdigit() for c in word)}

    whole = figures(300)
    for width in (40, 80):
        assert figures(width) - {str(width)} <= whole


def test_a_space_of_forms_is_listed_block_by_block(nas):
    sizes = "--patch 2 --width 8 --depth 2 --ratio 2"
    (space,) = nas(f"spaces macro --json {sizes}").rows
    assert "gate" in space["forms"] and space["families"] == {} and space["sizes"]["stages"] == [1, 2]
    assert space["weights"] == dict.fromkeys(space["forms"], 1)
    rows = nas(f"spaces macro --list -n 30 --json {sizes}").rows
    assert {row["kind"] for row in rows} == {"block", "architecture"}
    assert rows[0]["text"].startswith("linear h=")
    text = nas(f"spaces macro {sizes}").out
    assert "\nforms: linear, mlp, rafts" in text and "\nweights: linear 1, mlp 1, rafts 1" in text


def test_a_search_starts_with_networks_of_the_zoo(nas):
    rows = nas("search --space macro --start resmlp,s2mlp --trials 3 --dry-run --json").rows
    assert len(rows) == 3 and rows[1]["mixers"] == []
    assert "weights shared" not in rows[0]["einmix"][0] and any(" c=s" in mixer for mixer in rows[0]["mixers"])


def test_a_space_is_listed_with_einmix_lines(nas):
    sizes = SMALL.split(" --epochs")[0]
    (space,) = nas(f"spaces local --json {sizes}").rows
    rows = nas(f"spaces local --list -n 0 --json {sizes}").rows
    kinds = [row["kind"] for row in rows]
    assert kinds.count("architecture") == space["architectures"]
    assert kinds.count("mixer") > 0
    assert [row["einmix"].startswith("Mix('b ") for row in rows if row["kind"] == "mixer"].count(False) == 0
    text = nas(f"spaces local --list -n 3 {sizes}").out
    assert text.count("Mix('b ") == 6
    assert nas("spaces roles --data cifar10 --list -n 1").out.count("Mix('b ") >= 2  # lazily


def test_spaces_on_data_of_the_users_own(nas, tmp_path):
    save(tmp_path / "mine.npz", IMAGES, LABELS)
    (row,) = nas("spaces grouped --data mine.npz --json").rows
    assert row["sizes"]["patch"] == [1, 2]


def test_patches_of_several_sides_from_the_command_line_to_the_run(nas, stubbed, tmp_path):
    line = SEARCH.replace("--patch 2 ", "--patch 4x2 ")
    rows = nas(f"{line} --json").rows
    settings = json.loads((tmp_path / "runs" / "x" / "run.json").read_text())["settings"]
    assert settings["space"]["patch"] == [[4, 2]]
    grids = [Mixer.parse(mixer).inputs for row in rows for mixer in row["mixers"]]
    assert len(grids) > 3 and all(grid == {"h": 2, "w": 4, "c": 8} for grid in grids)
    count = len(notes(stubbed, "start"))
    for again in (line, line.replace("4x2", "4x2,4x2"), "search --run x"):
        assert nas(f"{again} --json").rows == rows and len(notes(stubbed, "start")) == count, "it goes on with the run"
    one_line(nas(line.replace("4x2", "2x4")), "--patch is 2x4, run 'x' was made with 4x2: choose another --run")
    one_line(nas(line.replace("4x2", "4x2x1")), "--patch is 4x2x1, run 'x' was made with 4x2: choose another --run")
    line = line.replace("--run x", "--run y")
    rows = nas(f"{line.replace('4x2', '2x2')} --json").rows
    assert nas(f"{line.replace('4x2', '2')} --json").rows == nas(f"{line.replace('4x2', '2x2')} --json").rows == rows
    assert "patch: 4x2, 2" in nas("spaces local --patch 4x2,2x2").out


def test_what_is_converted_of_images_is_said_before_the_search(nas, stubbed, tmp_path):
    for number in range(20):
        folder = tmp_path / "mine" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA" if number < 3 else "L", (8, 8)).save(folder / f"{number}.png")
    done = nas(f"{SEARCH} --data mine")
    assert "\nmine: 3 of 20 images: the alpha channel is dropped" in done.out.partition("\nrun ")[0]
    assert "\nmine: 17 of 20 images: grey becomes RGB" in done.out.partition("\nrun ")[0]


REAL = (
    "search --epochs 1 --lr 0.005 --trials 3 --top 1 --seeds 2 --width 32 --depth 2 --patch 2 --workers 2 --device cpu "
    "--run x"
)


def test_a_real_search_from_end_to_end(nas, tmp_path):
    done = nas(REAL)
    assert (done.status, done.err.count("\n")) == (0, 4 + 2 * 4 + 2 * 2)
    told = done.out.splitlines()
    assert all(
        sum(line.startswith(f"  {part}: ") for line in told) == 1 for part in ("the next ten minutes", "checklist")
    )
    rows = {row["label"] or row["rank"]: row for row in nas("top x --json").rows}
    assert set(rows) == {1, 2, 3, "full token mixing", "channels only", "shared local"}
    assert 0.1 < rows[1]["accuracy"] < 1
    best = rows[1]["id"]
    assert "def model() -> nn.Module:" in nas(f"show x {best}").out

    exported = nas("export x --top 2 -o out")
    assert exported.status == 0
    no_weights = r"nas: ([0-9a-f]{10}) has no weights, only finalists do: .*; `nas train x \1` trains it, .*\n"
    assert re.fullmatch(no_weights, exported.err)
    first, second = exported.out.splitlines()
    fact = "checked in a clean process with torch and einops alone, outputs equal"
    assert first.startswith(f"out/subgrid_{best}.py and subgrid_{best}.safetensors: {fact}")
    assert f"(no weights): {fact}" in second
    header = (tmp_path / "out" / f"subgrid_{best}.py").read_text().split('"""')[1]
    assert f"nas {REAL}" in " ".join(header.split())

    audit = nas("audit x")
    assert (audit.status, audit.err) == (0, "") and "20 are needed to say how well anything ranks them" in audit.out
    assert "  passed          test data: none of its networks has met it\n" in audit.out
    (row,) = nas("audit x --json").rows
    assert (row["rungs"], row["cheap"], len(row["checks"])) == ({}, {}, 9)

    train = f"train x {best} --epochs 2 --seeds 2 --workers 0 --device cpu"
    done = nas(train)
    assert done.status == 0
    assert re.fullmatch(
        r"(seed 1000[01]: 2 epochs, validation [0-9.]+%, test [0-9.]+% \(loss [0-9.]+\), [0-9.]+ s\n){2}"
        r"test accuracy [0-9.]+% ± [0-9.]+% \(mean ± std, n=2\)\n",
        done.out,
    )
    again = nas(f"{train} --json")
    assert again.err == ""
    assert [(row["seed"], row["phase"], row["epochs"]) for row in again.rows] == [
        (10_000, "train", 2),
        (10_001, "train", 2),
    ]
    assert f"subgrid_{best}.safetensors: checked" in nas(f"export x {best[:5]}").out
    assert "2 epochs, validation accuracy" in (tmp_path / "exported" / f"subgrid_{best}.py").read_text()


COMPARE = "compare x --against mixer,convmixer --images 300 --epochs 2 --seeds 3 --workers 2 --device cpu --depth 1"
POINTS = r"(?:[-+][0-9.]+|0\.0)"
RANGE = rf"\({POINTS} to {POINTS}\)"


@pytest.mark.outside
def test_a_real_comparison_from_end_to_end(nas, tmp_path):
    nas(REAL.replace("--trials 3", "--trials 1"))
    done = nas(COMPARE)
    assert done.status == 0
    (path,) = (tmp_path / "runs").glob("x-compare-*")
    head = (
        r"network ([0-9a-f]{10}) of x and 2 of the zoo: [0-9,]+ to [0-9,]+ parameters\n.*\nrun x-compare-[0-9a-f]{6}: "
    )
    found = re.match(head, done.out)[1]
    assert "data digits: 300 training, 230 validation and 359 test images" in done.out
    assert re.search(rf"^ {found} \(found\) .* [0-9.]+% +3 +[0-9.]+ +1.00 *$", done.out, re.M)
    assert re.search(rf"^ mixer .* [0-9.]+% +3 +[0-9.]+ +[0-9.]+ +{POINTS} {RANGE} *$", done.out, re.M)
    for name in ("mixer", "convmixer"):
        words = "is ahead of|is behind|cannot be told from"
        assert re.search(rf"^{found} ({words}) {name}: {POINTS} points {RANGE}$", done.out, re.M)
    lines = done.err.splitlines()
    assert [
        line for line in lines if not re.match(r"(learning rates|comparing) \d+/\d+  .* s(  \(.* left\))?$", line)
    ] == []
    results = [json.loads(line) for line in (path / "results.jsonl").read_text().splitlines()]
    assert len(results) == len(lines)
    assert [result["phase"] for result in results if result["test"]] == ["compare"] * 9

    again = nas(COMPARE)
    assert (again.status, again.out, again.err) == (0, done.out, "")  # the latencies too are those measured then
    rows = nas(f"{COMPARE} --json").rows
    assert [row["name"] for row in rows] == [found, "mixer", "convmixer"]
    for row in rows:
        assert abs(row["params"] / rows[0]["params"] - 1) <= 0.05
        assert f"{row['lr']:g}" in row["validation"]
        assert row["test"]["n"] == len(row["seeds"]) == 3 and row["ms"] > 0
    assert rows[1]["difference"]["low"] < rows[1]["difference"]["high"] and rows[1]["verdict"] in done.out
    one_line(nas(f"top {path.name}"), "holds a comparison, not a search: `nas compare` of its search shows it")


def start(line: str, folder: Path, program: Sequence[str] = ("-m", "nas")) -> subprocess.Popen[str]:
    """A command in a process group of its own, as a shell starts it."""
    pipe = subprocess.PIPE
    command = [sys.executable, *program, *shlex.split(line)]
    return subprocess.Popen(
        command, cwd=folder, env=importing(), start_new_session=True, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.slow
def test_a_killed_comparison_goes_on_and_tests_nothing_twice(nas, tmp_path):
    nas(REAL.replace("--trials 3", "--trials 1"))
    first = start(COMPARE, tmp_path)
    lines = [first.stderr.readline() for _ in range(7)]
    first.kill()
    first.communicate(timeout=60)
    (path,) = (tmp_path / "runs").glob("x-compare-*/results.jsonl")
    before = path.read_bytes()
    assert before.count(b"\n") >= len(lines)
    done = nas(COMPARE)
    assert (done.status, path.read_bytes().startswith(before)) == (0, True)
    results = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(results) == before.count(b"\n") + len(done.err.splitlines())
    keys = [(result["id"], result["lr"], result["seed"], result["epochs"]) for result in results]
    assert len(keys) == len(set(keys))
    assert sum(result["test"] is not None for result in results) == 9


UNENDING = """
import time
from nas.__main__ import main
from nas.runs.bits import packed
from nas.runs.folder import RunFolder

append, lines = RunFolder.append, []

def append_or_wait(run, line):
    while len(lines) == 4:
        time.sleep(0.01)
    lines.append(line)
    return append(run, line)

RunFolder.append = append_or_wait
main()
"""
"""The command, which cannot end before Ctrl-C, however long that takes to come on a busy machine."""


@pytest.mark.outside
def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path):
    search = REAL.replace("--trials 3", "--trials 6").replace("--epochs 1", "--epochs 2 --no-prune")
    first = start(search, tmp_path, ("-c", UNENDING))
    lines = [first.stderr.readline() for _ in range(2)]
    assert [line.split()[:2] for line in lines] == [["searching", "1/6"], ["searching", "2/6"]]
    os.killpg(first.pid, signal.SIGINT)
    rest = first.communicate()[1].split("\n")
    assert first.returncode == 130
    told = [line for line in rest if line and not line.startswith("searching")]
    assert told == ["nas: stopped: finished trainings are on disk, and the same command goes on"]
    path = tmp_path / "runs" / "x" / "results.jsonl"
    before = path.read_bytes()
    assert before.count(b"\n") >= 2

    second = start(search, tmp_path)
    out, err = second.communicate()
    assert (second.returncode, "rank" in out) == (0, True)
    assert path.read_bytes().startswith(before)
    trainings = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(trainings) == len(err.splitlines()) - 1 + before.count(b"\n")  # a line is about the finals
    keys = {(training["id"], training["seed"], training["lr"]) for training in trainings}
    assert len(keys) == len(trainings) == 6 + 2 * 4 + 2 * 2


@pytest.mark.outside
@pytest.mark.parametrize(
    "line", ["spaces roles --list -n 0", "spaces roles --list -n 0 --json", "spaces local", "spaces local --json"]
)
@pytest.mark.parametrize("lines", [0, 1])
def test_a_reader_that_has_seen_enough_ends_the_command_in_silence(line, lines, tmp_path):
    command = start(line, tmp_path)
    for _ in range(lines):
        command.stdout.readline()
    command.stdout.close()
    assert command.stderr.read() == ""
    command.stderr.close()
    assert command.wait(timeout=60) in (0, 1)


@pytest.mark.outside
def test_a_terminal_without_the_signs_gets_others(tmp_path):
    command = [sys.executable, "-m", "nas", "spaces"]
    done = subprocess.run(command, env=importing() | {"PYTHONIOENCODING": "ascii"}, capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"9.1k ? 1.1M" in done.stdout


@pytest.mark.parametrize("kind", [KeyboardInterrupt, typer.Abort])
def test_ctrl_c_is_one_line_whatever_typer_makes_of_it(kind, nas, monkeypatch):
    def interrupted(*_: object) -> None:
        raise kind

    monkeypatch.setattr(spaces, "_list", interrupted)
    done = nas("spaces local --list")
    assert (done.status, done.out) == (130, "")
    assert done.err == "nas: stopped: finished trainings are on disk, and the same command goes on\n"


def test_a_search_from_python_is_the_one_of_the_command_line(nas, stubbed, tmp_path):
    one = {"patch": (2,), "width": (8,), "depth": (1,), "ratio": (1,)}
    asked = {"space": "local", "strategy": "random", "epochs": 3, "trials": 5, "top": 2, "seeds": 2, "device": "cpu"}
    run = search(**asked, **one, lr=0.005, run="x", quiet=True)
    done = nas(SEARCH)
    assert (done.status, done.err) == (0, "")  # nothing was left to train
    rows = nas("top x --json -n 99").rows
    assert [standing.id for standing in run.top()] == [row["id"] for row in rows if row["rank"]]
    assert [standing.accuracy for standing in run.references] == [row["accuracy"] for row in rows if not row["rank"]]
    assert {standing.label for standing in run.references} == {"full token mixing", "channels only", "shared local"}
    with pytest.raises(NasError, match="--trials is 0; at least 1 is expected"):
        search(trials=0)


SPOILS = [None, True, -1, 0, 10**18, 0.5, 1e99, "", "\x1b[2J", "../x", [], {}, [[]], {"a": 1}, "digits", "h=m4 c=s8 +b"]


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The paths to everything inside a JSON value."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def spoilt(text: str, chance: random.Random) -> str:
    """A JSON text with one value of it replaced or left out."""
    value = json.loads(text)
    *outer, last = chance.choice(list(places(value)))
    inner = functools.reduce(lambda node, key: node[key], outer, value)
    if isinstance(inner, dict) and chance.random() < 0.2:
        del inner[last]
    else:
        inner[last] = chance.choice(SPOILS)
    return json.dumps(value)


@pytest.mark.parametrize("rounds", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_whatever_stands_in_a_run_is_read_or_refused_in_a_line(rounds, nas, stubbed, tmp_path, monkeypatch):
    nas(SEARCH)
    monkeypatch.setattr("nas.exports.checked", lambda written, how: written)  # which takes seconds
    files = [tmp_path / "runs" / "x" / name for name in ("run.json", "results.jsonl")]
    texts = {path: path.read_text() for path in files}
    ids = [json.loads(line)["id"] for line in texts[files[1]].splitlines()]
    chance, refusals = random.Random(rounds), 0
    for number in range(rounds):
        lines = texts[files[number % 2]].splitlines() if number % 2 else [texts[files[0]]]
        place = chance.randrange(len(lines))
        lines[place] = spoilt(lines[place], chance)
        reading = "top x", f"show x {ids[0]}", "export x --top 2", f"train x {ids[0]} --epochs 1"
        for command in (*reading, "compare x --against convmixer --lrs 0.005 --seeds 1", SEARCH):
            for path, text in texts.items():
                path.write_text(text)
            files[number % 2].write_text("\n".join(lines) + "\n")
            done = nas(command)
            assert [c for c in done.out + done.err if not c.isprintable() and c != "\n"] == []
            if done.status:
                refusals += 1
                one_line(done, "", out="space local" * (command == SEARCH and "space local" in done.out))
    assert rounds < refusals < 6 * rounds


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", ["server", "data"]),
        ("--workers 2", ["server", "data"]),
        ("--workers 0", ["data"]),
        ("--dry-run", ["data"]),
        ("--ray local", ["data"]),
    ],
)
def test_local_workers_are_prepared_while_the_data_is_read(options, expected, nas, monkeypatch):
    begun = []

    def note(what: str) -> Callable[..., None]:
        def noting(*_: object, **__: object) -> None:
            begun.append(what)
            if what == "data":
                raise NasError("enough")

        return noting

    monkeypatch.setattr("nas.api.resources.start_server", note("server"))
    monkeypatch.setattr("nas.api.search.load_data", note("data"))
    monkeypatch.setattr("nas.executors.cluster.workers.require_ray", lambda: None)
    assert nas(f"{SEARCH} {options}").status == 2
    assert begun == expected
    begun.clear()
    with pytest.raises(NasError, match="enough"):
        search(space="local", workers=2, device="cpu")
    assert begun == ["server", "data"]


@pytest.mark.parametrize(("search", "lost"), [(SEARCH, {2}), (SEARCH.replace("--lr 0.005 ", ""), range(2, 99))])
def test_a_search_with_trainings_that_could_not_be_finished_says_so(search, lost, nas, stubbed, monkeypatch):
    """In its exit status, too; in the second case they are those that its learning rate is to be found by."""
    wait = Serial.wait

    def lose(self: Serial, *given: object) -> list[Event]:
        events = wait(self, *given, timeout=None)
        return [
            Unfinished(each.number, "its node is gone", 0) if getattr(each, "number", -1) in lost else each
            for each in events
        ]

    with monkeypatch.context() as patch:
        patch.setattr(Serial, "wait", lambda self, on_rung, timeout=None: lose(self, on_rung))
        done = nas(search)
    assert done.status == 1 and re.search(
        r"\d trainings? could not be brought to an end \(its node is gone\)", done.err
    )
    assert ("accuracy" in done.out) == (len(lost) == 1)
    assert nas(search).status == 0
    lost = range(99)
    with monkeypatch.context() as patch:
        patch.setattr(Serial, "wait", lambda self, on_rung, timeout=None: lose(self, on_rung))
        done = nas("train x 1 --epochs 2")
        assert (done.status, done.out) == (1, "") and "could not be brought to an end" in done.err
        lost = {1}
        done = nas("compare x --against mixer --budget 20000 --lrs 0.01,0.02 --seeds 1 --epochs 1")
    assert done.status == 1 and "mixer is not tested: not all of its learning rates could be tried" in done.err
    assert "is not compared with mixer: mixer is not tested" in " ".join(done.out.split())
