"""Tokens that run out are renewed by the clients; credentials that ran out say so."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from answering_server import Request, reply, serving
from google.auth import exceptions as auth
from google.auth import identity_pool, impersonated_credentials
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

EARLY = dt.timedelta(minutes=3, seconds=45)
"""Clients take a token for expired that long before it is."""
CURE = "run `gcloud auth application-default login`"


NOWHERE = "http://127.0.0.1:9"
"""A proxy that isn't there: Google's library asks Google in the background where it may go."""
STALE = EARLY - dt.timedelta(seconds=2)
ACCOUNT = "sidecar@p.iam.gserviceaccount.com"
ACCOUNTS = "/computeMetadata/v1/instance/service-accounts"
OF_MACHINE = json.dumps({"email": ACCOUNT, "scopes": [], "aliases": ["default"]}).encode()
METADATA = {
    "/": b"",
    "/computeMetadata/v1/project/project-id": b"p",
    f"{ACCOUNTS}/default/": OF_MACHINE,
    f"{ACCOUNTS}/{ACCOUNT}/": OF_MACHINE,
}
"""What a machine of Google's says of itself."""


@dataclass
class Tokens:
    """The services that give tokens: a person's, a federated one and a machine's own, and with the
    first two one of a service account; those of the service account are too old at first."""

    stale_count: int = 3
    refused: list[str] = field(default_factory=list)
    issued: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> bytes:
        """Answer as the service of the request's path does."""
        if request.path in ("/token", "/sts"):
            given = {"access_token": "person", "expires_in": 3600, "token_type": "Bearer"}
            return reply(json.dumps(given).encode())
        if request.path.startswith(ACCOUNTS) and request.path.endswith("/token"):
            token, expires = self._issue()
            left = int((expires - dt.datetime.now(dt.UTC)).total_seconds())
            told = {"access_token": token, "expires_in": left, "token_type": "Bearer"}
            return reply(json.dumps(told).encode(), Metadata_Flavor="Google")
        if request.method == "GET":
            is_text = request.path.endswith("project-id")
            return reply(
                METADATA.get(request.path, b""),
                200 if request.path in METADATA else 404,
                "text/plain" if is_text else "application/json",
                Metadata_Flavor="Google",
            )
        if (told_by := request.headers.get("authorization")) != "Bearer person":
            self.refused.append(str(told_by))
            return reply(b'{"error": {"message": "denied"}}', 403)
        token, expires = self._issue()
        until = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        return reply(json.dumps({"accessToken": token, "expireTime": until}).encode())

    def _issue(self) -> tuple[str, dt.datetime]:
        with self.lock:
            self.issued += 1
            life = STALE if self.issued <= self.stale_count else dt.timedelta(hours=1)
            return f"sidecar-{self.issued}", dt.datetime.now(dt.UTC) + life


def person(address: str) -> UserCredentials:
    return UserCredentials(
        None,
        refresh_token="r",
        token_uri=f"{address}/token",
        client_id="c",
        client_secret="s",
    )


def impersonated(address: str, folder: Path) -> Credentials:
    return impersonated_credentials.Credentials(
        person(address),
        ACCOUNT,
        ["x"],
        iam_endpoint_override=f"{address}/v1/x:generateAccessToken",
    )


def federated(address: str, folder: Path) -> Credentials:
    """Return what a pipeline elsewhere becomes the sidecar by, without a key."""
    (folder / "signed").write_text("a token of the pipeline", encoding="utf-8")
    return identity_pool.Credentials(
        audience="//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=f"{address}/sts",
        credential_source={"file": str(folder / "signed")},
        service_account_impersonation_url=f"{address}/v1/x:generateAccessToken",
        scopes=["x"],
    )


def upload(store: storage.GcsObjectStore, name: str) -> Awaitable[StoredObject]:
    return store.put(
        name, b"", content_type="text/plain", content_sha256="ab" * 32, if_generation_match=0
    )


async def upload_all(settings: Settings, credentials: Credentials) -> list[int]:
    store = storage.GcsObjectStore(settings, credentials)
    try:
        made = await asyncio.gather(*(upload(store, f"{n}") for n in range(100)))
    finally:
        store.close()
    return [stored.generation for stored in made]


@dataclass
class Bucket:
    """A bucket that keeps which tokens it was asked with."""

    used: set[str] = field(default_factory=set)

    @property
    def newest_used(self) -> int:
        """The number of the newest token that it was asked with."""
        return max(int(token.removeprefix("Bearer sidecar-")) for token in self.used)

    def answer(self, request: Request) -> bytes:
        """Say that the object was written."""
        self.used.add(request.headers["authorization"])
        told = {"name": "n", "generation": "7", "size": "0", "crc32c": "AAAAAA=="}
        return reply(json.dumps(told).encode())


@pytest.mark.parametrize("make", [impersonated, federated])
def test_a_token_that_runs_out_amid_uploads_is_renewed_and_no_upload_fails(
    make: Callable[[str, Path], Credentials], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", NOWHERE)
    tokens, bucket = Tokens(), Bucket()
    with serving(tokens.answer) as issuer, serving(bucket.answer) as service:
        settings = fake_settings(gcs_endpoint=service.address, bucket="bucket-1")
        generations = asyncio.run(upload_all(settings, make(issuer.address, tmp_path)))

    assert generations == [7] * 100
    assert tokens.refused == []
    assert bucket.newest_used > tokens.stale_count


ON_A_MACHINE = """
import asyncio, test_credentials as here
from ingest.gcp.credentials import default_credentials
settings = here.fake_settings(gcs_endpoint={endpoint!r}, bucket="bucket-1")
print(asyncio.run(here.upload_all(settings, default_credentials("GCS", ["x"]))))
"""


def test_a_machines_own_token_that_runs_out_is_renewed_too(tmp_path: Path) -> None:
    tokens, bucket = Tokens(), Bucket()
    with serving(tokens.answer) as issuer, serving(bucket.answer) as service:
        machine = issuer.address.removeprefix("http://")
        # Clients read where the metadata server is when they are loaded.
        done = subprocess.run(
            [sys.executable, "-c", ON_A_MACHINE.format(endpoint=service.address)],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "PYTHONPATH": os.pathsep.join(sys.path),
                "GCE_METADATA_HOST": machine,
                "GCE_METADATA_IP": machine,
                "https_proxy": NOWHERE,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.stdout.strip() == str([7] * 100), done.stderr[-2000:]
    assert bucket.newest_used > tokens.stale_count


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
