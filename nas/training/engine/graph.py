"""The whole step of another engine as one CUDA graph, recorded once a training."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from nas.training.engine.engine import Engine

FIRST = 3
"""Steps before the graph is recorded: kernels are loaded by then, and what is made at the first one is there."""


class Recorder(Protocol):
    """What records launches on a device and plays them."""

    def aside(self) -> contextlib.AbstractContextManager[Any]:
        """Where a step is done that is to be recorded later."""

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], object]:
        """Records what some work launches, without doing it; what does it, on the memory that it was recorded with."""


@cache
def side(device: torch.device) -> torch.cuda.Stream:
    """The stream of a device on which all trainings of a process record: CUDA's libraries keep memory for each one."""
    return torch.cuda.Stream(device)


class CudaRecorder:
    """CUDA's; torch's own generator and the `generators` go on in a graph that is played as they would without it.

    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, side(device)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:  # also where a step fails, whose memory goes back to the current stream
            current.wait_stream(self._stream)

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], object]:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        # `graph` does not go back to the stream of before where a recording fails; what is around it does
        with self.aside(), torch.cuda.graph(graph, stream=self._stream):
            work()
        return graph.replay


class Graph:
    """An `Engine` that does what another one does, with one launch in place of hundreds.

    The first steps are the other one's. Then its step is recorded, which changes nothing, and from there on played with
    what is put into the buffers of index and rate. Where that fails all steps are the other one's: `notes` say so, with
    the reason, as `engine`. The `generators` are those that draw in a step, beside torch's own.
    """

    def __init__(
        self,
        engine: Engine,
        generators: Sequence[torch.Generator],
        notes: dict[str, Any],
        *,
        recorder: Recorder | None = None,
    ) -> None:
        self._engine, self._generators, self._notes = engine, generators, notes
        self._recorder = recorder or CudaRecorder(generators[0].device)
        self._steps = 0
        self._play: Callable[[], object] | None = None

    def step(self, index: Tensor, rate: float | Tensor) -> Tensor:
        self._steps += 1
        if self._steps <= FIRST:
            with self._recorder.aside():
                return self._engine.step(index, rate)
        if self._steps == FIRST + 1:
            self._record(index)
        if self._play is None:
            return self._engine.step(index, rate)
        self._index.copy_(index)
        self._rate.fill_(rate)
        self._play()
        return self._loss

    def _record(self, index: Tensor) -> None:
        self._index, self._rate = index.clone(), torch.zeros((), device=index.device)

        def work() -> None:
            self._loss = self._engine.step(self._index, self._rate)

        try:
            self._play = self._recorder.record(work, self._generators)
            self._notes["engine"] = "graph"
        except Exception as error:
            self._notes["engine"] = f"eager, for there is no graph: {' '.join(str(error).split())}"[:400]
