"""A run directory survives kills, full disks and tampering, and says in one line what is wrong with it."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stubs import importing, stub_job, train

from nas.errors import NasError
from nas.executors.executor import run_job
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Outcome, Score, record
from nas.runs.result import Result, read_object

SETTINGS = {"space": "local", "recipe": {"epochs": 4, "lr": 0.01}, "sizes": [8, 8], "trials": 24}


def line(number: int = 0, **changes: object) -> dict:
    job = stub_job(f"net{number}")
    return record(job, run_job(train, job, lambda score: True), params=8, macs=16, number=number) | changes


def make_run(root: Path, *lines: dict) -> Path:
    with RunFolder.create_or_open(root, "x", SETTINGS) as run:
        for content in lines:
            run.append(content)
    return root / "x" / "results.jsonl"


def test_a_run_is_made_once_and_found_again(tmp_path):
    with RunFolder.create_or_open(tmp_path / "runs", "x", SETTINGS) as made:
        assert (made.name, made.settings, made.results()) == ("x", SETTINGS, [])
    with RunFolder.create_or_open(tmp_path / "runs", "x", SETTINGS) as again:
        assert (again.settings, again.created) == (made.settings, made.created)
    assert RunFolder.open(tmp_path / "runs", "x").settings == SETTINGS
    assert RunFolder.names(tmp_path / "runs") == ["x"]
    assert RunFolder.names(tmp_path / "elsewhere") == []


def test_a_run_is_found_by_its_path(tmp_path, monkeypatch):
    make_run(tmp_path)
    assert RunFolder.open(Path("runs"), str(tmp_path / "x")).name == "x"
    monkeypatch.chdir(tmp_path / "x")
    assert RunFolder.open(Path("runs"), ".").name == "x"


def test_an_unknown_run_is_told_with_the_nearest_names(tmp_path):
    for name in ("digits-local", "digits-mixed"):
        RunFolder.create_or_open(tmp_path, name, {}).close()
    with pytest.raises(NasError, match=r"no run 'digits-locla' in .*: did you mean 'digits-local'"):
        RunFolder.open(tmp_path, "digits-locla")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/tmp/x", "-x", "a b", "x\n", "ä", "x" * 101, "a\0b"])
def test_a_name_is_a_plain_file_name(name, tmp_path):
    with pytest.raises(NasError, match="cannot name a run: use up to 100 letters"):
        RunFolder.create_or_open(tmp_path / "runs", name, {})
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "subgrid"}, "run 'x' was made with space='local', not 'subgrid': choose another --run"),
        ({"recipe": {"epochs": 6, "lr": 0.01}}, "run 'x' was made with recipe.epochs=4, not 6: choose another --run"),
        ({"patch": 2}, "run 'x' was made with patch=(unset), not 2: choose another --run"),
        (
            {"space": "s", "recipe": {}, "sizes": [4]},
            "run 'x' was made with space='local', not 's'; sizes=[8, 8], not [4]; recipe.epochs=4, not (unset) "
            "and 1 more: choose another --run",
        ),
    ],
)
def test_other_settings_are_refused(changes, message, tmp_path):
    make_run(tmp_path)
    with pytest.raises(NasError) as raised:
        RunFolder.create_or_open(tmp_path, "x", SETTINGS | changes)
    assert str(raised.value) == message
    RunFolder.create_or_open(tmp_path, "x", SETTINGS).close()  # the refusal has given the lock back


def test_some_settings_may_differ_and_keep_their_first_value(tmp_path):
    make_run(tmp_path)
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS | {"trials": 48}, may_differ=["trials"]) as run:
        assert run.settings["trials"] == 24


def test_results_without_settings_are_not_adopted(tmp_path):
    make_run(tmp_path, line())
    (tmp_path / "x" / "run.json").unlink()
    with pytest.raises(NasError, match=r"has a results\.jsonl but no run\.json"):
        RunFolder.create_or_open(tmp_path, "x", SETTINGS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON (Expecting value at column 1)"),
        ("[]", "not a JSON object"),
        ("{}", "'format' is missing"),
        ('{"format": 2}', "of format 2, this version of nas reads 1"),
        ('{"format": 1, "settings": []}', "'settings' is [], not an object"),
        ('{"format": 1, "settings": {}, "created": "yesterday"}', "Invalid isoformat string: 'yesterday'"),
    ],
)
def test_a_damaged_run_json_is_told(content, message, tmp_path):
    make_run(tmp_path)
    path = tmp_path / "x" / "run.json"
    path.write_text(content)
    for attempt in (RunFolder.open, lambda root, name: RunFolder.create_or_open(root, name, SETTINGS)):
        with pytest.raises(NasError) as raised:
            attempt(tmp_path, "x")
        assert str(raised.value) == f"{path} is damaged or from another version: {message}"


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path):
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        run.append(line())
        with pytest.raises(NasError) as raised:
            RunFolder.create_or_open(tmp_path, "x", SETTINGS)
        assert f"run 'x' is being written by another search (process {os.getpid()})" in str(raised.value)
        assert len(RunFolder.open(tmp_path, "x").results()) == 1
    RunFolder.create_or_open(tmp_path, "x", SETTINGS).close()


WRITER = """
import sys
from pathlib import Path
from stubs import make_stub, stub_job
from nas.executors.executor import Done
from nas.executors.serial import Serial
from nas.runs.folder import RunFolder
from nas.runs.job import record

