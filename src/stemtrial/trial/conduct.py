"""Conduct of a trial: what is measured at the visits, who drops out, who takes rescue medicine."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stemtrial.draws import Identities, Stream, normals, uniforms
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.population.patients import Constants, Patients
from stemtrial.trial.circumstances import Event, Leaving
from stemtrial.trial.crossing import Crossing
from stemtrial.trial.protocol import Conduct
from stemtrial.trial.randomisation import Places

INSTRUMENTS = ("VAS", "WOMAC_pain", "WOMAC_function")
"""What is measured at every visit, on 0-100, lower is better."""

EVENTS = ("prohibited_injection", "surgery", "crossover")
"""Intercurrent events besides rescue."""


_SHORT_WINDOW = 7.0
"""Half-width of a visit's window, days, up to which parabolas suffice."""

_CONSTANTS = (
    "beta_F", "sd_course", "sd_fluct", "sd_function", "sd_read", "sd_womac", "tau_course", "tau_fluct",
    "womac_intercept", "womac_slope",
)  # fmt: skip
"""Constants of what is measured, by registry symbol."""

_NOTHING = np.empty(0)


@dataclass(frozen=True)
class Wanted:
    """What is to be measured; what nobody reads need not be computed.

    Attributes
    ----------
    instruments
        Some of :data:`INSTRUMENTS`, ``VAS`` always among them.
    relief
        Whether relief is taken apart at the main visit.
    """

    instruments: Collection[str] = INSTRUMENTS
    relief: bool = True

    @property
    def function(self) -> bool:
        """Whether anything rests on the limitation of function."""
        return "WOMAC_function" in self.instruments


EVERYTHING = Wanted()


