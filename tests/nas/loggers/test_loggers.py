"""Every training stands in TensorBoard, MLflow or Weights & Biases once, whatever happens in between."""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from searches import Noting, plan, result_of, search_in, tiny
from stubs import importing

from nas.errors import NasError
from nas.executors.serial import Serial
from nas.loggers import LOGGERS, check_loggers
from nas.loggers import feed as loggers
from nas.loggers.feed import logging_to
from nas.loggers.logger import curve, trial_name
from nas.options.common import LOG
from nas.runs.folder import RunFolder
from nas.runs.job import Score
from nas.runs.own import Metric
from nas.runs.result import Result, latest
from nas.strategies.random_search import RandomSearch
from search_spaces import Budget

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in mlflow, of SQLAlchemy

CURVE = ("training_loss", "validation_loss", "validation_accuracy")


@dataclass
class Logged:
    """A training as it is read back: its name, what is listed of it, its curves by epoch."""

    name: str
    listed: dict[str, str]
    curves: dict[str, dict[int, float]] = field(default_factory=dict)


def read_tensorboard(folder: Path) -> list[Logged]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = []
    for path in sorted({file.parent for file in folder.glob("tensorboard/**/events*")}):
        (file,) = path.iterdir()
        events = EventAccumulator(str(file)).Reload()
        curves = {}
        for name in events.Tags()["scalars"]:
            values = [(event.step, event.value) for event in events.Scalars(name)]
            curves[name.removeprefix("ray/tune/")] = dict(values)
            assert len(values) == len(dict(values))
        listed = {}
        if curves:
            start = HParamsPluginData.FromString(events.PluginTagToContent("hparams")["_hparams_/session_start_info"])
            listed = {name: str(json_value(value)) for name, value in start.session_start_info.hparams.items()}
        found.append(Logged(str(path.relative_to(folder / "tensorboard")), listed, curves))
    return found


def json_value(value) -> str | float | int:
    if value.WhichOneof("kind") == "string_value":
        return value.string_value
    return int(value.number_value) if value.number_value.is_integer() else value.number_value


def read_mlflow(folder: Path) -> list[Logged]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found = []
    for experiment in client.search_experiments(filter_string="name = 'x'"):
        for run in client.search_runs([experiment.experiment_id]):
            assert run.info.status == ("FAILED" if run.data.params["state"] == "failed" else "FINISHED")
            curves = {}
            for name in run.data.metrics:
                history = client.get_metric_history(run.info.run_id, name)
                curves[name] = {metric.step: metric.value for metric in history}
                assert len(history) == len(curves[name])
            found.append(Logged(run.data.tags["trial_name"], run.data.params, curves))
    return found


def read_wandb(folder: Path) -> list[Logged]:
    found = []
    for path in folder.glob("wandb/offline-run-*/run-*.wandb"):
        logged = Logged("", {})
        for record in wandb_records(path.read_bytes()):
            if record.HasField("run"):
                assert (record.run.project, record.run.run_group) == ("einmix-nas", "x")
                logged.name = record.run.display_name
                for item in record.run.config.update:
                    logged.listed[item.key] = str(json.loads(item.value_json))
            if record.HasField("history"):
                row = {item.nested_key[0] if item.nested_key else item.key: item for item in record.history.item}
                figures = {name: json.loads(item.value_json) for name, item in row.items()}
                for name in figures.keys() & set(CURVE):
                    values = logged.curves.setdefault(name, {})
                    assert figures["training_iteration"] not in values
                    values[figures["training_iteration"]] = figures[name]
        logged.listed = {name: value for name, value in logged.listed.items() if name[0] != "_"}
        found.append(logged)
    return found


def wandb_records(data: bytes) -> Iterator:
    """The records of a file of wandb: LevelDB's log format, blocks of 32 KiB with records whole (1) or in parts."""
    from wandb.proto.wandb_internal_pb2 import Record

    place, parts = 7, b""
    while place + 7 <= len(data):
        if (left := 2**15 - place % 2**15) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(parts)
            parts = b""


