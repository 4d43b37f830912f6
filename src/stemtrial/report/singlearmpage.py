"""The page of a single-arm trial: the counterfactual first, and what a single arm cannot show."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from stemtrial import __version__
from stemtrial.report import colours
from stemtrial.report.characteristics import event_rows
from stemtrial.report.contract import Count, Document, Flow, Manifest, Proportion, Spread, SummaryArm
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, ticks
from stemtrial.report.reading import parse
from stemtrial.report.templating import templates
from stemtrial.report.wording import THIN, interval, number, percent

KIND = "single_arm"


class Arm(SummaryArm):
    """The arm, or the same patients with an inert injection; ``parts`` of the change at the main visit."""

    parts: dict[str, Spread]


class Goal(Document):
    """Performance goal and the chances to meet it: as fitted, with mean constants, and with nothing studied given."""

    improvement: float
    met: Proportion
    met_at_mean: Proportion
    met_though_inert: Proportion


class Summary(Document):
    """``summary.json`` of a single-arm trial."""

    trial: str
    statement: str
    calibration: str
    evidence_hash: str
    posterior_hash: str
    seed: int
    replicates: int
    arms: dict[str, Arm]
    counterfactual: str
    change: Spread
    goal: Goal | None
    wall_seconds: Count


class Endpoint(Document):
    """Instrument and visit."""

    month: float
    label: str


class Report(Document):
    """``report.json`` of a single-arm trial."""

    title: str
    calibration: str
    trial_file: str
    arm: str
    treatments: tuple[str, ...]
    endpoint: Endpoint
    flow: Flow


def render(report: Mapping[str, Any], summary: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Write the page of a single-arm run from its three documents, as plain data.

    Raises
    ------
    InputError
        If a document lacks a field or holds a value out of range.
    """
    contents, origin = parse(Report, report, "report.json"), parse(Manifest, manifest, "manifest.json")
    numbers = parse(Summary, summary, "summary.json")
    calibrated = numbers.calibration.lower().startswith("calibrated")
    stamp = "" if calibrated else numbers.calibration
    return (
        templates()
        .get_template("singlearm.html.j2")
        .render(
            page=contents,
            summary=numbers,
            manifest=origin,
            sentences=sentences(contents, numbers),
            changes=changes(contents, numbers),
            figures=(course(numbers, contents, stamp),),
            tables=(flow(contents), harms(contents, numbers)),
            calibrated=calibrated,
            version=__version__,
            colour=colours,
        )
    )


def sentences(report: Report, summary: Summary) -> tuple[str, ...]:
    """Say what the trial sees, what the same patients would have shown anyway, and what the goal can tell."""
    arm, inert = summary.arms[report.arm], summary.arms[summary.counterfactual]
    month = f"{report.endpoint.month:g}"
    found = [
        summary.statement,
        f"With an injection that does nothing, the same simulated patients change by {_spread(inert.change[month])} "
        f"points on average ({report.endpoint.label}; intervals hold 95{THIN}% of the simulated trials); with what is "
        f"studied by {_spread(arm.change[month])}. What is studied adds {_spread(arm.parts['studied'])} points, which "
        "a trial without a comparator cannot tell from the rest.",
    ]
    if (goal := summary.goal) is not None:
        found.append(
            f"The goal of more than {goal.improvement:g} points of improvement is met by {percent(goal.met.value)} of "
            f"the trials, and by {percent(goal.met_though_inert.value)} if what is studied does nothing. "
            "Meeting it shows that patients improve, not why."
        )
    else:
        found.append("No performance goal was declared, so nothing is tested.")
    return tuple(found)


def changes(report: Report, summary: Summary) -> Table:
    """Tabulate changes and their parts, the counterfactual first."""
    month = f"{report.endpoint.month:g}"
    rows = tuple(
        (
            label,
            _spread(arm.change[month]),
            *(_spread(arm.parts[part]) for part in ("contextual", "specific", "remainder")),
            percent(arm.responders.mcid.share),
        )
        for label, arm in (
            ("The same patients, inert injection", summary.arms[summary.counterfactual]),
            (f"{_heading(report.arm)}, as the trial sees it", summary.arms[report.arm]),
        )
    )
    return Table(
        f"Mean change from baseline, points (95{THIN}% of simulated trials); a negative change is better",
        ("Given", "Change", "Contextual", "Specific", "Regression to the mean and the rest", "MCID"),
        rows,
    )


def course(summary: Summary, report: Report, stamp: str) -> Figure:
    """Draw the mean change at the visits, the counterfactual first."""
    inert, arm = summary.arms[summary.counterfactual], summary.arms[report.arm]
    months = sorted(map(float, arm.change))
    given = (
        ("inert injection, same patients", inert, colours.BLACK, "6 3"),
        (report.arm.replace("_", " "), arm, colours.BLUE, ""),
    )
    low = min(s.q025 for a in (inert, arm) for s in a.change.values())
    high = max(0.0, *(s.q975 for a in (inert, arm) for s in a.change.values()))
    plot = Plot(
        x=(0, max(months) * 1.03), y=(low - 2, high + 2), title="Mean change from baseline", left=52,
        entries=[Entry(label, colour, dash) for label, _, colour, dash in given],
    )  # fmt: skip
    plot.grid_y(ticks(low - 2, high + 2), "Points, down is better")
    plot.grid_x(ticks(0, max(months)), "Months")
    rows: list[tuple[str, ...]] = []
    for label, of, colour, dash in given:
        found = [of.change[f"{m:g}"] for m in months]
        plot.band(months, [s.q025 for s in found], [s.q975 for s in found], colour, 0.1)
        plot.line([0, *months], [0, *(s.mean for s in found)], colour, dash, 2.2, kind=label)
        rows += [
            (label, f"{m:g}", number(s.mean), interval(s.q025, s.q975))
            for m, s in zip(months, found, strict=True)
        ]
    spoken = "; ".join(f"{row[0]}, month {row[1]}: {row[2]}" for row in rows)
    drawing: Markup = plot.svg(f"Mean change from baseline. {spoken}.", stamp)
    table = Table("Mean change, points", ("Given", "Month", "Mean", f"95{THIN}% of trials"), tuple(rows), 2)
    return Figure(
        key="change",
        title="Change from baseline, with and without what is studied",
        description=(
            "Means over simulated trials with the interval that holds 95 % of them. A real trial of one arm sees the "
            "solid line only."
        ),
        panels=(Panel(drawing, table),),
    )


def flow(report: Report) -> Table:
    """Tabulate patients from enrolment to analysis."""
    found = report.flow
    steps = [
        ("Enrolled and treated", found.randomised),
        ("Took rescue analgesia", found.rescued),
        *((_heading(kind), count) for kind, count in found.events.items()),
        *((f"Lost by month {float(key):g}", found.dropped[key]) for key in sorted(found.dropped, key=float)),
        ("Analysed", found.analysed),
    ]
    rows = tuple((step, number(count, 0 if count == round(count) else 1)) for step, count in steps)
    return Table(
        "Flow of simulated patients, means over the simulated trials", ("Step", _heading(report.arm)), rows
    )


def harms(report: Report, summary: Summary) -> Table:
    """Tabulate the adverse events that a trial sees."""
    return event_rows([(_heading(report.arm), summary.arms[report.arm])])


def _heading(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _spread(found: Spread) -> str:
    return f"{number(found.mean)} ({interval(found.q025, found.q975)})"
