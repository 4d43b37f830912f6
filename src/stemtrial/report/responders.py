"""Responders: the share of patients improving by at least so many points, and the three usual cut-offs."""

from markupsafe import Markup

from stemtrial.report.colours import ARM_COLOURS, ARM_DASHES, INK
from stemtrial.report.contract import Distribution, Portion, Report, Summary
from stemtrial.report.figure import Figure, Panel, Table, stride
from stemtrial.report.plot import Entry, Plot, Scale, ticks
from stemtrial.report.wording import THIN, interval, month, number, percent

EDGE = 0.005
"""The axis ends where fewer than this share of patients are left on either side."""


def responders(report: Report, summary: Summary, stamp: str = "") -> Figure:
    """Draw the cumulative distribution of improvement and the shares reaching the MCID, 30 % and 50 %.

    Returns
    -------
    Figure
        A panel of curves and a panel of shares.
    """
    when = month(report.endpoint.month)
    return Figure(
        key="responders",
        title=f"How many patients improve, and by how much, month {when}",
        description=(
            f"First panel: share of patients whose {report.outcome} falls by at least the number of points on the axis "
            "(negative: rises by no more); a higher curve is better. Second panel: shares that reach the "
            f"smallest change a patient notices (MCID, {number(report.mcid.points, 0)} points) or lose "
            f"30{THIN}% or 50{THIN}% of their baseline value. Bands and whiskers: 95{THIN}% of the simulated "
            "trials. Every cause of improvement counts, the contextual response included."
        ),
        panels=(
            Panel(_draw_curves(report, when, stamp), _curve_table(report, when)),
            Panel(_draw_shares(report, summary, when, stamp), _share_table(report, summary, when)),
        ),
    )


def _colour(place: int) -> str:
    return ARM_COLOURS[place % len(ARM_COLOURS)]


def _dash(place: int) -> str:
    return ARM_DASHES[place % len(ARM_DASHES)]


def _reach(report: Report) -> tuple[float, float]:
    """Points between which the curves still tell the arms' patients apart."""
    points = [report.mcid.points]
    for name in report.ordered:
        curve = report.arms[name].change_distribution
        points += [
            p for p, share in zip(curve.points, curve.share_at_least, strict=True) if EDGE < share < 1 - EDGE
        ]
    curve = report.arms[report.comparator].change_distribution
    return (min(points), max(points)) if len(set(points)) > 1 else (curve.points[0], curve.points[-1])


def _draw_curves(report: Report, when: str, stamp: str) -> Markup:
    low, high = _reach(report)
    entries = [Entry(report.arms[name].label, _colour(i), _dash(i)) for i, name in enumerate(report.ordered)]
    entries.append(Entry(f"MCID of {number(report.mcid.points, 0)}", INK, "1.5 3"))
    plot = Plot(
        x=(low, high), y=(0, 100), title="Share improving by at least so many points", entries=entries
    )
    plot.grid_y((0, 20, 40, 60, 80, 100), "Share of patients (higher is better ↑)", THIN + "%")
    plot.grid_x(ticks(low, high, 9), f"Improvement of {report.outcome} by month {when}, points")
    held = [_held(report.arms[name].change_distribution, low, high) for name in report.ordered]
    for place, (points, _, lower, upper) in enumerate(held):
        plot.band(points, lower, upper, _colour(place), 0.14, kind=f"band-{place}")
    plot.rule(INK, x=report.mcid.points, dash="1.5 3", width=1.5)
    for place, (points, shares, _, _) in enumerate(held):
        plot.line(points, shares, _colour(place), _dash(place), kind=f"share-{place}")
    spoken = " ".join(
        f"{report.arms[name].heading}: {percent(_share_at(report, name, 0))} improve or stay the same, "
        f"{percent(_share_at(report, name, report.mcid.points))} improve by about the MCID or more."
        for name in report.ordered
    )
    return plot.svg(f"Share of patients improving by at least so many points. {spoken}", stamp)


