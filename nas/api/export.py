"""Networks of a run for elsewhere, with their trained weights and all that is known of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from einmix.networks.architecture import Slotted
from einmix.networks.summary import mixers
from nas.api.saved import SavedRun
from nas.errors import counted
from nas.exports import write_checked
from nas.exports.check import Export, Exported
from nas.ranking.standings import Standing
from nas.ranking.words import accuracy, gain_verdict, parts_in_words
from nas.runs.result import Result
from nas.training.recipe import SCALED


def export(
    saved: SavedRun, standings: Sequence[Standing], folder: Path, command: str, *, format: str = "module"
) -> list[Exported]:
    """Writes `SPACE_ID.*`, with weights where the network was trained in the finals or by `nas train`.

    Raises NasError when a written file does not give the trained network's outputs.
    """
    wanted = []
    for standing in standings:
        trained = best_trained(saved, standing)
        kept = saved.folder.kept_weights(trained) if trained else None
        name, facts = f"{saved.space_name}_{standing.id}", _facts(saved, standing, trained, command)
        raw = None if saved.own("trainer") else saved.preprocessing
        if raw and isinstance(standing.architecture, Slotted):
            shape = saved.setting("data.shape", "an object")
            raw = replace(raw, inputs=(*shape.items(), ("c", saved.setting("data.channels", "a count"))))
        wanted.append(Export(standing.architecture, name, facts, kept, raw))
    return write_checked(wanted, folder, format)


def best_trained(saved: SavedRun, standing: Standing) -> Result | None:
    """Of the trainings whose weights are kept, the one with the most epochs, then the best validation accuracy.

    Of a training that was done twice, on another device, the weights are those of the last time.
    """
    last = {(result.phase, result.key): result for result in saved.results if result.id == standing.id}
    kept = [result for result in last.values() if result.scores and saved.folder.kept_weights(result)]
    return max(kept, key=lambda result: (result.epochs, result.scores[-1].accuracy), default=None)


def _facts(saved: SavedRun, standing: Standing, trained: Result | None, command: str) -> dict[str, str]:
    """The header of an exported module: what was found, on which data, with which score, and how to repeat it."""
    recipe, name, data = saved.recipe, saved.space_name, saved.setting("data.name", "a text")
    train, validation = (saved.setting(f"data.{split}", "a count") for split in ("train", "validation"))
    tried = sum(s.search is not None for s in saved.standings)
    n = f"mean of {standing.n} seeds" if standing.n > 1 else "one seed"
    of_all = f"best of {counted(tried, 'candidate')}, so optimistic"
    judge = saved.optional("data.judge", "a count") or 0
    where = f"on {judge:,} {saved.noun} that chose nothing" if standing.is_judged else "on validation"
    lines = {
        "title": f"{name}-{standing.id}",
        "found by": saved.setting("command", "a text"),
        "data": f"{data}: {parts_in_words(train, validation, judge)} {saved.noun}",
        "score": f"{saved.metric.name} {accuracy(standing)} {where} ({n})" + f", {of_all}" * (not standing.is_judged),
    }
    if standing.gain:
        lines["gain"] = f"{gain_verdict(standing)} (same sizes and recipe)"
    if references := [s for s in saved.standings if s.is_reference]:
        lines["references"] = ", ".join(f"{s.label} {accuracy(s)} ({s.architecture.params:,})" for s in references)
    loss = f"loss {saved.own('loss')}" if saved.own("loss") else f"label smoothing {recipe.label_smoothing:g}"
    lines["recipe"] = (
        f"{counted(recipe.epochs, 'epoch')} of AdamW, learning rate {saved.lr:g} "
        f"(warm-up {recipe.warmup:.0%}, cosine), weight decay {recipe.weight_decay:g}, "
        f"batch {recipe.batch}, {loss}, augmentation {recipe.augment}" + f"; {SCALED}" * (recipe.scaling == "fan-in")
    )
    lines["mixers"] = mixers(standing.architecture)
    if trained and trained.score:
        metric = saved.metric
        test = f", test {metric.name} {metric.text(trained.test.accuracy)}" if trained.test else ""
        rate = f"learning rate {trained.lr:g}, " if trained.lr != saved.lr else ""
        lines["weights"] = (
            f"seed {trained.seed}, {counted(trained.epochs, 'epoch')}, "
            f"{rate}validation {metric.name} {metric.text(trained.score.accuracy)}{test}"
        )
    raw = saved.preprocessing
    mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (raw.mean, raw.std))
    lines["inputs"] = f"{raw.words}, which preprocess() normalises by channel: mean {mean}, std {std}"
    if trainer := saved.own("trainer"):
        lines["recipe"] = f"{counted(recipe.epochs, 'epoch')} by the trainer {trainer}, learning rate {saved.lr:g}"
        lines["inputs"] = "as the trainer prepares them"
    lines["exported by"] = command
    return {name: text for name, text in lines.items() if text}
