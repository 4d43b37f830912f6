"""From the equations to straight-line source for the compiled solver.

The right-hand side is traced once with SymPy symbols; its Jacobian and the derivative along the inputs follow by
differentiation, the sparse LU factorisation is unrolled symbolically, and common subexpressions are shared. What does
not depend on a patient's state is computed outside the innermost loop. SymPy is needed to write the source, never to
run it.
"""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace

import sympy as sp

from stemtrial.mechanism.emitter import OWN, STATE, STEP, Emitter
from stemtrial.mechanism.equations import Model
from stemtrial.mechanism.rosenbrock import Method

HEADER = '''"""Written by ``python -m stemtrial.mechanism.codegen``; do not edit: change the equations instead."""

# ruff: noqa
# fmt: off
# mypy: ignore-errors
from stemtrial.compiled import empty_like_kind, inline, jit, load, store, wide_vectors

'''


def _symbols(prefix: str, names: Sequence[str]) -> list[sp.Symbol]:
    return [sp.Symbol(f"{prefix}_{n}") for n in names]


def _divided(e: sp.Expr, variables: set[sp.Symbol]) -> sp.Expr:
    """Write ``w / (a + w)`` as ``1 - a / (a + w)``: the derivative then has one term and not two."""
    if not e.args:
        return e
    e = e.func(*(_divided(a, variables) for a in e.args))
    for factor in sp.Mul.make_args(e):
        if not (factor.is_Pow and factor.exp == -1 and factor.base.is_Add):
            continue
        below = factor.base
        for w in below.args:
            ratio = e * below / w
            denominator = sp.fraction(ratio)[1]
            if w.free_symbols & variables and not denominator.free_symbols & variables:
                return ratio * (1 - (below - w) * factor)
    return e


DIVISION = 8
"""Cost of a division, in multiplications, when the order of elimination is chosen."""


class _Linear:
    """Sparse LU of ``I/(h gamma) - J`` written out; reciprocals of the pivots are kept.

    Eliminated next is always the state that costs least: few entries to change, and a pivot without a division for
    every patient.
    """

    def __init__(self, out: Emitter, jacobian: dict[tuple[int, int], str], shift: str, n: int) -> None:
        self._out, self._n = out, n
        w = {k: out.negative(v) for k, v in jacobian.items() if k[0] != k[1]}
        for i in range(n):
            w[i, i] = out.binary("-", shift, jacobian[i, i]) if (i, i) in jacobian else shift
        left = list(range(n))

        def neighbours(k: int) -> tuple[list[int], list[int]]:
            others = [i for i in left if i != k]
            return [i for i in others if (i, k) in w], [j for j in others if (k, j) in w]

        def cost(k: int) -> int:
            rows, columns = neighbours(k)
            return len(rows) * (1 + len(columns)) + (0 if out.is_shared(w[k, k]) else DIVISION)

        self.order: list[int] = []
        self.pivots: dict[int, str] = {}
        while left:
            k = min(left, key=cost)
            rows, columns = neighbours(k)
            left.remove(k)
            self.order.append(k)
            self.pivots[k] = out.binary("/", out.constant(1.0), w[k, k])
            for i in rows:
                w[i, k] = out.binary("*", w[i, k], self.pivots[k])
                for j in columns:
                    product = out.binary("*", w[i, k], w[k, j])
                    w[i, j] = out.binary("-", w[i, j], product) if (i, j) in w else out.negative(product)
        self.entries = w

    def solve(self, right: list[str]) -> list[str]:
        """Names of the solution for a right-hand side."""
        out, w, b = self._out, self.entries, list(right)
        done: set[int] = set()
        for k in self.order:
            done.add(k)
            for i in range(self._n):
                if i not in done and (i, k) in w:
                    b[i] = out.binary("-", b[i], out.binary("*", w[i, k], b[k]))
        later: list[int] = []
        for k in reversed(self.order):
            for j in later:
                if (k, j) in w:
                    b[k] = out.binary("-", b[k], out.binary("*", w[k, j], b[j]))
            b[k] = out.binary("*", b[k], self.pivots[k])
            later.append(k)
        return b


