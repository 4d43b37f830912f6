"""Recruitment over calendar time: when patients are randomised, and at which site."""

from typing import Final

import numpy as np

from stemtrial.draws import Stream, uniforms
from stemtrial.trial.circumstances import Accrual

ARM_STRIDE: Final = 1 << 21
"""Distance of the identities of patients of neighbouring arms, so that an arm's size shifts nobody else."""

ENTRIES: Final = 8 * ARM_STRIDE
"""Identity of the first entry, beyond those of the patients of any arm."""

ENTRANTS: Final = 16 * ARM_STRIDE
"""Identity of the first patient of a trial whose patients are drawn first and then randomised."""

AT_SITES: Final = 1 << 31
"""Identity of the first patient's draw of a site, beyond those of the blocks of any stratum."""


def entries(accrual: Accrual, n: int, seed: int, replicates: np.ndarray) -> np.ndarray:
    """Months at which patients are randomised, in their order.

    Sites open one after the other and enrol as Poisson processes of equal rate, so the accumulated intensity at the
    entries grows by unit exponential steps.

    Parameters
    ----------
    accrual
        Sites and their rate.
    n
        Patients.
    seed, replicates
        Address of the draws.

    Returns
    -------
    numpy.ndarray
        (replicates, n), rising.
    """
    steps = -np.log(uniforms(seed, Stream.CONDUCT, replicates, ENTRIES, n, 1)[0])
    wanted = np.cumsum(steps, axis=1) / accrual.patients_per_site_month
    opening = np.arange(accrual.sites) * accrual.opening_every_months
    site_months = np.array([np.maximum(t - opening, 0).sum() for t in opening])
    last = np.maximum(wanted - site_months[-1], 0) / accrual.sites
    return np.asarray(np.interp(wanted, site_months, opening) + last)


def sites(accrual: Accrual, n: int, seed: int, replicates: np.ndarray) -> np.ndarray:
    """Site at which each patient is enrolled, one of those open at the entry, all alike.

    Parameters
    ----------
    accrual, n, seed, replicates
        As for :func:`entries`.

    Returns
    -------
    numpy.ndarray
        Sites from 0, in the order of their opening, (replicates, n).
    """
    entry = entries(accrual, n, seed, replicates)
    opening = np.arange(accrual.sites) * accrual.opening_every_months
    open_sites = np.maximum(np.searchsorted(opening, entry, side="right"), 1)
    return np.asarray(
        uniforms(seed, Stream.RANDOMISATION, replicates, AT_SITES, n, 1)[0] * open_sites, np.int64
    )
