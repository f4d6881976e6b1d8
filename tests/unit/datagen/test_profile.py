from __future__ import annotations

from pathlib import Path

import pytest

from ingest.datagen.profile import load_profile
from ingest.datagen.scenarios import load_script
from ingest.errors import InputError


def test_the_built_in_profile_weighs_every_scenario() -> None:
    assert load_profile().scenarios.keys() == load_script().scenarios.keys()


def test_a_profile_file_needs_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("scenarios: {wrong_party: 2, promise_to_pay: 1}\nhesitation: 0.5\n")

    profile = load_profile(path)

    assert profile.scenarios == {"wrong_party": 2, "promise_to_pay": 1}
    assert profile == load_profile().model_copy(
        update={"scenarios": profile.scenarios, "hesitation": 0.5}
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hesitation: 2", "hesitation"),
        ("hesitancy: 0.1", "hesitancy"),
        ("scenarios: {moon_landing: 1}", "moon_landing"),
        ("scenarios: {wrong_party: 0}", "zero"),
        ("scenarios: {wrong_party: 1}", "chat"),
        ("weekdays: [1, 2]", "weekdays"),
        (
            "greetings: {vi-VN: {share: 0.6, words: [a]}, el: {share: 0.6, words: [b]}}",
            "more than 1",
        ),
        ("greetings: {vi-VN: {share: 0.6, words: []}}", "greetings.vi-VN.words"),
        ("greetings: {Vietnamese!: {share: 0.6, words: [a]}}", "Vietnamese"),
        ("- a list", "mapping"),
        ("a: [", "can't read"),
    ],
)
def test_an_unusable_profile_says_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(text)

    with pytest.raises(InputError, match=named):
        load_profile(path)


def test_a_missing_profile_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't read"):
        load_profile(tmp_path / "none.yaml")
