"""Pages of a network and of benefit beside harm: the numbers of the records, nothing fitted here."""

import json
from dataclasses import fields

import numpy as np
import pytest
from typer.testing import CliRunner

from stemtrial.cli import app
from stemtrial.evidence import load
from stemtrial.evidence.benefitharm import benefit_harm
from stemtrial.evidence.eventrisk import event_risks
from stemtrial.evidence.hierarchy import Posterior
from stemtrial.evidence.networkdata import Comparison, NetworkData
from stemtrial.evidence.sampling import Convergence
from stemtrial.evidence.synthesis import Effect, Synthesis
from stemtrial.report.benefitharmpage import BAND, benefit_harm_page, plane
from stemtrial.report.networkpage import effects_table, network_finding, network_page, review
from stemtrial.report.synthesispage import render
from stemtrial.report.wording import interval, number

TRIALS = (
    ("kim_2023", "admsc", "placebo", "cells", "placebo", -9.0),
    ("vega_2015", "msc", "ha", "cells", "hyaluronic_acid", -15.0),
    ("bennell_2021", "prp", "saline", "prp", "placebo", -2.0),
    ("dorio_2021", "prp", "saline", "prp", "placebo", 1.0),
)


def row(trial, arm, control, treatment, reference, y, month=6.0):
    return Comparison(
        trial, month, arm, control, treatment, reference, y, 3.0, 3.0, 100.0, 0.0, 1, False, "low", ()
    )


@pytest.fixture(scope="module")
def evidence():
    return load()


def fitted(knots=None, rows=None):
    """A network whose posterior is known: independent normal draws around chosen means."""
    nodes = ("placebo", "cells", "hyaluronic_acid", "prp")
    rng = np.random.default_rng(7)
    width = 1 if knots is None else len(knots)
    means = np.repeat([-9.0, 6.0, -1.0], width)
    scales = {"tau": np.full(4000, 2.0)}
    quality = dict.fromkeys((f.name for f in fields(Convergence)), 0)
    quality |= {"r_hat": 1.001, "ess": 3000.0, "draws": 4000}
    known = {
        "columns": tuple(f"b{i}" for i in range(means.size)),
        "b": means + rng.normal(0, 1.0, (4000, means.size)),
        "scales": scales,
        "convergence": Convergence(**quality),
    }
    assert {f.name for f in fields(Posterior)} == set(known)
    return Synthesis(
        treatments=nodes,
        data=NetworkData(tuple(rows or [row(*t) for t in TRIALS]), (("anz_2020", "no visit in the window"),)),
        posterior=Posterior(**known),
        knots=None if knots is None else np.array(knots),
        month=6.0 if knots is None else None,
        method="known draws",
    )


def test_effects_on_the_page_are_those_of_the_record(evidence):
    found = review(fitted(), indication="knee_oa", outcome="pain", months=(6.0,))
    table = effects_table(found)
    for effect, cells in zip(found.effects, table.rows, strict=True):
        assert cells[4:] == (number(effect.value), interval(*effect.interval), interval(*effect.prediction))
    html = render(network_page(found, evidence, "stemtrial x", [("Model", "known")], 10.0))
    assert interval(*found.effects[0].interval) in html
    assert "anz_2020" in html
    assert "R-hat at most 1.001" in html


def test_the_finding_counts_intervals_that_exclude_no_difference():
    found = review(fitted(), indication="knee_oa", outcome="pain", months=(6.0,))
    text = network_finding(found)
    # cells at -9 ± 2 do; hyaluronic acid at +6 does but only indirectly; prp at -1 does not
    assert "excludes no difference for 1 of 3 treatments" in text
    assert "prediction interval of a further blinded trial for 1" in text


