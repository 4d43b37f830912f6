"""What a fit and its validation hand over for their page: one document, typed and checked.

A check that was not run is ``None`` or an empty list, and the page says *not available* in its place. Pain runs from
0 to 100, lower better; a change is follow-up minus baseline; a contrast is an arm minus its comparator.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from stemtrial.errors import InputError, Problem
from stemtrial.report.contract import Document, Share


class Diagnostic(Document):
    """One check of the sampler: ``value`` and ``limit`` as printed, and whether it holds (``None``: no limit)."""

    name: str
    value: str
    limit: str = ""
    met: bool | None = None


class Range(Document):
    """Median and 95 % interval of a constant."""

    median: float
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.median <= self.high:
            raise ValueError("median lies outside its interval")
        return self


class Constant(Document):
    """A constant before and after the fit; ``contraction`` is 1 - posterior variance / prior variance on its scale."""

    symbol: str
    meaning: str
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"
    prior: Range
    posterior: Range
    contraction: float = Field(le=1)


class Observation(Document):
    """A published mean at a month with its standard error, ``None`` where not known."""

    month: float = Field(gt=0)
    value: float
    se: float | None = Field(default=None, ge=0)


class ArmCheck(Document):
    """Posterior prediction of an arm's observed mean over months, and what was observed.

    ``unit`` says whether numbers are changes or levels; quantiles have one value a month.
    """

    arm_id: str
    label: str
    unit: Literal["change", "level"]
    months: tuple[float, ...] = Field(min_length=1)
    q025: tuple[float, ...]
    q25: tuple[float, ...]
    q50: tuple[float, ...]
    q75: tuple[float, ...]
    q975: tuple[float, ...]
    observed: tuple[Observation, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        lengths = {len(x) for x in (self.months, self.q025, self.q25, self.q50, self.q75, self.q975)}
        if len(lengths) > 1:
            raise ValueError("quantiles and months differ in length")
        if any(b <= a for a, b in zip(self.months, self.months[1:], strict=False)):
            raise ValueError("months do not rise")
        return self


class TrialCheck(Document):
    """A trial with its arms."""

    trial_id: str
    label: str
    arms: tuple[ArmCheck, ...] = Field(min_length=1)


class Covered(Document):
    """Share of intervals of ``level`` that held the observation, with its 95 % interval."""

    level: Share
    share: Share
    low: Share
    high: Share


class HeldOutScore(Document):
    """A model on trials left out (:class:`stemtrial.calibration.holdout.Score`)."""

    predictor: str
    kind: Literal["arm", "contrast"]
    trials: int
    rows: int
    coverage: tuple[Covered, ...] = Field(min_length=3, max_length=3)
    coverage_by_trial: tuple[Share, ...] = Field(min_length=3, max_length=3)
    crps: float
    crps_se: float
    crps_by_trial: float
    crps_by_trial_se: float | None
    bias: float
    bias_se: float
    bias_by_trial: float
    bias_by_trial_se: float | None


class HeldOutDifference(Document):
    """CRPS of one model minus that of another (:class:`stemtrial.calibration.holdout.Difference`)."""

    predictor: str
    against: str
    kind: Literal["arm", "contrast"]
    crps: float
    se: float
    q025: float
    q975: float
    crps_by_trial: float
    se_by_trial: float | None
    q025_by_trial: float | None
    q975_by_trial: float | None


class Transforms(Document):
    """Probability integral transforms of a model's held-out rows."""

    predictor: str
    kind: Literal["arm", "contrast"]
    values: tuple[Share, ...] = Field(min_length=1)


class HeldOut(Document):
    """Leave-one-trial-out: ``mechanism`` names the model that is not a baseline."""

    mechanism: str
    scores: tuple[HeldOutScore, ...]
    differences: tuple[HeldOutDifference, ...]
    pit: tuple[Transforms, ...]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.mechanism not in {score.predictor for score in self.scores}:
            raise ValueError(f"no score of {self.mechanism}")
        return self


class SimulationBased(Document):
    """Ranks of true values among ``draws`` draws of their fits, by constant."""

    draws: int = Field(ge=1)
    ranks: dict[str, tuple[int, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _within(self) -> Self:
        lengths = {len(ranks) for ranks in self.ranks.values()}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError("constants differ in their number of fits")
        if any(not 0 <= rank <= self.draws for ranks in self.ranks.values() for rank in ranks):
            raise ValueError(f"a rank lies outside 0 to {self.draws}")
        return self


class Structure(Document):
    """A rival structure.

    Held-out log score; its distance from the best structure over trials where all can be compared, with SE; stacking
    weight at the optimum and averaged over mixtures, which is its weight in the posterior; worst Pareto k (``None``:
    every trial refitted).
    """

    name: str
    elpd: float
    difference: float
    difference_se: float
    optimum: Share
    weight: Share
    worst_k: float | None = None


class Fit(Document):
    """The document of the page; see the fields' classes.

    Attributes
    ----------
    title, label, indication
        What was fitted, and how outputs name the posterior.
    fingerprint, evidence_hash, model_version, seed, command
        Where it comes from.
    trials, arms, readings
        How much it was fitted to.
    credibility
        :meth:`stemtrial.calibration.credibility.Record.as_dict`.
    """

    title: str
    label: str
    indication: str
    fingerprint: str
    evidence_hash: str
    model_version: str
    seed: int
    command: str
    trials: int
    arms: int
    readings: int
    diagnostics: tuple[Diagnostic, ...] = ()
    constants: tuple[Constant, ...] = ()
    predictive: tuple[TrialCheck, ...] = ()
    held_out: HeldOut | None = None
    simulation_based: SimulationBased | None = None
    structures: tuple[Structure, ...] = ()
    credibility: dict[str, Any] | None = None


def parse_fit(data: Mapping[str, Any]) -> Fit:
    """Check the document.

    Raises
    ------
    InputError
        Naming field, value and fault, for every fault.
    """
    try:
        return Fit.model_validate(data)
    except ValidationError as error:
        raise InputError(
            *(
                Problem(
                    fault["msg"].removeprefix("Value error, ").lower(),
                    field=".".join(map(str, fault["loc"])) or None,
                    value=fault["input"] if isinstance(fault["input"], str | int | float) else None,
                    hint="write the document again with stemtrial validate",
                )
                for fault in error.errors(include_url=False)
            )
        ) from None
