"""The flow of simulated patients, drawn in the manner of a CONSORT diagram."""

from textwrap import wrap

from markupsafe import Markup

from stemtrial.report.colours import INK, MUTED, PANEL
from stemtrial.report.contract import Arm, Flow, Report
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot
from stemtrial.report.wording import month, number

COLUMN = 225.0
LINE = 19.0
GAP = 18.0


def patient_flow(report: Report, stamp: str = "") -> Figure:
    """Draw allocation, follow-up and analysis of every arm; screening is not simulated.

    Returns
    -------
    Figure
        One drawing; counts are means over the simulated trials.
    """
    return Figure(
        key="flow",
        title="Flow of simulated patients",
        description=(
            "After the CONSORT diagram, for patients who exist only in this simulation. Counts are means "
            "over the simulated trials, so they need not be whole; losses are given for the time since the "
            "visit before. Patients enter the simulation when they have passed screening."
        ),
        panels=(Panel(_diagram(report, stamp), _table(report)),),
    )


def _count(value: float) -> str:
    return number(value, 0 if value == round(value) else 1)


def _months(flow: Flow) -> list[str]:
    return sorted(flow.dropped, key=float)


def _table(report: Report) -> Table:
    flows = [report.arms[name].flow for name in report.ordered]
    months = sorted({key for flow in flows for key in flow.dropped}, key=float)
    steps = [
        ("Randomised", [flow.randomised for flow in flows]),
        ("Treated", [flow.treated for flow in flows]),
        ("Took rescue analgesia", [flow.rescued for flow in flows]),
        *(
            (kind.replace("_", " ").capitalize(), [flow.events.get(kind, 0.0) for flow in flows])
            for kind in dict.fromkeys(kind for flow in flows for kind in flow.events)
        ),
        *(
            (f"Lost by month {month(float(key))}", [flow.dropped.get(key, 0.0) for flow in flows])
            for key in months
        ),
        ("Analysed", [flow.analysed for flow in flows]),
    ]
    columns = ("Step", *(report.arms[name].heading for name in report.ordered))
    rows = tuple((step, *map(_count, counts)) for step, counts in steps)
    return Table("Simulated patients, means over the simulated trials", columns, rows)


def _diagram(report: Report, stamp: str) -> Markup:
    arms = [report.arms[name] for name in report.ordered]
    stages = [_stages(arm) for arm in arms]
    heights = [max(_height(column[row]) for column in stages) for row in range(len(stages[0]))]
    width = max(2, len(arms)) * COLUMN
    middle, fork = width / 2, 62.0
    plot = Plot(
        x=(0, 1), y=(0, 1), title="", width=width, height=fork + sum(heights) + GAP * len(heights) + 26
    )
    randomised = sum(arm.flow.randomised for arm in arms)
    plot.segment(middle, 20, middle, fork, MUTED, 1.4)
    _box(plot, middle, 8, 200, [f"Randomised: {_count(randomised)}"])
    centres = [width * (2 * place + 1) / (2 * len(arms)) for place in range(len(arms))]
    plot.segment(centres[0], fork, centres[-1], fork, MUTED, 1.4)
    for centre, column in zip(centres, stages, strict=True):
        top = fork
        for lines, height in zip(column, heights, strict=True):
            plot.segment(centre, top, centre, top + GAP, MUTED, 1.4)
            _box(plot, centre, top + GAP, COLUMN - 16, lines, height)
            top += GAP + height
    spoken = " ".join(
        f"{arm.heading}: {_count(arm.flow.treated)} treated, {_count(arm.flow.rescued)} took rescue "
        f"analgesia, {_count(_lost(arm.flow))} lost, {_count(arm.flow.analysed)} analysed."
        for arm in arms
    )
    head = f"{_count(randomised)} randomised."
    return plot.svg(f"Flow of simulated patients. {head} {spoken}", stamp)


def _lost(flow: Flow) -> float:
    return round(sum(flow.dropped.values()), 6)


def _stages(arm: Arm) -> list[list[str]]:
    """Lines of the three boxes of an arm: ``*`` starts a bold line, ``-`` an indented one."""
    flow = arm.flow
    lost = [f"-by month {month(float(key))}: {_count(flow.dropped[key])}" for key in _months(flow)]
    return [
        [
            *(f"*{line}" for line in wrap(arm.heading, 25, max_lines=3, placeholder="…")),
            f"Randomised: {_count(flow.randomised)}",
            f"Treated: {_count(flow.treated)}",
        ],
        [
            "*Follow-up",
            f"Rescue analgesia: {_count(flow.rescued)}",
            *(
                f"{kind.replace('_', ' ').capitalize()}: {_count(count)}"
                for kind, count in flow.events.items()
            ),
            f"Lost: {_count(_lost(flow))}",
            *lost,
        ],
        [f"*Analysed: {_count(flow.analysed)}"],
    ]


def _height(lines: list[str]) -> float:
    return LINE * len(lines) + 16


def _box(
    plot: Plot, centre: float, top: float, width: float, lines: list[str], height: float | None = None
) -> None:
    left = centre - width / 2
    plot.box(left, top, width, height or _height(lines), PANEL, MUTED, 3)
    for row, line in enumerate(lines):
        inset = 26 if line.startswith("-") else 12
        plot.text(left + inset, top + 22 + LINE * row, line.lstrip("*-"), ink=INK, bold=line.startswith("*"))
