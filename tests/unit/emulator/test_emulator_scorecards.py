"""How a scorecard's revision comes out of a tuning that goes wrong or on."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from emulator_cases import own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

State = insights.QaScorecardRevision.State


def with_question(emulator: RunningEmulator) -> str:
    """Return a new revision with a question."""
    card = emulator.client.create_qa_scorecard(
        {"parent": emulator.parent, "qa_scorecard_id": "card", "qa_scorecard": {}}
    )
    revision = f"{card.name}/revisions/latest"
    emulator.client.create_qa_question(parent=revision, qa_question={"question_body": "Well?"})
    return str(emulator.client.get_qa_scorecard_revision(name=revision).name)


def state(emulator: RunningEmulator, revision: str) -> State:
    return emulator.client.get_qa_scorecard_revision(name=revision).state


def test_a_tuning_that_fails_can_be_repeated(ci_emulator: RunningEmulator) -> None:
    revision = with_question(ci_emulator)
    fault = {"operation": "TuneQaScorecardRevision", "nth": 1, "status": "INTERNAL"}
    ci_emulator.control.set_faults({"faults": [fault]})
    failed = ci_emulator.client.tune_qa_scorecard_revision({"parent": revision})
    with pytest.raises(exceptions.InternalServerError):
        failed.result(timeout=10)
    assert state(ci_emulator, revision) == State.TRAINING_FAILED
    ci_emulator.client.tune_qa_scorecard_revision({"parent": revision}).result(timeout=10)
    assert state(ci_emulator, revision) == State.READY


def test_a_tuning_takes_its_time_and_can_be_cancelled(ci_emulator: RunningEmulator) -> None:
    revision = with_question(ci_emulator)
    ci_emulator.control.set_operation_latency("TuneQaScorecardRevision", 60)
    ci_emulator.control.freeze()
    operation = ci_emulator.client.tune_qa_scorecard_revision({"parent": revision})
    assert state(ci_emulator, revision) == State.TRAINING
    with pytest.raises(exceptions.FailedPrecondition):
        ci_emulator.client.delete_qa_scorecard_revision({"name": revision, "force": True})
    ci_emulator.client.cancel_operation({"name": operation.operation.name})
    assert state(ci_emulator, revision) == State.TRAINING_CANCELLED
    ci_emulator.client.tune_qa_scorecard_revision({"parent": revision})
    ci_emulator.control.advance(60)
    assert state(ci_emulator, revision) == State.READY


def test_a_tuning_goes_on_after_a_restart(tmp_path: Path, ci_objects: ObjectServer) -> None:
    latency = {"TuneQaScorecardRevision": 1_000_000}
    with own_emulator(tmp_path, ci_objects, operation_latency=latency) as emulator:
        revision = with_question(emulator)
        operation = emulator.client.tune_qa_scorecard_revision({"parent": revision})
        assert state(emulator, revision) == State.TRAINING
    with own_emulator(tmp_path, ci_objects) as emulator:
        emulator.control.advance(60)
        assert emulator.client.get_operation({"name": operation.operation.name}).done
        assert state(emulator, revision) == State.READY


def test_a_default_scorecard_stays_and_no_revision_takes_an_alternate_id(
    ci_emulator: RunningEmulator,
) -> None:
    url = f"{ci_emulator.rest_endpoint}/v1/{ci_emulator.parent}/qaScorecards"
    body = {"displayName": "d", "isDefault": True}
    made = requests.post(f"{url}?qaScorecardId=card", json=body, timeout=30).json()
    assert made["isDefault"] is True
    request = {"name": f"{ci_emulator.parent}/qaScorecards/card", "force": True}
    with pytest.raises(exceptions.FailedPrecondition):
        ci_emulator.client.delete_qa_scorecard(request)
    for own_id in ("latest", "default", "A"):
        with pytest.raises(exceptions.InvalidArgument):
            ci_emulator.client.create_qa_scorecard_revision(
                {"parent": request["name"], "qa_scorecard_revision_id": own_id}
            )
