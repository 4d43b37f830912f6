"""What a network says: effects at a month with their intervals, ranks with their uncertainty."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import Floats
from stemtrial.evidence.hierarchy import Posterior, Priors, basis, lay_out, sample
from stemtrial.evidence.network import components
from stemtrial.evidence.networkdata import Comparison, NetworkData
from stemtrial.evidence.sampling import Convergence, Sampler
from stemtrial.evidence.vocabulary import nearest

Status = Literal["ok", "unblinded_only", "indirect_only", "beyond_data", "no_common_comparator"]


@dataclass(frozen=True)
class Effect:
    """A treatment against a comparator at a month, negative when the treatment is better.

    Attributes
    ----------
    value, sd, interval, prediction
        Posterior median and SD, credible interval, and prediction interval for the true effect in a new
        blinded trial; ``None`` where there is no common comparator.
    k, n
        Trials that compare the two directly in the data, and their persons.
    status
        ``ok``; ``indirect_only``: no trial compares the two; ``unblinded_only``: the only links between the
        two run through unblinded trials, so the effect rests on the prior of the bias; ``beyond_data``: the
        month lies after the last visit of one of them; ``no_common_comparator``: no number can be given.
    """

    treatment: str
    comparator: str
    month: float | None
    value: float | None
    sd: float | None
    interval: tuple[float, float] | None
    prediction: tuple[float, float] | None
    level: float
    k: int
    n: float
    method: str
    status: Status


@dataclass(frozen=True)
class Ranks:
    """How likely each treatment takes each rank (1 = lowest pain) at a month.

    ``probabilities`` is (treatments, ranks), rows and columns summing to 1. ``mean`` scales the rank to 1 (always
    first) to 0 (always last), the SUCRA of Salanti et al. 2011 (doi:10.1016/j.jclinepi.2010.03.016);
    ``interval`` is the credible interval of that scaled rank, which is wide unless the treatments differ clearly.
    """

    treatments: tuple[str, ...]
    month: float | None
    probabilities: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    interval: tuple[tuple[float, float], ...]
    level: float


@dataclass(frozen=True)
class Coefficient:
    """A number of the network besides the effects: ``dose``, points per tenfold dose, or ``bias``, in points.

    Bias is the mean by which unblinded comparisons favour the experimental arm; below 0 they favour it more.
    """

    name: Literal["dose", "bias"]
    value: float
    interval: tuple[float, float]
    level: float


@dataclass(frozen=True, eq=False)
class Synthesis:
    """A fitted network, at one visit (``knots`` is ``None``) or over time.

    Attributes
    ----------
    treatments
        Nodes of the connected part that holds the reference, which comes first.
    data
        All comparisons, also those of other parts.
    posterior
        Joint draws.
    knots
        Months at which courses bend.
    month
        Visit asked for, of a network at one visit.
    """

    treatments: tuple[str, ...]
    data: NetworkData
    posterior: Posterior
    knots: Floats | None
    month: float | None
    method: str

    @property
    def convergence(self) -> Convergence:
        """Diagnostics of the sampler."""
        return self.posterior.convergence

    @property
    def used(self) -> tuple[Comparison, ...]:
        """Comparisons within the connected part."""
        return tuple(row for row in self.data.comparisons if row.treatment in self.treatments)

    def course(self, months: Floats) -> Floats:
        """Return joint draws of all effects against the reference, (draws, treatments, months)."""
        shape = np.ones((len(months), 1)) if self.knots is None else basis(months, self.knots)
        nodes, width = len(self.treatments) - 1, shape.shape[1]
        b = self.posterior.b[:, : nodes * width].reshape(-1, nodes, width)
        return np.concatenate([np.zeros((b.shape[0], 1, len(months))), b @ shape.T], axis=1)

    def effect(
        self, treatment: str, comparator: str, *, month: float | None = None, level: float = 0.95
    ) -> Effect:
        """Return the effect of a treatment against a comparator.

        Parameters
        ----------
        month
            Needed for a network over time, above 0 and up to the last knot; not taken by one at a visit.

        Raises
        ------
        InputError
            An unknown treatment, or a month the synthesis cannot speak of.
        """
        at = self._month(month)
        everyone = self.data.treatments
        for field, name in (("treatment", treatment), ("comparator", comparator)):
            if name not in everyone:
                hint = f"nearest: {nearest(name, everyone)}"
                raise InputError(Problem("is not in the network", field=field, value=name, hint=hint))
        direct = [r for r in self.data.comparisons if {treatment, comparator} <= self._arms(r.trial_id)]
        persons = {row.trial_id: row.n for row in direct}
        if not {treatment, comparator} <= set(self.treatments):
            return Effect(
                treatment, comparator, at, None, None, None, None, level, len(persons),
                sum(persons.values()), self.method, "no_common_comparator",
            )  # fmt: skip
        draws = self.course(np.array([at or 0.0]))[..., 0]
        index = self.treatments.index
        difference = draws[:, index(treatment)] - draws[:, index(comparator)]
        noise = np.random.default_rng(0).standard_normal(difference.size)
        new = difference + self.posterior.scales["tau"] * noise
        return Effect(
            treatment=treatment,
            comparator=comparator,
            month=at,
            value=float(np.median(difference)),
            sd=float(np.std(difference)),
            interval=_interval(difference, level),
            prediction=_interval(new, level),
            level=level,
            k=len(persons),
            n=sum(persons.values()),
            method=self.method,
            status=self._status(treatment, comparator, at, bool(persons)),
        )

    def coefficients(self, level: float = 0.95) -> tuple[Coefficient, ...]:
        """Return the slope on dose and the bias of unblinded comparisons, where the network has them."""
        found = []
        for name in ("dose", "bias"):
            if name in self.posterior.columns:
                draws = self.posterior.b[:, self.posterior.columns.index(name)]
                found.append(Coefficient(name, float(np.median(draws)), _interval(draws, level), level))
        return tuple(found)

    def ranks(self, *, month: float | None = None, level: float = 0.95) -> Ranks:
        """Return the full table of rank probabilities; there is deliberately no "best" treatment."""
        at = self._month(month)
        draws = self.course(np.array([at or 0.0]))[..., 0]
        order = draws.argsort(axis=1).argsort(axis=1)
        count = len(self.treatments)
        table = np.stack([(order == rank).mean(axis=0) for rank in range(count)], axis=1)
        scaled = 1 - order / (count - 1)
        return Ranks(
            self.treatments,
            at,
            tuple(tuple(map(float, row)) for row in table),
            tuple(map(float, scaled.mean(axis=0))),
            tuple(_interval(column, level) for column in scaled.T),
            level,
        )

    def _month(self, month: float | None) -> float | None:
        if self.knots is None:
            if month is not None:
                problem = Problem("is fixed", field="month", value=month, hint="this network has one visit")
                raise InputError(problem)
            return self.month
        last = float(self.knots[-1])
        if month is None or not 0 < month <= last:
            raise InputError(
                Problem("is outside the course", field="month", value=month, allowed=f"above 0 to {last:g}")
            )
        return month

    def _arms(self, trial_id: str) -> set[str]:
        rows = [row for row in self.data.comparisons if row.trial_id == trial_id]
        return {name for row in rows for name in (row.treatment, row.reference)}

    def _status(self, treatment: str, comparator: str, month: float | None, direct: bool) -> Status:
        blinded = [(r.treatment, r.reference) for r in self.used if not (r.unblinded and r.role)]
        if not any({treatment, comparator} <= set(part) for part in components(blinded)):
            return "unblinded_only"
        if self.knots is not None and month is not None:
            last = {
                name: max(row.month for row in self.used if name in (row.treatment, row.reference))
                for name in (treatment, comparator)
            }
            if month > min(last.values()):
                return "beyond_data"
        return "ok" if direct else "indirect_only"


def _interval(draws: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def synthesise(
    data: NetworkData,
    *,
    priors: Priors,
    sampler: Sampler,
    reference: str,
    month: float | None = None,
    window: tuple[float, float] | None = None,
    knots: tuple[float, ...] | None = None,
    dose_node: str | None = None,
) -> Synthesis:
    """Fit a Bayesian random-effects network at one visit or over time.

    Parameters
    ----------
    data
        Comparisons of :func:`~stemtrial.evidence.armdata.network_data`.
    reference
        Node the effects are parametrised against; treatments not connected to it are reported as without a
        common comparator.
    month, window
        Visit and the months accepted for it; or
    knots
        months at which courses may bend, ascending; a course is linear in log2(1 + month) between them.
    dose_node
        Beginning of the names of nodes with a slope on log10 dose, such as ``cells_expanded``; their effects
        are those at ``REFERENCE_DOSE``.

    Raises
    ------
    InputError
        Contradictory or impossible arguments, an unknown reference, or nothing to compare it with.
    NotCredibleError
        The sampler did not converge.
    """
    if (knots is None) == (month is None or window is None):
        raise InputError(Problem("give month and window, or knots", field="synthesis"))
    if knots is not None and (not knots or knots[0] <= 0 or list(knots) != sorted(set(knots))):
        raise InputError(
            Problem("do not ascend from above 0", field="knots", value=", ".join(map(str, knots)))
        )
    rows = data if month is None or window is None else data.at(month, window)
    if reference not in rows.treatments:
        hint = f"nearest: {nearest(reference, rows.treatments)}"
        raise InputError(Problem("is not in the network", field="reference", value=reference, hint=hint))
    parts = components([(row.treatment, row.reference) for row in rows.comparisons])
    part = next(part for part in parts if reference in part)
    nodes = (reference, *(name for name in rows.treatments if name in part and name != reference))
    used = [row for row in rows.comparisons if row.treatment in part]
    at = None if knots is None else np.array(knots, dtype=float)
    layout = lay_out(used, nodes, at, priors, dose_node=dose_node)
    kind = "one visit" if knots is None else "time course"
    method = f"Bayesian random-effects network, {kind}, adaptive Metropolis over scales, exact effects"
    return Synthesis(nodes, rows, sample(layout, priors, sampler), at, month, method)
