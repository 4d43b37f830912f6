"""A made fit: chains of independent draws around the prior, so that all that follows a fit can be tested in seconds."""

import numpy as np

from stemtrial.calibration.comparators import comparator_effects
from stemtrial.calibration.fit import Fit, Settings
from stemtrial.calibration.fitfolder import arms_to_fit, identity, write_fit
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.fitrecord import Fitted
from stemtrial.calibration.mixture import Compared
from stemtrial.calibration.preview import Preview
from stemtrial.calibration.sampling import Chain
from stemtrial.calibration.structures import STRUCTURES
from stemtrial.cli.calibrating import finish
from stemtrial.evidence import load

ARMS = """trial_id,arm_id,indication,intervention,cell_source,origin,product,dose_million_cells,blinding,n,\
baseline_pain_mean,baseline_pain_sd,time_months,follow_up_mean,sd
m1,saline,knee_oa,saline,,,,,double,40,58,14,3,49,20
m1,saline,knee_oa,saline,,,,,double,40,58,14,6,48,21
m1,cells,knee_oa,cell_therapy,bone_marrow,autologous,culture_expanded,40,double,40,58,14,3,40,20
m1,cells,knee_oa,cell_therapy,bone_marrow,autologous,culture_expanded,40,double,40,58,14,6,36,21
m2,ha,knee_oa,hyaluronic_acid,,,,,open,30,,,6,44,19
m2,cells,knee_oa,cell_therapy,adipose,autologous,svf,,open,30,,,6,35,
m3,cells,knee_oa,cell_therapy,bone_marrow,autologous,culture_expanded,20,open,12,62,15,12,40,18
m4,saline,knee_oa,saline,,,,,double,50,55,13,6,47,20
m4,cells,knee_oa,cell_therapy,umbilical_cord,allogeneic,culture_expanded,20,double,50,55,13,6,41,20
"""
WEIGHTS = {"paracrine": 0.75, "contextual": 0.25}


def made_chains(model, settings, seed, spread=0.5):
    """Chains of independent normal numbers, which converge by construction."""
    rng = np.random.default_rng(seed)
    shape = (settings.draws, model.dimension)
    return Fit(
        model,
        settings,
        tuple(
            Chain(spread * rng.standard_normal(shape), np.zeros(shape[0]), np.zeros(shape[0], bool),
                  np.full(shape[0], 15), 0.1)
            for _ in range(settings.chains)
        ),
        1.0,
    )  # fmt: skip


def made_fitted(file):
    """A fit of two structures to the arms of a file alone."""
    evidence = load()
    arms, user = arms_to_fit(evidence, "knee_oa", file, only=True)
    pooled = comparator_effects(evidence, "knee_oa").effects
    settings = Settings(draws=250)
    fits = {
        name: made_chains(FitModel.of(arms, pooled, STRUCTURES[name]), settings, seed)
        for seed, name in enumerate(WEIGHTS)
    }
    model = fits["paracrine"].model
    seen = Preview(len(model.trials), len(model.arms), len(model.rows.y), len(pooled), {}, {"dose_million": 1},
                   dict(model.sizes), 0.01, 1e-8)  # fmt: skip
    compared = tuple(
        Compared(name, -30.0 - k, 2.0, -float(k), 1.0, 0.3, (), float(k == 0), w)
        for k, (name, w) in enumerate(WEIGHTS.items())
    )
    return Fitted(arms, user, evidence.hash, settings, fits, compared, seen)


def made_folder(folder):
    """The folder that ``stemtrial fit`` would write for it."""
    file = folder.with_name("own.csv")
    file.write_text(ARMS, encoding="utf-8")
    fitted = made_fitted(file)
    folder.mkdir()
    _, _, document = write_fit(folder, fitted, file, "stemtrial fit --indication knee_oa")
    finish(folder, document, identity(fitted, only=True), 1.0)
    return fitted
