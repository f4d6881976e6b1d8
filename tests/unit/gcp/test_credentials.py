"""Tokens that run out are renewed by the clients; credentials that ran out say so."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from answering_server import Request, reply, serving
from google.auth import exceptions as auth
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request as TokenRequest
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights.transports import (
    ContactCenterInsightsGrpcAsyncIOTransport,
)
from google.oauth2.credentials import Credentials as UserCredentials

from ingest.errors import ExitCode, RemoteError, SettingsError
from ingest.gcp import bigquery, storage
from ingest.gcp.insights import GrpcInsightsApi
from ingest.ports.move import StoredObject
from ingest.settings import Settings
from tests.fakes.world import fake_settings

EARLY = dt.timedelta(minutes=4)
"""Clients take a token for expired 3 minutes 45 seconds before it is."""
CURE = "run `gcloud auth application-default login`"


@dataclass
class Tokens:
    """A token service: a person's token, and with it one of a service account for a while."""

    lives: list[dt.timedelta] = field(default_factory=list)
    """How long the service account's tokens live, in turn; afterwards an hour."""
    refused: list[str] = field(default_factory=list)
    issued: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> bytes:
        """Answer as the token service and the service of impersonation do."""
        if request.path == "/token":
            given = {"access_token": "person", "expires_in": 3600, "token_type": "Bearer"}
            return reply(json.dumps(given).encode())
        if (token := request.headers.get("authorization")) != "Bearer person":
            self.refused.append(str(token))
            return reply(b'{"error": {"message": "denied"}}', 403)
        with self.lock:
            life = self.lives.pop(0) if self.lives else dt.timedelta(hours=1)
            self.issued += 1
            token = f"sidecar-{self.issued}"
        expires = (dt.datetime.now(dt.UTC) + EARLY + life).strftime("%Y-%m-%dT%H:%M:%SZ")
        return reply(json.dumps({"accessToken": token, "expireTime": expires}).encode())


def person(address: str) -> UserCredentials:
    return UserCredentials(
        None,
        refresh_token="r",
        token_uri=f"{address}/token",
        client_id="c",
        client_secret="s",
    )


def impersonated(address: str) -> Credentials:
    return impersonated_credentials.Credentials(
        person(address),
        "sidecar@p.iam.gserviceaccount.com",
        ["x"],
        iam_endpoint_override=f"{address}/v1/x:generateAccessToken",
    )


def upload(store: storage.GcsObjectStore, name: str) -> Awaitable[StoredObject]:
    return store.put(
        name, b"", content_type="text/plain", content_sha256="ab" * 32, if_generation_match=0
    )


def test_a_token_that_runs_out_amid_uploads_is_renewed_and_no_upload_fails() -> None:
    tokens = Tokens(lives=[dt.timedelta(seconds=-2)] * 3)
    used: set[str] = set()

    def bucket(request: Request) -> bytes:
        used.add(request.headers["authorization"])
        name = f"{len(used)}"
        return reply(
            json.dumps(
                {"name": name, "generation": "7", "size": "0", "crc32c": "AAAAAA=="}
            ).encode()
        )

    async def uploads(settings: Settings, credentials: Credentials) -> list[int]:
        store = storage.GcsObjectStore(settings, credentials)
        try:
            made = await asyncio.gather(*(upload(store, f"{n}") for n in range(100)))
        finally:
            store.close()
        return [stored.generation for stored in made]

    with serving(tokens.answer) as issuer, serving(bucket) as service:
        settings = fake_settings(gcs_endpoint=service.address, bucket="bucket-1")
        generations = asyncio.run(uploads(settings, impersonated(issuer.address)))

    assert generations == [7] * 100
    assert tokens.refused == []
    assert all(token.startswith("Bearer sidecar-") for token in used)
    assert f"Bearer sidecar-{tokens.issued}" in used


class Broken(Credentials):
    """Credentials whose renewal fails."""

    def __init__(self, error: auth.GoogleAuthError) -> None:
        super().__init__()
        self._error = error

    def refresh(self, request: object) -> None:
        """Fail."""
        raise self._error


