"""What is analysed beside the main comparison, on the same patients: comparisons, estimands, factors, doses."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import ndtr, ndtri

from stemtrial.simulation import Results
from stemtrial.trial import multiplicity
from stemtrial.trial.armmeans import contrasts
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.doseresponse import Range, mcp_mod
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import Plan
from stemtrial.trial.question import Estimand

Followed = Mapping[str, Mapping[str, ArmRecord]]
"""What was seen by prefix of the scenario and by arm."""

ADJUST = {
    "holm": multiplicity.holm,
    "hochberg": multiplicity.hochberg,
    "fixed_sequence": multiplicity.fixed_sequence,
    "bonferroni": multiplicity.bonferroni,
}


FACTORIAL = np.array([[-0.5, 0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, 0.5], [1.0, -1.0, -1.0, 1.0]])
"""Contrasts of the arms with neither, cells, exercise and both: effect of cells, of exercise, and their interaction."""

EFFECTS = ("cells", "exercise", "interaction")


def alongside(
    plan: Plan,
    followed: Followed,
    verdicts: Mapping[str, Verdict],
    follow: Callable[[Estimand], Followed],
) -> Results:
    """Analyse whatever the question asks beside its main comparison.

    Parameters
    ----------
    plan
        The trial.
    followed
        What was seen, under the main estimand.
    verdicts
        Of the main comparison, by prefix of the scenario.
    follow
        Follows the same patients under the conduct of another estimand.

    Returns
    -------
    Mapping
        Arrays whose first axis is the replicate.
    """
    question = plan.trial.question
    results: dict[str, np.ndarray] = {}
    if question.also_compare:
        results |= _comparisons(plan, followed, verdicts)
    if question.factorial is not None:
        for prefix, arms in followed.items():
            crossed = contrasts(plan, [arms[name] for name in question.factorial.arms], FACTORIAL)
            shown = [c.z() > -ndtri(question.level) for c in crossed[:2]]
            shown.append(crossed[2].p < question.alpha * (2 / question.sides))
            results[f"factorial/{prefix}estimates"] = np.stack([c.estimate for c in crossed], axis=1)
            results[f"factorial/{prefix}shown"] = np.stack(shown, axis=1)
    if question.dose_response is not None:
        names = Range.of(plan.trial).arms
        for prefix, arms in followed.items():
            found = mcp_mod(plan, [arms[name] for name in names])
            results |= {f"dose/{prefix}{key}": values for key, values in found.items()}
    elsewhere: Followed | None = None
    for estimand in question.also_estimands:
        there = followed
        if "hypothetical" in (estimand, question.estimand):
            elsewhere = elsewhere or follow(estimand)
            there = elsewhere
        results |= _estimand(plan, there, estimand)
    return results


def _comparisons(plan: Plan, followed: Followed, verdicts: Mapping[str, Verdict]) -> dict[str, np.ndarray]:
    """Compare every pair of arms; ``rejected`` holds what is shown when all share alpha, (replicates, comparisons).

    The success of the trial becomes that of its main comparison among them.
    """
    question, results = plan.trial.question, {}
    assert question.multiplicity is not None
    adjust = ADJUST[question.multiplicity]
    for prefix, main in verdicts.items():
        arms = followed[prefix]
        found = [main.found]
        found += [
            plan.analyse(arms[comparator], arms[experimental], visits=[plan.main_visit])[0]
            for experimental, comparator in question.also_compare
        ]
        p = np.stack([ndtr(-plan.looks.statistic(c)) for c in found], axis=1)
        rejected = adjust(p) < question.level
        results[f"{prefix}estimates"] = np.stack([c.estimate for c in found], axis=1)
        results[f"{prefix}rejected"] = rejected
        results[f"{prefix}success"] = rejected[:, 0]
    return results


def _estimand(plan: Plan, followed: Followed, estimand: Estimand) -> dict[str, np.ndarray]:
    """Answer the main question under another estimand."""
    comparator, experimental = plan.trial.comparator, plan.trial.experimental
    results = {}
    for prefix, arms in followed.items():
        verdict = plan.verdict(arms[comparator], arms[experimental], estimand)
        results[f"{estimand}/{prefix}estimate"] = verdict.found.estimate
        results[f"{estimand}/{prefix}success"] = verdict.shown
    arms = followed["typical_"]
    complete = plan.analyse(
        arms[comparator], arms[experimental], None, estimand, [plan.main_visit], complete=True
    )
    results[f"{estimand}/typical_complete"] = complete[0].estimate
    return results
