from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.local.state import Child, StackState, await_state, read_state, write_state

names = st.sampled_from(["gcs", "bigquery", "ci"])
children = st.builds(
    Child,
    command=st.lists(st.text()),
    pid=st.integers(0, 2**22),
    started_at=st.floats(0, 2e9),
    exit_code=st.none() | st.integers(-64, 255),
)
states = st.builds(
    StackState,
    port_base=st.integers(1024, 65532),
    endpoints=st.dictionaries(names, st.text()),
    ports=st.dictionaries(names, st.integers(1024, 65535)),
    services=st.dictionaries(names, children),
    pid=st.integers(0, 2**22),
    started_at=st.floats(0, 2e9),
    logs_dir=st.text(),
)


@given(states)
def test_a_state_reads_back_as_it_was_written(tmp_path_factory, state: StackState) -> None:
    file = tmp_path_factory.mktemp("state") / "stack.json"

    write_state(file, state)

    assert read_state(file) == state


def test_settings_find_the_endpoints_where_the_state_keeps_them(tmp_path: Path) -> None:
    endpoints = {"gcs_endpoint": "http://127.0.0.1:9040"}
    write_state(tmp_path / "stack.json", StackState(9040, endpoints, {}, {}))

    assert json.loads((tmp_path / "stack.json").read_text())["endpoints"] == endpoints


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"services": {"a": 1}}', "\0"])
def test_a_damaged_state_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)

    assert read_state(tmp_path / "stack.json") is None


def test_waiting_for_a_state_that_never_comes_ends_at_the_deadline(tmp_path: Path) -> None:
    assert await_state(tmp_path / "stack.json", lambda _: True, deadline_sec=0.05) is None
