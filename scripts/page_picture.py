"""Takes the picture of the top of a page that the documentation shows. Needs Playwright and a Chromium.

python scripts/page_picture.py audits/pairs/preferences.html docs/images/audit-preferences.png
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

WIDTH, HEIGHT = 1280, 1240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="an HTML page of a run or of an audit")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--height", type=int, default=HEIGHT, help="pixels from the top of the page (%(default)s)")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        context = browser.new_context(
            viewport={"width": WIDTH, "height": given.height}, color_scheme="light", offline=True
        )
        page = context.new_page()
        page.goto(given.page.resolve().as_uri())
        page.evaluate("document.fonts.ready")
        given.picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(given.picture))
        browser.close()
    print(given.picture)


if __name__ == "__main__":
    main()
