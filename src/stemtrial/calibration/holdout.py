"""Leave one trial out: predict every arm, visit and contrast of a trial from all the others, and score it.

Any model takes part that can be called as a :class:`Predictor`; all see the same training arms and are asked the same
rows. A contrast is an arm minus the trial's comparator at an equal month, in the same unit, so that a baseline that
the arms share drops out. Trials, not rows, are independent: a model is judged by the mean over trials of each trial's
mean ("by trial"); means over rows ("by row") stand beside it, with standard errors from resampling whole trials.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from stemtrial.calibration import scores
from stemtrial.calibration.arms import TrialArm
from stemtrial.calibration.observed import Asked, Row, Unit, arm_class, by_trial, rows_of
from stemtrial.errors import InputError, NumericalError, Problem

Kind = Literal["arm", "contrast"]


class Predictor(Protocol):
    """A model that predicts a trial from others."""

    def __call__(
        self,
        training: Sequence[TrialArm],
        held_out: Sequence[TrialArm],
        rows: Sequence[Asked],
        draws: int,
        seed: int,
    ) -> np.ndarray:
        """Draw the observed means asked of the arms of one trial, jointly.

        Parameters
        ----------
        training
            Arms to learn from.
        held_out
            Arms of the trial, without their readings.
        rows
            Arm (place in ``held_out``), month and unit of each mean.
        draws, seed
            How many joint draws, and what fixes them.

        Returns
        -------
        array
            (draws, rows), points: parameter uncertainty, effects of the trial and sampling error for n included.
        """
        ...


@dataclass(frozen=True, eq=False)
class Held:
    """One row or contrast that was predicted.

    Attributes
    ----------
    trial_id, arm_id, comparator_id
        Where it stands; ``comparator_id`` is empty for an arm.
    month, unit
        Visit, and whether levels or changes.
    observed, se
        What was printed and its standard error, NaN where not known.
    draws
        (draws,) by predictor.
    """

    kind: Kind
    trial_id: str
    arm_id: str
    comparator_id: str
    month: float
    unit: Unit
    observed: float
    se: float
    draws: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Score:
    """Quality of a predictor over arms or over contrasts, with trials and with rows weighing equally.

    Attributes
    ----------
    coverage, coverage_by_trial
        At 50, 80 and 95 %: share of rows; mean over trials of the share of a trial's rows.
    crps, crps_se
        Mean fair CRPS over rows in points, with its standard error over trials; lower is better.
    crps_by_trial, crps_by_trial_se
        Mean over trials of each trial's mean, with its standard error (``None`` for a single trial).
    bias, bias_se
        Mean of prediction minus observation over rows.
    bias_by_trial, bias_by_trial_se
        Mean over trials of each trial's mean.
    mean_width
        Mean width of the 95 % intervals, points.
    trials, rows
        How many.
    """

    predictor: str
    kind: Kind
    coverage: tuple[scores.Coverage, ...]
    crps: float
    crps_se: float
    crps_by_trial: float
    crps_by_trial_se: float | None
    coverage_by_trial: tuple[float, ...]
    bias: float
    bias_se: float
    bias_by_trial: float
    bias_by_trial_se: float | None
    mean_width: float
    trials: int
    rows: int


@dataclass(frozen=True)
class Difference:
    """Mean CRPS of one predictor minus that of another on the same rows: below 0 the first is better.

    Attributes
    ----------
    crps, se, q025, q975
        Rows weighing equally, with standard error and 95 % interval from resampling trials.
    crps_by_trial, se_by_trial, q025_by_trial, q975_by_trial
        Mean over trials of each trial's mean difference, with its standard error and Student's 95 % interval: what a
        verdict rests on, because trials are independent and rows are not; ``None`` for a single trial.
    """

    predictor: str
    against: str
    kind: Kind
    crps: float
    se: float
    q025: float
    q975: float
    crps_by_trial: float
    se_by_trial: float | None
    q025_by_trial: float | None
    q975_by_trial: float | None


@dataclass(frozen=True, eq=False)
class LeftOutTrials:
    """All that was predicted, and how well.

    Attributes
    ----------
    held
        Every row and contrast.
    scores, differences
        By predictor and kind, and for each pair of predictors.
    """

    held: tuple[Held, ...]
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]

    def of(self, predictor: str, kind: Kind) -> Score:
        """Return the score of a predictor."""
        return next(s for s in self.scores if (s.predictor, s.kind) == (predictor, kind))

    def against_best(self, predictor: str, kind: Kind) -> Difference:
        """Return the difference of a predictor from the best of those named after it, trials weighing equally."""
        others = [d for d in self.differences if (d.predictor, d.kind) == (predictor, kind)]
        return min(others, key=lambda d: self.of(d.against, kind).crps_by_trial)

    def pit(self, predictor: str, kind: Kind, seed: int = 0) -> np.ndarray:
        """Probability integral transform of every row of a kind, (rows,)."""
        held = [row for row in self.held if row.kind == kind]
        draws = np.column_stack([row.draws[predictor] for row in held])
        return scores.pit(draws, np.array([row.observed for row in held]), seed)

    def as_dict(self, mechanism: str, seed: int = 0) -> dict[str, object]:
        """Return scores, differences and PIT as plain data, the part ``held_out`` of the page of a fit.

        Parameters
        ----------
        mechanism
            The predictor that is not a baseline.
        seed
            Of the random place of an observation among equal draws.
        """
        shown = dict.fromkeys((score.predictor, score.kind) for score in self.scores)
        return {
            "mechanism": mechanism,
            "scores": [asdict(score) for score in self.scores],
            "differences": [asdict(difference) for difference in self.differences],
            "pit": [
                {"predictor": predictor, "kind": kind, "values": self.pit(predictor, kind, seed).tolist()}
                for predictor, kind in shown
            ],
        }


def comparator(arms: Sequence[TrialArm]) -> int | None:
    """Return the place of the arm that others are compared with: placebo, usual care, else the first without cells."""
    classes = [arm_class(arm) for arm in arms]
    for wanted in ("placebo", "usual_care"):
        if wanted in classes:
            return classes.index(wanted)
    return next((place for place, name in enumerate(classes) if name != "cells"), None)


def leave_one_trial_out(
    arms: Sequence[TrialArm],
    predictors: Mapping[str, Predictor],
    *,
    draws: int,
    seed: int,
    folder: Path | None = None,
    key: Mapping[str, object] | None = None,
    bootstrap: int = 2000,
    progress: Callable[[int, int, str], None] = lambda done, total, trial: None,
) -> LeftOutTrials:
    """Predict each trial from all the others.

    Parameters
    ----------
    arms
        All arms; trials without a mean after baseline train but are not predicted.
    predictors
        Models by name.
    draws, seed
        Joint draws a trial, and what fixes them and the bootstrap.
    folder, key
        Where finished trials are kept, so that an interrupted run resumes, and all on which predictions depend
        beside the arms, the predictor's name, draws and seed (versions, settings): results of others are not used.
    bootstrap
        Resamples of trials for standard errors.
    progress
        Called with trials done, trials in all, and the trial just done.

    Raises
    ------
    InputError
        Fewer than two trials, or no predictor.
    NumericalError
        A predictor returned draws of a wrong shape or that are not finite.
    """
    trials = {trial: members for trial, members in by_trial(arms).items() if rows_of(members)}
    if len(trials) < 2 or not predictors:
        raise InputError(
            Problem(
                "leaving one trial out needs two trials with means and one predictor or more",
                value=len(trials),
            )
        )
    held: list[Held] = []
    for done, (trial, members) in enumerate(trials.items(), 1):
        rows = rows_of(members)
        training = [arm for arm in arms if arm.trial_id != trial]
        blind = [replace(arm, readings=()) for arm in members]
        rows_asked = [row.asked for row in rows]
        joint = {}
        for name, predictor in predictors.items():
            path = (
                None
                if folder is None
                else _path(folder, [name, draws, seed, key or {}, training, blind, rows_asked])
            )
            found = None if path is None else _load(path)
            if found is None:
                found = np.asarray(predictor(training, blind, rows_asked, draws, _seed(seed, trial)))
                if found.shape != (draws, len(rows)) or not np.isfinite(found).all():
                    raise NumericalError(
                        f"{name} predicted {trial} with draws of shape {found.shape} (asked: {(draws, len(rows))})"
                        " or that are not finite"
                    )
                if path is not None:
                    _save(path, found)
            joint[name] = found
        held += _arms(trial, members, rows, joint) + _contrasts(trial, members, rows, joint)
        progress(done, len(trials), trial)
    return summarise(held, tuple(predictors), seed=seed, bootstrap=bootstrap)


def _seed(seed: int, trial: str) -> int:
    """Return a seed of the trial's own, so that its draws do not depend on the order of trials."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{trial}".encode()).digest()[:4], "big")


