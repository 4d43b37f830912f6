"""What is analysed beside the main comparison, on the same patients: comparisons, estimands, factors, doses."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import ndtri

from stemtrial.simulation import Results
from stemtrial.trial.analysis import Comparison
from stemtrial.trial.armmeans import contrasts
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.doseresponse import Range, mcp_mod
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import Plan
from stemtrial.trial.question import Estimand
from stemtrial.trial.sharing import SharedVerdict, ended

Followed = Mapping[str, Mapping[str, ArmRecord]]
"""What was seen by prefix of the scenario and by arm."""

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
        results |= _comparisons(verdicts)
    if question.factorial is not None:
        for prefix, arms in followed.items():
            results |= {f"factorial/{prefix}{key}": values for key, values in factors(plan, arms).items()}
    if question.dose_response is not None:
        for prefix, arms in followed.items():
            results |= {f"dose/{prefix}{key}": values for key, values in doses(plan, arms).items()}
    elsewhere: Followed | None = None
    for estimand in question.also_estimands:
        there = followed
        if "hypothetical" in (estimand, question.estimand):
            elsewhere = elsewhere or follow(estimand)
            there = elsewhere
        results |= _estimand(plan, there, estimand)
    return results


def judge(
    plan: Plan,
    arms: Mapping[str, ArmRecord],
    estimand: Estimand | None = None,
    final: Comparison | None = None,
) -> Verdict:
    """Look at the comparisons of the question as often as it wants and stop by its rules.

    Parameters
    ----------
    plan
        The trial.
    arms
        What was seen by arm; the first patients of each are those recruited first.
    estimand
        That of the trial unless another is named.
    final
        Analysis of the main comparison with all patients, where it is known already.

    Returns
    -------
    Verdict
        A :class:`~stemtrial.trial.sharing.SharedVerdict` where several comparisons share alpha.
    """
    question = plan.trial.question
    main = plan.verdict(arms[plan.trial.comparator], arms[plan.trial.experimental], estimand, final)
    if not question.also_compare:
        return main
    others = [plan.verdict(arms[c], arms[e], estimand).looks for e, c in question.also_compare]
    return ended(question, plan.looks, [main.looks, *others])


def factors(plan: Plan, arms: Mapping[str, ArmRecord]) -> dict[str, np.ndarray]:
    """Analyse a factorial design with all patients; ``estimates`` and ``shown``, (replicates, :data:`EFFECTS`)."""
    question = plan.trial.question
    assert question.factorial is not None
    crossed = contrasts(plan, [arms[name] for name in question.factorial.arms], FACTORIAL)
    shown = [c.z() > -ndtri(question.level) for c in crossed[:2]]
    shown.append(crossed[2].p < question.alpha * (2 / question.sides))
    return {
        "estimates": np.stack([c.estimate for c in crossed], axis=1),
        "shown": np.stack(shown, axis=1),
    }


def doses(plan: Plan, arms: Mapping[str, ArmRecord]) -> dict[str, np.ndarray]:
    """Test for a dose response and pick a dose with all patients (:func:`stemtrial.trial.doseresponse.mcp_mod`)."""
    return mcp_mod(plan, [arms[name] for name in Range.of(plan.trial).arms])


def _comparisons(verdicts: Mapping[str, Verdict]) -> dict[str, np.ndarray]:
    """Reduce what became of every comparison; arrays (replicates, comparisons), ``z`` with the looks as third axis."""
    results = {}
    for prefix, found in verdicts.items():
        assert isinstance(found, SharedVerdict)
        results[f"{prefix}estimates"] = found.estimates
        results[f"{prefix}rejected"] = found.shared.rejected
        results[f"{prefix}shown_at"] = found.shared.shown_at
        results[f"{prefix}z"] = found.statistics
    return results


def _estimand(plan: Plan, followed: Followed, estimand: Estimand) -> dict[str, np.ndarray]:
    """Answer the main question under another estimand."""
    comparator, experimental = plan.trial.comparator, plan.trial.experimental
    results = {}
    for prefix, arms in followed.items():
        verdict = judge(plan, arms, estimand)
        results[f"{estimand}/{prefix}estimate"] = verdict.found.estimate
        results[f"{estimand}/{prefix}success"] = verdict.shown
    arms = followed["typical_"]
    complete = plan.analyse(
        arms[comparator], arms[experimental], None, estimand, [plan.main_visit], complete=True
    )
    results[f"{estimand}/typical_complete"] = complete[0].estimate
    return results
