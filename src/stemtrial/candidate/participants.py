"""Who took part in the published trials: the reference population of a candidate, built from the trials' arms."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import median

import numpy as np

from stemtrial.candidate.rules import State, parse
from stemtrial.errors import InputError, Problem
from stemtrial.evidence import load
from stemtrial.evidence.groups import usable
from stemtrial.evidence.schema import Arm, Outcome
from stemtrial.evidence.tables import Evidence
from stemtrial.population.spec import Age, BaselinePain, BodyMassIndex, PopulationSpec

BASELINE_INSTRUMENTS = ("VAS", "NRS", "WOMAC_pain", "KOOS_pain")
"""Instruments whose baseline tells the participants' pain, the first that an arm reports being used."""

CORRELATION = 0.5
"""Correlation of pain before and after treatment, KOOS pain, saline arm of Bennell 2021 (``natural_history``); the
highest for pain in the tables, so that it leaves the least spread."""

_SCALES = {"age": Age.scale, "bmi": BodyMassIndex.scale, "pain": BaselinePain.scale}


@dataclass(frozen=True)
class ArmMoments:
    """Mean and SD of a covariate in one arm; ``sd`` is ``None`` where the arm prints none."""

    trial_id: str
    arm_id: str
    n: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Participants:
    """Participants of the trials of an indication.

    Attributes
    ----------
    spec
        Their distribution: moments pooled over persons, arms being weighted by their size.
    arms
        Arms behind the continuous covariates ``age``, ``bmi`` and ``pain``.
    grades
        Participants of each grade, of the trials that print single grades.
    admitted
        Grade → trials with participants whose published rules admit it, whether or not they print single grades.
    follow_up_sd
        Median over the arms and visits of the SD of ``pain`` and of ``function`` after baseline, points of 0-100.
    """

    spec: PopulationSpec
    arms: Mapping[str, tuple[ArmMoments, ...]]
    grades: Mapping[int, int]
    admitted: Mapping[int, tuple[str, ...]]
    follow_up_sd: Mapping[str, float]

    def residual_sd(self, construct: str) -> float:
        """SD of ``pain`` or ``function`` after baseline among participants with equal baseline, points."""
        return self.follow_up_sd[construct] * sqrt(1 - CORRELATION**2)

    def within_sd(self, covariate: str) -> float:
        """Pooled SD within the arms that print one."""
        return _within(self.arms[covariate])

    def range(self, covariate: str) -> tuple[float, float]:
        """Where 95 % of the participants of at least one arm lie: lowest and highest mean -/+ 1.96 SD.

        An arm without an SD takes the pooled one; nothing lies beyond the covariate's scale.
        """
        spread = self.within_sd(covariate)
        ends = [
            (a.mean - 1.96 * (a.sd or spread), a.mean + 1.96 * (a.sd or spread)) for a in self.arms[covariate]
        ]
        low, high = _SCALES[covariate]
        return max(low, min(end for end, _ in ends)), min(high, max(end for _, end in ends))


