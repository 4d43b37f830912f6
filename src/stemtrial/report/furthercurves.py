"""Chances of every comparison, factor and dose against the size of a trial."""

from collections.abc import Sequence

from markupsafe import Markup

from stemtrial.report.chancecurves import STYLES
from stemtrial.report.colours import ARM_COLOURS, ARM_DASHES
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, clip_text, ticks
from stemtrial.report.wording import THIN, interval, number, percent
from stemtrial.trial.curves import Curve, Further


def further_curves(asked: Sequence[Further], month: float, stamp: str = "") -> Figure:
    """Draw how often each of several things happens, by size.

    Parameters
    ----------
    asked
        What the question asks besides the success of the trial; one or more.
    month
        Of the main visit.
    stamp
        Warning that travels with the drawing.

    Returns
    -------
    Figure
        One panel a scenario.
    """
    return Figure(
        key="further",
        title="Every comparison, factor and dose",
        description=(
            f"Share of simulated trials in which each is shown, or a dose is picked, at month {month:g}. Comparisons "
            "share alpha as the trial file says; with interim looks they are shown at any look before the trial ends. "
            "The tables hold the 95 % Monte-Carlo interval (Wilson). Under an inert treatment, any comparison that is "
            "shown is a familywise error."
        ),
        panels=tuple(
            Panel(_draw(asked, scenario, words, stamp), _table(asked, scenario, words))
            for scenario, (words, _, _) in STYLES.items()
        ),
    )


def _curves(asked: Sequence[Further], scenario: str) -> list[tuple[str, Curve]]:
    return [(one.label.replace("_", " "), one.curves[scenario]) for one in asked]


def _draw(asked: Sequence[Further], scenario: str, words: str, stamp: str) -> Markup:
    curves = _curves(asked, scenario)
    entries = [
        Entry(clip_text(label, 40), ARM_COLOURS[i % len(ARM_COLOURS)], ARM_DASHES[i % len(ARM_DASHES)])
        for i, (label, _) in enumerate(curves)
    ]
    xs = curves[0][1].sizes.tolist()
    span = (0.0, max(xs) * 1.04)
    plot = Plot(x=span, y=(0, 100), title=f"{words[:1].upper()}{words[1:]}", entries=entries, left=52)
    plot.grid_y(ticks(0, 100), "Simulated trials", THIN + "%")
    plot.grid_x(ticks(*span), "Patients in the compared arms")
    for i, (entry, (_, curve)) in enumerate(zip(entries, curves, strict=True)):
        plot.line(xs, (100 * curve.share).tolist(), entry.colour, entry.dash, 2.2, kind=f"further-{i}")
    last = "; ".join(f"{label} {percent(curve.share[-1], 1)}" for label, curve in curves)
    return plot.svg(f"{words}. At {xs[-1]:g} patients: {last}.", stamp)


def _table(asked: Sequence[Further], scenario: str, words: str) -> Table:
    curves = _curves(asked, scenario)
    rows = tuple(
        (
            label,
            number(float(size), 0),
            percent(float(curve.share[i]), 1),
            interval(float(100 * curve.low[i]), float(100 * curve.high[i])),
        )
        for label, curve in curves
        for i, size in enumerate(curve.sizes)
    )
    return Table(
        f"Share of simulated trials, {words}", ("What", "Patients", "Share", f"95{THIN}%"), rows, keys=2
    )
