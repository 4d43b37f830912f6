"""What a run must hand over for its page: the three documents of a run folder, typed and checked.

Conventions, the same everywhere on the page:

- scores run from 0 to 100 and lower is better; months count from randomisation;
- *change* is follow-up minus baseline, and a *contrast* is experimental minus comparator, so that a negative
  number favours the experimental arm; its specific and contextual parts have the same sign and add up to it;
- *relief* is pain taken away, so that a positive number is better;
- quantiles of a *course* run over the simulated patients of all trials; quantiles of anything else run over
  the simulated trials.

Fields beyond these are ignored, so that a writer may add to the documents without breaking an older page.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PARTS = ("contextual", "symptomatic_drug", "inflammation", "structure", "sensitisation")

Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[float, Field(ge=0)]


class Document(BaseModel):
    """Base of the page's documents: frozen, finite, and tolerant of further fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Spread(Document):
    """A mean with the interval that holds 95 % of its distribution."""

    mean: float
    q025: float
    q975: float


class Change(Spread):
    """Change of pain from baseline at a visit: mean and interval of arm means over trials, SD of patients."""

    sd: float = Field(ge=0)


class Estimate(Document):
    """A contrast between two arms with its 95 % interval."""

    estimate: float
    q025: float
    q975: float


class Portion(Document):
    """A share of patients with its 95 % interval."""

    share: Share
    q025: Share
    q975: Share


class Responders(Document):
    """Shares of patients whose pain falls by the MCID, by 30 % and by 50 %."""

    mcid: Portion
    thirty_percent: Portion
    fifty_percent: Portion


class Proportion(Document):
    """A probability estimated from replicates, with its Monte-Carlo standard error."""

    value: Share
    mc_se: float = Field(ge=0)


class Happening(Document):
    """Patients of a simulated trial with an event, and the share of trials with at least one."""

    patients: Spread
    seen: Proportion


class AdverseEvent(Happening):
    """Events of one category that simulated trials see in an arm, drawn from published risks."""

    treatment: str
    category: str
    serious: bool
    source: str


