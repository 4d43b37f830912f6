"""Secondary analyses of a run: odds ratios of responders, and how long a response lasts."""

import math

from markupsafe import Markup

from stemtrial.report.colours import ARM_COLOURS, ARM_DASHES, BLUE, INK, RULE
from stemtrial.report.contract import Chances, Lasting, OddsTest, Report, Secondary, TimeToLoss
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, ticks
from stemtrial.report.wording import THIN, interval, month, number, percent

DEFINITIONS = {
    "mcid": "improved by the MCID",
    "thirty_percent": f"improved by 30{THIN}%",
    "fifty_percent": f"improved by 50{THIN}%",
    "omeract_oarsi": "OMERACT-OARSI",
}
METHODS = {"logistic": "adjusted for baseline", "cmh": "over grades"}
MISSING = {
    "non_responder": "patients not seen count as not having responded",
    "left_out": "patients not seen are left out",
}
RATIOS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


def secondary_analyses(report: Report, asked: Secondary, stamp: str = "") -> tuple[Figure, ...]:
    """Draw the secondary analyses that a run was asked for.

    Returns
    -------
    tuple of Figure
        Odds ratios of responders, and the time to loss of response; each only where it was asked for.
    """
    found = []
    if asked.responders:
        found.append(_responders(report, asked, stamp))
    if asked.time_to_loss is not None:
        found.append(_lasting(report, asked.time_to_loss, stamp))
    return tuple(found)


def _chances(of: Chances) -> tuple[str, ...]:
    return tuple(percent(p.value, 1) for p in (of.assurance, of.power, of.type_one_error))


def _tests(asked: Secondary) -> list[tuple[str, str, OddsTest]]:
    """Definition, method and result of every test, in the page's order."""
    return [
        (DEFINITIONS[name], words, getattr(answer, method))
        for name, answer in asked.responders.items()
        for method, words in METHODS.items()
    ]


def _responders(report: Report, asked: Secondary, stamp: str) -> Figure:
    arms = " against ".join(report.arms[name].label for name in (report.experimental, report.comparator))
    return Figure(
        key="secondary-responders",
        title=f"Responders compared, month {month(report.endpoint.month)}",
        description=(
            f"Odds ratio of a response, {arms}: median and 95{THIN}% of the simulated trials that can estimate it, on "
            f"a logarithmic axis; above 1 favours {report.arms[report.experimental].label}. By logistic regression "
            "adjusted for the baseline, and by Cochran-Mantel-Haenszel over the grades of severity; "
            f"{MISSING[asked.missing or 'left_out']}. Tests are not adjusted for multiplicity."
        ),
        panels=(Panel(_draw_odds(asked, stamp), _odds_table(report, asked)),),
    )


def _draw_odds(asked: Secondary, stamp: str) -> Markup:
    tests = _tests(asked)
    known = [test.odds_ratio for _, _, test in tests if test.odds_ratio is not None]
    ends = [1.0, *(v for ratio in known for v in (ratio.q025, ratio.q975))]
    low = max((r for r in RATIOS if r <= min(ends)), default=RATIOS[0])
    high = min((r for r in RATIOS if r >= max(ends)), default=RATIOS[-1])
    low, high = (low, high) if low < high else (0.5, 2.0)
    row, left = 30.0, 300.0
    plot = Plot(
        x=(math.log(low), math.log(high)), y=(0, 1), title="", width=760, height=100 + row * len(tests),
        left=left, top=20,
    )  # fmt: skip
    floor = plot.height - plot.bottom
    for mark in (r for r in RATIOS if low <= r <= high):
        plot.rule(INK if mark == 1 else RULE, x=math.log(mark), width=1.3 if mark == 1 else 1)
        plot.text(plot.px(math.log(mark)), floor + 19, f"{mark:g}", "middle")
    plot.text(
        (left + plot.width - plot.right) / 2,
        floor + 38,
        "Odds ratio of a response (higher is better →)",
        "middle",
    )
    spoken = []
    for place, (name, words, test) in enumerate(tests):
        y = plot.top + 14 + row * place
        plot.text(left - 10, y + 4, f"{name}, {words}", "end", INK)
        if (ratio := test.odds_ratio) is None:
            plot.text(plot.px(0), y + 4, "not estimable", "middle")
            continue
        plot.segment(plot.px(math.log(ratio.q025)), y, plot.px(math.log(ratio.q975)), y, BLUE, 2.4)
        plot.dot(plot.px(math.log(ratio.median)), y, BLUE, 5)
        spoken.append(f"{name}, {words}: {number(ratio.median, 2)} ({interval(ratio.q025, ratio.q975, 2)})")
    return plot.svg(f"Odds ratios. {'; '.join(spoken)}.", stamp)