@dataclass(frozen=True)
class ArmRecord:
    """What was seen in one arm, arrays (visits, groups, patients) unless said otherwise; empty where nobody asked.

    Attributes
    ----------
    baseline
        Readings at screening by instrument, (groups, patients).
    readings
        Readings at the visits by instrument, also of patients who had left (:attr:`present` tells).
    present
        Whether the patient was still in the trial.
    rescued
        Whether the patient had begun rescue medicine before the visit.
    pain, function
        True values behind the readings, without fluctuation.
    relief
        Parts of the relief of pain at the main visit, (parts, groups, patients).
    function_gain
        Fall of the limitation of function by the main visit, (groups, patients).
    events
        By kind of intercurrent event: whether it had happened before the visit.
    places
        Of a trial with a declared randomisation: who the patients are, and which places are taken.
    """

    baseline: Mapping[str, np.ndarray]
    readings: Mapping[str, np.ndarray]
    present: np.ndarray
    rescued: np.ndarray
    pain: np.ndarray
    function: np.ndarray
    relief: np.ndarray
    function_gain: np.ndarray
    events: Mapping[str, np.ndarray] = field(default_factory=dict)
    places: Places | None = None

    @property
    def taken(self) -> np.ndarray:
        """Whether there is a patient at all, (groups, patients)."""
        return np.ones(self.present.shape[1:], bool) if self.places is None else self.places.taken

    def of(self, places: Places) -> "ArmRecord":
        """Return the record of the patients in the taken places: nothing happens in the others."""
        taken = places.taken
        events = {kind: happened & taken for kind, happened in self.events.items()}
        return replace(
            self, present=self.present & taken, rescued=self.rescued & taken, events=events, places=places
        )

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the patients, (..., groups), of values (..., groups, patients)."""
        if self.places is None:
            return np.asarray(values.mean(axis=-1))
        count = np.maximum(self.taken.sum(axis=-1), 1)
        return np.asarray(np.where(self.taken, values, 0.0).sum(axis=-1) / count)

    @property
    def disturbed(self) -> np.ndarray:
        """Whether rescue medicine or another intercurrent event had begun before the visit."""
        return np.asarray(np.logical_or.reduce([self.rescued, *self.events.values()]))


def _measure(
    into: Mapping[str, np.ndarray], pain: np.ndarray, function: np.ndarray, fluctuation: np.ndarray, course: np.ndarray,
    errors: np.ndarray, patients: Patients, c: Mapping[str, np.ndarray], reported: np.ndarray | float = 0.0,
) -> None:  # fmt: skip
    """Turn true values into the readings ``into``; ``errors`` holds three standard normal numbers a patient.

    ``reported`` is added to what patients say of their pain.
    """
    said = pain + course
    said += reported
    if "WOMAC_pain" in into:
        true = c["womac_slope"] * np.clip(said, 0, 100) + c["womac_intercept"]
        np.clip(true + c["sd_womac"] * errors[1], 0, 100, out=into["WOMAC_pain"])
    if "WOMAC_function" in into:
        offset = c["beta_F"] * (course + reported) + patients.function_offset
        np.clip(function + offset + c["sd_function"] * errors[2], 0, 100, out=into["WOMAC_function"])
    said += fluctuation
    said += c["sd_read"] * errors[0]
    np.clip(said, 0, 100, out=into["VAS"])


@dataclass(frozen=True)
class Chance:
    """What chance does to the patients of an arm besides their biology: noise of the readings and dropout.

    Attributes
    ----------
    noise
        Standard normal numbers, three at screening and five at each visit, (3 + 5 visits, groups, patients).
    dropout
        Uniform number that sets when a patient leaves, (groups, patients).
    events
        By kind of intercurrent event: uniform numbers that set when or whether it happens, (groups, patients).
    guess
        Uniform number that sets whether a patient learns the arm, (groups, patients).
    timing
        Uniform numbers that set the day of each visit in its window, (visits, groups, patients); ``None`` where visits
        are on their day.
    """

    noise: np.ndarray
    dropout: np.ndarray
    events: Mapping[str, np.ndarray]
    guess: np.ndarray
    timing: np.ndarray | None = None

    @classmethod
    def draw(
        cls,
        visits: int,
        seed: int,
        replicates: np.ndarray,
        first: Identities,
        patients: int,
        windows: bool = False,
    ) -> "Chance":
        """Draw for a number of visits and the patients of an address (:func:`stemtrial.draws.uniforms`).

        Parameters
        ----------
        visits
            Number of visits.
        seed, replicates, first, patients
            Address.
        windows
            Whether visits have windows.
        """
        address = (seed, Stream.CONDUCT, replicates, first, patients)
        dropout, injection, surgery, guess, crossover = uniforms(*address, 5)
        return cls(
            normals(seed, Stream.COURSE, replicates, first, patients, 3 + 5 * visits),
            dropout,
            dict(zip(EVENTS, (injection, surgery, crossover), strict=True)),
            guess,
            uniforms(seed, Stream.VISITS, replicates, first, patients, visits) if windows else None,
        )


class _Reader:
    """True pain and function on the days of the visits, which may be early or late.

    On either side of the visit's own day the course is taken for the polynomial through that day and two or three
    others of the window; treatments due on the visit's day act from then on, also on those who come late.
    """

    def __init__(self, cohort: Cohort, half: float, timing: np.ndarray | None, wanted: Wanted) -> None:
        self._cohort, self._half, self._timing, self._wanted = cohort, half, timing, wanted
        self._parts = 2 if half <= _SHORT_WINDOW else 3

    def visit(
        self, k: int, month: float, main: bool
    ) -> tuple[np.ndarray | float, np.ndarray, np.ndarray, np.ndarray]:
        """Go to a visit.

        Returns
        -------
        tuple
            Days of the visit, pain and where wanted function then, and at the main visit where wanted the parts of the
            relief on the visit's own day; the cohort is left at the end of the window.
        """
        cohort, day = self._cohort, month * DAYS_PER_MONTH
        if self._timing is None:
            cohort.advance(day)
            return day, cohort.pain(), self._function(), self._relief(main)
        at = 2 * self._timing[k] - 1
        place, parts, relief = self._parts * np.abs(at), self._parts, _NOTHING
        pain, function = np.zeros(at.shape), np.zeros(at.shape if self._wanted.function else 0)
        for stop in range(-parts, parts + 1):
            cohort.advance(day + stop / parts * self._half)
            others = [node for node in range(parts + 1) if node != abs(stop)]
            weight = np.prod([(place - node) / (abs(stop) - node) for node in others], axis=0)
            if stop:
                weight = np.where((at > 0) == (stop > 0), weight, 0.0)
            else:
                relief = self._relief(main)
            pain += weight * cohort.pain()
            if self._wanted.function:
                function += weight * cohort.function()
        return day + at * self._half, pain, function, relief

    def _function(self) -> np.ndarray:
        return self._cohort.function() if self._wanted.function else _NOTHING

    def _relief(self, main: bool) -> np.ndarray:
        return self._cohort.relief() if main and self._wanted.relief else _NOTHING


def dropout_rate(conduct: Conduct) -> float:
    """Constant rate of leaving the trial, per month, from the share lost by month 12."""
    return _rate(conduct.dropout_by_month_12)


def _rate(by_month_12: float) -> float:
    return -float(np.log1p(-by_month_12)) / 12


class _Staying:
    """Who is still in the trial: the time at which each patient's accumulated risk of leaving exceeds its threshold."""

    def __init__(self, rate: float, rule: Leaving | None, threshold: np.ndarray, reading: np.ndarray) -> None:
        self._rate, self._rule, self._threshold = rate, rule, threshold
        self._leaves = threshold / rate if rate > 0 else np.full(threshold.shape, np.inf)
        self._reading, self._risk = reading, np.zeros(threshold.shape)

    def read(self, reading: np.ndarray) -> None:
        """Take note of a visit's reading."""
        self._reading = reading

    def at(self, month: float, months: float, pain: np.ndarray) -> np.ndarray:
        """Whether patients are still there, some months after the visit before, with the pain they have now."""
        if self._rule is None:
            return np.asarray(self._leaves > month)
        felt = self._reading if self._rule.depends_on == "last_reading" else np.clip(pain, 0, 100)
        factor = self._rule.per_10_points ** ((felt - self._rule.at_pain) / 10)
        self._risk += self._rate * factor * months
        return np.asarray(self._risk < self._threshold)


