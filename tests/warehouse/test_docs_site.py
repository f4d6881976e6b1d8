"""A reviewer opens the one-page docs site, finds the registry and sees columns and lineage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.warehouse.dbt_runs import DbtProject

pytestmark = pytest.mark.browser

LIMIT_SEC = 60
REGISTRY = "conversation_registry.v2"
READS = {
    "int_changed_days",
    "int_ci_state_versions",
    "int_ci_states",
    "int_conversation_days",
    "int_conversation_files",
    "int_conversation_versions",
    "int_conversations_forgotten",
    "int_forgotten_days",
    "int_found_versions",
    "int_version_evidence",
    "int_version_files",
    "int_version_progress",
    "int_version_steps",
}
IS_READ_BY = {
    "conversation_custom_fields",
    "conversation_registry.v1",
    "conversation_registry_current",
    "pipeline_daily",
    "quarantined_conversations",
}
_LINKS = """
return Object.fromEntries([...document.querySelectorAll('section')].map(section => [
  section.querySelector('h6').textContent.trim(),
  [...section.querySelectorAll('reference-list li a[href]')].map(a => a.getAttribute('href'))]));
"""
_EDGES = """
const container = document.querySelector('#cy'), graph = container && container._cyreg.cy;
return graph ? graph.edges(':visible').map(e => [e.source().id(), e.target().id()]) : [];
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page, made without a warehouse."""
    project = DbtProject(tmp_path_factory.mktemp("docs"), variables={"offline_compile": "full"})
    project.run("docs", "generate", "--static", "--empty-catalog", "--no-populate-cache")
    return project.target / "static_index.html"


@pytest.fixture
def desktop(browser: Any) -> Any:
    """The browser in a wide window, whatever a test before this one made of it."""
    size = {"width": 1600, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser


def _when_there(browser: Any, selector: str, text: str = "") -> Any:
    def found(driver: Any) -> Any:
        elements = driver.find_elements(By.CSS_SELECTOR, selector)
        return next((e for e in elements if e.is_displayed() and text in e.text), None)

    return WebDriverWait(browser, LIMIT_SEC).until(found)


def _models(ids: list[str]) -> set[str]:
    mark = "model.conversation_coach."
    return {each.rpartition(mark)[2] for each in ids if mark in each}


def test_the_landing_page_shows_how_data_flows(
    desktop: Any, site: Path, screenshot: Callable[..., Path]
) -> None:
    desktop.get(site.as_uri())

    body = _when_there(desktop, "body", "Conversation coach: the warehouse").text

    screenshot()
    assert "coach_raw" in body
    assert "staging (JSON opened once)" in body


def test_the_registry_is_found_by_search_with_its_columns(
    desktop: Any, site: Path, screenshot: Callable[..., Path]
) -> None:
    desktop.get(site.as_uri())
    _when_there(desktop, "#search").send_keys("conversation_registry")
    # The page shows the first 20 that its index names, of any weight.
    _when_there(desktop, ".results > a", "more").click()

    _when_there(desktop, "h4.a", "conversation_registry_v2").click()
    page = _when_there(desktop, "body", "valid_from")

    words = set(page.text.split())
    screenshot()
    assert {"conversation_version_id", "valid_from", "valid_to", "open_reason"} <= words


def test_the_page_of_the_registry_names_what_it_reads_and_what_reads_it(
    desktop: Any, site: Path
) -> None:
    desktop.get(f"{site.as_uri()}#!/model/model.conversation_coach.{REGISTRY}")
    _when_there(desktop, "body", "valid_from")

    links = desktop.execute_script(_LINKS)

    assert _models(links["Depends On"]) == READS
    assert _models(links["Referenced By"]) == IS_READ_BY


def test_the_lineage_graph_joins_the_registry_to_its_neighbours(
    desktop: Any, site: Path, screenshot: Callable[..., Path]
) -> None:
    desktop.get(f"{site.as_uri()}#!/model/model.conversation_coach.{REGISTRY}")
    _when_there(desktop, "body", "valid_from")

    _when_there(desktop, "[title='View Lineage Graph']").click()
    edges = WebDriverWait(desktop, LIMIT_SEC).until(lambda driver: driver.execute_script(_EDGES))

    screenshot()
    registry = f"model.conversation_coach.{REGISTRY}"
    assert _models([source for source, target in edges if target == registry]) == READS
    assert _models([target for source, target in edges if source == registry]) == IS_READ_BY


def test_exposures_say_who_depends_on_the_marts(desktop: Any, site: Path) -> None:
    desktop.get(f"{site.as_uri()}#!/exposure/exposure.conversation_coach.qa_review")

    assert "missing disclosures" in _when_there(desktop, "body", "Picks calls for review").text
