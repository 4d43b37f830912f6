"""Groups of patients on one schedule, moved forward in time together.

A group is what shares its constants: the patients of one arm in one replicate. All arrays carry (group, patient) as
their last two axes.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from stemtrial.errors import NumericalError
from stemtrial.mechanism import _generated, equations, kernels
from stemtrial.mechanism.device import Advance
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.inputs import INPUT_CONSTANTS, evaluate_groups, tabulate
from stemtrial.mechanism.schedule import Schedule

_X = {name: i for i, name in enumerate(equations.STATES)}
_Q = {name: i for i, name in enumerate(equations.PATIENT)}
_P = {name: i for i, name in enumerate(equations.SHARED)}
_U = {name: i for i, name in enumerate(equations.INPUTS)}
_C = {name: i for i, name in enumerate(INPUT_CONSTANTS)}


class _Quantities:
    """Rows of arrays by name, looked up when they are needed."""

    def __init__(self, **known: Any) -> None:
        vars(self).update(known)
        self._tables: list[tuple[Mapping[str, int], np.ndarray]] = []

    def add(self, index: Mapping[str, int], rows: np.ndarray) -> "_Quantities":
        """Add an array whose rows have these names."""
        self._tables.append((index, rows))
        return self

    def __getattr__(self, name: str) -> Any:
        for index, rows in vars(self).get("_tables", ()):
            if name in index:
                return rows[index[name]]
        raise AttributeError(name)


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
        What moves the states in place of the compiled solver: another device (:mod:`stemtrial.mechanism.device`).

    Notes
    -----
    The compiled solver is the smallest that covers the arm (:mod:`stemtrial.mechanism.kernels`), provided that the
    patients start in steady state, as enrolled patients do.
    """

    whole: ClassVar[ModuleType] = _generated
    """Generated solver of all states, for ``advance``; a subclass may use another method's."""

    def __init__(
        self,
        states: Mapping[str, np.ndarray],
        patient: Mapping[str, np.ndarray],
        shared: Mapping[str, np.ndarray],
        schedule: Schedule,
        grid: Grid,
        dtype: type[np.floating] = np.float64,
        advance: Advance | None = None,
    ) -> None:
        shape = np.shape(states["P"])
        self.x = np.empty((len(equations.STATES), *shape), dtype)
        self.q = np.empty((len(equations.PATIENT), *shape), dtype)
        for rows, index, given in ((self.x, _X, states), (self.q, _Q, patient)):
            for name, i in index.items():
                rows[i] = given[name]
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
        self._given, self.grid = grid, grid.suited(schedule)
        self.day = 0.0
        self._events = schedule.arrays()
        self._switches = schedule.switches()
        self._pending = list(schedule.doses)
        self._switched = 0.0
        self._rescued: frozenset[str] = frozenset()
        self._device = advance
        self._steady = advance is None and self._starts_in_steady_state()
        self._use(advance)
        self._u = np.zeros((groups, len(equations.INPUTS)), dtype)
        self._seen: tuple[Any, Any, Any] | None = None

    def _starts_in_steady_state(self) -> bool:
        """Whether the states that a smaller kernel takes for constant are where it takes them to be."""
        bound = self.p[:, _P["R_b"], None]
        return not (self.x[_X["M"]].any() or self.x[_X["G"]].any() or self.x[_X["T"]].any()) and bool(
            (self.x[_X["R"]] == bound).all()
        )

    def _use(self, advance: Advance | None) -> None:
        """Take the solver that suits what may act from now on."""
        if advance is None:
            kernel = kernels.suited(self.schedule, self._rescued) if self._steady else kernels.general()
        else:
            kernel = self.whole
        self._advance: Advance = advance or kernel.advance
        self._moved = frozenset(kernel.STATES)
        self._driven = bool(kernel.INPUTS)
        self._constants = np.array(kernel.CONSTANTS, self.x.dtype)
        self._stage_times = np.array(kernel.STAGE_TIMES)

    def advance(self, day: float) -> None:
        """Move every patient forward to a day; treatments due on that very day are given afterwards."""
        stops = [d for d in self._switches if self.day < d < day]
        for stop in [*stops, day]:
            if stop <= self.day:
                continue
            self._give()
            self._integrate(stop)

    def _give(self) -> None:
        while self._pending and self._pending[0].start <= self.day + 1e-9:
            dose = self._pending.pop(0)
            self.x[0] += (self._retained * dose.amount)[:, None].astype(self.x.dtype)
        if any(abs(d - self.day) < 1e-9 for d in self._switches):
            self._switched = self.day

    def _integrate(self, stop: float) -> None:
        h = self.grid.steps(self.day, stop, self._switched)
        groups, days = self.x.shape[1], stop - self.day
        table = np.empty(
            (groups, len(h) * self._driven, len(self._stage_times) + 1, len(equations.INPUTS)), self.x.dtype
        )
        if self._driven:
            fading = bool(self._rescued) or self._device is not None
            tabulate(*self._events, self._inputs, self.day, h, self._stage_times, table, fading)
        u = np.empty((groups, len(equations.INPUTS)))
        evaluate_groups(*self._events, self._inputs, self.day, stop, u)
        context = self._context(u[:, _U["route"], None], days)
        self._advance(self.x, self.q, self.p, h.astype(self.x.dtype), table, self._constants)
        self.x[_X["B"]] = context
        for name in ("M", "G"):
            if name in self._moved:
                amount = self.x[_X[name]]
                amount[amount < 1e-9] = 0
        if "A" not in self._moved and self.x[_X["A"]].any():
            # Without donor cells memory only decays, and nothing depends on it.
            self.x[_X["A"]] *= np.exp(-self.p[:, _P["k_A"], None] * self.x.dtype.type(days))
        if self._rescued:
            self._fade(days)
        # The fading parts are already referred to the end of the piece.
        u[:, [_U["fade_n"], _U["fade_o"]]] = 1.0
        self._u = u.astype(self.x.dtype)
        self.day, self._seen = stop, None

    def _context(self, route: np.ndarray, days: float) -> np.ndarray:
        """Contextual response after some days of a piece, exactly.

        No other state depends on it and its target is constant within a piece, so the steps need not resolve it.
        """
        target = self.q[_Q["ctx"]] * route.astype(self.x.dtype)
        left = np.exp(-self.p[:, _P["k_B"], None] * self.x.dtype.type(days))
        response: np.ndarray = self.x[_X["B"]] - target
        response *= left
        response += target
        return response

    def _fade(self, days: float) -> None:
        """Rescue medicine's fading parts, referred to the start of the next piece."""
        rates = {"n_fading": 1 / self._inputs[:, _C["tau_N"]], "o_fading": self._inputs[:, _C["k_op"]]}
        for name, rate in rates.items():
            row = self.q[_Q[name]]
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
        if drug not in self._rescued:
            self._rescued |= {drug}
            self._use(self._device)
            self.grid = self._given.suited(self.schedule, rescue=True)
        self._switched = self.day - self.grid.lead
        if drug == "opioid":
            parts: dict[str, Any] = {"o_steady": 1, "o_fading": -1}
        else:
            size = self._inputs[:, _C[{"nsaid": "eps_N", "paracetamol": "eps_para"}[drug]], None]
            lost = self._inputs[:, _C["om_N"], None]
            parts = {"n_steady": size * (1 - lost), "n_fading": size * lost}
        for name, part in parts.items():
            np.copyto(self.q[_Q[name]], part, where=starts, casting="same_kind")

    @property
    def _today(self) -> tuple[Any, Any, Any]:
        """States, constants and inputs today, by name; made anew after every move of the clock."""
        if self._seen is None:
            # Zeros as plain numbers: nobody takes what no row need be read for.
            taken = "opioid" in self._rescued or self.q[_Q["o_steady"]].any()
            zeros = {} if taken else {"o_steady": 0.0, "o_fading": 0.0}
            tolerance = {} if self.x[_X["T"]].any() else {"T": 0.0}
            observation = {k: v[:, None].astype(self.x.dtype) for k, v in self._observation.items()}
            p = _Quantities(**zeros, **observation).add(_Q, self.q).add(_P, self.p.T[:, :, None])
            x, u = _Quantities(**tolerance).add(_X, self.x), _Quantities().add(_U, self._u.T[:, :, None])
            self._seen = x, p, u
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
        values: np.ndarray = self.x[_X[name]]
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
