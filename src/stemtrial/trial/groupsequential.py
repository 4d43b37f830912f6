"""Group-sequential designs: when a trial is looked at, and by which rules it stops."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from stemtrial.errors import InputError, Problem
from stemtrial.trial.spending import Spending

SMALLEST_STEP = 0.001
"""Smallest part of the information that may lie between two looks."""


@dataclass(frozen=True)
class WangTsiatis:
    r"""Efficacy bounds :math:`c\,t^{\delta-1/2}` (Wang & Tsiatis 1987, *Biometrics* 43:193).

    Attributes
    ----------
    delta
        0 is O'Brien-Fleming, 0.5 is Pocock.
    """

    delta: float


OBRIEN_FLEMING, POCOCK = WangTsiatis(0.0), WangTsiatis(0.5)


@dataclass(frozen=True)
class HaybittlePeto:
    """The same efficacy bound at every interim look; the last bound uses up what is left of alpha.

    Attributes
    ----------
    z
        The interim bound.
    """

    z: float


@dataclass(frozen=True)
class FixedFutility:
    """Futility bounds given as z values of the interim looks.

    Attributes
    ----------
    z
        One for each interim look; ``-inf`` where a look cannot stop for futility. In a two-sided design the trial stops
        for futility where ``|z|`` is below the bound, and 0 stands for none.
    """

    z: tuple[float, ...]


@dataclass(frozen=True)
class BetaSpending:
    """Futility bounds that spend the type II error, and thereby fix the effect at which the trial has its power.

    Attributes
    ----------
    spending
        Spending function.
    beta
        Type II error in all.
    """

    spending: Spending
    beta: float


Efficacy = WangTsiatis | HaybittlePeto | Spending
Futility = FixedFutility | BetaSpending


@dataclass(frozen=True)
class GroupSequential:
    """Looks of a trial and the rules for stopping it: a list of values, printable and hashable.

    Attributes
    ----------
    information
        Information fraction of each look, ascending, the last one 1; ``(1,)`` is a trial without interim looks.
    alpha
        Type I error; of both sides together in a two-sided design.
    sides
        1 or 2 (symmetric).
    efficacy
        Rule for stopping for efficacy.
    futility
        Rule for stopping for futility.
    binding
        Whether the efficacy bounds may count on the futility bounds being obeyed. If not, the type I error holds even
        where a trial goes on after crossing a futility bound.

    Raises
    ------
    InputError
        For looks, levels or rules that contradict each other.
    """

    information: tuple[float, ...]
    alpha: float
    sides: int
    efficacy: Efficacy
    futility: Futility | None = None
    binding: bool = False

    def __post_init__(self) -> None:
        t = self.information
        steps = np.diff(t, prepend=0)
        checks = [
            (bool(t) and t[-1] == 1 and bool(np.all(steps >= SMALLEST_STEP)), "information", list(t),
             f"ascending by {SMALLEST_STEP} or more, the last one 1"),
            (0 < self.alpha < 0.5, "alpha", self.alpha, "above 0 and below 0.5"),
            (self.sides in (1, 2), "sides", self.sides, "1 or 2"),
        ]  # fmt: skip
        match self.efficacy:
            case WangTsiatis(delta):
                checks.append((-2 <= delta <= 2, "efficacy.delta", delta, "-2 to 2"))
            case HaybittlePeto(z):
                low = -float(ndtri(self.alpha / self.sides)) if 0 < self.alpha < 1 else 0.0
                checks.append((low < z < np.inf, "efficacy.z", z, f"above {low:.4g}"))
        match self.futility:
            case FixedFutility(bounds):
                least = 0.0 if self.sides == 2 else -np.inf
                fine = len(bounds) == len(t) - 1 and all(least <= x < np.inf for x in bounds)
                checks.append((fine, "futility.z", list(bounds), f"{len(t) - 1} values, one for each interim look"
                               + (", 0 or above" if self.sides == 2 else "")))  # fmt: skip
            case BetaSpending(_, beta):
                checks.append(
                    (0 < beta < 1 - self.alpha, "futility.beta", beta, "above 0 and below 1 - alpha")
                )
        problems = [
            Problem("is not a design", field=field, value=value, allowed=allowed)
            for fine, field, value, allowed in checks
            if not fine
        ]
        if problems:
            raise InputError(*problems)
