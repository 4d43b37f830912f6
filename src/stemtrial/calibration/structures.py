"""Rival structures of the model: they share everything but the paths that are open to the cells.

Which of them predicts trials best is a question to the evidence (:mod:`stemtrial.calibration.holdout`), not to taste.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stemtrial.calibration.standard import Constants, Learned
from stemtrial.mechanism.schedule import Kind, Schedule

GROWTH = Learned(
    "growth", 30.0, 1.5, True, "-", "how much faster than untreated tissue matrix forms once cells have engrafted",
    "this model; wide, so that the structural path can be as strong as its adherents hold",
)  # fmt: skip


@dataclass(frozen=True)
class Structure:
    """Which paths are open to the cells.

    Attributes
    ----------
    name, meaning
        For reports.
    set_to
        Changes to the constants.
    inert
        Whether the cells do nothing.
    learned
        What is learned in this structure alone.
    """

    name: str
    meaning: str
    set_to: Callable[[Constants], dict[str, Any]]
    inert: bool = False
    learned: tuple[Learned, ...] = ()

    def constants(self, constants: Constants) -> Constants:
        """Constants with the closed paths closed."""
        return constants.replaced(**self.set_to(constants))

    def schedule(self, schedule: Schedule) -> Schedule:
        """Return the schedule, its cells doing nothing where the structure says so."""
        return schedule.without([Kind.CELLS]) if self.inert else schedule


PARACRINE = Structure(
    "paracrine",
    "cells act through the resolving state of macrophages; no lasting matrix",
    lambda c: {"y_C": 0.0},
)
REGENERATIVE = Structure(
    "regenerative",
    "progenitors engraft and make matrix; the structural path drives relief",
    lambda c: {
        "r_on": 0.0,
        "n_S": 0.0,
        "y_C": c["y_C"] * c["growth"],
        "sig_X": c["sig_X"] * c["growth"],
        "sig_X per day": c["sig_X per day"] * c["growth"],
    },
    learned=(GROWTH,),
)
CONTEXTUAL = Structure("contextual", "cells do nothing of their own", lambda c: {"y_C": 0.0}, inert=True)

STRUCTURES: Mapping[str, Structure] = {s.name: s for s in (PARACRINE, REGENERATIVE, CONTEXTUAL)}
"""By name: the three of MODEL section 13."""


def inert_share(weights: Mapping[str, float] | None) -> float | None:
    """Weight of the structures in which cells do nothing of their own; ``None`` without weights.

    Examples
    --------
    >>> inert_share({"paracrine": 0.7, "contextual": 0.3})
    0.3
    """
    return None if weights is None else sum(w for name, w in weights.items() if STRUCTURES[name].inert)
