"""An id's beginning is enough: where raw tables or files know it, and where only Insights does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from google.cloud.contact_center_insights_v1 import Conversation
from people_fixture import ANALYSED, FORGOTTEN, People

from ingest.gcp.insights import insights_client

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("which", ["landed", "forgotten", "local"])
def test_the_beginning_of_an_id_is_enough(people: People, which: str) -> None:
    ids = {"landed": ANALYSED, "forgotten": FORGOTTEN, "local": people.local_id}

    found = people.json("why", ids[which][:8], "--source", str(people.folder))

    assert found["conversation_id"] == ids[which]


@pytest.fixture
def only_in_ci(people: People) -> Iterator[tuple[str, str]]:
    """Yield ids of two conversations that Insights has from somebody else."""
    ids = ("elsewhere-one", "elsewhere-two")
    parent = f"projects/{people.settings.project_id}/locations/{people.settings.location}"

    async def create() -> None:
        client = insights_client(people.settings)
        held = await client.get_conversation(name=f"{parent}/conversations/{ANALYSED}")
        made = Conversation(data_source=held.data_source, medium=held.medium)
        for id_ in ids:
            await client.create_conversation(parent=parent, conversation=made, conversation_id=id_)
        await client.transport.close()

    async def delete() -> None:
        client = insights_client(people.settings)
        for id_ in ids:
            await client.delete_conversation(name=f"{parent}/conversations/{id_}")
        await client.transport.close()

    asyncio.run(create())
    yield ids
    asyncio.run(delete())


@pytest.mark.parametrize("command", ["show", "why"])
def test_what_only_ci_knows_has_a_short_form_too(
    people: People, only_in_ci: tuple[str, str], command: str
) -> None:
    found = people.json(command, "elsewhere-o")

    assert found["conversation_id"] == only_in_ci[0]


@pytest.mark.parametrize("command", ["transcript", "diff"])
def test_what_has_not_landed_is_named_in_full(
    people: People, only_in_ci: tuple[str, str], command: str
) -> None:
    result = people.run(command, "elsewhere-t")

    assert (result.exit_code, result.stdout) == (2, "")
    assert only_in_ci[1] in result.stderr


@pytest.mark.usefixtures("only_in_ci")
@pytest.mark.parametrize("command", ["show", "why", "transcript", "diff"])
def test_a_beginning_of_several_ids_of_ci_is_refused_with_their_names(
    people: People, command: str
) -> None:
    result = people.run(command, "elsewhere")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: several conversations begin with elsewhere: elsewhere-one, elsewhere-two\n"
        "hint:  add letters\n"
    )


def test_a_beginning_that_only_ci_could_know_ends_in_4_while_it_is_away(people: People) -> None:
    result = people.run("why", "elsewhere", INGEST_INSIGHTS_ENDPOINT="127.0.0.1:9")

    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("error: Insights")


def test_commands_that_change_something_take_a_beginning_too(people: People) -> None:
    beginning = ANALYSED[:8]

    forget = people.json("forget", beginning, "--dry-run")
    pull = people.json("pull", "--ids", beginning, "--dry-run")
    again = people.json("reanalyze", beginning, "--dry-run")

    assert forget["conversation_id"] == ANALYSED
    assert forget["before"]["ci_conversations"] == 1
    assert pull["states"]["unchanged"] == 1
    assert again["estimate"]["conversation_count"] == 1
