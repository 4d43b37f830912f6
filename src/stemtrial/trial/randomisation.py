"""Randomisation: which of a trial's patients, in the order of their entry, comes into which arm.

Without a declared randomisation every arm has exactly its number of patients, drawn for the arm. With one, the trial
draws its patients first, one after the other, and each is put into an arm by chance: by permuted blocks within strata
(Zelen 1974, *Journal of Chronic Diseases* 27:365), by one list for the whole trial, or independently of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import floor, gcd, sqrt
from typing import Final

import numpy as np

from stemtrial.draws import Stream, uniforms
from stemtrial.errors import NumericalError
from stemtrial.population.covariates import Covariates, draw
from stemtrial.trial.protocol import Trial
from stemtrial.trial.recruitment import ENTRANTS, sites

STRATUM_STRIDE: Final = 1 << 19
"""Distance of the identities of the blocks of neighbouring strata, more than a stratum can have blocks."""

BY_CHANCE: Final = 3 << 30
"""Identity of the first patient's own chance under complete randomisation, beyond the blocks of any stratum."""


@dataclass(frozen=True, eq=False)
class Places:
    """The patients of one arm in the order of their entry, arrays (replicates, places).

    An arm has as many places as it can be given patients at most; in most trials some stay empty.

    Attributes
    ----------
    entrant
        Place in the order of entry into the trial, from 0; for empty places numbers beyond all patients.
    taken
        Whether there is a patient.
    stratum
        Stratum of the patient, from 0.
    """

    entrant: np.ndarray
    taken: np.ndarray
    stratum: np.ndarray

    @property
    def identities(self) -> np.ndarray:
        """Identities of the patients for their draws (:func:`stemtrial.draws.uniforms`)."""
        return ENTRANTS + self.entrant


