"""The base of every model that is read from a document, and the way its own checks report faults."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

K = TypeVar("K")
V = TypeVar("V")


class Record(BaseModel):
    """Frozen data, validated at creation: no unknown fields, no silent conversion, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FrozenDict(dict[K, V], Generic[K, V]):
    """A mapping that keeps its order, cannot be changed, and can be hashed and pickled.

    Examples
    --------
    >>> shares = FrozenDict({2: 0.45, 3: 0.55})
    >>> shares[2]
    0.45
    >>> shares[2] = 1.0
    Traceback (most recent call last):
    TypeError: this mapping is frozen
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this mapping is frozen")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


@dataclass(frozen=True)
class Fault:
    """One fault found by a model's own check.

    Parameters
    ----------
    what
        What is wrong, in one clause that follows the field and its value.
    at
        Path of the faulty field below the model (or field) whose check found it.
    allowed, hint
        As in :class:`stemtrial.errors.Problem`.
    """

    what: str
    at: tuple[str | int, ...] = ()
    allowed: str | None = None
    hint: str | None = None


def nearest(word: object, words: Iterable[str]) -> str | None:
    """Return the entry of a vocabulary that was probably meant, if any.

    Examples
    --------
    >>> nearest("salin", ["sham", "saline"]), nearest("dose", ["dose_million"]), nearest("VAS", ["ODI"])
    ('saline', 'dose_million', None)
    """
    from difflib import get_close_matches

    plain = {entry.lower(): entry for entry in words}
    written = str(word).lower()
    longer = [entry for entry in plain if len(written) > 2 and entry.startswith(written)]
    found = [written] if written in plain else longer or get_close_matches(written, plain, n=1)
    return plain[found[0]] if found else None


def faulty(faults: Iterable[Fault]) -> PydanticCustomError:
    """Return the exception a validator raises to report these faults, all at once."""
    found = tuple(faults)
    text = "; ".join(
        " ".join([*(str(part) for part in fault.at), fault.what])
        + "".join(
            f" ({label}{tail})" for label, tail in (("allowed: ", fault.allowed), ("", fault.hint)) if tail
        )
        for fault in found
    )
    return PydanticCustomError("faults", "{text}", {"text": text, "faults": found})


def reject(faults: Iterable[Fault]) -> None:
    """Raise if a validator found any fault; do nothing otherwise."""
    if found := tuple(faults):
        raise faulty(found)
