"""The account of an import: every value of the source, where it went and how, or why it went nowhere."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Literal

from stemtrial.evidence.imports.node import Node

How = Literal["read", "converted", "inferred", "not mapped"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of ``mapping.csv``.

    Parameters
    ----------
    file
        Name of the source file.
    source
        Path of the value in a record, or row and column of a table; empty where a rule has no single source.
    value
        The value as it stands in the source.
    table, row, column
        Where it went: table, identity of the row, column.
    stored
        What stands there now.
    how
        ``read`` (as printed), ``converted`` (by a stated formula), ``inferred`` (by a stated rule; check it),
        or ``not mapped``.
    reason
        The formula, the rule, or why the value was not mapped.
    """

    file: str
    source: str
    value: str
    table: str = ""
    row: str = ""
    column: str = ""
    stored: str = ""
    how: How
    reason: str = ""

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Return the columns of ``mapping.csv``."""
        return tuple(each.name for each in fields(cls))


_NAMES = {
    "references": ("reference_id",),
    "trials": ("trial_id",),
    "arms": ("arm_id",),
    "outcomes": ("arm_id", "instrument", "time_months", "statistic"),
    "events": ("arm_id", "event"),
}


@dataclass
class Draft:
    """A row in the making: the text of its cells and what is still wrong with it, column by column."""

    table: str
    cells: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The identity of the row in the mapping, such as ``cells / VAS / 6 / mean``."""
        return " / ".join(self.cells.get(column) or "?" for column in _NAMES.get(self.table, ()))

    @property
    def said(self) -> str:
        """The problems in one line, columns with the same one together."""
        columns: dict[str, list[str]] = {}
        for column, reason in self.problems.items():
            columns.setdefault(reason, []).append(column)
        return "; ".join(
            f"{', '.join(names)}: {reason}" if any(names) else reason for reason, names in columns.items()
        )


def number(value: float) -> str:
    """Write a number as the tables do."""
    return f"{value:.10g}"


def cell(value: object) -> str:
    """Write a value as the text of a cell: one line, flags in words, numbers plainly."""
    if isinstance(value, bool):
        return str(value).lower()
    return number(value) if isinstance(value, float) else " ".join(str(value).split())


class Ledger:
    """Collects what became of every value while a file is imported."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.drafts: list[Draft] = []
        self._notes: list[tuple[str, str, Draft | None, str, str, How, str]] = []

    def draft(self, table: str, **known: object) -> Draft:
        """Begin a row; known cells are identities made by this package."""
        made = Draft(table, {column: cell(value) for column, value in known.items()})
        self.drafts.append(made)
        return made

    def put(
        self, draft: Draft, column: str, stored: object, *sources: Node, how: How = "read", reason: str = ""
    ) -> None:
        """Write a cell and note which values of the source it came from."""
        draft.cells[column] = text = cell(stored)
        for source in sources or (Node(None, ""),):
            self._notes.append((source.path, source.shown, draft, column, text, how, reason))

    def link(self, source: Node, draft: Draft, how: How, reason: str) -> None:
        """Note that a value led to a row without filling a cell of its own."""
        self._notes.append((source.path, source.shown, draft, "", "", how, reason))

    def joined(self, source: Node, reason: str) -> None:
        """Note that a value served to join others and has no cell of its own."""
        self._notes.append((source.path, source.shown, None, "", "", "read", reason))

    def refuse(self, source: Node, reason: str) -> None:
        """Note that a value has no place in the tables, and why."""
        self._notes.append((source.path, source.shown, None, "", "", "not mapped", reason))

    def doubt(self, draft: Draft, column: str, reason: str, *sources: Node) -> None:
        """Leave a cell that the row needs empty, so that the row waits for review."""
        draft.problems.setdefault(column, reason)
        for source in sources:
            self._notes.append((source.path, source.shown, draft, column, "", "not mapped", reason))

    def entries(self) -> list[Entry]:
        """Return the account in the order in which it was written."""
        return [
            Entry(
                file=self.file,
                source=source,
                value=value,
                table=draft.table if draft else "",
                row=draft.name if draft else "",
                column=column,
                stored=stored,
                how=how,
                reason=reason,
            )
            for source, value, draft, column, stored, how, reason in self._notes
        ]

    def accounted(self) -> set[str]:
        """Return the paths of the source that the account names."""
        return {source for source, *_ in self._notes}


def counts(entries: Iterable[Entry]) -> dict[str, int]:
    """Count the lines of a mapping by how a value was taken."""
    found: dict[str, int] = dict.fromkeys(("read", "converted", "inferred", "not mapped"), 0)
    for entry in entries:
        found[entry.how] += 1
    return found
