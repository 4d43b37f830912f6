"""The page's colours: Okabe and Ito's palette for data, and inks and papers whose contrast is known."""

from typing import Final

PAPER: Final = "#ffffff"
PANEL: Final = "#f4f6f8"
INK: Final = "#1a1f25"
MUTED: Final = "#4a5461"
LINK: Final = "#004e82"
WARNING: Final = "#8c2f00"
RULE: Final = "#d3d9e0"

BLACK: Final = "#000000"
ORANGE: Final = "#e69f00"
SKY_BLUE: Final = "#56b4e9"
BLUISH_GREEN: Final = "#009e73"
BLUE: Final = "#0072b2"
VERMILLION: Final = "#d55e00"
REDDISH_PURPLE: Final = "#cc79a7"

INKS: Final = (INK, MUTED, LINK, WARNING)
"""Colours of text on :data:`PAPERS`; white text stands only on :data:`WARNING` and :data:`LINK`."""

PAPERS: Final = (PAPER, PANEL)

ARM_COLOURS: Final = (BLACK, BLUE, VERMILLION, BLUISH_GREEN, REDDISH_PURPLE, ORANGE)
"""Colours of the arms in the page's order: the comparator is black."""

ARM_DASHES: Final = ("6 3", "", "2 2", "9 3 2 3", "12 4", "1 3")
"""Line styles of the arms, so that no arm is known by its colour alone."""


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2, relative luminance of sRGB), from 1 to 21.

    Examples
    --------
    >>> contrast("#000000", "#ffffff")
    21.0
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
