"""What may come to meet a rule that is not met now: time, and when; or a change of another kind, and which."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from stemtrial.candidate.quantities import View
from stemtrial.candidate.rules import Rule, State

HORIZON_DAYS: Final = 3 * 366
"""How far ahead the calendar is searched for the day on which a rule comes to be met."""

TIMED: Final = frozenset(
    {
        "months_since_ia_injection", "months_since_steroid_or_ha", "years_since_knee_surgery",
        "days_since_other_investigational_product", "pain_months", "lbp_months", "daily_pain_months",
    }
)  # fmt: skip
"""Names whose value follows from the calendar."""

CHANGEABLE: Final = dict.fromkeys(TIMED, "with time, if nothing is added") | {
    "bmi": "may change with weight",
    "hba1c": "may change with the treatment of diabetes",
    "creatinine_mg_dl": "may change; repeat",
    "alt": "may change; repeat",
    "ast": "may change; repeat",
    "vas_mm": "varies from day to day; repeat",
    "vas_0_10": "varies from day to day; repeat",
    "odi": "varies; repeat",
    "local_infection": "after it has healed",
    "knee_infection": "after it has healed",
    "systemic_infection": "after it has healed",
    "spinal_infection": "after it has healed",
    "malignancy": "after treatment, if a trial sets a look-back; none was read",
    "cancer": "after treatment, if a trial sets a look-back; none was read",
    "neoplasia": "after treatment, if a trial sets a look-back; none was read",
    "pregnant": "after pregnancy",
    "breastfeeding": "after breastfeeding",
    "planning_pregnancy": "if plans change",
    "planning_within_2y": "if plans change",
    "anticoagulant": "depends on the medicine; a question for its prescriber",
    "immunosuppressive_drugs": "depends on the medicine; a question for its prescriber",
    "immunosuppressed": "depends on the cause; a question for its specialist",
    "systemic_immunosuppressant": "depends on the medicine; a question for its prescriber",
    "corticosteroid_therapy": "depends on the medicine; a question for its prescriber",
    "uncontrolled_htn": "if blood pressure comes under control",
    "uncontrolled_diabetes": "if diabetes comes under control",
    "significant_abnormality": "may change; repeat",
    "consent": "if the person decides so",
    "planned_lower_limb_surgery": "if plans change",
    "failed_conservative_months": "after conservative treatment for longer",
}
"""Names whose value may change otherwise, and how."""


def met_on(rule: Rule, view: View) -> date | None:
    """Search the calendar for the first day on which nothing but time makes the rule met."""
    if TIMED.isdisjoint(rule.kinds):
        return None
    for days in range(1, HORIZON_DAYS + 1):
        day = view.assessed + timedelta(days=days)
        if rule.judge(View(view.record, view.assessed, day).value).state is State.MET:
            return day
    return None


def change(names: Iterable[str]) -> str | None:
    """Say how a rule may come to be met: every name it fails on can change, or nothing is said."""
    ways = [CHANGEABLE.get(name) for name in names]
    return None if not ways or None in ways else "; ".join(dict.fromkeys(way for way in ways if way))
