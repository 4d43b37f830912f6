"""From the equations to straight-line source for the compiled solver.

The right-hand side is traced once with SymPy symbols; its Jacobian and the derivative along the inputs follow by
differentiation, the sparse LU factorisation is unrolled symbolically with the elimination order of least fill, and
common subexpressions are shared. Quantities shared by the patients of a group come first in every product, so that
the compiler computes them once and not for every patient. SymPy is needed to write the source, never to run it.
"""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace

import sympy as sp

from stemtrial.mechanism.equations import Model
from stemtrial.mechanism.rosenbrock import Method

HEADER = '''"""Written by ``python -m stemtrial.mechanism.codegen``; do not edit: change the equations instead."""

# ruff: noqa
from stemtrial.compiled import empty_like_kind, inline, jit, wide_vectors

'''


class Emitter:
    """Turns expressions into three-address code, each value computed once."""

    def __init__(self, shared: Iterable[sp.Symbol]) -> None:
        self.lines: list[str] = []
        self.constants: dict[float, str] = {}
        self._names: dict[object, str] = {}
        self._shared = {str(s) for s in shared}

    def constant(self, value: float) -> str:
        """Name of a numeric constant; typed at run time, so that single precision stays single."""
        return self.constants.setdefault(float(value), f"c{len(self.constants)}")

    def assign(self, code: str, *, shared: bool) -> str:
        """Name of the value of ``code``."""
        if code not in self._names:
            name = f"t{len(self._names)}"
            self._names[code] = name
            if shared:
                self._shared.add(name)
            self.lines.append(f"{name} = {code}")
        return self._names[code]

    def _is_shared(self, *names: str) -> bool:
        return all(n in self._shared or n in self.constants.values() for n in names)

    def _binary(self, op: str, a: str, b: str) -> str:
        return self.assign(f"{a} {op} {b}", shared=self._is_shared(a, b))

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
            base = self._binary("/", self.constant(1.0), base)
        result, power, n = "", base, abs(exponent)
        while n:
            if n & 1:
                result = power if not result else self._binary("*", result, power)
            n >>= 1
            if n:
                power = self._binary("*", power, power)
        return result

    def _ordered(self, terms: Iterable[sp.Expr]) -> list[str]:
        names = [self.emit(t) for t in terms]
        return sorted(names, key=lambda n: (not self._is_shared(n), n))

    def _product(self, e: sp.Expr) -> str:
        coefficient, rest = e.as_coeff_Mul()
        names = self._ordered(sp.Mul.make_args(rest))
        magnitude = abs(float(coefficient))
        if magnitude != 1:
            names.insert(0, self.constant(magnitude))
        result = names[0]
        for n in names[1:]:
            result = self._binary("*", result, n)
        return self.assign(f"-{result}", shared=self._is_shared(result)) if coefficient < 0 else result

    def _sum(self, e: sp.Expr) -> str:
        positive: list[sp.Expr] = []
        negative: list[sp.Expr] = []
        for term in sp.Add.make_args(e):
            coefficient = term.as_coeff_Mul()[0]
            (negative if coefficient < 0 else positive).append(-term if coefficient < 0 else term)
        plus, minus = self._ordered(positive), self._ordered(negative)
        result = plus.pop(0) if plus else self.assign(f"-{minus[0]}", shared=self._is_shared(minus.pop(0)))
        for n in plus:
            result = self._binary("+", result, n)
        for n in minus:
            result = self._binary("-", result, n)
        return result


def _symbols(prefix: str, names: Sequence[str]) -> list[sp.Symbol]:
    return [sp.Symbol(f"{prefix}_{n}") for n in names]


def _elimination_order(pattern: set[tuple[int, int]], n: int) -> list[int]:
    left, order = set(range(n)), []
    entries = set(pattern)

    def fill(k: int) -> int:
        rows = [i for i in left if i != k and (i, k) in entries]
        columns = [j for j in left if j != k and (k, j) in entries]
        return len(rows) * len(columns)

    while left:
        k = min(sorted(left), key=fill)
        left.discard(k)
        order.append(k)
        rows = [i for i in left if (i, k) in entries]
        columns = [j for j in left if (k, j) in entries]
        entries |= {(i, j) for i in rows for j in columns}
    return order


