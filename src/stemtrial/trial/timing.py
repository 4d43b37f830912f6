"""A trial in calendar time: entries, looks, patients randomised until the end, duration and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.trial.circumstances import Prices
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import Cast, Plan
from stemtrial.trial.recruitment import entries


def order(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Place of each arm's patients in the order of randomisation, by arm (n,), arms filling in proportion.

    Examples
    --------
    >>> {arm: place.tolist() for arm, place in order({"saline": 2, "cells": 4}).items()}
    {'saline': [1, 4], 'cells': [0, 2, 3, 5]}
    """
    share = np.concatenate([(np.arange(n) + 0.5) / n for n in sizes.values()])
    place = np.empty(len(share), int)
    place[np.argsort(share, kind="stable")] = np.arange(len(share))
    return dict(zip(sizes, np.split(place, np.cumsum(list(sizes.values()))[:-1]), strict=True))


@dataclass(frozen=True, eq=False)
class Calendar:
    """Looks of every replicate in calendar time.

    Attributes
    ----------
    month
        Months from the opening of the first site to each look; NaN where recruitment is not declared,
        (replicates, looks).
    randomised
        Patients randomised by then, by arm, (replicates, looks).
    """

    month: np.ndarray
    randomised: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, plan: Plan, casts: Mapping[str, Cast], seed: int, replicates: np.ndarray) -> "Calendar":
        """Calendar of some replicates.

        A look is made when the last of its patients has reached the endpoint visit; patients are randomised until then,
        so that more are in the trial than are analysed. The trial ends with the last visit of its last patient.
        Without declared recruitment nobody is in the trial at an interim look but those who are analysed.

        Parameters
        ----------
        plan
            The trial.
        casts
            Its patients; used where a randomisation is declared.
        seed, replicates
            Address of the draws.
        """
        trial, looks = plan.trial, plan.looks
        shape, n = (len(replicates), looks.number), trial.n
        accrual = trial.conduct.accrual
        # Order of entry of every patient, by arm (replicates or 1, patients); numbers beyond the trial are nobody.
        places = {arm: cast.places for arm, cast in casts.items() if cast.places is not None}
        entrant = {arm: own.entrant for arm, own in places.items()}
        if not entrant:
            sizes = {name: trial.arms[name].n for name in plan.schedules}
            if accrual is None:
                counts = np.array(looks.patients(list(sizes.values()))).T
                arms = {name: np.broadcast_to(c, shape) for name, c in zip(sizes, counts, strict=True)}
                return cls(np.full(shape, np.nan), arms)
            entrant = {name: place[None] for name, place in order(sizes).items()}
            compared = trial.question.compared
            seen = looks.patients([sizes[name] for name in compared])
            last = [max(entrant[a][0, k - 1] for a, k in zip(compared, look, strict=True)) for look in seen]
        else:
            last = [look - 1 for (look,) in looks.patients([n])]
            if accrual is None:
                by_arm = {
                    name: (own[:, None, :] <= np.array(last)[:, None]).sum(axis=2)
                    for name, own in entrant.items()
                }
                return cls(np.full(shape, np.nan), by_arm)
        entry = entries(accrual, n, seed, replicates)
        month = entry[:, last] + trial.question.endpoint.month
        month[:, -1] = entry[:, -1] + trial.horizon_months
        month = np.minimum(month, month[:, -1:])
        never = np.concatenate([entry, np.full((len(entry), 1), np.inf)], axis=1)
        by_arm = {}
        for name, own in entrant.items():
            entered = np.take_along_axis(
                never, np.minimum(np.broadcast_to(own, (len(entry), own.shape[1])), n), axis=1
            )
            by_arm[name] = (entered[:, None] <= month[:, :, None]).sum(axis=2)
        return cls(month, by_arm)


def ends(plan: Plan, verdict: Verdict, calendar: Calendar) -> dict[str, np.ndarray]:
    """Patients randomised until each replicate ended, its duration and its cost, where the file allows to know them.

    Returns
    -------
    dict
        ``randomised``, and ``duration`` in months and ``cost`` where recruitment and prices are declared,
        (replicates,) each.
    """

    def at_end(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.take_along_axis(values, verdict.look[:, None], axis=1)[:, 0])

    by_arm = {name: at_end(counts) for name, counts in calendar.randomised.items()}
    conduct = plan.trial.conduct
    found = {"randomised": np.sum(list(by_arm.values()), axis=0)}
    if conduct.accrual is not None:
        found["duration"] = at_end(calendar.month)
    if conduct.prices is not None:
        found["cost"] = cost(conduct.prices, by_arm, found.get("duration"))
    return found


def cost(prices: Prices, randomised: Mapping[str, np.ndarray], months: np.ndarray | None) -> np.ndarray:
    """Cost of trials from their patients by arm and their duration, same shape as either."""
    total: Sequence[np.ndarray] = [
        n * (prices.per_patient + prices.treatment.get(name, 0.0)) for name, n in randomised.items()
    ]
    return np.asarray(
        prices.fixed + np.sum(total, axis=0) + (0 if months is None else prices.per_month * months)
    )
