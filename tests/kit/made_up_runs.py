"""Runs that nobody trained: folders as a search writes them, of as many candidates as asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from einmix import Architecture
from nas.api.report import gathered
from nas.api.saved import SavedRun
from nas.loop.past import make_job
from nas.report.figures.facts import RunFacts
from nas.runs.bits import packed
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Outcome, Score, record
from search_spaces import BoundSpace, Budget, load

VALIDATION, JUDGE, EPOCHS, RUNG = 200, 100, 4, 1

SETTINGS: dict[str, Any] = {
    "space": {"name": "subgrid", "patch": [1, 2], "width": [8, 16], "depth": [1, 2], "ratio": [2]},
    "data": {
        "name": "digits",
        "shape": {"h": 8, "w": 8},
        "channels": 1,
        "classes": 10,
        "train": 900,
        "validation": VALIDATION,
        "judge": JUDGE,
        "test": 300,
        "seed": 0,
        "fingerprint": "0123456789abcdef",
    },
    "recipe": {
        "epochs": EPOCHS,
        "batch": 64,
        "lr": 0.01,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "warmup": 0.1,
        "augment": "none",
    },
    "budget": {"min_params": 0, "max_params": None, "max_macs": None},
    "strategy": "random",
    "objective": "accuracy",
    "order": "loss",
    "seed": 0,
    "rungs": [RUNG],
    "trials": 12,
    "seeds": 3,
    "workers": 1,
    "command": "nas search --space subgrid",
}


def space(shape: Mapping[str, int] | None = None) -> BoundSpace:
    sizes = {"patch": (1, 2), "width": (8, 16), "depth": (1, 2), "ratio": (2,)}
    return load("subgrid").on(shape or {"h": 8, "w": 8}, channels=1, classes=10, **sizes)


@dataclass(frozen=True)
class Made:
    """What is special about a run: so many `candidates` and finalists, which are so much better than references.

    Every seventh candidate fails for a `reason`, if there is one; with `timed` all have a latency; without `bits`
    finals do not say what they were right on, as those of older runs do not.
    """

    candidates: int = 12
    finals: int = 3
    lead: float = 0.2
    reason: str = "ValueError: no luck"
    timed: bool = False
    bits: bool = True
    label: str = "full token mixing"
    shape: Mapping[str, int] = field(default_factory=lambda: {"h": 8, "w": 8})
    settings: Mapping[str, Any] = field(default_factory=dict)


def made_up(root: Path, name: str = "made-up", made: Made | None = None, **changes: Any) -> SavedRun:
    """Writes a run and reads it back; `changes` are those of `Made`."""
    made = replace(made or Made(), **changes)
    data = SETTINGS["data"] | {"shape": dict(made.shape)}
    data = {key: value for key, value in data.items() if made.bits or key != "judge"}
    own = SETTINGS | {"trials": made.candidates, "data": data} | dict(made.settings)
    rng, found = np.random.default_rng(made.candidates), space(made.shape)
    networks, lines = _networks(found, made.candidates), []
    with RunFolder.create_or_open(root, name, own) as run:
        for number, merit in enumerate(networks.values()):
            failed, ended = bool(made.reason) and number % 7 == 6, number % 3 == 0
            job = make_job(merit.network, 0.01, 0, EPOCHS, "search")
            outcome = _searched(merit.share, ended, rng, merit.share if made.timed else None)
            if failed:
                outcome = Outcome("failed", (), (2.3,), 0.1, reason=made.reason, traceback=f"Traceback:\n{made.reason}")
            lines.append(_line(merit.network, job, outcome, number))
        ended = [merit for number, merit in enumerate(networks.values()) if number % 3 == 0 and number % 7 != 6]
        best = sorted(ended, key=lambda merit: -merit.share)[: made.finals]
        finals = [("", each.network) for each in best]
        for each in best:
            skeleton = found.skeleton(each.network)
            assert skeleton
            reference = found.references(skeleton)["full token mixing"]
            if reference.id not in {network.id for _, network in finals}:
                finals.append((f"{made.label} {len(finals)}", reference))
        for index, (label, network) in enumerate(finals):
            for seed in range(1, 4):
                job = replace(make_job(network, 0.01, seed, EPOCHS, "final"), label=label)
                share = 0.9 - 0.01 * index if not label else 0.9 - made.lead
                lines.append(_line(network, job, _final(share, rng, made.bits), seed))
        (run.path / "results.jsonl").write_text("".join(lines))  # at once: a run syncs after each line
    return SavedRun.open(root, name)


def facts_of(root: Path, name: str = "made-up", **changes: Any) -> RunFacts:
    """What a page knows of such a run."""
    return gathered(made_up(root, name, **changes))


@dataclass(frozen=True)
class _Merit:
    network: Architecture
    share: float


def _networks(found: BoundSpace, count: int) -> dict[str, _Merit]:
    drawn, rng = Random(count), np.random.default_rng(count)
    networks: dict[str, _Merit] = {}
    while len(networks) < count:
        each = found.sample(drawn, Budget())
        better = 0.1 * (each.grids[0]["c"] == 16) + 0.2 * ("s" not in str(each.mixers[-1]))
        networks[each.id] = _Merit(each, float(rng.uniform(0.3, 0.6)) + better)
    return networks


def _searched(share: float, ended: bool, rng: np.random.Generator, ms: float | None) -> Outcome:
    """A training of the search with a score at the rung, and at the end if it came there."""
    at_rung, noisy = 0.7 * share, share + 0.02 * rng.standard_normal()
    scores = [
        Score(RUNG, 3 - 2 * at_rung, _of(at_rung, VALIDATION)),
        Score(EPOCHS, 3 - 2 * noisy, _of(noisy, VALIDATION)),
    ]
    epochs = EPOCHS if ended else RUNG
    losses = tuple(2.3 - share * epoch / 3 for epoch in range(1, epochs + 1))
    extra = {"device": "cpu", "precision": "float32", "versions": {"torch": "2.14.1"}} | (
        {"latency_ms": ms} if ms else {}
    )
    right = rng.permutation(VALIDATION) < round(scores[-1].accuracy * VALIDATION)
    bits = packed(right) if ended else ""
    return Outcome(
        "complete" if ended else "pruned", tuple(scores[: 1 + ended]), losses, 0.5 + share, extra=extra, right=bits
    )


def _final(share: float, rng: np.random.Generator, bits: bool) -> Outcome:
    """A training of the finals, judged on examples of which some are hard for all."""
    right = np.arange(JUDGE) < JUDGE * share + rng.normal(0, 1)
    score = Score(EPOCHS, 0.5, float(right.mean()))
    losses = tuple(2.3 - share * epoch / 3 for epoch in range(1, EPOCHS + 1))
    judged: dict[str, Any] = {"judge": score, "right": packed(right)} if bits else {}
    extra = {"device": "cpu", "precision": "float32", "versions": {"torch": "2.14.1"}}
    return Outcome("complete", (score,), losses, 1.0, extra=extra, **judged)


def _of(share: float, examples: int) -> float:
    return min(max(round(share * examples), 0), examples) / examples


def _line(network: Architecture, job: Job, outcome: Outcome, number: int) -> str:
    return json.dumps(record(job, outcome, params=network.params, macs=network.macs, number=number)) + "\n"
