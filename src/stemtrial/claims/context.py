"""What stands beside a part without entering its number: reported predictors, and how protocols differ."""

from collections.abc import Mapping, Sequence

import numpy as np

from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum
from stemtrial.errors import InputError, NotCredibleError
from stemtrial.evidence.metareg import regress
from stemtrial.evidence.tables import Evidence
from stemtrial.evidence.terms import words

_CELLS = ("cell_therapy", "bmac", "bmmnc", "svf", "mfat")


def context(part: Part, data: Sequence[Datum], evidence: Evidence) -> tuple[tuple[str, str], ...]:
    """Return what a reader should see beside a part, as pairs of what and value; empty for most kinds.

    Predictors of response to cells for ``response_spread``; for ``protocol_spread`` the products and doses of
    its studies and the share of the variance between trials that each explains alone (the fall of tau² in a
    meta-regression, which few studies leave very uncertain).
    """
    if part.kind == "response_spread":
        rows = [
            row
            for row in evidence.predictors
            if row.treatment in _CELLS and row.indication in (part.population, "osteoarthritis_any")
        ]
        return tuple(
            (
                f"{row.predictor} on {row.outcome} ({words(row.treatment)})",
                f"{row.effect}{'' if row.value is None else f' {row.value:g}'} ({row.reference_id})",
            )
            for row in rows
        )
    if part.kind == "protocol_spread" and data:
        alone = "not computed: one trial says little of the variance between trials"
        return (*_protocols(data, evidence), ("Smallest next trial", alone))
    return ()


def _protocols(data: Sequence[Datum], evidence: Evidence) -> list[tuple[str, str]]:
    arms = {
        datum.trial_id: [a for a in evidence.arms_of(datum.trial_id) if a.intervention == "cell_therapy"]
        for datum in data
    }
    products = {name: {str(arm.product) for arm in group} for name, group in arms.items()}
    doses = {
        name: {arm.dose_million_cells for arm in group if arm.dose_million_cells}
        for name, group in arms.items()
    }
    known = sorted({dose for group in doses.values() for dose in group if dose is not None})
    kinds = sorted({words(product) for group in products.values() for product in group})
    found = [("Products of the studies", ", ".join(kinds))]
    if known:
        found.append(("Doses, million cells", f"{known[0]:g} to {known[-1]:g}"))
    for name, values in (
        ("product", {trial: group.pop() for trial, group in products.items() if len(group) == 1}),
        ("log10 dose", {trial: np.log10(group.pop()) for trial, group in doses.items() if len(group) == 1}),
    ):
        found.append((f"Explained by {name}", _explained(data, name, values)))
    return found


def _explained(data: Sequence[Datum], name: str, values: Mapping[str, object]) -> str:
    """Return the share of tau² that falls away once a feature is known."""
    kept = [datum for datum in data if datum.trial_id in values and datum.v is not None]
    column = np.array([values[datum.trial_id] for datum in kept])
    if len(kept) < 4 or len(set(column.tolist())) < 2:
        return f"not assessed: {len(kept)} studies give one value"
    y, v = [datum.y for datum in kept], [datum.v for datum in kept if datum.v is not None]
    try:
        fitted = regress(y, v, {name: column}, method="REML", test="adhoc", level=0.95)
    except (InputError, NotCredibleError) as error:
        return f"not assessed: {error}"
    if fitted.r2 is None:
        return "not assessed: no variance between trials"
    return f"{fitted.r2:.0f} % of the variance between {len(kept)} trials"
