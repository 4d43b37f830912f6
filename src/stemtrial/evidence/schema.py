"""One frozen, validated record type for each evidence table.

Field names are the column names of the tables, whose meaning stands in ``data/README.md``; an empty cell is
``None``. A record cannot be created with a value outside its vocabulary or range, and ``provenance`` says
whether it came with the package or from the user.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from stemtrial.evidence import vocabulary as v
from stemtrial.scales import Scale, require_score


def _split(cell: object) -> object:
    return tuple(cell.split(";")) if isinstance(cell, str) else cell


Slug = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Url = Annotated[str, Field(pattern=r"^https?://\S+$")]
Doi = Annotated[str, Field(pattern=r"^10\.\d{4,}/\S+$")]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]
Time = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Months = Annotated[tuple[Time, ...], BeforeValidator(_split)]
Slugs = Annotated[tuple[Slug, ...], BeforeValidator(_split)]
Indications = Annotated[tuple[v.Indication, ...], BeforeValidator(_split)]


class Fault(NamedTuple):
    """A value that contradicts another column of its row."""

    column: str
    what: str
    allowed: str


def _ordered(row: "Row", low: str, high: str) -> Iterator[Fault]:
    bounds = getattr(row, low), getattr(row, high)
    if None not in bounds and bounds[0] > bounds[1]:
        yield Fault(low, f"is above {high}", f"at most {bounds[1]:g}")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Row:
    """What every table row has: its provenance, and the check of its columns against each other."""

    provenance: v.Provenance = "shipped"

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Return the columns of the table, in the order of the file."""
        return tuple(field.name for field in fields(cls) if field.name != "provenance")

    def cells(self) -> dict[str, Any]:
        """Return the row as plain data, column by column."""
        return {column: getattr(self, column) for column in self.columns()}

    def faults(self) -> Iterator[Fault]:
        """Yield what contradicts what within the row."""
        yield from ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if faults := tuple(self.faults()):
            raise PydanticCustomError(
                "faults",
                "{text}",
                {"faults": faults, "text": "; ".join(f"{column} {what}" for column, what, _ in faults)},
            )
        return self


@dataclass(frozen=True, kw_only=True)
class Reference(Row):
    """A publication, registry record or official page."""

    reference_id: Slug
    citation: str
    doi: Doi | None = None
    pmid: Annotated[str, Field(pattern=r"^\d+$")] | None = None
    pmcid: Annotated[str, Field(pattern=r"^PMC\d+$")] | None = None
    registry_id: str | None = None
    url: Url
    read_as: v.ReadAs
    id_basis: v.IdBasis


@dataclass(frozen=True, kw_only=True)
class Trial(Row):
    """A trial or series."""

    trial_id: Slug
    reference_id: Slug
    citation: str
    doi: Doi | None = None
    registry_id: str | None = None
    country: str | None = None
    indication: v.Indication
    design: v.Design
    blinding: v.Blinding
    blinding_basis: v.BlindingBasis
    n_randomised: Size | None = None
    follow_up_months: Time | None = None
    funding: v.Funding
    risk_of_bias: v.RiskOfBias
    rob_source: str
    is_comparator_only: bool
    notes: str | None = None


