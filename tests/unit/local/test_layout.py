from __future__ import annotations

from pathlib import Path

from ingest.local.layout import Layout, Service

LAYOUT = Layout(Path("/data"), 9140)


def test_ports_follow_the_port_base() -> None:
    assert LAYOUT.ports == {"gcs": 9140, "bigquery": 9141, "ci": 9142, "bigquery_grpc": 9143}


def test_endpoints_are_given_under_the_names_of_the_settings() -> None:
    assert LAYOUT.endpoints(Service) == {
        "gcs_endpoint": "http://127.0.0.1:9140",
        "bigquery_endpoint": "http://127.0.0.1:9141",
        "insights_endpoint": "127.0.0.1:9142",
    }
    assert LAYOUT.endpoints([Service.CI]) == {"insights_endpoint": "127.0.0.1:9142"}


def test_every_server_keeps_its_data_in_its_own_folder() -> None:
    folders = {service: str(LAYOUT.service_dir(service)) for service in Service}

    assert folders == {
        Service.GCS: "/data/gcs",
        Service.BIGQUERY: "/data/bigquery",
        Service.CI: "/data/ci",
    }
    assert all(folders[service] in LAYOUT.command(service) for service in Service)


def test_the_bigquery_emulator_reads_the_buckets_from_the_storage_emulators_folder() -> None:
    command = LAYOUT.command(Service.BIGQUERY)

    assert command[command.index("--gcs-root") + 1] == str(LAYOUT.service_dir(Service.GCS))


def test_the_storage_emulator_listens_on_loopback_alone() -> None:
    command = LAYOUT.command(Service.GCS)

    assert command[command.index("-host") + 1] == "127.0.0.1"
