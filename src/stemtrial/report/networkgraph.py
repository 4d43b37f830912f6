"""Network graph: which treatments were compared directly, in how many trials and patients."""

import math
from collections.abc import Mapping

from markupsafe import Markup

from stemtrial.report.colours import BLACK, BLUE, INK, MUTED
from stemtrial.report.evidence_words import heading, words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot
from stemtrial.report.wording import number


def network_graph(
    patients: Mapping[str, float], trials: Mapping[tuple[str, str], int], reference: str, title: str
) -> Figure:
    """Draw treatments as discs and direct comparisons as lines.

    Parameters
    ----------
    patients
        Number of patients of each treatment; the disc's area is in proportion.
    trials
        Number of trials of each direct comparison; the line's width is in proportion.
    reference
        The common comparator, drawn in black at the top.
    title
        Outcome and time.

    Returns
    -------
    Figure
        One panel with one table row a comparison.
    """
    return Figure(
        key="network",
        title=title,
        description=(
            "Discs: treatments, area in proportion to patients. Lines: direct comparisons within trials, width in "
            "proportion to the number of trials, which stands on the line. Treatments without any path of lines "
            "between them have no common comparator and cannot be compared."
        ),
        panels=(Panel(_draw(patients, trials, reference), _table(patients, trials)),),
    )


def _draw(patients: Mapping[str, float], trials: Mapping[tuple[str, str], int], reference: str) -> Markup:
    names = [reference, *sorted(name for name in patients if name != reference)]
    width, height, ring = 980.0, 500.0, 175.0
    plot = Plot(x=(0, 1), y=(0, 1), title="", width=width, height=height)
    centre = (width / 2, height / 2)
    spots = {
        name: (
            centre[0] + 1.35 * ring * math.sin(2 * math.pi * place / len(names)),
            centre[1] - ring * math.cos(2 * math.pi * place / len(names)),
        )
        for place, name in enumerate(names)
    }
    most = max(patients.values())
    for (one, other), count in sorted(trials.items()):
        plot.segment(*spots[one], *spots[other], "#8d99a6", 1.0 + 1.6 * count)
    for (one, other), count in sorted(trials.items()):
        (x1, y1), (x2, y2) = spots[one], spots[other]
        near = 0.42 if one < other else 0.58
        plot.text(
            x1 + near * (x2 - x1), y1 + near * (y2 - y1) + 4.4, count, "middle", INK, bold=True, halo=True
        )
    for name in names:
        x, y = spots[name]
        radius = 7 + 22 * math.sqrt(patients[name] / most)
        plot.dot(x, y, BLACK if name == reference else BLUE, radius)
        away = (x - centre[0]) / (1.35 * ring)
        beside = abs(away) > 0.05
        shift = radius + 8 if beside else 0.0
        place = x + (shift if away > 0 else -shift)
        anchor = ("start" if away > 0 else "end") if beside else "middle"
        row = y - 3 if beside else y - radius - 24 if y < centre[1] else y + radius + 17
        plot.text(place, row, heading(words(name)), anchor, INK, bold=True, halo=True)
        plot.text(place, row + 16, f"n = {number(patients[name], 0)}", anchor, MUTED, halo=True)
    spoken = "; ".join(f"{words(a)} and {words(b)}: {count}" for (a, b), count in sorted(trials.items()))
    return plot.svg(f"Trials that compare treatments directly. {spoken}.")


def _table(patients: Mapping[str, float], trials: Mapping[tuple[str, str], int]) -> Table:
    rows = tuple(
        (
            heading(words(one)),
            heading(words(other)),
            str(count),
            number(patients[one], 0),
            number(patients[other], 0),
        )
        for (one, other), count in sorted(trials.items())
    )
    columns = ("Treatment", "Compared with", "Trials", "Patients of the first", "Patients of the second")
    return Table("Direct comparisons", columns, rows, keys=2)
