"""What the names in the published rules mean in a record: one documented way from fields to every name."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from stemtrial.candidate.conditions import AtMost, Kind, Value
from stemtrial.candidate.record import Candidate, Injection, Operation

DAYS_A_MONTH: Final = 365.25 / 12


@dataclass(frozen=True)
class View:
    """A record on a day: the assessment, or a later day if nothing but time changes.

    Examples
    --------
    >>> record = Candidate.model_validate({"indication": "knee_oa", "pain": "58/100", "absent": ["hiv"]})
    >>> view = View(record, date(2026, 3, 31))
    >>> view.value("vas_0_10"), view.value("hiv"), view.value("bmi")
    (5.8, False, None)
    """

    record: Candidate
    assessed: date
    day: date | None = None

    @property
    def today(self) -> date:
        """The day on which the record is seen."""
        return self.day or self.assessed

    def value(self, name: str) -> Value:
        """Return the value of a rule's name, ``None`` if unknown."""
        return QUANTITIES[name].value(self)

    def months_since(self, days: list[str | None]) -> float | None:
        """Return months since the last of several days.

        Infinite if there is none; an upper bound if a day is unknown or the history may be incomplete; unknown if that
        leaves nothing.
        """
        past = [(self.today - date.fromisoformat(day)).days / DAYS_A_MONTH for day in days if day]
        if None not in days and self.record.history_complete:
            return min(past, default=math.inf)
        return AtMost(min(past)) if past else None

    def lasting(self, months: float | None) -> float | None:
        """Return a duration given at the assessment, as it is on the day."""
        return None if months is None else months + (self.today - self.assessed).days / DAYS_A_MONTH


@dataclass(frozen=True)
class Quantity:
    """A name of the rules.

    Parameters
    ----------
    meaning
        In words, with its unit.
    fields
        Fields of the record or findings on which it depends.
    value
        From a view of a record.
    kind
        Number or truth value.
    """

    meaning: str
    fields: tuple[str, ...]
    value: Callable[[View], Value]
    kind: Kind


def either(*values: bool | None) -> bool | None:
    """Return Kleene's *or*.

    Examples
    --------
    >>> either(False, None), either(None, True), either(False, False)
    (None, True, False)
    """
    return True if True in values else None if None in values else False


def _number(field: str, meaning: str, factor: float = 1.0) -> Quantity:
    def value(view: View) -> Value:
        found: float | None = getattr(view.record, field)
        return None if found is None else found / factor

    return Quantity(meaning, (field,), value, "number")


def _found(*findings: str, meaning: str) -> Quantity:
    return Quantity(
        meaning, findings, lambda view: either(*(view.record.known(name) for name in findings)), "truth"
    )


def _over(months: float | None, unit: float) -> float | None:
    """Convert months to another unit; an upper bound stays one."""
    return None if months is None else type(months)(months / unit)


def _since(
    meaning: str, field: str, keep: Callable[[Injection | Operation], bool], months: float = 1
) -> Quantity:
    def value(view: View) -> Value:
        events: tuple[Injection | Operation, ...] | None = getattr(view.record, field)
        if events is None:
            return None
        return _over(view.months_since([event.date for event in events if keep(event)]), months)

    return Quantity(meaning, (field,), value, "number")


def _happened(meaning: str, field: str, keep: Callable[[Injection | Operation], bool | None]) -> Quantity:
    def value(view: View) -> Value:
        events: tuple[Injection | Operation, ...] | None = getattr(view.record, field)
        if events is None:
            return None
        return either(*(keep(event) for event in events), False if view.record.history_complete else None)

    return Quantity(meaning, (field,), value, "truth")


def _angle(view: View) -> Value:
    sides = (_side("varus_deg")(view), _side("valgus_deg")(view))
    return None if None in sides else max(side for side in sides if side is not None)


def _side(field: str) -> Callable[[View], float | None]:
    """Return the reader of an angle; a leg that deviates to one side does not deviate to the other."""
    other = "valgus_deg" if field == "varus_deg" else "varus_deg"

    def value(view: View) -> float | None:
        here: float | None = getattr(view.record, field)
        return 0.0 if here is None and getattr(view.record, other) else here

    return value


def _malignancy(view: View) -> Value:
    """Past disease leaves it open: the rules give no look-back."""
    now, before = view.record.known("malignancy"), view.record.known("previous_malignancy")
    return True if now else False if now is False and before is False else None


