r"""How much of an error rate may be used up by an information fraction.

Each function maps the information fraction :math:`t` to the cumulative error spent, 0 at :math:`t=0` and the whole
level at :math:`t \ge 1`, for alpha (efficacy) and for beta (futility) alike (Lan & DeMets 1983, *Biometrika* 70:659).
All are frozen, printable and hashable.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from stemtrial.errors import InputError, Problem


class Spending(Protocol):
    """A spending function."""

    def __call__(self, information: np.ndarray, level: float) -> np.ndarray:
        """Cumulative error spent at information fractions (...), of a one-sided level."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class OBrienFlemingType:
    r"""Close to the O'Brien-Fleming boundary: :math:`2\{1-\Phi(z_{1-\alpha/2}/\sqrt t)\}` (Lan & DeMets 1983).

    Examples
    --------
    >>> OBrienFlemingType()(np.array([0.5, 1.0]), 0.025).round(5).tolist()
    [0.00153, 0.025]
    """

    def __call__(self, information: np.ndarray, level: float) -> np.ndarray:
        """Cumulative error spent."""
        with np.errstate(divide="ignore"):
            spent = 2 * ndtr(ndtri(level / 2) / np.sqrt(_upto_one(information)))
        return np.asarray(spent)


@dataclass(frozen=True)
class PocockType:
    r"""Close to the Pocock boundary: :math:`\alpha \ln\{1 + (e-1)t\}` (Lan & DeMets 1983)."""

    def __call__(self, information: np.ndarray, level: float) -> np.ndarray:
        """Cumulative error spent."""
        return np.asarray(level * np.log1p((np.e - 1) * _upto_one(information)))


@dataclass(frozen=True)
class HwangShihDeCani:
    r""":math:`\alpha(1-e^{-\gamma t})/(1-e^{-\gamma})` (Hwang, Shih & DeCani 1990, *Statistics in Medicine* 9:1439).

    Attributes
    ----------
    gamma
        -4 is close to O'Brien-Fleming, 1 to Pocock, 0 spends in proportion to information.
    """

    gamma: float

    def __post_init__(self) -> None:
        _finite(self.gamma, -40, 40, "gamma")

    def __call__(self, information: np.ndarray, level: float) -> np.ndarray:
        """Cumulative error spent."""
        t = _upto_one(information)
        return np.asarray(level * (np.expm1(-self.gamma * t) / np.expm1(-self.gamma) if self.gamma else t))


@dataclass(frozen=True)
class KimDeMets:
    r"""Power family :math:`\alpha t^{\rho}` (Kim & DeMets 1987, *Biometrika* 74:149).

    Attributes
    ----------
    rho
        Exponent, above 0; 3 is close to O'Brien-Fleming, 1 spends in proportion to information.
    """

    rho: float

    def __post_init__(self) -> None:
        _finite(self.rho, 1e-3, 50, "rho")

    def __call__(self, information: np.ndarray, level: float) -> np.ndarray:
        """Cumulative error spent."""
        return np.asarray(level * _upto_one(information) ** self.rho)


@dataclass(frozen=True)
class Tabulated:
    """A spending function given at points and linear between them.

    Attributes
    ----------
    information
        Information fractions, ascending, the last one 1.
    share
        Share of the level spent by each, not decreasing, the last one 1.
    """

    information: tuple[float, ...]
    share: tuple[float, ...]

    def __post_init__(self) -> None:
        points = {"information": self.information, "share": self.share}
        problems = [
            Problem("is not a spending function", field=f"spending.{name}", value=list(values),
                    allowed="ascending values from 0 to 1 that end with 1, as many shares as information fractions")
            for name, values in points.items()
            if len(values) != len(self.information) or not values or values[-1] != 1
            or not all(a < b if name == "information" else a <= b for a, b in zip((0, *values), values, strict=False))
        ]  # fmt: skip
        if problems:
            raise InputError(*problems)

    def __call__(self, information: np.ndarray, level: float) -> np.ndarray:
        """Cumulative error spent."""
        t, share = np.array([0, *self.information]), np.array([0, *self.share])
        return np.asarray(level * np.interp(_upto_one(information), t, share))


def _upto_one(information: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(information, 0, 1), dtype=float)


def _finite(value: float, low: float, high: float, name: str) -> None:
    if not low <= value <= high:
        raise InputError(
            Problem("is out of range", field=f"spending.{name}", value=value, allowed=f"{low:g} to {high:g}")
        )
