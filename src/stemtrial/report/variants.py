"""How far the pooled result moves: without each study, by other methods, on narrower sets of studies."""

from collections.abc import Sequence

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


def _draw_variants(synthesis: MetaAnalysis, variants: Sequence[Variant]) -> Markup:
    pooled = [v.pooled for v in variants if v.pooled is not None]
    estimates = [synthesis.pooled.estimate, 0.0, *(p.estimate for p in pooled)]
    span = max(estimates) - min(estimates) + 2 * max(abs(e) for e in estimates) + 10
    middle = sum((min(estimates), max(estimates))) / 2
    bounds = [
        min(max(end, middle - span), middle + span) for p in (*pooled, synthesis.pooled) for end in p.ci
    ]
    low, high = widen([0.0, *bounds])
    floor = 24 + LINE * (len(variants) + 1)
    plot = Plot(x=(low, high), y=(0, 1), title="", width=860, height=floor + 56, left=330, right=210, top=20)
    plot.bottom, plot.py = 56, Scale(0, 1, floor, 20)
    plot.grid_x(
        ticks(low, high),
        "Difference, points (← favours " + words(synthesis.scope.intervention) + ")",
        lines=True,
    )
    plot.segment(plot.px(0), 16, plot.px(0), floor, INK, 1.4)
    place = plot.px(synthesis.pooled.estimate)
    plot.segment(place, 16, place, floor, BLACK, 1.2, "5 3")
    lines = [
        ("All studies", synthesis.pooled.k, synthesis.pooled, ""),
        *((v.name, v.k, v.pooled, v.status) for v in variants),
    ]
    for row, (name, k, result, status) in enumerate(lines):
        y = 24 + LINE * row + LINE / 2
        plot.text(4, y + 4.4, clip_text(heading(name), 44), ink=INK, bold=row == 0)
        plot.text(316, y + 4.4, f"k = {k}", "end", MUTED)
        if result is None:
            plot.text(plot.width - 4, y + 4.4, clip_text(status, 34), "end", MUTED)
            continue
        whisker(plot, result.ci, y, BLACK if row == 0 else BLUE, 2.2)
        if low <= result.estimate <= high:
            plot.dot(plot.px(result.estimate), y, BLACK if row == 0 else BLUE, 5)
        plot.text(plot.width - 4, y + 4.4, f"{number(result.estimate)} ({interval(*result.ci)})", "end", INK)
    spoken = "; ".join(
        f"{n}: {number(r.estimate)} ({interval(*r.ci)})" for n, _, r, _ in lines if r is not None
    )
    return plot.svg(f"Pooled results. {spoken}.")


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