def _odi(view: View) -> Value:
    found = view.record.limitation
    return found[1] if found and found[0] == "ODI" else None


def _since_steroid_or_acid(view: View) -> Value:
    oral, injections = view.record.known("systemic_corticosteroid"), view.record.injections
    if oral:
        return 0.0
    if injections is None:
        return None
    since = view.months_since(
        [i.date for i in injections if i.substance in ("corticosteroid", "hyaluronic_acid") and _near(i)]
    )
    if oral is None and since is not None:
        return AtMost(since) if since < math.inf else None
    return since


def _since_other_product(view: View) -> Value:
    days = view.record.investigational_products
    return None if days is None else _over(view.months_since(list(days)), 1 / DAYS_A_MONTH)


def _near(event: Injection | Operation) -> bool:
    return event.site in ("index", "other_side", "unknown_side")


def _is(event: Injection | Operation, *starts: str) -> bool:
    kind = event.substance if isinstance(event, Injection) else event.kind
    return kind.startswith(starts)


def _at_level(event: Injection | Operation) -> bool | None:
    if not _is(event, "lumbar", "disc"):
        return False
    return None if event.site is None else event.site in ("index", "adjacent")


_PAIN = "pain now, of 100"
QUANTITIES: Final[Mapping[str, Quantity]] = {
    "kl_grade": _number("kl_grade", "Kellgren-Lawrence grade"),
    "varus_deg": Quantity("varus, degrees", ("varus_deg", "valgus_deg"), _side("varus_deg"), "number"),
    "valgus_deg": Quantity("valgus, degrees", ("varus_deg", "valgus_deg"), _side("valgus_deg"), "number"),
    "axis_deg": Quantity("deviation of the axis, degrees", ("varus_deg", "valgus_deg"), _angle, "number"),
    "modified_pfirrmann": _number("modified_pfirrmann", "modified Pfirrmann grade"),
    "modic": _number("modic", "Modic type"),
    "symptomatic_levels": _number("symptomatic_levels", "symptomatic levels"),
    "spondylolisthesis_grade": _number("spondylolisthesis_grade", "grade of spondylolisthesis"),
    "disc_height_pct": _number("disc_height", "disc height, % of a healthy neighbour"),
    "age": _number("age", "age, years"),
    "bmi": Quantity("BMI, kg/m²", ("bmi", "height", "weight"), lambda v: v.record.body_mass_index, "number"),
    "vas_mm": _number("pain", _PAIN),
    "vas_0_10": _number("pain", "pain now, of 10", 10),
    "index_pain": _number("pain", _PAIN),
    "contralateral_pain": _number("pain_other_side", "pain of the other knee, of 100"),
    "back_pain": _number("pain", _PAIN),
    "leg_pain": _number("leg_pain", "pain of the leg, of 100"),
    "odi": Quantity("Oswestry index, of 100", ("function",), _odi, "number"),
    "pain_months": Quantity(
        "duration of pain, months", ("pain_months",), lambda v: v.lasting(v.record.pain_months), "number"
    ),
    "lbp_months": Quantity(
        "duration of pain, months", ("pain_months",), lambda v: v.lasting(v.record.pain_months), "number"
    ),
    "daily_pain_months": Quantity(
        "duration of daily pain, months",
        ("daily_pain_months",),
        lambda v: v.lasting(v.record.daily_pain_months),
        "number",
    ),
    "failed_conservative_months": _number("failed_conservative_months", "conservative treatment, months"),
    "hba1c": _number("hba1c", "HbA1c, %"),
    "creatinine_mg_dl": _number("creatinine", "creatinine, mg/dL"),
    "alt": _number("alt", "ALT, U/L"),
    "ast": _number("ast", "AST, U/L"),
    "ejection_fraction": _number("ejection_fraction", "ejection fraction, %"),
    "drug_allergies": _number("drug_allergies", "allergies to medicines"),
    "food_allergies": _number("food_allergies", "allergies to food"),
    "months_since_ia_injection": _since("months since an injection into either knee", "injections", _near),
    "months_since_steroid_or_ha": Quantity(
        "months since a corticosteroid (oral or injected) or hyaluronic acid",
        ("injections", "systemic_corticosteroid"),
        _since_steroid_or_acid,
        "number",
    ),
    "years_since_knee_surgery": _since(
        "years since surgery of a knee", "operations", lambda event: _is(event, "knee"), 12
    ),
    "days_since_other_investigational_product": Quantity(
        "days since another trial's product", ("investigational_products",), _since_other_product, "number"
    ),
    "lumbar_surgery": _happened(
        "surgery of the lumbar spine", "operations", lambda event: _is(event, "lumbar", "disc")
    ),
    "disc_surgery_index_or_adjacent": _happened(
        "surgery of this or a neighbouring disc", "operations", _at_level
    ),
    "allogeneic_cells_any": _happened(
        "donor cells (ever and anywhere)", "injections", lambda event: _is(event, "cells_donor")
    ),
    "cells_or_biologic_at_index_disc": _happened(
        "cells or PRP in this disc",
        "injections",
        lambda event: _is(event, "cells", "prp") and event.site == "index",
    ),
    "malignancy": Quantity("malignant disease", ("malignancy", "previous_malignancy"), _malignancy, "truth"),
    "cancer": Quantity("malignant disease", ("malignancy", "previous_malignancy"), _malignancy, "truth"),
    "neoplasia": Quantity("malignant disease", ("malignancy", "previous_malignancy"), _malignancy, "truth"),
    "previous_malignancy": _found(
        "malignancy", "previous_malignancy", meaning="malignant disease (now or in the past)"
    ),
    "knee_infection": _found("local_infection", "other_knee_infection", meaning="infection of either knee"),
    "positive_serology": _found(
        "hiv", "hepatitis_b", "hepatitis_c", "syphilis", meaning="positive serology (HIV or hepatitis or syphilis)"
    ),
    "immunosuppressed": _found("immunosuppressant", "immune_deficiency", meaning="immunosuppression"),
    "rheumatoid": _found("rheumatoid_arthritis", meaning="rheumatoid arthritis"),
    "crystal": _found("crystal_arthritis", meaning="crystal arthritis"),
    "septic": _found("septic_arthritis", meaning="septic arthritis"),
    "other": _found("other_inflammatory_arthritis", meaning="another inflammatory arthritis"),
    "hbv": _found("hepatitis_b", meaning="hepatitis B"),
    "hcv": _found("hepatitis_c", meaning="hepatitis C"),
    "immunosuppressive_drugs": _found("immunosuppressant", meaning="an immunosuppressive medicine"),
    "systemic_immunosuppressant": _found("immunosuppressant", meaning="an immunosuppressive medicine"),
    "corticosteroid_therapy": _found("systemic_corticosteroid", meaning="a systemic corticosteroid"),
    "significant_abnormality": _found(
        "significant_laboratory_abnormality", meaning="significant laboratory finding"
    ),
    "addiction": _found("substance_misuse", meaning="misuse of a substance"),
    "alcohol_or_substance_abuse": _found("substance_misuse", meaning="misuse of a substance"),
    "planning_within_2y": _found("planning_pregnancy", meaning="pregnancy planned within two years"),
    "uncontrolled_htn": _found("uncontrolled_hypertension", meaning="uncontrolled hypertension"),
    "autoimmune": _found("autoimmune_disease", meaning="autoimmune disease"),
} | {
    name: _found(name, meaning=name.replace("_", " "))
    for name in (
        "generalised_bone_marrow_oedema", "significant_deformity", "ligament_injury", "meniscus_rupture",
        "locking", "catching", "giving_way", "other_major_joint_oa_dominant", "secondary_arthritis",
        "planned_lower_limb_surgery", "nerve_compression_radiculopathy", "predominantly_myofascial",
        "lumbar_vertebral_fracture", "cauda_equina", "spinal_infection", "local_infection", "systemic_infection",
        "immune_deficiency", "coagulopathy", "uncontrolled_diabetes", "blood_disease", "kidney_disease",
        "osteoporosis", "fibromyalgia", "severe_depression_or_anxiety", "allergy_to_culture_components",
        "anticoagulant", "pregnant", "breastfeeding", "planning_pregnancy", "consent", "approved_product",
        "registered_regulated_trial",
    )
} | {
    "hiv": _found("hiv", meaning="HIV"),
    "htlv": _found("htlv", meaning="HTLV"),
    "cmv": _found("cmv", meaning="cytomegalovirus"),
}  # fmt: skip
"""Every name that a rule may use."""
