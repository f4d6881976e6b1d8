"""The pages in a browser: whole, readable on a phone, by keyboard, without network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from people_fixture import ANALYSED, MARKUP, PERSONAL, SEEDS, People

pytestmark = [pytest.mark.stack, pytest.mark.browser]
_PHONE, _DESKTOP, _SMALLEST = (390, 844), (1280, 900), (320, 568)
_CONTRAST = """
const luminance = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => {
  v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const paper = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (!c.endsWith(', 0)') && c !== 'transparent') return c; } return 'rgb(255, 255, 255)'; };
return [...document.querySelectorAll('body *:not(svg *)')].filter(e => [...e.childNodes].some(
  n => n.nodeType === 3 && n.textContent.trim())).map(e => {
  const [a, b] = [getComputedStyle(e).color, paper(e)].map(luminance).sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), e.tagName + '.' + e.className];
}).sort((x, y) => x[0] - y[0])[0];
"""


@pytest.fixture(scope="module")
def pages(people: People, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "conversation": ["show", people.markup_id],
        "conversation-with-pii": ["show", people.markup_id, "--with-pii"],
        "runs": ["report"],
    }
    found = {}
    for name, arguments in made.items():
        found[name] = folder / f"{name}.html"
        result = people.run(*arguments, "--html", str(found[name]))
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(found[name])
    site = folder / "site"
    result = people.run("site", "--out", str(site))
    assert (result.exit_code, result.stdout.strip()) == (0, str(site / "index.html"))
    found["list"] = site / "index.html"
    found["call"] = site / "conversations" / f"{people.markup_id}.html"
    found["agent"] = next((site / "agents").iterdir())
    found["coaching"] = site / "coaching.html"
    found["report"] = site / "runs.html"
    return found


_EVERY = ["conversation", "runs", "list", "call", "agent", "coaching", "report"]


def opened(browser: Any, page: Path, size: tuple[int, int] = _DESKTOP) -> Any:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size != _DESKTOP},
    )
    browser.get(page.as_uri())
    return browser


@pytest.mark.parametrize(
    "size", [_DESKTOP, _PHONE, _SMALLEST], ids=["desktop", "phone", "smallest"]
)
@pytest.mark.parametrize("name", _EVERY)
def test_a_page_fits_its_window_and_asks_for_nothing(
    browser: Any,
    pages: dict[str, Path],
    screenshot: Callable[..., Path],
    name: str,
    size: tuple[int, int],
) -> None:
    opened(browser, pages[name], size)

    width = browser.execute_script("return document.documentElement.scrollWidth")
    fetched = browser.execute_script(
        "return performance.getEntriesByType('resource').filter(r => !/^file:/.test(r.name)).length"
    )
    assert screenshot().stat().st_size > 10_000
    assert (width, fetched, browser.get_log("browser")) == (size[0], 0, [])


@pytest.mark.parametrize("name", _EVERY)
def test_every_text_has_a_contrast_of_at_least_4_5(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    opened(browser, pages[name])

    for scheme in ("dark", "light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        least, element = browser.execute_script(_CONTRAST)
        assert least >= 4.5, (scheme, element)


@pytest.mark.parametrize("name", _EVERY)
def test_a_page_has_landmarks_headings_and_named_plots(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    opened(browser, pages[name])

    facts = browser.execute_script(
        """const all = selector => [...document.querySelectorAll(selector)];
        return {lang: document.documentElement.lang,
        h1: all('h1').length, main: all('main').length,
        unnamed: all('svg:not([aria-hidden])').filter(s => !s.getAttribute('aria-label')).length
          + all('input, select').filter(i => !i.labels.length).length,
        dead: all('a[href^="#"]').map(a => a.getAttribute('href').slice(1))
          .filter(id => !document.getElementById(id)).length,
        headless: all('table').filter(t => !t.querySelector('th[scope]')).length}"""
    )

    expected = {
        "lang": "en",
        "h1": 1,
        "main": 1,
        "unnamed": 0,
        "dead": 0,
        "headless": 0,
    }
    assert facts == expected


def test_the_keyboard_reaches_the_content_first(browser: Any, pages: dict[str, Path]) -> None:
    from selenium.webdriver import ActionChains, Keys

    opened(browser, pages["conversation"])

    ActionChains(browser).send_keys(Keys.TAB).perform()
    first = browser.switch_to.active_element
    assert (first.text, first.is_displayed()) == ("Go to the content", True)
    first.send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#content")


def test_a_walk_from_the_list_to_a_turn_and_an_agent_and_back(
    browser: Any, pages: dict[str, Path]
) -> None:
    from selenium.webdriver import Keys
    from selenium.webdriver.support.select import Select
    from selenium.webdriver.support.wait import WebDriverWait

    opened(browser, pages["list"])

    def find(selector: str) -> Any:
        return browser.find_element("css selector", selector)

    def count() -> tuple[int, int]:
        """Return how many conversations are shown and how many there are, as the page says."""
        shown, _, whole, _ = find("#count").text.split()
        assert int(shown) == len(browser.find_elements("css selector", "#list tbody tr"))
        return int(shown), int(whole)

    def wait_for_fewer_than(number: int) -> int:
        WebDriverWait(browser, 10).until(lambda _: count()[0] < number)
        return count()[0]

    whole, _ = count()
    find("input[name=q]").send_keys("verify ident")
    having_words = wait_for_fewer_than(whole)
    find("input[name=q]").send_keys("zzz")
    assert wait_for_fewer_than(having_words) == 0
    find("button[type=reset]").click()
    Select(find("select[name=matcher]")).select_by_value("empathy_indicators")
    listed = wait_for_fewer_than(whole)
    find("th[data-field=agent] button").send_keys(Keys.ENTER)
    filtered = browser.current_url
    agents = [cell.text for cell in browser.find_elements("css selector", "td[data-label=agent]")]
    assert (agents, find("th[aria-sort]").text) == (sorted(agents, reverse=True), "agent")

    find("#list td[data-label=matches] a").click()
    assert find("li:target").is_displayed()
    find(".matchers a").send_keys(Keys.ENTER)
    assert find("li:target mark").is_displayed()
    find("a[href^='../agents/']").send_keys(Keys.ENTER)
    assert find("h1").text == f"Agent {agents[0]}"
    find("table a.count").click()
    assert (count()[0], browser.current_url.count("agent=")) == (1, 1)
    while browser.current_url != filtered:
        browser.back()
    assert count() == (listed, whole)
    assert filtered.endswith("#matcher=empathy_indicators&sort=agent.down")


def test_markup_in_a_transcript_is_text_and_runs_nothing(
    browser: Any, pages: dict[str, Path]
) -> None:
    opened(browser, pages["conversation-with-pii"])

    first = browser.find_element("css selector", "#turn-0 .said p").text
    assert '<script>alert("planted")</script>' in first
    assert browser.execute_script("return document.scripts.length") == 0


def test_matches_are_marked_in_place_and_named_beside_it(
    browser: Any, pages: dict[str, Path]
) -> None:
    opened(browser, pages["conversation"])

    marked = [mark.text for mark in browser.find_elements("css selector", "mark")]
    named = browser.find_elements("css selector", ".hits li")
    assert "verify your identity" in marked
    assert len(named) >= len(marked) > 3


def test_personal_details_are_on_the_page_only_when_asked_for(pages: dict[str, Path]) -> None:
    import json

    folder = SEEDS / "conversations" / "2025-12-28" / PERSONAL
    truth = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    turns = json.loads((folder / "transcription.json").read_text(encoding="utf-8"))["turns"]
    planted = {
        turns[span["turn_index"]]["text"][span["start_char"] : span["end_char"]]
        for span in truth["pii_spans"]
        if span["turn_index"] > 0
    }
    whole = [re.sub(r"\s+", " ", pages[name].read_text(encoding="utf-8")) for name in pages]

    shown, open_ = whole[0], whole[1]
    assert {detail for detail in planted if detail in shown} == set()
    assert len({detail for detail in planted if detail in open_}) > 5
    call = pages["call"].read_text("utf-8").lower()
    words = (pages["list"].parent / "words.js").read_text("utf-8").split('"')[3].split()
    in_site = {d for d in planted if len(d) > 3 and (d.lower() in call or d.lower() in words)}
    assert (in_site, any(word.startswith("ident") for word in words)) == (set(), True)
    assert MARKUP not in open_


def test_the_page_of_runs_says_what_is_not_known_before_a_build(
    people: People, tmp_path: Path
) -> None:
    file = tmp_path / "runs.html"

    people.run("report", "--html", str(file), INGEST_MARTS_DATASET="never_built")

    page = file.read_text(encoding="utf-8")
    assert page.count("run <code>dbt build</code>") == 3
    assert ANALYSED not in page


def test_the_page_of_runs_has_cost_matchers_and_agents_after_a_build(
    pages: dict[str, Path],
) -> None:
    page = pages["runs"].read_text(encoding="utf-8")

    assert "run <code>dbt build</code>" not in page
    for caption in ("Against the labels of dev data, by turn, over all dates", "Agents, all dates"):
        assert page.split(f"<caption>{caption}</caption>")[1].split("</table>")[0].count("<tr>") > 1
