"""Secondary analyses of the main comparison: responders, and how long a response lasts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stemtrial.simulation import Results
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.operating import SCENARIOS, probability, spread
from stemtrial.trial.plan import Cast, Plan
from stemtrial.trial.responders import compare, time_to_loss
from stemtrial.trial.survival import kaplan_meier, log_rank, possible_times

Json = dict[str, Any]

METHODS = ("logistic", "cmh")
"""Analyses of responders: logistic regression on the baseline, and Cochran-Mantel-Haenszel over grades of severity."""


def analyse(
    plan: Plan, casts: Mapping[str, Cast], followed: Mapping[str, Mapping[str, ArmRecord]]
) -> dict[str, np.ndarray]:
    """Make the secondary analyses of every replicate that the question asks for, with all patients.

    Parameters
    ----------
    plan
        The trial.
    casts
        Patients by arm.
    followed
        What was seen by prefix of the scenario and by arm.

    Returns
    -------
    dict
        Arrays whose first axis is the replicate, under names that begin with ``secondary/``.
    """
    asked, question = plan.trial.question.secondary, plan.trial.question
    results: dict[str, np.ndarray] = {}
    if asked is None:
        return results
    for prefix, arms in followed.items():
        at = f"secondary/{prefix}"
        if asked.missing is not None:
            for name, found in compare(plan, casts, arms, asked.responders, missing=asked.missing).items():
                shown = found.success(question.alpha, question.sides)
                results[f"{at}{name}/shown"] = np.stack([shown[m] for m in METHODS], axis=1)
                if not prefix:
                    results[f"{at}{name}/shares"] = found.shares.T
                    odds = [getattr(found, m).estimate for m in METHODS]
                    results[f"{at}{name}/log_odds"] = np.stack(odds, axis=1)
        if asked.time_to_loss:
            results |= _loss(plan, arms, prefix)
    return results


def _loss(plan: Plan, arms: Mapping[str, ArmRecord], prefix: str) -> dict[str, np.ndarray]:
    """Time to loss of response in one scenario; its curves under the model only."""
    question = plan.trial.question
    pair = (plan.trial.comparator, plan.trial.experimental)
    times = possible_times(np.array(plan.trial.visits_months))
    of = tuple(time_to_loss(plan, arms[name]) for name in pair)
    test = log_rank(of[0], of[1], times)
    found = {f"secondary/{prefix}loss/shown": test.success(question.alpha, question.sides)}
    if prefix:
        return found
    curves = [kaplan_meier(one, times) for one in of]
    counted = np.stack([one.counted.sum(axis=1) for one in of], axis=1)
    randomised = np.stack([arms[name].taken.sum(axis=1) for name in pair], axis=1)
    kept = np.stack([curve.survival for curve in curves], axis=1)
    return found | {
        "secondary/loss/responders": counted / np.maximum(randomised, 1),
        "secondary/loss/kept": np.where(counted[:, :, None] > 0, kept, np.nan),
        "secondary/loss/median": np.stack([curve.median for curve in curves], axis=1),
    }


def summary(plan: Plan, results: Results) -> Json | None:
    """Summarise the secondary analyses; ``None`` where none is asked for.

    Odds ratios are medians with 95 % interval over the virtual trials in which they can be estimated; ``kept`` is the
    Kaplan-Meier share that still responds so many months after the first response.
    """
    asked = plan.trial.question.secondary
    if asked is None:
        return None
    arms = (plan.trial.comparator, plan.trial.experimental)
    responders: Json = {}
    for name in asked.responders:
        shares = results[f"secondary/{name}/shares"]
        methods = {
            method: {
                "odds_ratio": _odds(results[f"secondary/{name}/log_odds"][:, i]),
                **_chances(results, f"{name}/shown", i),
            }
            for i, method in enumerate(METHODS)
        }
        responders[name] = {
            "shares": {arm: spread(shares[:, i]) for i, arm in enumerate(arms)},
            **methods,
        }
    return {
        "missing": asked.missing,
        "responders": responders,
        "time_to_loss": _lasting(plan, results, arms) if asked.time_to_loss else None,
    }


def _lasting(plan: Plan, results: Results, arms: tuple[str, str]) -> Json:
    times = possible_times(np.array(plan.trial.visits_months)).tolist()
    by_arm: Json = {}
    for i, arm in enumerate(arms):
        kept, median = results["secondary/loss/kept"][:, i], results["secondary/loss/median"][:, i]
        known = np.isfinite(kept[:, 0])
        curve = [{"month": t, **spread(kept[:, k])} for k, t in enumerate(times)] if known.any() else []
        reached = np.isfinite(median)
        by_arm[arm] = {
            "responders": spread(results["secondary/loss/responders"][:, i]),
            "kept": curve,
            "median_months": float(np.median(median[reached])) if reached.any() else None,
            "median_reached": probability(reached),
        }
    return {"arms": by_arm, "log_rank": _chances(results, "loss/shown")}


def _chances(results: Results, name: str, column: int | None = None) -> Json:
    def of(prefix: str) -> np.ndarray:
        shown = results[f"secondary/{prefix}{name}"]
        return np.asarray(shown if column is None else shown[:, column])

    return {scenario: probability(of(prefix)) for prefix, scenario in SCENARIOS.items()}


def _odds(logarithm: np.ndarray) -> Json | None:
    """Median and interval of an odds ratio over the trials that can estimate it; ``None`` where none can."""
    finite = logarithm[np.isfinite(logarithm)]
    if not len(finite):
        return None
    low, middle, high = np.exp(np.quantile(finite, [0.025, 0.5, 0.975])).tolist()
    return {"median": middle, "q025": low, "q975": high, "not_estimable": len(logarithm) - len(finite)}
