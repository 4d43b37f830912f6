"""The protocol of a trial: frozen data read from a trial file, and everything that must hold in it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import pairwise
from math import gcd, prod
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from stemtrial.documents import Document, Fault, FrozenDict, Record, reject
from stemtrial.mechanism.treatments import (
    LONGEST_MONTHS,
    AnyTreatment,
    Cells,
    Course,
    Indication,
    Injection,
    Treatment,
    ascending,
)
from stemtrial.population.spec import PopulationSpec
from stemtrial.trial.circumstances import (
    Accrual,
    Crossover,
    Event,
    Factor,
    Leaving,
    Prices,
    Randomisation,
    Share,
    Unblinding,
)
from stemtrial.trial.question import Question

SHORTEST_MONTHS = 3
"""The class of question begins at 3 months of follow-up."""

MOST_STRATA = 200
"""Most strata of a randomisation."""

Blinding: TypeAlias = Literal["double", "single", "open"]
Layout: TypeAlias = Literal["parallel", "crossover"]
NO_CROSSOVER = (
    "cannot be simulated or recommended: cells and the contextual response to an injection act for months to years, so "
    "the first period would carry over into the second"
)
ArmName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
        description="up to 40 letters, digits, _ and -, beginning with a letter",
    ),
]
Visit = Annotated[float, Field(gt=0, le=LONGEST_MONTHS)]


class RescueAnalgesia(Record):
    """Analgesic that patients start when their pain at a visit is above a level."""

    pain_above: Annotated[
        float, Field(ge=0, le=100, description="pain 0-100 that triggers rescue", examples=[70])
    ]
    drug: Annotated[
        Literal["nsaid", "paracetamol", "opioid"],
        Field(description="drug given as rescue", examples=["nsaid"]),
    ]


class Conduct(Record):
    """What happens to patients besides their treatment.

    Parameters
    ----------
    dropout_by_month_12
        Share of patients lost by month 12, at a constant rate; trials of other lengths use the same rate.
    rescue_analgesia
        The rescue rule; ``None``, written ``null`` in the file, if there is none.
    dropout_by_arm
        The share lost by month 12 in arms where it differs.
    leaving
        How leaving depends on pain; left out, it does not (missing completely at random).
    events
        Intercurrent events besides rescue, each kind once.
    crossover
        Patients who are given another arm's product in the course of the trial; nobody if left out.
    visit_window_days
        Days by which a visit may be early or late, every day alike; left out, visits are on their day.
    unblinding
        Patients who learn their arm and report accordingly; nobody does if left out.
    accrual
        Recruitment over calendar time; without it, nothing is said of a trial's duration.
    prices
        What the trial costs.
    """

    dropout_by_month_12: Annotated[
        float, Field(ge=0, lt=1, description="share lost by month 12", examples=[0.12])
    ]
    rescue_analgesia: Annotated[
        RescueAnalgesia | None,
        Field(description="`null` for none", examples=["{pain_above: 70, drug: nsaid}"]),
    ]
    dropout_by_arm: Annotated[
        Annotated[Mapping[ArmName, Share], AfterValidator(FrozenDict)],
        Field(description="share lost by month 12 in arms where it differs", examples=["{saline: 0.15}"]),
    ] = FrozenDict()
    leaving: Annotated[
        Leaving | None, Field(description="how leaving depends on pain; not at all if left out")
    ] = None
    events: Annotated[
        tuple[Event, ...],
        Field(strict=False, max_length=2, description="intercurrent events besides rescue"),
    ] = ()
    crossover: Annotated[
        Crossover | None, Field(description="patients given another arm's product; nobody if left out")
    ] = None
    visit_window_days: Annotated[
        float | None,
        Field(gt=0, le=30, description="days a visit may be early or late; none if left out", examples=[7]),
    ] = None
    unblinding: Annotated[
        Unblinding | None, Field(description="patients who learn their arm; nobody if left out")
    ] = None
    accrual: Annotated[Accrual | None, Field(description="recruitment over calendar time")] = None
    prices: Annotated[Prices | None, Field(description="what the trial costs")] = None

    @model_validator(mode="after")
    def _consistent(self) -> "Conduct":
        kinds = [event.kind for event in self.events]
        faults = [
            Fault("is declared twice", ("events", i, "kind"), hint="keep one")
            for i, kind in enumerate(kinds)
            if kind in kinds[:i]
        ]
        if self.prices is not None and self.prices.per_month and self.accrual is None:
            what = "cannot be charged: the trial's duration is not known"
            faults.append(Fault(what, ("prices", "per_month"), hint="declare `accrual`, or leave it out"))
        reject(faults)
        return self

    def kinds_of_events(self, arm: str) -> tuple[str, ...]:
        """Return the intercurrent events besides rescue that patients of an arm may have."""
        crosses = self.crossover is not None and self.crossover.from_arm == arm
        return (*(event.kind for event in self.events), *(["crossover"] if crosses else []))

    def dropout(self, arm: str) -> float:
        """Share of an arm's patients lost by month 12."""
        return self.dropout_by_arm.get(arm, self.dropout_by_month_12)


