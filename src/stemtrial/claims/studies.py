"""The studies that bear on a part of a claim: what each contributes, and why the others do not."""

from dataclasses import dataclass, replace

from stemtrial.claims.claim import Cells, Part
from stemtrial.claims.contributions import events, lasting, markers, plain_name, scores
from stemtrial.claims.datum import Datum
from stemtrial.errors import InputError
from stemtrial.evidence.events2x2 import asks_for
from stemtrial.evidence.groups import usable
from stemtrial.evidence.schema import Arm
from stemtrial.evidence.scope import Scope, Stage, within
from stemtrial.evidence.tables import Evidence

_ADDED = {
    "hyaluronic_acid": ("hyaluronic_acid",),
    "prp": ("prp", "prgf", "platelet"),
    "surgery": ("surgery", "hto", "sequestrectomy"),
    "usual_care": ("conventional care", "usual care", "usual_care"),
    "exercise": ("exercise", "physiotherapy"),
}
"""How the tables write that something was given with the cells; other treatments by their own name."""


@dataclass(frozen=True)
class Body:
    """The studies of a part.

    Attributes
    ----------
    left_out, stages
        Compared trials that gave none, with the reason; trials left by each condition.
    silent
        Compared trials without any usable score of the outcome, or count of the event, at any visit.
    empty
        What left no study, where none is left.
    """

    data: tuple[Datum, ...]
    left_out: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    silent: tuple[str, ...]
    empty: str | None


def collect(part: Part, evidence: Evidence) -> Body:
    """Return the studies of a part; a selection without any is no error, and ``empty`` says what emptied it.

    Raises
    ------
    InputError
        An event that is neither a category nor an event of the tables.

    Examples
    --------
    >>> from stemtrial.claims.claim import shipped
    >>> from stemtrial.evidence import load
    >>> body = collect(shipped()["relieves_back_pain"].parts["pain"], load())
    >>> [datum.label for datum in body.data]
    ['Noriega 2017']
    """
    if part.event is not None:
        part = part.model_copy(update={"event": asks_for(evidence, part.event)})
    if part.kind == "events" and part.against is not None:
        one, other = (_body(part, cells, evidence) for cells in (part.cells, part.against))
        data = (*one.data, *(replace(datum, side=-1) for datum in other.data))
        left_out = tuple(dict.fromkeys((*one.left_out, *other.left_out)))
        return Body(
            data,
            left_out,
            one.stages,
            tuple(dict.fromkeys(one.silent + other.silent)),
            one.empty or other.empty,
        )
    return _body(part, part.cells, evidence)


def _body(part: Part, cells: Cells, evidence: Evidence) -> Body:
    kept = _given(part, evidence)
    scope = Scope(
        indication=part.population,
        comparator=part.comparator,
        product=cells.product,
        origin=cells.origin,
        source=cells.source,
    )
    try:
        inside = within(kept, scope)
    except InputError as error:
        return Body((), (), (), (), str(error))
    tables = inside.evidence
    try:
        if part.kind == "events":
            data, left_out = events(part, tables)
        elif part.kind == "marker":
            data, left_out = markers(part, tables, inside.stages[-1].trials)
        elif part.kind == "durability":
            data, left_out = lasting(part, tables)
        else:
            data, left_out = scores(part, tables)
    except InputError:
        what = (
            "such event on both sides"
            if part.kind == "events"
            else f"usable score of {part.outcome} in the window"
        )
        data, left_out = [], [(trial, f"prints no {what}") for trial in inside.stages[-1].trials]
    compared = inside.stages[-1].trials
    silent = tuple(trial for trial in compared if not _speaks(part, tables, trial))
    empty = None if data else f"none of the {len(compared)} compared trials prints it"
    return Body(tuple(data), tuple(left_out), inside.stages, silent, empty)


def _speaks(part: Part, evidence: Evidence, trial: str) -> bool:
    """Say whether a trial prints anything of the kind that the part asks for."""
    if part.kind == "events":
        return any(part.event in (row.event, row.category) for row in evidence.events_of(trial))
    rows = [row for row in evidence.outcomes_of(trial) if row.time_months > 0]
    if part.kind == "marker":
        wanted = [plain_name(name) for name in part.instruments]
        return any(any(name in plain_name(row.instrument) for name in wanted) for row in rows)
    return any(usable(row, part.outcome or "") for row in rows)


def _given(part: Part, evidence: Evidence) -> Evidence:
    """Keep treated arms that were given with the comparator's treatment, or without it."""
    if part.given is None:
        return evidence

    def added(arm: Arm) -> bool:
        with_it = (arm.carrier_or_adjunct or "").lower()
        return any(word in with_it for name in part.comparator for word in _ADDED.get(name, (name,)))

    def keep(arm: Arm) -> bool:
        return arm.intervention != "cell_therapy" or added(arm) == (part.given == "added")

    return replace(evidence, arms=tuple(arm for arm in evidence.arms if keep(arm)))
