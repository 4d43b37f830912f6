"""Errors that say where, what and what to do next.

Every failure a user can cause or meet is a :class:`StemtrialError`. The command line prints the message
alone, without a traceback, and ends with the error's ``exit_code``.
"""

from dataclasses import dataclass


class StemtrialError(Exception):
    """Base of every error raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One fault in a user's input.

    Parameters
    ----------
    what
        What is wrong, in one clause.
    file, line, row, column
        Where it stands: the file, the line of a document, or the row (1 = first data row) and column of a table.
    field
        Dotted path of the field, such as ``arms.cells.n``.
    value
        The offending value as written.
    allowed
        The allowed range or vocabulary.
    hint
        The next step.

    Examples
    --------
    >>> print(Problem("is below the smallest allowed value", file="trial.yaml", line=12, field="arms.cells.n",
    ...               value=0, allowed="1 to 100000"))
    trial.yaml, line 12: arms.cells.n = 0 is below the smallest allowed value; allowed: 1 to 100000
    """

    what: str
    file: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None
    field: str | None = None
    value: object = None
    allowed: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.line is not None:
            place.append(f"line {self.line}")
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {self.column}")
        value = None if self.value is None else f"= {self.value}" if self.field else str(self.value)
        subject = " ".join(part for part in (self.field, value) if part)
        text = f"{subject} {self.what}" if subject else self.what
        tail = [f"allowed: {self.allowed}"] if self.allowed else []
        if self.hint:
            tail.append(self.hint)
        return "; ".join([(", ".join(place) + ": " if place else "") + text, *tail])


class InputError(StemtrialError):
    """A user's file, option or argument cannot be used; holds every problem found, not only the first."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("an InputError needs at least one problem")
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class NotCredibleError(StemtrialError):
    """A computation ended without a result that can be trusted: not converged, or its checks failed."""

    exit_code = 3


class NumericalError(NotCredibleError):
    """A computation left the range in which its accuracy was shown, or produced a number that is not finite."""


class WorkerError(StemtrialError):
    """A part of a long computation failed; what was finished is kept."""


class Interrupted(StemtrialError):
    """The user stopped a long computation; what was finished is kept and the same command resumes it."""

    exit_code = 130
