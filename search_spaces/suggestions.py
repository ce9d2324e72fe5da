"""Networks and mixers from the trials of somebody's Optuna study, for any of its samplers, pruners and storages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from einmix import Architecture, Mixer
from search_spaces import grouped, local, mixed, per_channel, roles, subgrid
from search_spaces.bound.proposals import Budget
from search_spaces.bound.space import BoundSpace
from search_spaces.errors import SpaceError, known
from search_spaces.space import Family, Space

FAMILIES = {space.SPACE.name: space.SPACE for space in (grouped, local, subgrid, per_channel, mixed, roles)}
"""What a mixer may be asked from by name; of `mixed` the family is a question, too."""

NETWORK, REFUSED = "network", "refused"
"""The user attributes of a trial with the id of its network, and with why that is not to be trained."""


class Trial(Protocol):
    """What is needed of an `optuna.Trial`: a `FrozenTrial` and a `FixedTrial` have it, too."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...

    def set_user_attr(self, key: str, value: Any) -> None: ...


def suggest(trial: Trial, space: BoundSpace, budget: Budget | None = None) -> Architecture:
    """One network of a space, asked question by question, each a categorical parameter of the trial.

    A question has the same choices in every trial of a study. The trial's user attributes keep the network: its id
    (`network`), the whole of it (`architecture`, for `Architecture.from_json`), `params`, `macs` and `mixers`.

    Raises `optuna.TrialPruned`, which ends the trial and not the study, for a network outside the budget or the space
    (one that mixes nothing along an axis), and for one that another trial has that did not fail. Samplers take such a
    trial for a bad one. A finished trial gives its network once more: `suggest(study.best_trial, space)`.

    >>> from search_spaces import load
    >>> space = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10, width=(32,), depth=(2,))
    >>> def objective(trial):
    ...     return training(einmix.build(suggest(trial, space, Budget(max_params=50_000))))  # in your own code
    """
    if not isinstance(space, BoundSpace):
        raise SpaceError("suggest takes a space on data: load('subgrid').on({'h': 8, 'w': 8}, channels=1, classes=10)")
    network = space.choose(trial.suggest_categorical)
    why = _misfit(network, space, budget or Budget())
    if not why:
        trial.set_user_attr(NETWORK, network.id)  # before the others are looked at: of two at once the first has it
        why = _taken(trial, network)
    if why:
        from optuna import TrialPruned

        trial.set_user_attr(REFUSED, why)
        raise TrialPruned(why)
    facts = {"params": network.params, "macs": network.macs, "mixers": [str(mixer) for mixer in network.mixers]}
    for name, value in (facts | {"architecture": network.to_json()}).items():
        trial.set_user_attr(name, value)
    return network


def _misfit(network: Architecture, space: BoundSpace, budget: Budget) -> str:
    """Why a network is none of those asked for; empty where it is one."""
    if network not in space:
        return f"network {network.id} mixes nothing along an axis, so space {space.name!r} leaves it out"
    if not budget.admits(network.params, network.macs):
        return f"network {network.id} has {network.params:,} parameters and {network.macs:,} MACs, not {budget}"
    return ""


def _taken(trial: Any, network: Architecture) -> str:
    """Which earlier trial of the study has a network; empty where none has it that did not fail."""
    study = getattr(trial, "study", None)  # a finished trial and a FixedTrial have none
    for other in study.get_trials(deepcopy=False) if study else ():
        is_same = other.user_attrs.get(NETWORK) == network.id and REFUSED not in other.user_attrs
        if is_same and other.number < trial.number and other.state.name != "FAIL":
            return f"network {network.id} is that of trial {other.number}"
    return ""


def suggest_mixer(
    trial: Trial, name: str, *, family: str | Family | Space = "subgrid", bias: bool = True, **sizes: int
) -> Mixer:
    """One mixer for a layer of one's own, on axes of these sizes: positions by name, then channels as `c`.

    `family` is grouped, local, subgrid, per_channel, roles or mixed (of which one is asked for), or a `Family` or a
    `Space` of one's own. The questions begin with `name`, so that a model may have several such layers. A mixer may
    mix nothing along some axis: `mixer.mixed` are those along which it does.

    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    >>> mixer = suggest_mixer(trial, "tokens", h=14, w=14, c=384, family="local")
    >>> layer = mixer.einmix()  # the arguments of einops' EinMix, on `b h w c`

    Raises SpaceError for an unknown family, and for sizes that are none.
    """

    def ask(question: str, options: Sequence[str]) -> str:
        return options[0] if len(options) == 1 else str(trial.suggest_categorical(question, options))

    return _space_of(family).mixers(sizes, bias=bias).choose(name, ask)


def _space_of(family: str | Family | Space) -> Space:
    """The families that a name stands for, or one's own. Raises SpaceError for an unknown name, or a space of forms."""
    if isinstance(family, str) and family not in FAMILIES:
        raise SpaceError(f"no family {family!r}: {known(family, FAMILIES)}")
    found = FAMILIES[family] if isinstance(family, str) else family
    if isinstance(found, Family):
        return Space(found.name, "one family", (found,))
    if not isinstance(found, Space) or found.forms:
        raise SpaceError(f"a family is a name, a Family or a Space of families, not {family!r:.80}")
    return found
