r"""Several comparisons of one trial that share alpha, at one look or at many.

At one look, adjusted p values decide (:mod:`stemtrial.trial.multiplicity`). At several, the comparisons are tested by
the graphical group-sequential procedure (Maurer & Bretz 2013, *Statistics in Biopharmaceutical Research* 5:311): each
has boundaries that spend its present share of alpha by the trial's spending function, and hands its share on when it is
shown. The familywise error is kept because the procedure is a short cut through the closed test whose intersections are
tested by weighted Bonferroni, which holds as long as a larger share never has a higher bound; that is checked. A
comparison is tested with the data of the present look only, never again with those of an earlier one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import ndtr

from stemtrial.errors import InputError, Problem
from stemtrial.trial import multiplicity
from stemtrial.trial.analysis import Comparison
from stemtrial.trial.boundaries import boundaries
from stemtrial.trial.bounds import Boundaries
from stemtrial.trial.groupsequential import GroupSequential
from stemtrial.trial.looks import Looks, Verdict, design, reached
from stemtrial.trial.question import Question
from stemtrial.trial.rules import Multiplicity, StopWhen

ADJUST = {
    "holm": multiplicity.holm,
    "hochberg": multiplicity.hochberg,
    "fixed_sequence": multiplicity.fixed_sequence,
    "bonferroni": multiplicity.bonferroni,
}
"""Adjusted p values by procedure, for a trial with one look."""

NEVER = np.iinfo(np.int64).max
"""Look at which a comparison that is not shown is shown."""


@dataclass(frozen=True, eq=False)
class Shared:
    """How the comparisons of each replicate ended.

    Attributes
    ----------
    rejected
        Whether each is shown by the end of the trial, (replicates, comparisons).
    shown_at
        Look at which each is shown, 0 the first; ``NEVER`` for those that are not, (replicates, comparisons).
    opposite
        Whether each ended with an effect in the other direction, (replicates, comparisons).
    look
        Look at which the trial ended, (replicates,).
    """

    rejected: np.ndarray
    shown_at: np.ndarray
    opposite: np.ndarray
    look: np.ndarray


@dataclass(frozen=True)
class Sharing:
    """How several comparisons share alpha, and when the trial that makes them ends.

    Attributes
    ----------
    method
        Procedure.
    comparisons
        How many; the order matters for a fixed sequence.
    design
        Looks and rules of a comparison that has all of alpha.
    stop_when
        What ends the trial at an interim look; ``None`` without any.
    """

    method: Multiplicity
    comparisons: int
    design: GroupSequential
    stop_when: StopWhen | None

    @staticmethod
    @lru_cache(maxsize=64)
    def of(question: Question) -> "Sharing | None":
        """Return how the comparisons of a question share alpha; ``None`` for a single one."""
        if question.multiplicity is None:
            return None
        return Sharing(question.multiplicity, len(question.comparisons), design(question), question.stop_when)

    @property
    def divisors(self) -> tuple[int, ...]:
        """Parts of alpha, 1 for all of it, that a comparison can have, from the share with which the first begins."""
        match self.method:
            case "fixed_sequence":
                return (1,)
            case "bonferroni":
                return (self.comparisons,)
            case _:
                return tuple(range(self.comparisons, 0, -1))

    def bounds(self, divisor: int) -> Boundaries:
        """Boundaries of a comparison that has alpha over so much.

        Raises
        ------
        InputError
            If the rules leave no boundary that holds the level.
        """
        return boundaries(replace(self.design, alpha=self.design.alpha / divisor))

    @cached_property
    def critical(self) -> np.ndarray:
        """Efficacy bound by divisor and look, infinite for a comparison without alpha, (comparisons + 1, looks).

        Raises
        ------
        InputError
            If a larger share of alpha has a higher bound at a look, so that the procedure would not keep the error.
        """
        found = np.full((self.comparisons + 1, len(self.design.information)), np.inf)
        for divisor in self.divisors:
            found[divisor] = self.bounds(divisor).upper
        levels = ndtr(-found[list(self.divisors)])
        if np.any(np.diff(levels, axis=0) < -1e-12):
            raise InputError(
                Problem("spends less at a look when a comparison has more of alpha", field="spending",
                        hint="choose another spending function, or `multiplicity: bonferroni`")
            )  # fmt: skip
        return found

    def follow(self, z: np.ndarray) -> Shared:
        """Test every comparison at every look until the trial ends.

        Parameters
        ----------
        z
            Test statistics, positive in favour of the experimental arm, (replicates, comparisons, looks); NaN where an
            analysis was not possible, which shows nothing.

        Examples
        --------
        Holm at one look: the smaller p value has half of alpha, the larger all of it.

        >>> from stemtrial.trial.groupsequential import OBRIEN_FLEMING
        >>> one = GroupSequential((1.0,), 0.05, 2, OBRIEN_FLEMING)
        >>> Sharing("holm", 2, one, None).follow(np.array([[[2.3], [2.0]]])).rejected.tolist()
        [[True, True]]
        """
        if self.method == "hochberg" or z.shape[2] == 1:
            level = self.design.alpha / self.design.sides
            with np.errstate(invalid="ignore"):
                rejected = np.asarray(ADJUST[self.method](ndtr(-z[:, :, -1])) < level)
            opposite = self._opposite(z[:, :, -1], np.full(z.shape[:2], self.divisors[0]), -1)
            return Shared(rejected, np.where(rejected, 0, NEVER), opposite, np.zeros(len(z), int))
        rejected, opposite, given_up = np.zeros((3, *z.shape[:2]), bool)
        shown_at, look = np.full(z.shape[:2], NEVER), np.full(len(z), z.shape[2] - 1)
        running = np.ones(len(z), bool)
        lower = self.bounds(1).lower
        for k in range(z.shape[2]):
            here, last = z[:, :, k], k == z.shape[2] - 1
            open_to = running[:, None] & ~rejected & ~opposite & ~given_up
            while (new := open_to & ~rejected & (here >= self._bound(rejected, k))).any():
                rejected |= new
                shown_at[new] = k
            left = open_to & ~rejected
            opposite |= left & self._opposite(here, self._divisor(rejected), k)
            if self.design.sides == 1 and not last:
                given_up |= left & (here <= lower[k])
            ended = running & (last | self._ended(rejected, opposite | given_up))
            look[ended] = k
            running &= ~ended
        return Shared(rejected, shown_at, opposite, look)

    def _divisor(self, rejected: np.ndarray) -> np.ndarray:
        """Divisor of each comparison's present share, 0 for none, (replicates, comparisons)."""
        match self.method:
            case "bonferroni":
                return np.full(rejected.shape, self.comparisons)
            case "fixed_sequence":
                before = np.logical_and.accumulate(rejected, axis=1)
                return np.concatenate([np.ones((len(rejected), 1), int), before[:, :-1]], axis=1).astype(int)
            case _:
                left = self.comparisons - rejected.sum(axis=1, keepdims=True)
                return np.broadcast_to(np.maximum(left, 1), rejected.shape)

    def _bound(self, rejected: np.ndarray, look: int) -> np.ndarray:
        return np.asarray(self.critical[self._divisor(rejected), look])

    def _opposite(self, z: np.ndarray, divisor: np.ndarray, look: int) -> np.ndarray:
        if self.design.sides == 1:
            return np.zeros(z.shape, bool)
        return np.asarray(z <= -self.critical[divisor, look])

    def _ended(self, rejected: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Whether what has been shown, or can no longer be, ends the trial, (replicates,)."""
        if self.method == "fixed_sequence":
            lost = np.logical_or.accumulate(lost, axis=1)
        decided = rejected | lost
        match self.stop_when:
            case "main_decided":
                return np.asarray(decided[:, 0])
            case "any_shown":
                return np.asarray(rejected.any(axis=1) | decided.all(axis=1))
            case _:
                return np.asarray(decided.all(axis=1))


@dataclass(frozen=True, eq=False)
class SharedVerdict(Verdict):
    """How the main comparison ended, and with it the others.

    Attributes
    ----------
    shared
        How every comparison ended.
    estimates
        Of every comparison at the look at which the trial ended, (replicates, comparisons).
    statistics
        Test statistics of every comparison at every look, (replicates, comparisons, looks).
    """

    shared: Shared
    estimates: np.ndarray
    statistics: np.ndarray


def ended(question: Question, looks: Looks, paths: Sequence[Sequence[Comparison]]) -> Verdict:
    """Stop by the rules of a question, given the analyses of its comparisons.

    Parameters
    ----------
    question
        How the comparisons share alpha.
    looks
        When and against what each is tested.
    paths
        Analyses of each comparison at every look, the main comparison first.

    Returns
    -------
    Verdict
        A :class:`SharedVerdict` where several comparisons share alpha.
    """
    sharing = Sharing.of(question)
    if sharing is None:
        return looks.end(paths[0])
    statistics = np.stack([np.stack([looks.statistic(c) for c in path], axis=-1) for path in paths], axis=1)
    shared = sharing.follow(statistics)
    found = [reached(path, shared.look) for path in paths]
    early = shared.look < looks.number - 1
    return SharedVerdict(
        found[0],
        shared.rejected[:, 0],
        shared.look,
        shared.opposite[:, 0],
        early & ~shared.rejected.any(axis=1) & ~shared.opposite.any(axis=1),
        tuple(paths[0]),
        statistics[:, 0],
        shared,
        np.stack([c.estimate for c in found], axis=1),
        statistics,
    )