class _Happening:
    """One kind of intercurrent event: whom it has happened to, when, and what it takes off pain."""

    def __init__(self, rule: Event, uniform: np.ndarray) -> None:
        self._rule, self._left = rule, -np.log(uniform)
        self._rate = _rate(rule.by_month_12)
        self._month = np.full(uniform.shape, np.inf)

    def go_on(self, month: float, months: float, reading: np.ndarray) -> np.ndarray:
        """Let some months pass since the visit before; whether it has happened by now."""
        risk = np.where(reading > self._rule.pain_above, self._rate * months, 0.0)
        now = np.isinf(self._month) & (risk >= self._left) & (risk > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            self._month = np.where(now, month - months * (1 - self._left / risk), self._month)
        self._left = self._left - risk
        return np.asarray(np.isfinite(self._month))

    def relief(self, month: float) -> np.ndarray:
        """Points taken off pain at a month."""
        lasts = np.inf if self._rule.lasting_months is None else self._rule.lasting_months
        return np.where(np.isfinite(self._month) & (month - self._month <= lasts), self._rule.relief, 0.0)


def conduct_arm(
    cohort: Cohort,
    patients: Patients,
    constants: Constants,
    visits: Sequence[float],
    rescue_visits: Sequence[float],
    main_month: float,
    rules: Conduct,
    chance: Chance,
    crossing: Crossing | None = None,
    wanted: Wanted = EVERYTHING,
) -> ArmRecord:
    """Follow one arm through its visits.

    A patient who reads above the rescue threshold at a visit takes the rescue medicine from that visit on. A patient
    leaves at a constant rate or at one that depends on pain; the course of those who left goes on unseen. Other
    intercurrent events happen at a constant rate to patients whose last reading was above a level. Patients who learn
    their arm report other values than they feel. Where visits have windows, patients are read on their own day; rescue
    medicine begins when the window closes, leaving and events count from one visit's nominal day to the next.

    Parameters
    ----------
    cohort, patients
        The arm at day 0 (:func:`stemtrial.simulation.treat`).
    constants
        By registry symbol, one value a group.
    visits
        Months of the visits.
    rescue_visits
        Those of them at which rescue medicine can be started.
    main_month
        Visit at which relief is taken apart.
    rules
        Dropout and rescue.
    chance
        Noise and dropout of these patients.
    crossing
        What patients who cross over to another arm gain, where they may.
    wanted
        What is to be measured.
    """
    if main_month not in visits:
        raise ValueError(f"month {main_month:g} is not a visit")
    c = {name: np.asarray(constants[name])[:, None] for name in _CONSTANTS}
    shape, over_time = patients.pain.shape, (len(visits), *patients.pain.shape)
    z = chance.noise
    start_function = cohort.function() if wanted.function else _NOTHING
    baseline = {name: np.empty(shape) for name in wanted.instruments}
    readings = {name: np.empty(over_time) for name in wanted.instruments}
    _measure(
        baseline, patients.pain, start_function, patients.fluctuation, np.zeros(shape), z[:3], patients, c
    )
    baseline["VAS"] = patients.covariates.pain
    reading = baseline["VAS"]
    staying = _Staying(dropout_rate(rules), rules.leaving, -np.log(chance.dropout), reading)
    happenings = {e.kind: _Happening(e, chance.events[e.kind]) for e in rules.events}
    events: dict[str, np.ndarray] = {kind: np.empty(over_time, bool) for kind in happenings}
    over = np.full(shape, np.inf)
    if crossing is not None:
        events["crossover"] = np.empty(over_time, bool)
    fluctuation, course = patients.fluctuation, np.zeros(shape)
    told = rules.unblinding
    reported = np.where(chance.guess < told.share, told.points, 0.0) if told is not None else 0.0
    on_rescue = np.zeros(shape, bool)
    already = rules.rescue_analgesia is not None and any(
        e.kind.name.lower() == rules.rescue_analgesia.drug for e in cohort.schedule.events
    )
    pain, function = np.empty(over_time), np.empty(over_time if wanted.function else 0)
    present, rescued = np.empty(over_time, bool), np.empty(over_time, bool)
    relief, function_gain, before = _NOTHING, _NOTHING, 0.0
    day: np.ndarray | float = 0.0
    reader = _Reader(cohort, rules.visit_window_days or 0.0, chance.timing, wanted)
    for k, month in enumerate(visits):
        months, before = month - before, month
        today, felt, limited, parts = reader.visit(k, month, month == main_month)
        days, day = (months * DAYS_PER_MONTH if chance.timing is None else today - day), today
        keep = np.exp(-days / c["tau_fluct"])
        fluctuation = keep * fluctuation + c["sd_fluct"] * np.sqrt(1 - keep**2) * z[3 + 5 * k]
        keep = np.exp(-days / c["tau_course"])
        course = keep * course + c["sd_course"] * np.sqrt(1 - keep**2) * z[4 + 5 * k]
        for kind, happening in happenings.items():
            events[kind][k] = happening.go_on(month, months, reading)
            felt = felt - happening.relief(month)
            limited = limited - c["beta_F"] * happening.relief(month) if wanted.function else _NOTHING
        if crossing is not None:
            events["crossover"][k] = np.isfinite(over)
            gained = crossing.gain(day / DAYS_PER_MONTH - over)
            felt, limited = felt - gained[0], limited - gained[1] if wanted.function else _NOTHING
        now = {name: values[k] for name, values in readings.items()}
        _measure(now, felt, limited, fluctuation, course, z[5 + 5 * k : 8 + 5 * k], patients, c, reported)
        pain[k], present[k], rescued[k] = felt, staying.at(month, months, felt), on_rescue
        if wanted.function:
            function[k] = limited
        if month == main_month:
            relief, function_gain = parts, start_function - limited
        if month in rescue_visits:
            reading = now["VAS"]
            staying.read(reading)
            if crossing is not None and month >= crossing.rule.from_month:
                asks = (reading > crossing.rule.pain_above) & present[k] & np.isinf(over)
                over = np.where(asks & (chance.events["crossover"] < crossing.rule.share), month, over)
        if rules.rescue_analgesia is not None and not already and month in rescue_visits:
            starts = (reading > rules.rescue_analgesia.pain_above) & present[k] & ~on_rescue
            cohort.rescue(rules.rescue_analgesia.drug, starts)
            on_rescue = on_rescue | starts
    return ArmRecord(
        baseline=baseline,
        readings=readings,
        present=present,
        rescued=rescued,
        pain=pain,
        function=function,
        relief=relief,
        function_gain=function_gain,
        events=events,
    )
