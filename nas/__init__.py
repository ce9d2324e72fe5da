"""How we look: strategies, trainings, runs and the command line. From Python start with `search` and `open_run`.

>>> import nas
>>> run = nas.search(space="local", data="digits", trials=8)  # doctest: +SKIP
"""

TYPE_CHECKING = False  # `typing` is not imported, so that `nas --help` and Ctrl-C answer at once
if TYPE_CHECKING:
    from nas import options as options
    from nas.api.draw import draw
    from nas.api.run import Run, open_run
    from nas.api.search import search
    from nas.runs.job import Job, Outcome, Score
    from nas.runs.own import Metric

__all__ = ["Job", "Metric", "Outcome", "Run", "Score", "draw", "open_run", "search"]

_PLACES = {"Run": "nas.api.run", "draw": "nas.api.draw", "open_run": "nas.api.run", "search": "nas.api.search"}
_PLACES |= dict.fromkeys(("Job", "Outcome", "Score"), "nas.runs.job") | {"Metric": "nas.runs.own"}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name == "options":
        return import_module("nas.options")
    raise AttributeError(f"module 'nas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "options"})