READ = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch, capfd) -> Iterator[None]:
    """Nothing is set for the loggers but to stay on this machine; they print nothing, and write to the run alone."""
    calm = [variable for logger in LOGGERS.values() for variable in logger.calm]
    for variable in (*calm, "WANDB_CACHE_DIR", "MLFLOW_TRACKING_URI", *(v for v in os.environ if v[:6] == "WANDB_")):
        monkeypatch.setenv(variable, "")  # so that it is put back
        monkeypatch.delenv(variable)
    for variable in [v for v in os.environ if v.startswith("XDG_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(loggers, "SOON", 60.0)
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert [*(tmp_path / "home").rglob("*"), *(tmp_path / "here").rglob("*")] == []
    assert capfd.readouterr() == ("", "")


def ready(*names: str) -> None:
    """Skips where a package is missing."""
    for name in names:
        for module in LOGGERS[name].modules:
            pytest.importorskip(module.partition(".")[0], reason=f"--log {name} needs it: pip install '.[log]'")
    check_loggers(names)


Searching = Callable[..., list[str]]


@pytest.fixture
def searching(tmp_path) -> Searching:
    """Searches in the run "x" with stub trainings, and gives what was said; with `trains=False` only logs."""

    def search(*names: str, trials: int = 6, does: dict[str, str] | None = None, trains: bool = True) -> list[str]:
        said: list[str] = []
        with (
            RunFolder.create_or_open(tmp_path, "x", {}) as run,
            logging_to(names, run, said.append),
            Serial(Noting(tmp_path / "log", does or {})) as executor,
        ):
            if trains:
                search_in(run, executor, plan(trials=trials, top=1, seeds=1, rungs=(1,)))
        return said

    return search


def results(tmp_path: Path) -> list[Result]:
    return latest(RunFolder.open(tmp_path, "x").results())


def all_logged_once(name: str, tmp_path: Path) -> None:
    """What a logger holds is what results.jsonl does."""
    found = READ[name](tmp_path / "x" / "logs")
    logged = {each.name: each for each in found}
    kept = {trial_name(result): result for result in results(tmp_path)}
    assert len(found) == len(logged)
    assert logged.keys() == kept.keys()
    for result in kept.values():
        each = logged[trial_name(result)]
        for figure in CURVE:
            wanted = {int(row["training_iteration"]): row[figure] for row in curve(result) if figure in row}
            assert each.curves.get(figure, {}) == pytest.approx(wanted, rel=1e-6)  # TensorBoard's are float32
        if each.listed or result.scores:
            facts = ("id", "phase", "lr", "seed", "epochs", "params", "macs", "state")
            assert {fact: each.listed[fact] for fact in facts} == {fact: str(getattr(result, fact)) for fact in facts}
            assert each.listed.get("label", "") == result.label
            assert "=" in each.listed["mixers"] or each.listed["mixers"] == "none"


def torn_after(trainings: int) -> Callable[[Result], Iterable[dict[str, float]]]:
    """Stands for `curve`: after so many trainings it raises in the midst of one."""
    left = [trainings]

    def figures(result: Result, metric: Metric) -> Iterator[dict[str, float]]:
        yield from curve(result, metric)[: 1 if left[0] == 0 else None]
        if left[0] == 0:
            raise OSError("no space\nleft")
        left[0] -= 1

    return figures


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.outside] * (name in ("mlflow", "wandb"))) for name in LOGGERS]
)
def test_every_training_is_logged_once(name, searching, tmp_path, monkeypatch):
    """Before there was a logger, while it fails, after a kill, and again."""
    ready(name)
    searching(trials=2)
    proposals = RandomSearch(tiny(depth=(1, 2)), Budget(), 0)
    third, fourth = [proposals.ask().id for _ in range(4)][2:]
    with monkeypatch.context() as patch:
        patch.setattr(loggers, "curve", torn_after(3))
        (said,) = searching(name, trials=4, does={third: "raise", fourth: "raise"})
    assert said == f"--log {name} is given up: no space left; the same command logs later what is missing"
    assert len(noted(name, tmp_path)) == 3 < len(results(tmp_path))
    for file in (tmp_path / "x" / "logs").rglob("events*"):
        file.rename(file.with_name("events.out.tfevents.1.earlier"))  # a second has passed
    assert searching(name, trials=5, does={fourth: "raise"}) == []  # the other one is tried again, and logged again
    note = tmp_path / "x" / "logs" / f"{name}.logged"
    note.write_text("".join(note.read_text().splitlines(keepends=True)[:-1]))
    assert searching(name) == []
    states = {result.id: result.state for result in results(tmp_path) if result.phase == "search"}
    assert (states[third], states[fourth]) == ("complete", "failed")
    all_logged_once(name, tmp_path)
    files = written(tmp_path)
    assert searching(name) == []
    assert files == written(tmp_path)
    assert "MLFLOW_TRACKING_URI" not in os.environ


