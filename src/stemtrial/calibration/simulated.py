"""Simulation-based calibration: whether the inference finds the truth where it is known.

A small problem with every kind of unknown that the fit of published arms has is fitted many times to readings that were
simulated from its own prior. The rank of the truth among the draws of its fit is then uniform for every quantity
(Talts et al. 2018, arXiv:1804.06788); the log likelihood is among the quantities, because it finds faults that no
constant shows (Modrák et al. 2023, doi:10.1214/23-BA1404).
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial.calibration import scores
from stemtrial.calibration.arms import Reading, ReadingKind, TrialArm
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.given import given
from stemtrial.calibration.posterior import model_fingerprint
from stemtrial.calibration.prediction import errors
from stemtrial.calibration.processes import side_by_side
from stemtrial.calibration.sampling import BLOCK, Sampler

LEVELS = (0.5, 0.8, 0.9)
"""Coverages that 100 ranks can hold exactly."""

SHOWN = (
    "ctx_Emax", "ctx_slope", "tau_ctx", "tail_ctx", "k_B", "omega_k_B", "mu_cell", "womac_slope", "tau_arm",
    "tau_visit", "bias_open", "tau_open", "bias_small", "sd_change", "baseline_mean", "baseline_sd",
)  # fmt: skip
"""Learned quantities whose ranks are looked at, beside the contrasts and the log likelihood."""

CONTRASTS: Mapping[str, tuple[int, int]] = {
    "cells less saline, month 6": (3, 1),
    "cells less hyaluronic acid, month 6": (7, 5),
    "course of cells, month 12 less 3": (9, 8),
}
"""Expected readings of :func:`made_problem`, one less another."""


def simulate_readings(model: FitModel, z: np.ndarray, seed: int) -> np.ndarray:
    """Draw readings given coordinates: the likelihood of a fit, read forward.

    Parameters
    ----------
    model
        Arms whose readings are drawn; those that it holds are not looked at.
    z
        Coordinates, (draws, dimension).
    seed
        Of deviations and errors.

    Returns
    -------
    array
        (draws, readings), as in the rows of the model: levels of arms with a known baseline as changes.
    """
    m = model.moments_of(z)
    return np.asarray(m["mean"] + m["gain"] * errors(model, m, np.random.default_rng([seed, 29])))


def simulate_data(model: FitModel, z: np.ndarray, seed: int) -> np.ndarray:
    """Draw all that is fitted to but pooled effects, (draws, data), as :attr:`.FitModel.data`.

    What is drawn for a printed baseline is what the fit is told of baselines; the courses keep those of the arms.
    """
    c = model.constants(model.parts(z))
    noise = np.random.default_rng([seed, 43]).standard_normal((len(z), len(model.printed)))
    printed = c["baseline_mean"][:, None] + c["baseline_sd"][:, None] * noise
    return np.hstack([simulate_readings(model, z, seed), printed])


@dataclass(frozen=True)
class Length:
    """How much is drawn in each fit.

    The few readings of the made problem leave its posterior close to a normal distribution, so that a shorter warm-up
    than that of a real fit does, and draws are almost independent.

    Attributes
    ----------
    warmup
        Iterations of adaptation.
    kept, thin
        Draws among which the truth is ranked, and iterations from one to the next.
    """

    warmup: int = 75
    kept: int = 99
    thin: int = 2


@dataclass(frozen=True)
class Simulated:
    """Ranks of the truth.

    Attributes
    ----------
    ranks
        By quantity, (fits,), 0 to ``kept``.
    kept
        Draws of each fit.
    divergences
        In all fits together.
    """

    ranks: Mapping[str, np.ndarray]
    kept: int
    divergences: int

    @property
    def uniformity(self) -> dict[str, scores.Uniformity]:
        """Simultaneous test of the ranks of each quantity."""
        return {name: scores.ecdf_test(ranks, self.kept) for name, ranks in self.ranks.items()}

    @property
    def smallest_p(self) -> float:
        """Smallest p-value times the number of quantities (Bonferroni), at most 1."""
        return min(1.0, len(self.ranks) * min(u.p_value for u in self.uniformity.values()))

    def coverage(self) -> list[dict[str, Any]]:
        """Share of fits whose central interval held the truth, by quantity and level, with its 95 % interval."""
        rows = []
        for name, ranks in self.ranks.items():
            for level in LEVELS:
                edge = round((1 - level) / 2 * (self.kept + 1))
                held = int(((ranks >= edge) & (ranks <= self.kept - edge)).sum())
                low, high = scores.wilson(held, len(ranks))
                nominal = (self.kept + 1 - 2 * edge) / (self.kept + 1)
                rows.append(
                    {
                        "quantity": name,
                        "level": nominal,
                        "share": held / len(ranks),
                        "low": low,
                        "high": high,
                    }
                )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the ranks with their tests as plain data."""
        return {
            "draws": self.kept,
            "fits": len(next(iter(self.ranks.values()))),
            "divergences": self.divergences,
            "smallest_p": self.smallest_p,
            "p_values": {name: u.p_value for name, u in self.uniformity.items()},
            "coverage": self.coverage(),
            "ranks": {name: [int(r) for r in ranks] for name, ranks in self.ranks.items()},
        }


