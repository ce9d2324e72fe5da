"""A run directory: its settings, its append-only log of finished trainings, its weights; nothing in it is trusted."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from nas.errors import NasError, nearest, one_line
from nas.runs.files import open_plain, read_plain, sync_folder, telling, write_whole
from nas.runs.job import Job, Kind
from nas.runs.result import Result, file_name, read_object
from nas.runs.settings import create_run, differing, read_run, write_object
from nas.runs.storage import Storage

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class RunFolder:
    """A run directory, open to read or, as the one writer, to append.

    `settings` is everything needed to repeat the run, `created` the UTC time of its making in ISO format,
    `warnings` what was found amiss and put right or passed over. `on_append`, if any, is called with every result that
    has been added, after it is on disk.

    >>> import tempfile
    >>> with RunFolder.create_or_open(Path(tempfile.mkdtemp()), "demo", {"space": "local"}) as run:
    ...     run.name, run.settings, run.results()
    ('demo', {'space': 'local'}, [])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self.warnings: list[str] = []
        self.on_append: Callable[[Result], object] | None = None
        self._results: int | None = None  # the descriptor of results.jsonl, the writer's alone
        self._held = contextlib.ExitStack()
        content = read_run(path / "run.json")
        self.settings: dict[str, Any] = content["settings"]
        self.created: str = content["created"]

    @staticmethod
    def names(root: Path) -> list[str]:
        """The runs under `root`, by name."""
        with telling(f"read {root}"):
            return sorted(path.parent.name for path in root.glob("*/run.json"))

    @staticmethod
    def exists(root: Path, name: str) -> bool:
        """Whether there is a run of this name under `root`."""
        return _NAME.fullmatch(name) is not None and (root / name / "run.json").exists()

    @classmethod
    def open(cls, root: Path, name: str) -> Self:
        """A run to read, by its name under `root` or by the path of its directory; NasError if there is none."""
        with telling(f"read run {name!r}"):
            for path in (root / name, Path(name)):
                if (path / "run.json").exists():
                    return cls(path)
        raise NasError(f"no run {name!r} in {root}: {nearest(name, cls.names(root))}")

    @classmethod
    def name_for(
        cls, root: Path, words: str, settings: dict[str, Any], may_differ: Collection[str], *, like: str = ""
    ) -> str:
        """What a run is called that has no name: words and a hash of what makes it what it is.

        One that was made with these settings under `root`, with words like that (a regular expression), is that run.
        """
        own = f"{words}-{digest(settings, may_differ)}"
        names = re.compile(rf"(?:{like or re.escape(words)})-[0-9a-f]{{6}}")
        for name in [] if (root / own).exists() else filter(names.fullmatch, cls.names(root)):
            with contextlib.suppress(NasError, ValueError):  # one that is damaged is not this one
                asked = read_object(json.dumps(settings).encode())
                if not differing(cls(root / name).settings, asked, may_differ):
                    return name
        return own

    @classmethod
    def create_or_open(
        cls, root: Path, name: str, settings: dict[str, Any], *, may_differ: Collection[str] = ()
    ) -> Self:
        """A run to write, made where there is none; until it is closed (or its process ends) nobody else can write it.

        An existing run must have been made with the same settings, but for those named in `may_differ` (a number of
        trials, say, or a dotted name), which then keep their first values in `run.settings`.

        Raises NasError for a name that is no plain file name, other settings, another writer, a failing disk.
        """
        if not _NAME.fullmatch(name):
            raise NasError(
                f"{name!r} cannot name a run: use up to 100 letters, digits, '.', '_', '-', and begin with none of '.-'"
            )
        path = root / name
        try:
            settings = read_object(json.dumps(settings).encode())
        except ValueError as error:
            raise NasError(f"run {name!r} cannot be made: {error} among its settings") from error
        with contextlib.ExitStack() as undo:
            with telling(f"write {path}"):
                (path / "checkpoints").mkdir(parents=True, exist_ok=True)
                _lock(path / "lock", name, undo)
                if not (path / "run.json").exists():
                    if (path / "results.jsonl").exists():
                        raise NasError(f"{path} has a results.jsonl but no run.json: choose another --run")
                    create_run(path / "run.json", settings)
            run = cls(path)
            if others := differing(run.settings, settings, may_differ):
                more = f" and {len(others) - 3} more" if len(others) > 3 else ""
                own = sorted({each.split(".")[1].split("=")[0] for each in others if each.startswith("own.")})
                again = f"give {', '.join(f'{each}=…' for each in own)} as then, or " if own else ""
                raise NasError(f"run {name!r} was made with {'; '.join(others[:3])}{more}: {again}choose another --run")
            with telling(f"write {path / 'results.jsonl'}"):
                run._results = open_plain(path / "results.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT)
                undo.callback(os.close, run._results)
                run._mend(run._results)
                sync_folder(path)
            run._held = undo.pop_all()
        return run

    def append(self, line: dict[str, Any]) -> Result:
        """Adds a line (`nas.runs.job.record`) to results.jsonl: one write, on disk when this returns, or not there.

        Returns what will be read back from it. Raises NasError when the disk is full or cannot be written, while the
        lines before stay as they are; ValueError for a line that could not be read back.
        """
        if self._results is None:
            raise NasError(f"run {self.name!r} is not open for writing")
        data = json.dumps(line).encode() + b"\n"
        result = Result.from_line(read_object(data))
        with telling(f"write {self.path / 'results.jsonl'}"):
            end = os.fstat(self._results).st_size
            try:
                if os.write(self._results, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._results)
            except OSError:
                try:
                    os.ftruncate(self._results, end)
                except OSError:  # then nothing more is written after the torn line
                    self._results = None
                raise
        if self.on_append is not None:
            self.on_append(result)
        return result

    def results(self, validate: Callable[[Result], object] | None = None) -> list[Result]:
        """The finished trainings, in the order in which they ended.

        `validate` is called with every result and refuses one by a ValueError. A torn last line (a write cut off by a
        kill or a power failure) is passed over with a warning.

        Raises NasError that names the file and the line which is no result.
        """
        path = self.path / "results.jsonl"
        with telling(f"read {path}"):
            *lines, tail = (read_plain(path) if path.exists() else b"").split(b"\n")
        if tail and _is_whole(tail):
            lines.append(tail)
        elif tail:
            self._warn(f"{path}: the last line is torn (a write was cut off): it is passed over")
        results = []
        for number, line in enumerate(lines, 1):
            try:
                result = Result.from_line(read_object(line))
                if validate is not None:
                    validate(result)
            except (ValueError, NasError) as error:
                raise NasError(f"{path}, line {number}: {error}; mend or delete this line") from error
            results.append(result)
        return results

    def kind_of(self, result: Result) -> Kind:
        """What a training was trained on; where its line does not say it, the run's device was at its beginning."""
        device, precision = (result.extra.get(fact) for fact in ("device", "precision"))
        device = device or self.settings.get("device") or "cpu"
        return Kind(one_line(str(device)), one_line(str(precision or ("bfloat16" if device == "cuda" else "float32"))))

    def weights_path(self, training: Job | Result) -> Path:
        """Where the trained weights of a job are kept: runs/NAME/checkpoints/PHASE-ID-lr…-s…-e….safetensors.

        Raises NasError where that would lead out of the run directory.
        """
        return self._weights(file_name(training.key, training.phase))

    def kept_weights(self, result: Result) -> Path | None:
        """The file of a result's trained weights, if there is one; Raises NasError as `weights_path` does.

        Runs of the first version have names without a phase.
        """
        found = [self.weights_path(result)]
        if result.phase in ("final", "train"):
            found.append(self._weights(file_name(result.key)))
        return next((path for path in found if path.is_file()), None)

    def _weights(self, name: str) -> Path:
        return self._own(self._own(self.path / "checkpoints") / name)

    def save_weights(self, training: Job | Result, data: bytes) -> None:
        """Writes the trained weights of a job (safetensors): on disk when this returns, whole or not at all.

        Raises NasError as `weights_path` does, and when the disk is full or cannot be written.
        """
        path = self.weights_path(training)
        if self._results is None:
            raise NasError(f"run {self.name!r} is not open for writing")
        with telling(f"write {path}"):
            write_whole(path, data)

    def storage(self, place: str | None = None) -> Storage:
        """Where the run's trainings under way are kept: runs/NAME/unfinished, or PLACE/NAME (`storage.place_of`).

        Raises NasError where the first would lead out of the run directory.
        """
        own = self._own(self.path.resolve() / "unfinished")
        return Storage(f"{place}/{self.name}" if place else str(own), run=f"{self.name} of {self.created}")

    def keep(self, name: str, value: dict[str, Any]) -> None:
        """Writes NAME.json beside the results, whole or not at all: figures that can be had again."""
        with telling(f"write {self.path / name}.json"):
            write_object(self.path / f"{name}.json", value)

    def kept(self, name: str) -> dict[str, Any] | None:
        """What `keep` wrote; None where there is nothing, or nothing that can be read."""
        path = self.path / f"{name}.json"
        try:
            return read_object(read_plain(path)) if path.exists() else None
        except (OSError, ValueError):
            return None

    def note(self, name: str, line: dict[str, Any]) -> None:
        """Adds a line to NAME.jsonl: what helps whoever goes on with the run, and is no loss when it is lost."""
        with telling(f"write {self.path / name}.jsonl"):
            file = open_plain(self.path / f"{name}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(file, "ab", buffering=0) as notes:
                notes.write(json.dumps(line).encode() + b"\n")

    def notes(self, name: str) -> list[dict[str, Any]]:
        """What was noted in NAME.jsonl; lines that cannot be read, such as a torn one, are left out with a warning."""
        path, found = self.path / f"{name}.jsonl", []
        with telling(f"read {path}"):
            lines = (read_plain(path) if path.exists() else b"").split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                found += [read_object(line)] if line else []
            except ValueError as error:
                self._warn(f"{path}, line {number}: {error}: it is passed over")
        return found

    def renote(self, name: str, lines: Sequence[dict[str, Any]]) -> None:
        """Has NAME.jsonl hold these lines alone."""
        with telling(f"write {self.path / name}.jsonl"):
            write_whole(self.path / f"{name}.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def close(self) -> None:
        """Gives the run back to other writers."""
        self._results = None
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _own(path: Path) -> Path:
        """A file or folder of the run, refused where it is another one by a link."""
        if path.is_symlink():
            raise NasError(f"{path} is a symbolic link: a run directory holds plain files and folders only")
        return path

    def _mend(self, results: int) -> None:
        """Leaves results.jsonl with whole lines only, so that the next one begins on its own."""
        path = self.path / "results.jsonl"
        data = read_plain(path)
        tail = data[data.rfind(b"\n") + 1 :]
        if not tail:
            return
        if _is_whole(tail):
            os.write(results, b"\n")
        else:
            os.ftruncate(results, len(data) - len(tail))
            self._warn(f"{path}: the last line was torn (a write was cut off): its {len(tail)} bytes are removed")
        os.fsync(results)

    def _warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


def _is_whole(tail: bytes) -> bool:
    """Whether only the newline is missing; no proper beginning of a JSON object is itself JSON."""
    try:
        read_object(tail)
    except ValueError:
        return False
    return True


def _lock(path: Path, name: str, undo: contextlib.ExitStack) -> None:
    """Takes the writer's lock, which the system releases however its holder ends; NasError if another has it."""
    lock = open_plain(path, os.O_RDWR | os.O_CREAT)
    undo.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        raise NasError(
            f"run {name!r} is being written by another search (process {holder if holder.isdigit() else 'unknown'}): "
            "wait until it ends, or choose another --run"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())


LAST = "last"
"""What the latest session was asked for of these is kept in a file of this name, since run.json keeps the first."""


def digest(settings: Mapping[str, Any], may_differ: Collection[str]) -> str:
    """Six hexadecimal digits of what makes a run what it is; how its data's path was typed does not."""
    identity = {name: value for name, value in settings.items() if name not in may_differ}
    if settings["data_path"] is not None:
        identity["data"] = {name: value for name, value in settings["data"].items() if name != "name"}
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:6]
