"""A user's file of arms, read and compared with what was written."""

import math

import pytest

from stemtrial.calibration.armcolumns import COLUMNS
from stemtrial.calibration.armfile import read_fit_file, read_prediction_file
from stemtrial.calibration.arms import Arms
from stemtrial.calibration.published import published_arms
from stemtrial.evidence import load
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Kind

HEADER = ",".join(COLUMNS)
CELLS = (
    "mine,cells,knee_oa,cell_therapy,adipose,autologous,culture_expanded,100,2,0;6,double,40,58.5,55,28,"
    "2:12;3:28,61.5,14,{}"
)
SALINE = "mine,saline,knee_oa,saline,,,,,,,double,,,,,,,,{}"
PRP = "other,prp,knee_oa,prp,,,,,3,,,,,,,,,,{}"


def write(tmp_path, *lines, header=HEADER):
    path = tmp_path / "arms.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_rows_keep_their_order_and_share_arms(tmp_path):
    lines = (CELLS.format(12), SALINE.format(6), PRP.format(3), CELLS.format(3), SALINE.format(1))
    rows = read_prediction_file(write(tmp_path, *lines))
    assert [(row.arm.arm_id, row.month) for row in rows] == [
        ("cells", 12), ("saline", 6), ("prp", 3), ("cells", 3), ("saline", 1),
    ]  # fmt: skip
    assert rows[0].arm is rows[3].arm
    cells = rows[0].arm
    assert (cells.source, cells.origin, cells.product) == ("adipose", "autologous", "culture_expanded")
    assert [round(dose.start / DAYS_PER_MONTH, 9) for dose in cells.schedule.doses] == [0, 6]
    assert [dose.amount for dose in cells.schedule.doses] == [100, 100]
    assert (cells.n, cells.age_mean, cells.female, cells.bmi_mean) == (40, 58.5, 0.55, 28)
    assert (cells.baseline_mean, cells.baseline_sd, cells.grades) == (61.5, 14, {2: 0.3, 3: 0.7})
    assert cells.randomised
    assert cells.unknown == ("risk_of_bias", "design")


def test_empty_cells_are_unknown(tmp_path):
    (_, (saline, _), (prp, _)) = read_prediction_file(
        write(tmp_path, CELLS.format(6), SALINE.format(6), PRP.format(6))
    )
    assert set(saline.unknown) >= {"n", "age_mean", "female", "bmi_mean", "grades", "baseline_mean"}
    assert [event.kind for event in saline.schedule.events] == [Kind.CONTEXT_INJECTION]
    assert prp.schedule is None
    assert prp.no_input == "prp has no input in the model"
    assert not prp.randomised  # an arm alone


def test_columns_may_be_absent_or_others(tmp_path):
    path = write(
        tmp_path,
        "3,knee_oa,t,a,nsaid,by hand",
        header="time_months,indication,trial_id,arm_id,intervention,comment",
    )
    ((arm, month),) = read_prediction_file(path)
    assert (arm.intervention, month) == ("nsaid", 3)


def test_back_pain_belongs_to_the_disc(tmp_path):
    path = write(tmp_path, SALINE.replace("knee_oa", "chronic_low_back_pain").format(6))
    assert read_prediction_file(path)[0].arm.indication == "disc_degeneration"


FIT = f"{HEADER},follow_up_mean,change_mean,sd,se,instrument,design,risk_of_bias"


def test_readings_of_a_fit_file(tmp_path):
    path = write(
        tmp_path,
        CELLS.format(12) + ",30,,20,,NRS,rct,low",
        CELLS.format(6) + ",,-25,,4,,rct,low",
        PRP.format(6) + ",40,,,,,,",
        SALINE.replace("mine", "both").format(6) + ",40,-15,,,,single_arm,",
        header=FIT,
    )
    cells, prp, both = read_fit_file(path)
    first, second = cells.readings
    assert (first.month, first.kind, first.value, first.se, first.instrument) == (6, "change", -25, 4, "VAS")
    assert first.sd == pytest.approx(4 * math.sqrt(40))
    assert (second.month, second.kind, second.value, second.sd) == (12, "level", 30, 20)
    assert second.se == pytest.approx(20 / math.sqrt(40))
    assert (second.instrument, second.row, cells.risk_of_bias, cells.n) == ("NRS", 1, "low", 40)
    assert cells.randomised
    assert not both.randomised
    assert (both.baseline_mean, both.readings[0].value) == (55, 40)
    joined = Arms("knee_oa", ()).plus((cells, prp, both))
    assert joined.trials == ("mine", "both")
    assert joined.left_out[0][:3] == ("other", "prp", 1)
    shipped = published_arms(load(), "knee_oa")
    assert shipped.plus(joined.arms).count.arms == shipped.count.arms + 2
