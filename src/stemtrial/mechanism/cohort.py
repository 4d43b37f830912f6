"""Groups of patients on one schedule, moved forward in time together.

A group is what shares its constants: the patients of one arm in one replicate. All arrays carry (group, patient) as
their last two axes.
"""

from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np

from stemtrial.errors import NumericalError
from stemtrial.mechanism import _generated, equations
from stemtrial.mechanism.device import Advance
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.inputs import INPUT_CONSTANTS, evaluate_groups, tabulate
from stemtrial.mechanism.schedule import Schedule


class Cohort:
    """State of the patients of several groups, with the clock.

    Parameters
    ----------
    states
        Initial states by name, each (groups, patients).
    patient
        Constants of the patients by name (``equations.PATIENT``), each (groups, patients).
    shared
        Constants of the groups by name (registry symbols), each (groups,).
    schedule
        What is given and when.
    grid
        Time grid, made finer where the schedule needs it (:meth:`stemtrial.mechanism.grid.Grid.suited`).
    dtype
        ``float64`` or ``float32``.
    advance
        What moves the states: the compiled solver, or another device (:mod:`stemtrial.mechanism.device`).
    """

    kernel: ClassVar[ModuleType] = _generated
    """Generated solver; a subclass may use another method's."""

    def __init__(
        self,
        states: Mapping[str, np.ndarray],
        patient: Mapping[str, np.ndarray],
        shared: Mapping[str, np.ndarray],
        schedule: Schedule,
        grid: Grid,
        dtype: type[np.floating] = np.float64,
        advance: Advance = _generated.advance,
    ) -> None:
        self.x = np.stack([np.asarray(states[name], dtype) for name in equations.STATES])
        self.q = np.stack([np.asarray(patient[name], dtype) for name in equations.PATIENT])
        groups = self.x.shape[1]
        donor = np.full(groups, float(bool(schedule.allogeneic)))
        per_day = {name: np.asarray(shared[name]) / equations.DAYS_PER_YEAR for name in ("sig_X", "lam_C")}
        known: dict[str, np.ndarray] = {**shared, **per_day, "allo": donor}
        self.p = np.ascontiguousarray(np.stack([known[name] for name in equations.SHARED], axis=1), dtype)
        self._inputs = np.ascontiguousarray(
            np.stack([shared[name] for name in INPUT_CONSTANTS], axis=1), float
        )
        self._retained = np.asarray(shared["f_ret"], float)
        self._observation = {
            k: np.asarray(shared[k], float) for k in ("alpha_F", "beta_F", "g_F", "f_B", "f_x")
        }
        self.schedule = schedule
        self._advance = advance
        self._given, self.grid = grid, grid.suited(schedule)
        self.day = 0.0
        self._events = schedule.arrays()
        self._pending = list(schedule.doses)
        self._piece = 0.0
        self._switched = 0.0
        self._constants = np.array(self.kernel.CONSTANTS, dtype)
        self._stage_times = np.array(self.kernel.STAGE_TIMES)
        self._seen: tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace] | None = None

    def advance(self, day: float) -> None:
        """Move every patient forward to a day; treatments due on that very day are given afterwards."""
        stops = [d for d in self.schedule.switches() if self.day < d < day]
        for stop in [*stops, day]:
            if stop <= self.day:
                continue
            self._give()
            self._integrate(stop)

    def _give(self) -> None:
        while self._pending and self._pending[0].start <= self.day + 1e-9:
            dose = self._pending.pop(0)
            self.x[0] += (self._retained * dose.amount)[:, None].astype(self.x.dtype)
        if any(abs(d - self.day) < 1e-9 for d in self.schedule.switches()):
            self._switched = self.day

    def _integrate(self, stop: float) -> None:
        h = self.grid.steps(self.day, stop, self._switched)
        groups = self.x.shape[1]
        table = np.empty((groups, len(h), len(self._stage_times) + 1, len(equations.INPUTS)), self.x.dtype)
        tabulate(*self._events, self._inputs, self.day, h, self._stage_times, table)
        context = self._context(table[:, 0, 0], stop - self.day)
        self._advance(self.x, self.q, self.p, h.astype(self.x.dtype), table, self._constants)
        self.x[equations.STATES.index("B")] = context
        resident = self.x[0]
        resident[resident < 1e-9] = 0
        progenitors = self.x[6]
        progenitors[progenitors < 1e-9] = 0
        self._fade(stop - self.day)
        self._piece, self.day, self._seen = self.day, stop, None

    def _context(self, inputs: np.ndarray, days: float) -> np.ndarray:
        """Contextual response after some days with the inputs of a piece, exactly.

        No other state depends on it and its target is constant within a piece, so the steps need not resolve it.
        """
        target = self.q[equations.PATIENT.index("ctx")] * inputs[:, equations.INPUTS.index("route"), None]
        left = np.exp(-self.p[:, equations.SHARED.index("k_B"), None] * self.x.dtype.type(days))
        return np.asarray(target + (self.x[equations.STATES.index("B")] - target) * left)

    def _fade(self, days: float) -> None:
        """Rescue medicine's fading parts, referred to the start of the next piece."""
        rates = {"n_fading": 1 / self._inputs[:, INPUT_CONSTANTS.index("tau_N")],
                 "o_fading": self._inputs[:, INPUT_CONSTANTS.index("k_op")]}  # fmt: skip
        for name, rate in rates.items():
            row = self.q[equations.PATIENT.index(name)]
            if row.any():
                row *= np.exp(-rate * days)[:, None].astype(row.dtype)

    def rescue(self, drug: str, starts: np.ndarray) -> None:
        """Start rescue medicine today.

        The grid becomes fine again even where nobody starts: steps must not depend on who else is in the cohort.

        Parameters
        ----------
        drug
            ``nsaid``, ``paracetamol`` or ``opioid``.
        starts
            Who starts, (groups, patients).
        """
        self.grid = self._given.suited(self.schedule, rescue=True)
        self._switched = self.day - self.grid.lead
        row = {
            name: self.q[equations.PATIENT.index(name)]
            for name in ("n_steady", "n_fading", "o_steady", "o_fading")
        }
        if drug == "opioid":
            row["o_steady"][starts], row["o_fading"][starts] = 1, -1
            return
        size = self._inputs[
            :, INPUT_CONSTANTS.index({"nsaid": "eps_N", "paracetamol": "eps_para"}[drug]), None
        ]
        lost = self._inputs[:, INPUT_CONSTANTS.index("om_N"), None]
        row["n_steady"][starts] = np.broadcast_to(size * (1 - lost), starts.shape)[starts]
        row["n_fading"][starts] = np.broadcast_to(size * lost, starts.shape)[starts]

    @property
    def _today(self) -> tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace]:
        """States, constants and inputs today, by name; made anew after every move of the clock."""
        if self._seen is None:
            u = np.zeros((self.x.shape[1], len(equations.INPUTS)))
            if self.day > 0:
                evaluate_groups(*self._events, self._inputs, self._piece, self.day, u)
            # The fading parts are already referred to today.
            u[:, [equations.INPUTS.index("fade_n"), equations.INPUTS.index("fade_o")]] = 1.0
            u = u.astype(self.x.dtype)
            shared = {name: self.p[:, i, None] for i, name in enumerate(equations.SHARED)}
            observation = {k: v[:, None].astype(self.x.dtype) for k, v in self._observation.items()}
            self._seen = (
                SimpleNamespace(**dict(zip(equations.STATES, self.x, strict=True))),
                SimpleNamespace(**dict(zip(equations.PATIENT, self.q, strict=True)), **shared, **observation),
                SimpleNamespace(**{name: u[:, i, None] for i, name in enumerate(equations.INPUTS)}),
            )
        return self._seen

    def pain(self) -> np.ndarray:
        """Pain today before clipping, points of 0-100, (groups, patients).

        Raises
        ------
        NumericalError
            Where a patient's pain is not a finite number.
        """
        return self._finite(np.asarray(equations.pain(*self._today)), "pain")

    def function(self) -> np.ndarray:
        """Limitation of function today before clipping, points of 0-100, (groups, patients)."""
        return self._finite(np.asarray(equations.function(*self._today)), "function")

    def relief(self) -> np.ndarray:
        """Parts of the relief since baseline, points, (``equations.RELIEF``, groups, patients)."""
        parts = equations.relief(*self._today)
        return np.stack([np.broadcast_to(part, self.x.shape[1:]) for part in parts])

    def state(self, name: str) -> np.ndarray:
        """Values of one state today, (groups, patients)."""
        values: np.ndarray = self.x[equations.STATES.index(name)]
        return values

    def _finite(self, values: np.ndarray, what: str) -> np.ndarray:
        if not np.isfinite(values).all():
            group, patient = np.argwhere(~np.isfinite(values))[0]
            constants = dict(zip(equations.PATIENT, self.q[:, group, patient].tolist(), strict=True))
            raise NumericalError(
                f"{what} of patient {patient} in group {group} is not a finite number on day {self.day:g}; "
                f"constants: {constants}; check the parameters against their ranges"
            )
        return values