class _Linear:
    """Sparse LU of ``I/(h gamma) - J`` written out; reciprocals of the pivots are kept."""

    def __init__(self, out: Emitter, jacobian: dict[tuple[int, int], str], shift: str, n: int) -> None:
        self._out, self._n = out, n
        w: dict[tuple[int, int], str] = {
            k: out.assign(f"-{v}", shared=out._is_shared(v)) for k, v in jacobian.items()
        }
        for i in range(n):
            w[i, i] = out._binary("-", shift, jacobian[i, i]) if (i, i) in jacobian else shift
        self.order = _elimination_order(set(w), n)
        done: list[int] = []
        self.pivots: dict[int, str] = {}
        one = out.constant(1.0)
        for k in self.order:
            self.pivots[k] = out._binary("/", one, w[k, k])
            done.append(k)
            rows = [i for i in range(n) if i not in done and (i, k) in w]
            columns = [j for j in range(n) if j not in done and (k, j) in w]
            for i in rows:
                w[i, k] = out._binary("*", w[i, k], self.pivots[k])
                for j in columns:
                    product = out._binary("*", w[i, k], w[k, j])
                    w[i, j] = (
                        out._binary("-", w[i, j], product)
                        if (i, j) in w
                        else out.assign(f"-{product}", shared=out._is_shared(product))
                    )
        self.entries = w

    def solve(self, right: list[str]) -> list[str]:
        out, w, b = self._out, self.entries, list(right)
        done: set[int] = set()
        for k in self.order:
            done.add(k)
            for i in range(self._n):
                if i not in done and (i, k) in w:
                    b[i] = out._binary("-", b[i], out._binary("*", w[i, k], b[k]))
        later: set[int] = set()
        for k in reversed(self.order):
            for j in later:
                if (k, j) in w:
                    b[k] = out._binary("-", b[k], out._binary("*", w[k, j], b[j]))
            b[k] = out._binary("*", b[k], self.pivots[k])
            later.add(k)
        return b


def _combine(out: Emitter, base: str, terms: Iterable[tuple[str, str]]) -> str:
    for coefficient, value in terms:
        base = out._binary("+", base, out._binary("*", coefficient, value))
    return base


