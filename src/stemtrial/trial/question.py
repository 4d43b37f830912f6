"""What a trial asks: endpoint, comparison, estimand and analysis."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from stemtrial.documents import Fault, Record, reject
from stemtrial.mechanism.treatments import LONGEST_MONTHS

Instrument: TypeAlias = Literal["VAS", "NRS", "WOMAC_pain", "WOMAC_function", "ODI"]
Estimand: TypeAlias = Literal["treatment_policy", "hypothetical", "composite"]
Analysis: TypeAlias = Literal["ancova", "mmrm", "bayesian"]


class Endpoint(Record):
    """The outcome on which the trial decides: change from baseline of an instrument at a month."""

    instrument: Annotated[Instrument, Field(description="outcome measure", examples=["VAS"])]
    month: Annotated[float, Field(gt=0, le=LONGEST_MONTHS, description="one of the visits", examples=[12])]


class Question(Record):
    """What the trial asks and how it is answered. Nothing has a default: these are the sponsor's choices.

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
    alpha, sides
        Significance level of the test, and whether it is one- or two-sided.
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

    @model_validator(mode="after")
    def _two_arms(self) -> "Question":
        if self.compare[0] == self.compare[1]:
            reject(
                [
                    Fault(
                        "compares an arm with itself",
                        ("compare",),
                        hint="name the experimental arm, then the comparator",
                    )
                ]
            )
        return self
