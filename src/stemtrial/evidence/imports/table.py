"""A user's table as rows for review: the columns of the evidence tables, read line by line."""

import csv
from io import StringIO
from pathlib import Path
from typing import NoReturn

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.imports.folder import Imported, Source, take_in
from stemtrial.evidence.imports.jsontext import printable, read_bytes
from stemtrial.evidence.imports.ledger import Draft, Ledger
from stemtrial.evidence.imports.node import Node
from stemtrial.evidence.tables import ROWS
from stemtrial.evidence.vocabulary import nearest

TABLES = ("references", "trials", "arms", "outcomes", "events")
"""The tables that take a user's rows, in the order in which they name each other."""

_ABSENT = ("NA", "N/A", "n/a")


def import_table(file: str | Path, out: str | Path, *, table: str) -> Imported:
    """Write the rows of a CSV file into a folder, for review.

    Parameters
    ----------
    file
        UTF-8, comma separated, one header row with column names of the table; columns that may be empty may be
        absent. ``NA`` in a cell reads as empty.
    out
        A new folder, or one that an earlier import made; its rows stay. Rows name rows of the same folder:
        references come first, then trials, arms, and outcomes or events.
    table
        One of ``references``, ``trials``, ``arms``, ``outcomes``, ``events``.

    Returns
    -------
    Imported
        What was taken in, and which rows wait for review.

    Raises
    ------
    InputError
        If the file cannot be read as a table, has no column of it, or ``out`` is another kind of folder. Nothing
        is written then.
    """
    file, out = Path(file), Path(out)
    if table not in TABLES:
        raise InputError(Problem("takes no rows", field="--table", value=table, allowed=", ".join(TABLES)))
    raw = read_bytes(file)
    header, lines = _read(raw, str(file))
    columns = ROWS[table].columns()
    if not set(header) & set(columns):
        hint = "separate columns by commas, not semicolons or tabs" if len(header) == 1 else None
        what = f"has no column of the table {table}"
        raise InputError(Problem(what, file=str(file), allowed=", ".join(columns), hint=hint))
    ledger = Ledger(printable(file))
    for number, line in enumerate(lines, 1):
        draft = ledger.draft(table)
        if len(line) != len(header):
            reason = f"has {len(line)} cells where the header has {len(header)}"
            ledger.doubt(draft, "", reason, Node(",".join(line), f"row {number}"))
            continue
        for column, text in zip(header, line, strict=True):
            _cell(ledger, draft, columns, column, Node(text, f"row {number}, column {column}"))
    own = (out / "review" / f"{table}.csv").absolute() == file.absolute()
    return take_in(
        ledger, Source(printable(file), raw, "CSV", {"table": table}), out, again=table if own else ""
    )


def _cell(ledger: Ledger, draft: Draft, columns: tuple[str, ...], column: str, cell: Node) -> None:
    text = cell.shown.strip()
    if not text:
        return
    if column == "problems":
        ledger.joined(cell, "what an earlier import said of the row")
    elif column not in columns:
        ledger.refuse(cell, f"{column} is not a column of the table; nearest: {nearest(column, columns)}")
    elif text in _ABSENT:
        ledger.put(draft, column, "", cell, how="converted", reason="read as empty")
    else:
        ledger.put(draft, column, text, cell)
        draft.cells[column] = text  # as written, inner line breaks included


def _read(raw: bytes, file: str) -> tuple[list[str], list[list[str]]]:
    def fail(what: str, **place: object) -> NoReturn:
        raise InputError(Problem(what, file=file, **place)) from None  # type: ignore[arg-type]

    try:
        header, *lines = csv.reader(StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
    except UnicodeDecodeError:
        fail("is not UTF-8 text", hint="save it as CSV, UTF-8")
    except csv.Error as error:
        fail(f"is not readable as CSV: {error}")
    header = [column.strip() for column in header]
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        fail("stands twice in the header", column=twice[0])
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        fail("holds no rows", hint="one header row, then one line for each row")
    return header, lines
