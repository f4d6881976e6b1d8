"""Beginnings of ids, without a warehouse."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from unit.flows.warehouse_fake import FakeWarehouse

from ingest.errors import InputError
from ingest.flows.listing import MOST_LISTED, FoundInCi, find_in_ci, full_id
from ingest.ports.move import Page


def test_a_beginning_of_one_id_stands_for_it() -> None:
    warehouse = FakeWarehouse(answer=lambda sql: [{"conversation_id": "abcd-1"}])

    assert full_id(warehouse, "abcd", _ask_nobody) == "abcd-1"


def test_a_beginning_of_an_id_on_this_machine_stands_for_it(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01" / "abcd-2").mkdir(parents=True)

    assert full_id(FakeWarehouse(), "abcd", _ask_nobody, tmp_path) == "abcd-2"


def test_a_beginning_of_several_ids_is_refused_with_their_names() -> None:
    warehouse = FakeWarehouse(
        answer=lambda sql: [{"conversation_id": "abcd-1"}, {"conversation_id": "abcd-2"}]
    )

    with pytest.raises(InputError, match="abcd-1, abcd-2"):
        full_id(warehouse, "abcd", _ask_nobody)


def test_a_whole_id_is_looked_for_nowhere() -> None:
    whole = "317675af-a8f1-49fc-8481-dcefa6dc849e"
    warehouse = FakeWarehouse()

    assert full_id(warehouse, whole, _ask_nobody) == whole
    assert warehouse.ran == []


@pytest.mark.parametrize("given", ["abcd-3", "abcd"])
def test_what_only_ci_knows_is_found_by_its_beginning_and_by_itself(given: str) -> None:
    ci = ListedInCi(["other", "abcd-3"])

    assert full_id(FakeWarehouse(), given, ci.ask) == "abcd-3"


def test_an_id_that_begins_another_is_itself() -> None:
    assert full_id(FakeWarehouse(), "abcd", ListedInCi(["abcd-3", "abcd"]).ask) == "abcd"


def test_a_beginning_of_several_ids_of_ci_is_refused_with_the_first_five() -> None:
    ci = ListedInCi([f"abcd-{number}" for number in range(7)])

    with pytest.raises(InputError) as raised:
        full_id(FakeWarehouse(), "abcd", ci.ask)

    names = "abcd-0, abcd-1, abcd-2, abcd-3, abcd-4 …"
    assert raised.value.message == f"several conversations begin with abcd: {names}"
    assert raised.value.hint == "add letters"


def test_a_beginning_that_nobody_knows_is_left_to_the_command() -> None:
    assert full_id(FakeWarehouse(), "abcd", ListedInCi(["other"]).ask) == "abcd"


def test_ci_is_looked_through_up_to_a_limit_that_is_told() -> None:
    ci = ListedInCi([f"new-{number}" for number in range(MOST_LISTED)] + ["abcd-3"])

    with pytest.raises(InputError, match="among the 1,000 newest of Insights"):
        full_id(FakeWarehouse(), "abcd", ci.ask)

    assert ci.page_count == MOST_LISTED // ListedInCi.page_size + 1


def test_the_last_conversation_within_the_limit_is_found() -> None:
    ci = ListedInCi([f"new-{number}" for number in range(MOST_LISTED - 1)] + ["abcd-3", "abcd-4"])

    assert ci.ask("abcd") == FoundInCi(frozenset({"abcd-3"}), is_all=False)


def _ask_nobody(beginning: str) -> FoundInCi:
    raise AssertionError("Insights is asked only for what nobody else knows")


@dataclass
class ListedInCi:
    """Insights that holds these ids, the newest first."""

    ids: list[str]
    page_count: int = 0
    page_size = 100

    def ask(self, beginning: str) -> FoundInCi:
        return asyncio.run(find_in_ci(self, beginning))

    async def get_conversation(self, conversation_id: str) -> str | None:
        return conversation_id if conversation_id in self.ids else None

    async def list_ids(self, page_token: str = "") -> Page[str]:
        self.page_count += 1
        start = int(page_token or 0)
        end = start + self.page_size
        return Page(self.ids[start:end], str(end) if end < len(self.ids) else "")