def step_lines(model: Model, method: Method) -> tuple[list[str], list[str], list[str], dict[float, str]]:
    """Straight-line code of one step of a Rosenbrock method.

    Returns
    -------
    lines, arguments, results, constants
        Code; names it reads (``h``, states ``x_*``, constants ``p_*``, inputs at the stage times ``u0_*``, ``u1_*`` ...
        and their derivative at the start ``du_*``); names of the new states; numeric constants by value.
    """
    x = _symbols("x", model.states)
    q, p = _symbols("p", model.patient), _symbols("p", model.shared)
    u, du = _symbols("u0", model.inputs), _symbols("du", model.inputs)
    names = dict(zip(model.patient + model.shared, q + p, strict=True))

    def rhs(states: Sequence[sp.Expr], inputs: Sequence[sp.Expr]) -> list[sp.Expr]:
        values = model.rates(
            SimpleNamespace(**dict(zip(model.states, states, strict=True))),
            SimpleNamespace(**names),
            SimpleNamespace(**dict(zip(model.inputs, inputs, strict=True))),
        )
        return [sp.sympify(v) for v in values]

    f = rhs(x, u)
    jacobian = {(i, j): d for i, fi in enumerate(f) for j, xj in enumerate(x) if (d := sp.diff(fi, xj)) != 0}
    drift = [sum((sp.diff(fi, uk) * duk for uk, duk in zip(u, du, strict=True)), sp.Integer(0)) for fi in f]

    stage_inputs = [_symbols(f"u{k}", model.inputs) for k in range(len(method.times))]
    shared = [sp.Symbol("h"), *p, *du, *(s for stage in stage_inputs for s in stage)]
    out = Emitter(shared)
    flat = [*f, *jacobian.values(), *drift]
    replaced, reduced = sp.cse(flat, symbols=sp.numbered_symbols("s"), order="none")
    for symbol, expression in replaced:
        out._names[symbol] = out.emit(expression)
    value = {e: out.emit(r) for e, r in zip(flat, reduced, strict=True)}

    n = len(x)
    inverse = out._binary("/", out.constant(1.0), "h")
    shift = out._binary("*", out.constant(1 / method.gamma), inverse)
    linear = _Linear(out, {k: value[e] for k, e in jacobian.items()}, shift, n)
    fx = [value[e] for e in f]
    k: list[list[str]] = []
    current = fx
    for s in range(method.stages):
        if s and method.evaluate[s]:
            point = [
                _combine(out, str(x[i]), [(out.constant(a), k[j][i]) for j, a in enumerate(method.a[s]) if a])
                for i in range(n)
            ]
            states = [sp.Symbol(name) for name in point]
            current = [out.emit(e) for e in rhs(states, stage_inputs[method.time_index[s]])]
        right = list(current)
        for j, c in enumerate(method.c[s]):
            if c:
                factor = out._binary("*", out.constant(c), inverse)
                right = [_combine(out, right[i], [(factor, k[j][i])]) for i in range(n)]
        if method.g[s]:
            factor = out._binary("*", out.constant(method.g[s]), "h")
            right = [
                right[i] if drift[i] == 0 else _combine(out, right[i], [(factor, value[drift[i]])])
                for i in range(n)
            ]
        k.append(linear.solve(right))
    results = [
        _combine(out, str(x[i]), [(out.constant(m), k[j][i]) for j, m in enumerate(method.m) if m])
        for i in range(n)
    ]
    arguments = [
        "h",
        *map(str, [*x, *q, *p]),
        *(str(s) for stage in stage_inputs for s in stage),
        *map(str, du),
    ]
    return out.lines, arguments, results, out.constants


def _live(lines: list[str], results: Iterable[str]) -> list[str]:
    wanted, kept = set(results), []
    for line in reversed(lines):
        name, code = line.split(" = ")
        if name in wanted:
            kept.append(line)
            wanted.update(token for token in code.replace("-", " ").split())
    return kept[::-1]


def _derivative(model: Model) -> str:
    """Source of the derivatives of one patient's states, for an adaptive integration in double precision."""
    x, u = _symbols("x", model.states), _symbols("u", model.inputs)
    q, p = _symbols("p", model.patient), _symbols("p", model.shared)
    values = model.rates(
        SimpleNamespace(**dict(zip(model.states, x, strict=True))),
        SimpleNamespace(**dict(zip(model.patient + model.shared, q + p, strict=True))),
        SimpleNamespace(**dict(zip(model.inputs, u, strict=True))),
    )
    replaced, reduced = sp.cse([sp.sympify(v) for v in values], symbols=sp.numbered_symbols("t"))
    text = "\n\n@jit\ndef derivative(x, q, p, u, out):\n"
    text += (
        '    """Write the derivatives of the states of one patient into ``out``; arguments are vectors."""\n'
    )
    for name, symbols in (("x", x), ("q", q), ("p", p), ("u", u)):
        text += "".join(f"    {symbol} = {name}[{i}]\n" for i, symbol in enumerate(symbols))
    text += "".join(f"    {symbol} = {sp.pycode(e)}\n" for symbol, e in replaced)
    return text + "".join(f"    out[{i}] = {sp.pycode(e)}\n" for i, e in enumerate(reduced))


