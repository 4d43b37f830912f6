"""Export of the model of one patient under one schedule as SBML Level 3.

The mathematics comes from the same text as everything else: the equations are evaluated on objects that write
themselves down. States follow rate rules, inputs are assignment rules in time, doses of cells are events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.mechanism import equations, parameters
from stemtrial.mechanism.inputs import INPUT_CONSTANTS, REFERENCE_DOSE_MILLION
from stemtrial.mechanism.schedule import Event, Kind, Schedule

OBSERVATION = ("alpha_F", "beta_F", "g_F", "f_B", "f_x")
"""Constants of function beside those of the equations."""


@dataclass(frozen=True)
class Formula:
    """An infix formula that grows by arithmetic."""

    text: str

    def __add__(self, other: Any) -> "Formula":
        return _joined(self, "+", other)

    def __radd__(self, other: Any) -> "Formula":
        return _joined(other, "+", self)

    def __sub__(self, other: Any) -> "Formula":
        return _joined(self, "-", other)

    def __rsub__(self, other: Any) -> "Formula":
        return _joined(other, "-", self)

    def __mul__(self, other: Any) -> "Formula":
        return _joined(self, "*", other)

    def __rmul__(self, other: Any) -> "Formula":
        return _joined(other, "*", self)

    def __truediv__(self, other: Any) -> "Formula":
        return _joined(self, "/", other)

    def __rtruediv__(self, other: Any) -> "Formula":
        return _joined(other, "/", self)

    def __neg__(self) -> "Formula":
        return Formula(f"(-{self.text})")


def _text(value: Any) -> str:
    return value.text if isinstance(value, Formula) else repr(float(value))


def _joined(a: Any, sign: str, b: Any) -> Formula:
    return Formula(f"({_text(a)} {sign} {_text(b)})")


def _names(names: Iterable[str]) -> SimpleNamespace:
    return SimpleNamespace(**{name: Formula(name) for name in names})


def _since(day: float) -> str:
    return f"(time - {_text(day)})"


def _while(value: str, e: Event, after: str = "0") -> str:
    """Return ``value`` from the start of an event to its stop, ``after`` later and zero before."""
    if np.isfinite(e.stop):
        return f"piecewise(0, time < {_text(e.start)}, {value}, time < {_text(e.stop)}, {after})"
    return f"piecewise(0, time < {_text(e.start)}, {value})"


def _together(parts: list[str]) -> str:
    """Fractional reductions together, 1 minus the product of what each leaves."""
    return f"1 - {' * '.join(f'(1 - {part})' for part in parts)}" if parts else "0"


def _inputs(given: Schedule, shared: Mapping[str, float]) -> dict[str, str]:
    """Formulas of the inputs in time (:func:`stemtrial.mechanism.inputs.evaluate`)."""
    of: dict[Kind, list[Event]] = {kind: [e for e in given.events if e.kind is kind] for kind in Kind}
    flares = [
        _while(f"j0 * {_text(np.sqrt(e.amount / REFERENCE_DOSE_MILLION))} * exp(-k_j * {_since(e.start)})", e)
        for e in of[Kind.CELLS]
    ]
    left = [_while(f"exp(-k_cs * {_since(e.start)})", e) for e in of[Kind.STEROID]]
    peak = "(ln(k_a / k_e) / (k_a - k_e))"
    height = f"(exp(-k_e * {peak}) - exp(-k_a * {peak}))"
    bateman = [
        _while(f"(exp(-k_e * {_since(e.start)}) - exp(-k_a * {_since(e.start)})) / {height}", e)
        for e in of[Kind.HYALURONIC_ACID]
    ]
    analgesics = [
        _while(f"{size} * (1 - om_N * (1 - exp(-{_since(e.start)} / tau_N)))", e)
        for kind, size in ((Kind.NSAID, "eps_N"), (Kind.PARACETAMOL, "eps_para"))
        for e in of[kind]
    ]
    opioids = [_while(f"1 - exp(-k_op * {_since(e.start)})", e) for e in of[Kind.OPIOID]]
    programmes = [
        _while(
            f"1 - exp(-k_on * {_since(e.start)})",
            e,
            f"(1 - exp(-k_on * {_text(e.stop - e.start)})) * exp(-k_off * {_since(e.stop)})",
        )
        for e in of[Kind.EXERCISE]
    ]
    strength = {
        Kind.CONTEXT_INJECTION: ("route_injection", shared["route_injection"]),
        Kind.CONTEXT_ORAL: ("1", 1.0),
        Kind.CONTEXT_PROGRAMME: ("route_programme", shared["route_programme"]),
    }
    contexts = sorted(
        (e for kind in strength for e in of[kind]), key=lambda e: strength[e.kind][1], reverse=True
    )
    route = "0"
    for e in reversed(contexts):
        within = f"time < {_text(e.stop)}" if np.isfinite(e.stop) else "true"
        route = f"piecewise({strength[e.kind][0]}, (time >= {_text(e.start)}) && {within}, {route})"
    return {
        "steroid_left": " + ".join(left) or "0",
        "flare": " + ".join(flares) or "0",
        "steroid": "I_max * steroid_left / (A50 + steroid_left)",
        "ha": f"h_max * ({_together(bateman)})",
        "nsaid": _together(analgesics),
        "opioid": _together(opioids),
        "exercise": _together(programmes),
        "route": route,
        "fade_n": "exp(-time / tau_N)",
        "fade_o": "exp(-k_op * time)",
    }


class _Document:
    """The SBML document under construction."""

    def __init__(self, libsbml: Any) -> None:
        self._lib = libsbml
        self.document = libsbml.SBMLDocument(3, 1)
        self._model = self.document.createModel()
        self._model.setId("stemtrial_joint")
        self._model.setName("Joint-pain model of one patient; time in days, pain in points of 0-100")
        day = self._model.createUnitDefinition()
        day.setId("day")
        unit = day.createUnit()
        unit.setKind(libsbml.UNIT_KIND_SECOND)
        unit.setExponent(1.0)
        unit.setScale(0)
        unit.setMultiplier(86400.0)
        self._model.setTimeUnits("day")

    def math(self, formula: str) -> Any:
        tree = self._lib.parseL3Formula(formula)
        if tree is None:
            raise ValueError(self._lib.getLastParseL3Error())
        return tree

    def quantity(self, name: str, value: float | None, *, constant: bool, meaning: str = "") -> None:
        parameter = self._model.createParameter()
        parameter.setId(name)
        parameter.setConstant(constant)
        if value is not None:
            parameter.setValue(value)
        if meaning:
            parameter.setName(meaning)

    def rate(self, name: str, formula: str) -> None:
        rule = self._model.createRateRule()
        rule.setVariable(name)
        rule.setMath(self.math(formula))

    def assignment(self, name: str, formula: str) -> None:
        self.quantity(name, None, constant=False)
        rule = self._model.createAssignmentRule()
        rule.setVariable(name)
        rule.setMath(self.math(formula))

    def dose(self, index: int, day: float, million: float) -> None:
        event = self._model.createEvent()
        event.setId(f"dose_{index}")
        event.setUseValuesFromTriggerTime(True)
        trigger = event.createTrigger()
        trigger.setInitialValue(False)
        trigger.setPersistent(True)
        trigger.setMath(self.math(f"time >= {_text(day)}"))
        added = event.createEventAssignment()
        added.setVariable("M")
        added.setMath(self.math(f"M + f_ret * {_text(million)}"))


def export(
    given: Schedule, states: Mapping[str, float], patient: Mapping[str, float], shared: Mapping[str, float]
) -> str:
    """Write the model of one patient as SBML Level 3 Version 1.

    Parameters
    ----------
    given
        Schedule; every dose of cells becomes an event.
    states, patient, shared
        Initial states, constants of the patient and shared constants in the units of the registry, as given to
        :func:`stemtrial.mechanism.reference.solve`.

    Returns
    -------
    str
        The document. Beside the states it holds the inputs, ``pain`` and ``function`` (before clipping).

    Raises
    ------
    InputError
        Where libSBML is not installed.
    """
    try:
        import libsbml
    except ImportError:
        raise InputError(
            Problem("needs libSBML", field="SBML export", hint="pip install 'stemtrial[sbml]'")
        ) from None
    registry = parameters.registry()
    out = _Document(libsbml)
    known = {**shared, **patient, "allo": float(bool(given.allogeneic))}
    for name in ("sig_X", "lam_C"):
        known[name] = shared[name] / equations.DAYS_PER_YEAR
    for name in dict.fromkeys(
        [*equations.PATIENT, *equations.SHARED, *INPUT_CONSTANTS, *OBSERVATION, "f_ret"]
    ):
        meaning = registry[name].meaning if name in registry else ""
        out.quantity(name, float(known[name]), constant=True, meaning=meaning)
    for name in equations.STATES:
        out.quantity(name, float(states[name]), constant=False)
    x, u = _names(equations.STATES), _names(equations.INPUTS)
    p = _names([*equations.PATIENT, *equations.SHARED, *OBSERVATION])
    for name, formula in _inputs(given, shared).items():
        out.assignment(name, formula)
    for name, rate in zip(equations.STATES, equations.rates(x, p, u), strict=True):
        out.rate(name, _text(rate))
    out.assignment("pain", _text(equations.pain(x, p, u)))
    out.assignment("function", _text(equations.function(x, p, u)))
    for index, e in enumerate(given.doses, start=1):
        out.dose(index, e.start, e.amount)
    return str(libsbml.writeSBMLToString(out.document))
