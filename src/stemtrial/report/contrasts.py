"""Contrasts: the difference between the arms over the visits, and what one trial would estimate."""

from markupsafe import Markup

from stemtrial.report.colours import BLACK, BLUE, INK
from stemtrial.report.contract import Histogram, Report
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, ticks, widen
from stemtrial.report.wording import MINUS, THIN, interval, month, number, percent


def contrasts(report: Report, stamp: str = "") -> Figure:
    """Draw the contrast at each visit, and the estimates of single trials with and without a specific effect.

    Returns
    -------
    Figure
        A panel over the visits and a panel of two distributions at the main visit.
    """
    experimental, comparator = report.arms[report.experimental].label, report.arms[report.comparator].label
    return Figure(
        key="contrast",
        title="Difference between the arms",
        description=(
            f"Difference in mean {report.outcome}, {experimental} minus {comparator}, in points of "
            f"0\N{WORD JOINER}–\N{WORD JOINER}100: below 0 favours {experimental}. First panel: mean (dot) "
            f"and 95{THIN}% of the simulated trials (line) at each visit; the dotted line is the smallest "
            f"change one patient notices (MCID, {number(report.mcid.points, 0)} points), for scale: a "
            "difference between groups may matter below it. Second panel: the estimates of single trials at "
            f"month {month(report.endpoint.month)}, with the parameters of this run, and again with the "
            "cells' specific effect set to zero. The dashed distribution shows how far chance, and any "
            "contextual difference, can carry an estimate; the type I error is counted there."
        ),
        panels=(
            Panel(_draw_visits(report, stamp), _visit_table(report)),
            Panel(_draw_estimates(report, stamp), _estimate_table(report)),
        ),
    )


def _favoured(report: Report) -> str:
    label = report.arms[report.experimental].label
    return label if len(label) <= 20 else "experimental arm"


def _draw_visits(report: Report, stamp: str) -> Markup:
    visits, mcid = report.contrast_course, report.mcid.points
    low, high = widen([0.0, -mcid * 1.1, *(bound for visit in visits for bound in (visit.q025, visit.q975))])
    entries = [
        Entry(f"mean and 95{THIN}% of trials", BLUE, dot="full"),
        Entry(f"MCID, {MINUS}{number(mcid, 0)}", INK, "1.5 3"),
    ]
    plot = Plot(x=(0, max(report.visits) * 1.04), y=(low, high), title="At each visit", entries=entries)
    plot.grid_y(ticks(low, high), f"Difference, points (below 0 favours {_favoured(report)} ↓)")
    plot.grid_x((0, *report.visits), "Months after randomisation")
    plot.rule(INK, y=0, width=1.4)
    plot.rule(INK, y=-mcid, dash="1.5 3", width=1.5)
    for visit in visits:
        place = plot.px(visit.month)
        plot.segment(place, plot.py(visit.q025), place, plot.py(visit.q975), BLUE, 2.4)
    plot.line([v.month for v in visits], [v.estimate for v in visits], BLUE, "2 3", 1.2, kind="contrast")
    for visit in visits:
        plot.dot(plot.px(visit.month), plot.py(visit.estimate), BLUE, 5)
    spoken = "; ".join(
        f"month {month(v.month)}: {number(v.estimate)} ({interval(v.q025, v.q975)})" for v in visits
    )
    return plot.svg(f"Difference in mean {report.outcome} by visit. {spoken}.", stamp)


def _visit_table(report: Report) -> Table:
    rows = tuple(
        (month(v.month), number(v.estimate), number(v.q025), number(v.q975)) for v in report.contrast_course
    )
    return Table(
        f"Difference in mean {report.outcome} at each visit, points",
        ("Month", "Estimate", f"2.5{THIN}%", f"97.5{THIN}%"),
        rows,
    )


def _draw_estimates(report: Report, stamp: str) -> Markup:
    model, null = report.estimates.histogram, report.estimates.null
    filled = [
        edge
        for histogram in (model, null)
        for low, high, count in _bins(histogram)
        if count
        for edge in (low, high)
    ]
    highest = max(*_density(model), *_density(null))
    entries = [Entry("under the model", BLUE), Entry("no specific effect", BLACK, "5 3")]
    plot = Plot(
        x=(min(0.0, *filled), max(0.0, *filled)),
        y=widen([0, highest * 1.05], 5),
        title="Estimates of single trials",
        entries=entries,
        left=52,
    )
    plot.grid_y(ticks(*plot.y, 5), "Trials per point of difference", THIN + "%")
    plot.grid_x(ticks(*plot.x, 9), f"Estimated difference, points (← favours {_favoured(report)})")
    plot.rule(INK, x=0, width=1.2)
    for histogram, colour, dash, kind in ((model, BLUE, "", "model"), (null, BLACK, "5 3", "null")):
        xs = [edge for edge in histogram.edges for _ in (0, 1)]
        ys = [0.0, *(height for height in _density(histogram) for _ in (0, 1)), 0.0]
        if kind == "model":
            plot.band(xs, [0.0] * len(xs), ys, colour, 0.25)
        plot.line(xs, ys, colour, dash, 1.8, kind=kind)
    shares = percent(_below_zero(model)), percent(_below_zero(null))
    return plot.svg(
        f"Of the estimates of single trials, {shares[0]} lie below 0 under the model and {shares[1]} without "
        "a specific effect.",
        stamp,
    )


def _estimate_table(report: Report) -> Table:
    series = (report.estimates.histogram, report.estimates.null)
    counted = [{(low, high): count for low, high, count in _bins(histogram) if count} for histogram in series]
    rows = tuple(
        (
            interval(*place),
            *(
                cell
                for counts in counted
                for cell in (
                    number(counts.get(place, 0), 0),
                    percent(counts.get(place, 0) / sum(counts.values()), 1),
                )
            ),
        )
        for place in sorted(set().union(*counted))
    )
    return Table(
        "Simulated trials by estimated difference, points; ranges without a trial are left out",
        ("Range", "Under the model", "Share", "No specific effect", "Share"),
        rows,
    )


def _bins(histogram: Histogram) -> list[tuple[float, float, float]]:
    return list(zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False))


def _density(histogram: Histogram) -> list[float]:
    return [100 * count / sum(histogram.counts) / (high - low) for low, high, count in _bins(histogram)]


def _below_zero(histogram: Histogram) -> float:
    held = sum(count * min(1.0, max(0.0, -low / (high - low))) for low, high, count in _bins(histogram))
    return held / sum(histogram.counts)
