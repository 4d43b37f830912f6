"""The language of eligibility rules: parsed, never executed, and evaluated in three-valued logic.

A rule is a word for what it does and a condition on named quantities of a person::

    rule       = ("include_if" | "exclude_if" | "flag_if") either
    either     = both {"or" both}
    both       = denial {"and" denial}
    denial     = "not" denial | comparison
    comparison = product {("<" | "<=" | ">" | ">=" | "==") product} | product "in" "{" number {"," number} "}"
    product    = atom {"*" atom}
    atom       = number | name | "(" either ")"

Comparisons may be chained (``35 <= vas_mm <= 90``). What is not known is unknown, and stays so unless the rest decides:
``false and unknown`` is false, ``true or unknown`` is true (Kleene's strong logic of indeterminacy).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Literal

from stemtrial.candidate.conditions import (
    RELATIONS,
    Comparison,
    Condition,
    Junction,
    Kind,
    Lookup,
    Member,
    Name,
    Not,
    Number,
    Product,
    against,
    kinds,
)
from stemtrial.errors import InputError, Problem

Effect = Literal["include_if", "exclude_if", "flag_if"]

LONGEST = 400
DEEPEST = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)(?![\w.])|(?P<word>[a-z_][a-z0-9_]*)|(?P<sign><=|>=|==|[<>(){},*]))"
)
_RESERVED = {"and", "or", "not", "in", "include_if", "exclude_if", "flag_if"}


class State(StrEnum):
    """What a rule says of a person."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judgement:
    """State of a rule for one person, and the unknown names that would decide it."""

    state: State
    open: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """A parsed rule.

    Parameters
    ----------
    text
        As written.
    effect
        ``include_if`` and ``exclude_if`` are met or not met; ``flag_if`` marks and never excludes.
    condition
        Tree of the condition.

    Examples
    --------
    >>> rule = parse("exclude_if bmi > 35 or hba1c > 8.5")
    >>> rule.judge({"bmi": 31.0, "hba1c": 9.1}.get).state
    <State.NOT_MET: 'not met'>
    >>> rule.judge({"bmi": 31.0}.get)
    Judgement(state=<State.UNKNOWN: 'unknown'>, open=frozenset({'hba1c'}))
    """

    text: str
    effect: Effect
    condition: Condition

    def judge(self, lookup: Lookup) -> Judgement:
        """Return the state for a person; ``lookup`` gives the value of a name, or ``None`` for unknown."""
        found = self.condition.find(lookup)
        if found.value is None:
            return Judgement(State.UNKNOWN, found.open)
        kept = found.value if self.effect == "include_if" else not found.value
        return Judgement(State.MET if kept else State.NOT_MET)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What every name of the rule stands for, in the order of writing: a truth value or a number."""
        return dict(kinds(self.condition, "truth"))

    def against(self, lookup: Lookup) -> tuple[tuple[str, float | None], ...]:
        """Return what a rule that is not met fails on: names, each with the number it is compared with, if any.

        Examples
        --------
        >>> parse("include_if 20 <= bmi <= 30 and age > 18").against({"bmi": 33.2, "age": 60}.get)
        (('bmi', 30.0),)
        """
        if self.judge(lookup).state is not State.NOT_MET:
            return ()
        return tuple(against(self.condition, self.effect == "include_if", lookup))


@cache
def parse(text: str) -> Rule:
    """Read a rule.

    Raises
    ------
    InputError
        If the text is not a rule of the language; the message shows where reading stopped.

    Examples
    --------
    >>> parse("include_if 18 < age < 65").kinds
    {'age': 'number'}
    >>> parse("include_if __import__('os')")
    Traceback (most recent call last):
    stemtrial.errors.InputError: rule = include_if __import__('os') has an unknown sign at "'os')"; allowed: ...
    """
    return _Parser(text).rule()


class _Parser:
    """Recursive descent over the tokens of one rule."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise self.fault(f"is longer than {LONGEST} characters")
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.depth = 0
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                raise self.fault(f'has an unknown sign at "{text[position:].strip()}"')
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind], found.start(kind)))
            position = found.end()

    def fault(self, what: str) -> InputError:
        allowed = "comparisons, `in {…}`, and, or, not, names, numbers, *, brackets"
        return InputError(Problem(what, field="rule", value=self.text[:80], allowed=allowed))

    def stop(self, wanted: str) -> InputError:
        where = f'at "{self.text[self.tokens[self.at][2] :]}"' if self.at < len(self.tokens) else "at its end"
        return self.fault(f"lacks {wanted} {where}")

    def next(self, *words: str) -> str | None:
        """Take the next token if it is one of these words or signs."""
        if self.at < len(self.tokens):
            kind, text, _ = self.tokens[self.at]
            if kind != "number" and text in words:
                self.at += 1
                return text
        return None

    def take(self, kind: str) -> str | None:
        """Take the next token if it is of this kind, and not a reserved word."""
        if self.at < len(self.tokens):
            found, text, _ = self.tokens[self.at]
            if found == kind and text not in _RESERVED:
                self.at += 1
                return text
        return None

    def rule(self) -> Rule:
        effect: Effect
        match self.next("include_if", "exclude_if", "flag_if"):
            case "include_if":
                effect = "include_if"
            case "exclude_if":
                effect = "exclude_if"
            case "flag_if":
                effect = "flag_if"
            case _:
                raise self.stop("include_if, exclude_if or flag_if")
        condition = self.either()
        if self.at < len(self.tokens):
            raise self.stop("its end")
        self.require(condition, "truth")
        rule = Rule(self.text, effect, condition)
        uses = set(kinds(condition, "truth"))
        if twice := [name for name, kind in uses if kind == "truth" and (name, "number") in uses]:
            raise self.fault(f"uses `{twice[0]}` both as a number and as true or false")
        return rule

    def require(self, condition: Condition, kind: Kind) -> Condition:
        is_number = isinstance(condition, Number | Product)
        is_truth = isinstance(condition, Comparison | Member | Not | Junction)
        if (kind == "truth" and is_number) or (kind == "number" and is_truth):
            raise self.fault(f"has a {'number' if is_number else 'condition'} where a {kind} is needed")
        return condition

    def either(self) -> Condition:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fault("is nested too deep")
        parts = [self.both()]
        while self.next("or"):
            parts.append(self.both())
        self.depth -= 1
        return self.joined(parts, by=True)

    def both(self) -> Condition:
        parts = [self.denial()]
        while self.next("and"):
            parts.append(self.denial())
        return self.joined(parts, by=False)

    def joined(self, parts: list[Condition], by: bool) -> Condition:
        if len(parts) == 1:
            return parts[0]
        return Junction(tuple(self.require(part, "truth") for part in parts), by)

    def denial(self) -> Condition:
        denied = False
        while self.next("not"):
            denied = not denied
            if not denied:
                raise self.fault("denies twice")
        return Not(self.require(self.comparison(), "truth")) if denied else self.comparison()

    def comparison(self) -> Condition:
        terms = [self.product()]
        if self.next("in"):
            self.require(terms[0], "number")
            return Member(terms[0], self.values())
        signs = []
        while sign := self.next(*RELATIONS):
            signs.append(sign)
            terms.append(self.product())
        if not signs:
            return terms[0]
        return Comparison(tuple(self.require(term, "number") for term in terms), tuple(signs))

    def values(self) -> tuple[float, ...]:
        if not self.next("{"):
            raise self.stop("{")
        found = []
        while True:
            number = self.take("number")
            if number is None:
                raise self.stop("a number")
            found.append(float(number))
            if self.next("}"):
                return tuple(found)
            if not self.next(","):
                raise self.stop("a comma or }")

    def product(self) -> Condition:
        term = self.atom()
        while self.next("*"):
            term = Product(self.require(term, "number"), self.require(self.atom(), "number"))
        return term

    def atom(self) -> Condition:
        if (number := self.take("number")) is not None:
            return Number(float(number))
        if (name := self.take("word")) is not None:
            return Name(name)
        if self.next("("):
            inner = self.either()
            if not self.next(")"):
                raise self.stop(")")
            return inner
        raise self.stop("a name, a number or a bracket")