def written(tmp_path: Path) -> dict[Path, int]:
    """When each file of the loggers was written; but for those of wandb's own process, which ends when it likes."""
    paths = (tmp_path / "x" / "logs").rglob("*")
    return {path: path.stat().st_mtime_ns for path in paths if not path.name.startswith("debug")}


def noted(name: str, tmp_path: Path) -> list[str]:
    note = tmp_path / "x" / "logs" / f"{name}.logged"
    return note.read_text().splitlines() if note.exists() else []


def test_what_is_interrupted_is_logged_later(searching, tmp_path):
    ready("tensorboard")
    searching()
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        with pytest.raises(KeyboardInterrupt), logging_to(["tensorboard"], run, print):
            raise KeyboardInterrupt
        assert run.on_append is None
    assert len(noted("tensorboard", tmp_path)) < len(results(tmp_path))
    assert searching("tensorboard", trains=False) == []
    all_logged_once("tensorboard", tmp_path)


def test_a_logger_that_hangs_keeps_nobody_waiting(searching, tmp_path, monkeypatch):
    hang = threading.Event()

    @contextmanager
    def hanging(run: RunFolder, folder: Path) -> Iterator[None]:
        hang.wait()
        yield

    monkeypatch.setitem(LOGGERS, "tensorboard", replace(LOGGERS["tensorboard"], open=hanging))
    monkeypatch.setattr(loggers, "PATIENCE", 0.5)
    monkeypatch.setattr(loggers, "HURRY", 0.1)
    monkeypatch.setattr(loggers, "SOON", 0.1)
    said = searching("tensorboard")
    hang.set()
    assert len(results(tmp_path)) > 6
    waiting, given_up = said
    assert waiting == f"--log tensorboard: {len(results(tmp_path))} trainings still to be logged"
    assert given_up.startswith("--log tensorboard is given up: nothing for 0 seconds")


@pytest.mark.slow
def test_mlflow_logs_where_its_variable_says(searching, tmp_path, monkeypatch):
    ready("mlflow")
    import mlflow

    uri = f"sqlite:///{tmp_path}/elsewhere.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert searching("mlflow", trials=1) == []
    assert os.environ["MLFLOW_TRACKING_URI"] == uri
    assert not (tmp_path / "x" / "logs" / "mlflow.db").exists()
    client = mlflow.MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'x'")
    assert len(client.search_runs([experiment.experiment_id])) == len(results(tmp_path))


def test_the_help_of_the_option_names_them_all():
    assert LOG.endswith(f": {','.join(LOGGERS)}.")


def test_an_unknown_logger_is_told_with_the_nearest(monkeypatch):
    known = f"known: {', '.join(sorted(LOGGERS))}"
    with pytest.raises(NasError, match=rf"^no logger 'mlfow': did you mean 'mlflow'\? {known}$"):
        check_loggers(["tensorboard", "mlfow"])


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_told(name, monkeypatch):
    for module in LOGGERS[name].modules:
        monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
        monkeypatch.setitem(sys.modules, module, None)
    todo = r"pip install 'einmix-nas\[log\]'"
    with pytest.raises(NasError, match=rf"^--log {name} needs a package that is missing \(.*\): {todo}$"):
        check_loggers([name])


