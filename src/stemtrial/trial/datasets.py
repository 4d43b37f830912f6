"""Data sets that leave the package: described variables, written whole as Parquet, CSV or SAS transport files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_NAME, LONGEST_LABEL, LONGEST_TEXT = 8, 40, 200
"""Limits of a SAS transport file of version 5, which submissions to regulators use."""

XPT_ROWS = 2_000_000
"""Largest data set written as a transport file; it is held in memory as a whole."""


def _check(name: str, label: str) -> None:
    if len(name) > LONGEST_NAME or not (name.isascii() and name.isupper()):
        raise ValueError(f"{name} is not a name of a transport file")
    if len(label) > LONGEST_LABEL or not label.isascii():
        raise ValueError(f"{name}: the label is not one of a transport file")


@dataclass(frozen=True)
class Variable:
    """A column of a data set.

    Attributes
    ----------
    name
        Up to 8 characters.
    label
        Up to 40 characters.
    kind
        ``text``, ``integer`` or ``number``.
    meaning
        How it is made, in a sentence.
    """

    name: str
    label: str
    kind: Literal["text", "integer", "number"]
    meaning: str = ""

    def __post_init__(self) -> None:
        _check(self.name, self.label)


@dataclass(frozen=True)
class Dataset:
    """A data set: its name, its label and its variables, in order."""

    name: str
    label: str
    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        _check(self.name, self.label)

    @property
    def schema(self) -> "pa.Schema":
        """Types of the columns, with their labels as metadata."""
        import pyarrow as pa

        kinds = {"text": pa.string(), "integer": pa.int32(), "number": pa.float64()}
        return pa.schema(
            [pa.field(v.name, kinds[v.kind], metadata={"label": v.label}) for v in self.variables],
            metadata={"label": self.label},
        )

    def table(self, columns: Mapping[str, object]) -> "pa.Table":
        """Arrange columns, arrays by name, as a table of this data set; NaN becomes null."""
        import pyarrow as pa

        schema = self.schema
        return pa.Table.from_arrays(
            [_array(columns[field.name], field.type) for field in schema], schema=schema
        )


def _array(values: object, kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return (
        values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, type=kind, from_pandas=True)
    )


class Writer(Protocol):
    """What takes the tables of a data set one after the other."""

    def write(self, table: "pa.Table") -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class _Transport:
    """SAS transport file: rows are collected and written at the end."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path, self._dataset = path, dataset
        self._tables: list[pa.Table] = []
        self._rows = 0

    def write(self, table: "pa.Table") -> None:
        self._rows += table.num_rows
        if self._rows > XPT_ROWS:
            raise InputError(
                Problem(
                    f"is too small a format for this: {self._dataset.name} has more than {XPT_ROWS:,} rows",
                    field="--format",
                    value="xpt",
                    hint="export fewer virtual trials with --replicates, or as parquet",
                )
            )
        self._tables.append(table)

    def close(self) -> None:
        write_xport(self._path, self._dataset, self._tables)


def write_xport(path: Path, dataset: Dataset, tables: "Sequence[pa.Table]") -> None:
    """Write tables as one SAS transport file of version 5.

    Raises
    ------
    InputError
        Where the optional package that writes them is not installed, or a text is too long for the format.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    require_transport()
    import pyreadstat

    table = pa.concat_tables(tables) if tables else dataset.schema.empty_table()
    for name in (v.name for v in dataset.variables if v.kind == "text"):
        column = pc.fill_null(table[name], "")
        longest = pc.max(pc.binary_length(column)).as_py() or 0
        if longest > LONGEST_TEXT:
            raise InputError(
                Problem(f"has a text of {longest} bytes", field=f"{dataset.name}.{name}",
                        allowed=f"up to {LONGEST_TEXT} bytes in a transport file", hint="export as parquet or csv")
            )  # fmt: skip
        table = table.set_column(table.column_names.index(name), name, column)
    frame = table.to_pandas()
    for variable in dataset.variables:
        frame[variable.name] = frame[variable.name].astype(object if variable.kind == "text" else float)
    pyreadstat.write_xport(
        frame,
        str(path),
        file_label=dataset.label,
        column_labels=[v.label for v in dataset.variables],
        table_name=dataset.name,
        file_format_version=5,
    )


def require_transport() -> None:
    """Raise :class:`~stemtrial.errors.InputError` unless transport files can be written here."""
    from importlib.util import find_spec

    if missing := [name for name in ("pyreadstat", "pandas") if find_spec(name) is None]:
        raise InputError(
            Problem(f"needs {' and '.join(missing)}, not installed here", field="--format", value="xpt",
                    hint='install "stemtrial[export]", or choose parquet or csv')
        )  # fmt: skip


def writer(path: Path, dataset: Dataset, format: Literal["parquet", "csv", "xpt"]) -> Writer:
    """Open a file for the rows of a data set."""
    if format == "xpt":
        return _Transport(path, dataset)
    if format == "csv":
        import pyarrow.csv as csv

        return csv.CSVWriter(path, dataset.schema)  # type: ignore[no-any-return]
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, dataset.schema)  # type: ignore[no-any-return]


def describe(datasets: Sequence[Dataset]) -> list[dict[str, str]]:
    """Return one row a variable: dataset, variable, label, type and meaning."""
    return [
        {"dataset": d.name, "variable": v.name, "label": v.label, "type": v.kind, "meaning": v.meaning}
        for d in datasets
        for v in d.variables
    ]
