"""Parts of relief: what took the pain away in each arm, contextual part first, specific parts apart."""

from markupsafe import Markup

from stemtrial.report.colours import BLUE, INK, MUTED, ORANGE, RULE
from stemtrial.report.contract import PARTS, Report, Spread
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, Scale, ticks
from stemtrial.report.wording import PART_LABELS, THIN, interval, month, number

LINE = 25.0
GAP = 33.0
FILLS = {"Contextual part": ORANGE, "Specific parts": BLUE, "Together": RULE}


def relief_parts(report: Report, stamp: str = "") -> Figure:
    """Draw the parts of relief of each arm at the main visit, with 95 % intervals.

    Returns
    -------
    Figure
        One panel an arm on one axis: contextual, specific parts, total and the share of the cells.
    """
    when = month(report.arms[report.comparator].relief.month)
    spreads = [spread for name in report.ordered for _, _, spread in _lines(report, name)]
    bounds = [0.0, *(bound for spread in spreads for bound in (spread.mean, spread.q025, spread.q975))]
    room = 0.03 * (max(bounds) - min(bounds)) or 1.0
    reach = (min(bounds) - room, max(bounds) + room)
    return Figure(
        key="relief",
        title=f"Where the relief comes from, month {when}",
        description=(
            f"Points of pain taken away by month {when} in each arm: longer bars are better. Contextual "
            "relief (orange) comes with any treatment given in the same way. The specific parts (blue) come "
            "from the treatment's action, and in an arm without an active treatment from the natural "
            f"course. Bars: mean; whiskers: 95{THIN}% of the simulated trials. The division follows the "
            "model's equations: it is a structured hypothesis, not a measured mechanism."
        ),
        panels=tuple(
            Panel(_draw(report, name, reach, stamp), _table(report, name, when)) for name in report.ordered
        ),
    )


def _lines(report: Report, name: str) -> list[tuple[str, str, Spread]]:
    relief = report.arms[name].relief
    parts = {part: getattr(relief.parts, part) for part in PARTS}
    contextual, specific, together = FILLS
    lines = [(contextual, PART_LABELS["contextual"], parts.pop("contextual"))]
    lines += [(specific, PART_LABELS[part], spread) for part, spread in parts.items()]
    if relief.specific:
        lines.append((specific, "All specific parts", relief.specific))
    return [
        *lines,
        (together, "All relief", relief.total),
        (together, "of which cells", relief.of_which_cells),
    ]


def _draw(report: Report, name: str, reach: tuple[float, float], stamp: str) -> Markup:
    arm, lines = report.arms[name], _lines(report, name)
    plot = Plot(x=reach, y=(0, 1), title=arm.heading, left=128, right=122, top=30)
    plot.height = plot.top + LINE * len(lines) + GAP * len(FILLS) + plot.bottom + 2
    plot.py = Scale(0, 1, plot.height - plot.bottom, plot.top)
    plot.grid_x(ticks(*reach, most=6), "Points of pain taken away (more is better →)", lines=True)
    plot.rule(INK, x=0, width=1.2)
    y, previous = plot.top - 4, ""
    for group, label, spread in lines:
        if group != previous:
            y += GAP
            plot.text(4, y - 7, group, ink=MUTED, bold=True, halo=True)
            previous = group
        _bar(plot, y + LINE / 2, label, spread, FILLS[group])
        y += LINE
    spoken = "; ".join(f"{label.lower()} {_printed(spread)}" for _, label, spread in lines)
    return plot.svg(f"{arm.heading}, points of pain taken away: {spoken}.", stamp)


def _printed(spread: Spread) -> str:
    if spread.mean == spread.q025 == spread.q975 == 0:
        return "none"
    return f"{number(spread.mean)} ({interval(spread.q025, spread.q975)})"


def _bar(plot: Plot, y: float, label: str, spread: Spread, fill: str) -> None:
    words = _printed(spread)
    plot.text(18 if label.startswith("of which") else 4, y + 4.5, label, ink=INK)
    plot.text(plot.width - 4, y + 4.5, words, "end", MUTED if words == "none" else INK)
    if words == "none":
        return
    zero, mean = plot.px(0), plot.px(spread.mean)
    plot.box(min(zero, mean), y - 7.5, abs(mean - zero), 15, fill, INK if fill == RULE else None)
    plot.segment(plot.px(spread.q025), y, plot.px(spread.q975), y, INK, 1.6)
    for end in (spread.q025, spread.q975):
        plot.segment(plot.px(end), y - 4, plot.px(end), y + 4, INK, 1.6)


def _table(report: Report, name: str, when: str) -> Table:
    rows = tuple(
        (group, label, number(spread.mean), number(spread.q025), number(spread.q975))
        for group, label, spread in _lines(report, name)
    )
    columns = ("Group", "Part", "Mean", f"2.5{THIN}%", f"97.5{THIN}%")
    return Table(
        f"{report.arms[name].heading}: points of pain taken away by month {when}", columns, rows, keys=2
    )
