"""The picture of the README: the first figure of a run's report, as a browser shows it.

``python docs/make_picture.py RUN`` needs Chromium or Chrome.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from stemtrial.report import Report, Summary, figures

PICTURE = Path(__file__).parent / "images" / "pain-over-time.png"
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 16px; background: #fff; display: flex; gap: 24px; }}
body {{ width: {width}px; box-sizing: border-box; }}
svg {{ flex: 1; height: auto; min-width: 0; }} svg text {{ font-family: "DejaVu Sans", Arial, sans-serif; }}
</style>{drawings}"""


def main(folder: Path) -> None:
    """Draw the figure and photograph it."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium or Chrome found")
    report = Report.model_validate(json.loads((folder / "report.json").read_text(encoding="utf-8")))
    summary = Summary.model_validate(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
    width, height = 960, 372
    drawings = "".join(panel.svg for panel in figures(report, summary)[0].panels)
    with tempfile.TemporaryDirectory() as made:
        page = Path(made) / "page.html"
        page.write_text(PAGE.format(width=width, drawings=drawings), encoding="utf-8")
        PICTURE.parent.mkdir(exist_ok=True)
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={PICTURE}",
             f"--window-size={width},{height}", "--force-device-scale-factor=2", page.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
