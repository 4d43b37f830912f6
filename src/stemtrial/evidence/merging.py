"""The shipped evidence and a user's rows beside it, each row still marked with where it came from."""

from collections.abc import Iterator
from dataclasses import fields, replace

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.integrity import IDENTITY, cross_table_problems
from stemtrial.evidence.tables import ROWS, Evidence


def merge(shipped: Evidence, user: Evidence) -> Evidence:
    """Return all rows of both, the shipped first; neither is changed.

    Parameters
    ----------
    shipped, user
        Evidence as :func:`~stemtrial.evidence.load` returns it, without and with a folder.

    Raises
    ------
    InputError
        If a row of the user has the identity of a shipped trial or reference, a trial of the user has the
        registry number of a shipped one (its patients would count twice), or the rows contradict each other.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from stemtrial.evidence import load
    >>> empty = replace(load(), **{table.name: () for table in fields(Evidence)})
    >>> merge(load(), empty).hash == load().hash
    True
    """
    problems = [*_clashes(shipped, user)]
    if not problems:
        tables = {name: list(enumerate([*getattr(shipped, name), *getattr(user, name)], 1)) for name in ROWS}
        ids = {
            name: {tuple(getattr(row, column) for column in columns) for _, row in tables[name]}
            for name, columns in IDENTITY.items()
        }
        problems += (_in_own_table(found, shipped) for found in cross_table_problems(tables, ids))
    if problems:
        raise InputError(*problems)
    return Evidence(
        **{table.name: getattr(shipped, table.name) + getattr(user, table.name) for table in fields(Evidence)}
    )


def _clashes(shipped: Evidence, user: Evidence) -> Iterator[Problem]:
    for name in ("references", "trials"):
        (column,) = IDENTITY[name]
        taken = {getattr(row, column) for row in getattr(shipped, name)}
        for number, row in enumerate(getattr(user, name), 1):
            if getattr(row, column) in taken:
                yield Problem(
                    "is the identity of a shipped row",
                    file=f"{name}.csv",
                    row=number,
                    column=column,
                    value=getattr(row, column),
                    hint="give your row another identity; shipped rows cannot be replaced",
                )
    registered = registered_trials(shipped)
    for place, trial in enumerate(user.trials, 1):
        for registry_id in _numbers(trial.registry_id):
            if registry_id in registered:
                yield Problem(
                    f"is the registry number of the shipped trial {registered[registry_id]}",
                    file="trials.csv",
                    row=place,
                    column="registry_id",
                    value=registry_id,
                    hint="its patients would count twice; leave one of the two out",
                )


def _in_own_table(problem: Problem, shipped: Evidence) -> Problem:
    """Count the rows of a problem from the first of the user's."""
    before = len(getattr(shipped, (problem.file or "").removesuffix(".csv")))
    return replace(problem, row=(problem.row or 0) - before)


def registered_trials(evidence: Evidence) -> dict[str, str]:
    """Return the trial behind each registry number that a trial or its reference gives."""
    numbers = {row.reference_id: row.registry_id for row in evidence.references}
    return {
        number: trial.trial_id
        for trial in evidence.trials
        for given in (trial.registry_id, numbers[trial.reference_id])
        for number in _numbers(given)
    }


def _numbers(text: str | None) -> list[str]:
    return [
        number.upper() for number in (text or "").replace(",", ";").replace(" ", ";").split(";") if number
    ]
