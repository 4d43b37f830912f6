"""Checks that need more than one row: ids that lead nowhere, duplicates, patients counted twice."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from stemtrial.errors import Problem

Numbered = Sequence[tuple[int, Any]]
"""Rows of one table with their numbers in the file, 1 the first."""

IDENTITY: dict[str, tuple[str, ...]] = {
    "references": ("reference_id",),
    "trials": ("trial_id",),
    "arms": ("trial_id", "arm_id"),
}
"""The columns by which other tables name the rows of a table."""

_UNIQUE: Mapping[str, tuple[str, ...]] = IDENTITY | {
    "outcomes": (
        "trial_id",
        "arm_id",
        "construct",
        "instrument",
        "scale_min",
        "scale_max",
        "higher_is_better",
        "time_months",
        "statistic",
        "analysis_set",
    ),
    "events": (
        "trial_id",
        "arm_id",
        "event",
        "category",
        "serious",
        "follow_up_months",
        "analysis_set",
    ),
}


def cross_table_problems(
    tables: Mapping[str, Numbered], ids: Mapping[str, Collection[tuple[str, ...]] | None]
) -> Iterator[Problem]:
    """Yield every fault that lies between rows.

    Parameters
    ----------
    tables
        The valid rows of each table.
    ids
        For each table of `IDENTITY` the identities it holds, those of invalid rows included so that one bad
        row does not orphan the rows that name it; None where the table could not be read.
    """
    for name, rows in tables.items():
        yield from _orphans(name, rows, ids)
        columns = _UNIQUE.get(name) or (rows[0][1].columns() if rows else ())
        yield from _duplicates(name, rows, columns, "repeats row {first}", "remove one of the two")
    yield from _duplicates(
        "outcomes",
        [(number, row) for number, row in tables["outcomes"] if row.analysis_set == "primary"],
        ("trial_id", "arm_id", "construct", "time_months"),
        "is primary, as is row {first}, for the same arm, construct and visit",
        "mark one of the two as sensitivity",
        blame="analysis_set",
    )
    yield from _duplicates(
        "harms",
        [(number, row) for number, row in tables["harms"] if row.preferred],
        ("treatment", "event"),
        "is preferred, as is row {first}, for the same treatment and event",
        "prefer one of the two",
        blame="preferred",
    )
    yield from _pooled_arms(tables["arms"], tables["outcomes"], ids["arms"])
    yield from _comparator_trials(tables["trials"], tables["arms"])


def _orphans(
    name: str, rows: Numbered, ids: Mapping[str, Collection[tuple[str, ...]] | None]
) -> Iterator[Problem]:
    for target, columns in IDENTITY.items():
        known = ids[target]
        if target == name or known is None or not rows or not set(columns) <= set(rows[0][1].columns()):
            continue
        for number, row in rows:
            key = _values(row, columns)
            if key not in known and not (target == "arms" and _trial_unknown(key, ids)):
                yield Problem(
                    f"is not in {target}.csv",
                    file=f"{name}.csv",
                    row=number,
                    column=columns[-1],
                    value=" / ".join(key),
                    allowed=f"a {columns[-1]} of {target}.csv",
                )


def _trial_unknown(key: tuple[str, ...], ids: Mapping[str, Collection[tuple[str, ...]] | None]) -> bool:
    """Say whether the trial of an arm is unknown, which is reported once, as a fault of its own."""
    trials = ids["trials"]
    return trials is not None and key[:1] not in trials


def _duplicates(
    name: str, rows: Numbered, columns: Iterable[str], what: str, hint: str, blame: str | None = None
) -> Iterator[Problem]:
    columns = tuple(columns)
    seen: dict[tuple[Any, ...], int] = {}
    for number, row in rows:
        key = _values(row, columns)
        first = seen.setdefault(key, number)
        if first != number:
            yield Problem(
                what.format(first=first),
                file=f"{name}.csv",
                row=number,
                column=blame or columns[-1 if name in IDENTITY else 0],
                value=getattr(row, blame) if blame else " / ".join(map(str, key[:4])),
                hint=hint,
            )


def _pooled_arms(
    arms: Numbered, outcomes: Numbered, known: Collection[tuple[str, ...]] | None
) -> Iterator[Problem]:
    primary: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, row in outcomes:
        if row.analysis_set == "primary":
            primary[row.trial_id, row.arm_id].add(row.construct)
    for number, arm in arms:
        for part in arm.pooled_of:
            fault = None
            if part == arm.arm_id:
                fault = "names the arm itself"
            elif known is not None and (arm.trial_id, part) not in known:
                fault = f"is not an arm of {arm.trial_id}"
            elif both := primary[arm.trial_id, arm.arm_id] & primary[arm.trial_id, part]:
                fault = f"has primary outcomes together with its pooled arm ({', '.join(sorted(both))})"
            if fault:
                yield Problem(
                    fault,
                    file="arms.csv",
                    row=number,
                    column="pooled_of",
                    value=part,
                    allowed="other arms of the trial; of a pooled arm and its parts only one side is primary",
                )


def _comparator_trials(trials: Numbered, arms: Numbered) -> Iterator[Problem]:
    with_cells = {arm.trial_id for _, arm in arms if arm.intervention == "cell_therapy"}
    for number, trial in trials:
        if trial.is_comparator_only and trial.trial_id in with_cells:
            yield Problem(
                "contradicts the cell arm of the trial",
                file="trials.csv",
                row=number,
                column="is_comparator_only",
                value="true",
                allowed="false for a trial with a cell arm",
            )


def _values(row: Any, columns: Iterable[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, column) for column in columns)
