"""One virtual trial of a run, simulated again and shown patient by patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial.mechanism import equations
from stemtrial.simulation import Results
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.plan import Cast, Plan
from stemtrial.trial.replicates import simulate
from stemtrial.trial.responders import compare, time_to_loss
from stemtrial.trial.survival import log_rank, possible_times

NUMBERS = (
    "estimate", "se", "p", "success", "null_estimate", "null_success", "typical_estimate", "typical_success",
    "specific", "contextual",
)  # fmt: skip
"""Results of a virtual trial that a replay repeats, by their names in :func:`stemtrial.trial.replicates.simulate`."""


@dataclass(frozen=True)
class Patient:
    """One patient of a virtual trial.

    Attributes
    ----------
    arm, patient
        Who: the arm, and the number in the arm from 0, as in ``patients.parquet``.
    age, bmi, female, grade
        At baseline.
    baseline, outcome
        The endpoint as the estimand wants it, at screening and at the main visit, 0-100; the outcome of a patient who
        does not enter the analysis is ``None``.
    readings
        The endpoint's readings by month; ``None`` after the patient left.
    relief
        Pain truly taken away at the main visit by part (:data:`stemtrial.mechanism.equations.RELIEF`), points, also of
        those who left.
    left_by_month, rescue_month
        First visit missed, and visit at which rescue medicine began; ``None`` where neither happened.
    events
        By kind of another intercurrent event: the first visit by which it had happened.
    """

    arm: str
    patient: int
    age: float
    bmi: float
    female: bool
    grade: int
    baseline: float
    outcome: float | None
    readings: Mapping[float, float | None]
    relief: Mapping[str, float]
    left_by_month: float | None
    rescue_month: float | None
    events: Mapping[str, float]

    @property
    def change(self) -> float | None:
        """Outcome less baseline; negative is better."""
        return None if self.outcome is None else self.outcome - self.baseline


@dataclass(frozen=True)
class Replay:
    """One virtual trial.

    Attributes
    ----------
    seed, replicate
        Which one.
    results
        Its results under the names of a run (:data:`NUMBERS`), with ``estimate_by_visit`` by month.
    responders
        By definition: shares of responders in the comparator and the experimental arm, those who left counted as not
        responding, with odds ratio and p value adjusted for baseline and over grades of severity.
    response
        How long a response by the important difference lasts: responders and losses by arm, p value of the log-rank
        test.
    patients
        Comparator first, then the experimental arm, then the others.
    """

    seed: int
    replicate: int
    results: Mapping[str, Any]
    responders: Mapping[str, Mapping[str, Any]]
    response: Mapping[str, Any]
    patients: tuple[Patient, ...]

    def document(self, plan: Plan) -> dict[str, Any]:
        """Return everything as plain data."""
        trial, question = plan.trial, plan.trial.question
        analysed = {arm: 0 for arm in plan.schedules}
        for patient in self.patients:
            analysed[patient.arm] += patient.outcome is not None
        return {
            "trial": trial.title,
            "calibration": plan.belief.label,
            "seed": self.seed,
            "replicate": self.replicate,
            "endpoint": {"instrument": question.endpoint.instrument, "month": question.endpoint.month},
            "compare": list(question.compare),
            "estimand": question.estimand,
            "analysis": question.analysis,
            "analysed": analysed,
            "results": dict(self.results),
            "responders": {name: dict(values) for name, values in self.responders.items()},
            "response": dict(self.response),
            "patients": [_plain(patient) for patient in self.patients],
        }


def _plain(patient: Patient) -> dict[str, Any]:
    readings = {f"{month:g}": value for month, value in patient.readings.items()}
    return vars(patient) | {
        "change": patient.change, "readings": readings, "relief": dict(patient.relief), "events": dict(patient.events),
    }  # fmt: skip


def replay(plan: Plan, seed: int, replicate: int) -> Replay:
    """Simulate one virtual trial again.

    Every draw is addressed by seed, replicate and patient, so that its numbers are those of any run of the same trial,
    seed and numerics that contains it.

    Examples
    --------
    >>> from stemtrial.trial.protocol import Trial
    >>> plan = Plan.of(Trial.read("examples/knee_oa_cells_vs_saline.yaml"))
    >>> one = replay(plan, seed=1, replicate=17)
    >>> len(one.patients), one.patients[0].arm
    (240, 'saline')
    """
    kept: list[tuple[Mapping[str, Cast], Mapping[str, ArmRecord]]] = []
    which = np.array([replicate])
    results = simulate(plan, seed, which, lambda _, casts, records: kept.append((casts, records)))
    ((casts, records),) = kept
    people = [p for arm, record in records.items() for p in _patients(plan, arm, casts[arm], record)]
    return Replay(
        seed,
        replicate,
        _results(plan, results),
        _responders(plan, casts, records),
        _response(plan, records),
        tuple(people),
    )


def _responders(
    plan: Plan, casts: Mapping[str, Cast], records: Mapping[str, ArmRecord]
) -> dict[str, dict[str, Any]]:
    arms = (plan.trial.comparator, plan.trial.experimental)
    return {
        name: {
            "shares": dict(zip(arms, found.shares[:, 0].tolist(), strict=True)),
            **{
                analysis: {
                    "odds_ratio": _finite(float(np.exp(odds.estimate[0]))),
                    "q025": _finite(float(low[0])),
                    "q975": _finite(float(high[0])),
                    "p": _finite(float(odds.p[0])),
                }
                for analysis, odds in (("logistic", found.logistic), ("cmh", found.cmh))
                for low, high in (odds.interval(0.95),)
            },
        }
        for name, found in compare(plan, casts, records, missing="non_responder").items()
    }


def _response(plan: Plan, records: Mapping[str, ArmRecord]) -> dict[str, Any]:
    arms = (plan.trial.comparator, plan.trial.experimental)
    comparator, experimental = (time_to_loss(plan, records[arm]) for arm in arms)
    times = possible_times(np.array(plan.trial.visits_months))
    test = log_rank(comparator, experimental, times)
    return {
        arm: {"responders": int(of.counted.sum()), "losses": int(of.event.sum())}
        for arm, of in zip(arms, (comparator, experimental), strict=True)
    } | {"log_rank_p": _finite(float(test.p[0]))}


def _results(plan: Plan, results: Results) -> dict[str, Any]:
    months = plan.trial.visits_months
    by_visit = dict(zip((f"{m:g}" for m in months), results["estimate_by_visit"][0], strict=True))
    values = {name: results[name][0].item() for name in NUMBERS}
    return {name: _finite(value) if isinstance(value, float) else value for name, value in values.items()} | {
        "estimate_by_visit": {month: _finite(value) for month, value in by_visit.items()}
    }


def _finite(value: float) -> float | None:
    """Return a number as plain data; one that could not be estimated is ``None``."""
    return float(value) if np.isfinite(value) else None


def _patients(plan: Plan, arm: str, cast: Cast, record: ArmRecord) -> list[Patient]:
    """Take the patients of one arm apart."""
    trial, visit, months = plan.trial, plan.main_visit, plan.trial.visits_months
    outcome, baseline = (values[0] for values in plan.reading(record, visit))
    counts = plan.seen(record, visit)[0]
    people = cast.people.covariates
    present, rescued = record.present[:, 0], record.rescued[:, 0]
    name = "VAS" if trial.question.endpoint.instrument == "NRS" else trial.question.endpoint.instrument
    readings = record.readings[name][:, 0]
    started = np.concatenate([rescued[1:], rescued[-1:]])

    def first(happened: np.ndarray) -> float | None:
        return months[int(happened.argmax())] if happened.any() else None

    return [
        Patient(
            arm=arm,
            patient=i,
            age=float(people.age[0, i]),
            bmi=float(people.bmi[0, i]),
            female=bool(people.female[0, i]),
            grade=int(people.grade[0, i]),
            baseline=float(baseline[i]),
            outcome=float(outcome[i]) if counts[i] else None,
            readings={
                m: float(r) if here else None
                for m, r, here in zip(months, readings[:, i], present[:, i], strict=True)
            },
            relief=dict(zip(equations.RELIEF, record.relief[:, 0, i].tolist(), strict=True)),
            left_by_month=first(~present[:, i]),
            rescue_month=first(started[:, i]),
            events={
                kind: month
                for kind, happened in record.events.items()
                if (month := first(happened[:, 0, i])) is not None
            },
        )
        for i in np.flatnonzero(record.taken[0]).tolist()
    ]
