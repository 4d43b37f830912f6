"""Rows of simulated patients, streamed to one Parquet file a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemtrial.trial.conduct import INSTRUMENTS, ArmRecord
from stemtrial.trial.protocol import Trial

if TYPE_CHECKING:
    import pyarrow as pa

    from stemtrial.trial.replicates import Cast


def table(
    trial: Trial, replicates: np.ndarray, casts: "Mapping[str, Cast]", records: Mapping[str, ArmRecord]
) -> "pa.Table":
    """One row a patient: identity, covariates, readings by instrument and month, leaving and rescue.

    Readings are stored in double precision, so that an analysis of the rows gives the estimates of the run. Those after
    a patient left are null, as a trial would have them. ``left_by_month`` is the first visit missed
    and ``rescue_month`` the visit at which rescue medicine began; of other intercurrent events the protocol declares,
    ``KIND_month`` is the first visit by which it had happened, also after the patient left. Null where it never did.
    """
    import pyarrow as pa

    months = np.array(trial.visits_months)
    tables = []
    kinds = dict.fromkeys(kind for record in records.values() for kind in record.events)
    for arm, record in records.items():
        covariates = casts[arm].people.covariates
        shape = covariates.age.shape
        columns: dict[str, object] = {
            "replicate": np.repeat(replicates, shape[1]).astype(np.int32),
            "arm": pa.DictionaryArray.from_arrays(
                np.zeros(shape[0] * shape[1], np.int8), [arm]
            ).dictionary_decode(),
            "patient": np.tile(np.arange(shape[1], dtype=np.int32), shape[0]),
        }
        for name, form in (("age", np.float64), ("bmi", np.float64), ("female", bool), ("grade", np.int8)):
            columns[name] = getattr(covariates, name).ravel().astype(form)
        for name in INSTRUMENTS:
            columns[f"{name}_0"] = record.baseline[name].ravel().astype(np.float64)
            for v, month in enumerate(months):
                values = record.readings[name][v].ravel().astype(np.float64)
                columns[f"{name}_{month:g}"] = pa.array(values, mask=~record.present[v].ravel())
        nobody = np.zeros_like(record.present)
        columns["left_by_month"] = _first(~record.present, months)
        # A patient is marked as rescued from the visit after the start; the last visit cannot start one that counts.
        started = np.concatenate([record.rescued[1:], record.rescued[-1:]])
        columns["rescue_month"] = _first(started, months)
        for kind in kinds:
            columns[f"{kind}_month"] = _first(record.events.get(kind, nobody), months)
        taken = record.taken.ravel()
        made = pa.table(columns)
        tables.append(made if taken.all() else made.filter(pa.array(taken)))
    return pa.concat_tables(tables)


def _first(happened: np.ndarray, months: np.ndarray) -> "pa.Array":
    """Month of the first visit at which something holds; null where it never does."""
    import pyarrow as pa

    ever = happened.any(axis=0)
    return pa.array(months[happened.argmax(axis=0)].ravel(), mask=~ever.ravel())


def write(part: Path, rows: "pa.Table") -> None:
    """Write the rows of one batch; a reader never sees half of them."""
    import pyarrow.parquet as pq

    partial = part.with_suffix(".partial")
    pq.write_table(rows, partial)
    partial.replace(part)


def join(parts: Iterable[Path], path: Path) -> None:
    """Join the batches, in order, into one file, one batch in memory at a time."""
    import pyarrow.parquet as pq

    writer = None
    try:
        for part in parts:
            rows = pq.read_table(part)
            writer = writer or pq.ParquetWriter(path, rows.schema)
            writer.write_table(rows)
    finally:
        if writer is not None:
            writer.close()
