"""Virtual replicates of a single-arm trial, beside the same patients with an injection that does nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtr

from stemtrial.simulation import Results
from stemtrial.trial.analysis import Comparison
from stemtrial.trial.characteristics import INSTRUMENT_LABELS, flow, structure_weights, summary_of_arms
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.operating import probability, spread
from stemtrial.trial.plan import Plan
from stemtrial.trial.replicates import Keep, adverse_events, reduced
from stemtrial.trial.singlearm import COUNTERFACTUAL, STATEMENT, SingleArmTrial

Json = dict[str, Any]

KIND = "single_arm"
"""What ``summary.json`` and ``report.json`` of such a run call themselves."""

SCENARIOS = {"": "met", "typical_": "met_at_mean", "null_": "met_though_inert"}
"""Prefix of a scenario's results, and the chance to meet the goal that it gives: constants drawn anew for each virtual
trial; all at their mean; an inert injection in the same patients."""


def change(plan: Plan, record: ArmRecord) -> Comparison:
    """Mean change from baseline at the main visit with its standard error; ``p`` is that of no change."""
    outcome, baseline = plan.reading(record, plan.main_visit)
    seen = plan.seen(record, plan.main_visit)
    n = seen.sum(axis=1)
    fallen = np.where(seen, outcome - baseline, 0.0)
    mean = fallen.sum(axis=1) / np.maximum(n, 1)
    squares = np.where(seen, (fallen - mean[:, None]) ** 2, 0.0).sum(axis=1)
    possible = (n > 1) & (squares > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(squares / np.maximum(n - 1, 1) / np.maximum(n, 1))
        p = 2 * stdtr(np.maximum(n - 1, 1), -np.abs(mean / se))
    mean, se, p = (np.where(possible, values, np.nan) for values in (mean, se, p))
    return Comparison(mean, se, np.where(possible, n - 1, 0), p)


def simulate(
    trial: SingleArmTrial, plan: Plan, seed: int, replicates: np.ndarray, keep: Keep | None = None
) -> Results:
    """Simulate replicates of a single-arm trial: as the model has it, with an inert injection, with mean constants.

    Parameters
    ----------
    trial
        The protocol.
    plan
        Its :meth:`~stemtrial.trial.singlearm.SingleArmTrial.against_inert`, made ready.
    seed, replicates
        Address of the draws.
    keep
        As for :func:`stemtrial.trial.replicates.simulate`; it is handed the arm only.

    Returns
    -------
    Mapping
        Arrays whose first axis is the replicate; those of the arm and of the counterfactual are named ``ARM/...``.
    """
    arm, last = trial.arm, plan.main_visit
    cast = plan.cast(arm, seed, replicates)
    drawn, mean = plan.belief.draw(seed, replicates), plan.belief.typical(replicates)
    followed = {
        "": plan.follow(cast, plan.schedules[arm], drawn),
        "null_": plan.follow(cast, plan.schedules[COUNTERFACTUAL], drawn),
        "typical_": plan.follow(cast, plan.schedules[arm], mean),
    }
    if keep is not None:
        keep(replicates, {arm: cast}, {arm: followed[""]})
    results: dict[str, np.ndarray] = {}
    for prefix, record in followed.items():
        found = change(plan, record)
        results |= {f"{prefix}estimate": found.estimate, f"{prefix}se": found.se}
        if trial.question.goal is not None:
            level = trial.question.alpha / trial.question.sides
            results[f"{prefix}met"] = found.z(-trial.question.goal.improvement) > -ndtri(level)
    inert = plan.gains(followed["null_"], drawn)[1]
    for name, record in ((COUNTERFACTUAL, followed["null_"]), (arm, followed[""])):
        context, total = plan.gains(record, drawn)
        results |= {f"{name}/{k}": v for k, v in reduced(plan, name, record, last).items()}
        results |= {
            f"{name}/adverse": adverse_events(plan, name, record, seed, replicates),
            f"{name}/contextual": -context,
            f"{name}/specific": context - total,
            f"{name}/cells": inert - total,
        }
    return results


def summarise(trial: SingleArmTrial, plan: Plan, results: Results, harms: Mapping[str, Json]) -> Json:
    """Return what such a trial sees, the counterfactual first, and how often it meets its goal.

    Parts of the change are those of :func:`stemtrial.trial.characteristics.summary_of_arms`; ``remainder`` is what they
    leave of the mean change: regression to the mean, the ends of the scale, and who was seen.
    """
    arms = summary_of_arms(plan, results, harms)
    for name, arm in arms.items():
        known = results[f"{name}/contextual"] + results[f"{name}/specific"]
        arm["parts"]["remainder"] = spread(results[f"{name}/change"][:, plan.main_visit] - known)
        arm["parts"]["studied"] = arm["parts"].pop("cells")
    for key in ("harms", "adverse_events", "detectable_harm"):
        del arms[COUNTERFACTUAL][key]
    goal = trial.question.goal
    chances = (
        {name: probability(results[f"{prefix}met"]) for prefix, name in SCENARIOS.items()} if goal else {}
    )
    return {
        "trial": trial.title,
        "kind": KIND,
        "statement": STATEMENT,
        "calibration": plan.belief.label,
        "arms": arms,
        "counterfactual": COUNTERFACTUAL,
        "change": spread(results["estimate"]) | {"standard_error": float(np.nanmean(results["se"]))},
        "goal": None if goal is None else {"improvement": goal.improvement, **chances},
        "structure_weights": structure_weights(plan),
        "not_analysable": int(np.isnan(results["estimate"]).sum()),
    }


def document(trial: SingleArmTrial, plan: Plan, results: Results, trial_file: str) -> Json:
    """Return what the page shows besides summary and manifest."""
    from stemtrial.evidence import load

    endpoint = trial.question.endpoint
    return {
        "title": trial.title,
        "kind": KIND,
        "calibration": plan.belief.label,
        "trial_file": trial_file,
        "arm": trial.arm,
        "treatments": [str(t) for t in trial.arms[trial.arm].treatments],
        "endpoint": {
            "instrument": endpoint.instrument,
            "month": endpoint.month,
            "label": f"{INSTRUMENT_LABELS[endpoint.instrument]} at month {endpoint.month:g}",
        },
        "flow": flow(plan, trial.arm, results),
        "evidence": {"hash": load().hash},
    }
