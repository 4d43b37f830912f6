"""What one study contributes to a part of a claim."""

from dataclasses import dataclass
from typing import TypedDict

from stemtrial.evidence.schema import Trial


@dataclass(frozen=True)
class Datum:
    """What one study contributes.

    Attributes
    ----------
    y, v
        Effect and sampling variance in the unit of the kind (logarithm of a ratio); of events the risk
        difference, without a variance where nothing happened on either side.
    counts
        Events and persons of the treated and of the control side.
    side
        1, or -1 for the other cells of a comparison ``against`` them.
    early
        Effect at the earlier visit and its variance.
    control, treated
        Persons and numbers of each side as printed.
    """

    trial_id: str
    label: str
    month: float
    y: float
    v: float | None
    n: float
    sd: float | None
    counts: tuple[int, int, int, int] | None
    side: int
    early: tuple[float, float] | None
    control: tuple[str, str]
    treated: tuple[str, str]
    risk_of_bias: str
    blinding: str
    randomised: bool
    provenance: str
    references: tuple[str, ...]
    flags: tuple[str, ...]


class OfTrial(TypedDict):
    """What a study takes over from its trial."""

    risk_of_bias: str
    blinding: str
    randomised: bool
    provenance: str


def of_trial(trial: Trial) -> OfTrial:
    """Return what a study takes over from its trial."""
    return {
        "risk_of_bias": trial.risk_of_bias,
        "blinding": trial.blinding,
        "randomised": trial.design == "rct",
        "provenance": trial.provenance,
    }
