"""Joint distribution of the baseline covariates: normal copula, truncated normal margins."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from scipy.special import ndtri

from stemtrial.draws import Identities, Stream, normals
from stemtrial.population.spec import PopulationSpec
from stemtrial.population.truncated import TruncatedNormal

COVARIATES = ("age", "bmi", "female", "grade", "pain")


@cache
def correlations() -> np.ndarray:
    """Correlation matrix of the normal scores of ``COVARIATES``; every entry has its basis in the shipped table."""
    matrix = np.eye(len(COVARIATES))
    with files("stemtrial.population").joinpath("data/correlations.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            i, j = COVARIATES.index(row["first"]), COVARIATES.index(row["second"])
            matrix[i, j] = matrix[j, i] = float(row["value"])
    matrix.setflags(write=False)
    return matrix


@dataclass(frozen=True)
class Covariates:
    """Covariates of patients, each (groups, patients); ``pain`` is what they report at screening, 0-100."""

    age: np.ndarray
    bmi: np.ndarray
    female: np.ndarray
    grade: np.ndarray
    pain: np.ndarray
    pain_margin: TruncatedNormal


@cache
def margins(spec: PopulationSpec) -> Mapping[str, TruncatedNormal]:
    """Return the distributions of the continuous covariates whose moments after truncation are the declared ones."""
    return MappingProxyType(
        {
            name: TruncatedNormal.matching(c.mean, c.sd, *c.support, field=f"population.{name}")
            for name, c in (("age", spec.age), ("bmi", spec.bmi), ("baseline_pain", spec.baseline_pain))
        }
    )


def draw(
    spec: PopulationSpec, seed: int, replicates: np.ndarray, first: Identities, patients: int
) -> Covariates:
    """Draw the covariates of enrolled patients.

    Parameters
    ----------
    spec
        Population as declared; means and SDs are those of the enrolled.
    seed, replicates, first, patients
        Address of the draws (:func:`stemtrial.draws.uniforms`).
    """
    margin = margins(spec)
    z = normals(seed, Stream.COVARIATES, replicates, first, patients, len(COVARIATES))
    factor = np.linalg.cholesky(correlations())
    score = [
        sum(factor[i, j] * z[j] for j in range(i + 1) if factor[i, j] != 0) for i in range(len(COVARIATES))
    ]
    grades = np.array(list(spec.severity), dtype=np.int64)
    shares = np.cumsum(list(spec.severity.values()))[:-1]
    return Covariates(
        age=margin["age"].from_normal(score[0]),
        bmi=margin["bmi"].from_normal(score[1]),
        female=score[2] < ndtri(spec.female),
        grade=grades[np.searchsorted(ndtri(shares), score[3], side="right")],
        pain=margin["baseline_pain"].from_normal(score[4]),
        pain_margin=margin["baseline_pain"],
    )