def source(model: Model, method: Method, lanes: int) -> str:
    """Python source of a module with ``step``, ``advance`` (groups of patients) and ``derivative`` (one patient).

    Parameters
    ----------
    model, method
        Equations and Rosenbrock method.
    lanes
        Patients advanced together; a multiple of the widest vector unit's width.
    """
    lines, arguments, results, constants = step_lines(model, method)
    lines = _live(lines, results)
    n, n_q, n_p, n_u = len(model.states), len(model.patient), len(model.shared), len(model.inputs)
    times = len(method.times)
    c_names = list(constants.values())
    call = [
        "h",
        *(f"x[{i}, l]" for i in range(n)),
        *(f"q[{i}, l]" for i in range(n_q)),
        *(f"p{i}" for i in range(n_p)),
        *(f"w{k}_{i}" for k in range(times) for i in range(n_u)),
        *(f"d_{i}" for i in range(n_u)),
        *c_names,
    ]

    def block(rows: Iterable[str], indent: int) -> str:
        return "".join(" " * indent + row + "\n" for row in rows)

    text = HEADER
    text += f"MODEL = {model.name!r}\nSTATES = {model.states!r}\nPATIENT = {model.patient!r}\n"
    text += f"SHARED = {model.shared!r}\nINPUTS = {model.inputs!r}\nMETHOD = {method.name!r}\n"
    text += f"STAGE_TIMES = {method.times!r}\nLANES = {lanes}\nCONSTANTS = {tuple(constants)!r}\n\n\n"
    text += f"@inline\ndef step({', '.join([*arguments, *c_names])}):\n" + block(lines, 4)
    text += f"    return ({', '.join(results)},)\n\n\n"
    text += "@jit\ndef advance(states, patient, shared, h_steps, u_steps, constants):\n"
    text += '    """Advance every patient of every group through the steps of the grid, in place.\n\n'
    text += "    states (states, groups, patients); patient (constants, groups, patients);\n"
    text += "    shared (groups, constants);\n"
    text += (
        "    h_steps (steps,); u_steps (groups, steps, stage times + 1, inputs); constants as CONSTANTS.\n"
    )
    text += '    """\n    wide_vectors()\n'
    text += block((f"{c} = constants[{i}]" for i, c in enumerate(c_names)), 4)
    text += f"    x = empty_like_kind(states, {n}, {lanes})\n    q = empty_like_kind(states, {max(n_q, 1)}, {lanes})\n"
    text += "    groups = states.shape[1]\n    patients = states.shape[2]\n"
    text += "    for g in range(groups):\n"
    text += block((f"p{i} = shared[g, {i}]" for i in range(n_p)), 8)
    text += f"        for first in range(0, patients, {lanes}):\n"
    text += f"            for l in range({lanes}):\n                i = min(first + l, patients - 1)\n"
    text += block((f"x[{i}, l] = states[{i}, g, i]" for i in range(n)), 16)
    text += block((f"q[{i}, l] = patient[{i}, g, i]" for i in range(n_q)), 16)
    text += "            for k in range(h_steps.shape[0]):\n                h = h_steps[k]\n"
    text += block((f"w{s}_{i} = u_steps[g, k, {s}, {i}]" for s in range(times) for i in range(n_u)), 16)
    text += block((f"d_{i} = u_steps[g, k, {times}, {i}]" for i in range(n_u)), 16)
    text += f"                for l in range({lanes}):\n"
    text += f"                    y = step({', '.join(call)})\n"
    text += block((f"x[{i}, l] = y[{i}]" for i in range(n)), 20)
    text += f"            for l in range(min({lanes}, patients - first)):\n"
    text += block((f"states[{i}, g, first + l] = x[{i}, l]" for i in range(n)), 16)
    return text + _derivative(model)


def _write() -> None:
    from pathlib import Path

    from stemtrial.mechanism.equations import JOINT
    from stemtrial.mechanism.rosenbrock import DEFAULT

    Path(__file__).with_name("_generated.py").write_text(source(JOINT, DEFAULT, lanes=32), encoding="utf-8")


if __name__ == "__main__":
    _write()
