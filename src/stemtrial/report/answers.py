"""One question, several answers: estimands or comparisons side by side, on the same simulated patients."""

from collections.abc import Mapping

from stemtrial.report.colours import BLUE, INK
from stemtrial.report.contract import Answer, Report, Summary
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, clip_text, ticks, widen
from stemtrial.report.wording import THIN, interval, number, percent

MEANINGS = {
    "treatment_policy": "readings count as they are",
    "hypothetical": "as if no intercurrent event had happened",
    "composite": "patients with an intercurrent event count as not improved",
    "while_on_treatment": "the last reading before an intercurrent event counts",
}
"""What an estimand does with readings after an intercurrent event."""


def estimands(report: Report, summary: Summary, stamp: str = "") -> Figure:
    """Draw the main comparison under every estimand.

    Returns
    -------
    Figure
        One panel.
    """
    named = {name.replace("_", " "): answer for name, answer in summary.estimands.items()}
    meanings = "; ".join(f"{name.replace('_', ' ')}: {MEANINGS[name]}" for name in summary.estimands)
    return Figure(
        key="estimands",
        title="The same patients under several estimands",
        description=(
            f"Estimated difference in {report.outcome}, mean and 95{THIN}% of the simulated trials; below 0 favours "
            f"{report.arms[report.experimental].label}. The estimands ask different questions, so that their "
            f"answers differ though the patients are the same ({meanings})."
        ),
        panels=(_panel(named, "Estimand", stamp),),
    )


def comparisons(report: Report, summary: Summary, stamp: str = "") -> Figure:
    """Draw every comparison of the trial.

    Returns
    -------
    Figure
        One panel.
    """
    named = {
        f"{report.arms[c.experimental].label} minus {report.arms[c.comparator].label}": c
        for c in summary.comparisons
    }
    return Figure(
        key="comparisons",
        title="All comparisons of the trial",
        description=(
            f"Estimated difference in {report.outcome}, mean and 95{THIN}% of the simulated trials; below 0 favours "
            "the arm named first. The comparisons share the significance level; the probabilities of being shown in "
            "the table are after that adjustment."
        ),
        panels=(_panel(named, "Comparison", stamp),),
    )


def _panel(named: Mapping[str, Answer], heading: str, stamp: str) -> Panel:
    ends = [v for a in named.values() for v in (a.estimate.q025, a.estimate.q975)]
    low, high = widen([0.0, *ends])
    row, left = 34.0, 270.0
    plot = Plot(
        x=(low, high), y=(0, 1), title="", width=760, height=110 + row * len(named), left=left, top=20
    )
    plot.grid_x(ticks(low, high), "Estimated difference, points (← lower is better)", lines=True)
    plot.rule(INK, x=0, width=1.3)
    for place, (name, answer) in enumerate(named.items()):
        y = plot.top + 18 + row * place
        plot.text(left - 10, y + 4, clip_text(name, 38), "end", INK)
        plot.segment(plot.px(answer.estimate.q025), y, plot.px(answer.estimate.q975), y, BLUE, 2.4)
        plot.dot(plot.px(answer.estimate.mean), y, BLUE, 5)
    spoken = "; ".join(f"{name}: {_estimate(answer)}" for name, answer in named.items())
    return Panel(plot.svg(f"Estimates. {spoken}.", stamp), _table(named, heading))


def _estimate(answer: Answer) -> str:
    return f"{number(answer.estimate.mean)} ({interval(answer.estimate.q025, answer.estimate.q975)})"


def _table(named: Mapping[str, Answer], heading: str) -> Table:
    rows = tuple(
        (
            name,
            number(answer.estimate.mean),
            interval(answer.estimate.q025, answer.estimate.q975),
            *(percent(p.value, 1) for p in (answer.assurance, answer.power, answer.type_one_error)),
        )
        for name, answer in named.items()
    )
    columns = (heading, "Difference", f"95{THIN}%", "Assurance", "Power", "Type I error")
    return Table("Estimated difference, points, and probability of being shown", columns, rows)
