"""Headless Chromium for tests of pages, without network, with screenshots that are kept.

Screenshots go to `.cache/screenshots/<test>.png`; look at them after a change to a page.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.settings import environment

SCREENSHOTS = Path(__file__).resolve().parents[1] / ".cache" / "screenshots"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # Names resolve to nothing: a page that wants the network shows it as a failed request.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_TIMEOUT_SEC = 30


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a Chromium driven by selenium; its window is 1280 x 900 until a test resizes it."""
    binary, driver = _installed()
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    chromium = webdriver.Chrome(options=options, service=service)
    try:
        chromium.set_page_load_timeout(_TIMEOUT_SEC)
        chromium.set_window_size(1280, 900)
        yield chromium
    finally:
        chromium.quit()


@pytest.fixture
def screenshot(browser: Any, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Return a function that keeps a picture of the whole page under the test's name."""

    def take(name: str = "") -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"\W+", "-", "-".join(filter(None, (request.node.name, name))))
        path = SCREENSHOTS / f"{stem}.png"
        size = browser.get_window_size()
        height = browser.execute_script("return document.documentElement.scrollHeight")
        browser.set_window_size(size["width"], max(size["height"], min(height + 150, 16_000)))
        browser.save_screenshot(str(path))
        browser.set_window_size(size["width"], size["height"])
        return path

    return take


def _installed() -> tuple[str, str]:
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if binary and driver:
        return binary, driver
    reason = "needs Chromium and its driver: apt-get install chromium chromium-driver"
    if environment().get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
