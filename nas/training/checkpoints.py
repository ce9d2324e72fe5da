"""A training under way as safetensors, from which it goes on bit by bit as if nothing had happened."""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from nas.runs.job import Job, Outcome, Score, State
from nas.runs.result import read_object, take
from nas.runs.storage import Storage
from nas.training.engine.engine import Parts
from nas.training.engine.optimizer import MOMENTS

_VERSION = 1


@dataclass
class TrainingState:
    """All that the further course of a training depends on, after as many epochs as there are `losses`.

    The generator of its parts draws order and augmentation, dropout draws from torch's own. Without a storage nothing
    is kept; with one that fails, the training goes on, and a note in its outcome says so.
    """

    job: Job
    parts: Parts
    storage: Storage | None = None
    losses: list[float] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    earlier: float = 0.0
    """Seconds of tries that were cut off, as far as they were kept."""

    def __post_init__(self) -> None:
        self._begun = self._kept = time.monotonic()

    def resume(self) -> None:
        """Goes on where an earlier try was kept, if it was, and if that is this very training and nothing is amiss."""
        if self.storage is None or (data := self.storage.load(self.job.key)) is None:
            return
        try:
            facts = self._facts(data, self.storage.run)
            tensors = self._tensors(data)
        except Exception:  # whatever strange bytes lead to: there is no checkpoint
            return
        self._restore(tensors)
        self.losses = [float(loss) for loss in facts["losses"]]
        self.scores = [Score(**score) for score in facts["scores"]]
        self.earlier = float(facts["seconds"])
        self.notes["resumed"] = len(self.losses)

    def keep(self) -> None:
        """Keeps the training as it is now, when it is time to."""
        if self.storage is None or time.monotonic() - self._kept < self.storage.every:
            return
        try:
            self.storage.save(self.job.key, self.to_bytes(self.storage.run))
        except Exception as error:  # a full disk, a network: no reason to lose the training itself
            self.notes["not_kept"] = f"{type(error).__name__}: {error}"[:400]
        self._kept = time.monotonic()

    def outcome(self, state: State, epoch: int) -> Outcome:
        """How the training ended with an epoch; the seconds are those of earlier tries."""
        scores = tuple(score for score in self.scores if score.epoch <= epoch)
        return Outcome(state, scores, tuple(self.losses[:epoch]), seconds=self.earlier, extra=self.notes)

    def to_bytes(self, run: str) -> bytes:
        """The training as safetensors, with whose it is and its curve as JSON among the metadata."""
        facts = {
            "version": _VERSION,
            "run": run,
            "key": list(self.job.key),
            "losses": self.losses,
            "scores": [asdict(score) for score in self.scores],
            "seconds": self.earlier + time.monotonic() - self._begun,
        }
        tensors = self._model() | self._random()
        state = self.parts.optimizer.state
        for name, parameter in self.parts.model.named_parameters():
            tensors |= {f"{what} {name}": value for what, value in state.get(parameter, {}).items()}
        plain = {name: value.cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
        return save(plain, metadata={"progress": json.dumps(facts)})

    def _model(self) -> dict[str, Tensor]:
        return {f"model {name}": value for name, value in self.parts.model.state_dict().items()}

    def _random(self) -> dict[str, Tensor]:
        states = {"random order": self.parts.generator.get_state(), "random cpu": torch.get_rng_state()}
        if self.parts.generator.device.type == "cuda":
            states["random cuda"] = torch.cuda.get_rng_state(self.parts.generator.device)
        return states

    def _facts(self, data: bytes, run: str) -> dict[str, Any]:
        """What the metadata say, checked: ValueError unless it is this training, at the end of one of its epochs."""
        header = read_object(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = read_object(take(take(header, "__metadata__", "an object"), "progress", "a text").encode())
        whose = facts.get("version"), facts.get("run"), facts.get("key")
        losses = take(facts, "losses", "a list of finite numbers")
        judged = [score["epoch"] for score in take(facts, "scores", "a list of scores")]
        if (
            whose != (_VERSION, run, list(self.job.key))
            or not 0 < len(losses) < self.job.epochs
            or judged != [rung for rung in self.job.rungs if rung <= len(losses)]
            or take(facts, "seconds", "a finite number") < 0
        ):
            raise ValueError("another training, or none")
        return facts

    def _tensors(self, data: bytes) -> dict[str, Tensor]:
        """The tensors, checked: an exception unless they are all there, of the right sizes, and numbers."""
        tensors = load(data)
        expected = self._model() | self._random()
        for name, parameter in self.parts.model.named_parameters():
            if f"step {name}" in tensors:  # a parameter that was never used has none
                expected |= {f"step {name}": torch.zeros(())} | {f"{what} {name}": parameter for what in MOMENTS}
        if tensors.keys() != expected.keys():
            raise ValueError("not the tensors of this training")
        for name, value in expected.items():
            found = tensors[name]
            if found.shape != value.shape or found.dtype != value.dtype or found.isnan().any():
                raise ValueError(f"{name} is not what it should be")
        for name, state in tensors.items():
            if name.startswith("random "):
                torch.Generator("cpu" if name == "random cpu" else self.parts.generator.device).set_state(state)
        return tensors

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        model = {name.removeprefix("model "): value for name, value in tensors.items() if name.startswith("model ")}
        self.parts.model.load_state_dict(model)
        kept = ("step", *MOMENTS)
        self.parts.optimizer.restore(
            {
                parameter: {what: tensors[f"{what} {name}"] for what in kept}
                for name, parameter in self.parts.model.named_parameters()
                if f"step {name}" in tensors
            }
        )
        self.parts.generator.set_state(tensors["random order"])
        torch.set_rng_state(tensors["random cpu"])
        if "random cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random cuda"], self.parts.generator.device)
