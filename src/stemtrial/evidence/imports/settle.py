"""Which drafted rows can stand in the tables, and which wait for review with what is wrong with them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.imports.ledger import Draft
from stemtrial.evidence.integrity import IDENTITY, cross_table_problems
from stemtrial.evidence.reading import parse_rows
from stemtrial.evidence.schema import Row
from stemtrial.evidence.tables import ROWS, Evidence


@dataclass(frozen=True)
class Settled:
    """The drafts of each table that can stand in it, and those that wait."""

    ready: dict[str, list[Draft]]
    waiting: dict[str, list[Draft]]


def settle(drafts: Iterable[Draft], earlier: Evidence | None) -> Settled:
    """Divide drafts into rows that are valid beside each other and beside earlier rows, and the rest.

    A draft with a problem of its own waits, and so does every draft that then contradicts the others or names a
    row that is not there; its ``problems`` say why.

    Raises
    ------
    InputError
        If a draft would make an earlier row of the folder invalid.
    """
    ready: dict[str, list[Draft]] = {name: [] for name in ROWS}
    waiting: dict[str, list[Draft]] = {name: [] for name in ROWS}
    parsed: dict[str, list[Any]] = {name: [] for name in ROWS}
    for draft in drafts:
        row = _valid(draft)
        if row is None:
            waiting[draft.table].append(draft)
        else:
            ready[draft.table].append(draft)
            parsed[draft.table].append(row)
    while faults := _between(parsed, earlier):
        for name, places in faults.items():
            for place in sorted(places, reverse=True):
                draft = ready[name].pop(place)
                parsed[name].pop(place)
                for problem in places[place]:
                    draft.problems.setdefault(problem.column or "", _words(problem))
                waiting[name].append(draft)
    return Settled(ready, waiting)


def _valid(draft: Draft) -> Row | None:
    """Return the row of a draft, or None after writing down what keeps it from being one."""
    row_type = ROWS[draft.table]
    cells = dict.fromkeys(row_type.columns(), "") | {
        column: text for column, text in draft.cells.items() if column in row_type.columns()
    }
    rows, problems = parse_rows(draft.table, row_type, [cells], "user")
    for problem in problems:
        draft.problems.setdefault(problem.column or "", _words(problem))
    if draft.problems:
        return None
    return rows[0][1]  # type: ignore[no-any-return]


def _between(parsed: dict[str, list[Any]], earlier: Evidence | None) -> dict[str, dict[int, list[Problem]]]:
    """Return the faults between rows: for each table, by the place of the draft to blame."""
    before = {name: list(getattr(earlier, name)) if earlier else [] for name in ROWS}
    tables = {name: list(enumerate([*before[name], *parsed[name]], 1)) for name in ROWS}
    ids = {
        name: {tuple(getattr(row, column) for column in columns) for _, row in tables[name]}
        for name, columns in IDENTITY.items()
    }
    found: dict[str, dict[int, list[Problem]]] = {}
    for problem in cross_table_problems(tables, ids):
        name = (problem.file or "").removesuffix(".csv")
        place = (problem.row or 0) - 1 - len(before[name])
        if place < 0:
            raise InputError(problem)
        found.setdefault(name, {}).setdefault(place, []).append(problem)
    return found


def _words(problem: Problem) -> str:
    """Say a problem without the place, which is that of the row in review."""
    value = "" if problem.value is None else f"{problem.value} "
    allowed = f" (allowed: {problem.allowed})" if problem.allowed and problem.what != "is empty" else ""
    return f"{value}{problem.what}{allowed}"
