"""Credibility record: for what question a model is used, how much rests on it, and what speaks for it.

The headings are those of ASME V&V 40 (2018) and of the ICH M15 guideline on model-informed drug development: question
of interest, context of use, model influence, consequence of a wrong decision, model risk, then verification,
validation, applicability, uncertainty and limitations. What a check has shown is filled in from its result; what no
check covers says so. Nothing is judged by hand here except the first four, which whoever uses the model must state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stemtrial.errors import InputError, Problem

MISSING = "not available"
"""What an item says that nothing fills."""

Level = Literal["low", "medium", "high"]
Verdict = Literal["met", "not met", "reported", "not available"]
Section = Literal["verification", "validation", "applicability", "uncertainty"]

LEVELS: tuple[Level, ...] = ("low", "medium", "high")

ITEMS: Mapping[Section, Mapping[str, str]] = {
    "verification": {
        "software_tests": "Software tests pass",
        "numerical_error": "Numerical error of the solver against an adaptive reference",
        "gradient": "Gradients against finite differences",
        "convergence": "Convergence of the posterior draws",
        "simulation_based_calibration": "Simulation-based calibration of the inference",
        "reproducibility": "Same seed, same draws",
    },
    "validation": {
        "posterior_predictive": "Posterior predictive check by trial and arm",
        "held_out_coverage": "Coverage of intervals on trials left out",
        "held_out_accuracy": "Accuracy on trials left out against statistical baselines",
        "external": "Prediction of trials never used for the fit",
        "published_models": "Agreement with published models of the comparators",
    },
    "applicability": {
        "population": "Patients like those asked about are among the trials",
        "treatment": "Treatments like those asked about are among the trials",
        "follow_up": "Follow-up within that of the trials",
        "outcome": "Outcome and scale as in the trials",
    },
    "uncertainty": {
        "parameters": "Uncertainty of parameters carried into predictions",
        "between_trials": "Differences between trials carried into predictions",
        "structure": "Rival structures compared and weighted",
        "contraction": "Parameters that the data inform, and those that stay at their prior",
        "missing_data": "What was not printed treated as unknown, and listed",
        "bias": "Bias of open, small and high-risk trials in the model",
    },
}
"""Every item of the record by section, with the words it is printed with."""


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes
    ----------
    verdict
        ``met`` or ``not met`` where a limit was set before; ``reported`` where there is none.
    result
        What was found, in one sentence with its numbers.
    limit
        The limit, or empty.
    """

    verdict: Verdict
    result: str
    limit: str = ""

    def __post_init__(self) -> None:
        if self.verdict in ("met", "not met") and not self.limit:
            raise InputError(
                Problem("needs the limit it was held against", field="limit", value=self.verdict)
            )
        if not self.result:
            raise InputError(Problem("is empty", field="result"))


UNAVAILABLE = Check("not available", MISSING)


@dataclass(frozen=True)
class Item:
    """One line of the record."""

    key: str
    title: str
    check: Check


@dataclass(frozen=True)
class Use:
    """What whoever uses the model states before looking at the checks; empty items are not available.

    Attributes
    ----------
    question
        Question of interest.
    context
        Context of use: role and scope of the model in answering it.
    influence
        How much the answer rests on the model beside other evidence.
    consequence
        How much harm a wrong decision could do.
    """

    question: str = ""
    context: str = ""
    influence: Level | None = None
    consequence: Level | None = None

    @property
    def risk(self) -> Level | None:
        """Model risk: the higher of influence and consequence where both are known.

        V&V 40 combines the two and leaves the rule to the user; the higher one is the cautious choice.

        Examples
        --------
        >>> Use(influence="low", consequence="medium").risk
        'medium'
        """
        if self.influence is None or self.consequence is None:
            return None
        return max(self.influence, self.consequence, key=LEVELS.index)


