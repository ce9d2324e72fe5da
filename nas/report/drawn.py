"""The plots of a run, for its page and as files."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from nas.errors import one_line
from nas.report.figures import series
from nas.report.figures.facts import RunFacts
from nas.report.plots import paths
from nas.report.plots.files import alone
from nas.report.plots.rows import Rows, intervals, seeds, share_axis, shares, strip

CURVES = "blue: finalists, rank 1 thick; grey: others; dashed: references"
COSTS = "filled: to the end; hollow: pruned; blue: finalists and their mean; steps: front; ◆ references"
RANKS = "rank at each rung, then in the finals; blue: finalists, rank 1 thick"
"""What marks mean in plots that are files."""


@dataclass(frozen=True)
class Drawn:
    """Each plot, or None where a run has nothing for it; `costs` are by what is paid."""

    seeds: Rows | None
    gains: Rows | None
    losses: Markup | None
    accuracies: Markup | None
    costs: tuple[tuple[series.Costs, Markup], ...]
    choices: Rows | None
    families: Rows | None
    ranks: Markup | None

    @classmethod
    def of(cls, run: RunFacts) -> Drawn:
        best = run.leader
        leader, examples = best.id if best else "", run.audit.facts.validation
        judging = run.told.judge if run.told else examples
        against = one_line(best.gain.against) if best and best.gain else "the best reference of its sizes"
        curves, ranks, (epoch, levels) = series.curves(run), series.ranks(run), series.families(run)
        everywhere = [value for level in levels for value in level.values]
        axis = share_axis(everywhere, examples, f"validation accuracy after epoch {epoch}, %")
        titles = {network.id: network.title for network in run.networks}
        return cls(
            seeds(run),
            intervals([(s.title, s.id, s.gain) for s in run.finalists if s.gain], f"points over {against}"),
            paths.losses(curves, leader, run.floor),
            paths.accuracies(curves, leader, examples),
            tuple((each, paths.cost(each, leader, judging)) for each in series.costs(run)),
            shares(series.choices(run).found),
            strip(levels, axis, "Families") if len(levels) > 1 else None,
            paths.rank_lines(ranks, leader, titles) if ranks else None,
        )

    def files(self) -> dict[str, str]:
        """SVG texts that stand alone, by the names of their files."""
        of_paths = {
            "training-losses": (self.losses, CURVES),
            "validation-accuracies": (self.accuracies, CURVES),
            **{f"cost-{each.name.split(',')[0].replace(' ', '-')}": (plot, COSTS) for each, plot in self.costs},
            "ranks": (self.ranks, RANKS),
        }
        of_rows = {"seeds": self.seeds, "gains": self.gains, "choices": self.choices, "families": self.families}
        found = {name: alone(plot, paths.WIDTH, paths.HEIGHT, key) for name, (plot, key) in of_paths.items() if plot}
        return found | {name: plot.file() for name, plot in of_rows.items() if plot}
