"""Published results that the model with the registry's values is held against, misfits included.

The table ``data/targets.csv`` holds the published numbers with the interval in which the model's number counts as
agreement and the reason for that interval; :func:`evaluate` computes the model's numbers for a typical patient.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType, SimpleNamespace
from typing import Literal

import numpy as np

from stemtrial.mechanism import equations, parameters, reference
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Event, Kind, Schedule, schedule
from stemtrial.mechanism.treatments import (
    Cells,
    Corticosteroid,
    Exercise,
    HyaluronicAcid,
    Nsaid,
    Opioid,
    Saline,
    Treatment,
    UsualCare,
)

Status = Literal["pass", "misfit"]


@dataclass(frozen=True)
class Target:
    """A published number, the interval that counts as agreement, and where to look for it in the model."""

    number: int
    what: str
    quantity: str
    days: tuple[float, ...]
    baseline: float
    grade: int
    value: float | None
    low: float
    high: float
    unit: str
    basis: str
    source: str
    expected: Status


@dataclass(frozen=True)
class Fit:
    """A target with the model's number for it."""

    target: Target
    model: float

    @property
    def status(self) -> Status:
        """Whether the model's number lies in the interval of the target."""
        return "pass" if self.target.low <= self.model <= self.target.high else "misfit"


@cache
def table() -> tuple[Target, ...]:
    """All targets, in the order of the table.

    Examples
    --------
    >>> [t.what for t in table() if t.expected == "misfit"][0]
    'contextual share of the response to cells, 12 months'
    """
    with files("stemtrial.mechanism").joinpath("data/targets.csv").open(encoding="utf-8") as file:
        return tuple(
            Target(
                **{  # type: ignore[arg-type]
                    **row,
                    "number": int(row["number"]),
                    "days": tuple(float(d) for d in row["days"].split()),
                    "baseline": float(row["baseline"]),
                    "grade": int(row["grade"]),
                    "value": float(row["value"]) if row["value"] else None,
                    "low": float(row["low"] or "-inf"),
                    "high": float(row["high"] or "inf"),
                }
            )
            for row in csv.DictReader(file)
        )


@dataclass(frozen=True)
class TypicalPatient:
    """One patient with the registry's values, median inflammation and the shares of pain in the registry's ratio."""

    states: Mapping[str, float]
    constants: Mapping[str, float]
    shared: Mapping[str, float]

    @classmethod
    def at(cls, pain: float, grade: int, **changes: float) -> "TypicalPatient":
        """Return the typical patient with a given pain and KL grade; ``changes`` are other values of the registry."""
        v = parameters.values(**changes)
        total = v["s_P"] + v["s_X"] + v["s_c"] + v["s_V"]
        states, own = equations.baseline(
            pain,
            v[f"X0_{grade}"],
            1.0,
            v["s_P"] / total,
            v["s_X"] / total,
            v["s_c"] / total,
            v["rho_X"] / equations.DAYS_PER_YEAR,
            SimpleNamespace(R_b=v["R_b"], sig_X=v["sig_X"] / equations.DAYS_PER_YEAR),
        )
        context = max(v["ctx_Emax"] * (1 + v["ctx_slope"] * (pain - 50)), 0.0)
        rescue = dict.fromkeys(("n_steady", "n_fading", "o_steady", "o_fading"), 0.0)
        constants = {**vars(own), "k_M": v["k_M"], "potency": 1.0, "ctx": context, **rescue}
        return cls(MappingProxyType(vars(states)), MappingProxyType(constants), MappingProxyType(v))

    def course(self, given: Schedule, days: tuple[float, ...]) -> reference.Course:
        """Course under a schedule, by adaptive integration."""
        return reference.solve(self.states, self.constants, self.shared, given, days, rtol=1e-9, atol=1e-11)


def _plan(*treatments: Treatment) -> Schedule:
    return schedule(treatments)


def _cells(origin: Literal["autologous", "allogeneic"]) -> Schedule:
    return _plan(
        Cells(
            source="bone_marrow",
            origin=origin,
            product="culture_expanded",
            dose_million=50,
            at_months=(0,),
        )
    )


_NONE = Schedule(())
_PLACEBO = Schedule((Event(Kind.CONTEXT_ORAL, 0.0, np.inf),))
_EVERY_12_WEEKS = tuple(84 * k / DAYS_PER_MONTH for k in range(9))


def _patient(t: Target) -> TypicalPatient:
    return TypicalPatient.at(t.baseline, t.grade)


