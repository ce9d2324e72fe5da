"""Runs what is measured on a GPU, part by part, and keeps what was found in runs/records/.

bash benchmarks/gpu.sh [PART ...] [--force] [--data NAME] [--minutes 9]

Without a PART all of them, in turn. A part that has its record is left out (but with --force), one that was cut off
after its minutes goes on. Without a GPU nothing is run: every command is checked as far as that goes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

MINUTES = 9  # of a part at once: machines that are lent end a command after ten
GRACE = 20  # seconds from Ctrl-C to the end of all of a part's processes
DATA = "fashion-mnist"
RUNS = Path("runs/gpu")
RECORDS = Path("runs/records")
OUTPUT = 100  # lines that are kept of a command that fails
SERVICE = "nvidia-cuda-mps-control"

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """One open question: its commands, run in turn, and what their output says.

    `read` makes of every command's lines what goes into the record, and one line for people. A part that is `timed`
    begins anew whenever it is run, since what was trained before would not be timed; its seconds are those of the last
    command. With `mps` NVIDIA's Multi-Process Service runs meanwhile (docs/cluster.md).
    """

    name: str
    question: str
    commands: tuple[str, ...]
    read: Callable[[Sequence[str], float], tuple[dict[str, Any], str]]
    timed: bool = False
    mps: bool = False


def last_line(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """The last line that the last command printed."""
    line = (outputs[-1].strip().splitlines() or ["nothing was printed"])[-1]
    return {"output": outputs[-1].splitlines()}, line


def ranking(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """The ranking of a search, its leader in words."""
    rows = rows_of(outputs[-1])
    leader = next((row for row in rows if row["rank"] == 1), rows[0])
    gain = leader["gain"]
    words = f", {100 * gain['mean']:+.1f} points, {gain['verdict']}" if gain else ""
    return {
        "ranking": rows
    }, f"leader {leader['id']}: {leader['accuracy']:.1%}, n={leader['n']}{words}, {seconds:.0f} s"


def pace(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """How long a search took, start and finals included."""
    rows = rows_of(outputs[-1])
    mean = sum(row["seconds"] for row in rows) / len(rows)
    return {"ranking": rows}, f"{seconds:.1f} s in all, {mean:.1f} s a training"


def comparison(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """The comparison's rows, its verdicts in words."""
    rows = rows_of(outputs[-1])
    return {"comparison": rows}, "; ".join(row["verdict"] for row in rows if row["verdict"])


def an_hour(outputs: Sequence[str], seconds: float, *, run: Path | None = None) -> tuple[dict[str, Any], str]:
    """Trainings an hour of a search, start and finals included; of the plain script, which has no run, candidates."""
    rows = rows_of(outputs[-1])
    trained = len((run / "results.jsonl").read_text(encoding="utf-8").splitlines()) if run else len(rows)
    ranked = {row["id"]: row["accuracy"] for row in rows}
    found = {"trainings": trained, "accuracies": ranked}
    return found, f"{3600 * trained / seconds:,.0f} trainings an hour, {seconds:.1f} s"


