"""``evidence meta`` as a user runs it."""

import csv
import io
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from command import here
from stemtrial.cli import app
from stemtrial.evidence import load
from stemtrial.evidence.contrasts import contrasts
from stemtrial.evidence.groups import Rules
from stemtrial.evidence.pairwise import pool

PAIN = ("--indication", "knee_oa", "--comparator", "saline", "--outcome", "pain", "--months", "6")
HA = ("--indication", "knee_oa", "--comparator", "hyaluronic_acid", "--outcome", "pain", "--months", "12")


def run(*arguments):
    return here("evidence", "meta", *arguments)


def invoke(*arguments, columns=160):
    result = CliRunner().invoke(
        app, ["evidence", "meta", *arguments], env={"COLUMNS": str(columns)}, catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.stdout


def expected(comparator, month, window):
    rules = Rules(
        basis="follow_up",
        strict=False,
        correlation=0.5,
        pair_correlation=0.5,
        missing_sd="median",
        shared_control="combine",
    )
    found = contrasts(
        load(),
        indication="knee_oa",
        comparator=comparator,
        construct="pain",
        month=month,
        window=window,
        rules=rules,
    )
    return pool(found.y, found.v, method="REML", test="knha")


def test_json_equals_the_library():
    done = run(*PAIN, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    pooled = expected("saline", 6.0, (4.0, 8.0))
    assert document["pooled"]["estimate"] == pytest.approx(pooled.estimate, abs=1e-12)
    assert document["pooled"]["ci"] == pytest.approx(pooled.ci, abs=1e-12)
    assert document["pooled"]["prediction"] == pytest.approx(pooled.prediction, abs=1e-12)
    assert document["evidence_hash"] == load().hash


def test_terminal_says_what_it_did():
    text = invoke(*HA)
    pooled = expected("hyaluronic_acid", 12.0, (10.0, 14.0))
    assert "Pooled (REML, Hartung-Knapp)" in text
    assert f"{pooled.estimate:.1f}".replace("-", "−") in text
    for words in (
        "negative favours cells",
        "SD imputed: median",
        "not assessed (k = 8, fewer than 10)",
        "Leaving one study out: from",
        "Trials: used and left out",
        "wong_2013",
        "0.5, to derive the SD of a change",
        "MCID",
        "prediction",
        "Certainty of the evidence (GRADE): low",
        "Compared with hyaluronic acid, cells may reduce pain at 12 months.",
    ):
        assert words in text
    head = text.index("Hyaluronic acid n")
    assert head < text.index("Cells n"), "comparator first"


def test_every_choice_reaches_the_numbers():
    base = json.loads(invoke(*HA, "--json"))["pooled"]
    for option in (
        ("--method", "DL"),
        ("--test", "z"),
        ("--missing-sd", "drop"),
        ("--basis", "change"),
        ("--strict",),
        ("--shared-control", "split"),
        ("--product", "culture_expanded"),
        ("--origin", "allogeneic"),
        ("--blinding", "double"),
        ("--prediction", "riley"),
    ):
        other = json.loads(invoke(*HA, *option, "--json"))["pooled"]
        changed = {key for key in base if base[key] != other[key]}
        assert changed & {"estimate", "ci", "prediction"}, option


def test_csv_is_one_row_a_study():
    rows = list(csv.DictReader(io.StringIO(invoke(*HA, "--csv"))))
    assert len(rows) == 8
    assert sum(float(row["weight_percent"]) for row in rows) == pytest.approx(100)
    assert {row["sd_imputed"] for row in rows} == {"true", "false"}


def test_folder_holds_page_figures_and_data(tmp_path):
    invoke(*HA, "--out", str(tmp_path / "ha"))
    names = {path.name for path in (tmp_path / "ha").iterdir()}
    assert {"synthesis.html", "synthesis.json", "forest.svg", "forest.csv", "funnel.svg", "flow.csv"} <= names
    saved = json.loads((tmp_path / "ha" / "synthesis.json").read_text())
    assert saved["pooled"] == json.loads(invoke(*HA, "--json"))["pooled"]


def test_harm_prints_exact_bounds():
    text = invoke(
        "--indication", "knee_oa", "--outcome", "harm", "--event", "serious_any", "--comparator", "saline"
    )
    assert "0 of 12; at most 220.9 per 1,000" in text
    assert "Odds ratio, beta-binomial" in text
    document = json.loads(
        invoke("--indication", "knee_oa", "--outcome", "harm", "--event", "any_ae", "--json")
    )
    assert document["treated"]["events"] == sum(s["table"]["treated"]["events"] for s in document["studies"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            (*PAIN[:2], "--comparator", "sham_procedure", *PAIN[4:]),
            2,
            "comparator = sham_procedure leaves nothing",
        ),
        ((*PAIN[:6],), 2, "--months is needed"),
        ((*PAIN, "--event", "any_ae"), 2, "--outcome harm and --event go together"),
        ((*PAIN[:4], "--outcome", "harm", "--event", "tumour"), 2, "neither a category nor an event"),
        ((*PAIN, "--method", "BEST"), 2, "method = BEST is unknown; allowed: EE, DL, PM, ML, REML"),
        ((*PAIN, "--correlation", "1.5"), 2, "correlation = 1.5 is no correlation"),
        ((*PAIN, "--json", "--csv"), 2, "exclude each other"),
        ((*PAIN, "--risk-of-bias", "lee_2019"), 2, "is not TRIAL=RISK"),
        ((*PAIN[:7], "70"), 2, "months = 70 within 68 to 72 leaves nothing"),
    ],
)
def test_bad_input_is_one_message(arguments, code, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_convergence_exits_with_3_and_says_what_to_try():
    code = (
        "import functools, sys, stemtrial.evidence.metaanalysis as m; "
        "m.pool = functools.partial(m.pool, max_steps=0); "
        f"sys.argv = {['stemtrial', 'evidence', 'meta', *HA]!r}; "
        "from stemtrial.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "did not converge in 0 steps" in done.stderr
    assert "use method PM or DL" in done.stderr


def test_one_trial_is_given_and_not_pooled():
    text = invoke(*PAIN[:-1], "12")
    assert "One trial: nothing was pooled" in text
    assert "Shapiro 2018" in text


def test_help_loads_no_numerics():
    code = (
        "import sys; from stemtrial.cli import app; from typer.testing import CliRunner; "
        "CliRunner().invoke(app, ['evidence', 'meta', '--help']); "
        "print([m for m in ('scipy', 'pandas', 'jax', 'numpyro', 'numba', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