def ratio(trial: Trial) -> dict[str, int]:
    """Return how many patients each arm is given for so many of the others, in the least whole numbers.

    Examples
    --------
    >>> trial = Trial.read("examples/knee_oa_cells_vs_saline.yaml")
    >>> ratio(trial)
    {'saline': 1, 'cells': 1}
    """
    divisor = reduce(gcd, (arm.n for arm in trial.arms.values()))
    return {name: trial.arms[name].n // divisor for name in trial.ordered_arms}


def stratum(trial: Trial, covariates: Covariates, site: np.ndarray | None) -> np.ndarray:
    """Return the stratum of each patient, from 0.

    Parameters
    ----------
    trial
        The protocol, with a randomisation.
    covariates
        Of the patients.
    site
        Their sites, where strata depend on them.
    """
    rules = trial.randomisation
    assert rules is not None
    found = np.zeros(covariates.pain.shape, np.int64)
    for factor in rules.strata:
        match factor:
            case "grade":
                level = np.searchsorted(np.array(list(trial.population.severity)), covariates.grade)
            case "sex":
                level = covariates.female.astype(np.int64)
            case "pain":
                level = (covariates.pain > rules.pain_above).astype(np.int64)
            case "site":
                assert site is not None
                level = site
        found = found * trial.levels(factor) + level
    return found


def randomise(trial: Trial, seed: int, replicates: np.ndarray) -> dict[str, Places]:
    """Put the patients of every replicate into arms, by the declared randomisation.

    Parameters
    ----------
    trial
        The protocol, with a randomisation.
    seed, replicates
        Address of the draws.

    Returns
    -------
    dict
        By arm, in the order in which arms are shown.
    """
    rules = trial.randomisation
    assert rules is not None
    n, shape = trial.n, (len(replicates), trial.n)
    shares = ratio(trial)
    which = np.zeros(shape, np.int64)
    if rules.strata:
        people = draw(trial.population, seed, replicates, ENTRANTS, n)
        accrual = trial.conduct.accrual
        site = sites(accrual, n, seed, replicates) if accrual is not None else None
        which = stratum(trial, people, site)
    if rules.method == "complete":
        chance = uniforms(seed, Stream.RANDOMISATION, replicates, BY_CHANCE, n, 1)[0]
        limits = np.cumsum(list(shares.values()))[:-1] / sum(shares.values())
        arm = np.searchsorted(limits, chance, side="right")
    else:
        sizes = np.array(rules.block_sizes or (n,))
        arm = np.empty(shape, np.int64)
        for k in range(trial.strata):
            here = which == k
            number = np.cumsum(here, axis=1) - 1
            most = int(here.sum(axis=1).max())
            drawn = _blocks(list(shares.values()), sizes, most, seed, replicates, k * STRATUM_STRIDE)
            rows = np.broadcast_to(np.arange(len(replicates))[:, None], shape)[here]
            arm[here] = drawn[rows, number[here]]
    return {
        name: _places(arm == a, which, _capacity(trial, shares[name] / sum(shares.values())))
        for a, name in enumerate(shares)
    }


def _blocks(
    shares: list[int], sizes: np.ndarray, least: int, seed: int, replicates: np.ndarray, first: int
) -> np.ndarray:
    """Draw a list of arms, at least so long, by permuted blocks whose sizes are drawn too, (replicates, length)."""
    blocks, largest = -(-least // int(sizes.min())), int(sizes.max())
    if not blocks:
        return np.empty((len(replicates), 0), np.int64)
    u = uniforms(seed, Stream.RANDOMISATION, replicates, first, blocks, 1 + largest)
    size = sizes[(u[0] * len(sizes)).astype(np.int64)]
    keys = np.where(np.arange(largest)[:, None, None] < size, u[1:], 2.0)
    rank = np.argsort(np.argsort(keys, axis=0, kind="stable"), axis=0, kind="stable")
    limits = np.cumsum(shares)[:, None, None, None] * (size // sum(shares))
    arms = np.moveaxis((rank >= limits).sum(axis=0), 0, 2)  # beyond the size of the block: no arm
    real = arms.reshape(len(replicates), -1) < len(shares)
    place = np.cumsum(real, axis=1) - 1
    drawn = np.zeros(real.shape, np.int64)
    rows = np.broadcast_to(np.arange(len(replicates))[:, None], real.shape)
    drawn[rows[real], place[real]] = arms.reshape(real.shape)[real]
    return drawn


def _capacity(trial: Trial, share: float) -> int:
    """Most patients an arm can be given; under complete randomisation, all but once in 10^15 trials."""
    rules, n = trial.randomisation, trial.n
    assert rules is not None
    match rules.method:
        case "fixed":
            most = n * share
        case "complete":
            most = n * share + 8 * sqrt(n * share * (1 - share)) + 8
        case "block":
            # Each stratum ends within a block, whose patients of the arm may all have come first.
            most = n * share + trial.strata * max(rules.block_sizes) * share * (1 - share)
    return min(n, floor(most + 1e-9))


def _places(own: np.ndarray, which: np.ndarray, capacity: int) -> Places:
    """Collect the patients of an arm, (replicates, n) whether they are in it, at the front of its places."""
    if own.sum(axis=1).max() > capacity:
        raise NumericalError(
            f"an arm was given more than the {capacity} patients it has places for; use another seed"
        )
    replicates, n = own.shape
    entrant = np.broadcast_to(n + np.arange(capacity), (replicates, capacity)).copy()
    stratum_of = np.zeros((replicates, capacity), np.int64)
    rows, columns = np.nonzero(own)
    place = (np.cumsum(own, axis=1) - 1)[rows, columns]
    entrant[rows, place], stratum_of[rows, place] = columns, which[rows, columns]
    return Places(entrant, entrant < n, stratum_of)


def described(trial: Trial) -> Mapping[str, object] | None:
    """Return the randomisation as plain data for a summary; ``None`` where none is declared."""
    rules = trial.randomisation
    if rules is None:
        return None
    return {
        "method": rules.method,
        "ratio": ratio(trial),
        "block_sizes": list(rules.block_sizes),
        "strata": list(rules.strata),
        "number_of_strata": trial.strata,
        "adjusted": bool(rules.adjusted),
    }
