"""Impossible findings, options and baselines."""

import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.evidence.benefitharm import benefit_harm
from stemtrial.evidence.certainty import Finding
from stemtrial.evidence.eventrisk import event_risks

FINE = {
    "treatment": "cells",
    "comparator": "saline",
    "construct": "pain",
    "estimate": -8.0,
    "interval": (-11.0, -5.0),
    "prediction": None,
    "i2": None,
    "tau2": None,
    "k": 1,
    "n": 60.0,
    "risk_of_bias": {"a": "low"},
    "weights": None,
    "sd": 22.0,
    "mcid": 10.0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interval": (-5.0, -3.0)}, "interval = -5 to -3 is impossible"),
        ({"mcid": 0.0}, "mcid"),
        ({"sd": -1.0}, "sd"),
        ({"i2": 101.0}, "i2"),
        ({"risk_of_bias": {}}, "risk_of_bias"),
        ({"risk_of_bias": {"a": "medium"}}, "medium"),
        ({"weights": {"b": 1.0}}, "weights"),
        ({"indirect": ("colour",)}, "colour"),
        ({"n": float("nan")}, "n = nan"),
    ],
)
def test_impossible_findings(change, message):
    with pytest.raises(InputError, match=message):
        Finding(**(FINE | change))


@pytest.mark.parametrize(
    ("option", "baselines", "message"),
    [
        ("opiod", {}, "nearest: opioid"),
        ("opioid", {("opioid", "addiction"): 5.0}, "for a relative row"),
        ("nsaid", {("oral_nsaid", "acute kidney injury"): 1200.0}, "0 to 1000"),
    ],
)
def test_impossible_tables(option, baselines, message):
    with pytest.raises(InputError, match=message):
        benefit_harm(load(), indication="knee_oa", options=[option], effects={}, baselines_per_1000=baselines)


def test_indication_without_events():
    with pytest.raises(InputError, match="no adverse events"):
        event_risks(load(), indication="hand_oa")
