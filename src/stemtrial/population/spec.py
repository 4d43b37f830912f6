"""Whom a trial enrols, as declared in its file: the distributions of the baseline covariates."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stemtrial.documents import Fault, FrozenDict, Record, reject

SHARE_TOLERANCE = 1e-6
"""How far the shares of the grades may be from a sum of one."""

SD_MARGIN = 0.99
"""Largest declared standard deviation as a part of its limit, at which no normal distribution is left."""


def largest_sd(mean: float, low: float = -math.inf, high: float = math.inf) -> float:
    r"""Return the limit of the standard deviation of a truncated normal distribution with a given mean.

    Among the normal distributions truncated to an interval that share a mean, the spread grows with the
    variance of the parent and tends to that of the truncated exponential distribution with this mean: the
    uniform one when the mean is the midpoint, an exponential one when the interval has one end. With
    :math:`w` the width, :math:`u` the distance of the mean from the nearer end and :math:`t` the root of
    :math:`u/w = 1/t - 1/(e^t - 1)`,

    .. math:: s_{max}^2 = w^2 \left(\frac{1}{t^2} - \frac{e^t}{(e^t - 1)^2}\right).

    Parameters
    ----------
    mean, low, high
        The mean, inside the interval, and the ends of the interval, which may be infinite.

    Returns
    -------
    float
        The limit, which itself is not attained.

    Examples
    --------
    >>> round(largest_sd(50, 0, 100), 4), round(100 / math.sqrt(12), 4)
    (28.8675, 28.8675)
    >>> largest_sd(45, low=40)
    5
    >>> largest_sd(45)
    inf
    """
    near, width = min(mean - low, high - mean), high - low
    if math.isinf(width) or near < 1e-12 * width:  # one end, or as good as one
        return near
    share = near / width
    if share > 0.4999:
        return width / math.sqrt(12)
    # 1/t - 1/(exp(t)-1) falls from 1/2 to 0 and stays below 1/t, so the root lies below 1/share.
    below, above = 0.0, 1 / share
    for _ in range(200):
        rate = (below + above) / 2
        below, above = (rate, above) if 1 / rate - _reciprocal_expm1(rate) > share else (below, rate)
    rate = (below + above) / 2
    tail = _reciprocal_expm1(rate)
    return width * math.sqrt(1 / rate**2 - tail * (1 + tail))


def _reciprocal_expm1(x: float) -> float:
    return 1 / math.expm1(x) if x < 700 else 0.0


class Covariate(Record):
    """A continuous covariate of the enrolled: a normal distribution truncated at the limits of eligibility.

    Parameters
    ----------
    mean, sd
        Of the *enrolled* patients, that is after the truncation, as a baseline table prints them.
    min, max
        Limits of eligibility; ``None`` means no limit.

    Attributes
    ----------
    scale
        Lowest and highest possible value of the covariate, whatever the eligibility rules.
    """

    scale: ClassVar[tuple[float, float]]

    mean: Annotated[float, Field(description="mean of the enrolled patients", examples=[58])]
    sd: Annotated[float, Field(gt=0, description="standard deviation of the enrolled patients", examples=[9])]
    min: Annotated[float | None, Field(description="lowest value that is enrolled")] = None
    max: Annotated[float | None, Field(description="highest value that is enrolled")] = None

    @property
    def support(self) -> tuple[float, float]:
        """Interval of the values that can occur among the enrolled; an end without a limit is infinite."""
        return (-math.inf if self.min is None else self.min, math.inf if self.max is None else self.max)

    @model_validator(mode="after")
    def _feasible(self) -> "Covariate":
        lowest, highest = self.scale
        limits = f"{lowest:g} to {highest:g}"
        written = {"mean": self.mean, "min": self.min, "max": self.max}
        faults = [
            Fault("is out of range", (name,), allowed=limits)
            for name, value in written.items()
            if value is not None and not lowest <= value <= highest
        ]
        low, high = self.support
        if not faults and low >= high:
            faults.append(Fault("is not below the largest", ("min",), allowed=f"below {high:g}"))
        elif not faults and not low < self.mean < high:
            faults.append(
                Fault(
                    "is not inside the limits of enrolment",
                    ("mean",),
                    allowed=f"above {max(low, lowest):g} and below {min(high, highest):g}",
                    hint="the mean is that of the enrolled patients",
                )
            )
        elif not faults and self.sd > SD_MARGIN * (bound := largest_sd(self.mean, low, high)):
            faults.append(
                Fault(
                    f"is too large for patients between the limits with mean {self.mean:g}",
                    ("sd",),
                    allowed=f"above 0 up to {SD_MARGIN * bound:.3g}",
                    hint="the sd is that of the enrolled patients; lower it or widen the limits",
                )
            )
        reject(faults)
        return self


class Age(Covariate):
    """Age in years."""

    scale: ClassVar[tuple[float, float]] = (18, 100)


class BodyMassIndex(Covariate):
    """Body-mass index in kg/m²."""

    scale: ClassVar[tuple[float, float]] = (12, 70)


class BaselinePain(Covariate):
    """Pain at enrolment on 0-100, 100 the worst; never outside that scale."""

    scale: ClassVar[tuple[float, float]] = (0, 100)

    @property
    def support(self) -> tuple[float, float]:
        """Interval of the values that can occur among the enrolled."""
        return (
            self.scale[0] if self.min is None else self.min,
            self.scale[1] if self.max is None else self.max,
        )


def _integer_grades(value: Any) -> Any:
    """Read grades written as text, as JSON must write them."""
    if not isinstance(value, Mapping):
        return value
    return {
        int(key) if isinstance(key, str) and key.isdecimal() else key: share for key, share in value.items()
    }


def _grades(scale: str, highest: int) -> AfterValidator:
    """Return the check of the shares of grades 1 to ``highest``."""

    def check(shares: Mapping[int, float]) -> Mapping[int, float]:
        words = ", ".join(map(str, range(1, highest + 1)))
        faults = [
            Fault(
                f"is given for grade {grade}, which the {scale} scale does not have", (grade,), allowed=words
            )
            for grade in shares
            if not 1 <= grade <= highest
        ]
        total = math.fsum(shares.values())
        if not faults and abs(total - 1) > SHARE_TOLERANCE:
            faults.append(
                Fault(f"has shares that sum to {total:.7g}", allowed="a sum of 1", hint="correct the shares")
            )
        reject(faults)
        return FrozenDict(sorted(shares.items()))

    return AfterValidator(check)


Share = Annotated[float, Field(ge=0, le=1)]


class PopulationSpec(Record):
    """Distribution of the covariates of the patients a trial enrols.

    Parameters
    ----------
    age, bmi, baseline_pain
        Continuous covariates.
    female
        Share of women, 0 to 1.
    kl_grade
        Share of each Kellgren-Lawrence grade, 1 to 4 (knee osteoarthritis).
    pfirrmann
        Share of each Pfirrmann grade, 1 to 5 (disc degeneration). Exactly one of the two gradings is given.
    """

    age: Annotated[Age, Field(description="years", examples=["{mean: 58, sd: 9, min: 40, max: 75}"])]
    bmi: Annotated[BodyMassIndex, Field(description="kg/m²", examples=["{mean: 28.5, sd: 4, max: 35}"])]
    female: Annotated[Share, Field(description="share of women", examples=[0.55])]
    kl_grade: Annotated[
        Annotated[Mapping[int, Share], _grades("Kellgren-Lawrence", 4)] | None,
        Field(description="share of each Kellgren-Lawrence grade", examples=["{2: 0.45, 3: 0.55}"]),
        BeforeValidator(_integer_grades),
    ] = None
    pfirrmann: Annotated[
        Annotated[Mapping[int, Share], _grades("Pfirrmann", 5)] | None,
        Field(description="share of each Pfirrmann grade", examples=["{3: 0.5, 4: 0.5}"]),
        BeforeValidator(_integer_grades),
    ] = None
    baseline_pain: Annotated[
        BaselinePain, Field(description="0-100, 100 the worst", examples=["{mean: 58, sd: 14, min: 40}"])
    ]

    @property
    def severity(self) -> Mapping[int, float]:
        """Share of each grade of the grading that is given, in increasing order of grade."""
        shares = self.kl_grade if self.kl_grade is not None else self.pfirrmann
        assert shares is not None  # held by _one_grading
        return shares

    @model_validator(mode="after")
    def _one_grading(self) -> "PopulationSpec":
        if (self.kl_grade is None) == (self.pfirrmann is None):
            what = "has no grading of severity" if self.kl_grade is None else "has two gradings of severity"
            hint = "write `kl_grade` for knee osteoarthritis or `pfirrmann` for disc degeneration"
            reject([Fault(what, allowed="exactly one of kl_grade, pfirrmann", hint=hint)])
        return self
