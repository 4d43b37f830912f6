"""Tornado: which constants drive the chance of success."""

from collections.abc import Sequence

from markupsafe import Markup

from stemtrial.report.colours import BLUE, INK, ORANGE
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, clip_text, ticks
from stemtrial.report.wording import THIN, number, percent
from stemtrial.trial.drivers import Driver

SHOWN = 12
"""Constants drawn; the table holds them too, ``design.json`` all of them."""


def tornado(drivers: Sequence[Driver], mean: float, stamp: str = "") -> Figure:
    """Draw the constants with the largest Sobol indices, and the chance of success at either end of each.

    Parameters
    ----------
    drivers
        By falling index.
    mean
        Mean chance of success.
    stamp
        Warning that travels with the drawing.

    Returns
    -------
    Figure
        One panel.
    """
    shown = drivers[:SHOWN]
    return Figure(
        key="drivers",
        title="What drives the chance of success",
        description=(
            "Each bar is a constant of the model: the chance of success in the fifth of the simulated trials with its "
            f"smallest and its largest values, around the mean of {percent(mean)}. The number is the first-order "
            "Sobol index: the share of the variance of the chance that would vanish on average if the constant were "
            "known. What is left over is due to constants acting together and to who is enrolled. Learning a constant "
            "with a large index is worth more than enlarging the trial."
        ),
        panels=(Panel(_draw(shown, mean, stamp), _table(shown)),),
    )


def _draw(drivers: Sequence[Driver], mean: float, stamp: str) -> Markup:
    row, left = 30.0, 300.0
    ends = [100 * v for d in drivers for v in (d.low, d.high)] + [100 * mean]
    span = (max(0.0, min(ends) - 4), min(100.0, max(ends) + 4))
    entries = [Entry("small values", ORANGE), Entry("large values", BLUE)]
    plot = Plot(x=span, y=(0, 1), title="", width=760, height=120 + row * len(drivers), left=left, right=70, top=30,
                entries=entries)  # fmt: skip
    plot.grid_x(ticks(*span), "Chance of success", THIN + "%", lines=True)
    for place, driver in enumerate(drivers):
        y = plot.top + 8 + row * place
        plot.text(left - 10, y + 15, clip_text(driver.meaning, 38), "end", INK)
        for value, colour in ((driver.low, ORANGE), (driver.high, BLUE)):
            a, b = sorted((plot.px(100 * mean), plot.px(100 * value)))
            plot.box(a, y + (2 if colour == ORANGE else 11), max(b - a, 1.0), 8, colour)
        plot.text(plot.width - 8, y + 15, percent(max(driver.index, 0.0)), "end", INK)
    plot.rule(INK, x=100 * mean, width=1.3)
    spoken = "; ".join(f"{d.meaning}: {percent(max(d.index, 0.0))}" for d in drivers[:5])
    return plot.svg(f"Sobol indices of the chance of success. {spoken}.", stamp)


def _table(drivers: Sequence[Driver]) -> Table:
    rows = tuple(
        (d.symbol, d.meaning, percent(d.index, 1), percent(d.se, 1), percent(d.low, 1), percent(d.high, 1))
        for d in drivers
    )
    columns = (
        "Constant",
        "Meaning",
        "Sobol index",
        "Standard error",
        "Chance, smallest fifth",
        "Chance, largest fifth",
    )
    return Table(f"Constants by first-order Sobol index, {number(len(drivers), 0)} largest", columns, rows, 2)
