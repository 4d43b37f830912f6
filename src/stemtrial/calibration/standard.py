"""Constants as smooth functions of independent standard normal numbers, the coordinates in which a fit moves.

A constant's prior is its quantile function at the normal probability of a number; the map is a cubic through exact
values, so that gradients exist everywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr

from stemtrial.calibration import prior
from stemtrial.calibration.arrays import namespace, put
from stemtrial.calibration.variants import variant
from stemtrial.mechanism import equations
from stemtrial.mechanism.inputs import INPUT_CONSTANTS
from stemtrial.mechanism.parameters import Parameter, registry
from stemtrial.mechanism.treatments import Indication

LIKELIHOOD_VERSION = 3
"""Raised when the likelihood of the fit changes: posteriors of another version are refused."""

KNOTS = np.linspace(-5.0, 5.0, 201)
"""Standard normal numbers at which the map is exact; beyond the ends it is constant."""

PATIENTS = (
    "f_ret", "k_M", "sd_ln_potency", "potency_age", "sd_ln_k_M", "presensitised", "A_presensitised", "sd_ln_P0",
    "P0_bmi", "s_P", "s_X", "s_c", "sd_ln_ctx",
)  # fmt: skip
"""Constants of the patients on which mean pain depends."""

TRIALS = ("omega_cell",)
"""Constants of the variation between trials."""


@dataclass(frozen=True)
class Learned:
    """A quantity without a range in the registry that a fit learns: normal or, on the log scale, lognormal prior.

    Attributes
    ----------
    name
        Symbol of the registry, or a name of the fit's own.
    median, sd
        Of the prior; the SD is that of the logarithm where ``log``.
    log
        Whether the prior is lognormal.
    unit, meaning, source
        As in the registry.
    """

    name: str
    median: float
    sd: float
    log: bool
    unit: str
    meaning: str
    source: str

    def at(self, z: Any) -> Any:
        """Value at a standard normal number."""
        return self.median * namespace(z).exp(self.sd * z) if self.log else self.median + self.sd * z


WEN = "Wen 2022 Table 1, widened: oral placebo, other trials"
ASSUMED = "this model; weakly informative"
LEARNED: tuple[Learned, ...] = (
    Learned("ctx_Emax", 9.46, 0.25, True, "points", "mean contextual response at baseline pain 50", WEN),
    Learned("ctx_slope", 0.0323, 0.4, True, "1/point", "its change per point of baseline pain", WEN),
    Learned("tau_ctx", 6.0, 0.5, True, "points", "scale between trials of the contextual response, tails apart", WEN),
    Learned("tail_ctx", 0.6, 0.4, True, "-", "heaviness of its tails (0.6: those of Student's t with 6 df)", ASSUMED),
    Learned("k_B", 0.061, 0.4, True, "1/d", "onset of the contextual response", WEN),
    Learned("omega_k_B", 0.832, 0.25, True, "-", "between-trial SD of ln k_B", WEN),
    Learned("mu_cell", 0.0, 0.7, False, "-", "mean over trials of ln cell effect", ASSUMED),
    Learned("womac_slope", 0.9, 0.1, True, "-", "WOMAC pain per point of pain", "registry, with an SD of 10 %"),
    Learned("koos_slope", 1.0, 0.1, True, "-", "KOOS pain per point of pain", ASSUMED),
    Learned("nrs_slope", 1.0, 0.1, True, "-", "numeric rating per point of pain", ASSUMED),
    Learned("tau_arm", 5.0, 0.5, True, "points", "SD of an arm's own deviation from the model", ASSUMED),
    Learned("tau_visit", 2.0, 0.5, True, "points", "SD of a visit's own deviation from its arm's course", ASSUMED),
    Learned("tau_pooled", 1.5, 0.5, True, "points", "SD of pooled effects around the model", ASSUMED),
    Learned("bias_open", 0.0, 6.0, False, "points", "bias of experimental arms of unblinded or high-risk trials",
            ASSUMED),
    Learned("tau_open", 3.0, 0.6, True, "points", "SD of that bias between arms", ASSUMED),
    Learned("bias_control", 0.0, 6.0, False, "points",
            "bias of control arms that go on with their care in such trials", ASSUMED),
    Learned("bias_small", 0.0, 1.0, False, "points per point of SE", "small-study effect of experimental arms",
            ASSUMED),
    Learned("sd_change", 22.0, 0.15, True, "points", "SD between patients of the change of pain, unprinted",
            "saline arms 17.6-25 (bennell_2021 and others)"),
    Learned("baseline_mean", 55.0, 5.0, False, "points", "mean over trials of baseline pain, unprinted", ASSUMED),
    Learned("baseline_sd", 10.0, 0.5, True, "points", "SD over trials of baseline pain, unprinted", ASSUMED),
)  # fmt: skip
"""What a fit learns beside the registry's uncertain constants."""


def heavy(z: Any, tail: Any) -> Any:
    """Give standard normal numbers heavier tails, ``sinh(tail z) / tail``: a few trials are far from all others.

    With a tail of 0.6 it is 1.06, 2.5 and 4.9 at 1, 2 and 3, as Student's t with six degrees of freedom.

    Examples
    --------
    >>> import numpy as np
    >>> [round(float(heavy(z, 0.6)), 2) for z in (0.0, 1.0, 3.0)]
    [0.0, 1.06, 4.9]
    """
    return namespace(z).sinh(tail * z) / tail


