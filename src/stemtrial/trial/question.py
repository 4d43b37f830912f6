"""What a trial asks: endpoint, comparison, estimand and analysis."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from stemtrial.documents import Fault, Record, reject
from stemtrial.mechanism.treatments import LONGEST_MONTHS
from stemtrial.trial.rules import (
    Covariance,
    DoseResponse,
    Factorial,
    Hypothesis,
    Interim,
    Multiplicity,
    Secondary,
    StopWhen,
)

Instrument: TypeAlias = Literal["VAS", "NRS", "WOMAC_pain", "WOMAC_function", "ODI"]
Estimand: TypeAlias = Literal["treatment_policy", "hypothetical", "composite", "while_on_treatment"]
Analysis: TypeAlias = Literal["ancova", "mmrm", "bayesian"]
Pair = Annotated[tuple[str, str], Field(strict=False)]


class Endpoint(Record):
    """The outcome on which the trial decides: change from baseline of an instrument at a month."""

    instrument: Annotated[Instrument, Field(description="outcome measure", examples=["VAS"])]
    month: Annotated[float, Field(gt=0, le=LONGEST_MONTHS, description="one of the visits", examples=[12])]


class Question(Record):
    """What the trial asks and how it is answered. What every trial needs has no default: it is the sponsor's choice.

    Parameters
    ----------
    endpoint
        Instrument and month.
    compare
        The experimental arm and the comparator, in this order.
    estimand
        How intercurrent events such as rescue and stopping enter the effect (ICH E9 R1).
    analysis
        Method of the primary analysis.
    covariance
        Of the readings of a patient, with ``mmrm``: ``unstructured``, ``compound_symmetry`` (one variance, one
        covariance) or ``toeplitz`` (one covariance for each number of visits apart); unstructured if left out.
    alpha, sides
        Significance level of the test, and whether it is one- or two-sided.
    hypothesis
        Superiority, non-inferiority or equivalence with a margin; left out, superiority to no difference.
    interim
        Interim looks; left out, the trial is analysed once, at its end.
    also_compare
        Further comparisons, experimental arm and comparator each; they share alpha with the first.
    multiplicity
        How they share it; needed with ``also_compare`` and refused without.
    stop_when
        With interim looks and several comparisons, what ends the trial: ``all_decided``, every comparison shown or
        given up; ``main_decided``, the first one; ``any_shown``, one of them.
    also_estimands
        Estimands analysed beside the main one, on the same patients.
    factorial
        Main effects and interaction of a two-by-two design, beside the comparison.
    dose_response
        Dose-ranging by MCP-Mod, beside the comparison.
    secondary
        Secondary analyses: responders and the time to loss of response.
    """

    endpoint: Annotated[Endpoint, Field(examples=["{instrument: VAS, month: 12}"])]
    compare: Annotated[
        tuple[str, str],
        Field(strict=False, description="experimental arm, comparator", examples=["[cells, saline]"]),
    ]
    estimand: Annotated[
        Estimand, Field(description="handling of intercurrent events", examples=["treatment_policy"])
    ]
    analysis: Annotated[Analysis, Field(description="primary analysis", examples=["ancova"])]
    alpha: Annotated[float, Field(gt=0, lt=0.5, description="significance level", examples=[0.05])]
    sides: Annotated[Literal[1, 2], Field(description="one- or two-sided test", examples=[2])]
    covariance: Annotated[
        Covariance | None,
        Field(
            description="covariance over visits, with `mmrm`; unstructured if left out", examples=["toeplitz"]
        ),
    ] = None
    hypothesis: Annotated[
        Hypothesis | None,
        Field(
            description="what is to be shown; left out, superiority to no difference",
            examples=["{kind: non_inferiority, margin: 5}"],
        ),
    ] = None
    interim: Annotated[
        Interim | None,
        Field(
            description="interim looks; none if left out",
            examples=["{at: [0.5], spending: lan_demets_of}"],
        ),
    ] = None
    also_compare: Annotated[
        tuple[Pair, ...],
        Field(
            strict=False,
            max_length=10,
            description="further comparisons",
            examples=["[[high, saline]]"],
        ),
    ] = ()
    multiplicity: Annotated[
        Multiplicity | None, Field(description="how comparisons share alpha", examples=["holm"])
    ] = None
    stop_when: Annotated[
        StopWhen | None,
        Field(description="what ends a trial with looks and several comparisons", examples=["all_decided"]),
    ] = None
    also_estimands: Annotated[
        tuple[Estimand, ...],
        Field(
            strict=False,
            max_length=3,
            description="estimands analysed beside the main one",
            examples=["[hypothetical]"],
        ),
    ] = ()
    factorial: Annotated[
        Factorial | None,
        Field(
            description="arms of a two-by-two design",
            examples=["{cells: [cells, both], exercise: [exercise, both], neither: saline}"],
        ),
    ] = None
    dose_response: Annotated[DoseResponse | None, Field(description="dose-ranging by MCP-Mod")] = None
    secondary: Annotated[
        Secondary | None,
        Field(
            description="secondary analyses; none if left out",
            examples=["{responders: [mcid, omeract_oarsi], missing: non_responder, time_to_loss: true}"],
        ),
    ] = None

    @property
    def comparisons(self) -> tuple[tuple[str, str], ...]:
        """Every experimental arm with its comparator, the main comparison first."""
        return (self.compare, *self.also_compare)

    @property
    def compared(self) -> tuple[str, ...]:
        """Arms that are compared, each once, the main comparator and the main experimental arm first."""
        return tuple(dict.fromkeys(arm for pair in self.comparisons for arm in reversed(pair)))

    @property
    def estimands(self) -> tuple[Estimand, ...]:
        """Every estimand, the main one first."""
        return (self.estimand, *self.also_estimands)

    @property
    def structure(self) -> Covariance:
        """Covariance over visits of a mixed model for repeated measures."""
        return self.covariance or "unstructured"

    @property
    def margin(self) -> Hypothesis:
        """What is to be shown."""
        return self.hypothesis or Hypothesis(kind="superiority", margin=0.0)

    @property
    def level(self) -> float:
        """One-sided significance level."""
        return self.alpha / self.sides

    @model_validator(mode="after")
    def _consistent(self) -> "Question":
        if self.covariance is not None and self.analysis != "mmrm":
            what, hint = f"is no part of {self.analysis}", "leave it out, or write `analysis: mmrm`"
            reject([Fault(what, ("covariance",), hint=hint)])
        reject([*self._comparison_faults(), *self._look_faults()])
        return self

    def _comparison_faults(self) -> Iterator[Fault]:
        for at, pair in (
            (("compare",), self.compare),
            *((("also_compare", i), pair) for i, pair in enumerate(self.also_compare)),
        ):
            if pair[0] == pair[1]:
                hint = "name the experimental arm, then the comparator"
                yield Fault("compares an arm with itself", at, hint=hint)
        for i, pair in enumerate(self.also_compare):
            if pair in self.comparisons[: i + 1]:
                yield Fault("is asked already", ("also_compare", i), hint="keep one of them")
        if bool(self.also_compare) != (self.multiplicity is not None):
            what = (
                "shares alpha among one comparison"
                if self.multiplicity
                else "is missing: how comparisons share alpha"
            )
            yield Fault(what, ("multiplicity",), hint="write it with `also_compare`, for example `holm`")
        shares_looks = self.interim is not None and bool(self.also_compare)
        if shares_looks != (self.stop_when is not None):
            what = (
                "is missing: what ends a trial with several comparisons at an interim look"
                if shares_looks
                else "ends nothing: it is for interim looks with several comparisons"
            )
            yield Fault(what, ("stop_when",), "all_decided, main_decided, any_shown")
        for i, estimand in enumerate(self.also_estimands):
            if estimand in self.estimands[: i + 1]:
                yield Fault("is analysed already", ("also_estimands", i), hint="keep one of them")

    def _look_faults(self) -> Iterator[Fault]:
        if self.interim is None:
            return
        for i, spent in enumerate(self.interim.alpha_spent or ()):
            if spent >= self.alpha:
                yield Fault(
                    "leaves nothing of alpha for the looks after it",
                    ("interim", "alpha_spent", i),
                    allowed=f"below {self.alpha:g}",
                )
        if self.sides == 2 and self.interim.futility is not None:
            yield Fault(
                "gives a trial up that looks no better, which a two-sided question does not",
                ("interim", "futility"),
                hint=f"write `sides: 1` and `alpha: {self.alpha / 2:g}`",
            )
        if self.also_compare:
            yield from self._shared_look_faults()

    def _shared_look_faults(self) -> Iterator[Fault]:
        """Yield rules that would not keep the familywise error over several looks."""
        assert self.interim is not None
        if self.multiplicity == "hochberg":
            yield Fault(
                "is not known to keep the familywise error over several looks",
                ("multiplicity",),
                allowed="holm, bonferroni, fixed_sequence",
                hint="holm is the nearest that does, or keep one look at the end",
            )
        if (futility := self.interim.futility) is None:
            return
        if futility.kind == "binding":
            yield Fault(
                "would make the bounds of every comparison count on each being given up",
                ("interim", "futility", "kind"),
                allowed="non_binding, with several comparisons",
            )
        if futility.z is None:
            yield Fault(
                "has no bounds with several comparisons: they would depend on each comparison's share of alpha",
                ("interim", "futility", "spending"),
                hint="give bounds as `z`",
            )
