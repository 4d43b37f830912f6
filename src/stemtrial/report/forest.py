"""Forest plots: each study's numbers, interval and weight, the pooled result, and what it is pooled from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from markupsafe import Markup

from stemtrial.evidence.groups import Group
from stemtrial.evidence.metarecord import METHODS, TESTS, MetaAnalysis, Study
from stemtrial.report.colours import BLACK, BLUE, INK, MUTED, RULE, VERMILLION
from stemtrial.report.evidence_words import either, heading, heterogeneity, words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, Scale, clip_text, tag, ticks, widen
from stemtrial.report.trafficlight import NAMES, key, light
from stemtrial.report.wording import MINUS, THIN, interval, number

WIDTH = 980.0
LINE = 26.0
TOP = 58.0
LEFT, RIGHT = 456.0, 692.0
"""Ends of the plotting area of a forest plot, between the groups' numbers and the results."""


@dataclass(frozen=True)
class Row:
    """One line of a forest plot; an interval is missing where the study cannot tell."""

    label: str
    control: tuple[str, str]
    treated: tuple[str, str]
    estimate: float | None
    ci: tuple[float, float] | None
    weight: float | None
    result: str
    risk: str | None


@dataclass(frozen=True)
class Pool:
    """One pooled line: a diamond, or a bar for a prediction interval (no estimate)."""

    label: str
    estimate: float | None
    ci: tuple[float, float]
    result: str


def forest(synthesis: MetaAnalysis) -> Figure:
    """Draw the forest plot of a synthesis.

    Returns
    -------
    Figure
        One wide panel; the comparator's numbers stand first.
    """
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    how = method(synthesis)
    important = (
        f" Dotted lines: smallest important difference ({number(synthesis.mcid.value, 0)} points, "
        f"{synthesis.mcid.kind.replace('_', ' ')}; {synthesis.mcid.population})."
        if synthesis.mcid
        else ""
    )
    return Figure(
        key="forest",
        title=f"{heading(synthesis.outcome)} at about {synthesis.month:g} months: {treated} against {control}",
        description=(
            f"Mean difference, {treated} minus {control}, on 0\N{WORD JOINER}–\N{WORD JOINER}100 where lower is "
            f"better: left of 0 favours {treated}. Squares: studies, area in proportion to weight; lines: "
            f"95{THIN}% confidence intervals. Diamond: pooled mean ({how}); bar below it: 95{THIN}% prediction "
            f"interval, where the true effect of a further trial may lie. An arrow marks an interval that leaves "
            f"the axis.{important} Risk of bias: {key()}."
        ),
        panels=(Panel(_draw(synthesis), _table(synthesis)),),
    )


def method(synthesis: MetaAnalysis) -> str:
    """Name the model and the interval of the pooled result."""
    pooled = synthesis.pooled
    return (
        "one study, normal interval" if pooled.k == 1 else f"{METHODS[pooled.method]}, {TESTS[pooled.test]}"
    )


def marks(studies: Sequence[Study]) -> dict[str, str]:
    """Give each derivation a letter, in order of first mention."""
    flags = dict.fromkeys(flag for study in studies for flag in study.flags)
    return {flag: chr(ord("a") + i) if i < 26 else f"a{i - 25}" for i, flag in enumerate(flags)}


def cells(group: Group | None) -> tuple[str, str]:
    """Return persons, and mean with standard deviation, of one side as printed."""
    if group is None:
        return "", "difference only"
    persons = number(group.n, 0 if group.n == round(group.n) else 1)
    return persons, f"{number(group.mean)} ({number(group.sd)})"


def _row(study: Study, letters: dict[str, str]) -> Row:
    noted = "".join(sorted(letters[flag] for flag in study.flags))
    return Row(
        label=study.label + (f" [{noted}]" if noted else ""),
        control=cells(study.contrast.control),
        treated=cells(study.contrast.treated),
        estimate=study.contrast.y,
        ci=study.ci,
        weight=study.weight,
        result=f"{number(study.contrast.y)} ({interval(*study.ci)})",
        risk=study.risk_of_bias,
    )


def _pools(synthesis: MetaAnalysis) -> list[Pool]:
    pooled = synthesis.pooled
    if pooled.k == 1:
        return []
    found = [
        Pool("Pooled", pooled.estimate, pooled.ci, f"{number(pooled.estimate)} ({interval(*pooled.ci)})")
    ]
    if pooled.prediction:
        found.append(
            Pool(
                f"95{THIN}% prediction interval", None, pooled.prediction, f"({interval(*pooled.prediction)})"
            )
        )
    return found


