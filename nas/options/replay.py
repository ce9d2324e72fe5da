"""What can be asked of a search replayed on a table of record."""

from dataclasses import dataclass
from typing import Literal

from nas.options.option import Options, option


@dataclass(frozen=True)
class Replay(Options):
    """What can be asked of a replay.

    >>> Replay(strategy="random").trials
    64
    """

    strategy: str = option("surrogate", "surrogate, tpe, fast-tpe, evolution, random or exhaustive.")
    trials: int = option(64, "Networks to try.", least=1)
    order: Literal["loss", "accuracy"] = option("loss", "Validation figure by which networks are compared.")
    half: Literal["whole", "tuning", "reporting"] = option("whole", "All networks, or one half of them.")
    lr: float = option(0.015, "One of the table's learning rates.", above=0)
    prune: bool = option(True, "Stop weak candidates at rungs.")
    workers: int = option(1, "Simulated workers.", least=1)
    repeats: int = option(20, "Searches, each with a seed of its own.", least=1)
    seed: int = option(0, "The first seed.", least=0, most=2**31 - 1)
