"""Rules of a question: what is to be shown, when the trial is looked at, how several comparisons share alpha."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from stemtrial.documents import Fault, Record, faulty, reject

Objective: TypeAlias = Literal["superiority", "non_inferiority", "equivalence"]
SpendingName: TypeAlias = Literal[
    "obrien_fleming", "pocock", "lan_demets_of", "lan_demets_pocock", "hwang_shih_decani", "tabulated"
]
Multiplicity: TypeAlias = Literal["holm", "hochberg", "fixed_sequence", "bonferroni"]
StopWhen: TypeAlias = Literal["all_decided", "main_decided", "any_shown"]
Covariance: TypeAlias = Literal["unstructured", "compound_symmetry", "toeplitz"]
Definition: TypeAlias = Literal["mcid", "thirty_percent", "fifty_percent", "omeract_oarsi"]
Missing: TypeAlias = Literal["non_responder", "left_out"]
Shape: TypeAlias = Literal["linear", "log_linear", "emax", "sigmoid"]

LARGEST_MARGIN = 50.0
"""Largest margin, points of 0-100."""


def _before_the_end(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return fractions of the information at interim looks, or report those that are none."""
    faults = []
    for index, value in enumerate(values):
        if value >= 1:
            what, hint = (
                "is not before the end of the trial",
                "leave the last look out: it is made when every patient has reached the endpoint",
            )
            faults.append(Fault(what, (index,), "above 0 and below 1", hint))
        elif index and value - values[index - 1] < 0.01:
            faults.append(
                Fault("does not come 0.01 or more after the look before it", (index,),
                      hint="list the looks in increasing order")
            )  # fmt: skip
    if faults:
        raise faulty(faults)
    return values


class Hypothesis(Record):
    """What the trial is to show, and by how much.

    Parameters
    ----------
    kind
        ``superiority``: better by more than the margin. ``non_inferiority``: not worse by as much as the margin.
        ``equivalence``: neither better nor worse by as much as the margin, by two one-sided tests.
    margin
        Points of the endpoint on 0-100, never negative, whichever direction is better; above 0 but for superiority.
    """

    kind: Annotated[Objective, Field(description="what is to be shown", examples=["non_inferiority"])]
    margin: Annotated[
        float,
        Field(le=LARGEST_MARGIN, description="points of 0-100, without a sign", examples=[5]),
    ]

    @model_validator(mode="after")
    def _sign(self) -> "Hypothesis":
        superiority = self.kind == "superiority"
        if self.margin < 0:
            meant = "how many points better" if superiority else "how many points worse would be too much"
            what = f"has the wrong sign: it says {meant}, whichever direction is better"
        elif self.margin == 0 and not superiority:
            what = "leaves nothing to show: no trial can exclude the smallest difference"
        else:
            return self
        span = f"{'' if superiority else 'above '}0 {'to' if superiority else 'and up to'} {LARGEST_MARGIN:g}"
        raise faulty([Fault(what, ("margin",), span, "write points without a sign")])

    @property
    def null(self) -> float:
        """Difference, experimental minus comparator, at the edge of what is to be excluded on the worse side."""
        return -self.margin if self.kind == "superiority" else self.margin


class Futility(Record):
    """When an interim look gives the trial up.

    Parameters
    ----------
    kind
        ``binding``: the efficacy bounds count on the rule being obeyed. ``non_binding``: they do not.
    z
        Bounds at the interim looks on the scale of the test statistic, positive in favour of the experimental arm; a
        trial at or below its bound is given up. Needs a one-sided question.
    spending, gamma, beta
        Instead of ``z``: a function that spends the type II error ``beta``.
    """

    kind: Annotated[
        Literal["binding", "non_binding"],
        Field(description="whether the efficacy bounds count on it", examples=["non_binding"]),
    ]
    z: Annotated[
        tuple[Annotated[float, Field(ge=-10, le=10)], ...] | None,
        Field(strict=False, description="one bound for each interim look", examples=["[0.0]"]),
    ] = None
    spending: Annotated[
        Literal["lan_demets_of", "lan_demets_pocock", "hwang_shih_decani"] | None,
        Field(description="instead of `z`: how the type II error is spent", examples=["lan_demets_of"]),
    ] = None
    gamma: Annotated[
        float | None,
        Field(ge=-40, le=40, description="of `hwang_shih_decani`; -4 spends late, 1 early", examples=[-4]),
    ] = None
    beta: Annotated[
        float | None,
        Field(gt=0, lt=0.5, description="type II error to spend, with `spending`", examples=[0.2]),
    ] = None

    @model_validator(mode="after")
    def _one_rule(self) -> "Futility":
        faults = [*_gamma_faults(self.spending, self.gamma)]
        if (self.z is None) == (self.spending is None):
            hint = "keep `z`, or `spending` with `beta`"
            faults.append(Fault("needs either bounds or a spending function", (), hint=hint))
        elif (self.spending is None) != (self.beta is None):
            what = "is spent by no function" if self.spending is None else "is missing: the error to spend"
            faults.append(
                Fault(what, ("beta",), "above 0 and below 0.5", "give `spending` and `beta` together")
            )
        reject(faults)
        return self


