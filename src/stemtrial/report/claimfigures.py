"""Figures of claims: the studies of a part, how a part moves, and all probabilities beside each other."""

from collections.abc import Sequence
from math import exp, log

from markupsafe import Markup

from stemtrial.claims.assessing import Assessment, PartResult
from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum
from stemtrial.claims.estimating import Estimate, on_scale
from stemtrial.claims.rule import CONTRADICTED, SUPPORTED
from stemtrial.claims.sentences import cells_words, comparator_words
from stemtrial.evidence.heterogeneity import critical
from stemtrial.report.claimtables import (
    digits,
    plain_number,
    probability_words,
    signed_cells,
    studies_table,
    variant_table,
)
from stemtrial.report.colours import BLACK, BLUE, BLUISH_GREEN, INK, MUTED, VERMILLION
from stemtrial.report.evidence_words import either, heading
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.forest import LINE, Pool, Row, draw_rows, whisker
from stemtrial.report.plot import Plot, Scale, clip_text, ticks, widen
from stemtrial.report.trafficlight import key
from stemtrial.report.variants import Line, draw_lines
from stemtrial.report.wording import interval, number

_AXES = {
    "difference": ("Difference, points of 0–100, lower is better", "mean (SD)"),
    "marker": ("Standardised difference, negative is better", "mean (SD)"),
    "events": ("More events per 1,000", "with event"),
    "durability": ("Late − share × early, points; below 0 more is left", "mean (SD)"),
    "response_spread": ("Ratio of standard deviations", "mean (SD)"),
    "protocol_spread": ("Difference, points of 0–100, lower is better", "mean (SD)"),
}
_RATIOS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 5.0, 10.0)
_ENDS = {
    "events": ("fewer events with cells", "more events with cells"),
    "durability": ("more is left", "less is left"),
    "response_spread": ("less scatter with cells", "more scatter with cells"),
}


def part_forest(result: PartResult) -> Figure | None:
    """Draw what each study of a part contributes and the pooled result; ``None`` without studies.

    Returns
    -------
    Figure
        One wide panel, the comparator's numbers first. Studies without any event carry no interval.
    """
    part = result.part
    if not result.body.data:
        return None
    ratio = part.kind == "response_spread"
    found = result.found if isinstance(result.found, Estimate) else None
    weights = found.weights if found and part.kind != "events" else ()
    rows = [
        _row(part, datum, weights[place] if weights else None) for place, datum in enumerate(result.body.data)
    ]
    pools = _pools(part, found)
    bounds = [end for row in rows for end in row.ci or ()] + [end for pool in pools[:1] for end in pool.ci]
    lines = _threshold(part)
    low, high = widen(_held([0.0, *bounds, *(value for value, _ in lines)]))
    at = [log(x) for x in _RATIOS if low <= log(x) <= high] if ratio else ticks(low, high)
    spoken = [f"{row.label} {row.result}" for row in rows] + [f"{pool.label} {pool.result}" for pool in pools]
    svg = draw_rows(
        rows,
        pools,
        axis=(low, high),
        marks_at=at,
        lines=lines,
        null=0.0,
        names=_names(part),
        columns=("n", _AXES[part.kind][1]),
        measure="Ratio (95 % CI)" if ratio else "Effect (95 % CI)",
        below=[] if found is None else [heading(found.method) + "."],
        notes=["−: trials of the other cells, whose result is taken from that of the others."]
        if any(datum.side == -1 for datum in result.body.data)
        else [],
        label=f"Forest plot. {'; '.join(spoken)}.",
        log=ratio,
        ends=_ENDS.get(part.kind),
    )
    return Figure(
        key=f"forest-{result.name}",
        title=f"{heading(result.name.replace('_', ' '))}: the studies",
        description=(
            f"{_AXES[part.kind][0]}. Squares: studies; lines: 95 % intervals; an arrow marks one that leaves the axis. "
            + ("Diamond: pooled result. " if pools else "")
            + ("Bar below it: 95 % prediction interval for a further trial. " if len(pools) > 1 else "")
            + (f"Dotted line: threshold of the claim, which asks that {part.asks}. " if lines else "")
            + f"Risk of bias: {key()}."
        ),
        panels=(Panel(svg, studies_table(result)),),
    )


def _names(part: Part) -> tuple[str, str]:
    """Name the two sides of every study; trials of the other cells have the same sides."""
    if part.against is not None:
        return either(part.comparator), "cells"
    return comparator_words(part), cells_words(part.cells)


def _row(part: Part, datum: Datum, weight: float | None) -> Row:
    name = datum.label + (" −" if datum.side == -1 else "")
    sides = signed_cells(datum.control), signed_cells(datum.treated)
    if datum.v is None:
        return Row(name, *sides, None, None, None, "no event", datum.risk_of_bias)
    half = critical(0.95, None) * datum.v**0.5
    ci = (datum.y - half, datum.y + half)
    return Row(name, *sides, datum.y, ci, weight, _printed(part, datum.y, ci), datum.risk_of_bias)


def _printed(part: Part, value: float, ci: tuple[float, float]) -> str:
    places = 1 if part.kind == "protocol_spread" else digits(part)
    if part.kind == "response_spread":
        value, ci = exp(value), (exp(ci[0]), exp(ci[1]))
    return f"{number(value, places)} ({interval(*ci, places)})"


