"""Conditions on named quantities of a person, evaluated in Kleene's three-valued logic."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

Value = bool | float | None
"""A truth value, a number, or unknown."""
Lookup = Callable[[str], Value]
Kind = Literal["truth", "number"]

RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


class AtMost(float):
    """A time of which only an upper bound is known: something happened then, and more may have happened since."""


def _holds(sign: str, left: float, right: float) -> bool | None:
    """Compare, where either number may be an upper bound of something that is not negative.

    Examples
    --------
    >>> _holds("<", AtMost(2), 3), _holds("<", AtMost(4), 3)
    (True, None)
    """
    if not isinstance(left, AtMost) and not isinstance(right, AtMost):
        return RELATIONS[sign](left, right)
    if sign == "==":
        return None
    ends = [(0.0, float(x)) if isinstance(x, AtMost) else (x, x) for x in (left, right)]
    found = {RELATIONS[sign](a, b) for a in ends[0] for b in ends[1]}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class Finding:
    """Value of a condition, and the unknown names on which it still hangs."""

    value: Value
    open: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Number:
    """A number as written."""

    value: float

    def find(self, lookup: Lookup) -> Finding:
        """Return the number."""
        return Finding(self.value)


@dataclass(frozen=True)
class Name:
    """A named quantity of the person."""

    name: str

    def find(self, lookup: Lookup) -> Finding:
        """Return what is known of it."""
        value = lookup(self.name)
        known = value is not None and not isinstance(value, AtMost)
        return Finding(value, frozenset() if known else frozenset({self.name}))


@dataclass(frozen=True)
class Product:
    """Two numbers multiplied."""

    left: "Condition"
    right: "Condition"

    def find(self, lookup: Lookup) -> Finding:
        """Multiply; unknown if either is."""
        left, right = self.left.find(lookup), self.right.find(lookup)
        open_ = left.open | right.open
        if left.value is None or right.value is None or open_:
            return Finding(None, open_)
        return Finding(left.value * right.value)


@dataclass(frozen=True)
class Comparison:
    """Numbers compared, each with the next."""

    terms: "tuple[Condition, ...]"
    signs: tuple[str, ...]

    def find(self, lookup: Lookup) -> Finding:
        """Compare every neighbouring pair; all must hold."""
        found = [term.find(lookup) for term in self.terms]
        links = []
        for sign, (left, right) in zip(self.signs, pairwise(found), strict=True):
            both = (
                None if left.value is None or right.value is None else _holds(sign, left.value, right.value)
            )
            links.append(Finding(both, left.open | right.open if both is None else frozenset()))
        return _decided(links, by=False)


@dataclass(frozen=True)
class Member:
    """A number that must be one of several."""

    term: "Condition"
    values: tuple[float, ...]

    def find(self, lookup: Lookup) -> Finding:
        """Look the number up among the values."""
        found = self.term.find(lookup)
        return Finding(None, found.open) if found.open else Finding(found.value in self.values)


@dataclass(frozen=True)
class Not:
    """A condition denied."""

    part: "Condition"

    def find(self, lookup: Lookup) -> Finding:
        """Deny; unknown stays unknown."""
        found = self.part.find(lookup)
        return found if found.value is None else Finding(not found.value)


@dataclass(frozen=True)
class Junction:
    """Conditions joined by *and* (``by`` false: one false decides) or *or* (``by`` true: one true decides)."""

    parts: "tuple[Condition, ...]"
    by: bool

    def find(self, lookup: Lookup) -> Finding:
        """Return the deciding value if any part has it, unknown if any part is, else the other value."""
        return _decided([part.find(lookup) for part in self.parts], by=self.by)


Condition = Number | Name | Product | Comparison | Member | Not | Junction


def _decided(parts: list[Finding], by: bool) -> Finding:
    if any(part.value is by for part in parts):
        return Finding(by)
    unknown = [part.open for part in parts if part.value is None]
    return Finding(None, frozenset().union(*unknown)) if unknown else Finding(not by)


def kinds(condition: Condition, wanted: Kind) -> Iterator[tuple[str, Kind]]:
    """Yield every name of a condition with what it stands for; ``wanted`` is what the condition itself is to be."""
    match condition:
        case Name(name):
            yield name, wanted
        case Product(left, right):
            for part in (left, right):
                yield from kinds(part, "number")
        case Comparison(terms, _):
            for part in terms:
                yield from kinds(part, "number")
        case Member(term, _):
            yield from kinds(term, "number")
        case Not(part):
            yield from kinds(part, "truth")
        case Junction(parts, _):
            for part in parts:
                yield from kinds(part, "truth")
        case _:
            pass


def against(condition: Condition, wanted: bool, lookup: Lookup) -> Iterator[tuple[str, float | None]]:
    """Yield the atoms that give a condition the value which is not wanted."""
    match condition:
        case Name(name):
            yield name, None
        case Member(term, values):
            number = term.find(lookup).value or 0.0
            nearest = min(values, key=lambda value: abs(value - number))
            yield from ((name, nearest) for name, _ in kinds(term, "number"))
        case Not(part):
            yield from against(part, not wanted, lookup)
        case Junction(parts, _):
            for part in parts:
                if part.find(lookup).value is (not wanted):
                    yield from against(part, wanted, lookup)
        case Comparison(terms, signs):
            for sign, pair in zip(signs, pairwise(terms), strict=True):
                if Comparison(pair, (sign,)).find(lookup).value is (not wanted):
                    names = [name for term in pair for name, _ in kinds(term, "number")]
                    limits = [term.value for term in pair if isinstance(term, Number)]
                    yield names[0] if names else "", limits[0] if limits else None
        case _:
            pass
