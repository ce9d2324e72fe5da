"""Pictures of the page of a run, docs/pictures/report*.png: `python docs/screenshots.py`, with playwright and Chromium.

What they show is the run in runs/records whose table the README has. Beside them stands the digest of the page that
they were taken of; a test compares it with that of the page as it is made now.
"""

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from nas.api.report import report
from nas.api.saved import SavedRun

ROOT = Path(__file__).parents[1]
RUN = ROOT / "runs" / "records" / "subgrid-digits-c6a565"
FOLDER = ROOT / "docs" / "pictures"
DIGEST = FOLDER / "report.sha256"

SHOTS = {
    "report.png": {"viewport": {"width": 1280, "height": 1180}, "color_scheme": "light"},
    "report-phone.png": {"viewport": {"width": 390, "height": 1180}, "color_scheme": "dark"},
}


def page() -> str:
    """The page of the run."""
    return report([SavedRun.open(RUN.parent, RUN.name)])


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started, TemporaryDirectory() as folder:
        file = Path(folder, "report.html")
        file.write_text(page(), encoding="utf-8")
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, how in SHOTS.items():
            tab = browser.new_context(**how).new_page()
            tab.goto(file.as_uri())
            tab.screenshot(path=FOLDER / name)
        browser.close()
        DIGEST.write_text(digest(file.read_text(encoding="utf-8")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
