"""What the model says beside a part: virtual trials of a shipped design. It never enters a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemtrial.claims.claim import Part
from stemtrial.documents import Document
from stemtrial.errors import InputError, Problem
from stemtrial.trial.protocol import Trial
from stemtrial.trial.templates import template


@dataclass(frozen=True)
class ModelView:
    """Virtual trials of a design.

    Attributes
    ----------
    design, replicates, seed
        The shipped trial file, the number of virtual trials and the address of their draws.
    label, fingerprint, structures
        Where the constants come from, the SHA-256 of all they depend on, and the weights of rival structures
        (``None`` where they have not been compared).
    value, interval
        Median over the trials of the estimated difference in points, and the range of 95 % of them; of
        ``durability`` the late difference minus the share of the early one.
    share
        Share of the trials in which the part holds, sampling error of a trial included.
    """

    design: str
    replicates: int
    seed: int
    label: str
    fingerprint: str
    structures: Mapping[str, float] | None
    value: float
    interval: tuple[float, float]
    share: float


def model_view(part: Part, *, replicates: int, seed: int) -> ModelView | None:
    """Simulate the design that a part names; ``None`` where it names none.

    Raises
    ------
    InputError
        An unknown design, or one without a visit at the months of the part.
    """
    if part.model is None:
        return None
    chosen = template(part.model)
    trial = Document.parse(chosen.text, f"{chosen.name}.yaml").validate(Trial)
    months = [month for month in (part.month, part.from_month) if month is not None]
    absent = [month for month in months if month not in trial.visits_months]
    if absent:
        raise InputError(
            *(
                Problem(
                    "is no visit of the design",
                    field="month",
                    value=f"{month:g}",
                    allowed=", ".join(f"{visit:g}" for visit in trial.visits_months),
                    hint=f"model: {chosen.name}",
                )
                for month in absent
            )
        )
    from stemtrial.trial.replicates import Plan, simulate

    plan = Plan.of(trial)
    by_visit = simulate(plan, seed, np.arange(replicates))["estimate_by_visit"]
    late, *early = (by_visit[:, trial.visits_months.index(month)] for month in months)
    values = late - part.threshold * early[0] if early else late
    bound = 0.0 if part.kind == "durability" else part.threshold
    below = (part.holds == "below") != (part.kind == "durability")
    low, high = np.quantile(values, (0.025, 0.975))
    return ModelView(
        design=chosen.name,
        replicates=replicates,
        seed=seed,
        label=plan.belief.label,
        fingerprint=plan.belief.fingerprint,
        structures=plan.belief.structure_weights,
        value=float(np.median(values)),
        interval=(float(low), float(high)),
        share=float(np.mean(values < bound if below else values > bound)),
    )
