"""Time course of treatment effects: curves with credible and prediction bands, and the trials beneath them."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stemtrial.report.colours import ARM_COLOURS, BLUE, INK
from stemtrial.report.evidence_words import heading, words
from stemtrial.report.figure import Figure, Panel, Table, stride
from stemtrial.report.plot import Entry, Plot, ticks, widen
from stemtrial.report.wording import interval, month, number


@dataclass(frozen=True)
class EffectCourse:
    """Effect of a treatment against the reference over time, points of 0-100; negative favours it.

    Attributes
    ----------
    treatment
        Word of the tables.
    months, mean, low, high
        Mean effect and its credible band.
    prediction_low, prediction_high
        Band for the effect in a new trial; empty where not computed.
    observed
        Month, difference, lower and upper end of each trial's own contrast with the reference.
    """

    treatment: str
    months: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    prediction_low: tuple[float, ...] = ()
    prediction_high: tuple[float, ...] = ()
    observed: tuple[tuple[float, float, float, float], ...] = ()


def time_course_plot(courses: Sequence[EffectCourse], reference: str, mcid: float | None) -> Figure:
    """Draw one panel a treatment, all on the same axes.

    Returns
    -------
    Figure
        Panels in the order given.
    """
    lines = f" Dotted line: smallest important difference ({number(mcid, 0)} points)." if mcid else ""
    return Figure(
        key="time-course",
        title=f"Effect over time against {words(reference)}",
        description=(
            f"Difference in mean score, treatment minus {words(reference)}, points of "
            "0\N{WORD JOINER}–\N{WORD JOINER}100 where below 0 favours the treatment. Line: posterior mean; dark "
            "band: 95 % credible interval of the mean effect; light band: 95 % prediction interval of a further "
            f"trial. Dots with whiskers (cut at the axis): trials that compare the two directly.{lines} Months "
            "without dots near them rest on other comparisons and on the shape of the curve."
        ),
        panels=tuple(Panel(_draw(courses, course, reference, mcid), _table(course)) for course in courses),
    )


def _draw(
    courses: Sequence[EffectCourse], course: EffectCourse, reference: str, mcid: float | None
) -> Markup:
    seen = [0.0, -(mcid or 0.0)]
    for each in courses:
        seen += [*each.low, *each.high]
    span = max(seen) - min(seen)
    wide = [end for each in courses for end in (*each.prediction_low, *each.prediction_high)]
    wide += [end for each in courses for point in each.observed for end in point[1:]]
    seen += [min(max(end, min(seen) - 0.2 * span), max(seen) + 0.2 * span) for end in wide]
    low, high = widen(seen)
    colour = (
        BLUE if len(courses) == 1 else ARM_COLOURS[1 + list(courses).index(course) % (len(ARM_COLOURS) - 1)]
    )
    entries = [Entry("posterior mean", colour)]
    if course.observed:
        entries.append(Entry("trials, 95 %", INK, dot="hollow"))
    last = max(max(each.months) for each in courses)
    plot = Plot(x=(0, last), y=(low, high), title=heading(words(course.treatment)), entries=entries)
    plot.grid_y(ticks(low, high), "Difference, points (below 0 favours the treatment ↓)")
    plot.grid_x(ticks(0, last, 9), "Months after treatment")
    if course.prediction_low:
        plot.band(
            course.months, course.prediction_low, course.prediction_high, colour, 0.13, kind="prediction"
        )
    plot.band(course.months, course.low, course.high, colour, 0.28, kind="credible")
    plot.rule(INK, y=0, width=1.4)
    if mcid:
        plot.rule(INK, y=-mcid, dash="1.5 3", width=1.5)
    plot.line(course.months, course.mean, colour, kind="mean")
    for when, value, first, end in course.observed:
        if when <= last:
            plot.segment(plot.px(when), plot.py(first), plot.px(when), plot.py(end), INK, 1.1)
            plot.dot(plot.px(when), plot.py(value), INK, 3.6, hollow=True)
    step = stride(len(course.months)) * 3
    spoken = "; ".join(
        f"month {month(course.months[i])}: {number(course.mean[i])} ({interval(course.low[i], course.high[i])})"
        for i in range(0, len(course.months), step)
    )
    return plot.svg(f"{heading(words(course.treatment))} against {words(reference)}. {spoken}.")


def _table(course: EffectCourse) -> Table:
    picked = range(0, len(course.months), stride(len(course.months)))
    rows = tuple(
        (
            month(course.months[i]),
            number(course.mean[i], 2),
            interval(course.low[i], course.high[i], 2),
            interval(course.prediction_low[i], course.prediction_high[i], 2) if course.prediction_low else "",
        )
        for i in picked
    )
    columns = ("Month", "Mean", "95 % credible", "95 % prediction")
    return Table(f"{heading(words(course.treatment))}: difference, points", columns, rows)
