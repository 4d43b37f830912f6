"""Reading candidates from a file: YAML or JSON of one, a FHIR bundle of one, or a table of many.

Fields that identify a person (:data:`IDENTIFYING`) are dropped before anything else sees them; no message shows a value
of a field that is not known.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, NoReturn

from stemtrial.candidate.fhir import read_bundle
from stemtrial.candidate.record import Candidate
from stemtrial.documents import Document, validate
from stemtrial.errors import InputError, Problem

LARGEST_BYTES: Final = 20_000_000
"""Size up to which tables and bundles are read."""
MOST_ROWS: Final = 10_000

IDENTIFYING: Final = frozenset(
    {
        "name", "first_name", "last_name", "given_name", "family_name", "surname", "initials", "id", "identifier",
        "patient", "patient_id", "patient_name", "candidate", "candidate_id", "subject_id", "mrn", "nhs_number",
        "ssn", "social_security_number", "insurance_number", "birth_date", "birthdate", "date_of_birth", "dob",
        "address", "street", "city", "postcode", "zip", "phone", "telephone", "mobile", "email", "photo",
    }
)  # fmt: skip
"""Names of fields that are not needed and are ignored."""

_EVENTS: Final = {"injections": "substance", "operations": "kind"}
_TEXT_LISTS: Final = {"present", "absent", "what_matters", "investigational_products"}
_NEVER: Final = {"none", "never"}


@dataclass(frozen=True)
class Intake:
    """One record as read.

    Parameters
    ----------
    record
        The person.
    assessed
        Day of the assessment.
    row
        Row of a table, 1 = first; ``None`` for a file of one person.
    unmapped
        Resources of a bundle that were not mapped.
    ignored
        How many fields that identify a person were left out.
    """

    record: Candidate
    assessed: date
    row: int | None = None
    unmapped: tuple[str, ...] = ()
    ignored: int = 0


def read_candidates(path: str | Path, today: date, indication: str | None = None) -> tuple[Intake, ...]:
    """Read the candidates of a file.

    Parameters
    ----------
    path
        ``.csv`` for a table with a row a person, ``.json`` for a record or a FHIR bundle, else YAML.
    today
        No date may lie after it.
    indication
        For a bundle that names several indications or none.

    Raises
    ------
    InputError
        With every fault and its place.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        found = _table(path, today)
    elif suffix == ".json" and (bundle := _bundle(path)) is not None:
        mapped = read_bundle(bundle, str(path), today, indication)
        record = validate(Candidate, mapped.data, file=str(path))
        _refuse_future(record, today, str(path))
        found = (Intake(record, record.as_of(today), unmapped=mapped.unmapped),)
    else:
        found = (_document(path, today),)
    if indication is not None and any(intake.record.indication != indication for intake in found):
        raise InputError(
            Problem("contradicts the file", field="--indication", value=indication, hint="leave it out")
        )
    return found


def _document(path: Path, today: date) -> Intake:
    try:
        document = Document.read(path)
        data, ignored = _without_identity(document.data)
        record = validate(Candidate, data, file=str(path), line=document.line)
    except InputError as error:
        raise InputError(*map(_discreet, error.problems)) from None
    _refuse_future(record, today, str(path), lambda place: document.line(place))
    return Intake(record, record.as_of(today), ignored=ignored)


