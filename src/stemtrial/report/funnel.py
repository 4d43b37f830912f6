"""Funnel plot: effects against their standard errors, with contours of significance."""

from itertools import pairwise

from markupsafe import Markup

from stemtrial.evidence.heterogeneity import critical
from stemtrial.evidence.metarecord import MetaAnalysis
from stemtrial.report.colours import BLACK, BLUE, INK, MUTED, RULE
from stemtrial.report.evidence_words import p_words, words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, Scale, tag, ticks, widen
from stemtrial.report.wording import interval, number

CONTOURS = ((0.01, "#ffffff"), (0.05, "#e9edf1"), (0.10, "#d3dae2"), (1.0, "#b9c3ce"))
"""Shade of the region whose two-sided p value is below the first number, from the outside in."""


def funnel(synthesis: MetaAnalysis) -> Figure:
    """Draw the funnel plot, whatever the number of studies, and say what small-study tests say.

    Returns
    -------
    Figure
        One panel. Below ten studies the description says that asymmetry was not assessed.
    """
    return Figure(
        key="funnel",
        title="Funnel plot",
        description=(
            "Each study's difference against its standard error: large studies stand at the top. Shades: "
            "two-sided p of a study above 0.10 (darkest), 0.05 to 0.10, 0.01 to 0.05, below 0.01 (white). Dashed "
            "line: pooled difference. Studies missing from the darkest shade on one side hint at unpublished "
            f"results; so do chance and true differences between small and large studies. {small_studies(synthesis)}"
        ),
        panels=(Panel(_draw(synthesis), _table(synthesis)),),
    )


def small_studies(synthesis: MetaAnalysis) -> str:
    """Say what the small-study diagnostics found, or that they were not computed."""
    found = synthesis.small_studies
    k = synthesis.pooled.k
    if found.status == "too_few_studies" or found.egger.p is None:
        return f"Small-study effects: not assessed (k = {k}, fewer than 10)."
    text = f"Egger's test: {p_words(found.egger.p)} (k = {k})."
    filled, pet = found.trim_and_fill, found.pet_peese
    if filled.pooled is not None:
        text += (
            f" Trim and fill: {filled.missing} studies filled in on the {filled.side}, difference then "
            f"{number(filled.pooled.estimate)} ({interval(*filled.pooled.ci)})."
        )
    if pet.estimate is not None and pet.ci is not None:
        text += f" {pet.chosen}: {number(pet.estimate)} ({interval(*pet.ci)})."
    return text


def _draw(synthesis: MetaAnalysis) -> Markup:
    errors = [v**0.5 for v in synthesis.v]
    _, deepest = widen([0.0, 1.08 * max(errors)], 6)
    reach = 1.1 * critical(0.99, None) * deepest
    low, high = widen([*synthesis.y, synthesis.pooled.estimate, -reach, reach])
    plot = Plot(x=(low, high), y=(0, deepest), title="", width=680, height=430, left=56, top=34)
    plot.py = Scale(0, deepest, plot.top, plot.height - plot.bottom)
    plot.box(
        plot.left, plot.top, plot.width - plot.left - plot.right, plot.py(deepest) - plot.top, CONTOURS[0][1]
    )
    for (level, _), (_, shade) in pairwise(CONTOURS):
        half = critical(1 - level, None) * deepest
        apex = f"{plot.px(0):.2f},{plot.py(0):.2f}"
        base = f"{plot.px(half):.2f},{plot.py(deepest):.2f} {plot.px(-half):.2f},{plot.py(deepest):.2f}"
        plot.marks.append(tag("polygon", points=f"{apex} {base}", fill=shade, data_kind=f"p-{level:g}"))
    for value in ticks(0, deepest, 6):
        plot.segment(plot.left - 5, plot.py(value), plot.left, plot.py(value), MUTED)
        plot.text(plot.left - 8, plot.py(value) + 4.3, f"{value:g}", "end")
    plot.text(4, plot.top - 14, "Standard error, points (larger studies above)", ink=INK)
    plot.grid_x(ticks(low, high), f"Difference, points (← favours {words(synthesis.scope.intervention)})")
    plot.segment(plot.left, plot.py(0), plot.width - plot.right, plot.py(0), RULE)
    plot.segment(plot.left, plot.py(deepest), plot.width - plot.right, plot.py(deepest), MUTED)
    plot.segment(plot.px(0), plot.top, plot.px(0), plot.py(deepest), INK, 1.2)
    place = plot.px(synthesis.pooled.estimate)
    plot.segment(place, plot.top, place, plot.py(deepest), BLACK, 1.6, "6 3")
    for study, y, error in zip(synthesis.studies, synthesis.y, errors, strict=True):
        x, depth = plot.px(y), plot.py(error)
        plot.dot(x, depth, BLUE, 5)
        left = x > plot.width - 160
        plot.text(x - 9 if left else x + 9, depth + 4.3, study.label, "end" if left else None, INK, halo=True)
    spoken = "; ".join(
        f"{study.label} {number(y)}, standard error {number(e)}"
        for study, y, e in zip(synthesis.studies, synthesis.y, errors, strict=True)
    )
    return plot.svg(f"Funnel plot. {spoken}.")


def _table(synthesis: MetaAnalysis) -> Table:
    rows = tuple(
        (study.label, number(y, 2), number(v**0.5, 2))
        for study, y, v in zip(synthesis.studies, synthesis.y, synthesis.v, strict=True)
    )
    return Table("Difference and its standard error, points", ("Study", "Difference", "Standard error"), rows)