def _gamma_faults(spending: str | None, gamma: float | None) -> list[Fault]:
    if (spending == "hwang_shih_decani") == (gamma is not None):
        return []
    what = "is missing: hwang_shih_decani is a family" if gamma is None else f"is no part of {spending}"
    return [Fault(what, ("gamma",), "-40 to 40", "write `gamma` with `spending: hwang_shih_decani` only")]


class Interim(Record):
    """Interim looks: when they are made and by which rules they stop the trial.

    Parameters
    ----------
    at
        Share of the patients that have reached the endpoint visit at each interim look, increasing; the last look, with
        all of them, is not listed.
    spending
        ``obrien_fleming`` and ``pocock`` are the classical boundaries; ``lan_demets_of``, ``lan_demets_pocock`` and
        ``hwang_shih_decani`` spend alpha by a function; ``tabulated`` spends ``alpha_spent``.
    gamma
        Of ``hwang_shih_decani``.
    alpha_spent
        Of ``tabulated``: alpha spent up to and with each interim look, increasing, below ``alpha``.
    futility
        When the trial is given up; never if left out.
    """

    at: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(
            strict=False,
            min_length=1,
            max_length=9,
            description="share of patients with the endpoint at each interim look",
            examples=["[0.5]"],
        ),
        AfterValidator(_before_the_end),
    ]
    spending: Annotated[SpendingName, Field(description="how alpha is spent", examples=["lan_demets_of"])]
    gamma: Annotated[
        float | None,
        Field(ge=-40, le=40, description="of `hwang_shih_decani`; -4 spends late, 1 early", examples=[-4]),
    ] = None
    alpha_spent: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...] | None,
        Field(
            strict=False, description="of `tabulated`: alpha spent by each interim look", examples=["[0.005]"]
        ),
    ] = None
    futility: Annotated[
        Futility | None,
        Field(description="when the trial is given up", examples=["{kind: non_binding, z: [0.0]}"]),
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> "Interim":
        faults = [*_gamma_faults(self.spending, self.gamma)]
        looks = len(self.at)
        if (self.spending == "tabulated") != (self.alpha_spent is not None):
            what = (
                "is missing: how much is spent"
                if self.alpha_spent is None
                else f"is no part of {self.spending}"
            )
            faults.append(
                Fault(what, ("alpha_spent",), hint="write `alpha_spent` with `spending: tabulated` only")
            )
        elif self.alpha_spent is not None:
            if len(self.alpha_spent) != looks:
                faults.append(
                    Fault(
                        f"has {len(self.alpha_spent)} entries",
                        ("alpha_spent",),
                        f"{looks}, one for each look",
                    )
                )
            for index in range(1, len(self.alpha_spent)):
                if self.alpha_spent[index] < self.alpha_spent[index - 1]:
                    what = "is less than was spent before: alpha spent cannot be taken back"
                    faults.append(Fault(what, ("alpha_spent", index)))
        if self.futility is not None and self.futility.z is not None and len(self.futility.z) != looks:
            faults.append(
                Fault(f"has {len(self.futility.z)} entries", ("futility", "z"), f"{looks}, one for each look")
            )
        reject(faults)
        return self


class Candidate(Record):
    """A shape that the response to the dose may have.

    Parameters
    ----------
    shape
        ``linear`` in the dose; ``log_linear``, in its logarithm; ``emax``, saturating; ``sigmoid``, S-shaped.
    offset
        Of ``log_linear``: added to the dose before the logarithm, million cells.
    ed50
        Of ``emax`` and ``sigmoid``: the dose with half of the largest effect, million cells.
    hill
        Of ``sigmoid``: its steepness.
    """

    shape: Annotated[Shape, Field(description="how the effect rises with the dose", examples=["emax"])]
    offset: Annotated[
        float | None, Field(gt=0, le=2000, description="of `log_linear`, million cells", examples=[1])
    ] = None
    ed50: Annotated[
        float | None, Field(gt=0, le=2000, description="of `emax`, `sigmoid`, million cells", examples=[25])
    ] = None
    hill: Annotated[
        float | None, Field(gt=0.2, le=10, description="of `sigmoid`: steepness", examples=[3])
    ] = None

    @model_validator(mode="after")
    def _own_parameters(self) -> "Candidate":
        wanted = {"linear": set(), "log_linear": {"offset"}, "emax": {"ed50"}, "sigmoid": {"ed50", "hill"}}
        faults = []
        for name in ("offset", "ed50", "hill"):
            given = getattr(self, name) is not None
            if given != (name in wanted[self.shape]):
                what = f"is no part of {self.shape}" if given else f"is missing: {self.shape} needs it"
                faults.append(Fault(what, (name,)))
        reject(faults)
        return self


class DoseResponse(Record):
    """Dose-ranging by MCP-Mod: which shapes are considered and what effect is worth a dose.

    Parameters
    ----------
    arms
        Arms of the dose range; the dose of an arm is the cells it is given in all, 0 without cells. The others' doses
        differ; one of the arms has none.
    candidates
        Shapes, one test each.
    target
        Improvement over the arm without cells that a dose should bring, points; the smallest dose that does is picked.
    """

    arms: Annotated[
        tuple[str, ...],
        Field(strict=False, min_length=3, max_length=6, description="arms of the dose range"),
    ]
    candidates: Annotated[
        tuple[Candidate, ...],
        Field(strict=False, min_length=1, max_length=8, description="shapes that are considered"),
    ]
    target: Annotated[
        float,
        Field(
            gt=0,
            le=LARGEST_MARGIN,
            description="improvement over no cells worth a dose, points",
            examples=[5],
        ),
    ]


class Factorial(Record):
    """A factorial design of two treatments in four arms: which arms have which.

    Parameters
    ----------
    cells, exercise
        Arms that have the first and the second factor, two each, one of them in both; the names are those of the usual
        question, cells and exercise.
    neither
        The arm without either.
    """

    cells: Annotated[
        tuple[str, str],
        Field(strict=False, description="arms with cells: alone, with exercise", examples=["[cells, both]"]),
    ]
    exercise: Annotated[
        tuple[str, str],
        Field(
            strict=False, description="arms with exercise: alone, with cells", examples=["[exercise, both]"]
        ),
    ]
    neither: Annotated[str, Field(description="arm with neither", examples=["usual_care"])]

    @model_validator(mode="after")
    def _crossed(self) -> "Factorial":
        faults = []
        if self.cells[1] != self.exercise[1]:
            faults.append(
                Fault("is not the arm with both that `cells` names", ("exercise", 1), allowed=self.cells[1])
            )
        if len({*self.cells, self.exercise[0], self.neither}) != 4:
            faults.append(
                Fault("does not name four arms", (), hint="each of the four combinations is an arm")
            )
        reject(faults)
        return self

    @property
    def arms(self) -> tuple[str, str, str, str]:
        """Neither, cells alone, exercise alone, both."""
        return (self.neither, self.cells[0], self.exercise[0], self.cells[1])


class Secondary(Record):
    """Secondary analyses of the main comparison, on the same patients; they are not adjusted for multiplicity.

    Parameters
    ----------
    responders
        Definitions by which patients respond at the main visit: improved by the smallest important difference, by 30 %,
        by 50 %, or by the OMERACT-OARSI criteria. Arms are compared by logistic regression on the baseline and by
        Cochran-Mantel-Haenszel over the grades of severity.
    missing
        What becomes of patients not seen at the main visit, with ``responders``: ``non_responder``, they count as not
        having responded; ``left_out``, they are not analysed.
    time_to_loss
        Whether the time from the first response (by the smallest important difference) to its loss is analysed by
        Kaplan-Meier curves and the log-rank test; it needs two visits.
    """

    responders: Annotated[
        tuple[Definition, ...],
        Field(strict=False, max_length=4, description="definitions of response", examples=["[mcid]"]),
    ] = ()
    missing: Annotated[
        Missing | None,
        Field(description="patients not seen, with `responders`", examples=["non_responder"]),
    ] = None
    time_to_loss: Annotated[
        bool, Field(description="whether the time to loss of response is analysed", examples=["true"])
    ] = False

    @model_validator(mode="after")
    def _consistent(self) -> "Secondary":
        faults = [
            Fault("is asked already", ("responders", i), hint="keep one of them")
            for i, name in enumerate(self.responders)
            if name in self.responders[:i]
        ]
        if bool(self.responders) != (self.missing is not None):
            what = (
                "is missing: what becomes of patients who were not seen"
                if self.responders
                else "says nothing without `responders`"
            )
            faults.append(Fault(what, ("missing",), "non_responder, left_out"))
        if not self.responders and not self.time_to_loss:
            faults.append(
                Fault("asks for nothing", (), hint="list `responders`, or write `time_to_loss: true`")
            )
        reject(faults)
        return self
