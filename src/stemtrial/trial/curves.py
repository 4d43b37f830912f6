"""Chances against the size of a trial, the sizes that reach a target, and everything that a search finds."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["comparison", "together", "factor", "dose_response", "dose"]


@dataclass(frozen=True)
class Curve:
    """Chance of success against the size of the trial.

    Attributes
    ----------
    sizes
        Patients in all arms that the question names, (sizes,).
    share
        Share of virtual trials that succeed, (sizes,).
    low, high
        95 % Wilson interval of the share from the number of virtual trials, (sizes,).
    """

    sizes: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, success: np.ndarray) -> "Curve":
        """Summarise ``success`` (replicates, sizes)."""
        n, z2 = len(success), 1.959964**2
        share = success.mean(axis=0)
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
        return cls(sizes, share, middle - half, middle + half)

    def size_for(self, target: float) -> "Answer":
        """Smallest size whose chance of success reaches the target, by interpolation of the rising curve.

        The shares are first made to rise with size (pooling of adjacent violators), since more patients never make a
        fixed design less likely to succeed by more than chance.
        """
        low, size, high = (self._crossing(curve, target) for curve in (self.high, self.share, self.low))
        return Answer(target, size, low, high, float(_rising(self.share)[-1]))

    def _crossing(self, curve: np.ndarray, target: float) -> int | None:
        rising = _rising(curve)
        if rising[-1] < target:
            return None
        at = int(np.argmax(rising >= target))
        if at == 0:
            return int(self.sizes[0])
        fraction = (target - rising[at - 1]) / (rising[at] - rising[at - 1])
        return int(np.ceil(self.sizes[at - 1] + fraction * (self.sizes[at] - self.sizes[at - 1])))


@dataclass(frozen=True)
class Answer:
    """Size that reaches a target, with the range left open by the number of virtual trials.

    ``size`` is ``None`` where no size that was tried reaches it, ``high`` where the lower limit of the curve does not;
    ``ceiling`` is the chance of success of the largest size.
    """

    target: float
    size: int | None
    low: int | None
    high: int | None
    ceiling: float


@dataclass(frozen=True)
class Search:
    """Curves by scenario and visit, for the endpoint's instrument.

    Attributes
    ----------
    months
        Visits, (visits,).
    main
        Index of the endpoint's visit.
    curves
        By scenario, one curve a visit.
    stopping
        By scenario, share of trials that end at each look at the main visit, (sizes, looks).
    expected
        By scenario, mean number of patients analysed at the end, (sizes,).
    allocation
        Chances of the trial's own size by share of patients in the experimental arm, if asked for.
    further
        Chances of every comparison, factor and dose that the question asks for, at the main visit.
    """

    months: tuple[float, ...]
    main: int
    curves: dict[str, tuple[Curve, ...]]
    stopping: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    allocation: "Allocation | None" = None
    further: "tuple[Further, ...]" = ()

    @property
    def best_month(self) -> float:
        """Visit at which the largest trial is most likely to succeed under the model."""
        return self.months[int(np.argmax([curve.share[-1] for curve in self.curves["assurance"]]))]


@dataclass(frozen=True)
class Allocation:
    """Chance of success of one number of patients, by how they are shared.

    Attributes
    ----------
    n
        Patients in both arms of the main comparison.
    experimental
        Share in the experimental arm, increasing.
    curves
        By scenario; their sizes are the patients of the experimental arm.
    """

    n: int
    experimental: tuple[float, ...]
    curves: dict[str, Curve]

    @property
    def best(self) -> float:
        """Share with the highest assurance."""
        return self.experimental[int(np.argmax(self.curves["assurance"].share))]


@dataclass(frozen=True)
class Further:
    """Something else than the success of the trial that can happen in it, by size.

    Attributes
    ----------
    kind
        ``comparison``, one of several that is shown; ``together``, any or all of them; ``factor``, an effect of a
        factorial design that is shown; ``dose_response``, that there is one is shown; ``dose``, one that is picked.
    name
        Which one.
    curves
        By scenario.
    """

    kind: Kind
    name: str
    curves: dict[str, Curve]

    @property
    def label(self) -> str:
        """Name in words."""
        match self.kind:
            case "factor" if self.name != "interaction":
                return f"effect of {self.name}"
            case "dose_response":
                return f"{self.name} shown"
            case "dose":
                return f"{self.name} picked"
            case _:
                return self.name


def _rising(values: np.ndarray) -> np.ndarray:
    """Closest values, in least squares, that never fall (pooling of adjacent violators)."""
    blocks: list[list[float]] = []
    for value in values.tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, weight = blocks.pop()
            before, count = blocks.pop()
            blocks.append([(value * weight + before * count) / (weight + count), weight + count])
    return np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks])