def _odds_table(report: Report, asked: Secondary) -> Table:
    rows = []
    for name, answer in asked.responders.items():
        shares = [percent(answer.shares[arm].mean, 1) for arm in (report.comparator, report.experimental)]
        for method, words in METHODS.items():
            test: OddsTest = getattr(answer, method)
            ratio = test.odds_ratio
            odds = (
                ("", "") if ratio is None else (number(ratio.median, 2), interval(ratio.q025, ratio.q975, 2))
            )
            rows.append((DEFINITIONS[name], words, *shares, *odds, *_chances(test)))
    columns = (
        "Response", "Analysis", report.arms[report.comparator].heading, report.arms[report.experimental].heading,
        "Odds ratio", f"95{THIN}%", "Assurance", "Power", "Type I error",
    )  # fmt: skip
    return Table(
        "Share of responders, odds ratio, and probability of being shown", columns, tuple(rows), keys=2
    )


def _lasting(report: Report, loss: TimeToLoss, stamp: str) -> Figure:
    return Figure(
        key="secondary-loss",
        title="How long a response lasts",
        description=(
            "Kaplan-Meier share of responders (improved by the MCID) who still respond, by months since their first "
            f"response: mean and 95{THIN}% of the simulated trials. A loss is known at the visit where it is found; "
            "who leaves is censored. Responders are selected after randomisation: this is no comparison of randomised "
            "groups."
        ),
        panels=(Panel(_draw_lasting(report, loss, stamp), _lasting_table(report, loss)),),
    )


def _draw_lasting(report: Report, loss: TimeToLoss, stamp: str) -> Markup:
    names = [name for name in report.ordered if name in loss.arms]
    entries = [
        Entry(report.arms[name].label, ARM_COLOURS[place], ARM_DASHES[place])
        for place, name in enumerate(names)
    ]
    last = max((k.month for arm in loss.arms.values() for k in arm.kept), default=1.0)
    plot = Plot(x=(0, last), y=(0, 100), title="Still responding", entries=entries, left=52)
    plot.grid_y((0, 20, 40, 60, 80, 100), "Responders (higher is better ↑)", THIN + "%")
    plot.grid_x(ticks(0, last), "Months since the first response")
    for place, name in enumerate(names):
        months, mean, low, high = _steps(loss.arms[name])
        plot.band(months, low, high, ARM_COLOURS[place], 0.14, kind=f"band-{place}")
        plot.line(months, mean, ARM_COLOURS[place], ARM_DASHES[place], kind=f"kept-{place}")
    spoken = "; ".join(
        f"{report.arms[name].label}: {percent(k.mean)} after {k.month:g} months"
        for name in names
        for k in loss.arms[name].kept[-1:]
    )
    return plot.svg(f"Share still responding. {spoken}.", stamp)


def _steps(arm: Lasting) -> tuple[list[float], list[float], list[float], list[float]]:
    """Corners of a curve that steps down at the months of losses, in percent."""
    months, columns = [0.0], [[100.0], [100.0], [100.0]]
    for kept in arm.kept:
        months += [kept.month, kept.month]
        for values, new in zip(columns, (kept.mean, kept.q025, kept.q975), strict=True):
            values += [values[-1], 100 * new]
    return months, columns[0], columns[1], columns[2]


def _lasting_table(report: Report, loss: TimeToLoss) -> Table:
    rows = [
        (report.arms[name].heading, f"{kept.month:g}", percent(kept.mean, 1),
         interval(100 * kept.q025, 100 * kept.q975, 1))
        for name in report.ordered if name in loss.arms
        for kept in loss.arms[name].kept
    ]  # fmt: skip
    shown = ", ".join(
        f"{words} {value}"
        for words, value in zip(("assurance", "power", "type I error"), _chances(loss.log_rank), strict=True)
    )
    caption = f"Share still responding; later losses in the experimental arm by the log-rank test: {shown}"
    return Table(caption, ("Arm", "Months", "Share", f"95{THIN}%"), tuple(rows), keys=2)
