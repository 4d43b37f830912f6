"""Stopping heat map: at which look trials of each size end."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from stemtrial.report.boundaryplot import SCENARIOS
from stemtrial.report.colours import BLUE, INK, PAPER, RULE
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot
from stemtrial.report.wording import number, percent

DEEPEST = 0.6
"""Share of the colour in a cell with all trials; the words on it stay readable."""


def stopping_map(
    sizes: Sequence[int], information: Sequence[float], stopping: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray], stamp: str = "",
) -> Figure:  # fmt: skip
    """Draw the share of trials that end at each look, by size, in every scenario.

    Parameters
    ----------
    sizes
        Patients in the compared arms.
    information
        Of the looks.
    stopping
        By scenario, (sizes, looks).
    expected
        By scenario, mean number of patients analysed at the end, (sizes,).
    stamp
        Warning that travels with the drawing.

    Returns
    -------
    Figure
        One panel a scenario.
    """
    return Figure(
        key="stopping",
        title="Where trials stop",
        description=(
            "Each row is a size of the trial, each column a look; a cell holds the share of simulated trials that end "
            "there, for whatever reason, darker for more. Rows add up to 100 %. The tables add the mean number of "
            "patients analysed at the end."
        ),
        panels=tuple(
            Panel(
                _draw(sizes, information, stopping[key], words, stamp),
                _table(sizes, information, stopping[key], expected[key], words),
            )
            for key, words in SCENARIOS.items()
        ),
    )


def _mixed(share: float) -> str:
    """Colour of a cell."""
    ends = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (PAPER, BLUE)]
    return "#" + "".join(f"{round(a + DEEPEST * share * (b - a)):02x}" for a, b in zip(*ends, strict=True))


def _draw(
    sizes: Sequence[int], information: Sequence[float], shares: np.ndarray, title: str, stamp: str
) -> Markup:
    row, left = 30.0, 66.0
    height = 96 + row * len(sizes)
    plot = Plot(x=(0, 1), y=(0, 1), title=title[:1].upper() + title[1:], height=height, left=left)
    width = (plot.width - left - 14) / len(information)
    plot.text(4, 44, "Patients")
    for k, t in enumerate(information):
        plot.text(left + width * (k + 0.5), 44, percent(t), "middle")
    for i, size in enumerate(sizes):
        top = 54 + row * i
        plot.text(left - 8, top + 20, number(size, 0), "end")
        for k, share in enumerate(shares[i]):
            plot.box(left + width * k + 1, top + 1, width - 2, row - 2, _mixed(float(share)), RULE)
            plot.text(left + width * (k + 0.5), top + 20, percent(share), "middle", INK)
    plot.text(
        left + width * len(information) / 2,
        54 + row * len(sizes) + 18,
        "Look, share of the patients",
        "middle",
    )
    return plot.svg(f"Share of trials that end at each look, {title}.", stamp)


def _table(
    sizes: Sequence[int], information: Sequence[float], shares: np.ndarray, expected: np.ndarray, words: str
) -> Table:
    rows = tuple(
        (number(size, 0), *(percent(s, 1) for s in shares[i]), number(expected[i], 0))
        for i, size in enumerate(sizes)
    )
    columns = ("Patients", *(f"Look at {percent(t)}" for t in information), "Mean at the end")
    return Table(f"Share of trials that end at each look, {words}", columns, rows)
