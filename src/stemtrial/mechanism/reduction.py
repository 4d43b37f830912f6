"""Smaller models for arms that do not use all of the model, derived from the equations themselves.

Without cells there are no resident cells, no alloimmune memory and no progenitors to integrate; without opioids there
is no tolerance. What drops out is found and not listed: inputs and constants known for the arm are put into the
equations, states that then stay exactly where they start become constants, and states on which nothing depends that is
read are left out.
"""

from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

import sympy as sp

from stemtrial.mechanism.equations import Model, Named


def _symbols(names: Collection[str]) -> dict[str, sp.Symbol]:
    return {name: sp.Symbol(f"_{name}") for name in names}


def reduced(
    model: Model,
    name: str,
    known: Mapping[str, int],
    rest: Mapping[str, int | str],
    read: Collection[str],
) -> Model:
    """Return the model that is left when some of its quantities are known.

    Parameters
    ----------
    model
        The whole model.
    name
        Identifier of the smaller one.
    known
        Values of constants and inputs.
    rest
        Value, or symbol of the constant, at which a state starts; states that something else moves are left out.
    read
        States that are read.

    Examples
    --------
    >>> def rates(x, p, u):
    ...     return u.dose - p.k * x.drug, p.r * (1 - x.sick) - p.b * x.drug
    >>> whole = Model("m", ("drug", "sick"), ("b",), ("k", "r"), ("dose",), rates)
    >>> part = reduced(whole, "untreated", {"dose": 0}, {"drug": 0, "sick": 0}, ("sick",))
    >>> part.states, part.patient, part.shared, part.inputs
    (('sick',), (), ('r',), ())
    """
    constants, inputs = _symbols((*model.patient, *model.shared)), _symbols(model.inputs)
    states = _symbols(model.states)

    def values(
        at: Mapping[str, Any], x: Mapping[str, Any], p: Mapping[str, Any], u: Mapping[str, Any]
    ) -> list[Any]:
        spaces = ({**x, **at}, {**p, **_of(model.patient + model.shared)}, {**u, **_of(model.inputs)})
        return list(model.rates(*(SimpleNamespace(**space) for space in spaces)))

    def _of(names: Collection[str]) -> dict[str, int]:
        return {k: v for k, v in known.items() if k in names}

    def traced(still: Mapping[str, Any]) -> dict[str, sp.Expr]:
        found = values(still, states, constants, inputs)
        return dict(zip(model.states, map(sp.sympify, found), strict=True))

    still = {s: constants[v] if isinstance(v, str) else sp.Integer(v) for s, v in rest.items()}
    while moving := {s for s, v in traced(still).items() if s in still and sp.simplify(v) != 0}:
        still = {s: v for s, v in still.items() if s not in moving}
    found = traced(still)
    needed: set[str] = set()
    wanted = set(read) - set(still)
    while wanted:
        needed |= wanted
        symbols = {symbol for s in needed for symbol in found[s].free_symbols}
        wanted = {s for s in model.states if states[s] in symbols} - needed
    kept = tuple(s for s in model.states if s in needed)
    used = {symbol for s in kept for symbol in found[s].free_symbols}
    patient = tuple(k for k in model.patient if constants[k] in used)
    shared = tuple(k for k in model.shared if constants[k] in used)
    driven = tuple(k for k in model.inputs if inputs[k] in used)

    def rates(x: Named, p: Named, u: Named) -> tuple[Any, ...]:
        # What is not used cancels, whatever its value.
        own_p = dict.fromkeys(constants, 1) | {k: getattr(p, k) for k in patient + shared}
        own_u = dict.fromkeys(inputs, 0) | {k: getattr(u, k) for k in driven}
        own_x = dict.fromkeys(states, 0) | {s: getattr(x, s) for s in kept}
        at = {s: own_p[v] if isinstance(v := rest[s], str) else v for s in still}
        found = zip(model.states, values(at, own_x, own_p, own_u), strict=True)
        return tuple(rate for s, rate in found if s in needed)

    return Model(name, kept, patient, shared, driven, rates)
