"""The smallest next trial: shares read off quantiles against trials drawn at random.

A drawn share of n = 600 has standard error at most 0.0205; with 25 quantiles the read share lies within 1/25 of the
exact one. Five standard errors beside that are missed with probability below 1e-6 a size.
"""

import numpy as np
import pytest

from stemtrial.claims import nexttrial
from stemtrial.claims.claim import shipped
from stemtrial.claims.estimating import estimate, probability
from stemtrial.claims.studies import collect
from stemtrial.evidence import load

DRAWN = 600


@pytest.mark.parametrize("persons", [40, 150, 600])
@pytest.mark.parametrize(("towards", "true"), [("supported", -10.0), ("contradicted", 3.0)])
def test_share_of_results_is_that_of_drawn_trials(persons, towards, true):
    part = shipped()["complements"].parts["added"]
    data = collect(part, load()).data
    found = estimate(part, data)
    rng = np.random.default_rng(20_260)
    # another way to the same: the trial's own true effect first, then its error
    effects = true + np.sqrt(found.tau2) * rng.standard_normal(DRAWN)
    v = 4 * part.next_trial.sd**2 / persons
    seen = effects + np.sqrt(v) * rng.standard_normal(DRAWN)
    spread = np.sqrt(found.tau2 + v)
    ps = [
        probability(part, (*data, nexttrial._trial(part, data, found, true, persons, (y - true) / spread)))
        for y in seen
    ]
    drawn = np.mean([p >= 0.95 if towards == "supported" else p <= 0.05 for p in ps])
    read = nexttrial._share(part, data, found, towards, true, persons)
    assert read == pytest.approx(drawn, abs=1 / 25 + 5 * 0.0205)