@dataclass(frozen=True, kw_only=True)
class Arm(Row):
    """An arm of a trial; ``pooled_of`` names the arms a pooled arm contains."""

    trial_id: Slug
    arm_id: Slug
    label: str
    role: v.Role
    intervention: v.Intervention
    cell_source: v.CellSource | None = None
    origin: v.Origin | None = None
    product: v.Product | None = None
    dose_million_cells: Positive | None = None
    n_injections: Count | None = None
    injection_times_months: Months = ()
    carrier_or_adjunct: str | None = None
    n: Size | None = None
    age_mean: Annotated[float, Field(gt=0, le=120)] | None = None
    age_sd: NotNegative | None = None
    female_pct: Percent | None = None
    bmi_mean: Annotated[float, Field(ge=10, le=80)] | None = None
    bmi_sd: NotNegative | None = None
    severity_scale: v.SeverityScale | None = None
    severity_distribution: str | None = None
    pooled_of: Slugs = ()
    reference_id: Slug
    baseline_notes: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield cell columns on arms without cells, and injection times that miscount the injections."""
        if self.intervention != "cell_therapy":
            for column in ("cell_source", "origin", "product", "dose_million_cells"):
                if getattr(self, column) is not None:
                    yield Fault(column, "describes cells in an arm without cells", "empty")
        times, count = self.injection_times_months, self.n_injections
        if times and count is not None and len(times) != count:
            yield Fault("injection_times_months", "does not give one time an injection", f"{count} times")


@dataclass(frozen=True, kw_only=True)
class Common:
    """The numbers of a score row on 0-100, lower better; changes and differences are negative when better."""

    value: float
    sd: float | None
    se: float | None
    ci_low: float | None
    ci_high: float | None
    iqr_low: float | None
    iqr_high: float | None


@dataclass(frozen=True, kw_only=True)
class Outcome(Row):
    """An arm, instrument and visit, on the instrument's own scale."""

    trial_id: Slug
    arm_id: Slug
    construct: v.Construct
    instrument: str
    scale_min: float
    scale_max: float
    higher_is_better: bool
    scale_kind: v.ScaleKind
    time_months: Time
    n: Size | None = None
    statistic: v.Statistic
    value: float
    sd: NotNegative | None = None
    se: NotNegative | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    iqr_low: float | None = None
    iqr_high: float | None = None
    p_value: str | None = None
    analysis_set: v.AnalysisSet
    reliability: v.Reliability
    reliability_note: str | None = None
    reference_id: Slug
    source_locator: str
    secondary: bool

    @property
    def is_level(self) -> bool:
        """Whether the value is a level (mean, median) rather than a change, difference, share or ratio."""
        return self.statistic in ("mean", "median")

    @property
    def has_spread(self) -> bool:
        """Whether a standard deviation, standard error, interval or quartiles were printed."""
        return any(
            spread is not None
            for spread in (self.sd, self.se, self.ci_low, self.ci_high, self.iqr_low, self.iqr_high)
        )

    @property
    def scale(self) -> Scale:
        """The scale of the row; an :class:`~stemtrial.errors.InputError` unless ``scale_kind`` is score."""
        require_score(self.instrument, self.scale_kind)
        return Scale(self.instrument, self.scale_min, self.scale_max, self.higher_is_better)

    @property
    def common(self) -> Common:
        """The value and its spread on 0-100, lower better.

        Raises
        ------
        InputError
            If ``scale_kind`` is not score.
        """
        scale = self.scale
        value = scale.to_common(self.value) if self.is_level else scale.change_to_common(self.value)

        def spread(width: float | None) -> float | None:
            return None if width is None else scale.spread_to_common(width)

        def ends(low: float | None, high: float | None) -> tuple[float | None, float | None]:
            # relative to the value, because a printed interval of a mean may leave the scale
            moved = [
                None if end is None else value + scale.change_to_common(end - self.value)
                for end in (low, high)
            ]
            return (moved[1], moved[0]) if scale.higher_is_better else (moved[0], moved[1])

        ci_low, ci_high = ends(self.ci_low, self.ci_high)
        iqr_low, iqr_high = ends(self.iqr_low, self.iqr_high)
        return Common(
            value=value,
            sd=spread(self.sd),
            se=spread(self.se),
            ci_low=ci_low,
            ci_high=ci_high,
            iqr_low=iqr_low,
            iqr_high=iqr_high,
        )

    def faults(self) -> Iterator[Fault]:
        """Yield intervals the wrong way round and values off the scale of a score or per cent."""
        yield from _ordered(self, "ci_low", "ci_high")
        yield from _ordered(self, "iqr_low", "iqr_high")
        low, high = self.scale_min, self.scale_max
        if low >= high:
            yield Fault("scale_min", "is not below scale_max", f"below {high:g}")
            return
        if (self.statistic == "percent") and self.scale_kind != "percent":
            yield Fault("scale_kind", "contradicts the statistic percent", "percent")
        if self.scale_kind not in ("score", "percent") or self.statistic == "ratio_between_arms":
            return
        if self.statistic == "percent":
            low, high = max(low, 0.0), min(high, 100.0)
        elif self.scale_kind == "score" and not self.is_level:
            low, high = low - high, high - low
        checked = ("value", "iqr_low", "iqr_high") if self.is_level else ("value",)
        for column in checked:
            number = getattr(self, column)
            if number is not None and not low <= number <= high:
                yield Fault(column, f"is off the scale of {self.instrument}", f"{low:g} to {high:g}")


