"""The adjoint of the solver's step: gradients of any function of the courses, for calibration.

The straight-line code of a step (:func:`stemtrial.mechanism.codegen.step_lines`) knows only ``+ - * /`` and changes of
sign, so its reverse-mode derivative is written line by line, last line first. Groups are arms, lanes the few patients
by whom an arm is represented.
"""

from collections.abc import Iterable

from stemtrial.mechanism.codegen import _live, step_lines
from stemtrial.mechanism.equations import Model
from stemtrial.mechanism.rosenbrock import Method

LANES = 8
"""Patients advanced together: one vector of the widest unit in double precision."""


class _Reverse:
    """Writes the derivative of straight-line code, carrying what each name receives from the lines that use it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._bar: dict[str, str] = {}
        self._count = 0

    def _new(self, code: str) -> str:
        name = f"r{self._count}"
        self._count += 1
        self.lines.append(f"{name} = {code}")
        return name

    def receive(self, name: str, value: str) -> None:
        """Add to the derivative with respect to a name."""
        self._bar[name] = self._new(f"{self._bar[name]} + {value}") if name in self._bar else value

    def derivative(self, name: str) -> str | None:
        """Name of the derivative with respect to a name, if the results depend on it."""
        return self._bar.get(name)

    def back(self, line: str, active: set[str]) -> None:
        """Pass the derivative with respect to a line's name on to what the line reads."""
        name, code = line.split(" = ")
        bar = self._bar.get(name)
        if bar is None:
            return
        if code.startswith("-"):
            if code[1:] in active:
                self.receive(code[1:], self._new(f"-{bar}"))
            return
        a, op, b = code.split(" ")
        if op == "+":
            self._pass(a, bar, active)
            self._pass(b, bar, active)
        elif op == "-":
            self._pass(a, bar, active)
            if b in active:
                self.receive(b, self._new(f"-{bar}"))
        elif op == "*":
            if a in active:
                self.receive(a, self._new(f"{bar} * {b}"))
            if b in active:
                self.receive(b, self._new(f"{bar} * {a}"))
        else:
            ratio = self._new(f"{bar} / {b}")
            self._pass(a, ratio, active)
            if b in active:
                self.receive(b, self._new(f"-{self._new(f'{ratio} * {name}')}"))

    def _pass(self, name: str, bar: str, active: set[str]) -> None:
        if name in active:
            self.receive(name, bar)


def _active(lines: Iterable[str], inputs: Iterable[str]) -> set[str]:
    """Names whose value depends on the inputs."""
    active = set(inputs)
    for line in lines:
        name, code = line.split(" = ")
        if any(token in active for token in code.lstrip("-").split(" ")):
            active.add(name)
    return active


def adjoint_lines(
    lines: list[str], results: list[str], wanted: list[str]
) -> tuple[list[str], dict[str, str | None]]:
    """Reverse-mode derivative of straight-line code.

    Parameters
    ----------
    lines
        Code, ``name = a op b`` or ``name = -a``.
    results
        Names of the results; the derivative with respect to ``results[i]`` is read from ``y{i}``.
    wanted
        Names whose derivative is asked for.

    Returns
    -------
    lines, derivatives
        The code as far as its derivative needs it, then that; by wanted name, the name that holds it (``None``
        where the results do not depend on it).

    Examples
    --------
    >>> code, bar = adjoint_lines(["t0 = x * x"], ["t0"], ["x"])
    >>> code
    ['r0 = y0 * x', 'r1 = y0 * x', 'r2 = r0 + r1']
    >>> bar
    {'x': 'r2'}
    """
    active = _active(lines, wanted)
    reverse = _Reverse()
    for i, name in enumerate(results):
        reverse.receive(name, f"y{i}")
    for line in reversed(lines):
        reverse.back(line, active)
    found = {name: reverse.derivative(name) for name in wanted}
    return _live([*lines, *reverse.lines], [n for n in found.values() if n is not None]), found


def _offsets(*lengths: int) -> list[int]:
    return [sum(lengths[:i]) for i in range(len(lengths))]


HEADER = '''"""Written by ``python -m stemtrial.mechanism.adjoint``; do not edit: change the equations instead."""

# ruff: noqa
# mypy: ignore-errors
# fmt: off
import numpy as np

from stemtrial.compiled import inline, jit, wide_vectors

'''


