"""Responders: who improved enough by published definitions, and how two arms compare in their share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.trial.binary import OddsRatio, adjusted, cochran_mantel_haenszel
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.plan import Cast, Plan
from stemtrial.trial.rules import Definition, Missing
from stemtrial.trial.survival import Times, loss_of_response

DEFINITIONS: tuple[Definition, ...] = ("mcid", "thirty_percent", "fifty_percent", "omeract_oarsi")
"""Published definitions of a response."""


def improved(baseline: np.ndarray, outcome: np.ndarray, *, share: float, points: float) -> np.ndarray:
    """Whether scores on 0-100, lower better, fell by at least a share of the baseline and by points.

    Examples
    --------
    >>> improved(np.array([40.0, 80.0, 80.0]), np.array([28.0, 66.0, 56.0]), share=0.3, points=14).tolist()
    [False, False, True]
    """
    gain = baseline - outcome
    return np.asarray((gain >= share * baseline) & (gain >= points))


def omeract_oarsi(pain: tuple[np.ndarray, np.ndarray], function: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Whether patients respond by the OMERACT-OARSI criteria (Pham 2004, *Osteoarthritis and Cartilage* 12:389).

    Pain or function improves by half and by 20 points, or both improve by a fifth and by 10 points. The criteria ask
    for two of pain, function and the patient's global assessment; the last is not simulated, so that both of the others
    are needed here, and the share of responders is if anything too low.

    Parameters
    ----------
    pain, function
        Baseline and outcome, 0-100, lower better, arrays of one shape.

    Examples
    --------
    >>> before = np.array([60.0, 60.0, 60.0])
    >>> omeract_oarsi((before, np.array([30.0, 48.0, 48.0])), (before, np.array([60.0, 48.0, 55.0]))).tolist()
    [True, True, False]
    """
    high = [improved(*score, share=0.5, points=20) for score in (pain, function)]
    moderate = [improved(*score, share=0.2, points=10) for score in (pain, function)]
    return np.asarray(high[0] | high[1] | (moderate[0] & moderate[1]))


def responses(plan: Plan, record: ArmRecord, visit: int) -> dict[Definition, np.ndarray]:
    """Return who responds at a visit by each definition, (groups, patients), whether seen or not.

    The important difference and the shares are those of the trial's endpoint, as its estimand wants it. OMERACT-OARSI
    takes pain on the analogue scale and function, as read; under the composite estimand patients with rescue or another
    intercurrent event do not respond.
    """
    outcome, baseline = plan.reading(record, visit)
    pain, function = (
        (record.baseline[name], record.readings[name][visit]) for name in ("VAS", "WOMAC_function")
    )
    both = omeract_oarsi(pain, function)
    if plan.trial.question.estimand == "composite":
        both &= ~record.disturbed[visit]
    return {
        "mcid": improved(baseline, outcome, share=0, points=plan.mcid.value),
        "thirty_percent": improved(baseline, outcome, share=0.3, points=0),
        "fifty_percent": improved(baseline, outcome, share=0.5, points=0),
        "omeract_oarsi": both,
    }


def time_to_loss(plan: Plan, record: ArmRecord) -> Times:
    """Return the times from first response to its loss, by the important difference, in months.

    Readings count as the estimand wants them (:meth:`stemtrial.trial.plan.Plan.reading`): under the composite estimand,
    rescue or another intercurrent event is a loss.
    """
    visits = range(len(plan.trial.visits_months))
    response = np.stack([responses(plan, record, v)["mcid"] for v in visits])
    return loss_of_response(response, record.present, np.array(plan.trial.visits_months))


@dataclass(frozen=True, eq=False)
class ResponderComparison:
    """Comparison of the experimental arm with the comparator by one definition.

    Attributes
    ----------
    shares
        Of responders in the comparator and in the experimental arm, (2, replicates).
    logistic
        Odds ratio adjusted for the endpoint's baseline.
    cmh
        Odds ratio over grades of severity, without correction for continuity.
    """

    shares: np.ndarray
    logistic: OddsRatio
    cmh: OddsRatio

    def success(self, alpha: float, sides: int) -> dict[str, np.ndarray]:
        """Whether each analysis shows more responders in the experimental arm at a level, (replicates,) each."""
        level = alpha if sides == 2 else 2 * alpha
        return {
            name: np.asarray((found.estimate > 0) & (found.p < level))
            for name, found in (("logistic", self.logistic), ("cmh", self.cmh))
        }


def compare(
    plan: Plan,
    casts: Mapping[str, Cast],
    records: Mapping[str, ArmRecord],
    definitions: Sequence[Definition] = DEFINITIONS,
    *,
    missing: Missing,
) -> dict[Definition, ResponderComparison]:
    """Compare responders at the main visit.

    Parameters
    ----------
    plan
        The trial.
    casts, records
        Patients and what was seen of them by arm, such as :func:`stemtrial.trial.replicates.simulate` hands to `keep`.
    definitions
        Of a response.
    missing
        What becomes of patients who were not seen: they count as not having responded, or they are not analysed.
    """
    trial, visit = plan.trial, plan.main_visit
    arms = (trial.comparator, trial.experimental)
    seen = tuple(plan.seen(records[arm], visit) for arm in arms)
    known = seen if missing == "left_out" else tuple(records[arm].taken for arm in arms)
    baseline = tuple(plan.reading(records[arm], visit)[1] for arm in arms)
    grade = tuple(casts[arm].people.covariates.grade for arm in arms)
    yes = [responses(plan, records[arm], visit) for arm in arms]
    found: dict[Definition, ResponderComparison] = {}
    for name in definitions:
        response = tuple(r[name] & s for r, s in zip(yes, seen, strict=True))
        shares = [
            (r & k).sum(axis=1) / np.maximum(k.sum(axis=1), 1) for r, k in zip(response, known, strict=True)
        ]
        found[name] = ResponderComparison(
            np.stack(shares),
            adjusted((response[0], response[1]), (baseline[0], baseline[1]), (known[0], known[1])),
            cochran_mantel_haenszel(
                (response[0], response[1]), (grade[0], grade[1]), (known[0], known[1]), corrected=False
            ),
        )
    return found
