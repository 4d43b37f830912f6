"""Sentences on a claim: size and certainty of each part by the GRADE template, and which data are missing."""

from collections.abc import Sequence

from stemtrial.claims.claim import Cells, Claim, Part
from stemtrial.claims.estimating import Estimate, Nothing, important
from stemtrial.claims.rule import Judged
from stemtrial.claims.studies import Body
from stemtrial.evidence.terms import either, heading, words
from stemtrial.evidence.wording import LIMITATION, Level, effect_sentence, size_of

_HEDGE: dict[Level, str] = {"high": "", "moderate": "probably ", "low": "may ", "very_low": ""}
_OUTCOMES = {
    **LIMITATION,
    "cartilage": "damage of cartilage",
    "disc_structure": "degeneration of the disc",
    "quality_of_life": "loss of quality of life",
    "global": "overall complaints",
    "biomarker": "the marker",
}
_EVENTS = {
    "serious_any": "serious adverse events",
    "any_ae": "adverse events",
    "treatment_related": "treatment-related adverse events",
}


def cells_words(cells: Cells) -> str:
    """Name the cells of a part.

    Examples
    --------
    >>> cells_words(Cells(origin=("autologous",))), cells_words(Cells())
    ('autologous cells', 'cells')
    """
    groups = [
        " or ".join(map(words, named)) for named in (cells.origin, cells.source, cells.product) if named
    ]
    return " ".join([*groups, "cells"])


def comparator_words(part: Part) -> str:
    """Name what the cells of a part are held against."""
    if part.against is not None:
        return cells_words(part.against)
    return either(part.comparator)


def outcome_words(part: Part) -> str:
    """Name what is measured, in a form in which less of it is better."""
    if part.kind == "events":
        event = part.event or ""
        return f"the number of persons with {_EVENTS.get(event, words(event))}"
    return _OUTCOMES.get(part.outcome or "", words(part.outcome or ""))


def sentence(part: Part, found: Estimate | Nothing, level: Level) -> str:
    """Say what the evidence says of a part: size and certainty, no more.

    Examples
    --------
    >>> from stemtrial.claims.claim import shipped
    >>> part = shipped()["needs_standard_protocols"].parts["spread"]
    >>> sentence(part, Nothing(0, "no study"), "very_low")[:53]
    'No study in the tables says whether more than half of'
    """
    if isinstance(found, Nothing):
        which = "No study in the tables says" if found.k == 0 else "The studies in the tables do not say"
        return f"{which} whether {part.asks}."
    if part.kind in ("difference", "marker", "events"):
        return effect_sentence(
            f"added {cells_words(part.cells)}" if part.given == "added" else cells_words(part.cells),
            f"{comparator_words(part)} alone" if part.given == "added" else comparator_words(part),
            outcome_words(part),
            size=size_of(found.lean, part.important),
            direction="reduces" if found.lean < 0 else "increases",
            level=level,
            months=None if part.month is None else f"{part.month:g} months",
        )
    if level == "very_low":
        return f"The evidence is very uncertain whether {part.asks}."
    return f"{_beginning(part, found, level)}."


def _beginning(part: Part, found: Estimate, level: Level) -> str:
    def verb(plain: str, third: str) -> str:
        return f"may {plain}" if level == "low" else f"{_HEDGE[level]}{third}"

    if part.kind == "durability":
        left = found.value < 0
        what = f"Of the effect of {cells_words(part.cells)} on {outcome_words(part)} at {part.from_month:g} months"
        less = "at least" if left else "less than"
        share = f"{100 * part.threshold:.0f} %"
        return f"{what}, {less} {share} {verb('be', 'is')} left at {part.month:g} months".replace(
            "probably is", "is probably"
        )
    if part.kind == "response_spread":
        alike = abs(found.lean) < important(part)
        more = "as much" if alike else "more" if found.value > 1 else "less"
        return (
            f"{heading(outcome_words(part))} {verb('scatter', 'scatters')} {more} between persons after "
            f"{cells_words(part.cells)} {'as' if alike else 'than'} after {comparator_words(part)}"
        )
    where = "above" if found.value > part.threshold else "below"
    return (
        f"The share of the variance that lies between trials of {cells_words(part.cells)} "
        f"{verb('be', 'is')} {where} {part.threshold:g} %"
    ).replace("probably is", "is probably")


def missing(part: Part, body: Body, found: Estimate | Nothing) -> tuple[str, ...]:
    """Say which data are missing for an estimate of a part; empty where there is one."""
    if isinstance(found, Estimate):
        return ()
    sides = f"{cells_words(part.cells)} and {comparator_words(part)} in {words(part.population)}"
    if part.kind == "events":
        what = f"counts of {outcome_words(part).removeprefix('the number of ')} on both sides"
    elif part.kind == "marker":
        what = (
            f"means with standard deviations of {', '.join(part.instruments)} ({words(part.outcome or '')}) at "
            f"{part.month:g} ± {part.window:g} months"
        )
    elif part.kind == "durability":
        what = (
            f"scores of {part.outcome} with their spread at both {part.from_month:g} and {part.month:g} ± "
            f"{part.window:g} months"
        )
    else:
        what = f"scores of {words(part.outcome or '')} with their spread at {part.month:g} ± {part.window:g} months"
    reasons = [f"Needed: controlled trials of {sides} that print {what}."]
    if found.k:
        reasons.append(f"{found.k} stud{'y' if found.k == 1 else 'ies'} bear on it, but {found.reason}.")
    elif body.empty:
        reasons.append(f"In the tables: {body.empty}.")
    return tuple(reasons)


def _probability(p: float) -> str:
    if 0.99 < p < 1:
        return "more than 0.99"
    return "less than 0.01" if 0 < p < 0.01 else f"{p:.2f}"


def claim_sentence(claim: Claim, judged: Judged, parts: Sequence[Judged]) -> str:
    """Say the verdict in one sentence, with the probability and the certainty behind it."""
    low, high = judged.p
    p = _probability(low) if low == high else f"between {low:.2f} and {high:.2f}"
    level = judged.certainty.replace("_", " ")
    known = sum(part.p != (0.0, 1.0) for part in parts)
    if known == 0:
        return f"Uncertain: no study in the tables bears on the promise “{claim.promise}”"
    lead = {
        "supported": "The evidence supports",
        "contradicted": "The evidence contradicts",
        "uncertain": "The evidence neither supports nor contradicts",
    }[judged.verdict]
    tail = f"; {known} of {len(parts)} parts can be estimated" if known < len(parts) else ""
    return f"{lead} the promise “{claim.promise}” The probability that it holds is {p}, the certainty {level}{tail}."