@cache
def participants(indication: str) -> Participants:
    """Return the participants of the published randomised trials of an indication.

    Baseline pain is the primary pain score at month 0 on 0-100, whatever its instrument. Arms that are pooled from
    others of the table are left out where their parts are there; grades printed for ranges only (``1-2``) are not used.

    Raises
    ------
    InputError
        Where no arm describes a covariate.
    """
    evidence = load()
    trials = [trial for trial in evidence.trials if trial.indication == indication and trial.design == "rct"]
    arms = [arm for trial in trials for arm in evidence.arms_of(trial.trial_id)]
    described = {
        "age": [_moments(a, a.n, a.age_mean, a.age_sd) for a in _once(arms, "age_mean")],
        "bmi": [_moments(a, a.n, a.bmi_mean, a.bmi_sd) for a in _once(arms, "bmi_mean")],
        "pain": [
            _moments(arm, row.n or arm.n, row.common.value, row.common.sd)
            for arm in arms
            if (row := _baseline(evidence.outcomes_of(arm.trial_id, arm.arm_id)))
        ],
    }
    found = {name: tuple(m for m in rows if m is not None) for name, rows in described.items()}
    sexes = [(a.n or 0, a.female_pct or 0.0) for a in _once(arms, "female_pct")]
    grades: dict[int, int] = {}
    for text in {(a.trial_id, a.severity_distribution) for a in arms if a.severity_scale == "KL"}:
        for grade, count in _grades(text[1]):
            grades[grade] = grades.get(grade, 0) + count
    grades = {grade: count for grade, count in sorted(grades.items()) if 1 <= grade <= 4}
    if missing := [n for n, rows in {**found, "sex": sexes, "grade": grades}.items() if not rows]:
        raise InputError(
            Problem(f"has no arm that describes {', '.join(missing)}", field="indication", value=indication)
        )
    pooled = {name: _pooled(rows) for name, rows in found.items()}
    spec = PopulationSpec(
        age=Age(mean=pooled["age"][0], sd=pooled["age"][1], min=18, max=100),
        bmi=BodyMassIndex(mean=pooled["bmi"][0], sd=pooled["bmi"][1], min=12, max=70),
        female=sum(n * share for n, share in sexes) / sum(n for n, _ in sexes) / 100,
        kl_grade={grade: count / sum(grades.values()) for grade, count in grades.items()},
        baseline_pain=BaselinePain(mean=pooled["pain"][0], sd=pooled["pain"][1]),
    )
    spreads = {
        construct: median(
            row.common.sd
            for trial in trials
            for row in evidence.outcomes_of(trial.trial_id)
            if usable(row, construct) and row.statistic == "mean" and row.time_months > 0 and row.common.sd
        )
        for construct in ("pain", "function")
    }
    return Participants(
        spec, found, grades, _admitted(evidence, {trial.trial_id for trial in trials}), spreads
    )


def _admitted(evidence: Evidence, trials: Collection[str]) -> dict[int, tuple[str, ...]]:
    """Return which of some trials admit each grade, by their rules in the table of criteria."""
    found: dict[int, list[str]] = {}
    for row in evidence.criteria:
        rule = parse(row.rule)
        if row.reference_id in trials and tuple(rule.kinds) == ("kl_grade",):
            for grade in range(1, 5):
                if rule.judge({"kl_grade": float(grade)}.__getitem__).state is State.MET:
                    found.setdefault(grade, []).append(row.reference_id)
    return {grade: tuple(names) for grade, names in sorted(found.items())}


def _once(arms: Sequence[Arm], column: str) -> list[Arm]:
    """Arms that print a column, each person once: a pooled arm only where none of its parts prints it."""
    printed = [arm for arm in arms if getattr(arm, column) is not None]
    known = {(arm.trial_id, arm.arm_id) for arm in printed}
    return [arm for arm in printed if not any((arm.trial_id, part) in known for part in arm.pooled_of)]


def _moments(arm: Arm, n: int | None, mean: float | None, sd: float | None) -> ArmMoments | None:
    return None if n is None or mean is None else ArmMoments(arm.trial_id, arm.arm_id, n, mean, sd)


def _baseline(rows: Sequence[Outcome]) -> Outcome | None:
    fitting = {
        row.instrument: row
        for row in rows
        if row.time_months == 0
        and row.statistic == "mean"
        and row.scale_kind == "score"
        and row.analysis_set == "primary"
    }
    return next((fitting[name] for name in BASELINE_INSTRUMENTS if name in fitting), None)


def _grades(text: str | None) -> list[tuple[int, int]]:
    pairs = [pair.split(":") for pair in (text or "").split(";") if ":" in pair]
    return [(int(grade), int(count)) for grade, count in pairs if grade.isdecimal()]


def _within(rows: Sequence[ArmMoments]) -> float:
    printed = [(m.n, m.sd) for m in rows if m.sd is not None]
    return sqrt(sum(n * sd**2 for n, sd in printed) / sum(n for n, _ in printed))


def _pooled(rows: Sequence[ArmMoments]) -> tuple[float, float]:
    """Mean and SD over persons: variance within arms plus variance of the arms' means."""
    n, means = np.array([m.n for m in rows], float), np.array([m.mean for m in rows])
    mean = float(np.average(means, weights=n))
    return mean, sqrt(_within(rows) ** 2 + float(np.average((means - mean) ** 2, weights=n)))