jobs = {number: stub_job(f"net{number}", ms=0.2) for number in range(400)}
with RunFolder.create_or_open(Path(sys.argv[1]), "x", {}) as run, Serial(make_stub) as executor:
    finished = {result.key for result in run.results()}
    todo = {number: job for number, job in jobs.items() if job.key not in finished}
    for number, job in todo.items():
        executor.submit(number, job)
    while events := executor.wait(lambda number, score: True):
        for event in events:
            if isinstance(event, Done):
                run.append(record(jobs[event.number], event.outcome, params=1, macs=1, number=event.number))
"""


@pytest.mark.outside
def test_a_writer_killed_at_random_moments_goes_on_and_repeats_nothing(tmp_path):
    chance, kills = random.Random(0), 0
    path = tmp_path / "x" / "results.jsonl"
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    lines_before: list[bytes] = []
    for attempt in range(9):
        writer = subprocess.Popen(command, env=importing())
        if attempt < 8:  # the ninth may end
            while writer.poll() is None and not (path.exists() and path.stat().st_size > sum(map(len, lines_before))):
                time.sleep(0.001)
            time.sleep(chance.random() * 0.05)
            writer.kill()
        kills += writer.wait() != 0
        lines = path.read_bytes().splitlines(keepends=True)
        assert lines[: len(lines_before)] == lines_before
        lines_before = [whole for whole in lines if whole.endswith(b"\n")]
    results = RunFolder.open(tmp_path, "x").results()
    assert kills
    assert sorted(result.number for result in results) == list(range(400))


def test_results_come_back_as_they_were_recorded(tmp_path):
    job = Job({"axes": ["h", "w"]}, "a1", 3e-4, 7, 2, "final", label="reference")
    outcome = Outcome("complete", (Score(1, 0.5, 0.8), Score(2, 0.25, 0.9)), (1.0, 0.5), 3.5, Score(2, 0.3, 0.85))
    recorded = record(job, outcome, params=10, macs=20, number=3)
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        appended = run.append(recorded)
    (result,) = RunFolder.open(tmp_path, "x").results()
    assert (result.key, result.score, result.test) == (job.key, Score(2, 0.25, 0.9), Score(2, 0.3, 0.85))
    assert result == appended == Result.from_line(recorded)
    assert json.dumps(result.to_line()) == json.dumps(recorded)


def test_a_line_is_appended_in_one_write_and_flushed(tmp_path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        monkeypatch.setattr(os, "write", lambda file, data: calls.append(("write", file)) or write(file, data))
        monkeypatch.setattr(os, "fsync", lambda file: calls.append(("fsync", file)) or fsync(file))
        run.append(line())
    assert [call for call, _ in calls] == ["write", "fsync"]
    assert calls[0][1] == calls[1][1]


@pytest.mark.parametrize("changes", [{"lr": float("nan")}, {"seed": 2**63}, {"id": "../x"}, {"extra": {"best": 1e999}}])
def test_what_could_not_be_read_back_is_not_written(changes, tmp_path):
    path = make_run(tmp_path)
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run, pytest.raises(ValueError):
        run.append(line() | changes)
    assert path.read_bytes() == b""
    with pytest.raises(NasError, match="run 'y' cannot be made: 9223372036854775808 is too large among its settings"):
        RunFolder.create_or_open(tmp_path, "y", {"seed": 2**63})


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_torn_last_line_is_passed_over_and_cut_off(lost, tmp_path):
    path = make_run(tmp_path, line(0), line(1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    kept = 2 if lost == 1 else 1  # where only the newline is lost, nothing is
    reader = RunFolder.open(tmp_path, "x")
    assert [result.number for result in reader.results()] == list(range(kept))
    assert [warning.split(": ")[1] for warning in reader.warnings] == ["the last line is torn (a write was cut off)"][
        kept - 1 :
    ]
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as writer:
        assert len(writer.warnings) == 2 - kept
        writer.append(line(2))
        assert [result.number for result in writer.results()] == [*range(kept), 2]
        assert len(writer.warnings) == 2 - kept
    assert path.read_bytes().startswith(whole if kept == 2 else whole.splitlines(keepends=True)[0])


@pytest.mark.parametrize(
    ("garbage", "message"),
    [
        (b"", "not JSON (Expecting value at column 1)"),
        (b"\xff", "not UTF-8 (invalid start byte at byte 1)"),
        (b"[1]", "not a JSON object"),
        (b"{}", "'architecture' is missing"),
        (b'{"a": NaN}', "NaN is no finite number"),
        (b'{"a": -Infinity}', "-Infinity is no finite number"),
        (b'{"a": 1e999}', "1e999 is no finite number"),
        (b'{"a": 9223372036854775808}', "9223372036854775808 is too large"),
        (b'{"a": ' + b"9" * 9999 + b"}", "99999999999999999999 is too large"),
        (b'{"a": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply"),
        (b'{"a": 1', "not JSON (Expecting ',' delimiter at column 8)"),
        (line(lr=True), "'lr' is True, not a finite number"),
        (line(seed=0.5), "'seed' is 0.5, not an integer"),
        (line(epochs=-1), "'epochs' is -1, not a count"),
        (line(id="../../x"), "'id' is '../../x', not an id"),
        (line(state="running"), "'state' is 'running', not complete or pruned or failed"),
        (line(phase=["search"]), "'phase' is ['search'], not search or final or train or tune or compare"),
        (line(architecture="net"), "'architecture' is 'net', not an object"),
        (line(scores=[{"epoch": 1, "loss": "low", "accuracy": 1}]), "not a list of scores"),
        (line(scores=[{"epoch": 1, "loss": 0.5, "accuracy": 1.01}]), "not a share from 0 to 1"),
        (line(scores=[{"epoch": 1, "loss": 0.5, "accuracy": -0.01}]), "not a share from 0 to 1"),
        (line(scores=[{"epoch": -1, "loss": 0.5, "accuracy": 0.5}]), "not a list of scores"),
        (line(test={"epoch": 1, "loss": 1e101, "accuracy": 0.5}), "not a score or null"),
        (line(train_loss=[0.5, None]), "'train_loss' is [0.5, None], not a list of finite numbers"),
        (line(test=[]), "'test' is [], not a score or null"),
    ],
)
def test_a_garbage_line_is_refused_with_its_number(garbage, message, tmp_path):
    path = make_run(tmp_path, line(0), line(1))
    first, second = path.read_bytes().splitlines()
    middle = garbage if isinstance(garbage, bytes) else json.dumps(garbage).encode()
    path.write_bytes(b"\n".join([first, middle, second, b""]))
    with pytest.raises(NasError) as raised:
        RunFolder.open(tmp_path, "x").results()
    assert str(raised.value).startswith(f"{path}, line 2: ")
    assert str(raised.value).endswith(f"{message}; mend or delete this line")
    assert len(str(raised.value)) < len(str(path)) + 250


def test_the_callers_check_refuses_a_line_too(tmp_path):
    make_run(tmp_path, line(0), line(1, architecture={"do": "harm"}))

    def validate(result: Result) -> None:
        if result.architecture["do"] != "learn":
            raise ValueError("no such node: 'harm'")

    with pytest.raises(NasError, match="line 2: no such node: 'harm'; mend"):
        RunFolder.open(tmp_path, "x").results(validate)


@pytest.mark.parametrize("written", [0, 10])
def test_a_full_disk_is_told_and_leaves_whole_lines(written, tmp_path, monkeypatch):
    path = make_run(tmp_path, line(0))
    before, write = path.read_bytes(), os.write

    def full(file: int, data: bytes) -> int:
        if written:
            return write(file, data[:written])
        raise OSError(errno.ENOSPC, "No space left on device")

    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        with monkeypatch.context() as patch, pytest.raises(NasError) as raised:
            patch.setattr(os, "write", full)
            run.append(line(1))
        assert str(raised.value) == f"cannot write {path}: No space left on device"
        assert path.read_bytes() == before
        run.append(line(2))
        assert [result.number for result in run.results()] == [0, 2]


def test_nothing_is_written_after_a_line_that_could_not_be_taken_back(tmp_path, monkeypatch):
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        with monkeypatch.context() as patch, pytest.raises(NasError, match="Input/output error"):
            patch.setattr(os, "fsync", failing)
            patch.setattr(os, "ftruncate", failing)
            run.append(line(0))
        with pytest.raises(NasError, match="not open for writing"):
            run.append(line(1))
    assert [result.number for result in RunFolder.open(tmp_path, "x").results()] == [0]


def test_a_read_only_place_is_told(tmp_path, monkeypatch):
    make_run(tmp_path, line(0))
    open_ = os.open

    def read_only(path: Path, flags: int, *mode: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return open_(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    for name in ("x", "new"):
        with pytest.raises(NasError) as raised:
            RunFolder.create_or_open(tmp_path, name, SETTINGS)
        assert str(raised.value) == f"cannot write {tmp_path / name}: Read-only file system"
    run = RunFolder.open(tmp_path, "x")
    assert len(run.results()) == 1
    with pytest.raises(NasError, match="run 'x' is not open for writing"):
        run.append(line(1))


def test_a_file_in_the_place_of_the_directory_is_told(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(NasError, match=r"cannot write .*x: "):
        RunFolder.create_or_open(tmp_path, "x", SETTINGS)


def test_an_unfinished_run_json_is_never_seen(tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(NasError, match="No space left"):
        patch.setattr(os, "fsync", fails)
        RunFolder.create_or_open(tmp_path, "x", SETTINGS)
    assert RunFolder.names(tmp_path) == []
    RunFolder.create_or_open(tmp_path, "x", SETTINGS).close()
    assert RunFolder.names(tmp_path) == ["x"]


@pytest.mark.parametrize("file", ["run.json", "results.jsonl", "lock"])
def test_links_and_pipes_are_neither_followed_nor_waited_for(file, tmp_path):
    path = make_run(tmp_path, line(0)).with_name(file)
    victim = tmp_path / "victim"
    shutil.copy(path, victim)
    content = victim.read_bytes()
    path.unlink()
    path.symlink_to(victim)
    with pytest.raises(NasError, match=f"{file} is a symbolic link"):
        RunFolder.create_or_open(tmp_path, "x", SETTINGS)
    assert victim.read_bytes() == content
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(NasError, match=f"{file} is no plain file"):
        RunFolder.create_or_open(tmp_path, "x", SETTINGS)


def test_weights_stay_in_the_run(tmp_path):
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        job = Job({}, "a1", 3e-4, 7, 20, "final")
        path = run.weights_path(job)
        assert path == tmp_path / "x" / "checkpoints" / "final-a1-lr0.0003-s7-e20.safetensors"
        assert path.parent.is_dir()
        others = [replace(job, **change) for change in ({"lr": 0.10000000000000002}, {"lr": 0.1}, {"phase": "train"})]
        assert len({path, *map(run.weights_path, others)}) == 4
        for id in ("", "..", "../a1", "a/b", "a\0"):
            with pytest.raises(NasError, match="cannot name a file of weights"):
                run.weights_path(replace(job, id=id))
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(NasError, match="safetensors is a symbolic link"):
            run.weights_path(job)
        path.unlink()
        path.parent.rmdir()
        path.parent.symlink_to(tmp_path)
        with pytest.raises(NasError, match="checkpoints is a symbolic link"):
            run.weights_path(job)


def test_weights_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    job = Job({}, "a1", 3e-4, 7, 20, "final")
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        path = run.weights_path(job)
        run.save_weights(job, b"what was there")
        with (
            monkeypatch.context() as patch,
            pytest.raises(NasError, match=r"cannot write .*safetensors: No space left"),
        ):
            patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            run.save_weights(job, b"others")
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        assert path.read_bytes() == b"what was there"
        path.with_suffix(".tmp").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(NasError, match="is a symbolic link"):
            run.save_weights(job, b"others")
        assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(NasError, match="not open for writing"):
        run.save_weights(job, b"others")


WHOLE = b"".join(json.dumps(line(number)).encode() + b"\n" for number in range(2))
MORE = line(9)
RUN_JSON = json.dumps({"format": 1, "created": "2026-01-01T00:00:00+00:00", "settings": SETTINGS}).encode()
fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with a piece replaced by another, by JSON of another kind or by noise; or noise alone."""
    tokens = [
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"-1",
        b"1e400",
        b"NaN",
        b"true",
        b"\n",
        b"\0",
        b"\xff",
        b'\\ud800"',
        b"[{",
    ]
    piece = st.sampled_from(tokens) | st.binary(max_size=6)
    cut = st.tuples(st.integers(0, len(whole)), st.integers(0, 12), piece)
    return cut.map(lambda c: whole[: c[0]] + c[2] + whole[c[0] + c[1] :]) | st.binary(max_size=200)


