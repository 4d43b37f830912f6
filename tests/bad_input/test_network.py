"""What cannot be synthesised is refused in one sentence that says why and what to do."""

import pytest
from typer.testing import CliRunner

from stemtrial.cli import app
from stemtrial.errors import InputError, NotCredibleError
from stemtrial.evidence import load
from stemtrial.evidence.armdata import network_data
from stemtrial.evidence.groups import Rules
from stemtrial.evidence.hierarchy import WEAK
from stemtrial.evidence.network import Network
from stemtrial.evidence.networkdata import Comparison, NetworkData
from stemtrial.evidence.sampling import Sampler
from stemtrial.evidence.synthesis import synthesise

RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)


def comparison(trial, treatment, reference, y):
    return Comparison(trial, 6.0, "x", "y", treatment, reference, y, 2, 2, 99, 0, 0, False, "low", ())


DATA = NetworkData(tuple(comparison(f"t{i}", "b", "a", y) for i, y in enumerate((-4.0, -2.0, -9.0))), ())


def test_disconnected_network():
    rows = [comparison("t1", "b", "a", -4.0), comparison("t2", "d", "c", -4.0)]
    with pytest.raises(InputError, match="no common comparator"):
        Network.of(rows, ("a", "b", "c", "d"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": "saline"}, "not in the network"),
        ({"month": None}, "give month and window, or knots"),
        ({"knots": (1.0,)}, "give month and window, or knots"),
        ({"window": (7, 9)}, "is no window"),
        ({"month": 9, "window": (8, 10)}, "no trial has a visit"),
        ({"month": None, "window": None, "knots": (6.0, 1.0)}, "do not ascend"),
    ],
)
def test_impossible_questions(change, message):
    asked = {"priors": WEAK, "sampler": Sampler(seed=1), "reference": "a", "month": 6, "window": (3, 9)}
    with pytest.raises(InputError, match=message):
        synthesise(DATA, **(asked | change))


def test_impossible_sampler():
    with pytest.raises(InputError, match="chains = 1 is too small"):
        Sampler(seed=1, chains=1)


def test_chains_too_short_to_trust():
    with pytest.raises(NotCredibleError, match=r"did not converge.*Try") as caught:
        synthesise(
            DATA,
            priors=WEAK,
            sampler=Sampler(seed=1, warmup=5, draws=10, thin=1),
            reference="a",
            month=6,
            window=(3, 9),
        )
    assert caught.value.exit_code == 3


def test_nothing_to_compare():
    with pytest.raises(InputError, match="no trial of hip_oa compares treatments on pain"):
        network_data(
            load(),
            indication="hip_oa",
            construct="pain",
            scheme="all_cells",
            rules=RULES,
            unblinded=(),
            by_dose=False,
            randomised_only=True,
        )


def test_a_dose_slope_over_all_cells_is_refused():
    arguments = ["evidence", "network", "--indication", "knee_oa", "--outcome", "pain", "--months", "6"]
    found = CliRunner().invoke(app, [*arguments, "--dose", "--scheme", "all_cells"])
    assert isinstance(found.exception, InputError)
    assert "--dose = all_cells goes with --scheme product_class only" in str(found.exception)
