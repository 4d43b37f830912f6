"""Looks of a trial: which patients they have, by which bounds they stop it, and how each replicate ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stemtrial.trial.analysis import Comparison
from stemtrial.trial.boundaries import boundaries
from stemtrial.trial.bounds import Boundaries
from stemtrial.trial.groupsequential import (
    OBRIEN_FLEMING,
    POCOCK,
    BetaSpending,
    Efficacy,
    FixedFutility,
    GroupSequential,
)
from stemtrial.trial.groupsequential import Futility as FutilityRule
from stemtrial.trial.question import Question
from stemtrial.trial.rules import Futility, Hypothesis, Interim
from stemtrial.trial.spending import HwangShihDeCani, OBrienFlemingType, PocockType, Spending, Tabulated

Compare = Callable[[tuple[int, int] | None], Comparison]
"""Compares two arms by the first so many patients of each; by all of them for ``None``."""


def _spending(name: str, gamma: float | None) -> Spending:
    match name:
        case "lan_demets_of":
            return OBrienFlemingType()
        case "lan_demets_pocock":
            return PocockType()
        case _:
            assert gamma is not None
            return HwangShihDeCani(gamma)


def _efficacy(interim: Interim, alpha: float) -> Efficacy:
    match interim.spending:
        case "obrien_fleming":
            return OBRIEN_FLEMING
        case "pocock":
            return POCOCK
        case "tabulated":
            assert interim.alpha_spent is not None
            shares = tuple(spent / alpha for spent in interim.alpha_spent)
            return Tabulated((*interim.at, 1.0), (*shares, 1.0))
        case name:
            return _spending(name, interim.gamma)


def _futility(rule: Futility | None) -> FutilityRule | None:
    if rule is None:
        return None
    if rule.z is not None:
        return FixedFutility(rule.z)
    assert rule.spending is not None
    assert rule.beta is not None
    return BetaSpending(_spending(rule.spending, rule.gamma), rule.beta)


def design(question: Question) -> GroupSequential:
    """Return the group-sequential design of a question; a trial without interim looks has one look, at its end.

    Equivalence is shown where both one-sided tests reject at the same look, each with all of the one-sided level and
    boundaries of its own: the repeated confidence interval of the look lies within the margins (Jennison & Turnbull
    2000, *Group Sequential Methods*, ch. 6 and 9). Its design is therefore one-sided.

    Raises
    ------
    InputError
        For rules that contradict each other.

    Examples
    --------
    >>> from stemtrial.trial.question import Endpoint
    >>> question = Question(endpoint=Endpoint(instrument="VAS", month=12), compare=["cells", "saline"],
    ...     estimand="composite", analysis="ancova", alpha=0.05, sides=2,
    ...     interim=Interim(at=[0.5], spending="obrien_fleming"))
    >>> boundaries(design(question)).upper.round(3).tolist()
    [2.797, 1.977]
    """
    interim, alpha, sides = question.interim, question.alpha, question.sides
    if question.margin.kind == "equivalence":
        alpha, sides = question.level, 1
    if interim is None:
        return GroupSequential((1.0,), alpha, sides, OBRIEN_FLEMING)
    return GroupSequential(
        (*interim.at, 1.0),
        alpha,
        sides,
        _efficacy(interim, question.alpha),
        _futility(interim.futility),
        interim.futility is not None and interim.futility.kind == "binding",
    )


@dataclass(frozen=True, eq=False)
class Verdict:
    """How the main comparison of each replicate ended, arrays (replicates,) unless said otherwise.

    Attributes
    ----------
    found
        Estimate at the look at which the trial stopped.
    shown
        Whether it showed what it was to show.
    look
        Look at which the trial stopped, 0 the first.
    opposite
        Whether it stopped for, or ended with, an effect in the other direction.
    futile
        Whether the trial was given up at an interim look: nothing was shown.
    looks
        Estimates at every look, the last one with all patients, wherever it stopped.
    z
        Test statistics of all looks, positive in favour of the experimental arm, (replicates, looks); NaN where the
        analysis was not possible, which stops nothing.
    """

    found: Comparison
    shown: np.ndarray
    look: np.ndarray
    opposite: np.ndarray
    futile: np.ndarray
    looks: tuple[Comparison, ...]
    z: np.ndarray


@dataclass(frozen=True)
class Looks:
    """When a question is looked at and what is to be shown then.

    Attributes
    ----------
    design
        Looks, levels and rules.
    hypothesis
        What is to be shown.
    """

    design: GroupSequential
    hypothesis: Hypothesis

    @classmethod
    def of(cls, question: Question) -> "Looks":
        """Make the looks of a question.

        Raises
        ------
        InputError
            For rules that contradict each other.
        """
        return cls(design(question), question.margin)

    @cached_property
    def bounds(self) -> Boundaries:
        """Stopping boundaries (:func:`stemtrial.trial.boundaries.boundaries`)."""
        return boundaries(self.design)

    @property
    def number(self) -> int:
        """Number of looks, the last one included."""
        return len(self.design.information)

    def patients(self, arms: Sequence[int]) -> list[tuple[int, ...]]:
        """Patients of each arm at each look, from the arms' sizes.

        Examples
        --------
        >>> half_way = GroupSequential((0.5, 1.0), 0.05, 2, POCOCK)
        >>> Looks(half_way, Hypothesis(kind="superiority", margin=0.0)).patients([9, 20])
        [(4, 10), (9, 20)]
        """
        return [tuple(round(t * n) for n in arms) for t in self.design.information]

    def statistic(self, comparison: Comparison, shift: float = 0.0) -> np.ndarray:
        """Test statistic against what is to be excluded, on the scale of the standard normal, same shape.

        Parameters
        ----------
        comparison
            Estimate and its standard error.
        shift
            Added to the estimate.
        """
        null = self.hypothesis.null
        worse = comparison.z(null - shift)
        if self.hypothesis.kind != "equivalence":
            return worse
        return np.asarray(np.minimum(worse, -comparison.z(-null - shift)))

    def verdict(self, compare: Compare, arms: tuple[int, int], shift: float = 0.0) -> Verdict:
        """Look at the data and stop by the bounds.

        Parameters
        ----------
        compare
            Analysis of the first patients of each arm, in the order of recruitment.
        arms
            Patients of the two arms.
        shift
            Added to every estimate before it is tested: moves the true difference, such as to the margin.
        """
        final = compare(None)
        earlier = [compare((a, b)) for a, b in self.patients(arms)[:-1]]
        return self.end([*earlier, final], shift)

    def end(self, comparisons: Sequence[Comparison], shift: float = 0.0) -> Verdict:
        """Stop by the bounds, given the analyses of all looks."""
        z = np.stack([self.statistic(c, shift) for c in comparisons], axis=-1)
        ending = self.bounds.follow(z)
        futile = (ending.look < self.number - 1) & ~ending.shown & ~ending.opposite
        found = reached(comparisons, ending.look)
        return Verdict(found, ending.shown, ending.look, ending.opposite, futile, tuple(comparisons), z)


def reached(comparisons: Sequence[Comparison], look: np.ndarray) -> Comparison:
    """Comparison of each replicate at the look at which it ended, `look` (replicates,)."""

    def at(name: str) -> np.ndarray:
        values = np.stack([getattr(c, name) for c in comparisons], axis=-1)
        return np.take_along_axis(values, look[..., None], axis=-1)[..., 0]

    return Comparison(at("estimate"), at("se"), at("df"), at("p"))
