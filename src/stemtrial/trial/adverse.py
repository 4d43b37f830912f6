r"""Adverse events of simulated patients, drawn from the risks that published arms report.

The model has no harms of its own. An event of a category happens to a patient with the share of patients that had one
in published arms with the same treatment (:func:`stemtrial.trial.harms.expected_harms`). The share itself is uncertain:
every virtual trial draws its own from the Beta distribution with parameters :math:`e+1/2` and :math:`n-e+1/2`
for e events in n patients. Categories are drawn apart from each other, from pain, and from leaving the trial.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import betaincinv

from stemtrial.draws import Identities, Stream, uniforms
from stemtrial.mechanism.treatments import TREATMENTS
from stemtrial.trial.harms import expected_harms
from stemtrial.trial.protocol import Trial

TERMS = {
    "injection_site_pain": "injection site pain",
    "joint_swelling": "joint swelling",
    "infection": "infection",
    "immune": "immune reaction",
    "vascular": "vascular event",
    "neoplasm": "neoplasm",
    "other": "other event",
    "serious_any": "serious event, not specified",
}
"""Categories of the evidence that are drawn, and their terms. Sums over them (any event, related to treatment) and
decisions (withdrawal, failure of treatment) are not events of their own."""

CATEGORIES = tuple(TERMS)

SERIOUS = frozenset({"serious_any"})
"""Categories that count serious events only; of the others the tables do not say which are serious."""

_RISKS = 1 << 31
"""Identity, beyond any patient's, at which a virtual trial draws its risks."""


@dataclass(frozen=True)
class Risk:
    """Events of one category in published arms with one treatment.

    Attributes
    ----------
    treatment, category
        Of the trial file, and of the evidence.
    events, patients, arms
        Patients with an event, patients at risk, and arms, added up.
    """

    treatment: str
    category: str
    events: int
    patients: int
    arms: int

    @property
    def source(self) -> str:
        """Where the risk comes from, in words."""
        return f"simulated from published risks: {self.events} of {self.patients} in {self.arms} arms"


@cache
def published_risks(trial: Trial, arm: str) -> tuple[Risk, ...]:
    """Return the risks of an arm by treatment and category, in the order of :data:`TERMS`.

    Examples
    --------
    >>> trial = Trial.read("examples/knee_oa_cells_vs_saline.yaml")
    >>> {risk.treatment for risk in published_risks(trial, "cells")}
    {'cells'}
    """
    names = dict.fromkeys(treatment.name for treatment in trial.arms[arm].treatments)
    return tuple(risk for name in names for risk in _risks(name, trial))


def _risks(treatment: str, trial: Trial) -> tuple[Risk, ...]:
    given = next(t for arm in trial.arms.values() for t in arm.treatments if t.name == treatment)
    counted = expected_harms([given], trial.indication)
    found = ((category, counted.get(category)) for category in CATEGORIES)
    return tuple(
        Risk(treatment, category, row["events"], row["patients"], row["arms"])
        for category, row in found
        if isinstance(row, dict)
    )


def without_counts(trial: Trial, arm: str) -> tuple[str, ...]:
    """Return the treatments of an arm for which no published arm counts any drawn category."""
    counted = {risk.treatment for risk in published_risks(trial, arm)}
    return tuple(dict.fromkeys(t.name for t in trial.arms[arm].treatments if t.name not in counted))


def events(
    risks: tuple[Risk, ...], seed: int, replicates: np.ndarray, first: Identities, patients: int
) -> np.ndarray:
    """Draw who has an event.

    Parameters
    ----------
    risks
        Of the arm.
    seed, replicates, first, patients
        Address of the patients (:func:`stemtrial.draws.uniforms`).

    Returns
    -------
    numpy.ndarray
        Whether, (risks, replicates, patients).
    """
    happened = np.zeros((len(risks), len(replicates), patients), bool)
    names = list(TREATMENTS)
    for treatment in dict.fromkeys(risk.treatment for risk in risks):
        stream = Stream.HARMS + names.index(treatment)
        whose = uniforms(seed, stream, replicates, first, patients, len(CATEGORIES))
        levels = uniforms(seed, stream, replicates, _RISKS, 1, len(CATEGORIES))[:, :, 0]
        for i, risk in enumerate(risks):
            if risk.treatment == treatment:
                k = CATEGORIES.index(risk.category)
                share = betaincinv(risk.events + 0.5, risk.patients - risk.events + 0.5, levels[k])
                happened[i] = whose[k] < share[:, None]
    return happened
