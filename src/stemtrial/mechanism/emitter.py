"""Three-address code from expressions, arranged so that the innermost loop is left with as little as possible.

Every value is computed once. In products and sums, what all patients of a group share is combined first, then what
belongs to a patient and does not change, then what the step brings, and last what depends on the patient's state: the
generated solver computes each part in the outermost loop that it can (:mod:`stemtrial.mechanism.codegen`).
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

import sympy as sp

STEP, OWN, STATE = 1, 2, 4
"""What a value depends on, as bits: the step (its length and inputs), the patient, the patient's state."""


class Emitter:
    """Turns expressions into lines ``name = a op b`` or ``name = -a``.

    Parameters
    ----------
    depends
        What each name depends on (``STEP``, ``OWN``, ``STATE``); names not listed are constants of the group.

    Examples
    --------
    >>> x, p = sp.symbols("x p")
    >>> out = Emitter({"x": STATE})
    >>> out.emit(2 * p * x), out.lines
    ('t3', ['t2 = c0 * p', 't3 = t2 * x'])
    """

    def __init__(self, depends: Mapping[str, int]) -> None:
        self.lines: list[str] = []
        self.constants: dict[float, str] = {}
        self.depends = dict(depends)
        self._names: dict[object, str] = {}

    def constant(self, value: float) -> str:
        """Name of a numeric constant; typed at run time, so that single precision stays single."""
        return self.constants.setdefault(float(value), f"c{len(self.constants)}")

    def let(self, symbol: sp.Symbol, name: str) -> None:
        """Make a symbol stand for a value."""
        self._names[symbol] = name

    def kind(self, name: str) -> int:
        """Return what a value depends on, as bits."""
        return self.depends.get(name, 0)

    def is_shared(self, name: str) -> bool:
        """Whether the value is the same for all patients of a group."""
        return self.kind(name) <= STEP

    def _assign(self, code: str, *operands: str) -> str:
        if code not in self._names:
            name = f"t{len(self._names)}"
            self._names[code] = name
            self.depends[name] = reduce(or_, map(self.kind, operands))
            self.lines.append(f"{name} = {code}")
        return self._names[code]

    def binary(self, op: str, a: str, b: str) -> str:
        """Name of ``a op b``."""
        return self._assign(f"{a} {op} {b}", a, b)

    def negative(self, a: str) -> str:
        """Name of ``-a``."""
        return self._assign(f"-{a}", a)

    def combine(self, base: str, terms: Iterable[tuple[str, str]]) -> str:
        """Name of ``base`` plus the products of the terms."""
        for coefficient, value in terms:
            base = self.binary("+", base, self.binary("*", coefficient, value))
        return base

    def emit(self, e: sp.Expr) -> str:
        """Name that holds the value of an expression."""
        if e in self._names:
            return self._names[e]
        if e.is_Number:
            name = self.constant(float(e))
        elif e.is_Symbol:
            name = str(e)
        elif e.is_Pow:
            name = self._power(e)
        elif e.is_Mul:
            name = self._product(e)
        elif e.is_Add:
            name = self._sum(e)
        else:
            raise TypeError(f"the equations may use + - * / and integer powers only, not {e.func.__name__}")
        self._names[e] = name
        return name

    def _power(self, e: sp.Expr) -> str:
        base, exponent = self.emit(e.base), int(e.exp)
        if exponent < 0:
            base = self.binary("/", self.constant(1.0), base)
        result, power, n = "", base, abs(exponent)
        while n:
            if n & 1:
                result = power if not result else self.binary("*", result, power)
            n >>= 1
            if n:
                power = self.binary("*", power, power)
        return result

    def _parts(self, names: Iterable[str]) -> list[list[str]]:
        """Operands grouped by the loop in which they can be combined, outermost first."""
        found = sorted(names, key=lambda n: (self.kind(n), n))
        still = [n for n in found if self.kind(n) in (0, OWN)]
        step = [n for n in found if self.kind(n) == STEP]
        if all(self.is_shared(n) for n in still):
            still, step = still + step, []
        rest = [n for n in found if self.kind(n) not in (0, OWN, STEP)]
        return [part for part in (still, step, rest[:1], *([n] for n in rest[1:])) if part]

    def _product(self, e: sp.Expr) -> str:
        coefficient, rest = e.as_coeff_Mul()
        names = [self.emit(t) for t in sp.Mul.make_args(rest)]
        magnitude = abs(float(coefficient))
        if magnitude != 1:
            names.append(self.constant(magnitude))
        parts = [reduce(lambda a, b: self.binary("*", a, b), part) for part in self._parts(names)]
        result = reduce(lambda a, b: self.binary("*", a, b), parts)
        return self.negative(result) if coefficient < 0 else result

    def _sum(self, e: sp.Expr) -> str:
        minus: dict[str, bool] = {}
        for term in sp.Add.make_args(e):
            negative = bool(term.as_coeff_Mul()[0] < 0)
            minus[self.emit(-term if negative else term)] = negative
        parts = [
            reduce(
                self._plus, ((n, minus[n]) for n in sorted(part, key=lambda n: (self.kind(n), minus[n], n)))
            )
            for part in self._parts(minus)
        ]
        name, negative = reduce(self._plus, parts)
        return self.negative(name) if negative else name

    def _plus(self, a: tuple[str, bool], b: tuple[str, bool]) -> tuple[str, bool]:
        """Sum of two values, each with whether it counts negatively."""
        if a[1] == b[1]:
            return self.binary("+", a[0], b[0]), a[1]
        return (self.binary("-", b[0], a[0]) if a[1] else self.binary("-", a[0], b[0])), False