def test_treatments_without_a_path_have_no_number():
    rows = [row(*t) for t in TRIALS] + [row("dulic_2021", "bmac", "ha", "nsaid", "exercise", -4.0)]
    synthesis = fitted(rows=rows)
    effect = synthesis.effect("nsaid", "placebo")
    assert (effect.status, effect.value) == ("no_common_comparator", None)
    found = review(synthesis, indication="knee_oa", outcome="pain", months=(6.0,))
    cells = next(cells for cells in effects_table(found).rows if cells[0] == "NSAID")
    assert (cells[1], cells[4:]) == ("no common comparator", ("", "", ""))


def test_a_course_has_a_panel_a_treatment_and_observed_trials_in_the_right_direction(evidence):
    turned = [row("kim_2023", "placebo", "admsc", "placebo", "cells", 9.0), *(row(*t) for t in TRIALS[1:])]
    found = review(fitted((1.0, 3.0, 12.0), turned), indication="knee_oa", outcome="pain", months=(3.0, 6.0))
    page = network_page(found, evidence, "x", [], 10.0)
    graph, course = page.figures
    assert (graph.key, len(course.panels)) == ("network", 3)
    assert [e.month for e in found.effects] == [3.0, 3.0, 3.0, 6.0, 6.0, 6.0]
    assert {(r[0], r[1], r[2]) for r in graph.panels[0].table.rows} == {
        ("Cells", "Placebo", "1"),
        ("Cells", "Hyaluronic acid", "1"),
        ("Placebo", "PRP", "2"),
    }
    from stemtrial.report.networkpage import _observed

    ((month, value, low, high),) = _observed(turned, "cells", "placebo")
    assert (month, value) == (6.0, -9.0)
    assert (low, high) == pytest.approx((-9 - 1.959964 * 18**0.5, -9 + 1.959964 * 18**0.5))


def test_plane_shows_options_with_both_numbers_only(evidence):
    effect = Effect("prp", "placebo", 6.0, -5.0, 2.0, (-9.0, -1.0), None, 0.95, 2, 100.0, "m", "ok")
    options = benefit_harm(
        evidence,
        indication="knee_oa",
        options=("prp", "nsaid", "corticosteroid"),
        effects={"prp": [effect], "nsaid": [effect]},
        baselines_per_1000={},
    )
    risks = event_risks(evidence, indication="knee_oa")
    figure = plane(options, risks, 10.0)
    (line,) = figure.panels[0].table.rows
    risk = next(r for r in risks if (r.option, r.category, r.months) == ("prp", "serious_any", BAND))
    assert line[:4] == ("PRP", "5.0", "1.0 to 9.0", number(risk.per_1000))
    page = benefit_harm_page(
        options, risks, evidence, indication="knee_oa", month=6.0, mcid=10.0, command="x", choices=[]
    )
    html = render(page)
    for each in options:
        for harm in each.harms:
            assert harm.population.split("<")[0].split("&")[0].split("'")[0] in html


def test_benefit_harm_command_equals_the_library(tmp_path):
    result = CliRunner().invoke(
        app,
        ["evidence", "benefit-harm", "--indication", "knee_oa", "--json", "--out", str(tmp_path / "bh")],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    found = {option["option"]: option for option in document["options"]}
    assert {"cells_autologous", "cells_donor", "nsaid", "opioid", "knee_replacement"} <= found.keys()
    (opioid,) = found["opioid"]["benefits"]
    assert (opioid["value"], opioid["comparator"]) == (-4.59, "oral_placebo")
    assert {"addiction", "fatal overdose"} <= {line["event"] for line in found["opioid"]["harms"]}
    assert (tmp_path / "bh" / "benefit-harm.svg").exists()


def test_one_visit_takes_one_month():
    from stemtrial.errors import InputError

    with pytest.raises(InputError, match="add --course"):
        CliRunner().invoke(
            app,
            [
                "evidence",
                "network",
                "--indication",
                "knee_oa",
                "--outcome",
                "pain",
                "--months",
                "3",
                "--months",
                "6",
            ],
            catch_exceptions=False,
        )
