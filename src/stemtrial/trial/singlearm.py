"""Single-arm trials: what they see, and what the same patients would have shown had the treatment done nothing.

A trial without a comparator cannot tell the effect of a treatment from the contextual response, the natural course and
regression to the mean. The simulation can: the same patients are followed a second time with an inert injection in
place of what is studied, and this counterfactual is shown first.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from stemtrial.documents import Fault, FrozenDict, Record, reject
from stemtrial.mechanism.treatments import Cells, Injection
from stemtrial.trial.protocol import Arm, ArmName, Protocol, Trial
from stemtrial.trial.question import Endpoint, Estimand

COUNTERFACTUAL: Final = "inert_injection"
"""Name of the same patients with an injection that does nothing."""

STATEMENT: Final = (
    "A single arm cannot show an effect: its change from baseline holds the contextual response, the natural course "
    "and regression to the mean besides whatever the treatment does."
)
"""What stands above every result of a single-arm trial."""


class Goal(Record):
    """A performance goal: the mean improvement that the arm is to exceed.

    Parameters
    ----------
    improvement
        Points of the endpoint on 0-100 by which the mean is to fall below the baseline.
    """

    improvement: Annotated[
        float, Field(gt=0, lt=100, description="mean improvement to exceed, points", examples=[15])
    ]


class SingleArmQuestion(Record):
    """What a single-arm trial asks: the change from baseline, and whether it exceeds a performance goal.

    Parameters
    ----------
    endpoint
        Instrument and month.
    estimand
        How intercurrent events such as rescue enter the change (ICH E9 R1).
    alpha, sides
        Level of the test against the goal, and of the interval of the change, ``1 - 2 alpha / sides``.
    goal
        The performance goal; left out, nothing is tested.
    """

    endpoint: Annotated[Endpoint, Field(examples=["{instrument: VAS, month: 12}"])]
    estimand: Annotated[
        Estimand, Field(description="handling of intercurrent events", examples=["treatment_policy"])
    ]
    alpha: Annotated[float, Field(gt=0, lt=0.5, description="significance level", examples=[0.05])]
    sides: Annotated[Literal[1, 2], Field(description="one- or two-sided test", examples=[2])]
    goal: Annotated[
        Goal | None, Field(description="performance goal; none if left out", examples=["{improvement: 15}"])
    ] = None


class SingleArmTrial(Protocol):
    """The protocol of a single-arm trial.

    Parameters
    ----------
    title, indication, population, visits_months, conduct
        As in :class:`stemtrial.trial.protocol.Protocol`.
    arms
        The arm by name.
    blinding
        ``open``: nobody can be blind to the only treatment there is.
    question
        Endpoint, estimand and performance goal.
    """

    arms: Annotated[
        Annotated[Mapping[ArmName, Arm], AfterValidator(FrozenDict)],
        Field(min_length=1, max_length=1, description="name of the arm, its n and its treatments"),
    ]
    blinding: Annotated[Literal["open"], Field(description="nobody can be blind", examples=["open"])]
    question: Annotated[SingleArmQuestion, Field(description="endpoint, estimand and performance goal")]

    @property
    def arm(self) -> str:
        """Name of the arm."""
        return next(iter(self.arms))

    @property
    def n(self) -> int:
        """Number of patients enrolled."""
        return self.arms[self.arm].n

    @model_validator(mode="after")
    def _consistent(self) -> "SingleArmTrial":
        reject([*self._own_faults()])
        try:
            self.against_inert()
        except ValidationError as error:
            details = error.errors(include_url=False)
            found = [fault for detail in details for fault in detail.get("ctx", {}).get("faults", ())]
            # What is wrong with the counterfactual is wrong with the arm it was made of.
            reject(fault for fault in found if COUNTERFACTUAL not in fault.at)
            raise
        return self

    def _own_faults(self) -> Iterator[Fault]:
        if self.arm == COUNTERFACTUAL:
            yield Fault("is the name of the counterfactual", ("arms", self.arm), hint="choose another name")
        for name, reason in (
            ("crossover", "there is no other arm"),
            ("unblinding", "nobody is blind in a single arm"),
        ):
            if getattr(self.conduct, name) is not None:
                yield Fault(f"has no meaning: {reason}", ("conduct", name), hint="leave it out")

    def against_inert(self) -> Trial:
        """Return the arm and its counterfactual as a trial of two arms, the same treatments but for what is studied.

        Studied are the cells, if the arm has any, else everything in it; saline is injected in their place.
        """
        given = self.arms[self.arm].treatments
        cells = any(isinstance(t, Cells) for t in given)
        studied = [t for t in given if not cells or isinstance(t, Cells)]
        kept = [t for t in given if t not in studied]
        months = {m for t in studied if isinstance(t, Injection) for m in t.at_months}
        saline = [t for t in kept if t.name == "saline" and isinstance(t, Injection)]
        kept = [t for t in kept if t not in saline]
        months |= {m for t in saline for m in t.at_months if isinstance(t, Injection)}
        others = [{t.name: t.model_dump(mode="json")} for t in kept]
        inert = [{"saline": {"at_months": sorted(months)}}] if months else []
        data = self.model_dump(mode="json")
        data["arms"][COUNTERFACTUAL] = {
            "n": self.n,
            "treatments": [*inert, *others] or [{"usual_care": {}}],
        }
        question = data["question"]
        del question["goal"]
        question |= {"compare": [self.arm, COUNTERFACTUAL], "analysis": "ancova"}
        return Trial.model_validate(data)