def source(model: Model, method: Method) -> str:
    """Python source of a module with ``forward`` and ``backward`` over the steps of many arms."""
    lines, arguments, results, constants = step_lines(model, method)
    lines = _live(lines, results)
    n, n_q, n_p, n_u = len(model.states), len(model.patient), len(model.shared), len(model.inputs)
    rows = len(method.times) + 1
    c_names = list(constants.values())
    x_names, q_names = arguments[1 : 1 + n], arguments[1 + n : 1 + n + n_q]
    p_names = arguments[1 + n + n_q : 1 + n + n_q + n_p]
    u_names = arguments[1 + n + n_q + n_p :]
    wanted = [*x_names, *q_names, *p_names, *u_names]
    back, found = adjoint_lines(lines, results, wanted)
    bars = [found[name] or "zero" for name in wanted]
    y_names = [f"y{i}" for i in range(n)]

    def block(code: Iterable[str], indent: int) -> str:
        return "".join(" " * indent + row + "\n" for row in code)

    text = HEADER
    text += f"MODEL = {model.name!r}\nSTATES = {model.states!r}\nLANES = {LANES}\nCONSTANTS = {tuple(constants)!r}\n"
    text += f"STAGE_TIMES = {method.times!r}\n\n\n"
    text += f"@inline\ndef step({', '.join([*arguments, *c_names])}):\n"
    text += '    """Take one step for the patients of the lanes; return their states."""\n' + block(lines, 4)
    text += f"    return ({', '.join(results)},)\n\n\n"
    text += (
        f"@inline\ndef step_back({', '.join([*arguments, *c_names, *y_names])}):\n"
        '    """Return derivatives with respect to the arguments of a step from those with respect to its results."""\n'
        "    zero = 0.0\n" + block(back, 4)
    )
    text += f"    return ({', '.join(bars)},)\n\n\n"

    # One array for all lanes' values: the compiler need not ask whether two of them overlap.
    at = dict(zip("xyqbpu", _offsets(n, n, n_q, n_q, n_p, rows * n_u), strict=True))
    call = [
        "h",
        *(f"s[{at['x'] + i}, l]" for i in range(n)),
        *(f"s[{at['q'] + i}, l]" for i in range(n_q)),
        *(f"p{i}" for i in range(n_p)),
        *(f"w{s}_{i}" for s in range(rows) for i in range(n_u)),
        *c_names,
    ]
    y_lanes = [f"s[{at['y'] + i}, l]" for i in range(n)]
    load_c = [f"{c} = constants[{i}]" for i, c in enumerate(c_names)]
    load_p = [f"p{i} = p[g, {i}]" for i in range(n_p)]
    load_u = [f"w{s}_{i} = u[k, {s}, {i}]" for s in range(rows) for i in range(n_u)]
    opening = (
        "    wide_vectors()\n" + block(load_c, 4) + f"    s = np.empty(({at['u'] + rows * n_u}, {LANES}))\n"
    )
    opening += "    for g in range(x0.shape[0]):\n" + block(load_p, 8)
    opening += f"        s[:] = 0.0\n        for l in range({LANES}):\n"
    opening += f"            for i in range({n_q}):\n                s[{at['q']} + i, l] = q[g, i, l]\n"

    text += "@jit\ndef forward(x0, q, p, h_steps, u, gain, first, constants, path):\n"
    text += '''    """Write the states after every step of every group into ``path``.

    x0 (groups, states, LANES); q (groups, patient, LANES); p (groups, shared); and, the steps of all groups one after
    another: h_steps (steps,), u (steps, stage times + 1, inputs), gain (steps, LANES) cells that arrive before the
    step, path (steps, states, LANES). ``first`` (groups + 1,) is the index of a group's first step.
    """
'''
    text += opening + f"            for i in range({n}):\n                s[{at['x']} + i, l] = x0[g, i, l]\n"
    text += "        for k in range(first[g], first[g + 1]):\n            h = h_steps[k]\n" + block(
        load_u, 12
    )
    text += f"            for l in range({LANES}):\n                s[{at['x']}, l] += gain[k, l]\n"
    text += f"            for l in range({LANES}):\n                y = step({', '.join(call)})\n"
    text += block((f"s[{at['x'] + i}, l] = y[{i}]" for i in range(n)), 16)
    text += f"            for i in range({n}):\n                for l in range({LANES}):\n"
    text += f"                    path[k, i, l] = s[{at['x']} + i, l]\n\n\n"

    text += "@jit\n"
    text += "def backward(\n    x0, q, p, h_steps, u, gain, first, constants,\n"
    text += "    path, path_bar, x0_bar, q_bar, p_bar, u_bar, gain_bar,\n):\n"
    text += '    """Pass derivatives with respect to ``path`` back to all else; arrays as in :func:`forward`."""\n'
    text += opening
    text += (
        "        for k in range(first[g + 1] - 1, first[g] - 1, -1):\n            h = h_steps[k]\n"
        + block(load_u, 12)
    )
    text += f"            for i in range({n}):\n                for l in range({LANES}):\n"
    text += f"                    s[{at['x']} + i, l] = x0[g, i, l] if k == first[g] else path[k - 1, i, l]\n"
    text += f"                    s[{at['y']} + i, l] += path_bar[k, i, l]\n"
    text += f"            for l in range({LANES}):\n                s[{at['x']}, l] += gain[k, l]\n"
    text += f"            for l in range({LANES}):\n                b = step_back({', '.join([*call, *y_lanes])})\n"
    text += block((f"s[{at['y'] + i}, l] = b[{i}]" for i in range(n)), 16)
    text += block((f"s[{at['b'] + i}, l] += b[{n + i}]" for i in range(n_q)), 16)
    text += block((f"s[{at['p'] + i}, l] += b[{n + n_q + i}]" for i in range(n_p)), 16)
    text += block((f"s[{at['u'] + i}, l] = b[{n + n_q + n_p + i}]" for i in range(rows * n_u)), 16)
    text += f"            for l in range({LANES}):\n                gain_bar[k, l] = s[{at['y']}, l]\n"
    text += f"            for r in range({rows}):\n                for i in range({n_u}):\n"
    text += f"                    u_bar[k, r, i] = s[{at['u']} + r * {n_u} + i].sum()\n"
    text += f"        for l in range({LANES}):\n"
    text += f"            for i in range({n}):\n                x0_bar[g, i, l] = s[{at['y']} + i, l]\n"
    text += f"            for i in range({n_q}):\n                q_bar[g, i, l] = s[{at['b']} + i, l]\n"
    text += f"        for i in range({n_p}):\n            p_bar[g, i] = s[{at['p']} + i].sum()\n"
    return text


def _write() -> None:
    from pathlib import Path

    from stemtrial.mechanism.equations import JOINT
    from stemtrial.mechanism.rosenbrock import DEFAULT

    Path(__file__).with_name("_adjoint.py").write_text(source(JOINT, DEFAULT), encoding="utf-8")


if __name__ == "__main__":
    _write()
