"""What the environment says of proxies and certificates holds for every request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.gcp.storage import storage_client
from ingest.settings import Settings


def session_for(endpoint: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> object:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(project_id="p", bucket="b", location="us-central1", gcs_endpoint=endpoint)
    return storage_client(settings)._http


def test_a_proxy_and_certificates_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = str(tmp_path / "ca.pem")
    session = session_for(
        "https://storage.example",
        monkeypatch,
        https_proxy="http://proxy.example:3128",
        no_proxy="other.example",
        REQUESTS_CA_BUNDLE=bundle,
    )
    # It is read once: what changes afterwards is not seen, and no request asks again.
    monkeypatch.setenv("https_proxy", "http://later.example:3128")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    used = session.merge_environment_settings("https://storage.example/o", {}, False, None, None)  # type: ignore[attr-defined]
    assert used["proxies"]["https"] == "http://proxy.example:3128"
    assert used["verify"] == bundle


def test_a_host_without_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_for(
        "http://127.0.0.1:9",
        monkeypatch,
        http_proxy="http://proxy.example:3128",
        no_proxy="127.0.0.1",
    )

    used = session.merge_environment_settings("http://127.0.0.1:9/o", {}, False, None, None)  # type: ignore[attr-defined]
    assert "http" not in used["proxies"]


def test_small_uploads_go_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "http://storage.example/upload?ifGenerationMatch="
    session: Any = session_for(
        "http://storage.example", monkeypatch, http_proxy="http://proxy.example:3128", no_proxy=""
    )

    target = session.get_adapter(url).target(session, url)

    assert (target.pool.proxy.host, target.path) == ("proxy.example", url)


def test_small_uploads_to_a_host_without_proxy_go_there(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9/upload?ifGenerationMatch="
    session: Any = session_for("http://127.0.0.1:9", monkeypatch, no_proxy="127.0.0.1")

    target = session.get_adapter(url).target(session, url)

    assert (target.pool.host, target.pool.port) == ("127.0.0.1", 9)
    assert target.path == "/upload?ifGenerationMatch="
