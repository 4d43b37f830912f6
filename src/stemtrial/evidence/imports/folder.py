"""The folder of an import: tables that can be loaded, rows that wait for review, the mapping, the manifest.

``NAME.csv``
    All tables of the evidence; :func:`stemtrial.evidence.load` reads the folder.
``review/NAME.csv``
    Rows that are not complete or contradict others, in the columns of their table and one more, ``problems``. Complete
    such a row and import the file again into the same folder.
``mapping.csv``
    What became of every value of the source.
``manifest.json``
    Sources with their SHA-256, versions and counts.
"""

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemtrial import __version__
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.imports.ledger import Draft, Entry, Ledger, counts
from stemtrial.evidence.imports.settle import Settled, settle
from stemtrial.evidence.reading import load
from stemtrial.evidence.tables import ROWS, Evidence

KIND = "stemtrial evidence import"


@dataclass(frozen=True)
class Source:
    """The file of an import: name, contents, what it is and what it says about itself."""

    file: str
    raw: bytes
    kind: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Parameters
    ----------
    folder
        Where it was written.
    taken
        Number of rows taken into each table by this import.
    waiting
        Rows of this import that wait for review, by table.
    mapping
        The account of every value.
    notes
        What the user should know.
    evidence
        All rows of the folder, marked as the user's.
    """

    folder: Path
    taken: Mapping[str, int]
    waiting: Mapping[str, tuple[Draft, ...]]
    mapping: tuple[Entry, ...]
    notes: tuple[str, ...]
    evidence: Evidence

    @property
    def unmapped(self) -> tuple[Entry, ...]:
        """The values that have no place in the tables, and why."""
        return tuple(entry for entry in self.mapping if entry.how == "not mapped")


def take_in(
    ledger: Ledger, source: Source, out: Path, notes: Sequence[str] = (), again: str = ""
) -> Imported:
    """Settle the drafts of an import against the folder and write it as a whole.

    Parameters
    ----------
    again
        Table whose rows for review this import replaces, because their own file was imported.

    Raises
    ------
    InputError
        If ``out`` is no folder of an import or holds this file already, or cannot be written; nothing is
        changed then.
    """
    earlier, manifest = _earlier(out)
    digest = hashlib.sha256(source.raw).hexdigest()
    if any(digest == each.get("sha256") for each in manifest.get("sources", ())):
        what, hint = "was imported into this folder before", "name a new folder to import it again"
        raise InputError(Problem(what, file=source.file, hint=hint))
    settled = settle(ledger.drafts, earlier)
    entries = ledger.entries()
    taken = {name: len(settled.ready.get(name, ())) for name in ROWS if settled.ready.get(name)}
    waiting = {name: tuple(drafts) for name, drafts in settled.waiting.items() if drafts}
    described = {
        "file": source.file,
        "sha256": digest,
        "bytes": len(source.raw),
        "kind": source.kind,
        **source.about,
        "rows": taken,
        "rows_for_review": {name: len(drafts) for name, drafts in waiting.items()},
        "values": counts(entries),
    }
    sources = [*manifest.get("sources", ()), described]
    try:
        _write(out, earlier, settled, entries, sources, again)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", field="--out", value=out)) from None
    return Imported(out, taken, waiting, tuple(entries), tuple(notes), load(out))


def _earlier(out: Path) -> tuple[Evidence | None, dict[str, Any]]:
    """Return the rows and the manifest of an earlier import, if the folder holds one."""
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return None, {}
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        if manifest["kind"] == KIND and isinstance(manifest["sources"], list):
            return load(out), manifest
    except (OSError, ValueError, TypeError, LookupError):
        pass
    raise InputError(
        Problem(
            "exists and is not the folder of an import",
            field="--out",
            value=out,
            hint="name a new folder, or one that this command made",
        )
    )


def _write(
    out: Path,
    earlier: Evidence | None,
    settled: Settled,
    entries: Sequence[Entry],
    sources: Sequence[Mapping[str, Any]],
    again: str,
) -> None:
    """Write everything beside the folder, then put it in its place."""
    out = Path(os.path.abspath(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        made.chmod(0o755)
        for name, row_type in ROWS.items():
            old = [row.cells() for row in getattr(earlier, name)] if earlier else []
            new = [draft.cells for draft in settled.ready.get(name, ())]
            _table(made / f"{name}.csv", row_type.columns(), [*old, *new])
        (made / "review").mkdir()
        for name, row_type in ROWS.items():
            kept = [] if name == again else _rows(out / "review" / f"{name}.csv")
            new = [draft.cells | {"problems": draft.said} for draft in settled.waiting.get(name, ())]
            if kept or new:
                _table(made / "review" / f"{name}.csv", (*row_type.columns(), "problems"), [*kept, *new])
        lines = [vars(entry) for entry in entries]
        _table(made / "mapping.csv", Entry.columns(), [*_rows(out / "mapping.csv"), *lines])
        whole = load(made)
        manifest = {
            "kind": KIND,
            "stemtrial": __version__,
            "sources": list(sources),
            "tables": {name: len(getattr(whole, name)) for name in ROWS if getattr(whole, name)},
            "evidence_hash": whole.hash,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False)
        (made / "manifest.json").write_text(text + "\n", encoding="utf-8")
        _place(made, out)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _place(made: Path, out: Path) -> None:
    """Rename the finished folder; an earlier one is put back if that fails."""
    if not out.exists():
        os.rename(made, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        os.rename(out, old)
        os.rename(made, out)
    except BaseException:
        if not out.exists():
            os.rename(old, out)
        raise
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)


def _table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({column: _text(row.get(column)) for column in columns} for row in rows)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ";".join(map(_text, value))
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file this module wrote earlier, none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
