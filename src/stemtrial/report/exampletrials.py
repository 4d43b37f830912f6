"""Example trials: what single simulated trials would have reported."""

from markupsafe import Markup

from stemtrial.report.colours import BLUE, INK, MUTED, ORANGE
from stemtrial.report.contract import Example, Report
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, ticks, widen
from stemtrial.report.wording import THIN, interval, number, percent


def example_trials(report: Report, stamp: str = "") -> Figure:
    """Draw the first simulated trials one by one, each as a trial would report itself.

    Returns
    -------
    Figure
        One panel.
    """
    return Figure(
        key="examples",
        title="Example trials",
        description=(
            f"The first {len(report.examples)} simulated trials, each with its estimated difference in "
            f"{report.outcome} and the interval it would report; below 0 favours "
            f"{report.arms[report.experimental].label}. Crosses: the true difference of the trial's own patients, "
            "which a trial never knows. stemtrial replay shows any of them patient by patient, by its number."
        ),
        panels=(Panel(_draw(report, stamp), _table(report)),),
    )


def _draw(report: Report, stamp: str) -> Markup:
    known = [one for one in report.examples if one.estimate is not None]
    ends = [0.0, *(v for one in known for v in (one.low, one.high, one.truth) if v is not None)]
    low, high = widen(ends)
    row, left = 22.0, 90.0
    entries = (
        Entry("shown", BLUE, dot="full"), Entry("not shown", MUTED, dot="hollow"), Entry("truth", ORANGE),
    )  # fmt: skip
    plot = Plot(
        x=(low, high), y=(0, 1), title="", width=760, height=100 + row * len(report.examples), left=left, top=30,
        entries=entries,
    )  # fmt: skip
    plot.grid_x(ticks(low, high), "Estimated difference, points (← lower is better)", lines=True)
    plot.rule(INK, x=0, width=1.3)
    for place, one in enumerate(report.examples):
        y = plot.top + 12 + row * place
        plot.text(left - 10, y + 4, f"no. {one.replicate}", "end", INK)
        if one.estimate is None or one.low is None or one.high is None:
            plot.text(plot.px(0), y + 4, "not analysable", "middle")
            continue
        colour = BLUE if one.shown else MUTED
        plot.segment(plot.px(one.low), y, plot.px(one.high), y, colour, 2.0)
        plot.dot(plot.px(one.estimate), y, colour, 4.5, hollow=not one.shown)
        x = plot.px(one.truth)
        plot.segment(x - 4, y - 4, x + 4, y + 4, ORANGE, 2.0)
        plot.segment(x - 4, y + 4, x + 4, y - 4, ORANGE, 2.0)
    shown = sum(one.shown for one in report.examples)
    return plot.svg(f"Example trials: {shown} of {len(report.examples)} show an effect.", stamp)


def _table(report: Report) -> Table:
    rows = tuple((f"{one.replicate}", *_cells(one)) for one in report.examples)
    columns = ("Trial", "Ends at look", "Difference", "Interval", "Shown", "True difference")
    return Table("The first simulated trials, points", columns, rows)


def _cells(one: Example) -> tuple[str, ...]:
    if one.estimate is None or one.low is None or one.high is None:
        return (percent(one.information), "", "", "not analysable", number(one.truth))
    return (
        percent(one.information),
        number(one.estimate),
        f"{interval(one.low, one.high)} ({percent(one.confidence)})".replace(THIN, " "),
        "yes" if one.shown else "no",
        number(one.truth),
    )