class Arm(Record):
    """One arm: the number of patients randomised to it and everything they receive."""

    n: Annotated[int, Field(ge=2, le=100_000, description="patients randomised to the arm", examples=[120])]
    treatments: Annotated[
        tuple[AnyTreatment, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=20,
            description="what the arm receives",
            examples=["[{usual_care: {}}]"],
        ),
    ]

    @model_validator(mode="after")
    def _each_once(self) -> "Arm":
        reject(_overlaps(self.treatments))
        return self


def _overlaps(treatments: tuple[Treatment, ...]) -> Iterator[Fault]:
    """Yield treatments declared twice: several cell products may be, and courses that do not overlap."""
    last: dict[str, Treatment] = {}
    for index, treatment in enumerate(treatments):
        before = last.get(treatment.name)
        last[treatment.name] = treatment
        if before is None or isinstance(treatment, Cells):
            continue
        if isinstance(treatment, Course) and isinstance(before, Course):
            if before.to_month is None or treatment.from_month < before.to_month:
                what, hint = (
                    "begins before the course of the same treatment above ends",
                    "join or separate the two",
                )
                yield Fault(what, ("treatments", index, treatment.name, "from_month"), hint=hint)
            continue
        hint = "list all its months in one entry" if isinstance(treatment, Injection) else "keep one"
        yield Fault("is declared twice in this arm", ("treatments", index, treatment.name), hint=hint)


def one_arm(data: object) -> bool:
    """Whether plain data describe a single-arm trial: one arm, and nothing to compare it with.

    Examples
    --------
    >>> one_arm({"arms": {"cells": {}}, "question": {}}), one_arm({"arms": {"cells": {}}, "question": {"compare": 1}})
    (True, False)
    """
    if not isinstance(data, Mapping):
        return False
    arms, question = data.get("arms"), data.get("question")
    single = isinstance(arms, Mapping) and len(arms) == 1
    return single and not (isinstance(question, Mapping) and "compare" in question)


