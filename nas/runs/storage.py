"""Where trainings under way are kept for a restart: a local folder, or a place that fsspec reaches by its URL."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import NasError, one_line
from nas.runs.files import read_plain, write_whole
from nas.runs.job import Key
from nas.runs.result import file_name

EVERY = 30.0
"""Seconds between two saves of one training: what a kill costs at most, beside what is left of an epoch."""

_PROBE = "writable"


@dataclass(frozen=True)
class Storage:
    """A folder (an absolute path) or a URL such as `s3://bucket/folder/NAME`, which holds a file a training.

    `run` says whose trainings these are, and is part of what is saved: two runs of one name never mix. A training is
    saved when `every` seconds have passed since it began or was last saved.

    >>> import tempfile
    >>> storage, key = Storage(tempfile.mkdtemp(), run="demo"), ("a1", 0.01, 0, 20)
    >>> storage.save(key, b"half of it")
    >>> storage.load(key), storage.drop(key), storage.load(key)
    (b'half of it', None, None)
    """

    url: str
    run: str
    every: float = EVERY

    def check(self) -> None:
        """Raises NasError unless something can be written there."""
        if not self._folder:
            _require_protocol(self.url)
        try:
            self._write(_PROBE, b"")
            self._remove(_PROBE)
        except Exception as error:  # a library may raise anything for a network that fails
            raise NasError(f"cannot write {self.url}: {one_line(str(error)) or type(error).__name__}") from error

    def save(self, key: Key, data: bytes) -> None:
        """Keeps a training's state in place of the one before, whole or not at all; raises whatever goes wrong."""
        self._write(file_name(key), data)

    def load(self, key: Key) -> bytes | None:
        """What was saved of a training; None where there is nothing that can be read."""
        with suppress(Exception):
            if self._folder:
                return read_plain(self._folder / file_name(key))
            files, path = self._remote()
            return bytes(files.cat_file(f"{path}/{file_name(key)}"))
        return None

    def drop(self, key: Key) -> None:
        """Removes what was saved of a training; where that fails, it only takes room."""
        with suppress(Exception):
            self._remove(file_name(key))

    def tidy(self, epochs: int | None = None) -> None:
        """Removes what trainings of so many epochs have left, then a local folder with nothing in it."""
        with suppress(Exception):
            for name in self._names() if epochs is not None else ():
                if name.endswith(f"-e{epochs}.safetensors"):
                    self._remove(name)
            if self._folder:
                self._folder.rmdir()

    @property
    def _folder(self) -> Path | None:
        return None if "://" in self.url else Path(self.url)

    def _remote(self) -> tuple[Any, str]:
        """fsspec's file system, of which it makes one a process, and the path on it."""
        import fsspec

        files, path = fsspec.core.url_to_fs(self.url)
        return files, path

    def _write(self, name: str, data: bytes) -> None:
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            writer = f"{platform.node()}-{os.getpid()}".replace(".", "-")  # a straggler's copy may write the same
            write_whole(self._folder / name, data, writer=writer)
        else:
            files, path = self._remote()
            files.pipe_file(f"{path}/{name}", data)  # a put, which object stores do whole or not at all

    def _remove(self, name: str) -> None:
        if self._folder:
            stem = name.removesuffix(".safetensors")
            for file in (self._folder / name, *self._folder.glob(f"{stem}.*.tmp")):
                file.unlink(missing_ok=True)
        else:
            files, path = self._remote()
            files.rm_file(f"{path}/{name}")

    def _names(self) -> list[str]:
        """Of all files; of those that a kill left half written the names that they would have had."""
        if self._folder:
            names = [path.name for path in self._folder.iterdir()]
            return [f"{name.rsplit('.', 2)[0]}.safetensors" if name.endswith(".tmp") else name for name in names]
        files, path = self._remote()
        files.invalidate_cache()
        return [Path(each).name for each in files.ls(path, detail=False)]


def place_of(text: str) -> str:
    """A place as somebody types it: a URL stays, a folder becomes absolute, `~` is the home.

    Raises NasError for a URL of an unknown protocol, or of one whose package is not there.

    >>> place_of("memory://kept/")
    'memory://kept'
    """
    text = text.removeprefix("file://")
    if "://" in text:
        _require_protocol(text)
        return text.rstrip("/")
    try:
        return str(Path(text).expanduser().resolve())
    except (OSError, RuntimeError) as error:  # a loop of links, no such home
        raise NasError(f"no place to keep trainings in: {text!r} ({one_line(str(error))})") from None


def _require_protocol(url: str) -> None:
    import fsspec

    protocol = url.partition("://")[0]
    if protocol not in fsspec.available_protocols():
        raise NasError(f"no protocol {protocol!r} in {url!r}: write a folder, or a URL such as s3://bucket/folder")
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:  # it names the package
        raise NasError(f"{url!r} needs a package that is not here: {one_line(str(error))}") from error
