"""Quality of the draws. Seeds are fixed, so a test cannot fail by chance twice; with a fresh seed each assertion would
fail with probability 1e-6 for a perfect generator.
"""

import numpy as np
import pytest
from scipy import stats

from stemtrial.draws import Stream, dirichlet, normals, uniforms

ALARM = 1e-6
REPLICATES, PATIENTS, COUNT = np.arange(100), 250, 8
N = len(REPLICATES) * PATIENTS


@pytest.fixture(scope="module")
def uniform():
    return uniforms(2024, Stream.CONDUCT, REPLICATES, 0, PATIENTS, COUNT)


@pytest.fixture(scope="module")
def normal():
    return normals(2025, Stream.BIOLOGY, REPLICATES, 0, PATIENTS, COUNT)


def test_uniform_draws_are_uniform(uniform):
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > ALARM
    counts = np.histogram(uniform, bins=1000, range=(0, 1))[0]
    assert stats.chisquare(counts).pvalue > ALARM
    lowest_bits = (uniform.ravel() * 2**32).astype(np.uint64) % 256
    assert stats.chisquare(np.bincount(lowest_bits.astype(int), minlength=256)).pvalue > ALARM


def test_every_index_is_uniform_on_its_own(uniform):
    for row in uniform:
        assert stats.kstest(row.ravel(), "uniform").pvalue > ALARM / COUNT


def test_normal_draws_are_normal(normal):
    assert stats.kstest(normal.ravel(), "norm").pvalue > ALARM
    limit = stats.norm.isf(ALARM / 2)
    n = normal.size
    assert abs(normal.mean()) < limit / np.sqrt(n)
    assert abs(normal.var() - 1) < limit * np.sqrt(2 / n)
    assert abs((normal**3).mean()) < limit * np.sqrt(15 / n)
    assert abs((normal**4).mean() - 3) < limit * np.sqrt(96 / n)


def _independent(a, b):
    """Correlation, and a 16 by 16 table of the ranks, as for independent numbers."""
    r = np.corrcoef(a, b)[0, 1]
    assert abs(r) < stats.norm.isf(ALARM / 2) / np.sqrt(len(a))
    table = np.histogram2d(stats.norm.cdf(a), stats.norm.cdf(b), bins=16, range=((0, 1), (0, 1)))[0]
    assert stats.chisquare(table.ravel()).pvalue > ALARM


def test_neighbours_are_independent(normal):
    """Next index, next patient, next replicate."""
    _independent(normal[:-1].ravel(), normal[1:].ravel())
    _independent(normal[:, :, :-1].ravel(), normal[:, :, 1:].ravel())
    _independent(normal[:, :-1].ravel(), normal[:, 1:].ravel())


@pytest.mark.parametrize("seed", [2026, 2025 + 2**32])
def test_seeds_are_independent(normal, seed):
    other = normals(seed, Stream.BIOLOGY, REPLICATES, 0, PATIENTS, COUNT)
    _independent(normal.ravel(), other.ravel())


def test_streams_are_independent(normal):
    for stream in set(Stream) - {Stream.BIOLOGY}:
        other = normals(2025, stream, REPLICATES, 0, PATIENTS, 1)
        _independent(normal[0].ravel(), other.ravel())


def test_no_draw_is_repeated(uniform):
    """Of 200,000 words of 32 bits about 4.7 pairs agree by chance; 25 or more would with probability 1e-10."""
    assert uniform.size - len(np.unique(uniform)) < 25


def test_dirichlet_has_its_margins_and_correlations():
    """Beta margins (shapes below and above one), means, and the negative correlation of the parts."""
    shape = np.array([4.55, 2.45, 1.0, 0.4])
    x = dirichlet(7, Stream.SHARES, REPLICATES, 0, PATIENTS, np.tile(shape, (len(REPLICATES), 1)))
    total = shape.sum()
    assert x.sum(0) == pytest.approx(1, abs=1e-14)
    assert (x > 0).all()
    for part, a in zip(x, shape, strict=True):
        assert stats.kstest(part.ravel(), stats.beta(a, total - a).cdf).pvalue > ALARM / 4
    expected = -np.sqrt(shape[0] * shape[1] / ((total - shape[0]) * (total - shape[1])))
    found = np.corrcoef(x[0].ravel(), x[1].ravel())[0, 1]
    assert abs(found - expected) < stats.norm.isf(ALARM / 2) * (1 - expected**2) / np.sqrt(N) * 1.2