def _arms(
    trial: str, members: Sequence[TrialArm], rows: Sequence[Row], joint: Mapping[str, np.ndarray]
) -> list[Held]:
    return [
        Held("arm", trial, members[row.asked.arm].arm_id, "", row.asked.month, row.asked.unit, row.value, row.se,
             {name: x[:, place] for name, x in joint.items()})
        for place, row in enumerate(rows)
    ]  # fmt: skip


def _contrasts(
    trial: str, members: Sequence[TrialArm], rows: Sequence[Row], joint: Mapping[str, np.ndarray]
) -> list[Held]:
    control = comparator(members)
    of_control = {(r.asked.month, r.asked.unit): i for i, r in enumerate(rows) if r.asked.arm == control}
    found = []
    for place, row in enumerate(rows):
        other = of_control.get((row.asked.month, row.asked.unit))
        if other is None or row.asked.arm == control:
            continue
        found.append(
            Held("contrast", trial, members[row.asked.arm].arm_id, members[rows[other].asked.arm].arm_id,
                 row.asked.month, row.asked.unit, row.value - rows[other].value,
                 float(np.hypot(row.se, rows[other].se)),
                 {name: x[:, place] - x[:, other] for name, x in joint.items()})
        )  # fmt: skip
    return found


def summarise(
    held: Sequence[Held], predictors: Sequence[str], *, seed: int, bootstrap: int = 2000
) -> LeftOutTrials:
    """Score predictions that were held out, by predictor and kind, with differences of all pairs."""
    results: list[Score] = []
    differences: list[Difference] = []
    kinds: tuple[Kind, ...] = ("arm", "contrast")
    for kind in kinds:
        rows = [row for row in held if row.kind == kind]
        if not rows:
            continue
        observed = np.array([row.observed for row in rows])
        names = list(dict.fromkeys(row.trial_id for row in rows))
        member = np.array([names.index(row.trial_id) for row in rows])
        resampled = _resample(member, len(names), bootstrap, seed)

        def of_trials(values: np.ndarray, member: np.ndarray = member) -> np.ndarray:
            result: np.ndarray = np.bincount(member, weights=values) / np.bincount(member)
            return result

        points = {}
        for predictor in predictors:
            draws = np.column_stack([row.draws[predictor] for row in rows])
            crps = points[predictor] = scores.crps(draws, observed, fair=True)
            errors = scores.bias(draws, observed)
            hits = [scores.inside(draws, observed, level) for level in scores.LEVELS]
            own_crps, own_errors = scores.mean(of_trials(crps)), scores.mean(of_trials(errors))
            results.append(
                Score(
                    predictor,
                    kind,
                    scores.coverage(draws, observed),
                    crps=float(crps.mean()),
                    crps_se=float(resampled(crps).std()),
                    crps_by_trial=own_crps.value,
                    crps_by_trial_se=own_crps.se,
                    coverage_by_trial=tuple(float(of_trials(hit).mean()) for hit in hits),
                    bias=float(errors.mean()),
                    bias_se=float(resampled(errors).std()),
                    bias_by_trial=own_errors.value,
                    bias_by_trial_se=own_errors.se,
                    mean_width=float(np.subtract(*np.quantile(draws, [0.975, 0.025], axis=0)).mean()),
                    trials=len(names),
                    rows=len(rows),
                )
            )
        for one, other in combinations(predictors, 2):
            gap = points[one] - points[other]
            means, own = resampled(gap), scores.mean(of_trials(gap))
            low, high = np.quantile(means, [0.025, 0.975])
            differences.append(
                Difference(
                    one,
                    other,
                    kind,
                    crps=float(gap.mean()),
                    se=float(means.std()),
                    q025=float(low),
                    q975=float(high),
                    crps_by_trial=own.value,
                    se_by_trial=own.se,
                    q025_by_trial=own.low,
                    q975_by_trial=own.high,
                )
            )
    return LeftOutTrials(tuple(held), tuple(results), tuple(differences))


def _resample(
    member: np.ndarray, trials: int, bootstrap: int, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from values of rows to their means in resamples of whole trials."""
    picked = np.random.default_rng(seed).multinomial(trials, np.full(trials, 1 / trials), bootstrap)
    sizes = np.bincount(member, minlength=trials)

    def means(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(member, weights=values, minlength=trials)
        result: np.ndarray = (picked @ sums) / (picked @ sizes)
        return result

    return means


def _path(folder: Path, content: Sequence[object]) -> Path:
    """File of the draws that follow from ``content``: records whose text holds all of them."""
    return folder / f"{hashlib.sha256(repr(content).encode()).hexdigest()[:24]}.npy"


def _load(path: Path) -> np.ndarray | None:
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


def _save(path: Path, draws: np.ndarray) -> None:
    """Write a file whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, draws, allow_pickle=False)
        os.replace(draft, path)
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot be written: {error.strerror}", file=str(path), hint="check space and permissions"
            )
        ) from None
