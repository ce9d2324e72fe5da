"""Exports networks as modules with their weights, and proves in a clean process that these give their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from einmix import Architecture, source
from nas.api.run import Run
from nas.data.dataset import NOUNS
from nas.errors import NasError, counted
from nas.exports.check import Exported, _unfit, check
from nas.ranking.standings import Standing
from nas.runs.result import Result
from nas.tables import accuracy, gain_verdict, mixers


def export(opened: Run, standings: Sequence[Standing], folder: Path, command: str) -> list[Exported]:
    """Writes `SPACE_ID.py`, and `SPACE_ID.safetensors` where the network was trained in the finals or by `nas train`.

    Raises NasError when a written module does not give the trained network's outputs.
    """
    return check([_write(opened, standing, folder, command) for standing in standings])


def best_trained(opened: Run, standing: Standing) -> Result | None:
    """Of the trainings whose weights are kept, the one with the most epochs, then the best validation accuracy.

    Of a training that was done twice, on another device, the weights are those of the last time.
    """
    last = {(result.phase, result.key): result for result in opened.results if result.id == standing.id}
    kept = [
        (result.epochs, result.score.accuracy, -number, result)
        for number, result in enumerate(last.values())
        if result.score and opened.run.kept_weights(result)
    ]
    return max(kept)[-1] if kept else None


def _write(opened: Run, standing: Standing, folder: Path, command: str) -> Exported:
    """Writes a module, and a copy of its weights."""
    trained, architecture = best_trained(opened, standing), standing.architecture
    kept = opened.run.kept_weights(trained) if trained else None
    stem = f"{opened.space_name}_{standing.id}"
    module, weights = folder / f"{stem}.py", folder / f"{stem}.safetensors" if kept else None
    told, preprocessing = facts(opened, standing, trained, command), opened.preprocessing
    _write_text(module, source(architecture, told, preprocessing.text(architecture)))
    if kept and weights:
        told = {name: told[name] for name in ("score", "found by", "exported by", "weights") if name in told}
        _write_weights(architecture, kept, weights, told | preprocessing.metadata | {"id": standing.id})
    return Exported(architecture, module, weights, preprocessing)


def _write_weights(architecture: Architecture, kept: Path, weights: Path, metadata: Mapping[str, str]) -> None:
    """A copy of weights with what they are and what they take."""
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    try:
        data = save(load(kept.read_bytes()), dict(metadata))
        weights.write_bytes(data)
    except OSError as error:
        raise NasError(f"cannot write {error.filename or weights}: {error.strerror}") from None
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise NasError(_unfit(architecture, kept, error)) from None


def write_checked(architecture: Architecture, module: Path, facts: Mapping[str, str]) -> Exported:
    """Writes a network without weights as a module with these facts in its header. Raises NasError as `check` does."""
    _write_text(module, source(architecture, facts))
    return check([Exported(architecture, module, None)])[0]


def _write_text(module: Path, text: str) -> None:
    try:
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NasError(f"cannot write {error.filename or module}: {error.strerror}") from None


def facts(opened: Run, standing: Standing, trained: Result | None, command: str) -> dict[str, str]:
    """The header of an exported module: what was found, on which data, with which score, and how to repeat it."""
    recipe, name = opened.recipe, opened.space_name
    data, train, validation = (
        opened.setting(f"data.{fact}", kind)
        for fact, kind in (("name", "a text"), ("train", "a count"), ("validation", "a count"))
    )
    noun = NOUNS.get(len(opened.setting("data.shape", "an object")), "examples")
    tried = sum(s.search is not None for s in opened.standings)
    n = f"mean ± std of {standing.n} seeds" if standing.n > 1 else "one seed"
    of_all = f"best of {counted(tried, 'candidate')}, so optimistic"
    lines = {
        "title": f"{name}-{standing.id}",
        "found by": opened.setting("command", "a text"),
        "data": f"{data}: {train:,} training and {validation:,} validation {noun}",
        "score": f"validation accuracy {accuracy(standing)} ({n}), {of_all}",
    }
    if standing.gain:
        lines["gain"] = f"{gain_verdict(standing)} (same sizes and recipe, paired by seed)"
    if references := [s for s in opened.standings if s.is_reference]:
        lines["references"] = ", ".join(f"{s.label} {accuracy(s)} ({s.architecture.params:,})" for s in references)
    lines["recipe"] = (
        f"{counted(recipe.epochs, 'epoch')} of AdamW, learning rate {recipe.lr:g} "
        f"(warm-up {recipe.warmup:.0%}, cosine), weight decay {recipe.weight_decay:g}, "
        f"batch {recipe.batch}, label smoothing {recipe.label_smoothing:g}, "
        f"augmentation {recipe.augment}"
    )
    lines["mixers"] = mixers(standing.architecture)
    if trained and trained.score:
        test = f", test accuracy {trained.test.accuracy:.1%}" if trained.test else ""
        lines["weights"] = (
            f"{name}_{standing.id}.safetensors: seed {trained.seed}, {counted(trained.epochs, 'epoch')}, "
            f"validation accuracy {trained.score.accuracy:.1%}{test}"
        )
    raw = opened.preprocessing
    lines["inputs"] = (
        f"{raw.words}, which preprocess() normalises by channel: mean {_figures(raw.mean)}, std {_figures(raw.std)}"
    )
    lines["exported by"] = command
    return {name: text for name, text in lines.items() if text}


def _figures(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
