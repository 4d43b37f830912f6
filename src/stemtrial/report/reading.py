"""Reading a run folder: three documents, well formed, unchanged since the run, and of one run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from stemtrial.errors import InputError, Problem
from stemtrial.report.contract import Manifest, Report, Summary

FILES = ("report.json", "summary.json", "manifest.json")
Kind = TypeVar("Kind", bound=BaseModel)
HINT = "the file was not written by `stemtrial simulate`, or by another version; run the trial again"


def parse(kind: type[Kind], data: Mapping[str, Any], file: str) -> Kind:
    """Check one document.

    Parameters
    ----------
    kind
        :class:`Report`, :class:`Summary` or :class:`Manifest`.
    data
        The document as plain data.
    file
        Its name, for messages.

    Raises
    ------
    InputError
        Naming the file, the field, the value and what is wrong, for every fault.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(*(_problem(file, fault) for fault in error.errors(include_url=False))) from None


def _problem(file: str, fault: Any) -> Problem:
    value = fault["input"]
    return Problem(
        what=fault["msg"].removeprefix("Value error, ")[:1].lower()
        + fault["msg"].removeprefix("Value error, ")[1:],
        file=file,
        field=".".join(map(str, fault["loc"])) or None,
        value=value if isinstance(value, (str, int, float)) else None,
        hint=HINT,
    )


def agree(report: Report, summary: Summary, manifest: Manifest) -> None:
    """Check that three documents describe one run.

    Raises
    ------
    InputError
        If arms, visits, seed, replicates, calibration or hashes differ between them.
    """
    problems = [
        Problem(
            "differs from manifest.json",
            file="summary.json",
            field=field,
            value=ours,
            allowed=str(theirs),
            hint=HINT,
        )
        for field in ("evidence_hash", "posterior_hash", "seed", "replicates")
        if (ours := getattr(summary, field)) != (theirs := getattr(manifest, field))
    ]
    if summary.calibration != report.calibration:
        problems.append(
            Problem(
                "differs from report.json",
                file="summary.json",
                field="calibration",
                value=summary.calibration,
                allowed=report.calibration,
                hint=HINT,
            )
        )
    month = f"{report.endpoint.month:g}"
    for name in report.arms:
        if name not in summary.arms:
            problems.append(Problem("is missing", file="summary.json", field=f"arms.{name}", hint=HINT))
        elif month not in summary.arms[name].change:
            problems.append(
                Problem(
                    "lacks the month of the endpoint",
                    file="summary.json",
                    field=f"arms.{name}.change.{month}",
                    hint=HINT,
                )
            )
    if problems:
        raise InputError(*problems)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Read the documents of a run folder as plain data.

    Returns
    -------
    tuple of dict
        ``report.json``, ``summary.json`` and ``manifest.json``.

    Raises
    ------
    InputError
        If the folder is not a run folder, or a document is damaged or was changed after the run.
    """
    if not folder.is_dir():
        raise InputError(
            Problem(
                "is not a folder",
                file=str(folder),
                hint="name the folder given to `stemtrial simulate --out`",
            )
        )
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise InputError(
            Problem(
                f"is not a run folder: it lacks {', '.join(missing)}",
                file=str(folder),
                hint="name the folder given to `stemtrial simulate --out`, or run the trial again",
            )
        )
    report, summary, manifest = (_read(folder / name) for name in FILES)
    _unchanged(folder, manifest.get("files"))
    return report, summary, manifest


def _read(path: Path) -> dict[str, Any]:
    hint = "the file is damaged; run the trial again"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(
            Problem(f"is not JSON: {error.msg}", file=str(path), line=error.lineno, hint=hint)
        ) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not UTF-8 text", file=str(path), hint=hint)) from None
    except OSError as error:
        raise InputError(
            Problem(f"cannot be read: {error.strerror}", file=str(path), hint="check its permissions")
        ) from None
    if not isinstance(document, dict):
        raise InputError(Problem("does not hold a JSON object", file=str(path), hint=hint))
    return document


def _unchanged(folder: Path, hashes: object) -> None:
    """Compare the documents with the hashes the run recorded for them, if it recorded any."""
    recorded = hashes if isinstance(hashes, dict) else {}
    changed = [
        name
        for name in ("report.json", "summary.json")
        if isinstance(told := recorded.get(name), str)
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() != told.removeprefix("sha256:")
    ]
    if changed:
        hint = "a report shows what a run produced; run the trial again instead of editing its results"
        raise InputError(
            *(
                Problem("was changed after the run wrote it", file=str(folder / name), hint=hint)
                for name in changed
            )
        )
