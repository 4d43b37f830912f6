"""Chance of success over the size of a trial, how its patients are shared, and the true benefit."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from stemtrial.report.colours import BLACK, BLUE, INK, VERMILLION
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, ticks
from stemtrial.report.wording import THIN, interval, number, percent
from stemtrial.trial.curves import Allocation, Curve

STYLES = {
    "assurance": ("assurance", BLUE, ""),
    "power": ("power", VERMILLION, "6 3"),
    "type_one_error": ("type I error", BLACK, "2 3"),
}


def chance_curves(
    curves: Mapping[str, Curve],
    month: float,
    target: float,
    allocation: Allocation | None,
    power: Sequence[Mapping[str, float]],
    stamp: str = "",
) -> Figure:
    """Draw assurance, power and type I error over the number of patients and the allocation, and the power function.

    Parameters
    ----------
    curves
        By scenario, at the main visit.
    month
        Of the main visit.
    target
        Chance of success wanted.
    allocation
        Chances of one size by share of patients in the experimental arm.
    power
        Chance of success of the trial as declared by true benefit: ``benefit``, ``value`` and ``mc_se`` each.
    stamp
        Warning that travels with the drawing.

    Returns
    -------
    Figure
        Two or three panels.
    """
    sizes = curves["assurance"].sizes.tolist()
    panels = [
        Panel(_draw(sizes, curves, target, "Patients in the compared arms", f"At month {month:g}", stamp),
              _table("Patients", [number(n, 0) for n in sizes], curves))
    ]  # fmt: skip
    if allocation is not None:
        shares = [100 * s for s in allocation.experimental]
        title = f"{allocation.n} patients, shared otherwise"
        panels.append(
            Panel(_draw(shares, allocation.curves, target, "Share in the experimental arm, %", title, stamp),
                  _table("Experimental arm", [percent(s / 100) for s in shares], allocation.curves))
        )  # fmt: skip
    panels.append(Panel(_draw_power(power, target, stamp), _power_table(power)))
    return Figure(
        key="chances",
        title="Chance of success",
        description=(
            "Share of simulated trials that show what they are to show; bands: 95 % Monte-Carlo interval (Wilson). "
            "Assurance is over all that the constants may be, power with the constants at their mean, the type I "
            "error with the treatment under question inert. Horizontal line: the chance wanted, "
            f"{percent(target)}. The last panel leaves aside what the model believes of the treatment: chance of "
            "success of the trial as declared if it truly were so many points better, with the spread of readings, "
            "dropout and looks as simulated."
        ),
        panels=tuple(panels),
    )


def _draw(
    xs: Sequence[float], curves: Mapping[str, Curve], target: float, axis: str, title: str, stamp: str
) -> Markup:
    entries = [Entry(label, colour, dash) for label, colour, dash in STYLES.values()]
    span = (0.0, max(xs) * 1.04) if max(xs) > 100 else (min(xs) - 3, max(xs) + 3)
    plot = Plot(x=span, y=(0, 100), title=title, entries=entries, left=52)
    plot.grid_y(ticks(0, 100), "Trials that succeed", THIN + "%")
    plot.grid_x(ticks(*span), axis)
    plot.rule(INK, y=100 * target, dash="1.5 3", width=1.5)
    for name, (_, colour, dash) in STYLES.items():
        low, share, high = (
            (100 * values).tolist() for values in (curves[name].low, curves[name].share, curves[name].high)
        )
        plot.band(xs, low, high, colour, 0.15)
        plot.line(xs, share, colour, dash, 2.2, kind=name)
    last = "; ".join(f"{STYLES[n][0]} {percent(curves[n].share[-1], 1)}" for n in STYLES)
    return plot.svg(f"Chance of success. At {xs[-1]:g}: {last}.", stamp)


def _table(heading: str, names: Sequence[str], curves: Mapping[str, Curve]) -> Table:
    rows = tuple(
        (
            name,
            *(
                cell
                for curve in (curves[key] for key in STYLES)
                for cell in (
                    percent(curve.share[i], 1),
                    interval(100 * curve.low[i], 100 * curve.high[i]),
                )
            ),
        )
        for i, name in enumerate(names)
    )
    columns = (
        heading,
        *(cell for label, _, _ in STYLES.values() for cell in (label.capitalize(), f"95{THIN}%")),
    )
    return Table("Share of simulated trials that succeed, with Monte-Carlo interval", columns, rows)


def _draw_power(power: Sequence[Mapping[str, float]], target: float, stamp: str) -> Markup:
    xs, shares = [f["benefit"] for f in power], [100 * f["value"] for f in power]
    half = [196 * f["mc_se"] for f in power]
    plot = Plot(x=(0, max(xs)), y=(0, 100), title="The trial as declared, by true benefit", left=52,
                entries=[Entry("chance of success", VERMILLION)])  # fmt: skip
    plot.grid_y(ticks(0, 100), "Trials that succeed", THIN + "%")
    plot.grid_x(ticks(0, max(xs)), "Points by which the experimental arm is truly better")
    plot.rule(INK, y=100 * target, dash="1.5 3", width=1.5)
    low = [max(s - h, 0.0) for s, h in zip(shares, half, strict=True)]
    high = [min(s + h, 100.0) for s, h in zip(shares, half, strict=True)]
    plot.band(xs, low, high, VERMILLION, 0.15)
    plot.line(xs, shares, VERMILLION, "", 2.2, kind="power-function")
    spoken = "; ".join(
        f"{x:g} points: {number(s, 0)} %" for x, s in zip(xs, shares, strict=True) if x % 5 == 0
    )
    return plot.svg(f"Chance of success by true benefit. {spoken}.", stamp)


def _power_table(power: Sequence[Mapping[str, float]]) -> Table:
    rows = tuple(
        (number(f["benefit"]), percent(f["value"], 1), percent(f["mc_se"], 1))
        for f in power
        if f["benefit"] % 1 == 0
    )
    return Table(
        "Chance of success by true benefit, points", ("Benefit", "Chance", "Monte-Carlo error"), rows
    )