class Protocol(Record):
    """What the protocol of any trial says, and how it is read and identified.

    Parameters
    ----------
    title
        Title for reports.
    indication
        Joint or disc.
    population
        Whom it enrols.
    visits_months
        Months of the visits after baseline, increasing.
    conduct
        Dropout and rescue.
    """

    title: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"\S", examples=["A title for the report"])
    ]
    indication: Annotated[Indication, Field(description="joint or disc", examples=["knee_oa"])]
    population: Annotated[PopulationSpec, Field(description="whom the trial enrols")]
    visits_months: Annotated[
        tuple[Visit, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=60,
            description="months of the visits after baseline",
            examples=["[1, 3, 6, 12]"],
        ),
        AfterValidator(ascending),
    ]
    conduct: Annotated[Conduct, Field(description="dropout and rescue")]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and validate a file.

        Raises
        ------
        stemtrial.errors.InputError
            With every fault of the file, its line, the allowed values and the next step.
        """
        return Document.read(path).validate(cls)

    @property
    def hash(self) -> str:
        """SHA-256 of the protocol's canonical JSON, shared by equal protocols however laid out.

        A choice of the trial, its conduct or its question that is left at its default does not enter, so that choices
        added later leave the hash as it is.
        """
        plain = self.model_dump(mode="json")
        parts = [(self, plain), *((getattr(self, name), plain[name]) for name in ("conduct", "question"))]
        for record, part in parts:
            for name, info in type(record).model_fields.items():
                if not info.is_required() and getattr(record, name) == info.default:
                    del part[name]
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Trial(Protocol):
    """The protocol of one trial.

    Parameters
    ----------
    title, indication, population, visits_months, conduct
        As in :class:`Protocol`; the last visit, 3 to 24 months after baseline, ends the trial.
    arms
        The arms by name, in the order of the file; 2 to 6 of them.
    blinding
        ``double``, ``single`` or ``open``.
    question
        What is compared and how.
    layout
        ``parallel``: every patient stays in one arm. ``crossover`` is refused, with the reason.
    randomisation
        How patients are put into arms; left out, every arm has exactly its number of patients.

    Examples
    --------
    >>> trial = Trial.read("examples/knee_oa_cells_vs_saline.yaml")  # doctest: +SKIP
    >>> trial.comparator, trial.experimental, trial.n  # doctest: +SKIP
    ('saline', 'cells', 240)
    """

    arms: Annotated[
        Annotated[Mapping[ArmName, Arm], AfterValidator(FrozenDict)],
        Field(min_length=2, max_length=6, description="name of each arm, its n and its treatments"),
    ]
    blinding: Annotated[Blinding, Field(description="who knows the treatment", examples=["double"])]
    question: Annotated[Question, Field(description="endpoint, comparison, estimand and analysis")]
    layout: Annotated[
        Layout, Field(description="whether patients stay in one arm", examples=["parallel"])
    ] = "parallel"
    randomisation: Annotated[
        Randomisation | None,
        Field(
            description="how patients are put into arms; left out, each arm has exactly its `n`",
            examples=["{method: block, block_sizes: [4, 6]}"],
        ),
    ] = None

    @property
    def experimental(self) -> str:
        """Name of the experimental arm of the question."""
        return self.question.compare[0]

    @property
    def comparator(self) -> str:
        """Name of the comparator of the question."""
        return self.question.compare[1]

    @property
    def ordered_arms(self) -> tuple[str, ...]:
        """Names of the arms as they are shown: comparator, experimental, then the others as in the file."""
        first = (self.comparator, self.experimental)
        return first + tuple(name for name in self.arms if name not in first)

    @property
    def horizon_months(self) -> float:
        """Month of the last visit."""
        return self.visits_months[-1]

    @property
    def n(self) -> int:
        """Number of patients randomised."""
        return sum(arm.n for arm in self.arms.values())

    def levels(self, factor: Factor) -> int:
        """Return the number of levels of a factor of the strata."""
        if factor == "site":
            return self.conduct.accrual.sites if self.conduct.accrual is not None else 1
        return len(self.population.severity) if factor == "grade" else 2

    @property
    def strata(self) -> int:
        """Number of strata, one for each combination of the factors' levels; 1 without strata."""
        factors = self.randomisation.strata if self.randomisation is not None else ()
        return prod(self.levels(factor) for factor in factors)

    @model_validator(mode="before")
    @classmethod
    def _has_comparison(cls, data: object) -> object:
        """Refuse a file of a single-arm trial in one sentence, not by everything that it lacks."""
        if one_arm(data):
            fault = Fault(
                "has one arm: a design, a replay and an export need two to compare",
                ("arms",),
                allowed="2 to 6 arms",
                hint="simulate it as a single-arm trial, or add a comparator and `question.compare`",
            )
            reject([fault])
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "Trial":
        reject(
            [
                *self._severity_faults(),
                *(fault for name in self.arms for fault in self._arm_faults(name)),
                *self._visit_faults(),
                *self._question_faults(),
                *self._conduct_faults(),
                *self._crossover_faults(),
                *self._window_faults(),
                *self._randomisation_faults(),
            ]
        )
        return self

    def _severity_faults(self) -> Iterator[Fault]:
        wanted, other = (
            ("kl_grade", "pfirrmann") if self.indication == "knee_oa" else ("pfirrmann", "kl_grade")
        )
        if getattr(self.population, wanted) is None:
            yield Fault(
                f"does not grade {self.indication}",
                ("population", other),
                hint=f"give the shares under `{wanted}`",
            )

    def _arm_faults(self, name: str) -> Iterator[Fault]:
        end = self.horizon_months
        for index, treatment in enumerate(self.arms[name].treatments):
            at: tuple[str | int, ...] = ("arms", name, "treatments", index, treatment.name)
            if reason := treatment.not_for.get(self.indication):
                yield Fault(
                    f"cannot be simulated for {self.indication}: {reason}", at, hint="remove it from this arm"
                )
            if self.indication == "knee_oa" and isinstance(treatment, Cells) and treatment.source == "disc":
                yield Fault(
                    "is not given to a knee", (*at, "source"), hint="disc tissue is for disc_degeneration"
                )
            for place, month in treatment.written_months:
                ends = place == ("to_month",)
                if month > end or (month == end and not ends):
                    yield Fault(
                        f"is not observed: the last visit is in month {end:g}",
                        (*at, *place),
                        allowed=f"{'up to' if ends else 'before'} month {end:g}",
                        hint="correct the month or add a later visit to `visits_months`",
                    )

    def _visit_faults(self) -> Iterator[Fault]:
        if self.horizon_months < SHORTEST_MONTHS:
            yield Fault(
                "ends the trial too early",
                ("visits_months", len(self.visits_months) - 1),
                allowed=f"a last visit in month {SHORTEST_MONTHS} to {LONGEST_MONTHS}",
            )

    def _question_faults(self) -> Iterator[Fault]:
        question = self.question
        named: list[tuple[tuple[str | int, ...], str]] = [
            (("compare", i), name) for i, name in enumerate(question.compare)
        ]
        for k, pair in enumerate(question.also_compare):
            named += [(("also_compare", k, i), name) for i, name in enumerate(pair)]
        if question.factorial is not None:
            both = question.factorial.model_dump()
            named += [((("factorial", f, i)), both[f][i]) for f in ("cells", "exercise") for i in range(2)]
            named += [(("factorial", "neither"), question.factorial.neither)]
        if question.dose_response is not None:
            named += [(("dose_response", "arms", i), a) for i, a in enumerate(question.dose_response.arms)]
        for at, name in named:
            if name not in self.arms:
                yield Fault(
                    "is not an arm: nobody is randomised to it",
                    ("question", *at),
                    allowed=", ".join(self.arms),
                )
        yield from self._dose_faults()
        endpoint = self.question.endpoint
        if endpoint.month not in self.visits_months:
            yield Fault(
                "is not a visit",
                ("question", "endpoint", "month"),
                allowed=", ".join(f"{month:g}" for month in self.visits_months),
                hint="choose one of them or add the month to `visits_months`",
            )
        knee = ("VAS", "NRS", "WOMAC_pain", "WOMAC_function")
        instruments = knee if self.indication == "knee_oa" else ("VAS", "NRS", "ODI")
        if endpoint.instrument not in instruments:
            yield Fault(
                f"is not an outcome of {self.indication}",
                ("question", "endpoint", "instrument"),
                allowed=", ".join(instruments),
            )

    def _dose_faults(self) -> Iterator[Fault]:
        ranging = self.question.dose_response
        if ranging is None or not all(name in self.arms for name in ranging.arms):
            return
        doses = [self.dose(name) for name in ranging.arms]
        if len(set(doses)) != len(doses) or 0 not in doses:
            shown = ", ".join(f"{name} {dose:g}" for name, dose in zip(ranging.arms, doses, strict=True))
            yield Fault(
                f"does not range over doses: {shown} million cells",
                ("question", "dose_response", "arms"),
                allowed="arms with different numbers of cells, one of them without",
            )

    def _conduct_faults(self) -> Iterator[Fault]:
        if self.layout == "crossover":
            yield Fault(
                NO_CROSSOVER, ("layout",), allowed="parallel", hint="randomise each patient to one arm"
            )
        priced = self.conduct.prices.treatment if self.conduct.prices is not None else {}
        for path, names in (
            (("dropout_by_arm",), self.conduct.dropout_by_arm),
            (("prices", "treatment"), priced),
        ):
            for name in names:
                if name not in self.arms:
                    yield Fault("is not an arm", ("conduct", *path, name), allowed=", ".join(self.arms))

    def _crossover_faults(self) -> Iterator[Fault]:
        rule = self.conduct.crossover
        if rule is None:
            return
        at = ("conduct", "crossover")
        for name, arm in (("from_arm", rule.from_arm), ("to_arm", rule.to_arm)):
            if arm not in self.arms:
                yield Fault("is not an arm", (*at, name), allowed=", ".join(self.arms))
        if rule.from_arm == rule.to_arm:
            yield Fault("is the arm they come from", (*at, "to_arm"), hint="name another arm")
        if rule.from_month not in self.visits_months[:-1]:
            yield Fault(
                "is not a visit with another one after it",
                (*at, "from_month"),
                allowed=", ".join(f"{month:g}" for month in self.visits_months[:-1]),
            )

    def _window_faults(self) -> Iterator[Fault]:
        half = self.conduct.visit_window_days
        if half is None:
            return
        from stemtrial.mechanism.schedule import DAYS_PER_MONTH

        days = [month * DAYS_PER_MONTH for month in self.visits_months]
        # Half of the shortest time between visits; the baseline has no window.
        most = min([days[0], *((b - a) / 2 for a, b in pairwise(days))])
        if half >= most:
            yield Fault(
                "lets neighbouring visits meet",
                ("conduct", "visit_window_days"),
                allowed=f"below {most:.3g}, half of the shortest time between visits",
            )

    def _randomisation_faults(self) -> Iterator[Fault]:
        rules = self.randomisation
        if rules is None:
            return
        shares = [arm.n for arm in self.arms.values()]
        least = sum(shares) // reduce(gcd, shares)
        for i, size in enumerate(rules.block_sizes):
            if size % least or size > self.n:
                yield Fault(
                    f"cannot be shared in the ratio of the arms, {':'.join(str(n * least // self.n) for n in shares)}",
                    ("randomisation", "block_sizes", i),
                    allowed=f"multiples of {least}, up to {self.n}",
                    hint="choose another size, or arms whose `n` have a simple ratio",
                )
        if "site" in rules.strata and self.conduct.accrual is None:
            yield Fault(
                "is not known: no recruitment is declared",
                ("randomisation", "strata", rules.strata.index("site")),
                hint="declare `conduct.accrual`, or leave `site` out",
            )
        strata = self.strata
        if strata > MOST_STRATA or strata > self.n // 2:
            yield Fault(
                f"makes {strata} strata for {self.n} patients",
                ("randomisation", "strata"),
                allowed=f"up to {min(MOST_STRATA, self.n // 2)} strata",
                hint="stratify by fewer factors",
            )

    def dose(self, arm: str) -> float:
        """Million cells that an arm is given in all."""
        given = (t for t in self.arms[arm].treatments if isinstance(t, Cells))
        return sum(t.dose_million * len(t.at_months) for t in given)