def _draw(synthesis: MetaAnalysis) -> Markup:
    letters = marks(synthesis.studies)
    rows = [_row(study, letters) for study in synthesis.studies]
    pools = _pools(synthesis)
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    bounds = [end for row in rows for end in row.ci or ()] + [end for pool in pools[:1] for end in pool.ci]
    important = [synthesis.mcid.value] if synthesis.mcid else []
    bounds += [0.0, *important, *(-x for x in important)]
    span = max(bounds) - min(bounds)
    bounds += [
        min(max(end, min(bounds) - 0.25 * span), max(bounds) + 0.25 * span)
        for pool in pools[1:]
        for end in pool.ci
    ]
    low, high = widen(bounds)
    notes = ["; ".join(f"{letter}: {flag}" for flag, letter in letters.items())] if letters else []
    spoken = "; ".join(f"{row.label} {row.result}" for row in rows)
    pooled = "; ".join(f"{pool.label} {pool.result}" for pool in pools)
    return draw_rows(
        rows,
        pools,
        axis=(low, high),
        marks_at=ticks(low, high),
        lines=[(x, f"MCID {number(x, 0)}") for value in important for x in (-value, value)],
        null=0.0,
        names=(control, treated),
        columns=("n", "mean (SD)"),
        measure=f"Difference (95{THIN}% CI)",
        below=[]
        if synthesis.pooled.k == 1
        else [f"{heading(method(synthesis))}.  {heterogeneity(synthesis)}"],
        notes=notes,
        label=f"Forest plot. {spoken}. {pooled}.",
    )


def draw_rows(
    rows: Sequence[Row],
    pools: Sequence[Pool],
    *,
    axis: tuple[float, float],
    marks_at: Sequence[float],
    lines: Sequence[tuple[float, str]],
    null: float,
    names: tuple[str, str],
    columns: tuple[str, str],
    measure: str,
    below: Sequence[str],
    notes: Sequence[str],
    label: str,
    log: bool = False,
    ends: tuple[str, str] | None = None,
) -> Markup:
    """Draw the lines of a forest plot.

    Parameters
    ----------
    rows, pools
        Studies, and pooled lines under them.
    axis, marks_at, null
        Ends and ticks of the axis (logarithms for ratios) and the place of no difference.
    lines
        Further vertical lines with their labels.
    names
        Comparator and treatment, as inside a sentence.
    columns, measure
        Headings of the two numbers of each side, and of the result.
    below, notes
        Text under the rows, and the notes that rows refer to.
    label
        What a listener is told.
    log
        Whether axis numbers are logarithms whose ratios are printed.
    ends
        What lies to the left and to the right of no difference, where it is not a side that is favoured.
    """
    wrapped = [line for text in (*below, *notes) for line in wrap(text, 150)]
    floor = TOP + LINE * (len(rows) + len(pools)) + 14
    height = floor + 60 + 19 * len(wrapped) + 6
    plot = Plot(
        x=axis, y=(0, 1), title="", width=WIDTH, height=height, left=LEFT, right=WIDTH - RIGHT, top=TOP
    )
    plot.bottom = height - floor
    plot.py = Scale(0, 1, floor, TOP)
    _headings(plot, names, columns, measure, any(row.weight is not None for row in rows))
    for value in marks_at:
        plot.segment(plot.px(value), TOP - 6, plot.px(value), floor, RULE)
        plot.segment(plot.px(value), floor, plot.px(value), floor + 5, MUTED)
        printed = f"{math.exp(value):.3g}" if log else f"{value:g}".replace("-", MINUS)
        plot.text(plot.px(value), floor + 19, printed, "middle")
    plot.segment(LEFT, floor, RIGHT, floor, MUTED)
    plot.segment(plot.px(null), TOP - 6, plot.px(null), floor, INK, 1.4)
    for place, (value, words_) in enumerate(lines):
        if axis[0] < value < axis[1]:
            plot.segment(plot.px(value), TOP - 6, plot.px(value), floor, INK, 1.3, "1.5 3")
            if place == 0:
                plot.text(plot.px(value), TOP - 10, words_, "middle", INK)
    heaviest = max((row.weight or 0.0 for row in rows), default=0.0) or 1.0
    for place, row in enumerate(rows):
        _study_line(plot, row, TOP + LINE * place + LINE / 2, heaviest)
    for place, pool in enumerate(pools):
        _pool_line(plot, pool, TOP + LINE * (len(rows) + place) + LINE / 2 + 6)
    middle = plot.px(null)
    left, right = ends or (f"favours {clip_text(names[1], 22)}", f"favours {clip_text(names[0], 26)}")
    plot.text(min(middle, RIGHT) - 8, floor + 40, f"← {left}", "end", INK)
    plot.text(middle + 8, floor + 40, f"{right} →", ink=INK)
    for place, line in enumerate(wrapped):
        plot.text(4, floor + 64 + 19 * place, line, ink=INK if place < len(below) else MUTED)
    return plot.svg(label)


