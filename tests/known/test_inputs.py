"""Inputs against their closed forms written a second time, their derivatives against differences."""

import numpy as np
import pytest

from stemtrial.mechanism import equations, parameters
from stemtrial.mechanism.inputs import INPUT_CONSTANTS, evaluate, evaluate_groups, tabulate
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Event, Kind, Schedule, schedule
from stemtrial.mechanism.treatments import Exercise, Nsaid, Saline

V = parameters.values()
CONSTANTS = np.array([V[name] for name in INPUT_CONSTANTS])
INF = np.inf


def at(events, day, piece=None):
    """Inputs and derivatives by name; the piece begins at the last switch unless stated."""
    given = Schedule(tuple(sorted(events, key=lambda e: e.start)))
    if piece is None:
        piece = max([0.0, *(d for d in given.switches() if d <= day)])
    u, du = np.empty(len(equations.INPUTS)), np.empty(len(equations.INPUTS))
    evaluate(*given.arrays(), CONSTANTS, piece, day, u, du)
    return dict(zip(equations.INPUTS, u, strict=True)), dict(zip(equations.INPUTS, du, strict=True))


def test_flare_decays_and_grows_with_the_root_of_the_dose():
    events = [Event(Kind.CELLS, 0, INF, 50), Event(Kind.CELLS, 30, INF, 200)]
    expected = V["j0"] * np.exp(-V["k_j"] * 34) + V["j0"] * 2 * np.exp(-V["k_j"] * 4)
    assert at(events, 34)[0]["flare"] == pytest.approx(expected, rel=1e-12)


def test_steroid_saturates_in_what_is_left_of_all_injections():
    events = [Event(Kind.STEROID, 0, INF), Event(Kind.STEROID, 84, INF)]
    left = np.exp(-V["k_cs"] * 100) + np.exp(-V["k_cs"] * 16)
    assert at(events, 100)[0]["steroid"] == pytest.approx(V["I_max"] * left / (V["A50"] + left), rel=1e-12)


def test_hyaluronic_acid_follows_a_bateman_curve_with_its_peak_on_day_44():
    events = [Event(Kind.HYALURONIC_ACID, 0, INF)]
    days = np.arange(1, 200, 0.1)
    course = np.array([at(events, day)[0]["ha"] for day in days])
    assert course.max() == pytest.approx(V["h_max"], rel=1e-6)
    assert days[course.argmax()] == pytest.approx(43.6, abs=0.2)
    ratio = (np.exp(-V["k_e"] * 100) - np.exp(-V["k_a"] * 100)) / (
        np.exp(-V["k_e"] * 10) - np.exp(-V["k_a"] * 10)
    )
    assert at(events, 100)[0]["ha"] / at(events, 10)[0]["ha"] == pytest.approx(ratio, rel=1e-12)


def test_analgesics_fade_and_combine_as_independent_fractions():
    nsaid, paracetamol = Event(Kind.NSAID, 0, INF), Event(Kind.PARACETAMOL, 20, INF)

    def effect(size, days):
        return size * (1 - V["om_N"] * (1 - np.exp(-days / V["tau_N"])))

    assert at([nsaid], 50)[0]["nsaid"] == pytest.approx(effect(V["eps_N"], 50), rel=1e-12)
    both = 1 - (1 - effect(V["eps_N"], 50)) * (1 - effect(V["eps_para"], 30))
    assert at([nsaid, paracetamol], 50)[0]["nsaid"] == pytest.approx(both, rel=1e-12)


def test_opioid_is_titrated():
    assert at([Event(Kind.OPIOID, 10, INF)], 17)[0]["opioid"] == pytest.approx(1 - np.exp(-0.7), rel=1e-12)


def test_exercise_builds_up_and_is_lost_afterwards():
    events = [Event(Kind.EXERCISE, 0, 90)]
    trained = 1 - np.exp(-V["k_on"] * 90)
    assert at(events, 45)[0]["exercise"] == pytest.approx(1 - np.exp(-V["k_on"] * 45), rel=1e-12)
    assert at(events, 190)[0]["exercise"] == pytest.approx(trained * np.exp(-V["k_off"] * 100), rel=1e-12)


