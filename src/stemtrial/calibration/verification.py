"""Checks of a fit's machinery that run with its validation: the solver, the seed, and published models."""

import math

import numpy as np

from stemtrial.calibration.credibility import Check
from stemtrial.calibration.expected import ArmEffects, Expectation, Situation
from stemtrial.calibration.fit import Fit
from stemtrial.calibration.sampling import BLOCK, Sampler, Shape
from stemtrial.mechanism import equations, reference
from stemtrial.mechanism.schedule import Event, Kind, Schedule, schedule
from stemtrial.mechanism.treatments import Nsaid

MOST_ERROR = 0.5
"""Largest accepted numerical error of an arm's mean pain, points: published means have errors of two to five."""

MOST_GAP = 3.0
"""Largest accepted difference of an expected mean from a published model of a comparator, points."""

SHORT = 25
"""Warm-up of the chains that are compared."""

WEEKS = (2, 6, 8, 12)
"""Visits at which comparators are compared: those of both published models."""


def numerical_error(fit: Fit, seed: int, arms: int = 10) -> Check:
    """Compare courses of a fit's own patients on its time grid with an adaptive integration of the same patients.

    Parameters
    ----------
    fit
        Whose arms and draws are looked at; each arm at a draw of its own.
    seed
        Of the choice of arms and draws.
    arms
        How many of the arms with an action, each with all who represent it.
    """
    model, rng = fit.model, np.random.default_rng([seed, 47])
    expectation = model.expectation
    active = [i for i in expectation.active if i < len(model.arms)]
    if not active:
        return Check("reported", "no arm has an action that is integrated")
    chosen = rng.permutation(active)[:arms]
    flat = fit.draws.reshape(-1, model.dimension)
    of_patient, of_arm = 0.0, 0.0
    for arm in chosen:
        parts = model.parts(flat[rng.integers(len(flat))])
        constants = model.constants(parts)
        effects = model.effects(parts, constants)
        pain = expectation.pain(constants, effects)
        states, patient = expectation.represented(constants, effects, pain)
        own = expectation.active.index(arm)
        visits = np.flatnonzero(np.isin(expectation.arm_of, expectation.active))
        at = expectation.arm_of[visits] == arm
        found = expectation.latent(constants, effects, pain)[at]
        dose = np.asarray(effects.dose)[arm]
        given = expectation.situations[arm].schedule
        known = {name: float(constants[name]) for name in constants}
        # The reference takes doses from the schedule; the fit's factor on them goes to the share that is retained.
        known["f_ret"] *= float(dose)
        exact = np.array([
            reference.solve(
                dict(zip(equations.STATES, states[own, :, lane], strict=True)),
                dict(zip(equations.PATIENT, patient[own, :, lane], strict=True)),
                known, given, expectation.day[visits][at].tolist(), rtol=1e-8, atol=1e-10,
            ).pain
            for lane in range(states.shape[-1])
        ]).T  # fmt: skip
        of_patient = max(of_patient, float(np.abs(found - exact).max()))
        of_arm = max(of_arm, float(np.abs((found - exact).mean(axis=1)).max()))
    return Check(
        "met" if of_arm <= MOST_ERROR else "not met",
        f"{len(chosen)} arms at draws of the posterior: mean pain of an arm off by {of_arm:.3f} points at most, that "
        f"of one of {len(chosen) * states.shape[-1]} patients by {of_patient:.3f}",
        f"{MOST_ERROR:g} points for an arm's mean",
    )


def same_draws(sampler: Sampler, shape: Shape, seed: int) -> Check:
    """Run a short chain twice from one seed and compare every draw."""
    one, two = (sampler.chain(seed, BLOCK, shape) for _ in range(2))
    same = np.array_equal(one.draws, two.draws) and np.array_equal(one.log_density, two.log_density)
    gap = float(np.abs(one.draws - two.draws).max())
    return Check(
        "met" if same else "not met",
        f"two chains of {len(one.draws)} draws of {one.draws.shape[1]} coordinates from one seed: "
        + ("equal to the last bit" if same else f"differ by up to {gap:.2g}"),
        "equal to the last bit",
    )


def comparators(fit: Fit, draws: int = 200) -> Check:
    """Compare what a fit expects of two comparators by mouth with published models of their mean courses.

    Placebo: Wen et al. 2022, change of WOMAC pain (0-50) ``-Emax (1 + theta (baseline - median)) (1 - exp(-k t))`` with
    Emax 4.73, k 0.427 a week, theta 0.0646, median 25. Naproxen less placebo: Boucher and Bennetts 2018, change of
    WOMAC pain (0-10) ``Emax t / (ET50 + t)`` with Emax -1.16 and ln ET50 -0.37, for naproxen 0.79 and 1.17 less. Both
    are taken at baseline pain 50, in a trial whose contextual response is the mean.

    Parameters
    ----------
    fit
        Whose draws are looked at.
    draws
        How many of them, evenly spaced.
    """
    model = fit.model
    flat = fit.draws.reshape(-1, model.dimension)
    flat = flat[np.linspace(0, len(flat) - 1, min(draws, len(flat))).astype(int)]
    c = model.constants(model.parts(flat))
    placebo = Schedule((Event(Kind.CONTEXT_ORAL, 0.0, math.inf),))
    days = tuple(7.0 * week for week in WEEKS)
    arms = Expectation([Situation(placebo, days), Situation(schedule([Nsaid(from_month=0.0)]), days)])
    one = np.ones((len(flat), 2))
    ctx_Emax, k_B = (c[name][:, None] * one for name in ("ctx_Emax", "k_B"))
    change = arms.change(c, ArmEffects(50.0 * one, ctx_Emax, k_B, one, one))
    of_placebo, of_naproxen = change[:, : len(days)], change[:, len(days) :] - change[:, : len(days)]
    week = np.array(WEEKS)
    wen = -2 * 4.73 * (1 - np.exp(-0.427 * week))
    boucher = [
        -10 * (1.16 + more) * week / (np.exp(-0.37 - faster) + week)
        for more, faster in ((0, 0), (0.79, 1.17))
    ]
    said, worst = [], 0.0
    for name, found, published in (
        ("placebo by mouth", of_placebo, wen), ("NSAID less placebo", of_naproxen, boucher[1] - boucher[0])
    ):  # fmt: skip
        gap = found.mean(axis=0) - published
        at = int(np.abs(gap).argmax())
        low, high = np.quantile(found[:, at], [0.025, 0.975])
        worst = max(worst, float(abs(gap[at])))
        said.append(
            f"{name} {found[:, at].mean():.1f} points ({low:.1f} to {high:.1f}) where the published model says "
            f"{published[at]:.1f} (week {week[at]}, the farthest)"
        )
    return Check(
        "met" if worst <= MOST_GAP else "not met", "; ".join(said), f"mean within {MOST_GAP:g} points"
    )
