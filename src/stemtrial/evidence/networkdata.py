"""A network's data: its nodes, and every trial's arms against one arm of their own, visit by visit.

Numbers are on 0-100, lower better; :mod:`stemtrial.evidence.armdata` makes them from evidence rows.
"""

from dataclasses import dataclass
from typing import Literal

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.schema import Arm
from stemtrial.evidence.vocabulary import Provenance

Scheme = Literal["product_class", "product", "all_cells"]

PLACEBO = ("saline", "placebo", "sham_procedure", "vehicle")
"""Interventions that share the node ``placebo``: injections or procedures without an active part."""

REFERENCE_DOSE = 50.0
"""Million cells at which the effect of a cell treatment is stated when a dose slope is fitted."""


@dataclass(frozen=True)
class Comparison:
    """An arm minus the reference arm of its trial at one visit.

    Attributes
    ----------
    y, own_se, reference_se
        Difference and the standard errors of the two means, so that ``own_se² + reference_se²`` is its
        variance and ``reference_se²`` what it shares with the trial's other comparisons of the visit. Where
        only the difference is known, or one person has both arms, all of it is in ``own_se``.
    arm, reference_arm
        Arms of the tables; several of one treatment are joined by ``+``.
    treatment, reference
        Nodes of the network.
    log_dose
        Difference of log10 dose from ``REFERENCE_DOSE`` between the two arms; 0 where no dose is known.
    role
        1 if the arm is experimental and the reference is not, -1 the other way round, else 0.
    unblinded
        Whether the trial's blinding is one of those taken as unblinded.
    provenance
        Whether the trial came with the package or from the user.
    """

    trial_id: str
    month: float
    arm: str
    reference_arm: str
    treatment: str
    reference: str
    y: float
    own_se: float
    reference_se: float
    n: float
    log_dose: float
    role: int
    unblinded: bool
    risk_of_bias: str
    flags: tuple[str, ...]
    provenance: Provenance = "shipped"


@dataclass(frozen=True)
class NetworkData:
    """The comparisons of a network, and the trials left out with the reason."""

    comparisons: tuple[Comparison, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Nodes, ``placebo`` first, then the most studied, in a fixed order."""
        trials: dict[str, set[str]] = {}
        for row in self.comparisons:
            for node in (row.treatment, row.reference):
                trials.setdefault(node, set()).add(row.trial_id)
        return tuple(sorted(trials, key=lambda node: (node != "placebo", -len(trials[node]), node)))

    def at(self, month: float, window: tuple[float, float]) -> "NetworkData":
        """Keep of every trial the one visit nearest a month within a window, the later of two equally near.

        Raises
        ------
        InputError
            An impossible window, or no trial with a visit in it.
        """
        if not 0 < window[0] <= month <= window[1]:
            text = f"{month:g} in {window[0]:g} to {window[1]:g}"
            problem = Problem("is no window", field="month", value=text, allowed="0 < first <= month <= last")
            raise InputError(problem)
        visits: dict[str, float] = {}
        for row in self.comparisons:
            if window[0] <= row.month <= window[1]:
                other = visits.get(row.trial_id, row.month)
                visits[row.trial_id] = min(other, row.month, key=lambda time: (abs(time - month), -time))
        kept = tuple(row for row in self.comparisons if visits.get(row.trial_id) == row.month)
        out = {row.trial_id for row in self.comparisons} - visits.keys()
        if not kept:
            span = f"{window[0]:g} to {window[1]:g}"
            problem = Problem("no trial has a visit in it", field="window", value=span, hint="widen it")
            raise InputError(problem)
        return NetworkData(
            kept, (*self.left_out, *((trial, "no visit in the window") for trial in sorted(out)))
        )


def node(arm: Arm, scheme: Scheme) -> str:
    """Return the network node of an arm.

    ``product_class`` groups cells as ``cells_expanded_autologous``, ``cells_expanded_allogeneic``,
    ``marrow_concentrate`` (bmac, bmmnc), ``adipose_fraction`` (svf, mfat) and ``cells_other``; ``product``
    keeps each product (with the origin of expanded cells); ``all_cells`` makes one node ``cells``. Saline,
    placebo, vehicle and sham procedures are ``placebo`` in all three. What was given along with a treatment
    does not make a node of its own; it is flagged.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> node(load().arm("gupta_2016", "msc_25m"), "product_class")
    'cells_expanded_allogeneic'
    """
    if arm.intervention in PLACEBO:
        return "placebo"
    if arm.intervention != "cell_therapy":
        return arm.intervention
    if scheme == "all_cells":
        return "cells"
    if arm.product == "culture_expanded":
        return f"cells_expanded_{arm.origin or 'unknown_origin'}"
    if scheme == "product":
        return arm.product or "cells_other"
    groups = {"bmac": "marrow_concentrate", "bmmnc": "marrow_concentrate"}
    groups |= {"svf": "adipose_fraction", "mfat": "adipose_fraction"}
    return groups.get(arm.product or "", "cells_other")
