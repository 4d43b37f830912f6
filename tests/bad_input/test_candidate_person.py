"""Impossible persons, visits and requests end in messages that say where and what."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from stemtrial.calibration.belief import belief
from stemtrial.candidate.backtest import backtest
from stemtrial.candidate.options import combine, named, standard
from stemtrial.candidate.outlook import outlook
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.updating import follow_up
from stemtrial.candidate.visits import Visit
from stemtrial.errors import InputError

OPTIONS = standard("knee_oa")
CELLS = OPTIONS[5]
WITHOUT_DOSE = next(option for option in OPTIONS if option.text)
PERSON = Person("knee_oa", pain=60)
KNOWN = belief("knee_oa")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": 17}, "age = 17 is not possible; allowed: 18 to 100"),
        ({"age": math.nan}, "age = nan is not possible; allowed: 18 to 100"),
        ({"bmi": 7}, "bmi = 7 is not possible; allowed: 12 to 70"),
        ({"grade": 5}, "grade = 5 is not possible; allowed: 0 to 4"),
        ({"grade": 2.5}, "grade = 2.5 is not a whole grade; allowed: 0 to 4"),
        ({"pain": 101}, "pain = 101 is not possible; allowed: 0 to 100"),
        ({"function": -1}, "function = -1 is not possible; allowed: 0 to 100"),
        ({"indication": "disc_degeneration"}, "indication = disc_degeneration cannot be simulated"),
    ],
)
def test_impossible_person(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        Person(**{"indication": "knee_oa", **values})


def test_every_fault_of_a_person_is_reported() -> None:
    with pytest.raises(InputError) as error:
        Person("knee_oa", age=10, pain=200)
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"month": 0, "pain": 50},
            "visits.month = 0 is no month of follow-up; allowed: above 0 and up to 24",
        ),
        ({"month": 25, "pain": 50}, "visits.month = 25 is no month of follow-up"),
        ({"month": 3, "pain": 120}, "visits.pain = 120 is not possible; allowed: 0 to 100"),
        ({"month": 3, "function": math.inf}, "visits.function = inf is not possible"),
        ({"month": 3}, "visits has no reading; give pain, function or both"),
        (
            {"month": 3, "pain": 5, "rescue": "aspirin"},
            "visits.rescue = aspirin is not known; allowed: nsaid",
        ),
    ],
)
def test_impossible_visit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Visit(**values)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: named("knee_oa", ["salt"]),
            "options = salt is not an option; allowed: education_exercise, nsaid",
        ),
        (lambda: combine(CELLS, CELLS), "cannot be combined: contain the same treatment"),
        (lambda: combine(CELLS, WITHOUT_DOSE), "cannot be combined: no numbers"),
        (lambda: outlook(PERSON, (), KNOWN, 1), "options is empty; name at least one option"),
        (lambda: outlook(PERSON, (CELLS, CELLS), KNOWN, 1), f"options = {CELLS.name} is named twice"),
        (
            lambda: outlook(PERSON, (CELLS,), KNOWN, 1, draws=9),
            "draws = 9 is too small; allowed: 100 or more",
        ),
        (
            lambda: outlook(PERSON, (CELLS,), KNOWN, 1, within=1),
            "within = 1 is too small; allowed: 10 or more",
        ),
        (lambda: follow_up(PERSON, CELLS, [], KNOWN, 1, particles=10), "particles = 10 is too small"),
        (lambda: follow_up(PERSON, WITHOUT_DOSE, [], KNOWN, 1), "cannot be followed: no numbers"),
        (
            lambda: follow_up(PERSON, CELLS, [Visit(3, pain=5), Visit(1, pain=5)], KNOWN, 1),
            "visits.month = 1 does not come after the visit before it; list the visits in the order of time",
        ),
        (
            lambda: follow_up(
                PERSON, CELLS, [Visit(1, pain=5, rescue="nsaid"), Visit(3, pain=5, rescue="nsaid")], KNOWN, 1
            ),
            "visits.rescue = nsaid is begun twice",
        ),
        (lambda: backtest(CELLS, KNOWN, 1, persons=3), "persons = 3 is too small; allowed: 20 or more"),
        (
            lambda: backtest(CELLS, KNOWN, 1, known=("shoe",)),
            "known = shoe is not known of a person; allowed: age",
        ),
        (lambda: backtest(WITHOUT_DOSE, KNOWN, 1), "cannot be followed: no numbers"),
        (lambda: participants("hip_oa"), "indication = hip_oa has no arm that describes"),
    ],
)
def test_impossible_request(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)
