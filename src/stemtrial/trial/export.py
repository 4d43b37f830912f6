"""From a run folder to files that other programs analyse: ADaM-like data sets or NONMEM-like records."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stemtrial import __version__
from stemtrial.errors import InputError, Problem
from stemtrial.trial import adam, adverse, nonmem
from stemtrial.trial.adamvariables import ADAE, ADQS, ADSL
from stemtrial.trial.datasets import Dataset, describe, require_transport, writer
from stemtrial.trial.protocol import Trial
from stemtrial.trial.subjects import Subjects

if TYPE_CHECKING:
    import pyarrow as pa

Format: TypeAlias = Literal["parquet", "csv", "xpt", "nonmem"]

PATIENTS = "patients.parquet"


@dataclass(frozen=True)
class RunFolder:
    """A finished run whose patients were kept.

    Attributes
    ----------
    folder
        Where it is.
    trial
        Its protocol.
    manifest
        Its manifest.
    """

    folder: Path
    trial: Trial
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "RunFolder":
        """Read a run folder and check that its files are those of the run.

        Raises
        ------
        InputError
            Where it is no run folder, has no patients, or was changed.
        """
        manifest = folder / "manifest.json"
        if not manifest.is_file():
            hint = "name a folder that `stemtrial simulate TRIAL --patients` wrote"
            raise InputError(Problem("is not a run folder", field="RUN_DIR", value=folder, hint=hint))
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if PATIENTS not in content["files"]:
            hint = "simulate again with --patients"
            raise InputError(Problem("has no patients.parquet", field="RUN_DIR", value=folder, hint=hint))
        for name in (PATIENTS, "trial.yaml"):
            if not (folder / name).is_file() or _digest(folder / name) != content["files"][name]:
                what = "is missing or was changed after the run"
                raise InputError(Problem(what, file=str(folder / name), hint="simulate again"))
        return cls(folder, Trial.read(folder / "trial.yaml"), content)

    def chosen(self, first: int, last: int) -> "Iterator[pa.Table]":
        """Yield the rows of the virtual trials from `first` to `last`, batch by batch."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.folder / PATIENTS) as file:
            place = file.schema_arrow.names.index("replicate")
            for group in range(file.num_row_groups):
                found = file.metadata.row_group(group).column(place).statistics
                if found is not None and (found.max < first or found.min > last):
                    continue
                table = file.read_row_group(group)
                here = pc.and_(
                    pc.greater_equal(table["replicate"], first), pc.less_equal(table["replicate"], last)
                )
                if (table := table.filter(here)).num_rows:
                    yield table


@dataclass(frozen=True)
class Export:
    """What an export wrote: rows by file, and for every arm and treatment the harms that published arms count."""

    rows: dict[str, int]
    harms: dict[str, dict[str, list[str]]]


def export(
    run: Path,
    out: Path,
    format: Format,
    replicates: tuple[int, int] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Export the patients of a run.

    Parameters
    ----------
    run
        Run folder with ``patients.parquet``.
    out
        Folder to write; it must not exist, or be empty. It appears whole or not at all.
    format
        ``parquet``, ``csv`` or ``xpt`` (SAS transport, version 5) for ADSL, ADQS and ADAE; ``nonmem`` for one table of
        records.
    replicates
        First and last virtual trial; all of the run by default.
    progress
        Called with the virtual trials finished and their number.

    Raises
    ------
    InputError
        Where the run, the output folder or the range of virtual trials cannot be used.
    """
    if format == "xpt":
        require_transport()
    source = RunFolder.open(run)
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        hint = "name a new folder or remove this one"
        raise InputError(Problem("exists and is not overwritten", field="--out", value=out, hint=hint))
    last = source.manifest["replicates"] - 1
    first, end = replicates or (0, last)
    if not 0 <= first <= end <= last:
        raise InputError(
            Problem("is not a range of virtual trials of the run", field="--replicates", value=f"{first}-{end}",
                    allowed=f"within 0-{last}, the first not above the last")
        )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        count = _records if format == "nonmem" else _datasets
        rows = count(source, made, format, (first, end), lambda done: progress(done, end - first + 1))
        shutil.copy(source.folder / "trial.yaml", made / "trial.yaml")
        _variables(made / "variables.csv", [nonmem.NONMEM] if format == "nonmem" else list(_BUILT))
        found = Export(rows, {arm: _counted(source.trial, arm) for arm in source.trial.ordered_arms})
        about = {
            "stemtrial": __version__,
            "simulated": True,
            "note": "Simulated patients. Adverse events are drawn from published risks, apart from pain and leaving; "
            "a category that published arms of a treatment do not count cannot occur in its arms.",
            **{k: source.manifest[k] for k in ("trial_hash", "posterior_hash", "evidence_hash", "seed")},
            "replicates": [first, end],
            "format": format,
            "rows": found.rows,
            "harms_counted": found.harms,
        }
        if format == "nonmem":
            about["compartments"] = nonmem.COMPARTMENTS
            del about["harms_counted"]
        (made / "export.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        made.chmod(0o755)
        if out.exists():
            out.rmdir()
        os.replace(made, out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return found


_BUILT: dict[Dataset, Callable[[Subjects], "pa.Table"]] = {
    ADSL: adam.subject_level,
    ADQS: adam.questionnaires,
    ADAE: adam.adverse_events,
}


def _subjects(source: RunFolder, span: tuple[int, int]) -> Iterator[Subjects]:
    for table in source.chosen(*span):
        yield Subjects.of(source.trial, source.manifest["seed"], table)


def _datasets(
    source: RunFolder, folder: Path, format: Format, span: tuple[int, int], progress: Callable[[int], None]
) -> dict[str, int]:
    assert format != "nonmem"
    names = {dataset: f"{dataset.name.lower()}.{format}" for dataset in _BUILT}
    files = {dataset: writer(folder / name, dataset, format) for dataset, name in names.items()}
    rows = dict.fromkeys(names.values(), 0)
    for subjects in _subjects(source, span):
        for dataset, build in _BUILT.items():
            table = build(subjects)
            files[dataset].write(table)
            rows[names[dataset]] += table.num_rows
        progress(int(subjects.rows["replicate"][-1]) - span[0] + 1)
    for file in files.values():
        file.close()
    return rows


def _records(
    source: RunFolder, folder: Path, format: Format, span: tuple[int, int], progress: Callable[[int], None]
) -> dict[str, int]:
    import pyarrow as pa
    import pyarrow.csv as csv

    people = rows = 0
    schema = pa.schema([(v.name, pa.string()) for v in nonmem.NONMEM.variables])
    plain = csv.WriteOptions(quoting_style="none", quoting_header="none")
    with csv.CSVWriter(folder / "nonmem.csv", schema, write_options=plain) as file:
        for subjects in _subjects(source, span):
            table = nonmem.text(nonmem.records(subjects, people))
            file.write(table)
            people, rows = people + subjects.n, rows + table.num_rows
            progress(int(subjects.rows["replicate"][-1]) - span[0] + 1)
    return {"nonmem.csv": rows}


def _variables(path: Path, datasets: list[Dataset]) -> None:
    import csv

    rows = describe(datasets)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def _counted(trial: Trial, arm: str) -> dict[str, list[str]]:
    risks = adverse.published_risks(trial, arm)
    treatments = dict.fromkeys(t.name for t in trial.arms[arm].treatments)
    return {name: [risk.category for risk in risks if risk.treatment == name] for name in treatments}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