def learned_of(indication: Indication = "knee_oa") -> tuple[Learned, ...]:
    """Return what a fit learns beside the uncertain constants, with the priors of an indication."""
    changed = variant(indication).priors
    return tuple(
        replace(q, median=c.value, sd=c.sd, source=c.source) if (c := changed.get(q.name)) and c.sd else q
        for q in LEARNED
    )


def sampled(indication: Indication = "knee_oa") -> tuple[Parameter, ...]:
    """Uncertain constants of an indication on which a published mean of pain depends: the same for all."""
    relevant = {*equations.SHARED, *INPUT_CONSTANTS, *PATIENTS, *TRIALS}
    learned = {quantity.name for quantity in LEARNED}
    return tuple(
        p
        for p in variant(indication).constants.values()
        if p.level == "uncertain" and p.symbol in relevant and p.symbol not in learned
    )


class Constants(Mapping[str, Any]):
    """Constants of the model as one vector with names, from which many can be taken at once.

    Parameters
    ----------
    names
        In the order of the vector.
    vector
        Values, (..., names): of JAX at one point, or of NumPy at many (:mod:`stemtrial.calibration.arrays`).
    """

    def __init__(self, names: Sequence[str], vector: Any) -> None:
        self._at = {name: i for i, name in enumerate(names)}
        self.vector = vector

    def __getitem__(self, name: str) -> Any:
        return self.vector[..., self._at[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def take(self, names: Sequence[str]) -> Any:
        """Values of several constants, (..., names)."""
        return self.vector[..., np.array([self._at[name] for name in names])]

    def replaced(self, **values: Any) -> "Constants":
        """Return the same with some values changed."""
        xp = namespace(self.vector)
        rows = np.array([self._at[name] for name in values])
        lead = self.vector.shape[:-1]
        stacked = xp.stack([xp.broadcast_to(xp.asarray(v, float), lead) for v in values.values()], axis=-1)
        return Constants(tuple(self._at), put(self.vector, rows, stacked))


@dataclass(frozen=True)
class Standard:
    """The map from standard normal numbers to constants.

    Attributes
    ----------
    parameters
        Uncertain constants of the registry, in the order of their numbers.
    learned
        What is learned beside them, in the order of its numbers.
    values, slopes
        Exact values of the former at the knots, on the scale on which the constant is bounded, and slopes there.
    table
        All constants; those that are in neither stay at their value.
    """

    parameters: tuple[Parameter, ...]
    learned: tuple[Learned, ...]
    values: np.ndarray
    slopes: np.ndarray
    table: Mapping[str, Parameter]

    @classmethod
    def of(
        cls,
        parameters: Sequence[Parameter],
        learned: Sequence[Learned],
        constants: Mapping[str, Parameter] | None = None,
    ) -> "Standard":
        """Tabulate the priors of some constants; all others, by default of the registry, stay at their value."""
        u = ndtr(KNOTS)
        table = np.stack([prior.quantile(p, u) for p in parameters])
        logs = np.array([p.scale == "log" for p in parameters])[:, None]
        with np.errstate(divide="ignore"):
            table = np.where(logs, np.log(np.where(logs, table, 1.0)), table)
        slopes = np.gradient(table, KNOTS, axis=1)
        return cls(tuple(parameters), tuple(learned), table, slopes, constants or registry())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all numbers, those of the registry first."""
        return (*(p.symbol for p in self.parameters), *(q.name for q in self.learned))

    def constants(self, z: Any, z_learned: Any) -> Constants:
        """Constants at standard normal numbers, (..., parameters) and (..., learned)."""
        xp = namespace(z)
        step = KNOTS[1] - KNOTS[0]
        position = xp.clip((z - KNOTS[0]) / step, 0.0, len(KNOTS) - 1.0)
        left = xp.clip(xp.floor(position).astype(int), 0, len(KNOTS) - 2)
        t = position - left
        rows = np.arange(len(self.parameters))
        table, slopes = xp.asarray(self.values), xp.asarray(self.slopes) * step
        y0, y1, d0, d1 = table[rows, left], table[rows, left + 1], slopes[rows, left], slopes[rows, left + 1]
        value = (
            y0 * (1 + 2 * t) * (1 - t) ** 2
            + d0 * t * (1 - t) ** 2
            + y1 * t * t * (3 - 2 * t)
            + d1 * t * t * (t - 1)
        )
        logs = np.array([p.scale == "log" for p in self.parameters])
        value = xp.where(logs, xp.exp(xp.where(logs, value, 0.0)), value)
        median, sd = (np.array([getattr(q, name) for q in self.learned]) for name in ("median", "sd"))
        ratio = np.array([q.log for q in self.learned])
        moved = xp.where(
            ratio, median * xp.exp(xp.where(ratio, sd * z_learned, 0.0)), median + sd * z_learned
        )
        names = self.names
        fixed = {symbol: p.value for symbol, p in self.table.items() if symbol not in names}
        per_year = ("sig_X", "lam_C")
        still = xp.broadcast_to(np.array(list(fixed.values())), (*value.shape[:-1], len(fixed)))
        vector = xp.concatenate([value, moved, still], axis=-1)
        found = Constants([*names, *fixed], vector)
        daily = found.take(per_year) / equations.DAYS_PER_YEAR
        return Constants(
            [*names, *fixed, *(f"{n} per day" for n in per_year)], xp.concatenate([vector, daily], axis=-1)
        )
