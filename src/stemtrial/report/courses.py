"""Time courses: pain and function of every arm, one panel an arm on the same axes, comparator first."""

from typing import Literal

from markupsafe import Markup

from stemtrial.report.colours import ARM_COLOURS, ARM_DASHES, BLACK, INK
from stemtrial.report.contract import Arm, Bands, Report
from stemtrial.report.figure import Figure, Panel, Table, stride
from stemtrial.report.plot import Entry, Plot, clip_text
from stemtrial.report.wording import MINUS, THIN, month, number

Score = Literal["pain", "function"]
COLUMNS = ("Month", "Mean", f"2.5{THIN}%", f"25{THIN}%", "Median", f"75{THIN}%", f"97.5{THIN}%")
NOUNS = {"pain": "Pain", "function": "Limitation of function"}


def time_course(report: Report, score: Score, stamp: str = "") -> Figure:
    """Draw mean, 50 % and 95 % bands of pain or function over time.

    Parameters
    ----------
    report
        The page's data.
    score
        Which course to draw.
    stamp
        Warning written into every panel.

    Returns
    -------
    Figure
        One panel an arm on one 0-100 axis.
    """
    comparator = report.arms[report.comparator].label
    description = (
        f"{NOUNS[score]} from 0 to 100: lower is better. Line: mean of the simulated patients; dark band: "
        f"the middle 50{THIN}% of them; light band: the middle 95{THIN}%. Triangles mark the visits. The "
        f"dashed black line is the mean of {comparator} in every panel."
    )
    if (threshold := _threshold(report, score)) is not None:
        description += (
            f" Dotted line: {comparator} at baseline, less the smallest change a patient notices "
            f"(MCID, {number(threshold, 0)} points)."
        )
    panels = tuple(
        Panel(_draw(report, name, score, stamp), _table(report, name, score)) for name in report.ordered
    )
    return Figure(score, f"{NOUNS[score]} over time, by arm", description, panels)


def _bands(arm: Arm, score: Score) -> Bands:
    return arm.course.pain if score == "pain" else arm.course.function


def _threshold(report: Report, score: Score) -> float | None:
    threshold = report.mcid if score == "pain" else report.mcid_function
    return threshold.points if threshold else None


def _draw(report: Report, name: str, score: Score, stamp: str) -> Markup:
    arm, comparator, place = report.arms[name], report.arms[report.comparator], report.ordered.index(name)
    bands, months, threshold = _bands(arm, score), arm.course.months, _threshold(report, score)
    colour, dash = ARM_COLOURS[place % len(ARM_COLOURS)], ARM_DASHES[place % len(ARM_DASHES)]
    entries = [Entry("mean", colour, dash)]
    if place:
        entries.append(Entry("comparator", BLACK, ARM_DASHES[0]))
    if threshold is not None:
        entries.append(
            Entry(f"{'its ' if place else ''}baseline {MINUS} MCID of {number(threshold, 0)}", INK, "1.5 3")
        )
    plot = Plot(
        x=(0, max(months[-1], *report.visits)),
        y=(0, 100),
        title=f"{clip_text(arm.heading, 40)} (n = {arm.n})",
        entries=entries,
    )
    plot.grid_y((0, 20, 40, 60, 80, 100), f"{NOUNS[score]}, 0–100 (lower is better ↓)")
    plot.grid_x((0, *report.visits), "Months after randomisation")
    plot.band(months, bands.q025, bands.q975, colour, 0.12, kind="band-95")
    plot.band(months, bands.q25, bands.q75, colour, 0.22, kind="band-50")
    if threshold is not None:
        plot.rule(INK, y=_bands(comparator, score).mean[0] - threshold, dash="1.5 3", width=1.5)
    if place:
        plot.line(
            comparator.course.months,
            _bands(comparator, score).mean,
            BLACK,
            ARM_DASHES[0],
            1.4,
            kind="comparator",
        )
    plot.line(months, bands.mean, colour, dash, kind="mean")
    for visit in report.visits:
        plot.wedge(plot.px(visit), plot.height - plot.bottom, INK)
    spoken = (
        f"{arm.heading}: mean {NOUNS[score].lower()} {number(bands.mean[0])} at baseline and "
        f"{number(bands.mean[-1])} at month {month(months[-1])}; the middle 95{THIN}% of patients then lie "
        f"from {number(bands.q025[-1])} to {number(bands.q975[-1])}."
    )
    return plot.svg(spoken, stamp)


def _table(report: Report, name: str, score: Score) -> Table:
    arm = report.arms[name]
    bands, months = _bands(arm, score), arm.course.months
    step = stride(len(months))
    shown = [i for i, m in enumerate(months) if i % step == 0 or m in report.visits or i == len(months) - 1]
    columns = (bands.mean, bands.q025, bands.q25, bands.q50, bands.q75, bands.q975)
    rows = tuple((month(months[i]), *(number(values[i]) for values in columns)) for i in shown)
    return Table(f"{arm.heading}: {NOUNS[score].lower()}, 0–100, of the simulated patients", COLUMNS, rows)
