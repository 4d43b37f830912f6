"""A trial in calendar time: entries, looks, patients randomised until the end, duration and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.draws import Stream, uniforms
from stemtrial.trial.circumstances import Accrual, Prices
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import ARM_STRIDE, Plan

_ENTRANTS = 8 * ARM_STRIDE
"""Identity of the first entrant, beyond those of the patients of any arm."""


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
    steps = -np.log(uniforms(seed, Stream.CONDUCT, replicates, _ENTRANTS, n, 1)[0])
    wanted = np.cumsum(steps, axis=1) / accrual.patients_per_site_month
    opening = np.arange(accrual.sites) * accrual.opening_every_months
    site_months = np.array([np.maximum(t - opening, 0).sum() for t in opening])
    last = np.maximum(wanted - site_months[-1], 0) / accrual.sites
    return np.asarray(np.interp(wanted, site_months, opening) + last)


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
    def of(cls, plan: Plan, seed: int, replicates: np.ndarray) -> "Calendar":
        """Calendar of some replicates.

        A look is made when the last of its patients has reached the endpoint visit; patients are randomised until then,
        so that more are in the trial than are analysed. The trial ends with the last visit of its last patient.
        Without declared recruitment nobody is in the trial at an interim look but those who are analysed.
        """
        trial, looks = plan.trial, plan.looks
        sizes = {name: trial.arms[name].n for name in plan.schedules}
        shape = (len(replicates), looks.number)
        if trial.conduct.accrual is None:
            counts = np.array(looks.patients(list(sizes.values()))).T
            arms = {name: np.broadcast_to(c, shape) for name, c in zip(sizes, counts, strict=True)}
            return cls(np.full(shape, np.nan), arms)
        entry = entries(trial.conduct.accrual, sum(sizes.values()), seed, replicates)
        place = order(sizes)
        pair = (trial.comparator, trial.experimental)
        month = np.empty(shape)
        for k, seen in enumerate(looks.patients([sizes[name] for name in pair])):
            last = max(place[name][n - 1] for name, n in zip(pair, seen, strict=True))
            month[:, k] = entry[:, last] + trial.question.endpoint.month
        month[:, -1] = entry[:, -1] + trial.horizon_months
        month = np.minimum(month, month[:, -1:])
        by_arm = {name: (entry[:, None, place[name]] <= month[:, :, None]).sum(axis=2) for name in sizes}
        return cls(month, by_arm)


def ends(plan: Plan, verdict: Verdict, seed: int, replicates: np.ndarray) -> dict[str, np.ndarray]:
    """Patients randomised until each replicate ended, its duration and its cost, where the file allows to know them.

    Returns
    -------
    dict
        ``randomised``, and ``duration`` in months and ``cost`` where recruitment and prices are declared,
        (replicates,) each.
    """
    calendar = Calendar.of(plan, seed, replicates)

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
