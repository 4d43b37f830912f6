"""Forest plot of an adverse event: events of each side, risk ratios on a logarithmic axis."""

import math

from stemtrial.evidence.effectsize import risk_ratio
from stemtrial.evidence.eventsynthesis import EventStudy, EventSynthesis
from stemtrial.evidence.heterogeneity import critical
from stemtrial.evidence.rareevents import PooledTables, Risk
from stemtrial.report.evidence_words import either, heading, words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.forest import Pool, Row, draw_rows
from stemtrial.report.trafficlight import NAMES, key
from stemtrial.report.wording import interval, number

_TICKS, _WIDE_TICKS = (0.1, 0.3, 1.0, 3.0, 10.0), (0.01, 0.1, 1.0, 10.0, 100.0)


def per_1000(risk: Risk) -> str:
    """Print a risk as events per 1,000, with the upper bound alone where nothing happened.

    Examples
    --------
    >>> from stemtrial.evidence.rareevents import exact_risk
    >>> per_1000(exact_risk(0, 100)), per_1000(exact_risk(2, 100))
    ('0 of 100; at most 29.5 per 1,000', '20.0 per 1,000 (2.4 to 70.4)')
    """
    if risk.status == "no_events":
        return f"0 of {risk.n:,}; at most {number(1000 * risk.upper)} per 1,000"
    low, high = risk.ci
    return f"{number(1000 * risk.estimate)} per 1,000 ({interval(1000 * low, 1000 * high)})"


def ratio(pooled: PooledTables) -> str:
    """Print a pooled ratio with its interval, or why there is none."""
    if pooled.estimate is None or pooled.ci is None:
        return {
            "no_events": "no event in either group",
            "zero_events_in_one_group": "no event in one group: no finite ratio",
        }.get(pooled.status, pooled.status)
    scale = math.exp if pooled.measure != "RD" else (lambda value: 1000 * value)
    digits = 2 if pooled.measure != "RD" else 1
    return f"{number(scale(pooled.estimate), digits)} ({interval(scale(pooled.ci[0]), scale(pooled.ci[1]), digits)})"


def event_forest(synthesis: EventSynthesis) -> Figure:
    """Draw the risk ratio of each trial and the Mantel-Haenszel result.

    Returns
    -------
    Figure
        One wide panel. Trials without any event are listed and carry no ratio.
    """
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    rows = [_row(study, synthesis.level) for study in synthesis.studies]
    pooled = synthesis.pooled[0]
    pools = []
    if pooled.estimate is not None and pooled.ci is not None:
        pools = [Pool("Pooled (Mantel-Haenszel)", pooled.estimate, pooled.ci, ratio(pooled))]
    ends = [abs(end) for row in rows for end in row.ci or ()] + [
        abs(end) for pool in pools for end in pool.ci
    ]
    reach = min(max([math.log(10), *ends]), math.log(100))
    axis = (-reach * 1.04, reach * 1.04)
    ticks = _TICKS if reach < math.log(20) else _WIDE_TICKS
    added = any(row.label.endswith("*") for row in rows)
    below = [
        f"{heading(control)}: {per_1000(synthesis.control)}; {treated}: {per_1000(synthesis.treated)} "
        "(patients of all trials added up)."
    ]
    notes = (
        ["* one side without an event: drawn with 1/2 added to each cell; pooled as it is."] if added else []
    )
    svg = draw_rows(
        rows,
        pools,
        axis=axis,
        marks_at=[math.log(t) for t in ticks if axis[0] <= math.log(t) <= axis[1]],
        lines=[],
        null=0.0,
        names=(control, treated),
        columns=("n", "with event"),
        measure="Risk ratio (95 % CI)",
        below=below,
        notes=notes,
        label=f"Forest plot of risk ratios. {'; '.join(f'{row.label} {row.result}' for row in rows)}.",
        log=True,
    )
    return Figure(
        key="forest",
        title=f"{heading(words(synthesis.event))}: {treated} against {control}",
        description=(
            f"Risk ratio, {treated} over {control}, on a logarithmic axis: left of 1 favours {treated}. Squares: "
            "trials; lines: 95 % intervals; diamond: Mantel-Haenszel risk ratio, which needs no correction for empty "
            f"cells. Trials without an event on either side carry no ratio but count in the risks below. Bias: {key()}."
        ),
        panels=(Panel(svg, _table(synthesis)),),
    )


def _row(study: EventStudy, level: float) -> Row:
    table = study.table
    sides = (table.control, table.treated)
    control, treated = ((f"{side.n:,}", f"{side.events:,}") for side in sides)
    if not (table.treated.events or table.control.events):
        return Row(study.label, control, treated, None, None, None, "no event", study.risk_of_bias)
    one = risk_ratio(table.treated.events, table.treated.n, table.control.events, table.control.n)
    estimate, half = float(one.y[0]), critical(level, None) * float(one.v[0]) ** 0.5
    low, high = estimate - half, estimate + half
    star = " *" if 0 in (table.treated.events, table.control.events) else ""
    text = f"{number(math.exp(estimate), 2)} ({interval(math.exp(low), math.exp(high), 2)})"
    return Row(study.label + star, control, treated, estimate, (low, high), None, text, study.risk_of_bias)


def _table(synthesis: EventSynthesis) -> Table:
    rows = tuple(
        (
            study.label,
            study.table.event,
            f"{study.table.months:g}",
            f"{study.table.control.events}/{study.table.control.n}",
            per_1000(study.control),
            f"{study.table.treated.events}/{study.table.treated.n}",
            per_1000(study.treated),
            NAMES[study.risk_of_bias],
            "; ".join(study.table.flags),
        )
        for study in synthesis.studies
    )
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    columns = (
        "Study",
        "Event",
        "Months",
        heading(control),
        "exact 95 %",
        heading(treated),
        "exact 95 %",
        "Risk of bias",
        "Notes",
    )
    return Table("Patients with the event of those at risk", columns, rows, keys=2)