RAN_OUT = auth.RefreshError("invalid_grant: Token has been expired or revoked.", {"secret": "x"})
AWAY = auth.RefreshError("Internal failure", retryable=True)
DENIED = auth.RefreshError(
    "Unable to acquire impersonated credentials",
    '{"error": {"code": 403, "status": "PERMISSION_DENIED"}}',
)
UNREACHABLE = auth.TransportError("HTTPSConnectionPool(host='oauth2'): Max retries exceeded")


def over_storage(credentials: Credentials) -> None:
    settings = fake_settings(gcs_endpoint="http://127.0.0.1:9", bucket="bucket-1")
    store = storage.GcsObjectStore(settings, credentials)
    try:
        asyncio.run(store.check())
    finally:
        store.close()


def over_bigquery(credentials: Credentials) -> None:
    settings = fake_settings(bigquery_endpoint="http://127.0.0.1:9")
    bigquery.BigQueryWarehouse(settings, credentials).query("select 1")


def over_grpc(credentials: Credentials) -> None:
    asyncio.run(_over_grpc(credentials))


async def _over_grpc(credentials: Credentials) -> None:
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    await server.start()
    plugin = AuthMetadataPlugin(credentials, TokenRequest())
    channel = grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        grpc.composite_channel_credentials(
            grpc.local_channel_credentials(), grpc.metadata_call_credentials(plugin)
        ),
    )
    transport = ContactCenterInsightsGrpcAsyncIOTransport(channel=channel)
    api = GrpcInsightsApi(
        fake_settings(), client=insights.ContactCenterInsightsAsyncClient(transport=transport)
    )
    try:
        await api.check()
    finally:
        await api.close()
        await server.stop(None)


CALLS = {"GCS": over_storage, "BigQuery": over_bigquery, "Insights": over_grpc}


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize(
    ("cause", "code", "said", "cure"),
    [
        (RAN_OUT, "UNAUTHENTICATED", "the credentials ran out or were revoked: invalid", CURE),
        (DENIED, "PERMISSION_DENIED", "these credentials may not act as the service", "operators"),
        (UNREACHABLE, "UNAVAILABLE", "the credentials couldn't be renewed: HTTPS", "HTTPS_PROXY"),
    ],
)
def test_credentials_that_ran_out_say_so_and_name_the_cure(
    service: str, cause: auth.GoogleAuthError, code: str, said: str, cure: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        CALLS[service](Broken(cause))

    assert caught.value.message.startswith(f"{service}: {code}: {said}")
    is_remote = code == "UNAVAILABLE"
    exit_code = ExitCode.REMOTE if is_remote else ExitCode.SETTINGS
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    assert cure in caught.value.hint
    assert "local up" not in caught.value.hint
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("service", ["GCS", "BigQuery"])
def test_a_token_service_that_is_away_may_come_back(service: str) -> None:
    with pytest.raises(RemoteError) as caught:
        CALLS[service](Broken(AWAY))

    assert caught.value.code == "UNAVAILABLE"
    assert "local up" not in caught.value.hint


MAKE: dict[str, Callable[[Settings], Any]] = {
    "gcs_endpoint": storage.storage_credentials,
    "bigquery_endpoint": bigquery.bigquery_credentials,
}


@pytest.mark.parametrize("setting", MAKE)
def test_an_emulator_gets_no_credentials_and_a_private_endpoint_gets_ours(
    setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    key = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    emulator = MAKE[setting](fake_settings(**{setting: "http://127.0.0.1:9"}))
    private = MAKE[setting](fake_settings(**{setting: "https://storage-x.p.googleapis.com"}))
    public = MAKE[setting](fake_settings())

    assert isinstance(emulator, AnonymousCredentials)
    assert [type(found) for found in (private, public)] == [UserCredentials] * 2


@pytest.mark.parametrize("setting", MAKE)
def test_a_key_that_is_not_there_is_a_matter_of_settings(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/key.json")

    with pytest.raises(SettingsError) as caught:
        MAKE[setting](fake_settings())

    assert caught.value.message == (
        "no Google credentials found: File /no/such/key.json was not found."
    )
    assert caught.value.hint == CURE
