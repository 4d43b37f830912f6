"""Stopping boundaries: which test statistic stops the trial at which look, and how often that happens."""

from collections.abc import Sequence
from typing import Final, Literal

from markupsafe import Markup

from stemtrial.report.colours import BLUE, INK, VERMILLION
from stemtrial.report.contract import Look
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, ticks, widen
from stemtrial.report.wording import THIN, number, percent

SCENARIOS: Final[dict[Literal["assurance", "power", "type_one_error"], str]] = {
    "assurance": "over all constants",
    "power": "constants at their mean",
    "type_one_error": "treatment under question inert",
}
"""Scenarios of a run in words."""


SHARED: Final = (
    " Several comparisons share alpha: the lines are those of the main comparison with the share with which it begins; "
    "shares of trials are of those that end with any comparison shown; the table adds the bound for every share."
)


def boundary_plot(looks: Sequence[Look], stamp: str = "") -> Figure:
    """Draw the bounds over the looks, with the shares of simulated trials that stop at each.

    Returns
    -------
    Figure
        One panel; its table holds the shares of every scenario.
    """
    return Figure(
        key="boundaries",
        title="Stopping boundaries",
        description=(
            "Across: share of the patients who have reached the endpoint visit. Upwards: test statistic on the scale "
            "of a standard normal variable, positive in favour of the experimental arm. At or above the upper line the "
            "trial stops and has shown what it was to show; at or below the lower line, if there is one, it is given "
            "up. At the last look there is one bound. Beside the points: share of the simulated trials that show it "
            "there, over all constants. The table counts how often simulated trials stop where."
            + (SHARED if looks[0].shares else "")
        ),
        panels=(Panel(_draw(looks, stamp), _table(looks)),),
    )


def _draw(looks: Sequence[Look], stamp: str) -> Markup:
    upper = [(look.information, look.efficacy_z) for look in looks if look.efficacy_z is not None]
    lower = [(look.information, look.futility_z) for look in looks if look.futility_z is not None]
    low, high = widen([0.0, *(z + 0.4 for _, z in upper), *(z for _, z in lower)])
    entries = [Entry("stop: shown", BLUE, dot="full")]
    if lower:
        entries.append(Entry("stop: given up", VERMILLION, "5 3", dot="hollow"))
    plot = Plot(x=(0, 1.05), y=(low, high), title="Bounds at each look", entries=entries, width=520)
    plot.grid_y(ticks(low, high), "Test statistic z (higher favours the experimental arm ↑)")
    plot.grid_x([look.information for look in looks], "Share of patients with the endpoint")
    plot.rule(INK, y=0, width=1.2)
    for points, colour, dash, kind in ((upper, BLUE, "", "efficacy"), (lower, VERMILLION, "5 3", "futility")):
        if points:
            plot.line([t for t, _ in points], [z for _, z in points], colour, dash, 2.2, kind=kind)
        for t, z in points:
            plot.dot(plot.px(t), plot.py(z), colour, hollow=kind == "futility")
    for look in looks:
        if look.efficacy_z is not None:
            shown = percent(look.stopping["assurance"].efficacy, 1)
            plot.text(
                plot.px(look.information), plot.py(look.efficacy_z) - 11, shown, "middle", INK, halo=True
            )
    spoken = "; ".join(
        f"at {percent(look.information)}: shown from z {_z(look.efficacy_z)}"
        + (f", given up up to z {_z(look.futility_z)}" if look.futility_z is not None else "")
        for look in looks
    )
    return plot.svg(f"Stopping boundaries. {spoken}.", stamp)


def _z(value: float | None) -> str:
    return "none" if value is None else number(value, 3)


def _table(looks: Sequence[Look]) -> Table:
    rows = []
    for place, look in enumerate(looks, 1):
        for scenario, words in SCENARIOS.items():
            stop = look.stopping[scenario]
            rows.append(
                (
                    f"{place}",
                    percent(look.information),
                    words,
                    number(sum(look.patients.values()), 0),
                    _z(look.efficacy_z),
                    _z(look.futility_z),
                    percent(stop.efficacy, 1),
                    percent(stop.futility, 1),
                    percent(stop.ends_here, 1),
                    *(_z(part.efficacy_z) for part in look.shares or ()),
                )
            )
    parts = looks[0].shares or ()
    columns = (
        "Look", "Information", "Scenario", "Patients analysed", "Shown from z", "Given up up to z", "Shown here",
        "Given up here", "Ends here", *(f"Shown from z with {percent(p.share)} of alpha" for p in parts),
    )  # fmt: skip
    return Table(
        f"Looks, bounds, and share of simulated trials that stop at each,{THIN}%", columns, tuple(rows), 3
    )
