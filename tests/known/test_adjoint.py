"""Reverse-mode derivatives of straight-line code against closed forms and, exactly, against forward mode."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.mechanism import _adjoint, adjoint
from stemtrial.mechanism.adjoint import adjoint_lines
from stemtrial.mechanism.equations import JOINT
from stemtrial.mechanism.rosenbrock import DEFAULT


def gradient(lines, results, wanted, values, bars=None):
    """Derivative of ``sum(bar * result)`` by the code that ``adjoint_lines`` writes; absent names count as 0."""
    code, found = adjoint_lines(lines, results, wanted)
    names = {**values, **{f"y{i}": b for i, b in enumerate(bars or [1] * len(results))}}
    exec("\n".join(code), {}, names)
    return {name: names[bar] if bar else 0 for name, bar in found.items()}


x, y, z = Fraction(3, 7), Fraction(-5, 2), Fraction(11, 3)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["t0 = x + y"], (1, 1, 0)),
        (["t0 = x - y"], (1, -1, 0)),
        (["t0 = x * y"], (y, x, 0)),
        (["t0 = x / y"], (1 / y, -x / y**2, 0)),
        (["t0 = -x"], (-1, 0, 0)),
        (["t0 = x * x"], (2 * x, 0, 0)),
        (["t0 = x / x"], (0, 0, 0)),
        (["t0 = x - x"], (0, 0, 0)),
        # x^4 by squaring twice, with a sign between
        (["a = x * x", "b = -a", "t0 = b * b"], (4 * x**3, 0, 0)),
        # the saturating x / (y + x) times a factor
        (["a = y + x", "b = x / a", "t0 = z * b"], (z * y / (y + x) ** 2, -z * x / (y + x) ** 2, x / (y + x))),
        # a Hill function of order two with its input used three times
        (["a = x * x", "b = y * y", "c = a + b", "t0 = a / c"],
         (2 * x * y**2 / (x**2 + y**2) ** 2, -2 * y * x**2 / (x**2 + y**2) ** 2, 0)),
    ],
    ids=lambda v: "; ".join(v) if isinstance(v, list) else "",
)  # fmt: skip
def test_closed_forms(lines, expected):
    found = gradient(lines, ["t0"], ["x", "y", "z"], {"x": x, "y": y, "z": z})
    assert tuple(found.values()) == expected


def test_results_are_weighted_and_may_be_inputs_or_stand_twice():
    found = gradient(["t0 = x * y"], ["t0", "x", "t0"], ["x", "y"], {"x": x, "y": y}, [z, 5, 2])
    assert found == {"x": (z + 2) * y + 5, "y": (z + 2) * x}


def test_what_results_do_not_depend_on_costs_nothing():
    code, found = adjoint_lines(["a = x * y", "b = c0 * z", "t0 = b / c0"], ["t0"], ["x", "z"])
    assert found["x"] is None
    assert not any("x" in line or "y * " in line for line in code)
    # The derivative of a constant is never written: one product and one quotient pass back to z.
    assert len([line for line in code if line.startswith("r")]) == 2


def _forward(lines, values, name):
    """Dual numbers: value and derivative of every name with respect to one of them, exact in fractions."""
    dual = {k: (v, Fraction(k == name)) for k, v in values.items()}
    for line in lines:
        target, code = line.split(" = ")
        if code.startswith("-"):
            v, d = dual[code[1:]]
            dual[target] = -v, -d
            continue
        a, op, b = code.split(" ")
        (v, d), (w, e) = dual[a], dual[b]
        if op == "/" and w == 0:
            return None
        dual[target] = {
            "+": lambda v=v, d=d, w=w, e=e: (v + w, d + e),
            "-": lambda v=v, d=d, w=w, e=e: (v - w, d - e),
            "*": lambda v=v, d=d, w=w, e=e: (v * w, d * w + v * e),
            "/": lambda v=v, d=d, w=w, e=e: (v / w, (d * w - v * e) / w**2),
        }[op]()
    return dual


@st.composite
def programs(draw):
    names, lines = ["x", "y", "z", "c0"], []
    for i in range(draw(st.integers(1, 12))):
        a, b, op = (draw(st.sampled_from(s)) for s in (names, names, "+-*/n"))
        lines.append(f"t{i} = -{a}" if op == "n" else f"t{i} = {a} {op} {b}")
        names.append(f"t{i}")
    return lines, draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))


@settings(max_examples=150, deadline=None)
@given(programs())
def test_random_programs_equal_forward_mode_exactly(program):
    lines, results = program
    values = {"x": x, "y": y, "z": z, "c0": Fraction(2)}
    bars = [Fraction(k + 2, 3) for k in range(len(results))]
    wanted = ["x", "y", "z"]
    duals = {name: _forward(lines, values, name) for name in wanted}
    if any(d is None for d in duals.values()):
        return
    found = gradient(lines, results, wanted, values, bars)
    expected = {
        name: sum(b * dual[r][1] for b, r in zip(bars, results, strict=True)) for name, dual in duals.items()
    }
    assert found == expected


def test_shipped_source_is_what_the_generator_writes():
    assert adjoint.source(JOINT, DEFAULT) == Path(_adjoint.__file__).read_text(encoding="utf-8")
