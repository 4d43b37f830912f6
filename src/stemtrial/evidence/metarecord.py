"""The records of a pairwise synthesis: the choices made, what entered, and the result of each analysis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stemtrial.evidence.contrasts import Contrast, Rules
from stemtrial.evidence.heterogeneity import Method, Test
from stemtrial.evidence.influence import Influence
from stemtrial.evidence.metareg import Regression
from stemtrial.evidence.pairwise import Pooled, Prediction
from stemtrial.evidence.scope import Scope, Stage
from stemtrial.evidence.smallstudy import Egger, PetPeese, TrimAndFill
from stemtrial.evidence.subgroups import Subgroups
from stemtrial.scales import ImportantDifference

METHODS: Mapping[Method, str] = {
    "EE": "equal effects",
    "DL": "DerSimonian-Laird",
    "PM": "Paule-Mandel",
    "ML": "ML",
    "REML": "REML",
}
TESTS: Mapping[Test, str] = {
    "z": "normal interval",
    "t": "t interval",
    "knha": "Hartung-Knapp",
    "adhoc": "Hartung-Knapp, never narrower",
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Statistical choices of a synthesis; see :func:`~stemtrial.evidence.pairwise.pool` and ``Rules``."""

    method: Method
    test: Test
    prediction: Prediction
    level: float
    rules: Rules


@dataclass(frozen=True)
class Study:
    """A trial (or treated arm): its contrast with normal interval, its weight in percent, its judgements."""

    label: str
    contrast: Contrast
    ci: tuple[float, float]
    weight: float
    risk_of_bias: str
    rob_source: str
    blinding: str
    randomised: bool
    provenance: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Every derivation behind the study, of the treated side, the control side and the contrast."""
        found: dict[str, list[str]] = {}
        for name, group in (("treated", self.contrast.treated), ("control", self.contrast.control)):
            for flag in group.flags if group else ():
                found.setdefault(flag, []).append(name)
        of_sides = [flag if len(names) == 2 else f"{flag} ({names[0]})" for flag, names in found.items()]
        return (*of_sides, *self.contrast.flags)

    @property
    def imputed(self) -> bool:
        """Whether a standard deviation was imputed."""
        return any("SD imputed" in flag for flag in self.flags)


@dataclass(frozen=True)
class Variant:
    """The same question with one choice changed; ``pooled`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    pooled: Pooled | None
    status: str


@dataclass(frozen=True)
class Moderated:
    """Meta-regression on one feature; ``regression`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    regression: Regression | None
    status: str


@dataclass(frozen=True)
class Grouped:
    """Subgroups by one feature, with one tau2 for all; ``result`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    result: Subgroups | None
    status: str


@dataclass(frozen=True)
class SmallStudies:
    """Small-study diagnostics; each holds its own status, and none is computed below ten studies."""

    egger: Egger
    trim_and_fill: TrimAndFill
    pet_peese: PetPeese
    status: Literal["ok", "too_few_studies"]


@dataclass(frozen=True)
class Diagnosed:
    """Case diagnostics; ``result`` is ``None`` where ``status`` says why."""

    result: Influence | None
    status: str


@dataclass(frozen=True)
class Rows:
    """Outcome rows of the compared trials, step by step: in the tables to used in a contrast."""

    of_the_outcome: int
    primary_scores: int
    in_window: int
    used: int


@dataclass(frozen=True)
class MetaAnalysis:
    """A pairwise synthesis.

    Attributes
    ----------
    scope, outcome, month, window, choices
        The question, and the choices made for it.
    evidence_hash
        Of the whole tables the trials were chosen from.
    studies, left_out
        What entered, in the order of the tables, and the compared trials that did not, each with a reason.
    users
        Of the compared trials, used or left out, those of the user.
    without_scores
        Of the trials left out, the trials without a usable score of the outcome at any visit after treatment.
    stages, rows
        Trials left by each condition, and outcome rows used and left out.
    pooled
        The result by the method and test chosen.
    variants
        The same by the other methods, and without imputed SDs, trials at high risk, and so on.
    left_one_out, influence
        Result without each study in turn, empty for one study; case diagnostics.
    small_studies, moderators, subgroups
        Further analyses, each with a status.
    mcid
        Smallest important difference on 0-100, or ``None``.
    """

    scope: Scope
    outcome: str
    month: float
    window: tuple[float, float]
    choices: Choices
    evidence_hash: str
    studies: tuple[Study, ...]
    left_out: tuple[tuple[str, str], ...]
    users: tuple[str, ...]
    without_scores: tuple[str, ...]
    stages: tuple[Stage, ...]
    rows: Rows
    pooled: Pooled
    variants: tuple[Variant, ...]
    left_one_out: tuple[Variant, ...]
    influence: Diagnosed
    small_studies: SmallStudies
    moderators: tuple[Moderated, ...]
    subgroups: tuple[Grouped, ...]
    mcid: ImportantDifference | None

    @property
    def y(self) -> tuple[float, ...]:
        """Effects, in the order of the studies."""
        return tuple(study.contrast.y for study in self.studies)

    @property
    def v(self) -> tuple[float, ...]:
        """Sampling variances, in the order of the studies."""
        return tuple(study.contrast.v for study in self.studies)