def made_problem() -> tuple[TrialArm, ...]:
    """Three small trials with every kind of unknown of the published ones.

    Cells against saline, unblinded; cells against hyaluronic acid with levels, whose baseline, SD and dose were not
    printed; and a single arm of cells on another instrument, with a share of responders.

    Examples
    --------
    >>> from stemtrial.calibration.fitmodel import FitModel
    >>> sizes = FitModel(made_problem()).sizes
    >>> [sizes[kind] for kind in ("baseline", "dose", "spread")]
    [1, 1, 1]
    """
    first = {"n": 40, "baseline_mean": 58.0, "baseline_sd": 14.0, "blinding": "open", "randomised": True}
    second = {"n": 25, "blinding": "double", "randomised": True}
    third = {"n": 15, "baseline_mean": 62.0, "blinding": "open"}
    scores_of_c = [_reading(m, "change", -15.0, 4.0, "WOMAC_pain") for m in (3.0, 12.0)]
    share = _reading(12.0, "responders", 0.5, None, "WOMAC_pain", n=15, threshold=20.0)
    return (
        _arm("a", "saline", None, [_reading(m, "change", -10.0, 3.0) for m in (1.0, 6.0)], first),
        _arm("a", "cell_therapy", 40.0, [_reading(m, "change", -20.0, 3.0) for m in (1.0, 6.0)], first),
        _arm("b", "hyaluronic_acid", None, [_reading(m, "level", 40.0, None) for m in (3.0, 6.0)], second),
        _arm("b", "cell_therapy", None, [_reading(m, "level", 35.0, None) for m in (3.0, 6.0)], second),
        _arm("c", "cell_therapy", 20.0, [*scores_of_c, share], third),
    )


def _reading(
    month: float, kind: ReadingKind, value: float, se: float | None, instrument: str = "VAS", **more: Any
) -> Reading:
    return Reading(
        month=month, instrument=instrument, kind=kind, statistic="mean", value=value, se=se, reference_id="made", **more
    )  # fmt: skip


def _arm(
    trial: str, word: str, dose: float | None, readings: Sequence[Reading], more: Mapping[str, Any]
) -> TrialArm:
    cells: dict[str, Any] = {}
    if word == "cell_therapy":
        cells = {
            "source": "bone_marrow",
            "origin": "autologous",
            "product": "culture_expanded",
            "dose_million": dose,
        }
    schedule = given("knee_oa", word, **cells).schedule
    return TrialArm(
        trial_id=trial, arm_id=word, indication="knee_oa", intervention=word, schedule=schedule,
        readings=tuple(readings), **cells, **more,
    )  # fmt: skip


def quantities(model: FitModel, z: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Quantities (draws, :data:`NAMES`) at coordinates (draws, dimension), given data."""
    parts = model.parts(z)
    mean = model.moments(parts)["mean"]
    contrasts = np.stack([mean[:, a] - mean[:, b] for a, b in CONTRASTS.values()], axis=1)
    fit = sum(part.sum(axis=1) for part in model.log_likelihood(z, data))
    return np.column_stack([model.constants(parts).take(SHOWN), contrasts, fit])


NAMES = (*SHOWN, *CONTRASTS, "log likelihood")
"""Quantities in the order of :func:`quantities`."""


def fit_simulated(sampler: Sampler, length: Length, seed: int, i: int) -> tuple[np.ndarray, int]:
    """Draw a truth and its readings, fit them, and return the ranks of the truth, (quantities,), and divergences."""
    model = sampler.model
    truth = np.random.default_rng([seed, 37, i]).standard_normal((1, model.dimension))
    data = simulate_data(model, truth, int(np.random.default_rng([seed, 41, i]).integers(2**31)))[0]
    shape = sampler.shape(data=data)
    iterations = -(-length.kept * length.thin // BLOCK) * BLOCK
    chain = sampler.chain(seed * 100_003 + i, iterations, shape, data=data)
    draws = chain.draws[: length.kept * length.thin][:: length.thin]
    ranks = (quantities(model, draws, data) < quantities(model, truth, data)).sum(axis=0)
    return ranks, int(chain.divergent.sum())


def calibrate(
    folder: Path,
    fits: int,
    length: Length,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Simulated:
    """Fit the made problem many times; finished fits are kept in the folder and used by the next call.

    Parameters
    ----------
    folder
        Where finished fits are kept.
    fits
        How many; tests of uniformity want 200 or more.
    length
        Of each fit.
    seed
        Of truths, readings and chains.
    workers
        Processes, each of which compiles once.
    progress
        Called with fits done and in all.

    Raises
    ------
    NumericalError
        From the sampler.
    WorkerError
        A process ended before its fits did.
    """
    key = [asdict(length), seed, model_fingerprint(), NAMES]
    folder = folder / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    todo = [i for i in range(fits) if not _file(folder, i).is_file()]
    shares = [share for share in (todo[k::workers] for k in range(workers)) if share]
    if shares:
        calls = [(folder, share, length, seed) for share in shares]
        side_by_side(
            _share,
            calls,
            workers,
            lambda: progress(sum(_file(folder, i).is_file() for i in range(fits)), fits),
        )
    progress(fits, fits)
    found = [np.load(_file(folder, i), allow_pickle=False) for i in range(fits)]
    ranks = np.stack([row[:-1] for row in found])
    return Simulated(
        {name: ranks[:, k] for k, name in enumerate(NAMES)}, length.kept, int(sum(row[-1] for row in found))
    )


def _file(folder: Path, i: int) -> Path:
    return folder / f"{i}.npy"


def _share(folder: Path, share: list[int], length: Length, seed: int) -> None:
    sampler = Sampler(FitModel(made_problem()), length.warmup)
    for i in share:
        ranks, divergent = fit_simulated(sampler, length, seed, i)
        partial = _file(folder, i).with_suffix(".partial")
        with partial.open("wb") as out:
            np.save(out, np.append(ranks, divergent), allow_pickle=False)
        os.replace(partial, _file(folder, i))