def _pools(part: Part, found: Estimate | None) -> list[Pool]:
    if found is None or found.k == 1 or part.kind == "protocol_spread":
        return []
    scale = log if part.kind == "response_spread" else float
    ends = (scale(found.interval[0]), scale(found.interval[1]))
    pools = [Pool("Pooled", scale(found.value), ends, _printed(part, scale(found.value), ends))]
    if found.prediction is not None:
        new = (scale(found.prediction[0]), scale(found.prediction[1]))
        printed = f"({interval(*found.prediction, digits(part))})"
        pools.append(Pool("95 % prediction interval", None, new, printed))
    return pools


def _threshold(part: Part) -> list[tuple[float, str]]:
    if part.kind in ("durability", "protocol_spread"):
        return []
    return [(on_scale(part, part.threshold), f"threshold {plain_number(part.threshold)}")]


def _held(bounds: Sequence[float]) -> list[float]:
    """Keep one wild interval from squeezing all others."""
    ordered = sorted(bounds)
    middle = ordered[len(ordered) // 8 : len(ordered) - len(ordered) // 8]
    span = max(middle[-1] - middle[0], 1e-9)
    return [min(max(end, middle[0] - 0.6 * span), middle[-1] + 0.6 * span) for end in bounds]


def part_sensitivity(result: PartResult) -> Figure | None:
    """Draw a part with narrower sets of studies; ``None`` where it has no estimate."""
    part, found = result.part, result.found
    if not isinstance(found, Estimate):
        return None
    lines = [Line("all studies", found.k, found.value, found.interval, "")]
    for variant in result.sensitivity:
        again = variant.found
        if again is None:
            lines.append(Line(variant.name, variant.k, None, (0.0, 0.0), variant.status))
        else:
            lines.append(Line(variant.name, variant.k, again.value, again.interval, variant.status))
    null = {"response_spread": 1.0}.get(part.kind, 0.0)
    marks = [] if part.kind == "durability" else [(part.threshold, "threshold")]
    axis = (
        "Share of the variance between trials, %" if part.kind == "protocol_spread" else _AXES[part.kind][0]
    )
    return Figure(
        key=f"sensitivity-{result.name}",
        title=f"{heading(result.name.replace('_', ' '))}: narrower sets of studies",
        description=(
            "The same estimate without open-label trials, without trials at high risk of bias, and without the trial "
            "whose absence moves the probability of the claim furthest. A result that holds in all lines rests less "
            "on single trials."
        ),
        panels=(
            Panel(
                draw_lines(lines, axis=axis, null=null, places=digits(part), marks=marks),
                variant_table(result),
            ),
        ),
    )


def probabilities(found: Sequence[Assessment]) -> Figure:
    """Draw the probability of every claim on one axis, its verdict in words beside it."""
    rows = tuple(
        (
            each.claim.title,
            probability_words(each.judged),
            each.judged.certainty.replace("_", " "),
            each.verdict,
        )
        for each in found
    )
    return Figure(
        key="probabilities",
        title="How probable each promise is",
        description=(
            "Points: probability that the promise holds on the published trials; bars: its bounds where several "
            "things must hold or data are missing. Left of 0.05 a promise is contradicted and right of 0.95 "
            "supported, but only if the certainty beside it is at least moderate; probability alone decides nothing."
        ),
        panels=(
            Panel(
                _draw_probabilities(found), Table("Verdicts", ("Claim", "P", "Certainty", "Verdict"), rows)
            ),
        ),
    )


_COLOURS = {"supported": BLUISH_GREEN, "contradicted": VERMILLION, "uncertain": BLUE}


def _draw_probabilities(found: Sequence[Assessment]) -> Markup:
    floor = 30 + LINE * len(found)
    plot = Plot(x=(0.0, 1.0), y=(0, 1), title="", width=900, height=floor + 56, left=320, right=250, top=26)
    plot.bottom, plot.py = 56, Scale(0, 1, floor, 26)
    plot.grid_x((0.0, 0.25, 0.5, 0.75, 1.0), "Probability that the promise holds", lines=True)
    for value in (CONTRADICTED, SUPPORTED):
        plot.segment(plot.px(value), 22, plot.px(value), floor, INK, 1.3, "1.5 3")
        plot.text(plot.px(value), 16, f"{value:g}", "middle", INK)
    for place, each in enumerate(found):
        y, colour = 30 + LINE * place + LINE / 2, _COLOURS[each.verdict]
        plot.text(4, y + 4.4, clip_text(each.claim.title, 46), ink=INK)
        low, high = each.judged.p
        if low == high:
            plot.dot(plot.px(low), y, colour, 5.5)
        elif (low, high) != (0.0, 1.0):
            whisker(plot, (low, high), y, colour, 4.5)
        else:
            plot.text(plot.px(0.5), y + 4.4, "no data", "middle", MUTED)
        plot.text(660, y + 4.4, each.verdict, ink=BLACK, bold=each.verdict != "uncertain")
        plot.text(
            plot.width - 4, y + 4.4, f"{each.judged.certainty.replace('_', ' ')} certainty", "end", MUTED
        )
    spoken = "; ".join(
        f"{each.claim.title}: {each.verdict}, P {probability_words(each.judged)}" for each in found
    )
    return plot.svg(f"Probabilities of the claims. {spoken}.")
