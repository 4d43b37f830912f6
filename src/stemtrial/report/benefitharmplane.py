"""Benefit-harm plane: what an option does to the score beside what it does to patients."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stemtrial.report.colours import ARM_COLOURS, INK
from stemtrial.report.evidence_words import heading, words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, clip_text, ticks, widen
from stemtrial.report.wording import interval, number

REACH = 40.0
"""Points beyond which an interval of the benefit is cut at the axis."""


@dataclass(frozen=True)
class Option:
    """An option on the plane.

    Attributes
    ----------
    name
        Word of the tables.
    benefit, benefit_ci
        Points of the score gained against the comparator; positive is better.
    per_1000, per_1000_ci
        Patients with the harm of 1,000; ``no_events`` marks an upper bound in place of an estimate.
    no_events
        Whether no event was seen: the mark is then hollow and its line starts at 0.
    source
        Where the numbers come from.
    """

    name: str
    benefit: float
    benefit_ci: tuple[float, float]
    per_1000: float
    per_1000_ci: tuple[float, float]
    no_events: bool
    source: str


def benefit_harm_plane(options: Sequence[Option], outcome: str, harm: str, mcid: float | None) -> Figure:
    """Draw options by benefit (up is better) and harm (left is better), each with both intervals.

    Returns
    -------
    Figure
        One panel. The options come from different comparisons and populations, which the description says.
    """
    return Figure(
        key="benefit-harm",
        title=f"Benefit on {outcome} beside {harm}",
        description=(
            f"Upwards: points of {outcome} taken away on 0\N{WORD JOINER}–\N{WORD JOINER}100 against the comparator of "
            f"each option. Rightwards: patients of 1,000 with {harm}. Lines: 95 % intervals, cut at the axis. Hollow "
            "marks: no event was seen, and the line ends at the upper 95 % bound. Upper left is better. The "
            "options were studied in different trials, populations and lengths of follow-up: the plane sets them "
            "side by side and is no head-to-head comparison."
            + (f" Dotted line: smallest important difference ({mcid:g})." if mcid else "")
        ),
        panels=(Panel(_draw(options, outcome, harm, mcid), _table(options, harm)),),
    )


def _draw(options: Sequence[Option], outcome: str, harm: str, mcid: float | None) -> Markup:
    held = [min(max(end, -REACH), REACH) for option in options for end in option.benefit_ci]
    low, high = widen([0.0, mcid or 0.0, *held, *(option.benefit for option in options)])
    most = widen([0.0, *(option.per_1000_ci[1] for option in options)])[1]
    plot = Plot(x=(0, most), y=(low, high), title="", width=760, height=460, left=52, top=36)
    plot.grid_y(ticks(low, high), f"Points of {outcome} taken away (higher is better ↑)")
    plot.grid_x(ticks(0, most), f"Patients of 1,000 with {harm} (← fewer is better)", lines=True)
    plot.rule(INK, y=0, width=1.4)
    if mcid:
        plot.rule(INK, y=mcid, dash="1.5 3", width=1.5)
    taken: list[tuple[float, float]] = []
    labels: list[tuple[float, float, str, str | None]] = []
    for place, option in enumerate(options):
        colour = ARM_COLOURS[place % len(ARM_COLOURS)]
        x, y = plot.px(option.per_1000), plot.py(option.benefit)
        plot.segment(plot.px(option.per_1000_ci[0]), y, plot.px(option.per_1000_ci[1]), y, colour, 1.8)
        plot.segment(x, plot.py(option.benefit_ci[0]), x, plot.py(option.benefit_ci[1]), colour, 1.8)
        plot.dot(x, y, colour, 6, hollow=option.no_events)
        left = x > 0.7 * plot.width
        start, level = x - 9 if left else x + 9, y - 8
        while any(abs(start - a) < 130 and abs(level - b) < 16 for a, b in taken):
            level -= 4
        taken.append((start, level))
        labels.append((start, level, clip_text(heading(words(option.name)), 40), "end" if left else None))
    for start, level, name, anchor in labels:
        plot.text(start, level, name, anchor, INK, halo=True)
    spoken = "; ".join(
        f"{words(o.name)}: {number(o.benefit)} points, {number(o.per_1000, 1)} of 1,000" for o in options
    )
    return plot.svg(f"Benefit and harm. {spoken}.")


def _table(options: Sequence[Option], harm: str) -> Table:
    rows = tuple(
        (
            heading(words(o.name)),
            number(o.benefit, 1),
            interval(*o.benefit_ci),
            "none seen" if o.no_events else number(o.per_1000, 1),
            interval(*o.per_1000_ci),
            o.source,
        )
        for o in options
    )
    columns = ("Option", "Points taken away", "95 %", f"{heading(harm)}, per 1,000", "95 %", "Source")
    return Table("Benefit and harm of each option", columns, rows)
