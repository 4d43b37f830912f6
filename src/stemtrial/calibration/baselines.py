"""Two statistical models without a mechanism, which the mechanism has to beat on trials left out.

*Pooled mean*: random-effects mean change by class of arm at the nearest visit. *Time course*: a model-based
meta-analysis in which the change of an arm of class c is

    -(E + E_c + beta (baseline - centre) / 10 + u_trial + v_arm(t)) t / (t + ET50),

with the trial's effect u shared by its arms, the arm's own v, and sampling error correlated between visits (Mandema
et al. 2011, doi:10.1038/clpt.2011.250; Wen et al. 2022, doi:10.1001/jamanetworkopen.2022.35060, for the shape and
the covariate). Class effects are drawn towards the mean of all classes as far as their spread says, so that a class
without data takes the mean of all arms, and the width of the spread. Both are Bayesian and predict jointly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.calibration.arms import TrialArm
from stemtrial.calibration.mixed import Block, Mixed, Posterior, covariance, sample, share
from stemtrial.calibration.observed import CLASSES, Asked, Row, arm_class, by_trial, rows_of
from stemtrial.errors import InputError, Problem

VISITS = (1.0, 3.0, 6.0, 12.0, 24.0)
"""Months to which the pooled mean assigns readings, the nearest in log2(1 + month)."""

MIN_TRIALS = 3
"""Trials needed to tell the spread between trials from sampling error."""

_BASELINE = (55.0, 12.0)
"""Mean and SD over trials of pain at baseline, used only where fewer than two trials report one."""

_SD, _N = 22.0, 30.0
"""SD of pain between persons and persons of an arm, used only where no training arm reports one."""


@dataclass(frozen=True)
class Norms:
    """What is taken from the training trials as a whole.

    Attributes
    ----------
    baseline, baseline_sd
        Mean and predictive SD over trials of pain at baseline.
    sd, n
        Typical SD of a person and persons of an arm, for arms that do not report them.
    """

    baseline: float
    baseline_sd: float
    sd: float
    n: float

    def error(self, arm: TrialArm) -> float:
        """Return the sampling error of an arm's mean from its number of persons."""
        return self.sd / float(np.sqrt(arm.n or self.n))


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted statistical model.

    Attributes
    ----------
    posterior
        Draws, with the k of their weights.
    norms
        What stands in for what an arm does not report.
    design
        Design (rows, p) of rows of arms.
    """

    posterior: Posterior
    norms: Norms
    design: Callable[[Sequence[TrialArm], Sequence[Asked]], np.ndarray]

    def predict(self, arms: Sequence[TrialArm], rows: Sequence[Asked], draws: int, seed: int) -> np.ndarray:
        """Draw the observed means of the arms of one new trial, jointly.

        The draws hold the uncertainty of the parameters, the effects of the trial (shared by its arms) and of the
        arms, the baseline shared by the arms where levels are asked of arms without one, and sampling error.

        Returns
        -------
        array
            (draws, rows), points; below 0 a change is relief.
        """
        rng = np.random.default_rng(seed)
        scales, b = self.posterior.draw(draws, rng)
        timed = self.posterior.model.timed
        place = {asked: i for i, asked in enumerate(dict.fromkeys(rows))}
        unique = list(place)
        block = Block(
            y=np.zeros(len(unique)),
            x=self.design(arms, unique),
            se=np.array([self.norms.error(arms[asked.arm]) for asked in unique]),
            month=np.array([asked.month for asked in unique]),
            arm=np.array([asked.arm for asked in unique]),
            level=np.array([asked.unit == "level" and not _has_baseline(arms, asked) for asked in unique]),
        )
        offset = np.array([_offset(arms, asked, self.norms) for asked in unique])
        mean = offset + share(block.month, scales, timed) * (b @ block.x.T)
        spread = covariance(block, scales, timed, self.norms.baseline_sd)
        # level and change of one arm and visit may differ by a constant only
        root = np.linalg.cholesky(spread + 1e-9 * np.eye(len(unique)))
        noise = rng.standard_normal((draws, len(unique), 1))
        result: np.ndarray = (mean + (root @ noise)[..., 0])[:, [place[asked] for asked in rows]]
        return result


def _has_baseline(arms: Sequence[TrialArm], asked: Asked) -> bool:
    return arms[asked.arm].baseline_mean is not None


def _offset(arms: Sequence[TrialArm], asked: Asked, norms: Norms) -> float:
    if asked.unit == "change":
        return 0.0
    own = arms[asked.arm].baseline_mean
    return norms.baseline if own is None else own


def norms_of(trials: Mapping[str, Sequence[TrialArm]], rows: Mapping[str, Sequence[Row]]) -> Norms:
    """Summarise baselines, SDs and numbers of persons of trials."""
    printed = {
        trial: [arm.baseline_mean for arm in arms if arm.baseline_mean is not None]
        for trial, arms in trials.items()
    }
    means = [float(np.mean(values)) for values in printed.values() if values]
    baseline = (
        (float(np.mean(means)), float(np.std(means, ddof=1)) * float(np.sqrt(1 + 1 / len(means))))
        if len(means) > 1
        else _BASELINE
    )
    persons = [float(arm.n) for arms in trials.values() for arm in arms if arm.n]
    sds = [
        row.se * float(np.sqrt(n))
        for trial, arms in trials.items()
        for row in rows[trial]
        if (n := arms[row.asked.arm].n) and np.isfinite(row.se)
    ]
    return Norms(*baseline, *(float(np.median(x or [y])) for x, y in ((sds, _SD), (persons, _N))))


def _prepared(
    arms: Sequence[TrialArm],
) -> tuple[dict[str, tuple[TrialArm, ...]], dict[str, tuple[Row, ...]], Norms]:
    trials = by_trial(arms)
    rows = {trial: rows_of(members) for trial, members in trials.items()}
    trials = {trial: members for trial, members in trials.items() if rows[trial]}
    if len(trials) < MIN_TRIALS:
        raise InputError(
            Problem("are too few to pool", field="trials", value=len(trials), allowed=f"{MIN_TRIALS} or more")
        )
    rows = {trial: rows[trial] for trial in trials}
    return trials, rows, norms_of(trials, rows)


def _fit(
    trials: Mapping[str, Sequence[TrialArm]],
    rows: Mapping[str, Sequence[Row]],
    norms: Norms,
    design: Callable[[Sequence[TrialArm], Sequence[Asked]], np.ndarray],
    prior_sd: np.ndarray,
    timed: bool,
    seed: int,
) -> Baseline:
    blocks = []
    for trial, arms in trials.items():
        asked = [row.asked for row in rows[trial]]
        se = np.array([row.se for row in rows[trial]])
        stand_in = np.array([norms.error(arms[a.arm]) for a in asked])
        blocks.append(
            Block(
                y=np.array([row.value - _offset(arms, row.asked, norms) for row in rows[trial]]),
                x=design(arms, asked),
                se=np.where(np.isfinite(se), se, stand_in),
                month=np.array([a.month for a in asked]),
                arm=np.array([a.arm for a in asked]),
                level=np.array([a.unit == "level" for a in asked]),
            )
        )
    model = Mixed(tuple(blocks), prior_sd, timed, norms.baseline_sd)
    return Baseline(sample(model, seed), norms, design)


def nearest_visit(month: float, visits: Sequence[float] = VISITS) -> float:
    """Return the visit nearest to a month, in doublings of ``1 + month``.

    Examples
    --------
    >>> nearest_visit(2.0), nearest_visit(9.0)
    (3.0, 12.0)
    """
    return min(visits, key=lambda visit: abs(np.log2((1 + visit) / (1 + month))))


def fit_pooled_mean(arms: Sequence[TrialArm], seed: int) -> Baseline:
    """Fit the random-effects mean change by class of arm and visit.

    A class is predicted at the nearest visit at which two trials or more report it; a class without such a visit
    takes the mean of all arms at the nearest visit, with the spread between classes.

    Raises
    ------
    InputError
        Fewer than three trials.
    NotCredibleError
        The posterior could not be sampled.
    """
    trials, rows, norms = _prepared(arms)
    seen: dict[tuple[str, float], set[str]] = {}
    for trial, members in trials.items():
        for row in rows[trial]:
            visit = nearest_visit(row.asked.month)
            for name in (arm_class(members[row.asked.arm]), "all"):
                seen.setdefault((name, visit), set()).add(trial)
    enough = {cell for cell, reporting in seen.items() if len(reporting) > 1}
    anywhere = [visit for visit in VISITS if ("all", visit) in enough] or list(VISITS)
    width = len(VISITS) * (1 + len(CLASSES))

    def columns(name: str, visit: float) -> tuple[int, int]:
        place = VISITS.index(visit)
        return place, len(VISITS) * (1 + CLASSES.index(name)) + place

    def design(members: Sequence[TrialArm], asked: Sequence[Asked]) -> np.ndarray:
        x = np.zeros((len(asked), width))
        for i, one in enumerate(asked):
            name = arm_class(members[one.arm])
            at = [visit for visit in VISITS if (name, visit) in enough] or anywhere
            x[i, list(columns(name, nearest_visit(one.month, at)))] = 1.0
        return x

    prior_sd = np.where(np.arange(width) < len(VISITS), 30.0, 0.0)
    return _fit(trials, rows, norms, design, prior_sd, timed=False, seed=seed)


def fit_time_course(arms: Sequence[TrialArm], seed: int) -> Baseline:
    """Fit the time-course meta-analysis: Emax in time by class of arm, with baseline as covariate.

    Raises
    ------
    InputError
        Fewer than three trials.
    NotCredibleError
        The posterior could not be sampled.
    """
    trials, rows, norms = _prepared(arms)

    def design(members: Sequence[TrialArm], asked: Sequence[Asked]) -> np.ndarray:
        x = np.zeros((len(asked), len(CLASSES) + 2))
        for i, one in enumerate(asked):
            arm = members[one.arm]
            x[i, [0, 1 + CLASSES.index(arm_class(arm))]] = -1.0
            if arm.baseline_mean is not None:
                x[i, -1] = -(arm.baseline_mean - norms.baseline) / 10.0
        return x

    prior_sd = np.array([30.0, *[0.0] * len(CLASSES), 5.0])
    return _fit(trials, rows, norms, design, prior_sd, timed=True, seed=seed)


FITS: Mapping[str, Callable[[Sequence[TrialArm], int], Baseline]] = {
    "pooled mean": fit_pooled_mean,
    "time course": fit_time_course,
}
"""The baselines by name."""


def refitted(
    fit: Callable[[Sequence[TrialArm], int], Baseline],
) -> Callable[[Sequence[TrialArm], Sequence[TrialArm], Sequence[Asked], int, int], np.ndarray]:
    """Return the predictor that :mod:`stemtrial.calibration.holdout` calls: fit to the others, predict the trial."""

    def predictor(
        training: Sequence[TrialArm],
        held_out: Sequence[TrialArm],
        rows: Sequence[Asked],
        draws: int,
        seed: int,
    ) -> np.ndarray:
        return fit(training, seed).predict(held_out, rows, draws, seed + 1)

    return predictor
