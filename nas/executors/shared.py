"""What worker processes of one machine are given once for all of them: arrays in memory that they share."""

import mmap
import os
import pickle
import tempfile
from multiprocessing import reduction
from typing import IO, Any

ALIGNMENT = 64
"""Bytes at whose multiples arrays begin, as torch has its own begin."""


class Shared:
    """A value that is pickled without its arrays (those that pickle calls buffers), which lie in a file without a name.

    Whoever unpickles it, as an argument of a new process, has the arrays as copies on write: what one writes no other
    sees. The memory goes with the last process that has it, however that ends; there is nothing to remove.
    """

    def __init__(self, value: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        self._data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        self._parts: list[tuple[int, int]] = []  # where each begins and ends
        self._file = _without_name()
        end = 0
        for buffer in buffers:
            raw = buffer.raw()
            begin = -(-end // ALIGNMENT) * ALIGNMENT
            end = begin + raw.nbytes
            self._parts.append((begin, end))
            self._file.seek(begin)
            self._file.write(raw)
        self._file.flush()

    def close(self) -> None:
        """Lets go of the memory; processes that were started with it keep it."""
        self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Received, (self._data, self._parts, reduction.DupFd(self._file.fileno()))


class Received:
    """The same in another process."""

    def __init__(self, data: bytes, parts: list[tuple[int, int]], descriptor: Any) -> None:
        self._data, self._parts, self._descriptor = data, parts, descriptor.detach()

    def value(self) -> Any:
        """The value, with arrays that share their memory."""
        try:
            size = max((end for _, end in self._parts), default=0)
            view = memoryview(mmap.mmap(self._descriptor, size, access=mmap.ACCESS_COPY) if size else b"")
        finally:
            os.close(self._descriptor)
        return pickle.loads(self._data, buffers=[view[begin:end] for begin, end in self._parts])


def _without_name() -> IO[bytes]:
    """A file in memory, or one in the usual folder where the system has no such; no name leads to it."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("nas"), "wb")
    return tempfile.TemporaryFile()