@dataclass(frozen=True)
class Record:
    """The credibility record of one posterior.

    Attributes
    ----------
    subject
        What the record is of.
    fingerprint
        Of the posterior.
    use
        Question, context, influence and consequence.
    sections
        Items of verification, validation, applicability and uncertainty.
    limitations
        Sentences: those given, then one for each check not met or not available.
    """

    subject: str
    fingerprint: str
    use: Use
    sections: Mapping[Section, tuple[Item, ...]]
    limitations: tuple[str, ...]

    def count(self) -> dict[Verdict, int]:
        """Count the items by verdict, those of all sections together."""
        verdicts = [item.check.verdict for items in self.sections.values() for item in items]
        every: tuple[Verdict, ...] = ("met", "not met", "reported", "not available")
        return {verdict: verdicts.count(verdict) for verdict in every}

    def as_dict(self) -> dict[str, object]:
        """Return the record as plain data for JSON."""
        return {
            "subject": self.subject,
            "fingerprint": self.fingerprint,
            "question_of_interest": self.use.question or MISSING,
            "context_of_use": self.use.context or MISSING,
            "model_influence": self.use.influence or MISSING,
            "decision_consequence": self.use.consequence or MISSING,
            "model_risk": self.use.risk or MISSING,
            **{
                section: [
                    {
                        "key": item.key,
                        "title": item.title,
                        "verdict": item.check.verdict,
                        "result": item.check.result,
                        "limit": item.check.limit,
                    }
                    for item in items
                ]
                for section, items in self.sections.items()
            },
            "limitations": list(self.limitations),
        }

    def as_markdown(self) -> str:
        """Return the record as a Markdown document."""
        use = self.use
        lines = [
            f"# Credibility record: {_cell(self.subject)}",
            "",
            f"Posterior `{_cell(self.fingerprint)}`. Terms of ASME V&V 40 and ICH M15.",
            "",
            "| item | stated |",
            "|---|---|",
            f"| Question of interest | {_cell(use.question or MISSING)} |",
            f"| Context of use | {_cell(use.context or MISSING)} |",
            f"| Model influence | {use.influence or MISSING} |",
            f"| Decision consequence | {use.consequence or MISSING} |",
            f"| Model risk | {use.risk or MISSING} |",
        ]
        for section, items in self.sections.items():
            lines += [
                "",
                f"## {section.capitalize()}",
                "",
                "| item | verdict | result | limit |",
                "|---|---|---|---|",
            ]
            lines += [
                f"| {item.title} | {item.check.verdict} | {_cell(item.check.result)} | {_cell(item.check.limit)} |"
                for item in items
            ]
        lines += ["", "## Limitations", "", *(f"- {text}" for text in self.limitations)]
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def record(
    subject: str, fingerprint: str, use: Use, checks: Mapping[str, Check], limitations: Sequence[str]
) -> Record:
    """Fill a record from the results of checks.

    Parameters
    ----------
    subject, fingerprint
        What was fitted, and the fingerprint of the posterior.
    use
        Stated by the user; an item left empty says that it is not available.
    checks
        Results by item of :data:`ITEMS`; items without one say that they are not available.
    limitations
        Sentences known beforehand; checks that are not met or not there are added to them.

    Raises
    ------
    InputError
        A result whose key is no item.

    Examples
    --------
    >>> found = record("knee", "f00", Use(), {"gradient": Check("met", "largest difference 1e-8", "1e-6")}, [])
    >>> found.count()["met"], found.use.risk
    (1, None)
    """
    known = {key for items in ITEMS.values() for key in items}
    if unknown := sorted(set(checks) - known):
        raise InputError(
            *(
                Problem("is no item of the record", field=key, allowed=", ".join(sorted(known)))
                for key in unknown
            )
        )
    sections = {
        section: tuple(Item(key, title, checks.get(key, UNAVAILABLE)) for key, title in items.items())
        for section, items in ITEMS.items()
    }
    faults = []
    for items in sections.values():
        for item in items:
            if item.check.verdict == "not met":
                faults.append(f"{item.title}: not met ({item.check.result}; limit {item.check.limit}).")
            elif item.check.verdict == "not available":
                faults.append(f"{item.title}: {MISSING}.")
    stated = {
        "Question of interest": use.question,
        "Context of use": use.context,
        "Model influence": use.influence,
        "Decision consequence": use.consequence,
    }
    faults += [f"{name}: {MISSING}." for name, value in stated.items() if not value]
    return Record(subject, fingerprint, use, sections, (*limitations, *faults))