def _difference(treated: Schedule, control: Schedule, what: str = "pain") -> Callable[[Target], float]:
    def compute(t: Target) -> float:
        patient = _patient(t)
        courses = (getattr(patient.course(s, t.days), what) for s in (treated, control))
        return float(np.mean(np.subtract(*courses)))

    return compute


def _matrix(treated: Schedule, control: Schedule | None) -> Callable[[Target], float]:
    def compute(t: Target) -> float:
        patient, column = _patient(t), equations.STATES.index("X")
        x0 = patient.states["X"]
        other = x0 if control is None else patient.course(control, t.days).states[-1, column]
        return float(100 * (patient.course(treated, t.days).states[-1, column] - other) / x0)

    return compute


def _change(given: Schedule) -> Callable[[Target], float]:
    return lambda t: float(np.mean(_patient(t).course(given, t.days).pain) - t.baseline)


def _peak_week(treated: Schedule, control: Schedule) -> Callable[[Target], float]:
    def compute(t: Target) -> float:
        patient = _patient(t)
        difference = patient.course(treated, t.days).pain - patient.course(control, t.days).pain
        return t.days[int(np.argmin(difference))] / 7

    return compute


def _contextual_share(t: Target) -> float:
    return 100 * _change(_plan(Saline(at_months=(0,))))(t) / _change(_cells("autologous"))(t)


def _resident_cells(t: Target) -> float:
    """Percentage of the dose left where nothing but the slow phase seen in SCID mice removes cells."""
    patient = TypicalPatient.at(t.baseline, t.grade, k_M=0.0154)
    return float(
        100 * patient.course(_cells("autologous"), t.days).states[-1, equations.STATES.index("M")] / 50
    )


def _points_per_synovitis_unit(t: Target) -> float:
    """Slope of steady pain on P, divided by the 4 units of the score that one P is taken to be."""
    p = _patient(t).constants
    z0 = t.baseline / (100 - t.baseline)
    return 100 / (1 + z0) ** 2 * p["w_P"] * (1 + p["v_U"]) / 4


def _pain_after_removal(t: Target) -> float:
    """Pain when peripheral sensitisation and its drive are taken away at once, as by replacing the joint."""
    patient = _patient(t)
    rid = TypicalPatient(
        {**patient.states, "U": 0.0}, {**patient.constants, "w_P": 0.0, "w_X": 0.0}, patient.shared
    )
    return float(rid.course(_NONE, t.days).pain[-1])


def _quantities() -> dict[str, Callable[[Target], float]]:
    saline = _plan(Saline(at_months=(0,)))
    steroid = _plan(Corticosteroid(at_months=(0,)))
    lubricant = _plan(HyaluronicAcid(at_months=(0,)))
    programme = _plan(Exercise(from_month=0, to_month=3))
    often = (_plan(Corticosteroid(at_months=_EVERY_12_WEEKS)), _plan(Saline(at_months=_EVERY_12_WEEKS)))
    own, donor = _cells("autologous"), _cells("allogeneic")
    return {
        "nsaid_minus_placebo": _difference(_plan(Nsaid(from_month=0)), _PLACEBO),
        "opioid_minus_placebo": _difference(_plan(Opioid(from_month=0)), _PLACEBO),
        "placebo_change": _change(_PLACEBO),
        "saline_change": _change(saline),
        "steroid_minus_saline": _difference(steroid, saline),
        "repeated_steroid_minus_saline": _difference(*often),
        "repeated_steroid_matrix": _matrix(*often),
        "ha_minus_saline": _difference(lubricant, saline),
        "ha_peak_week": _peak_week(lubricant, saline),
        "exercise_minus_none": _difference(programme, _plan(UsualCare())),
        "exercise_function": _difference(programme, _plan(UsualCare()), "function"),
        "cells_minus_saline": _difference(own, saline),
        "contextual_share": _contextual_share,
        "donor_cells_minus_steroid": _difference(donor, steroid),
        "cells_matrix": _matrix(own, saline),
        "donor_minus_own": _difference(donor, own),
        "resident_cells": _resident_cells,
        "points_per_synovitis_unit": _points_per_synovitis_unit,
        "untreated_change": _change(_NONE),
        "untreated_matrix": _matrix(_NONE, None),
        "pain_after_removal": _pain_after_removal,
    }


@cache
def evaluate() -> tuple[Fit, ...]:
    """Compute the model's number for every target.

    Returns
    -------
    tuple of Fit
        In the order of :func:`table`; takes a second or two the first time.
    """
    quantities = _quantities()
    return tuple(Fit(t, quantities[t.quantity](t)) for t in table())