def _held(
    curve: Distribution, low: float, high: float
) -> tuple[list[float], list[float], list[float], list[float]]:
    inside = [i for i, point in enumerate(curve.points) if low <= point <= high]
    percents = (
        [100 * values[i] for i in inside] for values in (curve.share_at_least, curve.q025, curve.q975)
    )
    shares, lower, upper = percents
    return [curve.points[i] for i in inside], shares, lower, upper


def _share_at(report: Report, name: str, points: float) -> float:
    curve = report.arms[name].change_distribution
    nearest = min(range(len(curve.points)), key=lambda i: abs(curve.points[i] - points))
    return curve.share_at_least[nearest]


def _curve_table(report: Report, when: str) -> Table:
    low, high = _reach(report)
    curves = [report.arms[name].change_distribution for name in report.ordered]
    points = [point for point in curves[0].points if low <= point <= high]
    columns = ["Points"]
    for name in report.ordered:
        columns += [report.arms[name].heading, f"95{THIN}%"]
    rows = []
    for point in points[:: stride(len(points))]:
        row = [number(point, 0)]
        for curve in curves:
            i = curve.points.index(point) if point in curve.points else None
            row += (
                ["", ""]
                if i is None
                else [percent(curve.share_at_least[i], 1), _range(curve.q025[i], curve.q975[i])]
            )
        rows.append(tuple(row))
    return Table(
        f"Share of patients improving by at least so many points by month {when}", tuple(columns), tuple(rows)
    )


def _range(low: float, high: float) -> str:
    return interval(100 * low, 100 * high, 1)


def _cuts(report: Report, summary: Summary, name: str) -> list[tuple[str, Portion]]:
    shares = summary.arms[name].responders
    return [
        (f"MCID ({number(report.mcid.points, 0)} points) or more", shares.mcid),
        (f"30{THIN}% of baseline or more", shares.thirty_percent),
        (f"50{THIN}% of baseline or more", shares.fifty_percent),
    ]


def _draw_shares(report: Report, summary: Summary, when: str, stamp: str) -> Markup:
    cuts = {name: _cuts(report, summary, name) for name in report.ordered}
    entries = [
        Entry(report.arms[name].label, _colour(place), _dash(place), "full" if place else "hollow")
        for place, name in enumerate(report.ordered)
    ]
    plot = Plot(
        x=(0, 100), y=(0, 1), title=f"Responders at month {when}", left=20, right=112, entries=entries
    )
    plot.height = plot.top + 3 * (30 + 24 * len(cuts)) + plot.bottom
    plot.py = Scale(0, 1, plot.height - plot.bottom, plot.top)
    plot.grid_x((0, 20, 40, 60, 80, 100), "Share of patients (more is better →)", THIN + "%", lines=True)
    y = plot.top
    for row in range(3):
        y += 30
        plot.text(4, y - 8, cuts[report.comparator][row][0], bold=True, halo=True)
        for place, name in enumerate(cuts):
            portion, middle = cuts[name][row][1], y + 8
            plot.segment(
                plot.px(100 * portion.q025),
                middle,
                plot.px(100 * portion.q975),
                middle,
                _colour(place),
                2.2,
                _dash(place),
            )
            plot.dot(plot.px(100 * portion.share), middle, _colour(place), hollow=not place)
            spread = interval(100 * portion.q025, 100 * portion.q975, 0)
            words = f"{percent(portion.share)} ({spread})"
            plot.text(plot.width - 4, middle + 4.5, words, "end", INK)
            y += 24
    spoken = " ".join(
        f"{report.arms[name].heading}: "
        + ", ".join(f"{cut} {percent(portion.share)}" for cut, portion in cuts[name])
        + "."
        for name in cuts
    )
    return plot.svg(f"Responders at month {when}. {spoken}", stamp)


def _share_table(report: Report, summary: Summary, when: str) -> Table:
    rows = tuple(
        (report.arms[name].heading, cut, percent(portion.share, 1), _range(portion.q025, portion.q975))
        for name in report.ordered
        for cut, portion in _cuts(report, summary, name)
    )
    return Table(
        f"Share of patients reaching each cut-off by month {when}",
        ("Arm", "Improvement", "Share", f"95{THIN}%"),
        rows,
        keys=2,
    )