def _headings(
    plot: Plot, names: tuple[str, str], columns: tuple[str, str], measure: str, weighted: bool
) -> None:
    plot.text(4, TOP - 12, "Study", ink=INK, bold=True)
    for name, start, end in ((names[0], 208.0, 318.0), (names[1], 334.0, 444.0)):
        plot.text(end, TOP - 32, clip_text(heading(name), 20), "end", INK, bold=True)
        plot.text(start + 22, TOP - 12, columns[0], "end", INK, bold=True)
        plot.text(end, TOP - 12, columns[1], "end", INK, bold=True)
    plot.text(864, TOP - 12, measure, "end", INK, bold=True)
    if weighted:
        plot.text(928, TOP - 12, "Weight", "end", INK, bold=True)
    plot.text(962, TOP - 12, "Bias", "middle", INK, bold=True)
    plot.segment(4, TOP - 4, LEFT - 8, TOP - 4, INK, 1.2)
    plot.segment(RIGHT + 8, TOP - 4, WIDTH - 4, TOP - 4, INK, 1.2)


def _study_line(plot: Plot, row: Row, y: float, heaviest: float) -> None:
    plot.text(4, y + 4.4, clip_text(row.label, 30), ink=INK)
    for (persons, mean), start, end in ((row.control, 208.0, 318.0), (row.treated, 334.0, 444.0)):
        plot.text(start + 22, y + 4.4, persons, "end", INK)
        plot.text(end, y + 4.4, mean, "end", INK)
    if row.ci is not None and row.estimate is not None:
        whisker(plot, row.ci, y, BLUE, 1.8)
        if plot.x[0] <= row.estimate <= plot.x[1]:
            half = 4.5 if row.weight is None else 2.5 + 5.5 * math.sqrt(row.weight / heaviest)
            plot.box(plot.px(row.estimate) - half, y - half, 2 * half, 2 * half, BLUE)
    plot.text(864, y + 4.4, row.result, "end", INK)
    if row.weight is not None:
        plot.text(928, y + 4.4, f"{number(row.weight)}{THIN}%", "end", INK)
    if row.risk is not None:
        light(plot, 962, y, row.risk)


def _pool_line(plot: Plot, pool: Pool, y: float) -> None:
    plot.text(4, y + 4.4, pool.label, ink=INK, bold=True)
    plot.text(864, y + 4.4, pool.result, "end", INK, bold=True)
    low, high = pool.ci
    if pool.estimate is None:
        whisker(plot, pool.ci, y, VERMILLION, 4.0)
        return
    left, top, right = plot.px(low), plot.px(pool.estimate), plot.px(high)
    shape = f"{left:.2f},{y:.2f} {top:.2f},{y - 8:.2f} {right:.2f},{y:.2f} {top:.2f},{y + 8:.2f}"
    plot.marks.append(tag("polygon", points=shape, fill=BLACK, data_kind="pooled"))


def whisker(plot: Plot, ci: tuple[float, float], y: float, colour: str, width: float) -> None:
    """Draw an interval, with an arrowhead on a side that leaves the axis."""
    low, high = plot.px(ci[0]), plot.px(ci[1])
    plot.segment(low, y, high, y, colour, width)
    for value, end, way in ((ci[0], low, 7.0), (ci[1], high, -7.0)):
        if not plot.x[0] <= value <= plot.x[1]:
            plot.marks.append(
                tag("path", d=f"M{end:.2f} {y:.2f}l{way:g} -5v10z", fill=colour, data_kind="leaves-axis")
            )


def _table(synthesis: MetaAnalysis) -> Table:
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    rows = [
        (
            study.label,
            *cells(study.contrast.control),
            *cells(study.contrast.treated),
            number(study.contrast.y, 2),
            number(study.ci[0], 2),
            number(study.ci[1], 2),
            number(study.weight, 1),
            NAMES[study.risk_of_bias],
            f"{study.contrast.month:g}",
            "; ".join(study.flags),
        )
        for study in synthesis.studies
    ]
    blank = ("", "", "", "")
    for pool in _pools(synthesis):
        estimate = "" if pool.estimate is None else number(pool.estimate, 2)
        rows.append(
            (pool.label, *blank, estimate, number(pool.ci[0], 2), number(pool.ci[1], 2), "", "", "", "")
        )
    columns = (
        "Study",
        f"{heading(control)}: n",
        "mean (SD)",
        f"{heading(treated)}: n",
        "mean (SD)",
        "Difference",
        "low",
        "high",
        "Weight, %",
        "Risk of bias",
        "Month",
        "Derived",
    )
    return Table("Studies on 0–100, lower is better, and the pooled result", columns, tuple(rows))
