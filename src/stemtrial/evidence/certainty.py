"""Certainty of a comparison by GRADE: five judgements, each with the number that caused it.

The rules are fixed and written down here, so that the same numbers always give the same rating; they replace
neither the reading of the trials nor a panel. They need only numbers, whatever model made them.

=================  ============================================================================================
risk of bias       share of the weight in trials of high (1), unclear (1/2) and some (1/2) concern: below 0.25
                   none, below 0.75 serious, from there very serious (GRADE guidelines 4,
                   doi:10.1016/j.jclinepi.2010.07.017, in numbers)
inconsistency      serious from I² 50 %, or if the prediction interval reaches the other side of 0 and of
                   ±MCID/3 while the confidence interval does not; very serious if both (guidelines 7,
                   doi:10.1016/j.jclinepi.2011.03.017); not assessable with one trial
imprecision        one level each: the interval holds both 0-side and ±MCID-side conclusions; fewer persons than
                   the optimal information size. Two levels if the interval reaches past +MCID and -MCID
                   (guidelines 6, doi:10.1016/j.jclinepi.2011.01.012)
indirectness       one level a flag (population, product, dose, comparator, outcome, indirect only), at most two
publication bias   serious if Egger's p is below 0.10 with at least 10 trials; not assessable with fewer, then
                   serious only if registered trials without results are at least a third of all known trials
=================  ============================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Literal, get_args

from scipy.special import ndtri

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import choice
from stemtrial.evidence.vocabulary import RiskOfBias
from stemtrial.evidence.wording import SMALL, Construct, Level, size_of, statement

Domain = Literal["risk of bias", "inconsistency", "imprecision", "indirectness", "publication bias"]
Concern = Literal["none", "serious", "very_serious", "not_assessable"]
Indirect = Literal["population", "product", "dose", "comparator", "outcome", "indirect_only"]

CONCERN: Mapping[RiskOfBias, float] = {"low": 0.0, "some": 0.5, "unclear": 0.5, "high": 1.0}
"""How much a trial's risk of bias counts."""

BIAS_SERIOUS, BIAS_VERY_SERIOUS = 0.25, 0.75
I2_SERIOUS = 50.0
EGGER_MIN_TRIALS, EGGER_P = 10, 0.10
UNPUBLISHED_SERIOUS = 1 / 3
POWER, ALPHA = 0.8, 0.05

_LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The numbers of one comparison, on 0-100 with negative favouring the treatment.

    Attributes
    ----------
    interval, prediction
        95 % confidence or credible interval of the mean effect and of the effect in a new trial.
    risk_of_bias
        Rating of each trial.
    weights
        Weight of each trial, any positive unit; ``None`` counts trials alike.
    sd
        Of the outcome between persons, for the optimal information size; ``None`` where persons are not what
        the information is counted in.
    indirect
        What of the trials differs from the question.
    egger_p
        Where at least 10 trials allow it.
    registered_without_results
        Registered trials of the comparison that ended without results, where known.
    randomised
        Randomised trials start at high, others at low certainty.
    """

    treatment: str
    comparator: str
    construct: Construct
    estimate: float
    interval: tuple[float, float]
    prediction: tuple[float, float] | None
    i2: float | None
    tau2: float | None
    k: int
    n: float
    risk_of_bias: Mapping[str, RiskOfBias]
    weights: Mapping[str, float] | None
    sd: float | None
    mcid: float
    indirect: tuple[Indirect, ...] = ()
    egger_p: float | None = None
    registered_without_results: int | None = None
    randomised: bool = True
    months: str | None = None

    def __post_init__(self) -> None:
        low, high = self.interval
        wrong = [
            Problem("is impossible", field=field, value=value, allowed=allowed)
            for field, value, fine, allowed in (
                *(
                    (name, value, isfinite(value), "a finite number")
                    for name, value in (
                        ("estimate", self.estimate),
                        ("n", self.n),
                        ("tau2", self.tau2 or 0.0),
                    )
                ),
                ("interval", f"{low:g} to {high:g}", low <= self.estimate <= high, "around the estimate"),
                ("mcid", self.mcid, self.mcid > 0, "above 0"),
                ("sd", self.sd, self.sd is None or self.sd > 0, "above 0"),
                ("k", self.k, self.k >= 1, "1 or more"),
                ("risk_of_bias", len(self.risk_of_bias), len(self.risk_of_bias) >= 1, "a rating a trial"),
                ("i2", self.i2, self.i2 is None or 0 <= self.i2 <= 100, "0 to 100"),
                ("egger_p", self.egger_p, self.egger_p is None or 0 <= self.egger_p <= 1, "0 to 1"),
            )
            if not fine
        ]
        if self.weights is not None and (
            self.weights.keys() != self.risk_of_bias.keys() or not all(w > 0 for w in self.weights.values())
        ):
            wrong.append(
                Problem("do not fit", field="weights", allowed="one above 0 for each trial in risk_of_bias")
            )
        if wrong:
            raise InputError(*wrong)
        for rating in self.risk_of_bias.values():
            choice("risk_of_bias", rating, RiskOfBias)
        for flag in self.indirect:
            choice("indirect", flag, Indirect)


@dataclass(frozen=True)
class Judgement:
    """One domain: the concern, the levels it takes off, the number behind it and why."""

    domain: Domain
    concern: Concern
    down: int
    number: float | None
    reason: str


@dataclass(frozen=True)
class Profile:
    """The certainty of a finding, its five judgements and the sentence they allow."""

    certainty: Level
    judgements: tuple[Judgement, ...]
    sentence: str


def profile(finding: Finding) -> Profile:
    """Rate the certainty of a finding.

    Examples
    --------
    >>> found = Finding(treatment="cells", comparator="saline", construct="pain", estimate=-8.0,
    ...     interval=(-12.0, -4.0), prediction=(-15.0, -1.0), i2=20.0, tau2=4.0, k=4, n=400,
    ...     risk_of_bias={"a": "low", "b": "low", "c": "some", "d": "low"}, weights=None, sd=22.0, mcid=10.0,
    ...     months="6 months")
    >>> profile(found).certainty, profile(found).sentence
    ('high', 'Compared with saline, cells reduce pain slightly at 6 months.')
    """
    level, judgements = grade(finding)
    sentence = statement(
        finding.treatment,
        finding.comparator,
        finding.construct,
        size=size_of(finding.estimate, finding.mcid),
        direction="reduces" if finding.estimate < 0 else "increases",
        level=level,
        months=finding.months,
    )
    return Profile(level, judgements, sentence)


def grade(finding: Finding) -> tuple[Level, tuple[Judgement, ...]]:
    """Return the certainty of a finding and its five judgements."""
    judgements = (
        _risk_of_bias(finding),
        _inconsistency(finding),
        _imprecision(finding),
        _indirectness(finding),
        _publication_bias(finding),
    )
    start = 0 if finding.randomised else 2
    return _LEVELS[min(start + sum(judgement.down for judgement in judgements), 3)], judgements


def optimal_information_size(sd: float, mcid: float) -> int:
    """Return the persons of both arms a trial needs to find the MCID: ``4 (z_a + z_b)² sd² / mcid²``.

    Two-sided 5 %, power 80 %, equal arms.

    Examples
    --------
    >>> optimal_information_size(20.0, 10.0)
    126
    """
    return ceil(4 * (float(ndtri(1 - ALPHA / 2)) + float(ndtri(POWER))) ** 2 * (sd / mcid) ** 2)


def _judgement(domain: Domain, down: int, number: float | None, reason: str) -> Judgement:
    concern: tuple[Concern, ...] = ("none", "serious", "very_serious")
    return Judgement(domain, concern[down], down, number, reason)


def _risk_of_bias(finding: Finding) -> Judgement:
    weights = finding.weights or dict.fromkeys(finding.risk_of_bias, 1.0)
    share = sum(weights[trial] * CONCERN[rating] for trial, rating in finding.risk_of_bias.items())
    share /= sum(weights.values())
    down = (share >= BIAS_SERIOUS) + (share >= BIAS_VERY_SERIOUS)
    return _judgement("risk of bias", down, share, f"{100 * share:.0f} % of the weight carries a concern")


def _inconsistency(finding: Finding) -> Judgement:
    if finding.k < 2:
        return Judgement("inconsistency", "not_assessable", 0, None, "one trial")
    parts, down = [], 0
    if finding.i2 is not None:
        parts.append(f"I² {finding.i2:.0f} %")
        down += finding.i2 >= I2_SERIOUS
    if finding.tau2 is not None:
        parts.append(f"tau {finding.tau2**0.5:.1f}")
    if finding.prediction is not None:
        low, high = finding.prediction
        margin = SMALL * finding.mcid
        turned = (finding.interval[1] < 0 and high > margin) or (finding.interval[0] > 0 and low < -margin)
        parts.append(
            f"prediction interval {low:.1f} to {high:.1f}" + (", turns the conclusion" if turned else "")
        )
        down += turned
    return _judgement("inconsistency", down, finding.i2, "; ".join(parts) or "no measure given")


def _imprecision(finding: Finding) -> Judgement:
    (low, high), mcid = finding.interval, finding.mcid
    needed = None if finding.sd is None else optimal_information_size(finding.sd, mcid)
    parts = [f"interval {low:.1f} to {high:.1f} against MCID {mcid:.3g}"]
    if needed is not None:
        parts.append(f"{finding.n:.0f} of {needed} persons")
    if low <= -mcid and high >= mcid:
        return _judgement("imprecision", 2, high - low, "; ".join([*parts, "benefit and harm both possible"]))
    important, absent = low <= -mcid or high >= mcid, low < SMALL * mcid and high > -SMALL * mcid
    vague = important and absent
    if vague:
        parts.append("an important difference and none are both possible")
    return _judgement(
        "imprecision", vague + (needed is not None and finding.n < needed), high - low, "; ".join(parts)
    )


def _indirectness(finding: Finding) -> Judgement:
    flags = tuple(dict.fromkeys(finding.indirect))
    names = ", ".join(flag.replace("_", " ") for flag in flags) or "none flagged"
    return _judgement("indirectness", min(len(flags), 2), float(len(flags)), names)


def _publication_bias(finding: Finding) -> Judgement:
    if finding.k >= EGGER_MIN_TRIALS and finding.egger_p is not None:
        p = finding.egger_p
        return _judgement("publication bias", int(p < EGGER_P), p, f"Egger p {p:.3f}, {finding.k} trials")
    missing = finding.registered_without_results
    few = (
        f"{finding.k} trials, Egger's test needs {EGGER_MIN_TRIALS}"
        if finding.egger_p is None
        else (f"Egger's p ignored with {finding.k} trials")
    )
    if missing is not None and missing / (missing + finding.k) >= UNPUBLISHED_SERIOUS:
        share = missing / (missing + finding.k)
        return _judgement(
            "publication bias", 1, share, f"{missing} registered trials without results beside {finding.k}"
        )
    return Judgement("publication bias", "not_assessable", 0, None, f"{few}: not assessable")
