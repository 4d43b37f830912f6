"""Constants of the model as known before any fit: their ranges, and how trials differ.

An uncertain constant follows a PERT distribution: bounded by its range, its mode the registry's value (Malcolm et al.
1959), on the linear or the logarithmic scale as the registry says. Trials differ in the size and the speed of the
contextual response (Wen 2022) and in the effect of the cells.
"""

import hashlib
from collections.abc import Collection
from functools import cache
from importlib.resources import files

import numpy as np
from scipy.special import betaincinv

from stemtrial.calibration.variants import variant
from stemtrial.draws import Stream, normals, uniforms
from stemtrial.mechanism.parameters import Parameter
from stemtrial.mechanism.treatments import Indication

LABEL = "prior, not calibrated"
"""How every output says where its constants come from."""

TRIAL_EFFECTS = ("cell_effect",)
"""Constants beside the registry's: the trial's multiplier of the potency of cells."""


def fingerprint(indication: Indication = "knee_oa") -> str:
    """SHA-256 of the table of constants, and of an indication's changes: all that the prior depends on."""
    table = files("stemtrial.mechanism").joinpath("data/parameters.csv").read_bytes()
    return hashlib.sha256(table + variant(indication).fingerprint.encode()).hexdigest()


def _bounds(p: Parameter) -> tuple[float, float, float]:
    low, high = p.range
    return (np.log(low), np.log(p.value), np.log(high)) if p.scale == "log" else (low, p.value, high)


@cache
def _knots(p: Parameter) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, dense at both ends, and exact quantiles of the scaled beta distribution at them."""
    low, mode, high = _bounds(p)
    width = high - low
    u = np.sin(np.linspace(0, np.pi / 2, 4097)) ** 2
    return u, low + width * betaincinv(1 + 4 * (mode - low) / width, 1 + 4 * (high - mode) / width, u)


def quantile(p: Parameter, u: np.ndarray) -> np.ndarray:
    """Quantile function of a constant's prior, interpolated between 4097 exact values.

    Examples
    --------
    >>> import numpy as np
    >>> quantile(variant("knee_oa").constants["f_ret"], np.array([0.0, 1.0])).tolist()
    [0.1, 0.4]
    """
    if p.level == "fixed":
        return np.full(np.shape(u), p.value)
    x: np.ndarray = np.interp(u, *_knots(p))
    return np.exp(x) if p.scale == "log" else x


def mean(p: Parameter) -> float:
    """Mean of a constant's prior on the scale on which it is bounded."""
    if p.level == "fixed":
        return p.value
    low, mode, high = _bounds(p)
    x = (low + 4 * mode + high) / 6
    return float(np.exp(x)) if p.scale == "log" else float(x)


def independent(
    seed: int, replicates: np.ndarray, known: Collection[str] = (), indication: Indication = "knee_oa"
) -> dict[str, np.ndarray]:
    """Draw the constants of each replicate but those that are known otherwise, by symbol, (replicates,)."""
    table = variant(indication).constants
    uncertain = [p for p in table.values() if p.level == "uncertain"]
    u = uniforms(seed, Stream.CONSTANTS, replicates, 0, 1, len(uncertain))[:, :, 0]
    result = {symbol: np.full(len(replicates), p.value) for symbol, p in table.items() if symbol not in known}
    for row, p in zip(u, uncertain, strict=True):
        if p.symbol not in known:
            result[p.symbol] = quantile(p, row)
    return result


def draw(seed: int, replicates: np.ndarray, indication: Indication = "knee_oa") -> dict[str, np.ndarray]:
    """Draw the constants of each replicate, with the effects of its trial.

    Returns
    -------
    dict
        By symbol, (replicates,); ``ctx_Emax`` and ``k_B`` are those of the trial.
    """
    result = independent(seed, replicates, indication=indication)
    z = normals(seed, Stream.TRIAL, replicates, 0, 1, 3)[:, :, 0]
    result["ctx_Emax"] = result["ctx_Emax"] + result["tau_ctx"] * z[0]
    result["k_B"] = result["k_B"] * np.exp(result["omega_k_B"] * z[1])
    result["cell_effect"] = np.exp(result["omega_cell"] * z[2])
    return result


def typical(replicates: np.ndarray, indication: Indication = "knee_oa") -> dict[str, np.ndarray]:
    """Return the prior mean of every constant for each replicate, in a trial without effects of its own."""
    result = {
        symbol: np.full(len(replicates), mean(p)) for symbol, p in variant(indication).constants.items()
    }
    result["cell_effect"] = np.ones(len(replicates))
    return result
