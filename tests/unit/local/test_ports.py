from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ingest.errors import InputError
from ingest.local.layout import Layout, Service
from ingest.local.ports import check_ports_free, is_free


def test_a_port_is_taken_while_somebody_listens_and_free_right_after() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        while_listening = is_free(port)

    assert (while_listening, is_free(port)) == (False, True)


def test_a_taken_port_is_an_error_that_names_port_service_and_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(InputError) as caught:
            check_ports_free(Layout(tmp_path, port - 1), [Service.BIGQUERY])

    assert caught.value.message.startswith(f"port {port} (bigquery) is in use by pid {os.getpid()}")
    assert f"--port-base {port - 1 + 100}" in caught.value.hint


@pytest.mark.parametrize("base", [-1, 0, 80, 1023, 65_533, 70_000])
def test_a_port_base_out_of_range_is_refused(tmp_path: Path, base: int) -> None:
    with pytest.raises(InputError, match=f"port base {base} is out of range"):
        check_ports_free(Layout(tmp_path, base), list(Service))


def test_services_that_are_not_wanted_may_have_their_ports_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        check_ports_free(Layout(tmp_path, port), [Service.CI])
