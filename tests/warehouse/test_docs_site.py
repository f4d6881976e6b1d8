"""A reviewer opens the one-page docs site, finds the registry and sees columns and lineage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.warehouse.dbt_runs import DbtProject

pytestmark = pytest.mark.browser

LIMIT_SEC = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page, made without a warehouse."""
    project = DbtProject(tmp_path_factory.mktemp("docs"), variables={"offline_compile": "full"})
    project.run("docs", "generate", "--static", "--empty-catalog", "--no-populate-cache")
    return project.target / "static_index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for switch in ("--headless=new", "--disable-dev-shm-usage", "--window-size=1600,1400"):
        options.add_argument(switch)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield started
    finally:
        started.quit()


def _when_there(browser: webdriver.Chrome, selector: str, text: str = "") -> WebElement:
    def found(driver: webdriver.Chrome) -> WebElement | None:
        elements = driver.find_elements(By.CSS_SELECTOR, selector)
        return next((e for e in elements if e.is_displayed() and text in e.text), None)

    element: WebElement = WebDriverWait(browser, LIMIT_SEC).until(found)
    return element


def test_the_landing_page_shows_how_data_flows(browser: webdriver.Chrome, site: Path) -> None:
    browser.get(site.as_uri())

    body = _when_there(browser, "body", "Conversation coach: the warehouse").text

    assert "coach_raw" in body
    assert "staging (JSON opened once)" in body


def test_the_registry_is_found_by_search_with_columns_and_lineage(
    browser: webdriver.Chrome, site: Path
) -> None:
    browser.get(site.as_uri())
    _when_there(browser, "#search").send_keys("conversation_registry")

    _when_there(browser, "h4.a", "conversation_registry_v2").click()
    page = _when_there(browser, "body", "valid_from")

    words = set(page.text.split())
    assert {"conversation_version_id", "valid_from", "valid_to", "open_reason"} <= words
    _when_there(browser, "[title='View Lineage Graph']").click()
    assert _when_there(browser, "canvas").is_displayed()
    assert _when_there(browser, "body", "Lineage Graph")


def test_exposures_say_who_depends_on_the_marts(browser: webdriver.Chrome, site: Path) -> None:
    browser.get(f"{site.as_uri()}#!/exposure/exposure.conversation_coach.qa_review")

    assert "missing disclosures" in _when_there(browser, "body", "Picks calls for review").text
