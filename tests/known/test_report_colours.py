"""Contrast of the page's colours, by the formula of WCAG 2.2 and its published example values."""

import re

import pytest

from stemtrial.report import colours


def test_contrast_gives_published_values() -> None:
    # WebAIM's checker: #777777 on white is 4.48:1, #0000ff on white is 8.59:1.
    assert colours.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert colours.contrast("#ffffff", "#0000ff") == pytest.approx(8.59, abs=0.005)
    assert colours.contrast("#123456", "#123456") == pytest.approx(1)


@pytest.mark.parametrize("ink", colours.INKS)
@pytest.mark.parametrize("paper", colours.PAPERS)
def test_text_reaches_4_5_to_1(ink: str, paper: str) -> None:
    assert colours.contrast(ink, paper) >= 4.5


@pytest.mark.parametrize("ground", [colours.WARNING, colours.LINK])
def test_white_text_reaches_4_5_to_1(ground: str) -> None:
    assert colours.contrast(colours.PAPER, ground) >= 4.5


@pytest.mark.parametrize("line", [*colours.ARM_COLOURS[:4], colours.BLUE])
def test_lines_of_up_to_four_arms_reach_3_to_1(line: str) -> None:
    assert colours.contrast(line, colours.PAPER) >= 3


def test_arms_differ_by_colour_and_by_line_style() -> None:
    assert len(set(colours.ARM_COLOURS)) == len(set(colours.ARM_DASHES)) == 6
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours.ARM_COLOURS)