@fuzz
@given(damaged(WHOLE))
def test_any_results_file_gives_results_or_a_clear_error(tmp_path, content):
    path = tmp_path / "x" / "results.jsonl"
    if not path.exists():
        make_run(tmp_path)
    path.write_bytes(content)
    try:
        results = RunFolder.open(tmp_path, "x").results()
    except NasError as error:
        assert str(error).startswith(f"{path}, line ")
        assert str(error).isprintable()
    else:
        assert [Result.from_line(read_object(json.dumps(r.to_line()).encode())) for r in results] == results
        with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:  # the writer sees what the reader saw
            assert run.results() == results
            run.append(MORE)
            assert run.results() == [*results, Result.from_line(MORE)]


@fuzz
@given(damaged(RUN_JSON))
def test_any_run_json_gives_a_run_or_a_clear_error(tmp_path, content):
    path = tmp_path / "x" / "run.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        run = RunFolder.open(tmp_path, "x")
    except NasError as error:
        assert str(error).startswith(f"{path} is damaged or from another version: ")
        assert str(error).isprintable()
    else:
        with RunFolder.create_or_open(tmp_path, "x", run.settings) as writer:
            assert writer.settings == run.settings


@fuzz
@given(st.text(max_size=8) | st.text("./x~\0", max_size=4))
def test_any_name_opens_the_run_or_is_a_clear_error(tmp_path, name):
    if not (tmp_path / "x").exists():
        make_run(tmp_path)
    try:
        run = RunFolder.open(tmp_path, name)
    except NasError as error:
        assert str(error).startswith(("no run ", "cannot read run "))
    else:
        assert run.path.resolve() == tmp_path / "x"
