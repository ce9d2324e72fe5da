"""What goes with a metric, a loss or a trainer of somebody's own."""

from nas.data.dataset import Dataset
from nas.errors import NasError
from nas.options.search import Search
from nas.runs.own import Own


def check_own(own: Own | None, options: Search, dataset: Dataset) -> None:
    """Raises NasError for a search that cannot be with these, or without them."""
    targets = dataset.train.y.ndim > 1
    if own is None:
        if targets:
            raise NasError("y holds targets, not labels: give a loss= and a metric=, or a trainer= and a metric=")
        return
    if targets and own.loss is None and own.trainer is None:
        raise NasError("y holds targets, not labels: a metric takes a loss=, or a trainer=, too")
    if options.until_sure is not None and own.metric is not None:
        raise NasError("--until-sure takes accuracies: of a metric of your own no interval is known")
    if own.trainer is not None and "latency" in options.objective.split(","):
        raise NasError("--objective latency is measured by the packages' trainer, not by one of your own")
    if own.trainer is not None and options.ray is not None:
        raise NasError("--ray takes the packages' trainer: one of your own trains on this machine")
    if own.model is not None and "latency" in options.objective.split(","):
        raise NasError("--objective latency is measured of the packages' networks, not of a model of your own")
    if own.model is not None and (options.start or options.scaling == "fan-in"):
        what = "--start" if options.start else "--scaling fan-in"
        raise NasError(f"{what} is about the packages' networks, not about a model of your own")
    if options.workers != 0 or options.ray is not None:
        own.check_importable()
