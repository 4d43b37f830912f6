"""Parts that the pages of all syntheses share: certainty, trials left out, sources."""

from collections.abc import Sequence

from stemtrial.evidence.certainty import Judgement, Profile
from stemtrial.evidence.tables import Evidence
from stemtrial.report.evidence_words import heading
from stemtrial.report.figure import Table
from stemtrial.report.synthesispage import Section
from stemtrial.report.wording import MINUS


def certainty_words(certainty: Profile | None) -> str:
    """Name the certainty, or say that it was not rated."""
    if certainty is None:
        return (
            "The certainty of the evidence was not rated: there is no important difference for this outcome."
        )
    return f"Certainty of the evidence (GRADE): {certainty.certainty.replace('_', ' ')}."


def certainty_table(certainty: Profile) -> Table:
    """Return the five judgements, each with the number that caused it."""
    return judgement_table(certainty.judgements)


def judgement_table(judgements: Sequence[Judgement]) -> Table:
    """Return judgements of certainty, each with the number that caused it."""
    rows = tuple(
        (
            heading(each.domain),
            each.reason,
            each.concern.replace("_", " "),
            f"{MINUS}{each.down}" if each.down else "0",
        )
        for each in judgements
    )
    return Table("GRADE profile", ("Domain", "Why", "Concern", "Levels"), rows, keys=2)


def omitted(left_out: tuple[tuple[str, str], ...]) -> Section:
    """Return the section on compared trials that did not enter."""
    text = "" if left_out else "Every compared trial entered."
    tables = (
        (Table("Compared trials that did not enter", ("Trial", "Reason"), left_out, keys=2),)
        if left_out
        else ()
    )
    return Section("Left out", text, tables)


def cited(evidence: Evidence, reference_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return citations with their identifiers."""
    found = [evidence.reference(name) for name in reference_ids]
    return tuple(f"{ref.citation}{f' doi {ref.doi}' if ref.doi else f' {ref.url}'}" for ref in found)