@dataclass(frozen=True, kw_only=True)
class Event(Row):
    """An arm and adverse event: ``n_with_event`` of ``n_at_risk`` within ``follow_up_months``."""

    trial_id: Slug
    arm_id: Slug
    event: str
    category: v.EventCategory
    serious: bool
    n_with_event: Count
    n_at_risk: Size
    follow_up_months: Time
    analysis_set: v.AnalysisSet
    reliability: v.Reliability
    reliability_note: str | None = None
    reference_id: Slug
    source_locator: str

    def faults(self) -> Iterator[Fault]:
        """Yield counts above the number at risk."""
        if self.n_with_event > self.n_at_risk:
            yield Fault("n_with_event", "is above n_at_risk", f"0 to {self.n_at_risk}")


@dataclass(frozen=True, kw_only=True)
class Effect(Row):
    """A pooled or large-trial effect of a conventional treatment or placebo; negative favours treatment."""

    indication: v.WideIndication
    treatment: Slug
    comparator: Slug
    outcome: v.Construct
    time_weeks: Time | None = None
    effect_metric: v.EffectMetric
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    n_trials: Size | None = None
    n_patients: Size | None = None
    certainty: v.Certainty | None = None
    reference_id: Slug
    note: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield intervals the wrong way round and proportions outside 0 to 1."""
        yield from _ordered(self, "ci_low", "ci_high")
        if self.effect_metric.startswith("responder_proportion") and not 0 <= self.value <= 1:
            yield Fault("value", "is not a proportion", "0 to 1")
        if self.effect_metric.endswith("0_100") and abs(self.value) > 100:
            yield Fault("value", "is off the 0-100 scale", "-100 to 100")


@dataclass(frozen=True, kw_only=True)
class Harm(Row):
    """A treatment, adverse event and measure of its frequency or relative frequency."""

    treatment: Slug
    event: str
    severity: v.Severity
    measure: v.HarmMeasure
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    comparator: str | None = None
    time_at_risk: str | None = None
    population: str
    reference_id: Slug
    preferred: bool
    note: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield intervals the wrong way round and values their measure cannot take."""
        yield from _ordered(self, "ci_low", "ci_high")
        if self.measure == "risk_percent" and not 0 <= self.value <= 100:
            yield Fault("value", "is not a per cent", "0 to 100")
        elif self.measure != "rd_per_1000" and self.value < 0:
            yield Fault("value", f"is negative for {self.measure}", "0 or more")


@dataclass(frozen=True, kw_only=True)
class NaturalHistory(Row):
    """A fact on course, placebo response, spread, correlation or structure, in its own unit."""

    indication: v.WideIndication
    category: v.HistoryCategory
    quantity: str
    time_months: Time | None = None
    value: float
    sd: NotNegative | None = None
    low: float | None = None
    high: float | None = None
    interval: v.Interval | None = None
    unit: str
    n: Size | None = None
    population: str
    reference_id: Slug
    note: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield intervals the wrong way round."""
        yield from _ordered(self, "low", "high")


@dataclass(frozen=True, kw_only=True)
class Threshold(Row):
    """An important-difference or acceptable-state threshold, in the unit its source prints."""

    instrument: str
    threshold: v.ThresholdKind
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str
    population: str
    rule: str | None = None
    reference_id: Slug
    note: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield ranges the wrong way round and thresholds with neither a value nor a rule."""
        yield from _ordered(self, "low", "high")
        if self.value is None and self.rule is None:
            yield Fault("value", "is empty in a row without a rule", "a number, or a rule")


@dataclass(frozen=True, kw_only=True)
class Predictor(Row):
    """A reported predictor of response; ``effect`` is the measure, or the finding if no number was read."""

    predictor: str
    outcome: str
    treatment: Slug
    indication: v.WideIndication
    effect: str
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reference_id: Slug
    note: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield intervals the wrong way round."""
        yield from _ordered(self, "ci_low", "ci_high")


@dataclass(frozen=True, kw_only=True)
class Criterion(Row):
    """An eligibility rule used by a trial, as an expression in our wording."""

    criterion: str
    rule: str
    threshold: str
    rationale: str | None = None
    kind: v.CriterionKind
    indication: Indications
    reference_id: Slug
