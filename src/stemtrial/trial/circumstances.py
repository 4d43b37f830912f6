"""What surrounds a trial's treatments: randomisation, recruitment, leaving, intercurrent events and prices."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from stemtrial.documents import Fault, FrozenDict, Record, reject

Factor: TypeAlias = Literal["grade", "sex", "pain", "site"]
Share = Annotated[float, Field(ge=0, lt=1)]
Price = Annotated[float, Field(ge=0, le=1e12)]


class Leaving(Record):
    """Dropout that depends on pain.

    Parameters
    ----------
    depends_on
        ``last_reading``: the reading of the visit before, which the analysis sees (missing at random).
        ``current_pain``: pain that no visit recorded any more (missing not at random).
    per_10_points
        Factor by which the rate of leaving rises with 10 points of pain; below 1 it falls.
    at_pain
        Pain at which the declared rate holds, 0-100.
    """

    depends_on: Annotated[
        Literal["last_reading", "current_pain"],
        Field(description="what leaving depends on", examples=["last_reading"]),
    ]
    per_10_points: Annotated[
        float, Field(ge=0.1, le=10, description="factor of the rate for 10 points more", examples=[1.3])
    ]
    at_pain: Annotated[
        float, Field(ge=0, le=100, description="pain at which the declared rate holds", examples=[45])
    ]


class Event(Record):
    """Something that happens to patients and was not part of the protocol: an intercurrent event.

    Its effect on pain is declared, not simulated: the model has no patient-by-patient input for it.

    Parameters
    ----------
    kind
        ``prohibited_injection`` or ``surgery``.
    pain_above
        Only patients whose last reading, at screening or a visit, is above this level have it.
    by_month_12
        Share of patients who would have it by month 12 if they were always above the level.
    relief
        Points that it takes off pain, and in proportion off the limitation of function, from then on.
    lasting_months
        How long that lasts; to the end if left out.
    """

    kind: Annotated[
        Literal["prohibited_injection", "surgery"], Field(description="what happens", examples=["surgery"])
    ]
    pain_above: Annotated[float, Field(ge=0, le=100, description="level of the last reading", examples=[60])]
    by_month_12: Annotated[
        Share, Field(description="share by month 12 of patients above the level", examples=[0.05])
    ]
    relief: Annotated[float, Field(ge=0, le=100, description="points off pain from then on", examples=[15])]
    lasting_months: Annotated[
        float | None, Field(gt=0, le=24, description="months it lasts; to the end if left out", examples=[3])
    ] = None


class Crossover(Record):
    """Patients who are given the product of another arm in the course of the trial.

    What it does to them is simulated: a patient gains by it, from then on, what the same patient would have gained in
    the same time from the other arm's treatments at the start. In the virtual trials in which what is under question
    does nothing, it does nothing here either.

    Parameters
    ----------
    from_arm, to_arm
        Arm whose patients cross over, and arm whose treatments they are then given.
    from_month
        First visit at which they may.
    pain_above
        Only patients whose reading at the visit is above this level do.
    share
        Share of patients who do when they may.
    """

    from_arm: Annotated[str, Field(description="arm whose patients cross over", examples=["saline"])]
    to_arm: Annotated[str, Field(description="arm whose treatments they are given", examples=["cells"])]
    from_month: Annotated[
        float, Field(gt=0, le=24, description="first visit at which they may", examples=[6])
    ]
    pain_above: Annotated[
        float, Field(ge=0, le=100, description="level of the reading at the visit", examples=[50])
    ]
    share: Annotated[float, Field(gt=0, le=1, description="share who do when they may", examples=[0.3])]


class Unblinding(Record):
    """Loss of blinding: some patients come to know their arm, and report accordingly.

    What is reported moves, not the pain behind it; so a treatment that does nothing can be declared better.

    Parameters
    ----------
    share
        Share of patients who know their arm from the first visit on.
    points
        By how much their readings of pain are worse in the comparator and better in every other arm; function moves
        with pain.
    """

    share: Annotated[
        float, Field(ge=0, le=1, description="share of patients who learn their arm", examples=[0.25])
    ]
    points: Annotated[
        float, Field(ge=-30, le=30, description="points by which their readings move", examples=[4])
    ]


class Accrual(Record):
    """Recruitment over calendar time: sites open one after the other and enrol as a Poisson process.

    Parameters
    ----------
    sites
        Number of sites.
    opening_every_months
        Months between the openings of neighbouring sites; the first opens at the start.
    patients_per_site_month
        Mean number of patients that an open site enrols in a month.
    """

    sites: Annotated[int, Field(ge=1, le=500, description="number of sites", examples=[8])]
    opening_every_months: Annotated[
        float, Field(ge=0, le=24, description="months between openings of sites", examples=[0.5])
    ]
    patients_per_site_month: Annotated[
        float, Field(gt=0, le=1000, description="enrolled in a month by an open site", examples=[1.5])
    ]


class Randomisation(Record):
    """How patients are put into arms, in the order of their entry and in the ratio of the arms' `n`.

    Parameters
    ----------
    method
        ``block``: permuted blocks, within strata if there are any; the arms' sizes then vary from trial to trial.
        ``fixed``: one list for the whole trial, every arm with exactly its `n`. ``complete``: every patient
        independently of the others.
    block_sizes
        Of ``block``: sizes of the blocks, drawn with equal chance; multiples of the sum of the ratio.
    strata
        Of ``block``: what the strata are made of. ``grade`` of severity, ``sex``, ``pain`` at screening above a level,
        ``site`` of the recruitment; a stratum is a combination of their levels.
    pain_above
        Of ``pain``: the level.
    adjusted
        Of strata: whether comparisons of arms are adjusted for them besides the baseline, one effect a stratum.
    """

    method: Annotated[
        Literal["block", "fixed", "complete"], Field(description="how arms are drawn", examples=["block"])
    ]
    block_sizes: Annotated[
        tuple[Annotated[int, Field(ge=2, le=1000)], ...],
        Field(strict=False, max_length=10, description="of `block`", examples=["[4, 6]"]),
    ] = ()
    strata: Annotated[
        tuple[Factor, ...],
        Field(strict=False, max_length=4, description="of `block`: their factors", examples=["[grade, sex]"]),
    ] = ()
    pain_above: Annotated[
        float | None, Field(ge=0, le=100, description="of `pain`: the level, 0-100", examples=[60])
    ] = None
    adjusted: Annotated[
        bool | None, Field(description="of strata: whether analyses are adjusted for them", examples=["true"])
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> "Randomisation":
        reject([*self._faults()])
        return self

    def _faults(self) -> Iterator[Fault]:
        if (self.method == "block") != bool(self.block_sizes):
            what = (
                "is missing: `block` needs sizes"
                if self.method == "block"
                else f"is no part of {self.method}"
            )
            yield Fault(what, ("block_sizes",), hint="write `block_sizes: [4, 6]` with `method: block` only")
        for name in ("block_sizes", "strata"):
            listed = getattr(self, name)
            for i, value in enumerate(listed):
                if value in listed[:i]:
                    yield Fault("is listed twice", (name, i), hint="keep one")
        if self.strata and self.method != "block":
            hint = "leave `strata` out, or randomise by blocks: without them strata change nothing"
            yield Fault(f"is no part of {self.method}", ("strata",), hint=hint)
        if ("pain" in self.strata) != (self.pain_above is not None):
            missing = self.pain_above is None
            what = (
                "is missing: the level of the stratum `pain`"
                if missing
                else "is no part: no stratum is `pain`"
            )
            yield Fault(
                what, ("pain_above",), hint="write `pain_above: 60` with `pain` among the strata only"
            )
        if bool(self.strata) != (self.adjusted is not None):
            missing = self.adjusted is None
            what = "is missing: whether analyses are adjusted for the strata" if missing else "has no strata"
            yield Fault(what, ("adjusted",), hint="write `adjusted: true` or `false` with `strata` only")


class Prices(Record):
    """What a trial costs.

    Parameters
    ----------
    currency
        For print.
    fixed
        Whatever the number of patients.
    per_patient
        For each patient randomised.
    per_month
        For each month from the first patient to the end; needs ``accrual``.
    treatment
        By arm, for each patient randomised to it; 0 for arms left out.
    """

    currency: Annotated[str, Field(min_length=1, max_length=12, description="for print", examples=["EUR"])]
    fixed: Annotated[Price, Field(description="whatever the number of patients", examples=[800000])]
    per_patient: Annotated[Price, Field(description="for each patient randomised", examples=[6000])]
    per_month: Annotated[Price, Field(description="for each month of the trial", examples=[20000])] = 0.0
    treatment: Annotated[
        Annotated[Mapping[str, Price], AfterValidator(FrozenDict)],
        Field(description="for each patient of an arm", examples=["{cells: 9000}"]),
    ] = FrozenDict()
