"""How far the pooled result moves: without each study, by other methods, on narrower sets of studies."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stemtrial.evidence.metarecord import MetaAnalysis, Variant
from stemtrial.report.colours import BLACK, BLUE, INK, MUTED
from stemtrial.report.evidence_words import heading, words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.forest import LINE, whisker
from stemtrial.report.plot import Plot, Scale, clip_text, ticks, widen
from stemtrial.report.wording import interval, number


def leave_one_out(synthesis: MetaAnalysis) -> Figure | None:
    """Draw the pooled result without each study in turn; ``None`` for a single study."""
    if not synthesis.left_one_out:
        return None
    return Figure(
        key="leave-one-out",
        title="Leaving one study out",
        description=(
            "The pooled result again without each study in turn (same method). If one line moves far from the "
            "others, the result rests on that study. The solid line is no difference, the dashed line the "
            "result of all studies."
        ),
        panels=(
            Panel(_draw_variants(synthesis, synthesis.left_one_out), _variant_table(synthesis.left_one_out)),
        ),
    )


def sensitivity(synthesis: MetaAnalysis) -> Figure | None:
    """Draw the result by other methods and on narrower sets of studies; ``None`` for a single study."""
    if not synthesis.variants:
        return None
    return Figure(
        key="sensitivity",
        title="Other methods and narrower sets of studies",
        description=(
            "The same question with one choice changed at a time. A result that holds in all lines rests less on "
            "our choices. Sets that contain every study already are not repeated."
        ),
        panels=(Panel(_draw_variants(synthesis, synthesis.variants), _variant_table(synthesis.variants)),),
    )


@dataclass(frozen=True)
class Line:
    """One result: its name, number of studies, estimate and interval, or why there is none."""

    name: str
    k: int
    estimate: float | None
    ci: tuple[float, float]
    status: str


def draw_lines(
    lines: Sequence[Line], *, axis: str, null: float, places: int, marks: Sequence[tuple[float, str]] = ()
) -> Markup:
    """Draw results under each other, the first one as the main result.

    Parameters
    ----------
    lines
        The main result first; it needs an estimate.
    axis
        Label of the axis.
    null
        Place of no difference.
    places
        Decimals of printed numbers.
    marks
        Further vertical lines with their labels.
    """
    known = [line for line in lines if line.estimate is not None]
    estimates = [null, *(line.estimate for line in known if line.estimate is not None)]
    widest = lines[0].ci[1] - lines[0].ci[0] if lines[0].estimate is not None else 0.0
    span = max(estimates) - min(estimates) + 2 * max(abs(e - null) for e in estimates) + 10**-places * 100
    span = max(span, widest)
    middle = sum((min(estimates), max(estimates))) / 2
    bounds = [min(max(end, middle - span), middle + span) for line in known for end in line.ci]
    low, high = widen([null, *bounds, *(value for value, _ in marks)])
    floor = 24 + LINE * len(lines)
    plot = Plot(x=(low, high), y=(0, 1), title="", width=860, height=floor + 56, left=330, right=210, top=20)
    plot.bottom, plot.py = 56, Scale(0, 1, floor, 20)
    plot.grid_x(ticks(low, high), axis, lines=True)
    plot.segment(plot.px(null), 16, plot.px(null), floor, INK, 1.4)
    if lines[0].estimate is not None:
        place = plot.px(lines[0].estimate)
        plot.segment(place, 16, place, floor, BLACK, 1.2, "5 3")
    for value, label in marks:
        plot.segment(plot.px(value), 16, plot.px(value), floor, INK, 1.3, "1.5 3")
        plot.text(plot.px(value), 12, label, "middle", INK)
    for row, line in enumerate(lines):
        y = 24 + LINE * row + LINE / 2
        plot.text(4, y + 4.4, clip_text(heading(line.name), 44), ink=INK, bold=row == 0)
        plot.text(316, y + 4.4, f"k = {line.k}", "end", MUTED)
        if line.estimate is None:
            plot.text(plot.width - 4, y + 4.4, clip_text(line.status, 34), "end", MUTED)
            continue
        whisker(plot, line.ci, y, BLACK if row == 0 else BLUE, 2.2)
        if low <= line.estimate <= high:
            plot.dot(plot.px(line.estimate), y, BLACK if row == 0 else BLUE, 5)
        plot.text(plot.width - 4, y + 4.4, _printed(line, places), "end", INK)
    spoken = "; ".join(f"{line.name}: {_printed(line, places)}" for line in known)
    return plot.svg(f"Pooled results. {spoken}.")


def _printed(line: Line, places: int) -> str:
    assert line.estimate is not None
    return f"{number(line.estimate, places)} ({interval(*line.ci, places)})"


def _draw_variants(synthesis: MetaAnalysis, variants: Sequence[Variant]) -> Markup:
    pooled = synthesis.pooled
    lines = [
        Line("All studies", pooled.k, pooled.estimate, pooled.ci, ""),
        *(
            Line(v.name, v.k, v.pooled.estimate, v.pooled.ci, v.status)
            if v.pooled
            else Line(v.name, v.k, None, (0.0, 0.0), v.status)
            for v in variants
        ),
    ]
    axis = "Difference, points (← favours " + words(synthesis.scope.intervention) + ")"
    return draw_lines(lines, axis=axis, null=0.0, places=1)


def _variant_table(variants: Sequence[Variant]) -> Table:
    rows = tuple(
        (
            heading(v.name),
            str(v.k),
            *(
                ("", "", "", "", v.status)
                if v.pooled is None
                else (
                    number(v.pooled.estimate, 2),
                    number(v.pooled.ci[0], 2),
                    number(v.pooled.ci[1], 2),
                    "" if v.pooled.tau2 is None else number(v.pooled.tau2, 1),
                    {"ok": "", "single_study": "one study"}.get(v.status, v.status),
                )
            ),
        )
        for v in variants
    )
    return Table(
        "Pooled difference, points", ("Variant", "Studies", "Difference", "low", "high", "τ²", "Status"), rows
    )