def replicas(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """Replicas as one model against one by itself, a line a network."""
    rows = rows_of(outputs[-1])
    ratios = [row["as one / one"] for row in rows]
    return {"rows": rows}, f"as one: {', '.join(f'{ratio:.2f}' for ratio in ratios)} times one by itself (target 1.5)"


def steps(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """Cases of a step, the first one of each precision in words."""
    rows = rows_of(outputs[-1])
    first = {row["precision"]: row for row in reversed(rows)}
    told = (f"{name} {row['plain']['ms']:.1f}, as a graph {row['graph']['ms']:.2f}" for name, row in first.items())
    return {"rows": rows}, f"milliseconds a step: {'; '.join(told)}"


def precisions(outputs: Sequence[str], seconds: float) -> tuple[dict[str, Any], str]:
    """Test accuracy of one network in each precision: that of every second command."""
    told = zip(PRECISIONS, outputs[1::2], strict=True)
    found = {precision: [row["test"]["accuracy"] for row in rows_of(output)] for precision, output in told}
    return found, "; ".join(f"{precision}: {spread(values)}" for precision, values in found.items())


def spread(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    std = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{100 * mean:.1f} ± {100 * std:.1f}% (mean ± std, n={len(values)})"


def rows_of(output: str) -> Rows:
    """The JSON lines that `nas … --json` printed."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def search(name: str, options: str, device: str = "cuda") -> str:
    where = f"--data {DATA} --device {device} --runs-dir {RUNS} --run {name}"
    return f"nas search --space subgrid {where} --json {options}".strip()


# the same 16 trainings for every number of workers and share of a GPU, without what depends on the order of results
SAME_WORK = "--images 10000 --strategy random --no-prune --trials 16 --epochs 4 --lr 0.04 --top 1 --seeds 1"
# what benchmarks/peers.py gives its peers
PACE = (
    "--space mixed --patch 7 --width 32 --depth 4 --strategy random --no-prune --images 10000 --epochs 4 --batch 128 "
    "--lr 0.04 --top 1"
)
PLAIN = f"{RUNS}/plain"
SCRIPT = f"python benchmarks/plain_script.py {PLAIN}/candidates.json {PLAIN}/data.npz"
PRECISIONS = {"bfloat16": "cuda", "tf32": "cuda", "float32": "cuda", "float32 on the CPU": "cpu"}
ONE_NETWORK = "--strategy random --trials 1 --images 10000 --epochs 4 --lr 0.04 --top 1 --seeds 1"
TEST_IT = f"--seeds 5 --epochs 4 --lr 0.04 --runs-dir {RUNS} --json"
FOUND = "--min-params 90000 --max-params 100000 --trials 32 --epochs 20"
AGAINST = "--against mixer,resmlp,gmlp,vip,raft,dynamixer --seeds 5 --device cuda"

PARTS = (
    Part("tests", "the tests that need a GPU", ("python -m pytest -m gpu -n 8 --maxprocesses 8 -q",), last_line),
    *(
        Part(
            f"workers-{count}",
            f"the same search with {count} workers on one GPU",
            (search(f"workers-{count}", f"--workers {count} {SAME_WORK}"),),
            pace,
            timed=True,
        )
        for count in (1, 2, 4, 8)
    ),
    *(
        Part(
            f"pace-{name}",
            f"trainings an hour: {question}",
            (search(f"pace-{name}", f"{options} {PACE}"),),
            partial(an_hour, run=RUNS / f"pace-{name}"),
            timed=True,
            mps=name == "mps",
        )
        for name, question, options in (
            ("one", "the plain step, one worker", "--engine eager --workers 1 --trials 8 --seeds 1"),
            ("workers", "and as many workers as share the GPU by default", "--engine eager --trials 32 --seeds 1"),
            ("graph", "and each step as one CUDA graph", "--trials 128 --seeds 1"),
            ("mps", "the same where MPS runs", "--trials 128 --seeds 1"),
            ("replicas", "and 16 seeds of the finals as one model", "--trials 128 --seeds 16"),
        )
    ),
    *(
        Part(
            f"pace-plain{name}",
            f"trainings an hour: the script that one would write without this project, {jobs} at once on the GPU",
            (f"python benchmarks/peers.py --write {PLAIN}", f"{SCRIPT} --device cuda --lr 0.04 --jobs {jobs}"),
            an_hour,
            timed=True,
        )
        for name, jobs in (("", 1), ("-8", 8))
    ),
    Part("step", "kernels and milliseconds of a step", ("python benchmarks/launches.py",), steps, timed=True),
    Part(
        "replicas",
        "16 replicas of a network as one model against one by itself; what the memory of a GPU has",
        ("python benchmarks/replicas.py --device cuda",),
        replicas,
        timed=True,
    ),
    Part("ray", "those 16 trainings on a Ray cluster", (search("ray", f"--ray local {SAME_WORK}"),), pace, timed=True),
    Part(
        "ray-quarter",
        "the same with a quarter of the GPU a training, four at once",
        (search("ray-quarter", f"--ray local --workers 4 --gpus-per-trial 0.25 {SAME_WORK}"),),
        pace,
        timed=True,
    ),
    Part(
        "ray-eight",
        "the same with eight that share the GPU, or as many as their measured memory leaves",
        (search("ray-eight", f"--ray local --workers 8 {SAME_WORK}"),),
        pace,
        timed=True,
    ),
    Part(
        "precision",
        "bfloat16, TF32 and float32 on the GPU against float32 on the CPU, test accuracy of one network",
        tuple(
            command
            for number, (precision, device) in enumerate(PRECISIONS.items())
            for command in (
                search(f"precision-{number}", f"--precision {precision.split()[0]} {ONE_NETWORK}", device),
                f"nas train precision-{number} 1 --device {device} {TEST_IT}",
            )
        ),
        precisions,
    ),
    Part("search", "a search on all of the data", (search("search", ""),), ranking),
    Part(
        "table",
        "a twentieth of the table of record of Fashion-MNIST",
        (f"nas bench make --table fashion-mnist --part 1 --parts 20 --device cuda --runs-dir {RUNS}",),
        last_line,
    ),
    Part(
        "compare",
        "the best of about 100,000 parameters against the literature on all of the data, five seeds",
        (search("compare", FOUND), f"nas compare compare {AGAINST} --runs-dir {RUNS} --json"),
        comparison,
    ),
)
"""All open checks; whoever adds one adds it here. Long ones come last."""


def main(arguments: Sequence[str] | None = None) -> int:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(names))
    parser.add_argument("--force", action="store_true", help="run parts again that have a record")
    parser.add_argument("--data", default=DATA, help=f"instead of {DATA}, where that cannot be had")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of a part at once")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(names):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [part for part in PARTS if part.name in (options.parts or names)]
    if not torch.cuda.is_available():
        print("no GPU here: nothing is run, the commands are checked")
        return max(map(check, chosen))
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background jobs would hand on that it is ignored
    try:
        states = {part.name: run(part, options.data, options.force, options.minutes) for part in chosen}
    except KeyboardInterrupt:
        print("stopped; the same command goes on")
        return 130
    if left := [name for name, state in states.items() if state != "finished"]:
        print(f"left: {', '.join(left)} (the same command goes on)")
    return int("failed" in states.values())


def run(part: Part, data: str, force: bool, minutes: float) -> str:
    """Runs a part for at most so many minutes and keeps what it found. Returns finished, unfinished or failed."""
    path = RECORDS / f"gpu-{part.name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if before.get("state") == "finished" and not force:
        print(f"{part.name}: has its record, {path} (--force runs it again)")
        return "finished"
    if anew := part.timed or force or before.get("state") == "failed":
        set_aside(part)
    start, outputs = time.monotonic(), []
    record = conditions(part, data) | {"seconds": 0.0 if anew else before.get("seconds", 0.0)}
    state, line = "finished", ""
    try:
        with served() if part.mps else contextlib.nullcontext():
            for command in record["commands"]:
                left = 60 * minutes - (time.monotonic() - start)
                print(f"{part.name}: {command}", flush=True)
                begun = time.monotonic()
                status, output, errors = execute(command, left)
                outputs.append(output)
                if status != 0:
                    state = "unfinished" if status is None else "failed"
                    said = (errors or output.splitlines() or ["nothing was said"])[-1]
                    line = f"cut off: {said}" if status is None else f"exit status {status}: {said}"
                    record |= {"output": output.splitlines()[-OUTPUT:], "errors": errors}
                    break
    except (OSError, subprocess.CalledProcessError) as error:
        state, line = "failed", f"does not start: {error}"
    record["seconds"] += time.monotonic() - start
    if state == "finished":
        try:
            seconds = time.monotonic() - begun if part.timed else record["seconds"]
            record["found"], line = part.read(outputs, seconds)
        except (ValueError, KeyError, TypeError, IndexError, ZeroDivisionError) as error:
            state, line = "failed", f"what it printed cannot be read: {error!r}"
            record["output"] = outputs
    keep(path, record | {"state": state, "line": line})
    return state


@contextlib.contextmanager
def served() -> Iterator[None]:
    """NVIDIA's Multi-Process Service for what is started meanwhile, with a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        os.environ.update(own)
        try:
            subprocess.run([SERVICE, "-d"], check=True)
            try:
                yield
            finally:
                subprocess.run([SERVICE], input="quit\n", text=True, check=False)
        finally:
            for name in own:
                del os.environ[name]


def set_aside(part: Part) -> None:
    """Moves away what earlier trainings of a part left, so that it begins anew."""
    for command in part.commands:
        words = shlex.split(command)
        if "--run" in words and (folder := RUNS / words[words.index("--run") + 1]).exists():
            folder.rename(folder.with_name(f"{folder.name}-before-{time.time_ns()}"))


def conditions(part: Part, data: str) -> dict[str, Any]:
    """What a figure is worth nothing without: the card, versions, the commit, the commands as they were run."""
    commit = os.environ.get("COMMIT")  # of a copy that has no history
    if commit is None:
        asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        commit = asked.stdout.strip()
    return {
        "part": part.name,
        "question": part.question,
        "commands": [command.replace(f"--data {DATA}", f"--data {data}") for command in part.commands],
        "card": torch.cuda.get_device_name(),
        "cards": torch.cuda.device_count(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def execute(command: str, seconds: float) -> tuple[int | None, str, list[str]]:
    """Exit status (None where it took too long), what was printed, the last lines of stderr.

    Both go to files: a pipe would be held open by whatever the command leaves behind.
    """
    end, interrupted = time.monotonic() + seconds, False
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(argv(command), stdout=out, stderr=errors, start_new_session=True)
        try:
            while process.poll() is None:
                late = time.monotonic() - end
                if late > GRACE:
                    break
                if late > 0 and not interrupted:
                    interrupted = True
                    send(process, signal.SIGINT)
                time.sleep(0.2)
        finally:
            send(process, signal.SIGKILL)  # also what it left behind, and where this is stopped
            process.wait()
        for file in (out, errors):
            file.seek(0)
        return None if interrupted else process.returncode, out.read(), errors.read().splitlines()[-20:]


def send(process: subprocess.Popen[bytes], number: int) -> None:
    """A signal for a command and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def argv(command: str) -> list[str]:
    """The words of a command, for this very Python and this checkout's code."""
    program, *words = shlex.split(command)
    return [sys.executable, *(["-m", "nas"] if program == "nas" else []), *words]


def keep(path: Path, record: dict[str, Any]) -> None:
    """Writes a part's record, and its line below those of the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    where = f"{record['card']}, torch {record['torch']}, commit {record['commit']}"
    line = f"{record['date']} {record['part']}: {record['state']}, {record['line']} ({where})"
    with (path.parent / "gpu.txt").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line, flush=True)


def check(part: Part) -> int:
    """Whether all that can be known of a part's commands without a GPU is right: 0, or 1."""
    for command in part.commands:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                rehearse(shlex.split(command))
        except (Exception, SystemExit) as error:
            message = error.format_message() if hasattr(error, "format_message") else f"{error!r}"
            print(f"{part.name}: WRONG: {command}\n    {message}")
            return 1
        print(f"{part.name}: {command}")
    return 0


def rehearse(words: list[str]) -> None:
    """Checks a command in this process: a search proposes, other commands of ours and scripts read their options."""
    program, *rest = words
    if program == "nas":
        import typer

        from nas.cli.main import app

        command: Any = typer.main.get_command(app)
        if rest[0] == "search":
            small = {"--device": "cpu", "--data": "digits", "--patch": "2", "--precision": "float32"}
            rest = [small.get(before, word) for before, word in zip(["", *rest], rest, strict=False)]
            command([*rest, "--trials", "1", "--strategy", "random", "--dry-run"], standalone_mode=False)
        else:
            command.commands[rest[0]].make_context(rest[0], rest[1:])
    elif rest[0] == "-m":
        subprocess.run([sys.executable, *rest, "--collect-only"], check=True, capture_output=True)  # pytest: 5 if none
    else:
        sys.argv, before = [*rest, "--help"], sys.argv
        try:
            runpy.run_path(rest[0], run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.argv = before


if __name__ == "__main__":
    sys.exit(main())
