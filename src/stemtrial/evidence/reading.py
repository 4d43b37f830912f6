"""Reading and validating the tables: every fault at once, with its file, row, column and what is allowed."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.integrity import IDENTITY, cross_table_problems
from stemtrial.evidence.schema import Row
from stemtrial.evidence.tables import ROWS, Evidence
from stemtrial.evidence.vocabulary import Provenance, nearest


def load(directory: str | Path | None = None) -> Evidence:
    """Read and validate the shipped tables, or those of a directory, whose rows are marked as the user's.

    Parameters
    ----------
    directory
        Folder that holds all tables as ``NAME.csv`` (UTF-8, comma separated, one header row).

    Raises
    ------
    InputError
        With every fault of every table: missing files, unknown or missing columns, wrong types and words,
        values off their scale, unknown ids, duplicates.

    Examples
    --------
    >>> len(load().trials)
    92
    """
    return _shipped() if directory is None else _load(Path(directory), "user")


@cache
def _shipped() -> Evidence:
    return _load(files("stemtrial.evidence") / "data", "shipped")


def _load(folder: Path | Traversable, provenance: Provenance) -> Evidence:
    problems: list[Problem] = []
    tables: dict[str, list[tuple[int, Any]]] = {}
    ids: dict[str, set[tuple[str, ...]] | None] = {}
    for name, row_type in ROWS.items():
        cells, unreadable = _read(folder.joinpath(f"{name}.csv"), row_type.columns())
        rows, invalid = parse_rows(name, row_type, cells, provenance)
        tables[name] = rows
        problems += unreadable or invalid
        if name in IDENTITY:
            keys = {tuple(row[column] for column in IDENTITY[name]) for row in cells}
            ids[name] = None if unreadable else keys
    problems += cross_table_problems(tables, ids)
    if problems:
        raise InputError(*(replace(found, file=str(folder.joinpath(found.file or ""))) for found in problems))
    return Evidence(**{name: tuple(row for _, row in rows) for name, rows in tables.items()})


def _read(file: Path | Traversable, columns: tuple[str, ...]) -> tuple[list[dict[str, str]], list[Problem]]:
    """Return the cells of a table as text, or what keeps it from being read."""
    try:
        header, *lines = csv.reader(StringIO(file.read_text(encoding="utf-8-sig"), newline=""), strict=True)
    except FileNotFoundError:
        return [], [Problem("is missing", file=file.name, hint="every table is needed; it may hold no rows")]
    except ValueError:
        return [], [Problem("is empty or not UTF-8 text", file=file.name, hint="save it as CSV, UTF-8")]
    except (OSError, csv.Error) as error:
        return [], [Problem(f"cannot be read: {error}", file=file.name)]
    problems = [
        Problem(
            "is not a column of the table",
            file=file.name,
            column=column,
            hint=f"nearest: {nearest(column, columns)}",
        )
        for column in header
        if column not in columns
    ]
    problems += [
        Problem("is missing from the header", file=file.name, column=column)
        for column in columns
        if column not in header
    ]
    problems += [
        Problem("stands twice in the header", file=file.name, column=column)
        for column in columns
        if header.count(column) > 1
    ]
    problems += [
        Problem(f"has {len(line)} cells", file=file.name, row=number, allowed=f"{len(header)} cells")
        for number, line in enumerate(lines, 1)
        if len(line) != len(header)
    ]
    if problems:
        return [], problems
    return [dict(zip(header, map(str.strip, line), strict=True)) for line in lines], []


def parse_rows(
    name: str, row_type: type[Row], cells: list[dict[str, str]], provenance: Provenance
) -> tuple[list[tuple[int, Any]], list[Problem]]:
    """Turn the cells of a table into rows.

    Parameters
    ----------
    name, row_type
        Table and the type of its rows.
    cells
        Text by column, one mapping a row; an empty text is no value.
    provenance
        Whose rows they are.

    Returns
    -------
    tuple
        Valid rows with their number (1 = first), and what is wrong with the others.
    """
    validate = TypeAdapter(row_type).validate_python
    rows, problems = [], []
    for number, row in enumerate(cells, 1):
        try:
            filled = {column: cell for column, cell in row.items() if cell}
            rows.append((number, validate(filled | {"provenance": provenance})))
        except ValidationError as error:
            problems += [
                replace(problem, file=f"{name}.csv", row=number)
                for found in error.errors(include_url=False)
                for problem in _explain(found, row)
            ]
    return rows, problems


def _explain(error: ErrorDetails, row: dict[str, str]) -> Iterator[Problem]:
    """Turn one finding of pydantic into problems in the words of the tables."""
    context = error.get("ctx", {})
    if error["type"] == "faults":
        for column, what, allowed in context["faults"]:
            yield Problem(what, column=column, value=row[column], allowed=allowed)
        return
    column = str(error["loc"][0])
    kind = error["type"]
    if kind == "missing":
        what, allowed = "is empty", "a value in every row"
    elif kind == "literal_error":
        what, allowed = "is not in the vocabulary", str(context["expected"]).replace("'", "")
    elif kind == "string_pattern_mismatch":
        what, allowed = "is not written as this column needs", f"the pattern {context['pattern']}"
    elif bounds := [f"{_BOUNDS[key]} {bound:g}" for key, bound in context.items() if key in _BOUNDS]:
        what, allowed = "is out of range", ", ".join(bounds)
    else:
        what = "is not of the type of the column"
        allowed = next((text for prefix, text in _TYPES.items() if kind.startswith(prefix)), error["msg"])
    yield Problem(what, column=column, value=row[column] or None, allowed=allowed)


_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_TYPES = {
    "float": "a finite number",
    "finite_number": "a finite number",
    "int": "a whole number",
    "bool": "true or false",
}
