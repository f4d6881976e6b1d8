"""What is deleted leaves nothing that grows."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulator_cases import create, own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator.database import Database
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

KEPT = 20


def analysed(emulator: RunningEmulator, objects: ObjectServer, conversation_id: str) -> str:
    """Make and analyse a conversation; return the operation's name."""
    made = create(emulator, objects, conversation_id)
    operation = emulator.client.create_analysis(parent=made.name, analysis=insights.Analysis())
    operation.result(timeout=10)
    return str(operation.operation.name)


def test_cycles_of_create_analyse_and_delete_leave_the_store_at_its_size(
    tmp_path: Path, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.emulator.operation_store.KEPT_ORPHANS", KEPT)
    sizes = []
    with own_emulator(tmp_path, ci_objects) as emulator:
        alive = analysed(emulator, ci_objects, "alive")
        cycled = []
        for number in range(4 * KEPT):
            cycled.append(analysed(emulator, ci_objects, f"cycle-{number}"))
            name = f"{emulator.parent}/conversations/cycle-{number}"
            emulator.client.delete_conversation({"name": name, "force": True})
            bulk = {"parent": emulator.parent, "filter": 'agent_id="nobody"', "force": True}
            emulator.client.bulk_delete_conversations(bulk).result(timeout=10)
            if number in (2 * KEPT - 1, 4 * KEPT - 1):
                sizes.append(
                    len(emulator.client.list_operations({"name": emulator.parent}).operations)
                )
        for name, is_kept in ((alive, True), (cycled[-1], True), (cycled[0], False)):
            request = {"name": name}
            if is_kept:
                assert emulator.client.get_operation(request).response.value
            else:
                with pytest.raises(exceptions.NotFound):
                    emulator.client.get_operation(request)
    database = Database(tmp_path / "insights.sqlite3")
    tables = ("conversations", "bodies", "labels", "analyses", "operations")
    counts = {t: database.execute(f"select count(*) from {t}").fetchone()[0] for t in tables}
    database.close()
    assert sizes == [KEPT + 1, KEPT + 1]
    assert counts == {**dict.fromkeys(tables, 1), "labels": 0, "operations": KEPT + 1}