def test_context_is_that_of_the_strongest_treatment_going_on():
    oral, programme = Event(Kind.CONTEXT_ORAL, 0, 90), Event(Kind.CONTEXT_PROGRAMME, 0, 180)
    injection = Event(Kind.CONTEXT_INJECTION, 60, INF)
    assert at([oral, programme], 30)[0]["route"] == 1.0
    assert at([oral, programme], 100)[0]["route"] == V["route_programme"]
    assert at([oral, programme], 200)[0]["route"] == 0.0
    assert at([oral, programme, injection], 70)[0]["route"] == V["route_injection"]


def test_inputs_at_a_switch_are_left_limits():
    """On the day a course ends its inputs are still those of the piece that ends there."""
    events = [Event(Kind.NSAID, 0, 30), Event(Kind.STEROID, 30, INF)]
    before, after = at(events, 30, piece=0.0)[0], at(events, 30)[0]
    assert before["nsaid"] > 0.3
    assert before["steroid"] == 0
    assert after["nsaid"] == 0
    assert after["steroid"] == pytest.approx(V["I_max"] / (1 + V["A50"]))


EVERYTHING = [
    Event(Kind.CELLS, 0, INF, 70), Event(Kind.STEROID, 2, INF), Event(Kind.STEROID, 9, INF),
    Event(Kind.HYALURONIC_ACID, 1, INF), Event(Kind.HYALURONIC_ACID, 7, INF), Event(Kind.NSAID, 3, INF),
    Event(Kind.PARACETAMOL, 4, INF), Event(Kind.OPIOID, 5, INF), Event(Kind.EXERCISE, 0, 8),
    Event(Kind.EXERCISE, 9, INF), Event(Kind.CONTEXT_INJECTION, 0, INF),
]  # fmt: skip


@pytest.mark.parametrize("day", [9.5, 12.0, 40.0, 200.0])
def test_derivatives_are_those_of_the_inputs(day):
    step = 1e-4
    slope = at(EVERYTHING, day)[1]
    up, down = (at(EVERYTHING, day + d, piece=9.0)[0] for d in (step, -step))
    for name in equations.INPUTS:
        assert slope[name] == pytest.approx((up[name] - down[name]) / (2 * step), rel=1e-5, abs=1e-8)


def test_tables_hold_the_inputs_at_the_stage_times():
    events = Schedule(tuple(EVERYTHING)).arrays()
    constants = np.array([CONSTANTS, CONSTANTS * 0.9])
    h, stages = np.array([0.5, 2.0, 7.5]), np.array([0.0, 0.4, 1.0])
    table = np.empty((2, 3, 4, len(equations.INPUTS)))
    tabulate(*events, constants, 9.0, h, stages, table)
    u, du = np.empty(len(equations.INPUTS)), np.empty(len(equations.INPUTS))
    for g in range(2):
        for k, start in enumerate((9.0, 9.5, 11.5)):
            for s, stage in enumerate(stages):
                evaluate(*events, constants[g], 9.0, start + stage * h[k], u, du)
                assert table[g, k, s] == pytest.approx(u, abs=1e-20)
                if s == 0:
                    assert table[g, k, 3] == pytest.approx(du, abs=1e-20)
    today = np.empty((2, len(equations.INPUTS)))
    evaluate_groups(*events, constants, 9.0, 19.0, today)
    evaluate(*events, constants[1], 9.0, 19.0, u, du)
    assert today[1] == pytest.approx(u, abs=1e-20)


def test_treatments_become_dated_events():
    given = schedule([Exercise(from_month=0, to_month=3), Saline(at_months=(0, 6)), Nsaid(from_month=1)])
    assert {(e.kind, round(e.start / DAYS_PER_MONTH, 9), e.stop) for e in given.events} == {
        (Kind.EXERCISE, 0, 3 * DAYS_PER_MONTH),
        (Kind.CONTEXT_PROGRAMME, 0, 3 * DAYS_PER_MONTH),
        (Kind.CONTEXT_INJECTION, 0, INF),
        (Kind.NSAID, 1, INF),
        (Kind.CONTEXT_ORAL, 1, INF),
    }
    assert given.allogeneic is None
