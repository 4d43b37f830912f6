"""The page of a design: size, allocation, boundaries, where trials stop, and what drives the chance of success."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial import __version__
from stemtrial.report import colours
from stemtrial.report.boundaryplot import boundary_plot
from stemtrial.report.chancecurves import chance_curves
from stemtrial.report.contract import Look
from stemtrial.report.figure import Figure
from stemtrial.report.furthercurves import further_curves
from stemtrial.report.stoppingmap import stopping_map
from stemtrial.report.templating import templates
from stemtrial.report.tornado import tornado
from stemtrial.trial.curves import Search
from stemtrial.trial.drivers import Driver


@dataclass(frozen=True, eq=False)
class DesignPage:
    """What the page of a design holds.

    Attributes
    ----------
    title, trial_file
        Of the trial.
    target
        Chance of success wanted.
    answers
        Sentences that answer what was asked.
    search
        Chances by size and allocation.
    looks
        Of the trial as declared, as in ``summary.json``.
    drivers, mean_chance
        Constants by Sobol index, and the chance of success around which they move it.
    power_function
        Chance of success by true benefit: ``benefit``, ``value`` and ``mc_se`` each.
    facts
        Names and values of the table of operating characteristics.
    calibration, command, seed, replicates
        Where the numbers come from.
    """

    title: str
    trial_file: str
    target: float
    answers: tuple[str, ...]
    search: Search
    looks: Sequence[Mapping[str, Any]]
    drivers: Sequence[Driver]
    mean_chance: float
    power_function: Sequence[Mapping[str, float]]
    facts: tuple[tuple[str, str], ...]
    calibration: str
    command: str
    seed: int
    replicates: int


def figures(page: DesignPage) -> tuple[Figure, ...]:
    """Draw the figures of a design: chances, of every comparison and dose too, boundaries and stops, drivers."""
    search = page.search
    stamp = "" if page.calibration.lower().startswith("calibrated") else page.calibration
    main = {name: curves[search.main] for name, curves in search.curves.items()}
    month = search.months[search.main]
    chances = chance_curves(main, month, page.target, search.allocation, page.power_function, stamp)
    first = [chances, *([further_curves(search.further, month, stamp)] if search.further else [])]
    drivers = tornado(page.drivers, page.mean_chance, stamp)
    if len(page.looks) == 1:
        return *first, drivers
    looks = [Look.model_validate(look) for look in page.looks]
    sizes = np.asarray(main["assurance"].sizes).tolist()
    stopping = stopping_map(sizes, [k.information for k in looks], search.stopping, search.expected, stamp)
    return *first, boundary_plot(looks, stamp), stopping, drivers


def render(page: DesignPage) -> str:
    """Return the HTML of the page; the same page gives the same text."""
    return (
        templates()
        .get_template("design.html.j2")
        .render(
            page=page,
            figures=figures(page),
            version=__version__,
            colour=colours,
            calibrated=page.calibration.lower().startswith("calibrated"),
        )
    )


def write(path: Path, page: DesignPage) -> None:
    """Write the page as a file."""
    path.write_text(render(page), encoding="utf-8", newline="\n")
