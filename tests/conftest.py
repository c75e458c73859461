"""What every test shares: one thread, no network, and a headless browser for those that ask."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

# Before torch is imported anywhere, and inherited by the subprocesses that tests start. One thread: tests run side by
# side on the machine's cores, and sums in a fixed order make bit-for-bit comparisons meaningful.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from hypothesis import settings

from postgres import any_database, any_database_url, postgresql, postgresql_url  # noqa: F401

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

settings.register_profile("candor", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("candor")


def chromium_path() -> str | None:
    """The Chromium to drive: $CHROMIUM, else one on the PATH, else None (Playwright's own)."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, started once; it phones nobody."""
    from playwright.sync_api import sync_playwright

    flags = [
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(headless=True, executable_path=chromium_path(), args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """A fresh page without network (files open); its console errors and page errors fail the test at the end."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert not errors, f"the page reported errors: {errors}"