def _step(model: Model, method: Method) -> tuple[Emitter, list[str], list[str]]:
    """One step of a Rosenbrock method: code, arguments, results."""
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
        return [_divided(sp.sympify(v), set(states)) for v in values]

    stage_inputs = [_symbols(f"u{k}", model.inputs) for k in range(len(method.times))]
    moving = [sp.Symbol("h"), *du, *(s for stage in stage_inputs for s in stage)]
    out = Emitter({str(s): kind for kind, part in ((STEP, moving), (OWN, q), (STATE, x)) for s in part})

    def emit(expressions: list[sp.Expr], prefix: str) -> list[str]:
        replaced, left = sp.cse(expressions, symbols=sp.numbered_symbols(prefix), order="none")
        for symbol, expression in replaced:
            out.let(symbol, out.emit(expression))
        return [out.emit(e) for e in left]

    n = len(x)
    f = rhs(x, u)
    jacobian = {(i, j): d for i, fi in enumerate(f) for j, xj in enumerate(x) if (d := sp.diff(fi, xj)) != 0}
    drift = [sum((sp.diff(fi, uk) * duk for uk, duk in zip(u, du, strict=True)), sp.Integer(0)) for fi in f]
    value = emit([*f, *jacobian.values(), *drift], "s")
    fx, drifting = value[:n], value[n + len(jacobian) :]
    inverse = out.binary("/", out.constant(1.0), "h")
    shift = out.binary("*", out.constant(1 / method.gamma), inverse)
    linear = _Linear(out, dict(zip(jacobian, value[n:], strict=False)), shift, n)
    k: list[list[str]] = []
    current = fx
    for s in range(method.stages):
        if s and method.evaluate[s]:
            used = [(out.constant(a), k[j]) for j, a in enumerate(method.a[s]) if a]
            point = [out.combine(str(x[i]), [(a, kj[i]) for a, kj in used]) for i in range(n)]
            current = emit(rhs([sp.Symbol(p) for p in point], stage_inputs[method.time_index[s]]), f"s{s}_")
        right = list(current)
        for j, c in enumerate(method.c[s]):
            if c:
                factor = out.binary("*", out.constant(c), inverse)
                right = [out.combine(right[i], [(factor, k[j][i])]) for i in range(n)]
        if method.g[s]:
            factor = out.binary("*", out.constant(method.g[s]), "h")
            right = [
                r if drift[i] == 0 else out.combine(r, [(factor, drifting[i])]) for i, r in enumerate(right)
            ]
        k.append(linear.solve(right))
    weights = [(out.constant(m), k[j]) for j, m in enumerate(method.m) if m]
    results = [out.combine(str(x[i]), [(m, kj[i]) for m, kj in weights]) for i in range(n)]
    arguments = ["h", *map(str, [*x, *q, *p, *(s for stage in stage_inputs for s in stage), *du])]
    return out, arguments, results


def step_lines(model: Model, method: Method) -> tuple[list[str], list[str], list[str], dict[float, str]]:
    """Straight-line code of one step of a Rosenbrock method.

    Returns
    -------
    lines, arguments, results, constants
        Code; names it reads (``h``, states ``x_*``, constants ``p_*``, inputs at the stage times ``u0_*``, ``u1_*`` ...
        and their derivative at the start ``du_*``); names of the new states; numeric constants by value.
    """
    out, arguments, results = _step(model, method)
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


def _block(rows: Iterable[str], indent: int) -> str:
    return "".join(" " * indent + row + "\n" for row in rows)


