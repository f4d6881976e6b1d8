from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ingest.errors import InputError
from ingest.local.gcs import gcs_server_command
from ingest.local.layout import Layout, Service, check_ports_free, is_free

LAYOUT = Layout(Path("/data"), 9140)


def test_ports_follow_the_port_base() -> None:
    assert LAYOUT.ports == {
        "gcs": 9140,
        "bigquery": 9141,
        "ci": 9142,
        "bigquery_grpc": 9143,
        "ci_rest": 9144,
        "gcs_store": 9145,
    }


def test_endpoints_are_given_under_the_names_of_the_settings() -> None:
    assert LAYOUT.endpoints(Service) == {
        "gcs_endpoint": "http://127.0.0.1:9140",
        "bigquery_endpoint": "http://127.0.0.1:9141",
        "insights_endpoint": "127.0.0.1:9142",
    }
    assert LAYOUT.endpoints([Service.INSIGHTS]) == {"insights_endpoint": "127.0.0.1:9142"}


def test_every_server_keeps_its_data_in_its_own_folder() -> None:
    folders = {service: str(LAYOUT.service_dir(service)) for service in Service}

    assert folders == {
        Service.GCS: "/data/gcs",
        Service.BIGQUERY: "/data/bigquery",
        Service.INSIGHTS: "/data/ci",
    }
    assert all(folders[service] in LAYOUT.command(service) for service in Service)


def test_the_bigquery_emulator_reads_the_buckets_from_the_storage_emulators_folder() -> None:
    command = LAYOUT.command(Service.BIGQUERY)

    assert command[command.index("--gcs-root") + 1] == str(LAYOUT.service_dir(Service.GCS))


def test_the_storage_emulator_listens_on_loopback_alone() -> None:
    command = gcs_server_command(9145, Path("/data/gcs"), 9140)

    assert command[command.index("-host") + 1] == "127.0.0.1"
    assert command[command.index("-external-url") + 1] == "http://127.0.0.1:9140"


def test_the_insights_emulator_has_a_port_for_rest() -> None:
    command = LAYOUT.command(Service.INSIGHTS)

    assert command[command.index("--rest-port") + 1] == "9144"
    assert LAYOUT.ports_of(Service.INSIGHTS) == [9142, 9144]


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


@pytest.mark.parametrize("base", [-1, 0, 80, 1023, 65_531, 70_000])
def test_a_port_base_out_of_range_is_refused(tmp_path: Path, base: int) -> None:
    with pytest.raises(InputError, match=f"port base {base} is out of range"):
        check_ports_free(Layout(tmp_path, base), list(Service))


def test_services_that_are_not_wanted_may_have_their_ports_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        check_ports_free(Layout(tmp_path, port), [Service.INSIGHTS])