def test_a_key_that_is_missing_or_wrong_is_told(monkeypatch):
    ready("wandb")
    import wandb

    wandb.teardown()  # which forgets the mode of tests before
    monkeypatch.delenv("WANDB_MODE")
    todo = "run `wandb login`, or set WANDB_MODE=offline to keep all on this machine"
    with pytest.raises(NasError, match=f"^--log wandb: there is no key of Weights & Biases: {todo}$"):
        check_loggers(["wandb"])
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with pytest.raises(NasError, match=f"^--log wandb: .*40.*: {todo}$"):
        check_loggers(["wandb"])


def test_a_link_out_of_the_run_is_refused(searching, tmp_path):
    searching()
    (tmp_path / "x" / "logs").symlink_to(tmp_path / "home")
    with pytest.raises(NasError, match="logs is a symbolic link"):
        searching("tensorboard")


@pytest.mark.parametrize("below", ["tensorboard", "tensorboard/search", "tensorboard/search/a1", "mlflow.db"])
def test_a_link_below_the_logs_is_refused(below, searching, tmp_path):
    searching()
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "x" / "logs" / below
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NasError, match=f"{below} is a symbolic link: a run directory holds plain files"):
        searching(below.partition("/")[0].removesuffix(".db"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_warning_is_said_once():
    said: list[str] = []
    logger = logging.getLogger("mlflow.store")
    before = logging.getLogger("mlflow").handlers
    with loggers._telling(said.append):
        for number in range(2):
            logger.warning("slow:\n%d", number)
            logger.info("hello")
    assert said == ["mlflow.store: slow: 0"]
    assert logging.getLogger("mlflow").handlers == before


PROGRAM = """
import sys
from pathlib import Path
from searches import Noting
from nas import cli
from nas.api import search
from nas.executors.serial import Serial

search.local_executor = lambda *_: Serial(Noting(Path("log")))
sys.argv = ["nas", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.slow
def test_a_search_from_the_command_line_leaves_only_its_run_and_prints_as_ever(tmp_path):
    ready(*LOGGERS)
    search = "search --space local --strategy random --patch 2 --width 8 --depth 1 --ratio 1 --epochs 3 --device cpu"
    search += " --trials 3 --top 1 --seeds 1 --run x --runs-dir . --json"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *search.split(), "--log", ",".join(LOGGERS)],
        cwd=tmp_path,
        env=importing(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert {"accuracy", "params"} <= json.loads(done.stdout.splitlines()[0]).keys()
    assert all(json.loads(line) for line in done.stdout.splitlines())
    for line in done.stderr.splitlines():
        assert line.startswith(("space ", "data ", "run ", "searching ", "finals ")) or "still to be logged" in line
    assert {path.name for path in tmp_path.iterdir()} == {"home", "here", "log", "x"}
    for name in LOGGERS:
        all_logged_once(name, tmp_path)


def test_a_curve_is_what_the_line_says_epoch_by_epoch():
    """Losses of training, figures of validation at rungs, those of the test and the seconds at the end."""
    scores = Score(2, 0.5, 0.25), Score(3, 0.375, 0.625)
    line = replace(
        result_of(next(tiny().enumerate()), 0.9, lr=0.03, seed=5, phase="train"),
        scores=scores,
        train_loss=(3.0, 2.0, 1.0),
        test=Score(3, 0.75, 0.125),
        seconds=17.0,
    )
    assert curve(line) == [
        {"training_iteration": 1, "training_loss": 3.0},
        {"training_iteration": 2, "training_loss": 2.0, "validation_loss": 0.5, "validation_accuracy": 0.25},
        {
            "training_iteration": 3,
            "training_loss": 1.0,
            "validation_loss": 0.375,
            "validation_accuracy": 0.625,
            "test_loss": 0.75,
            "test_accuracy": 0.125,
            "seconds": 17.0,
        },
    ]
    assert curve(replace(line, scores=(), train_loss=(), test=None)) == []
    assert trial_name(line) == f"train/{line.id}-lr0.03-s5-e3"