def _advance(model: Model, whole: Model, method: Method, lanes: int) -> str:
    """Source of ``advance``: every line of the step in the outermost loop in which it can be computed."""
    out, _, results = _step(model, method)
    live = _live(out.lines, results)
    at: dict[int, list[str]] = {kind: [] for kind in range(2 * STATE)}
    for line in live:
        at[out.kind(line.split(" = ")[0])].append(line)
    inner = [line for line in live if out.kind(line.split(" = ")[0]) not in (0, STEP, OWN)]
    read = {token for line in inner for token in line.split(" = ")[1].replace("-", " ").split()}
    own = [line.split(" = ")[0] for line in at[OWN] if line.split(" = ")[0] in read]
    n, n_q, times = len(model.states), len(model.patient), len(method.times)
    q_names = [f"p_{k}" for k in model.patient]
    kept = [name for name in q_names if name in read]
    x_rows = tuple(whole.states.index(k) for k in model.states)
    q_rows = tuple(whole.patient.index(k) for k in model.patient)
    text = "@jit\ndef advance(states, patient, shared, h_steps, u_steps, constants):\n"
    text += '''    """Advance every patient of every group through the steps of the grid, in place.

    states (states, groups, patients); patient (constants, groups, patients); shared (groups, constants);
    h_steps (steps,); u_steps (groups, steps, stage times + 1, inputs); constants as CONSTANTS.
    """
    wide_vectors()
'''
    text += _block((f"{c} = constants[{i}]" for i, c in enumerate(out.constants.values())), 4)
    # One array for all that a patient has: the compiler need not ask whether two of them overlap.
    text += f"    x = empty_like_kind(states, {n + n_q + len(own)}, {lanes})\n"
    text += "    groups = states.shape[1]\n    patients = states.shape[2]\n"
    text += "    for g in range(groups):\n"
    text += _block((f"p_{k} = shared[g, {whole.shared.index(k)}]" for k in model.shared), 8)
    text += _block(at[0], 8)
    text += f"        for first in range(0, patients, {lanes}):\n"
    text += f"            load(x, 0, states, {x_rows}, g, first)\n"
    text += f"            load(x, {n}, patient, {q_rows}, g, first)\n" if n_q else ""
    if own:
        text += f"            for l in range({lanes}):\n"
        text += _block((f"{name} = x[{n + i}, l]" for i, name in enumerate(q_names)), 16)
        text += _block(at[OWN], 16)
        text += _block((f"x[{n + n_q + i}, l] = {name}" for i, name in enumerate(own)), 16)
    text += "            for k in range(h_steps.shape[0]):\n                h = h_steps[k]\n"
    columns = [whole.inputs.index(k) for k in model.inputs]
    text += _block(
        (
            f"u{s}_{k} = u_steps[g, k, {s}, {i}]"
            for s in range(times)
            for k, i in zip(model.inputs, columns, strict=True)
        ),
        16,
    )
    text += _block(
        (f"du_{k} = u_steps[g, k, {times}, {i}]" for k, i in zip(model.inputs, columns, strict=True)), 16
    )
    text += _block(at[STEP], 16)
    text += f"                for l in range({lanes}):\n"
    text += _block((f"x_{k} = x[{i}, l]" for i, k in enumerate(model.states)), 20)
    text += _block((f"{name} = x[{n + i}, l]" for i, name in enumerate(q_names) if name in kept), 20)
    text += _block((f"{name} = x[{n + n_q + i}, l]" for i, name in enumerate(own)), 20)
    text += _block(inner, 20)
    text += _block((f"x[{i}, l] = {name}" for i, name in enumerate(results)), 20)
    return text + f"            store(x, states, {x_rows}, g, first)\n"


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
    text = HEADER + _description(model, method, lanes, constants)
    text += f"@inline\ndef step({', '.join([*arguments, *constants.values()])}):\n"
    text += '    """Take one step for the patients of the lanes; return their states."""\n'
    text += _block(_live(lines, results), 4) + f"    return ({', '.join(results)},)\n\n\n"
    return text + _advance(model, model, method, lanes) + _derivative(model)


def kernel_source(model: Model, whole: Model, method: Method, lanes: int) -> str:
    """Python source of a module with the ``advance`` of a reduced model, working on the arrays of the whole one."""
    constants = step_lines(model, method)[3]
    return HEADER + _description(model, method, lanes, constants) + _advance(model, whole, method, lanes)


def _description(model: Model, method: Method, lanes: int, constants: Iterable[float]) -> str:
    text = f"MODEL = {model.name!r}\nSTATES = {model.states!r}\nPATIENT = {model.patient!r}\n"
    text += f"SHARED = {model.shared!r}\nINPUTS = {model.inputs!r}\nMETHOD = {method.name!r}\n"
    return text + (f"STAGE_TIMES = {method.times!r}\nLANES = {lanes}\nCONSTANTS = {tuple(constants)!r}\n\n\n")


def _write() -> None:
    from pathlib import Path

    from stemtrial.mechanism.equations import JOINT
    from stemtrial.mechanism.kernels import USES
    from stemtrial.mechanism.rosenbrock import DEFAULT

    here = Path(__file__).parent
    (here / "_generated.py").write_text(source(JOINT, DEFAULT, lanes=32), encoding="utf-8")
    for use in USES:
        text = kernel_source(use.model(), JOINT, DEFAULT, lanes=32)
        (here / "kernels" / f"_{use.name}.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write()