class AdverseEvents(Document):
    """All of them; ``serious`` is a :class:`Happening`, or ``None`` where no published arm counts serious events."""

    events: tuple[AdverseEvent, ...] = ()
    serious: Happening | None = None
    not_counted: tuple[str, ...] = ()

    @field_validator("serious", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return None if isinstance(value, dict) and "status" in value else value


class SummaryArm(Document):
    """One arm in the summary; ``harms`` maps a name to a :class:`Portion`, or holds a ``status``."""

    n: int = Field(ge=1)
    change: dict[str, Change]
    responders: Responders
    harms: dict[str, Any] = {}
    adverse_events: AdverseEvents | None = None
    detectable_harm: Annotated[float, Field(gt=0, lt=1)] | None = None


class SummaryContrast(Estimate):
    """The main contrast and its two parts."""

    specific: Spread
    contextual: Spread


class Stops(Document):
    """Shares of trials that stop at a look, by reason, and of those that end there for whatever reason."""

    efficacy: Share
    futility: Share
    opposite: Share
    ends_here: Share


class ShareBound(Document):
    """Efficacy bound of a comparison that has a share of alpha; ``None`` for none."""

    share: float = Field(gt=0, le=1)
    efficacy_z: float | None


class Look(Document):
    """A look: its patients by arm, its bounds on the scale of the statistic, and how often trials stop there."""

    information: float = Field(gt=0, le=1)
    patients: dict[str, int]
    efficacy_z: float | None
    futility_z: float | None
    stopping: dict[Literal["assurance", "power", "type_one_error"], Stops]
    shares: tuple[ShareBound, ...] | None = None


class Estimation(Document):
    """Bias and coverage of the estimate at the end, with constants at their mean."""

    truth: float
    mean: float
    bias: float
    bias_mc_se: float = Field(ge=0)
    rmse: float = Field(ge=0)
    coverage: Proportion
    confidence: Share


class Misleading(Proportion):
    """Share of trials whose conclusion is not so in their own world."""

    shown_though_absent: Proportion
    missed_though_important: Proportion
    exaggeration: float | None


class Answer(Document):
    """The main comparison under one estimand, or one of several comparisons."""

    estimate: Spread
    assurance: Proportion
    power: Proportion
    type_one_error: Proportion


class Compared(Answer):
    """One of several comparisons."""

    experimental: str
    comparator: str


class Chances(Document):
    """Probability of being shown, by scenario."""

    assurance: Proportion
    power: Proportion
    type_one_error: Proportion


class OddsRatio(Document):
    """Median and interval over the trials that can estimate it, and how many cannot."""

    median: float = Field(gt=0)
    q025: float = Field(gt=0)
    q975: float = Field(gt=0)
    not_estimable: int = Field(ge=0)


class OddsTest(Chances):
    """Odds ratio by one method, and how often it shows more responders."""

    odds_ratio: OddsRatio | None


class ResponderTests(Document):
    """One definition of a response: shares by arm, and two comparisons of them."""

    shares: dict[str, Spread]
    logistic: OddsTest
    cmh: OddsTest


class Kept(Spread):
    """Share still responding so many months after the first response."""

    month: float = Field(gt=0)


class Lasting(Document):
    """How long the responders of an arm respond."""

    responders: Spread
    kept: tuple[Kept, ...]
    median_months: float | None
    median_reached: Proportion


class TimeToLoss(Document):
    """Time to loss of response by arm, and the log-rank test."""

    arms: dict[str, Lasting]
    log_rank: Chances


class Secondary(Document):
    """Secondary analyses of the main comparison."""

    missing: Literal["non_responder", "left_out"] | None
    responders: dict[Literal["mcid", "thirty_percent", "fifty_percent", "omeract_oarsi"], ResponderTests]
    time_to_loss: TimeToLoss | None


class NumericalError(Document):
    """Largest error of the solver against its reference, in points of pain."""

    max_points: float = Field(ge=0)
    checked_patients: int = Field(ge=0)
    screened_patients: int = Field(ge=0)
    refinement: int = Field(ge=1)
    tolerance: float = Field(gt=0)


class Summary(Document):
    """``summary.json``: the few numbers of a run."""

    trial: str
    evidence_hash: str
    posterior_hash: str
    seed: int
    replicates: int = Field(ge=1)
    calibration: str
    arms: dict[str, SummaryArm]
    contrast: SummaryContrast
    assurance: Proportion
    power: Proportion
    type_one_error: Proportion
    expected_n: Count
    structure_weights: dict[str, Any]
    numerical_error: NumericalError
    wall_seconds: Count
    type_one_error_at_margin: Proportion | None = None
    looks: tuple[Look, ...] = ()
    estimation: Estimation | None = None
    misleading: Misleading | None = None
    comparisons: tuple[Compared, ...] = ()
    estimands: dict[str, Answer] = {}
    duration: dict[str, Spread] | None = None
    secondary: Secondary | None = None


class Manifest(Document):
    """``manifest.json``: what is needed to run the same trial again."""

    stemtrial: str
    created: str
    command: str
    trial_hash: str
    evidence_hash: str
    posterior_hash: str
    seed: int
    replicates: int
    python: str
    numpy: str
    numba: str
    platform: str
    wall_seconds: Count
    files: dict[str, str] = {}


class Endpoint(Document):
    """The instrument and the visit on which the question is decided."""

    instrument: str
    month: float = Field(gt=0)
    label: str


class Threshold(Document):
    """A minimal clinically important difference, in points of 0-100, and where it comes from."""

    points: float = Field(gt=0, le=100)
    instrument: str
    population: str
    reference_id: str
    citation: str


class Bands(Document):
    """Mean and quantiles of a score over time, one number per month of the course."""

    mean: tuple[Score, ...]
    q025: tuple[Score, ...]
    q25: tuple[Score, ...]
    q50: tuple[Score, ...]
    q75: tuple[Score, ...]
    q975: tuple[Score, ...]


class Course(Document):
    """Pain and function of one arm over the months after randomisation."""

    months: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=2)
    pain: Bands
    function: Bands

    @model_validator(mode="after")
    def _one_number_a_month(self) -> Self:
        for score, bands in (("pain", self.pain), ("function", self.function)):
            for name, values in bands:
                if len(values) != len(self.months):
                    raise ValueError(
                        f"{score}.{name} has {len(values)} numbers for {len(self.months)} months"
                    )
        if any(later <= earlier for earlier, later in zip(self.months, self.months[1:], strict=False)):
            raise ValueError("months must increase")
        return self


class Parts(Document):
    """Pain taken away through each part of the model."""

    contextual: Spread
    symptomatic_drug: Spread
    inflammation: Spread
    structure: Spread
    sensitisation: Spread


class Relief(Document):
    """Pain taken away at the main visit, by part; ``specific`` is everything but the contextual part."""

    month: float
    parts: Parts
    total: Spread
    of_which_cells: Spread
    specific: Spread | None = None