def _table(path: Path, today: date) -> tuple[Intake, ...]:
    """Read a table; cells as in a document, lists separated by semicolons."""
    text = _text(path)
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise InputError(Problem(f"is not readable as CSV: {error}", file=str(path))) from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    known = set(Candidate.model_fields) | IDENTIFYING
    problems = [
        Problem("is not a known field", file=str(path), column=column, hint="columns are fields of a record")
        for column in header
        if column.lower() not in known
    ] + [
        Problem("is written twice", file=str(path), column=column, hint="keep one")
        for column in sorted({column for column in header if header.count(column) > 1})
    ]
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    if not body or len(body) > MOST_ROWS:
        problems.append(
            Problem(f"holds {len(body)} candidates", file=str(path), allowed=f"1 to {MOST_ROWS:,}")
        )
    if problems:
        raise InputError(*problems)
    found = []
    for number, row in enumerate(body, 1):
        try:
            if len(row) != len(header):
                raise InputError(Problem(f"has {len(row)} cells", allowed=f"{len(header)} as the header"))
            cells = {column: cell.strip() for column, cell in zip(header, row, strict=True) if cell.strip()}
            data, ignored = _without_identity(cells)
            record = validate(Candidate, {name: _cell(name, cell) for name, cell in data.items()})
            _refuse_future(record, today, None)
            found.append(Intake(record, record.as_of(today), number, ignored=ignored))
        except InputError as error:
            problems += [
                replace(_discreet(problem), file=str(path), row=number, line=None)
                for problem in error.problems
            ]
    if problems:
        raise InputError(*problems)
    return tuple(found)


def _cell(name: str, cell: str) -> Any:
    """Return a cell as it would stand in a document."""
    if name in _EVENTS:
        return [] if cell.lower() in _NEVER else [_event(name, part) for part in cell.split(";")]
    if name in _TEXT_LISTS:
        return [] if cell.lower() in _NEVER else [part.strip() for part in cell.split(";") if part.strip()]
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _event(name: str, text: str) -> dict[str, str]:
    """Return ``corticosteroid index 2026-03-31`` as the mapping it stands for; the day may be missing."""
    parts = text.split()
    if not 2 <= len(parts) <= 3:
        allowed = f"{_EVENTS[name]}, site and day, such as `corticosteroid index 2026-03-31`; `none`"
        raise InputError(Problem("is not an event", field=name, value=text.strip()[:60], allowed=allowed))
    return dict(zip((_EVENTS[name], "site", "date"), parts, strict=False))


def _bundle(path: Path) -> dict[str, Any] | None:
    """Return a FHIR bundle, or ``None`` if the file is no FHIR resource; other resources are refused."""
    try:
        data = json.loads(_text(path), parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError):
        return None
    except ValueError as error:
        raise InputError(Problem(str(error), file=str(path))) from None
    if not isinstance(data, dict) or "resourceType" not in data:
        return None
    if data["resourceType"] != "Bundle":
        what = "is a FHIR resource but not a Bundle"
        raise InputError(Problem(what, file=str(path), field="resourceType", allowed="Bundle"))
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is not a number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"holds {twice[:40]} twice in one object")
    return dict(pairs)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(
                Problem("is too large", file=str(path), allowed=f"up to {LARGEST_BYTES:,} bytes")
            )
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "check the name and the folder"
        raise InputError(Problem("does not exist", file=str(path), hint=hint)) from None
    except UnicodeDecodeError:
        hint = "save the file as UTF-8"
        raise InputError(Problem("holds bytes that are not UTF-8 text", file=str(path), hint=hint)) from None
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from None


def _without_identity(data: Mapping[Any, Any]) -> tuple[dict[Any, Any], int]:
    kept = {name: value for name, value in data.items() if str(name).lower() not in IDENTIFYING}
    return kept, len(data) - len(kept)


def _discreet(problem: Problem) -> Problem:
    """Hide the value of a field that is not part of a record: it may identify a person."""
    top = (problem.field or "").split(".")[0].split("[")[0]
    return replace(problem, value=None) if top not in Candidate.model_fields else problem


def _refuse_future(record: Candidate, today: date, file: str | None, line: Any = lambda place: None) -> None:
    def dotted(place: Iterable[str | int]) -> str:
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")

    problems = [
        Problem(fault.what, file=file, line=line(fault.at), field=dotted(fault.at), allowed=fault.allowed)
        for fault in record.future(today)
    ]
    if problems:
        raise InputError(*problems)
