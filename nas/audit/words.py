"""An audit in words."""

from __future__ import annotations

from nas.audit.audit import Audit
from nas.audit.correlations import FEWEST_FINISHED, Correlation
from nas.claims.words import at_most, signed
from nas.errors import counted, one_line

MARKS = {True: "passed", False: "not passed", None: "does not apply"}


def audit_lines(found: Audit) -> list[str]:
    """All of it, a heading before each part."""
    return [
        "noise of one training",
        *_indented(noise_lines(found)),
        "order of the candidates",
        *_indented([order_line(found), *figure_lines(found)]),
        "learning rate",
        *_indented(rate_lines(found)),
        "rank 1 is better than",
        *_indented(better_lines(found)),
        "the next ten minutes",
        f"  {next_line(found)}",
        "checklist",
        *(f"  {MARKS[check.passed]:14}  {check.name}: {check.told}" for check in found.checks),
    ]


def short_lines(found: Audit) -> list[str]:
    """What is said below the table of a search."""
    failed = [check.name for check in found.checks if check.passed is False]
    checks = f"checklist: {', '.join(failed)} not passed" if failed else "checklist: passed"
    return [*noise_lines(found)[:1], order_line(found), f"the next ten minutes: {next_line(found)}", checks]


def noise_lines(found: Audit) -> list[str]:
    noise, noun = found.noise, found.facts.noun
    if noise is None:
        return ["too few seeds of finals to tell (--seeds)"]
    seeds = f"between seeds ± {_points(noise.seeds)} ({_points(noise.low)} to {_points(noise.high)})"
    lines = [
        f"a training comes to ± {_points(noise.total)} points on {noise.m:,} {noun}: {seeds}, the rest is the chance "
        f"of single {noun} (standard deviations, {noise.df} degrees of freedom)"
    ]
    if noise.examples is not None:
        left = f"{_points(noise.examples)} points with any number of seeds"
        lines.append(f"the difference of two networks would still have a standard error of {left}")
    return lines


def order_line(found: Audit) -> str:
    """What noise allows."""
    came = f"{found.finished} of {counted(len(found.searched), 'candidate')} came to the end"
    if found.finished < FEWEST_FINISHED:
        return f"{came}: {FEWEST_FINISHED} are needed to say how well anything ranks them"
    if found.candidates is None:
        return f"{came}: it is not known how noisy they are"
    if found.repeats is None or found.ceiling is None:
        return f"{came}: their spread is no larger than the noise"
    by = " by accuracy" if found.by == "loss" else ""
    return (
        f"{came}: another seed and other {found.facts.noun} would repeat their order{by} with a rank correlation of "
        f"{found.repeats:.2f}; a figure that knew the true order would come to {found.ceiling:.2f} with this one"
    )


def figure_lines(found: Audit) -> list[str]:
    """How well rungs and cheap figures rank."""
    rungs = [(f"epoch {epoch}, of the same training", each) for epoch, each in found.rungs.items()]
    figures = [*rungs, *sorted(found.cheap.items(), key=lambda item: -abs(item[1].value))]
    if not figures:
        return []
    width = max(len(name) for name, _ in figures)
    return [
        "rank correlation with the order at the end inside bands of size, as if none had been stopped",
        *(f"  {name:{width}}  {_interval(each)}" for name, each in figures),
    ]


def rate_lines(found: Audit) -> list[str]:
    rates = found.rates
    if rates is None:
        return ["whether it decides the order is not known: three seeds of three networks are needed, and other rates"]
    orders = f"orders of {rates.networks} networks by {len(rates.seeds)} seeds"
    lines = [f"{orders} agree with a Kendall tau of {rates.typical:.2f}"]
    for lr, tau in rates.rates.items():
        least = tau < min(rates.seeds.values())
        told = "less than by any seed: the rate may decide the order" if least else "not told from another seed"
        lines.append(f"those at a learning rate of {lr:g} with {tau:.2f}: {told} (p {rates.p(lr):.2f})")
    return lines


def better_lines(found: Audit) -> list[str]:
    """With what probability, by how many points."""
    if not found.better:
        return ["too few seeds to tell, or nothing to hold it against"]
    width = max(len(one_line(name)) for name in found.better)
    lines = [
        f"{one_line(name):{width}}  {_probability(each.p)}  {signed(each.mean)} ± {at_most(each.se)} points"
        for name, each in found.better.items()
    ]
    if not any("random" in name for name in found.better):
        lines.append("random networks: too few candidates were drawn at random, or came to the end")
    stricter = "verdicts in the ranking count several finalists and are stricter"
    return [*lines, f"(± a standard error; flat prior, each by itself: {stricter})"]


def next_line(found: Audit) -> str:
    return f"{found.next.what} ({found.next.why})"


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _interval(found: Correlation) -> str:
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _probability(p: float) -> str:
    """In percent, never all or nothing.

    >>> _probability(0.9999), _probability(0.5), _probability(0.001)
    ('>99%', ' 50%', ' <1%')
    """
    return ">99%" if p > 0.99 else " <1%" if p < 0.01 else f" {p:.0%}"