class Distribution(Document):
    """Share of patients improving by at least each number of points."""

    points: tuple[float, ...] = Field(min_length=2)
    share_at_least: tuple[Share, ...]
    q025: tuple[Share, ...]
    q975: tuple[Share, ...]

    @model_validator(mode="after")
    def _one_share_a_point(self) -> Self:
        for name in ("share_at_least", "q025", "q975"):
            if len(getattr(self, name)) != len(self.points):
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} numbers for {len(self.points)} points"
                )
        return self


class Flow(Document):
    """Patients of one arm from randomisation to analysis, as means over the replicates.

    ``dropped`` counts, for each visit month, the patients lost since the visit before; ``events`` the patients with
    each intercurrent event besides rescue.
    """

    randomised: Count
    treated: Count
    rescued: Count
    events: dict[str, Count] = {}
    dropped: dict[str, Count]
    analysed: Count


class Arm(Document):
    """One arm as the page shows it; ``label`` reads as inside a sentence ("saline injection")."""

    label: str
    treatments: tuple[str, ...]
    n: int = Field(ge=1)
    course: Course
    relief: Relief
    change_distribution: Distribution
    flow: Flow

    @property
    def heading(self) -> str:
        """The label as it starts a line."""
        return self.label[:1].upper() + self.label[1:]


class VisitContrast(Estimate):
    """The contrast at one visit."""

    month: float


class Histogram(Document):
    """Counts between neighbouring edges."""

    edges: tuple[float, ...] = Field(min_length=2)
    counts: tuple[Count, ...]

    @model_validator(mode="after")
    def _one_count_a_bin(self) -> Self:
        if len(self.counts) != len(self.edges) - 1:
            raise ValueError(f"{len(self.counts)} counts for {len(self.edges)} edges")
        if any(later <= earlier for earlier, later in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must increase")
        if not sum(self.counts):
            raise ValueError("counts add up to zero")
        return self


class Estimates(Document):
    """What the trial would estimate: under the model, and with the cells' specific effect set to zero."""

    histogram: Histogram
    null: Histogram


class Parameter(Document):
    """One constant of the model with its source; a value that is not one number is a text."""

    symbol: str
    meaning: str
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    source: str
    quality: str


class EvidenceCounts(Document):
    """Size and hash of the evidence tables behind a run."""

    trials: int
    arms: int
    outcomes: int
    references: int
    hash: str


class Example(Document):
    """One simulated trial as it would report itself, with the look at which it ended and the truth behind it."""

    replicate: int = Field(ge=0)
    information: float = Field(gt=0, le=1)
    estimate: float | None
    low: float | None
    high: float | None
    confidence: Share
    shown: bool
    truth: float


class Report(Document):
    """``report.json``: everything the page draws.

    Unless ``calibration`` starts with "calibrated", the page carries its warning and every result counts as
    of very low certainty. ``mcid_function`` (no line without it) and ``certainty`` (GRADE; without it
    a calibrated result is worded as unrated) are optional.
    """

    title: str
    indication: str
    calibration: str
    trial_file: str
    comparator: str
    experimental: str
    endpoint: Endpoint
    alpha: float = Field(gt=0, lt=1)
    sides: Literal[1, 2]
    estimand: str
    analysis: str
    mcid: Threshold
    mcid_function: Threshold | None = None
    certainty: Literal["very_low", "low", "moderate", "high"] | None = None
    arms: dict[str, Arm]
    contrast_course: tuple[VisitContrast, ...] = Field(min_length=1)
    estimates: Estimates
    examples: tuple[Example, ...] = ()
    parameters: tuple[Parameter, ...]
    evidence: EvidenceCounts
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _question_names_arms(self) -> Self:
        for role in ("comparator", "experimental"):
            if getattr(self, role) not in self.arms:
                raise ValueError(
                    f"the {role} {getattr(self, role)!r} is not one of the arms {list(self.arms)}"
                )
        if self.comparator == self.experimental:
            raise ValueError("the comparator and the experimental arm must differ")
        return self

    @property
    def outcome(self) -> str:
        """What the endpoint measures, in words."""
        return "limitation of function" if self.endpoint.instrument == "WOMAC_function" else "pain"

    @property
    def calibrated(self) -> bool:
        """Whether the parameters were fitted to evidence; anything not plainly said to be is not."""
        return self.calibration.lower().startswith("calibrated")

    @property
    def ordered(self) -> tuple[str, ...]:
        """Names of the arms: comparator first, then experimental, then the others in the file's order."""
        first = (self.comparator, self.experimental)
        return first + tuple(name for name in self.arms if name not in first)

    @property
    def visits(self) -> tuple[float, ...]:
        """Months of the visits."""
        return tuple(visit.month for visit in self.contrast_course)
